"""The cache of verified tokens is bounded, and full it goes on working."""

import dataclasses
from pathlib import Path

from harness.caller import Caller
from harness.servers import serving
from harness.world import World

PAGE = "/page/page.txt"


def test_more_tokens_than_the_cache_holds(around, kind):
    world = World.read("keys")
    world = dataclasses.replace(world, process=world.process | {"token-cache-size": "64k"})
    with serving(kind, world, around) as server:
        caller = Caller(server)
        first = caller.headers()
        with caller.connect() as connection:
            ask = lambda headers: connection.request("GET", PAGE, headers).status
            distinct = lambda count: {ask(caller.headers()) for _ in range(count)}
            assert ask(first) == 200 and distinct(500) == {200}
            worker = server.worker_of(connection)
            before = resident(worker)
            assert distinct(2000) == {200} and ask(first) == 200
            # 2000 tokens of half a kilobyte and their claims are several megabytes.
            assert resident(worker) - before < 2_000_000


def resident(process: int) -> int:
    """Bytes of memory."""
    return 4096 * int(Path(f"/proc/{process}/statm").read_text().split()[1])
