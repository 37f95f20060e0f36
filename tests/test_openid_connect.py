"""httpd-conf/openid-connect.conf, served: the stock mod_auth_openidc beside ours. A session that was
begun with a Token Binding key is one for nobody who has the cookie alone."""

import contextlib
import json
import re
from pathlib import Path

import pytest

from harness.bound_client import BoundConnection
from harness.browser import Browser
from harness.table import TESTS
from harness.token_binding import Binding
from harness.world import Site, World

APP = "app.test.example"
MODULE = Path("/usr/lib/apache2/modules/mod_auth_openidc.so")
# What mod_auth_openidc says of a session or a login that is another's.
NOT_THE_SAME = "doesn't match the one presented by the user agent"


@contextlib.contextmanager
def application(kind, around, changes=()):
    """A server with the example on it; `changes` are pairs of lines, the old and the new."""
    server = kind(Site(World.read("openid_connect"), around, kind.name))
    site = server.site
    site.openid_provider.issuer = f"https://localhost:{site.addresses['login'].port}"
    example = placed((TESTS.parent / "httpd-conf/openid-connect.conf").read_text(), site)
    for old, new in changes:
        assert old in example
        example = example.replace(old, new)
    server.configuration.write_text(server.configuration.read_text() + example)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        site.close()
    assert not server.log.unexpected(server.log.lines() + server.console())


def placed(example: str, site: Site) -> str:
    """The example with this place's files, ports and names."""
    pki = site.around.pki
    replacements = {
        r"(?m)^LoadModule auth_bound_module .*$": "",
        r"modules/mod_auth_openidc\.so": MODULE,
        r"(?m)^Listen 443$": "",
        r"\*:443": f"127.0.0.1:{site.addresses['app'].port}",
        r"https://app\.example": f"https://{netloc(site)}",
        r"app\.example": APP,
        r"https://login\.example": site.openid_provider.issuer,
        r"/etc/auth-bound/server\.pem": pki.server.certificate,
        r"/etc/auth-bound/server\.key": pki.server.key,
        r"(?m)^( *)(OIDCClientID)": f"\\1OIDCCABundlePath {pki.ca.certificate}\n\\1\\2",
        r"http://127\.0\.0\.1:8080": site.fill("{backend}"),
    }
    for pattern, value in replacements.items():
        example = re.sub(pattern, str(value), example)
    return example


def netloc(site: Site) -> str:
    """The application's place in URLs."""
    return f"{APP}:{site.addresses['app'].port}"


def page(server) -> str:
    """The URL of a page of the application's."""
    return f"https://{netloc(server.site)}/page"


def browser(server, name: str = "owner") -> Browser:
    login = f"localhost:{server.site.addresses['login'].port}"
    return Browser(server, {netloc(server.site): "app", login: "login"}, name)


def user(answer) -> str:
    """Whom the application was told; an answer of anybody else's tells nobody."""
    assert answer.status == 200
    headers = {name.lower(): value for name, value in json.loads(answer.body)["headers"]}
    return headers["oidc_claim_sub"]


def sent_to_login(server, answer) -> bool:
    """Whether a new login is demanded."""
    to = "".join(answer.all("Location"))
    return answer.status == 302 and to.startswith(f"{server.site.openid_provider.issuer}/authorize?")


SESSIONS = pytest.mark.parametrize(
    "changes",
    [(), (("OIDCClientID", "OIDCSessionType client-cookie\n    OIDCClientID"),)],
    ids=["server-cache", "client-cookie"],
)


@SESSIONS
def test_a_session_belongs_to_the_key(around, httpd_kind, changes):
    with application(httpd_kind, around, changes) as server:
        server.log.announce(NOT_THE_SAME)
        provider = server.site.openid_provider
        owner = browser(server)
        assert user(owner.get(page(server))) == "alice"
        assert provider.logins == 1
        assert user(owner.step(page(server))) == "alice"  # each step is a connection of its own

        thieves = [owner.like(), owner.like("thief"), owner.like("another-thief")]
        before = around.backend.requests
        for thief in thieves:
            assert sent_to_login(server, thief.step(page(server)))
        assert sent_to_login(server, owner.like("owner").step(page(server), speechless=True))
        assert around.backend.requests == before
        assert provider.logins == 1
        assert user(owner.step(page(server))) == "alice"  # whom the thieves did not log out


def test_a_session_and_a_captured_message(around, httpd_kind):
    """The cookie with the very bytes that proved the key: on another connection they are refused."""
    with application(httpd_kind, around) as server:
        server.log.announce("AB1056 token-binding-signature")
        owner = browser(server)
        assert user(owner.get(page(server))) == "alice"
        here = netloc(server.site)
        cookie = ("Cookie", owner.cookie(here))
        connect = lambda: BoundConnection(server, "app", server_name=APP)
        with connect() as connection:
            connection.turn_to(here)
            captured = connection.fields(Binding(owner.key(here)))
            assert user(connection.get("/page", cookie, *captured)) == "alice"
        with connect() as connection:
            connection.turn_to(here)
            assert connection.get("/page", cookie, *captured).status == 400


@SESSIONS
def test_a_browser_without_token_binding(around, httpd_kind, changes):
    """It notices nothing, and its session is as good or bad as ever."""
    with application(httpd_kind, around, changes) as server:
        plain = browser(server, "")
        assert user(plain.get(page(server))) == "alice"
        assert user(plain.like().step(page(server))) == "alice"


def test_a_login_belongs_to_the_key_that_began_it(around, httpd_kind):
    """A code that was meant for another: the state is bound as well."""
    with application(httpd_kind, around) as server:
        server.log.announce("mod_auth_openidc|auth_openidc|oidc_")
        owner = browser(server)
        answer = owner.step(page(server))
        assert sent_to_login(server, answer)
        callback = owner.step(answer.all("Location")[0]).all("Location")[0]
        for thief in (owner.like(), owner.like("thief")):
            assert thief.step(callback).status != 302 or not thief.cookie(netloc(server.site))
            assert sent_to_login(server, thief.step(page(server)))
        assert user(owner.get(callback)) == "alice"


ENFORCED = (("OIDCTokenBindingPolicy optional", "OIDCTokenBindingPolicy enforced"),)


def test_an_id_token_bound_to_the_referred_key(around, httpd_kind):
    """The provider sees the key of the application's host, and binds the ID token to it."""
    with application(httpd_kind, around, ENFORCED) as server:
        server.site.openid_provider.binds = True
        owner = browser(server)
        answer = owner.step(page(server))
        assert owner.asked_to_refer(answer)
        assert user(owner.get(page(server))) == "alice"
        assert user(owner.step(page(server))) == "alice"


def test_an_id_token_bound_to_another_key(around, httpd_kind):
    with application(httpd_kind, around, ENFORCED) as server:
        server.log.announce("oidc_")
        server.site.openid_provider.misbinds = True
        owner = browser(server)
        assert b"OpenID Connect Provider error" in owner.get(page(server)).body
        assert sent_to_login(server, owner.step(page(server)))


def test_an_id_token_that_is_not_bound_where_that_is_enforced(around, httpd_kind):
    with application(httpd_kind, around, ENFORCED) as server:
        server.log.announce("oidc_")
        owner = browser(server)
        assert b"OpenID Connect Provider error" in owner.get(page(server)).body
        assert sent_to_login(server, owner.step(page(server)))
