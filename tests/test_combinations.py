"""Sections in great number, and in every combination that requests can bring about."""

import dataclasses
import random
from pathlib import Path

import pytest

from harness.caller import Caller
from harness.httpd import HttpdEvent
from harness.load import Client
from harness.servers import chosen, serving
from harness.world import Host, World

HOSTS = 200
PATHS = 200
SECTIONS = 13
OTHER = "https://other-api.example"
IF = """
<If "%{{HTTP:X-Sections}} =~ /-{number}-/">
  BoundLeeway {number}s
  {more}
</If>"""


def test_many_hosts_inside_of_one_section(around, kind):
    """Each host has an audience of its own and is met by a section that the server has for all."""
    world = World.read("keys")
    name = lambda number: f"https://api-{number}.example"
    world = dataclasses.replace(
        world,
        set=world.set | {"bearer": "on"},
        hosts={f"host-{number}": Host(set={"audience": name(number)}) for number in range(HOSTS)},
        location=[location for location in world.location if location.path == "/file-keys"],
        httpd='<Location "/">\nBoundLeeway 10s\n</Location>',
        nginx="bound_leeway 10s;",
    )
    with serving(kind, world, around) as server:
        server.log.announce("AB1116 audience-mismatch")
        token = lambda number: {"claims": {"aud": name(number)}, "claims_without": ("cnf",)}
        ask = lambda host, number: Caller(server, host=f"host-{host}").get("/file-keys", **token(number)).status
        for number in [*range(0, HOSTS, 20), HOSTS - 1]:
            assert ask(number, number) == 200
            assert ask(number, (number + 1) % HOSTS) == 401


@pytest.fixture(scope="module")
def toggled(around):
    """A server whose sections requests switch on by a header."""
    if HttpdEvent not in chosen():
        pytest.skip("httpd-event is not among AUTH_BOUND_SERVERS")
    world = World.read("keys")
    last = lambda number: f"BoundAudience {OTHER}" if number == SECTIONS else ""
    world = dataclasses.replace(
        world,
        httpd="".join(IF.format(number=number, more=last(number)) for number in range(1, SECTIONS + 1)),
        process=world.process | {"token-cache-size": "64k"},
    )
    with serving(HttpdEvent, world, around, processes=1) as server:
        server.log.announce("AB1116 audience-mismatch")
        yield server


def test_random_combinations_of_sections(toggled):
    """Each combination has its own effect, also past those that are kept; memory does not grow
    without end."""
    caller = Caller(toggled)
    tokens = {False: caller.headers(), True: caller.headers(claims={"aud": OTHER})}
    client = Client(caller.address, caller.context)
    dice = random.Random(18)

    def ask(count):
        for _ in range(count):
            on = [number for number in range(1, SECTIONS + 1) if dice.random() < 0.5]
            sections = ("X-Sections", "-" + "-".join(map(str, on)) + "-")
            rightly = dice.random() < 0.9
            headers = tokens[(SECTIONS in on) == rightly]
            assert client.request("GET", "/page/page.txt", [sections, *headers]).status == (200 if rightly else 401)

    ask(10)
    with caller.connect() as connection:
        connection.request("GET", "/page/page.txt", tokens[False])
        worker = toggled.worker_of(connection)
    start = resident(worker)
    ask(5000)
    full = resident(worker)
    assert full - start < 20_000_000
    ask(1000)
    # Without a limit, that thousand would keep 1.4 megabytes.
    assert resident(worker) - full < 500_000
    client.close()


def resident(process: int) -> int:
    """Bytes of memory."""
    return 4096 * int(Path(f"/proc/{process}/statm").read_text().split()[1])
