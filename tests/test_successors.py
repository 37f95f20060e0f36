"""Processes that take over from others: they know the keys that those knew, whatever becomes of the
key server, and ask it at once, since a restart may be how an operator gets rid of a key."""

import dataclasses
import itertools
import os
import re
import signal
import time

import pytest

from harness.caller import Caller
from harness.keyserver import document, silence, status
from harness.load import Load
from harness.servers import serving
from harness.waiting import eventually
from harness.world import World

FAILED = "AB2002 refresh-failed"


@pytest.fixture
def server(around, kind):
    world = World.read("keys")
    # Whoever waited for keys would be noticed.
    world = dataclasses.replace(
        world, process=world.process | {"jwks-timeout": "20s"}, set=world.set | {"key-wait": "20s"}
    )
    with serving(kind, world, around) as server:
        server.log.announce(FAILED)
        # Each process has read the file; each is to have fetched from the URL too.
        eventually(lambda: said_by(server, "AB2001 .*/keys:") >= said_by(server, "AB2001 .*file.jwks:"))
        yield server


def said_by(server, pattern: str) -> set:
    """The processes that wrote such a line."""
    return {re.search("\\d+", text)[0] for text in server.log.matching(pattern)}


def begin(server, outage: str):
    if outage == "down":
        server.site.key_server.stop()
    else:
        server.site.key_server.serve("/keys", silence(30))


@pytest.mark.parametrize("outage", ["down", "silent"])
def test_a_restart_in_an_outage_under_load(server, outage):
    """Nobody with a known key waits for the key server, let alone fails."""
    caller = Caller(server)
    known = caller.headers()
    assert caller.get("/url-keys").status == 200
    begin(server, outage)
    with Load(caller.address, caller.context, lambda ask: ask("GET", "/url-keys", known)) as load:
        server.reload()
        for _ in range(8):
            begun = time.monotonic()
            assert caller.get("/url-keys").status == 200  # a token that no process has seen
            assert time.monotonic() - begun < 5
    assert not load.failures and set(load.statuses) == {200}


def test_a_process_that_replaces_a_lost_one_in_an_outage(server):
    caller = Caller(server)
    assert caller.get("/url-keys").status == 200
    server.log.announce("exited on signal 9")  # NGINX; httpd takes it for an order
    begin(server, "down")
    with caller.connect() as connection:
        connection.request("GET", "/page/page.txt", caller.headers())
        victim = server.worker_of(connection)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in server.workers())
    assert {caller.get("/url-keys").status for _ in range(16)} == {200}


def test_what_one_process_fetched_is_known_to_all(around, kind):
    """The key server answers once, to whichever process comes first, and then no more."""
    world = World.read("keys")
    world = dataclasses.replace(
        world,
        endpoints={"/keys": {"status": 500}},
        announced=[FAILED, "AB1501 keys-unavailable|AB1108 key-unknown"],
    )
    with serving(kind, world, around) as server:
        key_server, turn = server.site.key_server, itertools.count()
        answers = [document(around.keys.jwks("p256")), status(500)]
        key_server.serve("/keys", lambda request: answers[min(next(turn), 1)](request))
        caller = Caller(server)
        eventually(lambda: {caller.get("/url-keys").status for _ in range(24)} == {200}, 12)


def test_a_restart_fetches_at_once(server):
    """jwks-refresh is an hour here."""
    caller, key_server = Caller(server), server.site.key_server
    token = caller.token()
    assert caller.get("/url-keys", token).status == 200
    key_server.serve("/keys", document(server.site.around.keys.jwks("p256-new")))
    server.log.announce("AB1108 key-unknown")
    before = key_server.requests("/keys")
    server.reload()
    eventually(lambda: key_server.requests("/keys") > before, 2)  # though no request has come
    eventually(lambda: {caller.get("/url-keys", token).status for _ in range(8)} == {401}, 2)
    assert caller.get("/url-keys", key="p256-new").status == 200


def test_after_an_outage_and_restarts_the_new_keys_come(server):
    caller = Caller(server)
    assert caller.get("/url-keys").status == 200
    begin(server, "down")
    server.reload()
    server.reload()
    assert caller.get("/url-keys").status == 200
    key_server = server.site.key_server
    key_server.serve("/keys", document(server.site.around.keys.jwks("p256", "p256-new")))
    key_server.start()
    server.log.announce("AB1501 keys-unavailable|AB1108 key-unknown")  # until the pause is over
    eventually(lambda: caller.get("/url-keys", key="p256-new").status == 200, 12)
