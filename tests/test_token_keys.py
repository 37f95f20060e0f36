"""A token endpoint whose keys and credentials change, and one that cannot get others' keys."""

import dataclasses
import json
import re
import time

import pytest

from harness.caller import Caller
from harness.issued import thumbprint
from harness.keyserver import delayed, document
from harness.load import Load
from harness.servers import serving
from harness.token_caller import (
    CAROL,
    WORLD,
    connect,
    context_of,
    error,
    of_issuer,
    outages,
    said,
    sound,
    unavailable,
)
from harness.token_visit import exchange, issued, published, send
from harness.waiting import eventually, in_parallel
from harness.world import World

# --- Keys and credentials that change


def reload(server):
    """Until nobody is left who goes by the configuration of before."""
    before = set(server.workers())
    server.reload()
    eventually(lambda: not before & set(server.workers()))


def reconfigured(server, **words):
    """The server with other words for all its hosts, after a reload."""
    site = server.site
    changes = {name.replace("_", "-"): value for name, value in words.items()}
    site.world = dataclasses.replace(site.world, set=site.world.set | changes)
    server.configuration.write_text(server.render())
    reload(server)


def refreshed(server, token: str):
    words = {"grant_type": "refresh_token", "refresh_token": token}
    return exchange(server, parameters=words, without=["subject_token", "subject_token_type", "audience"])


NOW, NEXT = "{signing-key:p256-now} kid=now", "{signing-key:rsa-next} kid=next"


def test_a_new_signing_key_leaves_what_was_issued_good(around, kind):
    world = World.read(WORLD)
    world = dataclasses.replace(world, process=world.process | {"jwks-refresh": "1s"})
    with serving(kind, world, around) as server:
        api = Caller(server)
        old = json.loads(exchange(server).body)
        assert api.get("/api", old["access_token"]).status == 200

        reconfigured(server, sts_signing_key=[NEXT, NOW])  # "before" is gone
        assert [key["kid"] for key in published(server)["keys"]] == ["next", "now"]
        token = issued(server, refreshed(server, old["refresh_token"]))
        assert (token.header["alg"], token.header["kid"], token.claims["sub"]) == ("RS256", "next", "alice")
        new = json.loads(exchange(server).body)
        assert api.get("/api", old["access_token"]).status == 200
        eventually(lambda: api.get("/api", new["access_token"]).status == 200)

        server.log.announce("AB1108 key-unknown")
        reconfigured(server, sts_signing_key=[NEXT])
        assert error(refreshed(server, old["refresh_token"])) == (400, "invalid_grant")
        assert server.log.await_line("AB4401 refresh-token-refused.*AB1108")
        assert refreshed(server, new["refresh_token"]).status == 200
        eventually(lambda: api.get("/api", old["access_token"]).status == 401)
        assert api.get("/api", new["access_token"]).status == 200


def test_a_key_file_that_is_replaced_in_place(around, kind):
    """Without kid= the name is the key's thumbprint, so that another key has another name."""
    world = World.read(WORLD)
    world = dataclasses.replace(world, set=world.set | {"sts-signing-key": "{signing-key:p256-in-place}"})
    with serving(kind, world, around) as server:
        jwk = lambda: published(server)["keys"][0]
        first = jwk()
        assert first["kid"] == thumbprint(first) == issued(server, exchange(server)).header["kid"]
        server.site.write_file("p256-in-place.pem.secret", around.keys.pem("ed25519-in-place"))
        assert jwk() == first  # until the reload
        reload(server)
        second = jwk()
        assert second["kid"] == thumbprint(second) == issued(server, exchange(server)).header["kid"]
        assert (first["kty"], second["kty"]) == ("EC", "OKP")


def test_credentials_are_read_again_by_a_reload(around, kind):
    with serving(kind, World.read(WORLD), around) as server:
        server.log.announce("AB4201 subject-token-refused")
        daves = {"subject_token": "daves-credential"}
        assert exchange(server).status == 200
        assert error(exchange(server, parameters=daves)) == (400, "invalid_request")
        lines = server.site.fill("{sha256:daves-credential} carol\n")
        server.site.write_file("credentials.secret", lines)
        reload(server)
        assert issued(server, exchange(server, parameters=daves)).claims["sub"] == "carol"
        assert error(exchange(server)) == (400, "invalid_request")  # alice is in no line any more


def test_a_credential_that_is_replaced_ends_its_refresh_tokens(around, kind):
    """Whatever was stolen together with alice's: the subject is the same, and the key may be."""
    with serving(kind, World.read(WORLD), around) as server:
        server.log.announce("AB4401 refresh-token-refused")
        refresh_token = json.loads(exchange(server).body)["refresh_token"]
        for lines, is_good in [
            ("{sha256:iamtheeggman} alice {x5t:alice}\n{sha256:another} alice {x5t:bob}\n", True),
            ("{sha256:another} alice {x5t:alice}\n", False),
            ("{sha256:iamtheeggman} alice {x5t:bob}\n", False),
            ("{sha256:iamtheeggman} bob {x5t:alice}\n", False),
            ("{sha256:iamtheeggman} alice\n", True),
        ]:
            server.site.write_file("credentials.secret", server.site.fill(lines))
            reload(server)
            answer = refreshed(server, refresh_token)
            assert answer.status == 200 if is_good else error(answer) == (400, "invalid_grant"), lines
        assert said(server, "AB4401") == 3


NOT_UNDERSTOOD = {
    "nonsense": "nonsense",
    "a hash alone": "{sha256:a-credential}",
    "a thumbprint that is none": "{sha256:a-credential} a b",
    "one credential twice": "{sha256:a-credential} a\n{sha256:a-credential} b",
}


@pytest.mark.parametrize("content", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_credentials_that_are_not_understood(around, kind, content):
    """The configuration test finds it and names the line, and nothing of what stands there."""
    with serving(kind, World.read(WORLD), around) as server:
        server.site.write_file("credentials.secret", server.site.fill(f"# a comment\n{content}\n"))
        checked = server.check()
        told = checked.stdout + checked.stderr
        assert checked.returncode != 0 and re.search(r"line [23]", told), told
        assert server.site.fill("{sha256:a-credential}") not in told and "nonsense" not in told


def test_under_load_a_reload_fails_no_request(around, kind):
    with serving(kind, World.read(WORLD), around) as server:
        made = sound(server)

        def once(request):
            answer = request(made.method, made.path, made.headers, made.body)
            assert json.loads(answer.body)["expires_in"] == 300, answer
            return answer

        with Load(server.site.addresses["open"], context_of(server), once) as load:
            for _ in range(5):
                server.reload()
                time.sleep(0.1)
        assert not load.failures
        assert load.statuses[200] > 20


# --- Key servers that fail


def test_a_key_server_that_is_silent(around, kind):
    """Who waits for it is told to come again; who does not is answered meanwhile."""
    processes = {"processes": 1} if kind.name == "nginx" else {}
    with serving(kind, outages(silent={"silence": 30}), around, **processes) as server:
        server.log.announce("AB4901 exchange-keys-unavailable")
        with in_parallel(lambda: exchange(server, **of_issuer("silent")), 3) as answers:
            time.sleep(0.1)
            began = time.monotonic()
            for _ in range(5):
                assert exchange(server).status == 200
                assert Caller(server).get("/api", claims={"iss": "https://unknown.example"}).status == 401
            assert time.monotonic() - began < 0.9  # they are still waiting
            server.log.announce("AB1107 issuer-not-trusted")
        for answer in answers:
            unavailable(answer)
        assert [line.level for line in server.log.lines() if "AB4901" in line.text] == ["error"] * 3


def test_all_the_keys_of_one_request_share_its_time(around, kind):
    """Each key server answers within key-wait, but not the three of this request one after the other. What came too
    late is there for the next try, so that in the end one is granted."""
    wait, delay = 1.0, 0.8  # the former is the world's key-wait
    world = outages(first={"jwks": "other"}, second={"jwks": "other"})
    # Keys of others at first: they are fetched again only when a request asks.
    endpoints = world.endpoints | {"/client": {"jwks": "other"}}
    rule = "client=remote audience=https://api.example actor=service"
    world = dataclasses.replace(world, endpoints=endpoints, set=world.set | {"sts-rule": rule})
    words = {
        "assertion": {"claims": {"iss": "remote", "sub": "remote"}},
        "actor": {"claims": {"iss": "https://second.example"}},
        **of_issuer("first"),
    }
    with serving(kind, world, around, processes=1) as server:
        server.log.announce("AB4901 exchange-keys-unavailable")
        time.sleep(1.1)  # past jwks-cooldown
        for name, key in {"client": "p256-client", "first": "p256", "second": "p256"}.items():
            server.site.key_server.serve(f"/{name}", delayed(delay, document(around.keys.jwks(key))))

        def asked():
            began = time.monotonic()
            answer = exchange(server, **words)
            assert time.monotonic() - began < wait + delay / 2
            return answer

        unavailable(asked())
        eventually(lambda: asked().status == 200, seconds=20)


def test_clients_that_leave_while_they_wait_for_keys(around, kind):
    with serving(kind, outages(silent={"silence": 30}), around) as server:
        server.log.announce("AB4901 exchange-keys-unavailable")
        waiting = sound(server, **of_issuer("silent"))
        for _ in range(8):
            with connect(server) as connection:
                connection.send(waiting.method, waiting.path, waiting.headers, waiting.body)
                time.sleep(0.05)
        time.sleep(1.2)  # past key-wait
        workers = set(server.workers())
        assert {exchange(server).status for _ in range(5)} == {200}
        assert workers <= set(server.workers())


def test_who_waits_for_keys_survives_a_reload(around, kind):
    with serving(kind, outages(slow={"status": 404}), around) as server:
        keys = document(around.keys.jwks("p256"))
        server.site.key_server.serve("/slow", delayed(0.7, keys))
        time.sleep(1.1)  # past jwks-cooldown
        with in_parallel(lambda: exchange(server, **of_issuer("slow")), 3) as answers:
            time.sleep(0.2)
            server.reload()
        assert [issued(server, answer).claims["sub"] for answer in answers] == ["ann"] * 3


def test_a_key_server_that_comes_back(around, kind):
    with serving(kind, outages(failing={"status": 500}), around) as server:
        server.log.announce("AB4901 exchange-keys-unavailable")
        unavailable(exchange(server, **of_issuer("failing")))
        server.site.key_server.serve("/failing", document(around.keys.jwks("p256")))
        eventually(lambda: exchange(server, **of_issuer("failing", sub="ann")).status == 200)


def test_a_client_whose_keys_are_not_available(around, kind):
    """The assertion is not used up by a request that could not be decided."""
    with serving(kind, outages(), around) as server:
        server.log.announce("AB4901 exchange-keys-unavailable|AB4111 client-assertion-replayed")
        words = {"assertion": {"claims": {"iss": "remote", "sub": "remote"}}, "parameters": CAROL}
        made = sound(server, **words)
        unavailable(send(server, made))
        server.site.key_server.serve("/client", document(around.keys.jwks("p256-client")))
        eventually(lambda: send(server, sound(server, **words)).status == 200)
        statuses = [send(server, made).status for _ in range(3)]
        assert sorted(statuses) == [200, 400, 400] or 503 in statuses


def test_a_key_that_is_not_published(around, kind):
    """A kid that nobody knows makes the server look again, and then it is refused."""
    with serving(kind, outages(good={"jwks": "main"}), around) as server:
        server.log.announce("AB4201 subject-token-refused")
        assert exchange(server, **of_issuer("good")).status == 200
        asked = of_issuer("good")
        asked["subject"]["key"] = "p256-unpublished"
        assert error(exchange(server, **asked)) == (400, "invalid_request")
        assert server.log.await_line("AB4201 .*AB1108")


def test_a_rule_that_is_gone_ends_its_refresh_tokens(around, kind):
    """Clients drop a refresh token on invalid_grant, and only then."""
    with serving(kind, World.read(WORLD), around) as server:
        server.log.announce("AB4401 refresh-token-refused")
        refresh_token = json.loads(exchange(server).body)["refresh_token"]
        assert refreshed(server, refresh_token).status == 200
        for rule in [
            "audience=https://api.example scope=read,write",
            "audience=https://other-api.example refresh=8h",
            "audience=https://api.example refresh=8h client=once",
        ]:
            reconfigured(server, sts_rule=rule)
            assert error(refreshed(server, refresh_token)) == (400, "invalid_grant"), rule
        lines = [line.text for line in server.log.lines() if "AB4401 " in line.text]
        names = ["refresh-not-allowed", "target-unknown", "rule-missing"]
        assert [name in line for name, line in zip(names, lines, strict=True)] == [True] * 3


# Two issuers in one server, each with a client of the same name.
TWO_ISSUERS = {
    "realm": "test",
    "hosts": {
        name: {
            "certificates": "optional_no_ca",
            "set": {
                "sts-issuer": f"https://{name}.example",
                "sts-client": f"service private_key_jwt jwks-file {{jwks:{name}}}",
            },
        }
        for name in ("one", "two")
    },
    "jwks": {"one": ["p256-client"], "two": ["p256"]},
    "location": [{"path": "/token", "protect": False, "served": "token-exchange"}],
    "files": {"credentials.secret": "{sha256:carols-credential} carol\n"},
    "set": {
        "sts-signing-key": "{signing-key:p256-now}",
        "sts-credentials": "{folder}/credentials.secret",
        "sts-rule": "audience=https://api.example",
    },
}


def test_two_issuers_of_one_server_do_not_share_identifiers(around, kind):
    with serving(kind, World.parse(TWO_ISSUERS), around) as server:
        server.log.announce("AB4111 client-assertion-replayed")
        for status in (200, 400):
            for host, key in (("one", "p256-client"), ("two", "p256")):
                claims = {"iss": "service", "sub": "service", "jti": "42", "aud": f"https://{host}.example"}
                made = sound(server, host=host, parameters=CAROL, assertion={"key": key, "claims": claims})
                assert send(server, made, host=host).status == status, host
        assert said(server, "AB4111") == 2


def test_what_is_missing_to_verify_jwts_is_said(around, kind):
    """A place with credentials may do without issuers and audience; who sends it a JWT must find out why."""
    world = World.read(WORLD)
    words = {name: value for name, value in world.set.items() if name != "audience"}
    places = [place for place in world.location if place.path == "/token"]
    with serving(kind, dataclasses.replace(world, set=words, location=places), around) as server:
        server.log.announce("AB4202 subject-unknown|AB4012 token-type-unsupported")
        assert exchange(server).status == 200
        assert error(exchange(server, subject={})) == (400, "invalid_request")
        jwt = {"subject_token_type": "token-type:jwt"}
        assert error(exchange(server, subject={}, parameters=jwt)) == (400, "invalid_request")
        missing = "no audience applies here, to verify JWTs by"
        lines = [line.text for line in server.log.lines() if "AB4" in line.text and "token-issued" not in line.text]
        assert len(lines) == 2 and all(missing in line for line in lines), lines


def test_a_thread_pool_that_is_full(around, nginx_kind):
    """One request waits and one may be in the queue; the others are told at once to come again."""
    world = outages(silent={"silence": 30})
    world = dataclasses.replace(world, set=world.set | {"thread-pool": "tiny", "key-wait": "3s"})
    options = {"processes": 1, "main": "thread_pool tiny threads=1 max_queue=1;"}
    with serving(nginx_kind, world, around, **options) as server:
        server.log.announce("AB4901 exchange-keys|AB4906 exchange-overloaded|thread pool .tiny. queue overflow")
        with in_parallel(lambda: exchange(server, **of_issuer("silent")), 5) as answers:
            eventually(lambda: said(server, "AB4906") >= 3)
            assert exchange(server).status == 200
        assert len(answers) == 5
        for answer in answers:
            unavailable(answer)
        assert said(server, "AB4906") in (3, 4) and said(server, "AB4901") + said(server, "AB4906") == 5
