"""Keys that rotate, and key servers that fail while requests come in."""

import dataclasses
import time

import pytest

from harness.caller import Caller
from harness.httpd import HttpdPrefork
from harness.keyserver import delayed, document, status
from harness.load import Load
from harness.servers import chosen, serving
from harness.waiting import eventually, in_parallel
from harness.world import Location, World

UNKNOWN = {"kid": "nobody"}
UNUSABLE = (
    "p256-for-encryption", "p256-for-wrapping", "rsa1024", "rsa-16384-bits",
    "p256-off-curve", "symmetric", "k256",
)  # fmt: skip
REFUSED = "AB1108 key-unknown"
UNAVAILABLE = "AB1501 keys-unavailable"
OVERLOADED = "AB1502 overloaded"
FAILED = "AB2002 refresh-failed"


# A key server that takes requests and is slower to answer than any test.
SILENT = {"endpoints": {"/keys": {"silence": 30}}, "jwks_timeout": "5s"}


def keys_world(endpoints=None, **process) -> World:
    """The world of keys.toml, with other endpoints or directives of the whole process."""
    world = World.read("keys")
    changes = {name.replace("_", "-"): value for name, value in process.items()}
    endpoints = endpoints or world.endpoints
    return dataclasses.replace(world, endpoints=endpoints, process=world.process | changes)


def published(server, *names):
    return document(server.site.around.keys.jwks(*names))


def publish(server, *names):
    server.site.key_server.serve("/keys", published(server, *names))


def test_a_new_key_is_picked_up_by_the_first_token_that_names_it(around, kind):
    with serving(kind, keys_world(), around) as server:
        caller = Caller(server)
        assert caller.get("/url-keys").status == 200
        time.sleep(1.1)  # past jwks-cooldown
        publish(server, "p256", "p256-new")
        assert caller.get("/url-keys", key="p256-new").status == 200


def test_a_key_that_is_gone_is_refused_after_the_next_refresh(around, kind):
    with serving(kind, keys_world(jwks_refresh="1s"), around) as server:
        server.log.announce(REFUSED)
        caller = Caller(server)
        token = caller.token()
        with caller.connect() as connection:
            ask = lambda: connection.request("GET", "/url-keys", caller.headers(token)).status
            assert [ask(), ask()] == [200, 200]
            publish(server, "p256-new")
            eventually(lambda: ask() == 401)  # cached on this connection, and yet
        eventually(lambda: {caller.get("/url-keys", token).status for _ in range(6)} == {401})
        assert caller.get("/url-keys", key="p256-new").status == 200


@pytest.mark.parametrize("reached, named", [("untrusted-key-server", True), ("tls-key-server", False)])
def test_the_directive_is_named_that_an_authority_is_missing_from(around, kind, reached, named):
    """The other of the two is trusted, and answers 404."""
    world = keys_world(jwks_ca="{ca}")
    place = Location("/elsewhere", set={"issuer": f"https://issuer.example jwks-uri {{{reached}}}/none"})
    world = dataclasses.replace(world, location=[*world.location, place])
    with serving(kind, world, around) as server:
        server.log.announce(f"{FAILED}|{UNAVAILABLE}")
        assert Caller(server).get("/elsewhere").status == 503
        eventually(lambda: server.log.matching(FAILED))
        lines = server.log.matching(FAILED)
        assert all(("jwks-ca names the authorities to trust; no keys" in line) == named for line in lines)


def test_a_key_replaced_under_its_kid_is_another_key(around, kind):
    with serving(kind, keys_world(jwks_refresh="1s"), around) as server:
        server.log.announce("AB1110 signature-invalid")
        caller = Caller(server)
        token = caller.token()
        assert caller.get("/url-keys", token).status == 200
        replacement = around.keys.jwk("p256-new", kid="p256")
        server.site.key_server.serve("/keys", document({"keys": [replacement]}))
        eventually(lambda: {caller.get("/url-keys", token).status for _ in range(6)} == {401})
        assert caller.get("/url-keys", key="p256-new", header={"kid": "p256"}).status == 200


def test_a_file_is_read_again_when_it_changes(around, kind):
    with serving(kind, keys_world(), around) as server:
        server.log.announce(REFUSED)
        caller = Caller(server)
        token = caller.token()
        assert caller.get("/file-keys", token).status == 200
        server.site.write_jwks("file", ["p256-new"])
        eventually(lambda: caller.get("/file-keys", key="p256-new").status == 200)
        eventually(lambda: {caller.get("/file-keys", token).status for _ in range(6)} == {401})


@pytest.mark.parametrize("damage", ["broken", "gone"])
def test_a_file_that_breaks_leaves_its_keys_in_use(around, kind, damage):
    with serving(kind, keys_world(), around) as server:
        server.log.announce(FAILED)
        server.log.announce(f"{REFUSED}|{UNAVAILABLE}")  # for the new key, until it is there
        caller = Caller(server)
        token = caller.token()
        assert caller.get("/file-keys", token).status == 200
        file = server.site.jwks_file("file")
        file.unlink() if damage == "gone" else file.write_text('{"keys":')
        eventually(lambda: server.log.matching(FAILED + ".*file.jwks.*; the keys known go on being used"))
        assert caller.get("/file-keys", token).status == 200
        assert caller.get("/file-keys").status == 200
        server.site.write_jwks("file", ["p256", "p256-new"])
        eventually(lambda: caller.get("/file-keys", key="p256-new").status == 200)


def test_many_requests_for_an_unknown_key_make_one_fetch_in_each_process(around, kind):
    with serving(kind, keys_world(), around) as server:
        server.log.announce(REFUSED)
        caller, key_server = Caller(server), server.site.key_server
        time.sleep(1.2)  # past the first fetch of each process, and past jwks-cooldown
        before = key_server.requests("/keys")
        key_server.serve("/keys", delayed(0.4, published(server, "p256")))
        with in_parallel(lambda: caller.get("/url-keys", header=UNKNOWN).status, 24) as statuses:
            pass
        assert statuses == [401] * 24
        # Under prefork new processes are among them, and each begins with a fetch.
        assert 1 <= key_server.requests("/keys") - before <= len(server.workers())


def test_cooldown_holds_back_further_fetches(around, kind):
    with serving(kind, keys_world(), around) as server:
        server.log.announce(REFUSED)
        caller, begun = Caller(server), time.monotonic()
        statuses = {caller.get("/url-keys", header=UNKNOWN).status for _ in range(30)}
        seconds = time.monotonic() - begun
        assert statuses == {401}
        # The first fetch of each process, and one for each second of cooldown.
        assert server.site.key_server.requests("/keys") <= len(server.workers()) * (2 + seconds)


def test_a_key_server_that_dies_under_load_harms_no_known_key(around, kind):
    with serving(kind, keys_world(jwks_refresh="1s"), around) as server:
        server.log.announce(FAILED)
        server.log.announce(UNAVAILABLE)
        caller = Caller(server)
        known = caller.headers()
        eventually(lambda: {caller.get("/url-keys").status for _ in range(8)} == {200})
        with Load(caller.address, caller.context, lambda ask: ask("GET", "/url-keys", known)) as load:
            server.site.key_server.stop()
            for _ in range(5):
                begun = time.monotonic()
                answer = caller.get("/url-keys", header=UNKNOWN)
                assert time.monotonic() - begun < 1.5  # key-wait is a second
                if answer.status == 401:  # a fetch succeeded less than a cooldown ago
                    server.log.announce(REFUSED)
                    continue
                assert answer.status == 503 and int(answer.all("Retry-After")[0]) >= 1
            time.sleep(1.2)  # past the cooldown of the last success: from here on it is 503
            assert caller.get("/url-keys", header=UNKNOWN).status == 503
            assert caller.get("/url-keys").status == 200  # a new token of a known key
        assert not load.failures and set(load.statuses) == {200}
        server.site.key_server.start()
        eventually(lambda: caller.get("/url-keys", header=UNKNOWN).status == 401, seconds=12)
        server.log.announce(REFUSED)


def test_a_reload_during_an_outage_keeps_the_known_keys(around, kind):
    with serving(kind, keys_world(), around) as server:
        server.log.announce(FAILED)
        caller = Caller(server)
        token = caller.token()
        assert {caller.get("/url-keys", token).status for _ in range(8)} == {200}
        server.site.key_server.stop()
        for _ in range(2):
            server.reload()
            assert {caller.get("/url-keys", token).status for _ in range(16)} == {200}
            assert caller.get("/url-keys").status == 200


def test_processes_born_during_an_outage_know_the_keys(around):
    """Prefork makes processes as requests come; each must know what the first ones fetched."""
    if HttpdPrefork not in chosen():
        pytest.skip("prefork is not among AUTH_BOUND_SERVERS")
    with serving(HttpdPrefork, keys_world(), around, processes=1) as server:
        server.log.announce(FAILED)
        caller = Caller(server)
        assert caller.get("/url-keys").status == 200
        before = set(server.workers())
        server.site.key_server.stop()
        connections = [caller.connect() for _ in range(6)]  # each keeps a process to itself
        for connection in connections:
            assert connection.request("GET", "/url-keys", caller.headers()).status == 200
            connection.close()
        assert len(set(server.workers()) - before) >= 3


def test_keys_that_nobody_confirms_are_used_no_more(around, kind):
    with serving(kind, keys_world(jwks_refresh="1s", jwks_stale="2s"), around) as server:
        for line in (FAILED, UNAVAILABLE, "AB2004 keys-stale"):
            server.log.announce(line)
        caller = Caller(server)
        token = caller.token()
        assert caller.get("/url-keys", token).status == 200
        server.site.key_server.serve("/keys", status(500))
        eventually(lambda: {caller.get("/url-keys", token).status for _ in range(4)} == {503})
        assert server.log.matching("AB2004 keys-stale")
        publish(server, "p256")
        eventually(lambda: caller.get("/url-keys", token).status == 200, seconds=12)


def test_the_first_token_waits_for_a_slow_key_server(around, kind):
    with serving(kind, keys_world(), around) as server:
        server.site.key_server.serve("/keys", delayed(0.4, published(server, "p256")))
        server.reload()
        assert Caller(server).get("/url-keys").status == 200


def test_waiting_requests_hold_up_no_others(around, kind):
    with serving(kind, keys_world(**SILENT), around) as server:
        server.log.announce(UNAVAILABLE)
        caller = Caller(server)
        slowest = 0.0
        with in_parallel(lambda: caller.get("/url-keys").status, 4) as statuses:
            time.sleep(0.1)
            for _ in range(20):
                begun = time.monotonic()
                assert caller.get("/file-keys").status == 200
                slowest = max(slowest, time.monotonic() - begun)
        assert statuses == [503] * 4
        assert slowest < 0.5  # they wait for a second


def test_clients_that_hang_up_while_they_wait_leave_nothing_behind(around, kind):
    with serving(kind, keys_world(**SILENT), around) as server:
        server.log.announce(UNAVAILABLE)
        caller = Caller(server)
        before = set(server.workers())
        for _ in range(10):
            connection = caller.connect()
            connection.send("GET", "/url-keys", caller.headers())
            time.sleep(0.02)
            connection.close()
        time.sleep(1.2)  # until their time is up
        assert caller.get("/file-keys").status == 200
        assert before <= set(server.workers())


def test_keys_that_are_not_used_are_reported(running, kind):
    line = "AB2003 key-skipped: .*main.jwks.*key {} is not used: "
    server = running.server(kind, "main")
    for name in UNUSABLE:
        eventually(lambda: server.log.matching(line.format(name)))


def test_a_thread_pool_that_is_full(around, nginx_kind):
    """One request waits and one may be in the queue; the others are told at once to come again."""
    words = {"thread-pool": "tiny", "key-wait": "3s"}
    world = dataclasses.replace(keys_world(**SILENT), set=keys_world().set | words)
    options = {"processes": 1, "main": "thread_pool tiny threads=1 max_queue=1;"}
    with serving(nginx_kind, world, around, **options) as server:
        server.log.announce(f"{UNAVAILABLE}|{FAILED}|{OVERLOADED}|thread pool .tiny. queue overflow")
        caller = Caller(server)
        with in_parallel(lambda: caller.get("/url-keys"), 5) as answers:
            eventually(lambda: len(server.log.matching(OVERLOADED)) >= 3)
            assert caller.get("/file-keys").status == 200
        assert [answer.status for answer in answers] == [503] * 5
        for answer in answers:
            assert answer.all("Content-Type") == ["application/json"]
            assert int(answer.all("Retry-After")[0]) > 0
        told = [answer.body for answer in answers if b"too many requests wait" in answer.body]
        assert len(told) == len(server.log.matching(OVERLOADED)) in (3, 4)
