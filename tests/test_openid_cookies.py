"""httpd-conf/bound-openid-session.conf, served: the cookies of the stock mod_auth_openidc bound by us
to a certificate or a Token Binding key. Whoever copies them has no session and no login in progress.

mod_auth_openidc must not even notice: what it says of a cookie that is another's is not announced
here, so that such a line would fail the test.
"""

import json
import re
import secrets
import time
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import pytest

from harness.openid_application import (
    application,
    asked_with_captured_message,
    browser,
    callback,
    netloc,
    page,
    sent_to_login,
    user,
)

EXAMPLE = "bound-openid-session"
SESSION, STATE = "mod_auth_openidc_session", "mod_auth_openidc_state_"
# A thief's cookies are not let through; one without any key is not issued cookies for a login either.
STOLEN = "AB31(18|19) cookie-possession-(missing|mismatch): the cookie .* is not let through"
NOT_ISSUED = f'AB3118 cookie-possession-missing: the cookie "{STATE}.*" is not issued'
THIEVES = f"{STOLEN}|{NOT_ISSUED}"
SEALED = re.compile(r"(\d+~)?A[\w-]{100,}")
MANY_BYTES = 6000  # in a claim: more than any one cookie holds
CLIENT_COOKIE = ("#OIDCSessionType", "OIDCSessionType")
SMALL_PARTS = ("#OIDCSessionCookieChunkSize", "OIDCSessionCookieChunkSize")


@dataclass(frozen=True)
class Keys:
    """What a browser can prove: its Token Binding key's name, and its certificate's."""

    name: str = ""
    certificate: str = ""

    def of(self, around) -> tuple:
        return self.name, around.pki.clients.get(self.certificate)


NOTHING = Keys()
CERTIFICATE, TOKEN_BINDING = Keys(certificate="alice"), Keys("owner")
# The owner's keys, and those of thieves.
OWNERS = {
    "certificate": (
        CERTIFICATE,
        [Keys(certificate="bob"), Keys(certificate="same-name-other-key"), Keys("thief")],
    ),
    "token-binding": (TOKEN_BINDING, [Keys("thief"), Keys(certificate="bob"), Keys("thief", "alice")]),
}
EITHER = pytest.mark.parametrize("owner, thieves", OWNERS.values(), ids=OWNERS)


@dataclass(frozen=True)
class Kept:
    """Where mod_auth_openidc keeps sessions: lines of the example that change, and the names of the
    cookies that a session has in the end. A large one needs several."""

    cookies: str
    changes: tuple = ()
    large: bool = False


KEPT = {
    "server-cache": Kept(r""),
    "client-cookie": Kept(r"", (CLIENT_COOKIE,)),
    "client-cookie in parts": Kept(r"_(chunks|\d)", (CLIENT_COOKIE, SMALL_PARTS), large=True),
    "client-cookie in parts of parts": Kept(r"_(chunks|\d(~1)?)", (CLIENT_COOKIE,), large=True),
}
SESSIONS = pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
# Where the keys and the place of the session have nothing to do with each other.
PAIRS = [("certificate", "server-cache"), ("token-binding", "client-cookie"), ("certificate", list(KEPT)[-1])]
ONE_OF_EACH = pytest.mark.parametrize(
    "owner, thieves, kept", [(*OWNERS[keys], KEPT[kept]) for keys, kept in PAIRS], ids=map(", ".join, PAIRS)
)


def serving(kind, around, kept=KEPT["server-cache"]):
    return application(EXAMPLE, kind, around, kept.changes)


def logged_in(server, keys: Keys, kept=KEPT["server-cache"]):
    """A browser with a session."""
    if kept.large:
        server.site.openid_provider.claims = {"long": secrets.token_hex(MANY_BYTES // 2)}
    owner = browser(server, *keys.of(server.site.around))
    assert user(owner.get(page(server))) == "alice"
    return owner


def like(owner, keys: Keys):
    """A browser with the owner's cookies and these keys."""
    return owner.like(*keys.of(owner.around))


def cookies(server, someone) -> dict:
    return someone.cookies[netloc(server.site)]


def refused(server, number: str) -> int:
    return len(server.log.matching(f"AB{number} cookie-.*{SESSION}"))


@SESSIONS
@EITHER
def test_a_session_belongs_to_the_key(around, httpd_kind, owner, thieves, kept):
    with serving(httpd_kind, around, kept) as server:
        server.log.announce(THIEVES)
        owner = logged_in(server, owner, kept)
        mine = dict(cookies(server, owner))
        assert all(re.fullmatch(SESSION + kept.cookies, name) for name in mine), mine.keys()
        assert len(mine) > 2 or not kept.large
        assert ("~" in "".join(mine)) == ("~" in kept.cookies)
        first = [value for name, value in mine.items() if "~" not in name]
        assert all(map(SEALED.fullmatch, first))
        assert user(owner.step(page(server))) == "alice"  # each step is a connection of its own

        before = around.backend.requests
        for keys in (*thieves, NOTHING):
            so_far = refused(server, "31(18|19)")
            assert sent_to_login(server, like(owner, keys).step(page(server)))
            assert refused(server, "31(18|19)") > so_far
        assert around.backend.requests == before
        assert server.site.openid_provider.logins == 1
        assert user(owner.step(page(server))) == "alice"  # whom the thieves did not log out


def test_a_session_and_a_key_that_says_nothing(around, httpd_kind):
    """Token Binding is negotiated, but the request does not say so: no possession."""
    with serving(httpd_kind, around) as server:
        server.log.announce(THIEVES)
        owner = logged_in(server, TOKEN_BINDING)
        assert sent_to_login(server, like(owner, TOKEN_BINDING).step(page(server), speechless=True))
        assert user(owner.step(page(server))) == "alice"


def test_a_session_and_a_captured_message(around, httpd_kind):
    """The cookie with the very bytes that proved the key: on another connection they are refused."""
    with serving(httpd_kind, around) as server:
        server.log.announce("AB1056 token-binding-signature")
        owner = logged_in(server, TOKEN_BINDING)
        there, elsewhere = asked_with_captured_message(server, owner)
        assert user(there) == "alice"
        assert elsewhere.status == 400


def test_a_session_bound_to_the_certificate_where_there_are_both(around, httpd_kind):
    """What it is bound to was settled when it was set: the other key is no substitute."""
    with serving(httpd_kind, around) as server:
        server.log.announce(THIEVES)
        owner = logged_in(server, Keys("owner", "alice"))
        assert sent_to_login(server, like(owner, TOKEN_BINDING).step(page(server)))
        assert user(owner.step(page(server))) == "alice"


def test_a_session_id_that_was_planted(around, httpd_kind):
    """As mod_auth_openidc writes it, not sealed: a thief of the server's cache has no use for it."""
    with serving(httpd_kind, around) as server:
        server.log.announce("AB3102 cookie-malformed")
        thief = browser(server, *CERTIFICATE.of(around))
        cookies(server, thief)[SESSION] = "0d4dc271-2a3c-4a7d-9d34-3bbe5e0d2b7a"
        assert sent_to_login(server, thief.step(page(server)))
        assert refused(server, "3102") == 1


@ONE_OF_EACH
def test_session_info(around, httpd_kind, owner, thieves, kept):
    with serving(httpd_kind, around, kept) as server:
        server.log.announce(THIEVES)
        server.log.announce("no user session found")
        owner = logged_in(server, owner, kept)
        answer = owner.step(callback(server, "info=json"))
        assert answer.status == 200
        told = json.loads(answer.body)
        assert told["id_token"]["sub"] == "alice"
        assert told["exp"] >= told["timeout"] > time.time()
        for keys in (*thieves, NOTHING):
            answer = like(owner, keys).step(callback(server, "info=json"))
            assert answer.status == 401
            assert b"alice" not in answer.body


@ONE_OF_EACH
def test_refresh(around, httpd_kind, owner, thieves, kept):
    """By the session info hook and by the refresh hook: the session goes on under the same key."""
    with serving(httpd_kind, around, kept) as server:
        server.log.announce(THIEVES)
        server.log.announce("no user session found|no existing access_token found")
        provider = server.site.openid_provider
        owner = logged_in(server, owner, kept)
        by_info = callback(server, "info=json&access_token_refresh_interval=0")
        assert owner.step(by_info).status == 200
        assert provider.refreshes == 1

        token = access_token(owner.step(page(server)))
        by_hook = callback(server, urlencode({"refresh": page(server), "access_token": token}))
        for keys in (*thieves, NOTHING):
            assert like(owner, keys).step(by_info).status == 401
            (to,) = like(owner, keys).step(by_hook).all("Location")
            assert to == f"{page(server)}?error_code=no_access_token_exists"
        assert provider.refreshes == 1
        assert owner.step(by_hook).all("Location") == [page(server)]
        assert provider.refreshes == 2
        assert access_token(owner.step(page(server))) != token
        assert sent_to_login(server, like(owner, NOTHING).step(page(server)))
        assert provider.logins == 1


@ONE_OF_EACH
def test_logout(around, httpd_kind, owner, thieves, kept):
    with serving(httpd_kind, around, kept) as server:
        server.log.announce(f"{THIEVES}|no issuer found")
        keys, owner = owner, logged_in(server, owner, kept)
        bye = f"https://{netloc(server.site)}/bye"
        logout = callback(server, f"logout={quote(bye, safe='')}")
        for other in (*thieves, NOTHING):
            assert like(owner, other).step(logout).all("Location") == [bye]
        assert user(owner.step(page(server))) == "alice"  # theirs ended no session of hers

        before = like(owner, keys)
        answer = owner.step(logout)
        assert (answer.status, answer.all("Location")) == (302, [bye])
        assert not cookies(server, owner)
        assert sent_to_login(server, owner.step(page(server)))
        if not kept.changes:  # what a browser keeps by itself counts until it is too old
            assert sent_to_login(server, before.step(page(server)))


@EITHER
def test_a_login_belongs_to_the_key_that_began_it(around, httpd_kind, owner, thieves):
    """The address that the provider sends the owner to, with the cookie that belongs to it."""
    with serving(httpd_kind, around) as server:
        server.log.announce(THIEVES)
        server.log.announce("oidc_")
        owner = browser(server, *owner.of(around))
        answer = owner.step(page(server))
        assert sent_to_login(server, answer)
        ((name, value),) = cookies(server, owner).items()
        assert name.startswith(STATE) and SEALED.fullmatch(value)
        back = owner.step(answer.all("Location")[0]).all("Location")[0]
        for keys in (*thieves, NOTHING):
            thief = like(owner, keys)
            thief.step(back)
            assert SESSION not in cookies(server, thief)
        assert user(owner.get(back)) == "alice"
        assert server.site.openid_provider.logins == 1


def test_a_login_without_any_key(around, httpd_kind):
    """Its cookies are not issued, and the log says why."""
    with serving(httpd_kind, around) as server:
        server.log.announce(NOT_ISSUED)
        plain = browser(server, "")
        assert sent_to_login(server, plain.step(page(server)))
        assert not cookies(server, plain)
        assert len(server.log.matching(NOT_ISSUED)) == 1


PREFERRED = ((" required", " preferred"),)


def test_sessions_without_a_key_where_keys_are_preferred(around, httpd_kind):
    """Whoever has a key is protected; whoever has none notices nothing."""
    with application(EXAMPLE, httpd_kind, around, PREFERRED) as server:
        server.log.announce(THIEVES)
        plain = logged_in(server, NOTHING)
        assert user(like(plain, Keys(certificate="bob")).step(page(server))) == "alice"
        owner = logged_in(server, CERTIFICATE)
        assert sent_to_login(server, like(owner, NOTHING).step(page(server)))


def access_token(answer) -> str:
    """The one that mod_auth_openidc tells the application."""
    headers = {name.lower(): value for name, value in json.loads(answer.body)["headers"]}
    return headers["oidc_access_token"]
