"""An application behind the stock mod_auth_openidc, served by one of the examples in httpd-conf, and
those who visit it."""

import contextlib
import json
import re
from pathlib import Path

from .bound_client import BoundConnection
from .browser import Browser
from .pki import Identity
from .table import TESTS
from .token_binding import Binding
from .world import Site, World

APP = "app.test.example"
# What mod_auth_openidc says of a session or a login that is another's.
NOT_THE_SAME = "doesn't match the one presented by the user agent"


@contextlib.contextmanager
def application(example, kind, around, changes=()):
    """A server with the example on it; `changes` are pairs of lines, the old and the new."""
    server = kind(Site(World.read("openid_connect"), around, kind.name))
    site = server.site
    site.openid_provider.issuer = f"https://localhost:{site.addresses['login'].port}"
    text = placed((TESTS.parent / f"httpd-conf/{example}.conf").read_text(), site)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    server.configuration.write_text(server.configuration.read_text() + text)
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
        r"(?m)^Listen 443$": "",
        r"\*:443": f"127.0.0.1:{site.addresses['app'].port}",
        r"https://app\.example": f"https://{netloc(site)}",
        r"app\.example": APP,
        r"https://login\.example": site.openid_provider.issuer,
        r"/etc/auth-bound/server\.pem": pki.server.certificate,
        r"/etc/auth-bound/server\.key": pki.server.key,
        r"/etc/auth-bound/cookie\.secret": site.secret_file("main"),
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


def callback(server, query: str) -> str:
    """The URL where mod_auth_openidc itself answers."""
    return f"https://{netloc(server.site)}/callback?{query}"


def browser(server, name: str = "owner", identity: Identity | None = None) -> Browser:
    login = f"localhost:{server.site.addresses['login'].port}"
    return Browser(server, {netloc(server.site): "app", login: "login"}, name, identity)


def user(answer) -> str:
    """Whom the application was told; an answer of anybody else's tells nobody."""
    assert answer.status == 200
    headers = {name.lower(): value for name, value in json.loads(answer.body)["headers"]}
    return headers["oidc_claim_sub"]


def sent_to_login(server, answer) -> bool:
    """Whether a new login is demanded."""
    to = "".join(answer.all("Location"))
    return answer.status == 302 and to.startswith(f"{server.site.openid_provider.issuer}/authorize?")


def asked_with_captured_message(server, owner: Browser) -> list:
    """The answers to the owner's cookie with the very bytes that prove the key: on the connection that they are
    for, and on another."""
    here = netloc(server.site)
    cookie = ("Cookie", owner.cookie(here))
    captured, answers = [], []
    for _ in range(2):
        with BoundConnection(server, "app", server_name=APP) as connection:
            connection.turn_to(here)
            captured = captured or connection.fields(Binding(owner.key(here)))
            answers.append(connection.get("/page", cookie, *captured))
    return answers
