"""httpd-conf/openid-connect.conf, served: the stock mod_auth_openidc beside ours. A session that was
begun with a Token Binding key is one for nobody who has the cookie alone."""

import pytest

from harness.openid_application import (
    NOT_THE_SAME,
    application,
    asked_with_captured_message,
    browser,
    netloc,
    page,
    sent_to_login,
    user,
)

EXAMPLE = "openid-connect"

SESSIONS = pytest.mark.parametrize(
    "changes",
    [(), (("OIDCClientID", "OIDCSessionType client-cookie\n    OIDCClientID"),)],
    ids=["server-cache", "client-cookie"],
)


@SESSIONS
def test_a_session_belongs_to_the_key(around, httpd_kind, changes):
    with application(EXAMPLE, httpd_kind, around, changes) as server:
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
    with application(EXAMPLE, httpd_kind, around) as server:
        server.log.announce("AB1056 token-binding-signature")
        owner = browser(server)
        assert user(owner.get(page(server))) == "alice"
        there, elsewhere = asked_with_captured_message(server, owner)
        assert user(there) == "alice"
        assert elsewhere.status == 400


@SESSIONS
def test_a_browser_without_token_binding(around, httpd_kind, changes):
    """It notices nothing, and its session is as good or bad as ever."""
    with application(EXAMPLE, httpd_kind, around, changes) as server:
        plain = browser(server, "")
        assert user(plain.get(page(server))) == "alice"
        assert user(plain.like().step(page(server))) == "alice"


def test_a_login_belongs_to_the_key_that_began_it(around, httpd_kind):
    """A code that was meant for another: the state is bound as well."""
    with application(EXAMPLE, httpd_kind, around) as server:
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
    with application(EXAMPLE, httpd_kind, around, ENFORCED) as server:
        server.site.openid_provider.binds = True
        owner = browser(server)
        answer = owner.step(page(server))
        assert owner.asked_to_refer(answer)
        assert user(owner.get(page(server))) == "alice"
        assert user(owner.step(page(server))) == "alice"


def test_an_id_token_bound_to_another_key(around, httpd_kind):
    with application(EXAMPLE, httpd_kind, around, ENFORCED) as server:
        server.log.announce("oidc_")
        server.site.openid_provider.misbinds = True
        owner = browser(server)
        assert b"OpenID Connect Provider error" in owner.get(page(server)).body
        assert sent_to_login(server, owner.step(page(server)))


def test_an_id_token_that_is_not_bound_where_that_is_enforced(around, httpd_kind):
    with application(EXAMPLE, httpd_kind, around, ENFORCED) as server:
        server.log.announce("oidc_")
        owner = browser(server)
        assert b"OpenID Connect Provider error" in owner.get(page(server)).body
        assert sent_to_login(server, owner.step(page(server)))
