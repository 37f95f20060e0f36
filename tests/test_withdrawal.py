"""An issuer that publishes no key any more has withdrawn them all, and is obeyed."""

import dataclasses
import re

import pytest

from harness.caller import Caller
from harness.keyserver import document
from harness.servers import serving
from harness.waiting import eventually
from harness.world import World

PLACES = ["/file-keys", "/url-keys"]
UNUSABLE = {"key": "p256", "use": "enc"}
WITHDRAWN = "AB2006 keys-withdrawn: .*{}: "


@pytest.fixture
def server(around, memory_kind):
    world = World.read("keys")
    fast = {"jwks-refresh": "1s", "jwks-cooldown": "1s", "jwks-timeout": "1s"}
    with serving(memory_kind, dataclasses.replace(world, process=world.process | fast), around) as server:
        server.log.announce("AB1108 key-unknown|AB2003 key-skipped|" + WITHDRAWN.format("(file\\.jwks|/keys)"))
        yield server


def publish(server, file: list, url: list):
    server.site.write_jwks("file", file)
    server.site.key_server.serve("/keys", document(server.site.jwks(url)))


def test_its_tokens_are_refused_also_after_a_restart(server):
    """A file without a usable key, a URL without any."""
    caller = Caller(server)
    token = caller.token()
    statuses = lambda: {caller.get(place, token).status for place in PLACES * 4}
    with caller.connect() as connection:
        ask = lambda place: connection.request("GET", place, caller.headers(token)).status
        assert [ask(place) for place in PLACES * 2] == [200] * 4
        publish(server, file=[UNUSABLE], url=[])
        eventually(lambda: [ask(place) for place in PLACES] == [401] * 2)  # cached here, and yet
    eventually(lambda: statuses() == {401})
    assert {caller.get(place).status for place in PLACES} == {401}  # not 503: nobody need try again
    for place in ("file\\.jwks", "/keys"):
        assert {line.level for line in server.log.lines() if re.search(WITHDRAWN.format(place), line.text)} == {"error"}
    server.log.announce("AB2002 refresh-failed|AB1501 keys-unavailable")
    server.site.key_server.stop()
    server.reload()
    # A process of the generation that ends may not have heard of it yet.
    eventually(lambda: {caller.get("/file-keys", token).status for _ in range(6)} == {401})
    eventually(lambda: {caller.get("/url-keys", token).status for _ in range(6)} <= {401, 503})


def test_new_keys_come_after_it(server):
    caller = Caller(server)
    token = caller.token()
    statuses = lambda **recipe: {caller.get(place, **recipe).status for place in PLACES * 4}
    assert statuses(token=token) == {200}
    publish(server, file=[], url=[UNUSABLE])
    eventually(lambda: statuses(token=token) == {401})
    publish(server, file=["p256-new"], url=["p256-new"])
    eventually(lambda: statuses(key="p256-new") == {200})
    eventually(lambda: statuses(token=token) == {401})


def test_the_other_issuers_keys_stay(server):
    caller = Caller(server)
    token = caller.token()
    publish(server, file=["p256"], url=[])
    eventually(lambda: caller.get("/url-keys", token).status == 401)
    assert caller.get("/file-keys", token).status == 200
