"""Bound cookies on their way out and back: who may set them, what the client gets, what comes of it
at the next request. What must not count is in scenarios/cookies.toml."""

import json
import re
import time

import pytest

from harness.caller import Caller
from harness.cookie_client import CookieClient, seen, told
from harness.cookie_seal import Payload, Possession, Sealed, opened
from harness.load import Load
from harness.nginx import Nginx
from harness.httpd import HttpdEvent
from harness.servers import serving
from harness.waiting import eventually
from harness.world import World

PROTOCOLS = pytest.mark.parametrize("protocol", ["h1", "h2"])
SESSION = "S=of-backend; Path=/; SameSite=Lax"
ADDED = "; Secure; HttpOnly"
CLEARED = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.fixture
def server(running, request):
    name = next(name for name in ("kind", "httpd_kind", "nginx_kind") if name in request.fixturenames)
    server = running.server(request.getfixturevalue(name), "cookies")
    if request.node.callspec.params.get("protocol", "h1") not in server.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    yield server
    assert not server.log.unexpected(server.log.fresh())


@pytest.fixture
def alice(server, request):
    with CookieClient(server, protocol=request.node.callspec.params.get("protocol", "h1")) as client:
        yield client


def sealed(client: CookieClient, cookie: str, secret: str = "first") -> tuple:
    """A `Set-Cookie` that the client got, as its name, its payload and its attributes."""
    pair, mark, attributes = cookie.partition(";")
    name, value = pair.split("=", 1)
    payload = Payload.read(opened(client.server.site.around.secrets[secret], value))
    assert payload.name == name
    assert abs(time.time() - payload.issued) < 10
    return name, payload, mark + attributes


def check(client: CookieClient, cookie: str, value: str, attributes: str, bound: str = "certificate:alice"):
    """The `Set-Cookie` is this value, sealed for the client, its host and the path in the attributes."""
    _, payload, got = sealed(client, cookie)
    assert (payload.value, got) == (value, attributes)
    assert payload.possession == Possession.of(bound, client.server.site.around)
    assert (payload.host, payload.domain) == ("app.test.example", False)
    stated = re.search(r"; Path=([^;]+)", attributes)
    assert payload.path == (stated[1] if stated else "/")


def await_refused(server, number: str, name: str, count: int = 1):
    """The log tells of a refused cookie so many times, and of nothing else."""
    pattern = f'{number} cookie-[a-z-]+: the cookie "{re.escape(name)}" is not (issued|let through): '
    lines = server.log.await_line(pattern)
    assert len([line for line in lines if re.search(pattern, line.text)]) == count, lines
    assert not server.log.unexpected(lines, pattern)


def take_lines(server, pattern: str) -> list:
    """The lines since the last look, all of which were to be expected."""
    lines = server.log.fresh()
    assert not server.log.unexpected(lines, pattern)
    return lines


# --- Who sets them


@PROTOCOLS
@pytest.mark.parametrize("status", [200, 302, 304, 404, 500])
def test_a_backend_sets_it(server, kind, protocol, alice, status):
    """With any status; the application sees its own value, and a thief's is not shown to it."""
    path = "/required" if status == 200 else f"/required/answers/{status}"
    answer = alice.ask(path, sets=[SESSION])
    assert answer.status == status
    (cookie,) = answer.all("Set-Cookie")
    check(alice, cookie, "of-backend", f"; Path=/; SameSite=Lax{ADDED}")
    assert "of-backend" not in cookie

    alice.reconnect()
    again = alice.ask("/required")
    assert seen(again) == ["S=of-backend"]
    assert told(again)["BOUND_COOKIE_NAMES"] == "S"
    assert alice.jar["S"] not in again.body.decode()

    for thief, number in (("bob", "AB3119"), ("none", "AB3118")):
        with alice.like(certificate=thief) as client:
            assert seen(client.ask("/required")) == []
        await_refused(server, number, "S")


@PROTOCOLS
def test_other_cookies_stay_byte_for_byte(server, kind, protocol, alice):
    """Also those that only look like it; everything in its order."""
    others = ['a=1; Path=/; Weird', 'b="2"; ,;;x= y ;', "S2=x; path=/", "s=lower; Secure", "novalue", "é=ü"]
    sets = [others[0], "S=one; Path=/", *others[1:4], "S=two; Path=/required", *others[4:], " S =three "]
    got = alice.ask("/required", sets=sets).all("Set-Cookie")
    plain = alice.ask("/behind", sets=sets).all("Set-Cookie")  # what the server makes of them itself
    assert [place for place, cookie in enumerate(got) if cookie != plain[place]] == [1, 5, 8]
    assert len(got) == len(plain) == len(sets)
    check(alice, got[1], "one", f"; Path=/{ADDED}")
    check(alice, got[5], "two", f"; Path=/required{ADDED}")
    check(alice, got[8], "three", ADDED)


@PROTOCOLS
def test_nothing_is_set(server, kind, protocol, alice):
    others = ["a=1; Path=/", "b=2"]
    assert alice.ask("/required").all("Set-Cookie") == []
    assert alice.ask("/required", sets=others).all("Set-Cookie") == others


@PROTOCOLS
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/set-by-server", 200),
        ("/set-always", 200),
        ("/set-always/answers/500", 500),
        ("/set-here", 302),
        ("/set-denied", 403),
        ("/set-with-file/page.txt", 200),
        ("/set-with-file/nothing.txt", 404),
    ],
)
def test_the_server_sets_it(server, kind, protocol, alice, path, status):
    answer = alice.ask(path)
    assert answer.status == status
    (cookie,) = answer.all("Set-Cookie")
    check(alice, cookie, "of-server", f"; Path=/{ADDED}")
    take_lines(server, "AH01630: client denied|access forbidden by rule|No such file or directory")


@PROTOCOLS
def test_a_path_that_the_server_maps(server, kind, protocol, alice):
    """The seal has the path that the browser gets, whatever the backend's was."""
    (cookie,) = alice.ask("/mapped/page", sets=["S=v; Path=/"]).all("Set-Cookie")
    check(alice, cookie, "v", f"; Path=/mapped{ADDED}")
    assert seen(alice.ask("/mapped/page")) == ["S=v"]


@PROTOCOLS
def test_server_and_backend_set_it(server, kind, protocol, alice):
    answer = alice.ask("/set-by-server", sets=["a=1", SESSION])
    one, two, three = answer.all("Set-Cookie")
    assert one == "a=1"
    assert {sealed(alice, cookie)[1].value for cookie in (two, three)} == {"of-backend", "of-server"}


@PROTOCOLS
def test_a_program_sets_it(server, httpd_kind, protocol, alice):
    first, cookie, last = alice.ask("/cgi").all("Set-Cookie")
    assert (first, last) == ("first=1", "last=2")
    check(alice, cookie, "of-cgi", f"; Path=/{ADDED}")
    alice.jar = {"S": alice.jar["S"], "b": "2"}
    answer = alice.ask("/cgi", headers=[("BOUND_COOKIE_NAMES", "forged"), ("Bound-Cookie-Bound-To", "forged")])
    variables = dict(line.split("=", 1) for line in answer.body.decode().splitlines())
    assert variables["HTTP_COOKIE"] == "S=of-cgi; b=2"
    ours = {name: value for name, value in variables.items() if "BOUND_COOKIE" in name}
    assert re.fullmatch("[0-9]", ours.pop("BOUND_COOKIE_AGE"))
    assert ours == {"BOUND_COOKIE_NAMES": "S", "BOUND_COOKIE_BOUND_TO": "certificate"}
    assert not any(alice.jar["S"] in value for value in variables.values())


@PROTOCOLS
@pytest.mark.parametrize("path", ["/behind", "/required"])
def test_what_clients_say_of_cookies_is_not_believed(server, kind, protocol, alice, path):
    names = ["BOUND_COOKIE_NAMES", "Bound-Cookie-Bound-To", "bound_cookie-age", "BOUND_COOKIE_REFUSED"]
    body = alice.ask(path, headers=[(name, "forged") for name in names]).body
    assert b"forged" not in body


# --- Error pages, redirects inside of the server, subrequests


def status_of_page(server, status: int) -> int:
    """An error page that a backend makes has the status of the error, but on httpd its own."""
    return status if server.name == "nginx" else 200


@PROTOCOLS
@pytest.mark.parametrize(
    ("path", "name"), [("/error-page/answers/500", "S"), ("/error-page-protected/answers/500", "T")]
)
def test_an_error_page_sets_it(server, kind, protocol, alice, path, name):
    """Whether or not the error page's own location protects it."""
    answer = alice.ask(path)
    assert answer.status == status_of_page(server, 500)
    (cookie,) = answer.all("Set-Cookie")
    got, payload, attributes = sealed(alice, cookie)
    assert (got, payload.value, attributes) == (name, "of-sorry", f"; Path=/{ADDED}")


@PROTOCOLS
def test_an_error_page_by_its_own_rules(server, kind, protocol, alice):
    """It starts from what the client sent, and opens what its own location protects."""
    alice.jar = {name: Sealed(name=name, value=name.lower()).text(server.site.around) for name in ("S", "T")}
    jar = dict(alice.jar)
    assert seen(alice.ask("/error-page-protected/answers/500")) == ["S=s; T=t"]
    alice.jar = jar  # without the page's own cookie
    assert seen(alice.ask("/error-page-to-another/answers/404")) == [f"S={alice.jar['S']}; T=t"]
    assert seen(alice.ask("/rewritten-to-another")) == [f"S={alice.jar['S']}; T=t"]
    assert seen(alice.ask("/rewritten")) == [alice.header()]


@PROTOCOLS
def test_the_error_page_of_a_refusal(server, kind, protocol, alice):
    """It is reached, with the status and the challenge of the refusal, and sees no cookie."""
    alice.ask("/required", sets=[SESSION])
    with alice.like(certificate="bob") as thief:
        answer = thief.ask("/unauthorized-with-page")
        assert answer.status == status_of_page(server, 401)
        assert answer.all("WWW-Authenticate") == ["Cookie"]
        assert seen(answer) == []
        (cookie,) = answer.all("Set-Cookie")
        assert sealed(thief, cookie)[1].value == "of-sorry"
    take_lines(server, 'AB3119 cookie-possession-mismatch: the cookie "S"|AB1601 cookie-refused')


@PROTOCOLS
@pytest.mark.parametrize("path", ["/rewritten", "/behind"])
def test_redirected_inside(server, kind, protocol, alice, path):
    """What is set where the request ends is protected where it came from. NGINX's rewrite leaves a
    location before anything of it counts."""
    (cookie,) = alice.ask(path, sets=[SESSION]).all("Set-Cookie")
    if path == "/behind" or server.name == "nginx":
        assert cookie == SESSION
    else:
        check(alice, cookie, "of-backend", f"; Path=/; SameSite=Lax{ADDED}")


@PROTOCOLS
@pytest.mark.parametrize(
    ("path", "ruled"),
    [
        ("/rewritten-to-another", {"S", "T"}),
        ("/error-page-to-another/answers/404", {"S", "T"}),
        ("/required/another", {"T"}),
    ],
)
def test_each_by_the_place_that_protects_it(server, kind, protocol, alice, path, ruled):
    """Rules of all places that the request passed hold. NGINX's rewrite passes none."""
    if server.name == "nginx" and path == "/rewritten-to-another":
        ruled = {"T"}
    sets = ["S=s; Path=/", "a=1", "T=t; Path=/"]
    got = alice.ask(path, sets=sets).all("Set-Cookie")
    got = got[-3:]  # an error page's backend answers after the one in its place, whose cookies stay on httpd
    assert got[1] == "a=1"
    for cookie, plain in ((got[0], sets[0]), (got[2], sets[2])):
        if plain[0] in ruled:
            check(alice, cookie, plain[2], f"; Path=/{ADDED}")
        else:
            assert cookie == plain


@PROTOCOLS
def test_the_page_of_a_directory(server, httpd_kind, protocol, alice):
    """mod_dir puts another file under the request: its cookies are protected by that file's rules."""
    (server.site.document_root / "directory").mkdir(exist_ok=True)
    first, cookie, last = alice.ask("/directory/").all("Set-Cookie")
    check(alice, cookie, "of-cgi", f"; Path=/{ADDED}")
    assert b"\nHTTP_COOKIE=S=of-cgi\n" in alice.ask("/directory/", cookies=[f"S={alice.jar['S']}"]).body
    with alice.like(certificate="bob") as thief:
        assert b"HTTP_COOKIE" not in thief.ask("/directory/", cookies=[f"S={alice.jar['S']}"]).body
    take_lines(server, 'AB3119 cookie-possession-mismatch: the cookie "S"')


@PROTOCOLS
def test_variables_that_were_asked_for_before(server, nginx_kind, protocol, alice):
    """What is computed before the cookies are opened has them as they came; afterwards nobody has."""
    alice.ask("/required", sets=[SESSION])
    headers = dict(json.loads(alice.ask("/variables").body)["headers"])
    assert headers["X-Before"] == f"{alice.jar['S']}|{alice.header()}"
    assert headers["X-After"] == "of-backend|S=of-backend"
    with alice.like(certificate="bob") as thief:
        headers = dict(json.loads(thief.ask("/variables").body)["headers"])
        assert headers["X-After"] == "|"
    take_lines(server, 'AB3119 cookie-possession-mismatch: the cookie "S"')


@PROTOCOLS
def test_a_cache_gives_nobody_the_cookie_of_another(server, httpd_kind, protocol, alice):
    """What sets a protected cookie is not kept; what does not is."""
    fresh = [("Cache-Control", "public, max-age=600")]
    before = server.site.around.backend.requests
    path = f"/cached/{kind_and(server, protocol)}"
    (cookie,) = alice.ask(path, sets=[SESSION], replies=fresh).all("Set-Cookie")
    check(alice, cookie, "of-backend", f"; Path=/; SameSite=Lax{ADDED}")
    with CookieClient(server, "bob", protocol=protocol) as bob:
        assert bob.ask(path, replies=fresh).all("Set-Cookie") == []
        assert server.site.around.backend.requests == before + 2
        assert bob.ask(path, replies=fresh).status == 200
        assert server.site.around.backend.requests == before + 2


def kind_and(server, protocol: str) -> str:
    """A path of this test's own."""
    return f"{server.name}-{protocol}"


@PROTOCOLS
def test_an_accelerated_response(server, nginx_kind, protocol, alice):
    answer = alice.ask("/accelerated", sets=[SESSION], replies=[("X-Accel-Redirect", "/plain/page.txt")])
    assert answer.body == b"the page of /plain\n"
    (cookie,) = answer.all("Set-Cookie")
    check(alice, cookie, "of-backend", f"; Path=/; SameSite=Lax{ADDED}")


@PROTOCOLS
def test_a_named_location(server, nginx_kind, protocol, alice):
    (cookie,) = alice.ask("/tried", sets=[SESSION]).all("Set-Cookie")
    check(alice, cookie, "of-backend", f"; Path=/; SameSite=Lax{ADDED}")
    assert seen(alice.ask("/tried")) == [f"S={alice.jar['S']}"]


@PROTOCOLS
def test_a_page_with_parts(server, kind, protocol, alice):
    """A subrequest sees by its own location's rules, and sets nothing."""
    page = server.site.document_root / "page/page.txt"
    page.write_text('<!--#include virtual="/part" -->')
    alice.jar = {name: Sealed(name=name, value=name.lower()).text(server.site.around) for name in ("S", "T")}
    answer = alice.ask("/page/page.txt", sets=[SESSION, "T=of-part; Path=/"])
    assert answer.all("Set-Cookie") == []
    assert f'"S={alice.jar["S"]}; T=t"'.encode() in answer.body
    with alice.like(certificate="bob") as thief:
        answer = thief.ask("/page/page.txt")
        assert alice.jar["T"].encode() not in answer.body
    await_refused_both(server)


def await_refused_both(server):
    """The page's own cookie and its part's."""
    pattern = 'AB3119 cookie-possession-mismatch: the cookie "[ST]" is not let through'
    lines = [line.text for line in server.log.await_line('the cookie "T" is not let through') if line.loud]
    assert sorted(re.search('cookie "(.)"', line)[1] for line in lines if re.search(pattern, line)) == ["S", "T"]
    assert not [line for line in lines if not re.search(pattern, line)]


@PROTOCOLS
def test_who_is_asked_whether_it_may(server, nginx_kind, protocol, alice):
    """auth_request's location sees the application's value; so does the location that asks."""
    alice.ask("/required", sets=[SESSION])
    answer = alice.ask("/asking")
    assert seen(answer) == ["S=of-backend"]
    with alice.like(certificate="bob") as thief:
        assert seen(thief.ask("/asking")) == []
    take_lines(server, 'AB3119 cookie-possession-mismatch: the cookie "S"')


# --- What becomes of them


@PROTOCOLS
def test_deletions_pass(server, kind, protocol, alice):
    """Byte for byte, whoever the client is; but a value that should be gone does not leave in the clear."""
    long_ago = "Thu, 01 Jan 1970 00:00:00 GMT"
    gone = ["S=; Path=/", "S=; Max-Age=0", f"S=deleted; Path=/; Expires={long_ago}", "S=; max-age=-1"]
    assert alice.ask("/required", sets=gone).all("Set-Cookie") == gone
    with CookieClient(server, "none", protocol=protocol) as nobody:
        assert nobody.ask("/required", sets=gone).all("Set-Cookie") == gone
    telling = ["S=secret; Max-Age=0; Path=/", f"S=secret; Expires={long_ago}"]
    emptied = [cookie.replace("secret", "") for cookie in telling]
    assert alice.ask("/required", sets=telling).all("Set-Cookie") == emptied


@PROTOCOLS
@pytest.mark.parametrize(
    ("path", "cookie", "added"),
    [
        ("/required", "S=v", "; Secure; HttpOnly"),
        ("/required", "S=v; secure; Path=/", "; HttpOnly"),
        ("/required", "S=v; HTTPONLY;Secure", ""),
        ("/required", "S=v; Max-Age=60; Expires=Wed, 21 Oct 2099 07:28:00 GMT; Partitioned", "; Secure; HttpOnly"),
        ("/secure-alone", "S=v; Path=/", "; Secure"),
        ("/no-attributes", "S=v; Path=/", ""),
        ("/no-attributes", "__Host-id=v; Path=/", "; Secure"),
        ("/no-attributes", "__Secure-id=v", "; Secure"),
        ("/many", "__Host-id=v; Path=/; Secure", "; HttpOnly"),
    ],
)
def test_attributes(server, kind, protocol, alice, path, cookie, added):
    (got,) = alice.ask(path, sets=[cookie]).all("Set-Cookie")
    _, payload, attributes = sealed(alice, got)
    assert payload.value == "v"
    assert attributes == cookie[len(f"{payload.name}=v") :] + added


@PROTOCOLS
@pytest.mark.parametrize(
    ("cookie", "number"),
    [
        ("__Host-id=v; Path=/many", "AB3121"),
        ("__Host-id=v", "AB3121"),
        ("__Host-id=v; Path=/; Domain=test.example", "AB3121"),
        ("S=v; Path=/; Domain=other.example", "AB3125"),
        ("S=v; Path=/; Domain=below.app.test.example", "AB3125"),
        ("S~1=v; Path=/", "AB3120"),
        ("app_~77=v; Path=/", "AB3120"),
    ],
)
def test_what_cannot_be_sealed_is_not_issued(server, kind, protocol, alice, cookie, number):
    assert alice.ask("/many", sets=["a=1", cookie, "b=2"]).all("Set-Cookie") == ["a=1", "b=2"]
    name = cookie.split("=")[0]
    await_refused(server, number, name)


@PROTOCOLS
def test_what_is_too_large_is_not_issued(server, kind, protocol, alice):
    assert alice.ask("/small", sets=["a=1", f"S={'v' * 5000}; Path=/"]).all("Set-Cookie") == ["a=1"]
    await_refused(server, "AB3108", "S")


@PROTOCOLS
def test_for_a_domain_and_for_the_usual_path(server, kind, protocol, alice):
    sets = ["S=v; Domain=.Test.Example; Path=/"]
    _, payload, _ = sealed(alice, alice.ask("/required/deep/page", sets=sets).all("Set-Cookie")[0])
    assert (payload.domain, payload.host, payload.path) == (True, "test.example", "/")
    for path, page in (("/required/deep", "page?a=/b/"), ("/required/caf%C3%A9", "page")):
        alice.jar, page = {}, f"{path}/{page}"
        _, payload, _ = sealed(alice, alice.ask(page, sets=["S=v"]).all("Set-Cookie")[0])
        assert (payload.domain, payload.host, payload.path) == (False, "app.test.example", path)
        assert seen(alice.ask(page)) == ["S=v"]


@PROTOCOLS
def test_a_large_value(server, kind, protocol, alice):
    """It goes out in parts and comes back whole; what is left of it is cleared."""
    value = "large." * 1300
    parts = alice.ask("/required", sets=[f"S={value}; Path=/"]).all("Set-Cookie")
    names = [part.split("=")[0] for part in parts]
    assert names == ["S", "S~1", "S~2"]
    assert all(len(part.split(";")[0]) <= 4000 and part.endswith(f"; Path=/{ADDED}") for part in parts)
    whole = alice.ask("/required")
    assert seen(whole) == [f"S={value}"]
    assert told(whole)["BOUND_COOKIE_NAMES"] == "S"

    with alice.like() as forgetful:
        del forgetful.jar["S~2"]
        assert seen(forgetful.ask("/required")) == []
    await_refused(server, "AB3106", "S")
    with alice.like() as mixed:
        mixed.ask("/required", sets=[f"S={value}; Path=/"])
        mixed.jar["S~1"] = alice.jar["S~1"]
        assert seen(mixed.ask("/required")) == []
    await_refused(server, "AB3107", "S")

    smaller = alice.ask("/required", sets=[f"S={value[:5000]}; Path=/"]).all("Set-Cookie")
    assert [part.split("=")[0] for part in smaller] == ["S", "S~1", "S~2"]
    assert smaller[2] == f"S~2=; Path=/{CLEARED}{ADDED}"
    assert set(alice.jar) == {"S", "S~1"}
    assert seen(alice.ask("/required")) == [f"S={value[:5000]}"]

    one, two = alice.ask("/required", sets=["S=small; Path=/"]).all("Set-Cookie")
    assert two == f"S~1=; Path=/{CLEARED}{ADDED}"
    assert set(alice.jar) == {"S"}
    alice.ask("/required", sets=[f"S={value}; Path=/"])
    gone = alice.ask("/required", sets=["S=; Path=/; Max-Age=0"]).all("Set-Cookie")
    assert gone == ["S=; Path=/; Max-Age=0"] + [f"S~{number}=; Path=/{CLEARED}{ADDED}" for number in (1, 2)]
    assert not alice.jar


# --- What they are bound to


@PROTOCOLS
def test_a_token_binding_key(server, kind, protocol):
    with CookieClient(server, "none", "p256", protocol) as owner:
        (cookie,) = owner.ask("/required", sets=[SESSION]).all("Set-Cookie")
        check(owner, cookie, "of-backend", f"; Path=/; SameSite=Lax{ADDED}", "token-binding:p256")
        owner.reconnect()
        assert seen(owner.ask("/required")) == ["S=of-backend"]
        for certificate, key, number in (
            ("none", "p256-thief", "AB3119"),
            ("none", "", "AB3118"),
            ("alice", "", "AB3118"),
        ):
            with owner.like(certificate=certificate, key=key) as thief:
                assert seen(thief.ask("/required")) == []
            await_refused(server, number, "S")
        # The very message that proved the key, on another connection.
        captured = owner.proof()
        with owner.like(certificate="none", key="p256") as thief:
            answer = thief.connection().request("GET", "/required", [("Cookie", owner.header()), *captured])
            assert answer.status == 400
        take_lines(server, "AB1056 token-binding-signature")


@PROTOCOLS
@pytest.mark.parametrize(
    ("path", "bound"),
    [
        ("/required", "certificate:alice"),
        ("/either-way", "token-binding:p256"),
        ("/by-token-binding", "token-binding:p256"),
        ("/by-certificate", "certificate:alice"),
    ],
)
def test_the_preference_is_settled_when_it_is_set(server, kind, protocol, path, bound):
    """By a client that proves both; afterwards that very key is demanded."""
    with CookieClient(server, "alice", "p256", protocol) as client:
        (cookie,) = client.ask(path, sets=[SESSION]).all("Set-Cookie")
        check(client, cookie, "of-backend", f"; Path=/; SameSite=Lax{ADDED}", bound)
        assert seen(client.ask(path)) == ["S=of-backend"]
        lacking = {"certificate": "alice"} if "token" in bound else {"certificate": "none", "key": "p256"}
        with client.like(**lacking) as thief:
            assert seen(thief.ask(path)) == []
    await_refused(server, "AB3118", "S")


@PROTOCOLS
def test_required_without_a_key_is_not_issued(server, kind, protocol):
    with CookieClient(server, "none", protocol=protocol) as nobody:
        assert nobody.ask("/required", sets=["a=1", SESSION, "b=2"]).all("Set-Cookie") == ["a=1", "b=2"]
        await_refused(server, "AB3118", "S")
        assert nobody.ask("/set-always").all("Set-Cookie") == []
        await_refused(server, "AB3118", "S")
    with CookieClient(server, "alice", protocol=protocol) as client:  # with the wrong kind of key
        assert client.ask("/by-token-binding", sets=[SESSION]).all("Set-Cookie") == []
        await_refused(server, "AB3118", "S")


def test_required_over_plain_http_is_not_issued(server, kind):
    with Caller(server, host="open").connect() as connection:
        answer = connection.request("GET", "/required", [("X-Reply", json.dumps([("Set-Cookie", SESSION)]))])
        assert answer.status == 200 and answer.all("Set-Cookie") == []
    await_refused(server, "AB3118", "S")


@PROTOCOLS
def test_preferred_is_neither_upgraded_nor_downgraded(server, kind, protocol):
    with CookieClient(server, "none", protocol=protocol) as nobody:
        (cookie,) = nobody.ask("/preferred", sets=[SESSION]).all("Set-Cookie")
        check(nobody, cookie, "of-backend", f"; Path=/; SameSite=Lax{ADDED}", "nothing")
        for certificate in ("none", "alice", "bob"):
            with nobody.like(certificate=certificate) as client:
                answer = client.ask("/preferred")
                assert seen(answer) == ["S=of-backend"]
                assert told(answer)["BOUND_COOKIE_BOUND_TO"] == "none"
                assert answer.all("Set-Cookie") == []
        with nobody.like(certificate="alice") as client:  # where a key is demanded it counts no more
            assert seen(client.ask("/required")) == []
        await_refused(server, "AB3116", "S")
    with CookieClient(server, "alice", protocol=protocol) as alice:
        (cookie,) = alice.ask("/preferred", sets=[SESSION]).all("Set-Cookie")
        check(alice, cookie, "of-backend", f"; Path=/; SameSite=Lax{ADDED}")
        with alice.like(certificate="none") as thief:
            assert seen(thief.ask("/preferred")) == []
        await_refused(server, "AB3118", "S")


@PROTOCOLS
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_to_the_login_does_not_go_in_circles(server, kind, protocol, alice, method):
    alice.ask("/redirected", sets=[SESSION])
    with alice.like(certificate="bob") as thief:
        answer = thief.ask("/redirected/page", method=method, body=b"a=1" if method == "POST" else b"")
        assert answer.status == 303
        (to,) = answer.all("Location")
        assert to == "/redirected/login?again=1"
        login = thief.ask(to)
        assert login.status == 200 and seen(login) == []
        thief.ask(to, method="POST", body=b"user=bob", sets=[SESSION])
        assert seen(thief.ask("/redirected/page")) == ["S=of-backend"]
    take_lines(server, 'AB3119 cookie-possession-mismatch: the cookie "S"|AB1602 cookie-redirected')


# --- Several nodes, several secrets

PLACE = {
    "realm": "test",
    "exported": ["BOUND_COOKIE_NAMES", "BOUND_COOKIE_BOUND_TO", "BOUND_COOKIE_AGE", "BOUND_COOKIE_REFUSED"],
    "hosts": {"app": {"certificates": "optional_no_ca"}},
    "location": [{"path": "/required", "protect": False, "set": {"cookie": "S"}}],
    "jwks": {"main": ["p256"]},
    "set": {"token-binding": "on", "cookie-secret": "{secret:first}"},
}


@pytest.mark.parametrize("other", [HttpdEvent, Nginx], ids=lambda kind: f"to {kind.name}")
def test_a_session_moves_from_node_to_node(around, kind, other):
    """Whatever servers they are. Only the secret and the client's key are common to them."""
    with serving(kind, World.parse(PLACE), around) as one, serving(other, World.parse(PLACE), around) as two:
        for certificate, key in (("alice", ""), ("none", "p256")):
            with CookieClient(one, certificate, key) as here, CookieClient(two, certificate, key) as there:
                here.ask("/required/deep/", sets=["S=small; Path=/"])
                there.jar = dict(here.jar)
                assert seen(there.ask("/required")) == ["S=small"]
                there.ask("/required/deep/", sets=[f"S={'large' * 1500}; Path=/required"])
                here.jar = dict(there.jar)
                assert seen(here.ask("/required")) == [f"S={'large' * 1500}"]


def rotate(server, ring: str):
    """Another list of secrets, and a reload."""
    text = server.configuration.read_text()
    files = " ".join(str(server.site.secret_file(name)) for name in ring.split())
    changed, count = re.subn(r"((?:BoundCookieSecret|bound_cookie_secret) )[^;\n]*", rf"\g<1>{files}", text)
    assert count
    server.configuration.write_text(changed)
    old = set(server.workers())
    server.reload()
    eventually(lambda: not old & set(server.workers()))


def test_secrets_are_rotated_under_load(around, kind):
    """Nobody is logged out until the old secret is taken away; then everybody is who has not come
    again. New cookies are set and read all the while."""
    with serving(kind, World.parse(PLACE), around) as server:
        with CookieClient(server) as alice:
            alice.ask("/required", sets=["S=old; Path=/"])
            old = alice.header()
        caller = Caller(server, host="app")

        def ask(request):
            sets = ("X-Reply", json.dumps([("Set-Cookie", "S=new; Path=/")]))
            answer = request("GET", "/required", [("Cookie", old), sets])
            assert answer.status == 200 and seen(answer) == ["S=old"], answer
            (cookie,) = answer.all("Set-Cookie")
            again = request("GET", "/required", [("Cookie", cookie.split(";")[0])])
            assert seen(again) == ["S=new"], again
            return again

        with Load(caller.address, caller.context, ask, clients=3) as load:
            for ring in ("first second", "second first"):
                rotate(server, ring)
                time.sleep(0.3)
        assert not load.failures
        assert load.statuses[200] > 50
        with CookieClient(server) as alice:
            alice.jar["S"] = old.partition("=")[2]
            (cookie,) = alice.ask("/required", sets=["S=fresh; Path=/"]).all("Set-Cookie")
            assert sealed(alice, cookie, "second")[1].value == "fresh"
            fresh = alice.header()
        rotate(server, "second")
        with CookieClient(server) as alice:
            assert seen(alice.ask("/required", cookies=[fresh])) == ["S=fresh"]
            answer = alice.ask("/required", cookies=[old])
            assert seen(answer) == [] and told(answer)["BOUND_COOKIE_REFUSED"] == "AB3104"
        server.log.announce('AB3104 cookie-unknown-key: the cookie "S"')


# --- Headers of any size and shape

SIZE = 64 * 1024
SHAPES = {
    "64 KiB of one cookie": "big=" + "x" * (SIZE - 4),
    "64 KiB of small ones": "; ".join(f"a{number}=b" for number in range(8000))[:SIZE],
    "10,000 cookies": "; ".join(f"c{number}={number}" for number in range(10_000)),
    "10,000 names that begin alike": ";".join(f"app{number}=1" for number in range(10_000)),
    "semicolons": ";" * SIZE,
    "commas": "," * SIZE,
    "commas and semicolons": ",;" * (SIZE // 2),
    "equals signs": "=" * SIZE,
    "quotes": '"\\' * (SIZE // 2),
    "spaces": "x" + " " * SIZE + "y",
    "percent signs": "%" * SIZE,
    "percent signs in pairs": "; ".join(["%5f%"] * 8000),
    "binary": bytes(range(0x80, 0x100)).decode("latin-1") * 512,
    "tabs and binary": "\t\xff;=\x80,\xa0 \xad" * 7000 + "z",
}
PLANTED = {
    "10,000 of a protected name": "; ".join(f"S={number}" for number in range(10_000)),
    "10,000 protected names": "; ".join(f"app_{number}=1" for number in range(10_000)),
    "10,000 chunks": "; ".join(f"S~{number % 100}=AAAAAAAA~A" for number in range(10_000)),
    "3,000 first chunks": "; ".join(["S=99~AAAAAAAAAAAAAAAA"] * 3000),
    "10,000 first and other chunks": "; ".join(
        f"S=99~AAAAAAAAAAAAAAAA; S~{number % 99 + 1}=AAAAAAAA~A" for number in range(5000)
    ),
    "10,000 look-alikes": "; ".join(["%53=1;app.x=2"] * 5000),
    "10,000 behind commas": "x=1" + ",S=1" * 10_000,
    "64 KiB of one protected cookie": "S=A" + "B" * (SIZE - 3),
}


def timed(alice, path: str, header: str) -> tuple:
    """The answer, and the best time of three."""
    times = []
    for _ in range(3):
        start = time.monotonic()
        answer = alice.ask(path, cookies=[header])
        times.append(time.monotonic() - start)
    return answer, min(times)


@pytest.mark.parametrize("shape", SHAPES)
def test_headers_that_are_not_ours_stay(server, kind, shape):
    """Byte for byte, with a protected cookie among them, and in no more time than it takes anyhow."""
    header = SHAPES[shape]
    with CookieClient(server) as alice:
        own = f"S={Sealed().text(server.site.around)}"
        _, usual = timed(alice, "/behind", header)
        answer, took = timed(alice, "/many", header)
        assert answer.status == 200
        assert seen(answer) == seen(alice.ask("/behind", cookies=[header]))
        assert took < usual + 0.1
        # Spaces at its end belong to nobody: servers trim them.
        answer = alice.ask("/many", cookies=[f"{header}; {own}; z=1"])
        assert answer.status == 200 and seen(answer) == [f"{header}; S=v; z=1".lstrip(" \t")]


@pytest.mark.parametrize("shape", PLANTED)
def test_headers_full_of_protected_names(server, kind, shape):
    """All are removed, quickly, and few are logged."""
    header = PLANTED[shape]
    with CookieClient(server) as alice:
        own = f"S={Sealed().text(server.site.around)}"
        _, usual = timed(alice, "/behind", header)
        answer, took = timed(alice, "/many", f"first=1; {header}; last=1")
        assert answer.status == 200
        (got,) = seen(answer)
        assert set(got.split("; ")) == {"first=1", "last=1"} | ({"x=1"} if "commas" in shape else set())
        assert took < usual + 0.1
        answer, took = timed(alice, "/many", f"{header}; {own}")
        assert seen(answer)[-1].endswith("S=v") and took < usual + 0.1
        lines = take_lines(server, 'AB31[0-9]{2} cookie-[a-z-]+: the cookie ".{1,64}" is not let through')
        assert len([line for line in lines if line.loud]) <= 6 * 8


def test_many_cookies_over_http2(server, kind):
    """As browsers send them there: each in a field of its own, joined by the server."""
    if "h2" not in server.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    with CookieClient(server, protocol="h2") as alice:
        crumbs = [f"c{number}={number}" for number in range(60)]
        crumbs.insert(30, f"S={Sealed().text(server.site.around)}")
        answer = alice.ask("/required", cookies=crumbs)
        crumbs[30] = "S=v"
        assert seen(answer) == ["; ".join(crumbs)]


def test_several_headers(server, kind):
    """HTTP/1.1 has one; what comes in several is judged as a whole. httpd joins them with commas before
    anybody sees them, so that to a browser's eye all that follows is in the value of a protected one."""
    with CookieClient(server) as alice:
        own = Sealed().text(server.site.around)
        got = seen(alice.ask("/required", cookies=["a=1; S=planted", "S=planted", f"b=2; S={own}", "c=3"]))
        assert got == (["a=1", "b=2; S=v", "c=3"] if server.name == "nginx" else ["a=1"])
        take_lines(server, 'AB3102 cookie-malformed: the cookie "S"')
