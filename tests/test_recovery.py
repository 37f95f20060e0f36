"""The thread that fetches keys survives whatever a key server does to it."""

import dataclasses

from harness import keyserver
from harness.caller import Caller
from harness.servers import serving
from harness.waiting import eventually
from harness.world import Location, World


def hanging_up(request):
    request.close_connection = True


def half(request):
    """Ends before the length that it announced."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"keys":[')
    request.close_connection = True


def no_http(request):
    request.wfile.write(b"\x15\x03\x01\x00\x02\x02\x28" * 100)
    request.close_connection = True


def endless_head(request):
    request.send_response(200)
    for number in range(5000):
        request.send_header(f"X-{number}", "x" * 100)
    request.end_headers()
    request.close_connection = True


TEMPERS = {
    "garbage": keyserver.content("<html>503</html>"),
    "not UTF-8": lambda request: request.reply(200, b'{"keys":[{"kid":"\xff"}]}', {}),
    "an array": keyserver.content("[]"),
    "keys that are none": keyserver.content('{"keys":[1,null,"x"]}'),
    "nested deeply": keyserver.content("[" * 100_000),
    "an unknown encoding": lambda request: request.reply(200, b"\x1f\x8b\x08", {"Content-Encoding": "gzip"}),
    "a redirect to itself": keyserver.redirect("/keys"),
    "no content": keyserver.status(204),
    "hanging up": hanging_up,
    "half": half,
    "no HTTP": no_http,
    "an endless head": endless_head,
}


def test_garbage_of_every_kind_and_then_good_keys(around, memory_kind):
    """Each temper has a location, an issuer's URL and so a thread of its own."""
    world = World.read("keys")
    places = {f"/keys-{number}": behaviour for number, behaviour in enumerate(TEMPERS.values())}
    locations = [
        Location(place, set={"issuer": "https://issuer.example jwks-uri {key-server}" + place})
        for place in places
    ]
    fast = {"jwks-refresh": "1s", "jwks-cooldown": "1s", "jwks-timeout": "1s"}
    world = dataclasses.replace(
        world,
        location=world.location + locations,
        process=world.process | fast,
        endpoints={place: {"jwks": "published"} for place in ["/keys", *places]},
    )
    with serving(memory_kind, world, around) as server:
        server.log.announce("AB2002 refresh-failed: http://127\\.0\\.0\\.1:.*; the keys known go on being used")
        caller, key_server = Caller(server), server.site.key_server
        token = caller.token()
        statuses = lambda **recipe: {caller.get(place, **recipe).status for place in places}
        assert statuses(token=token) == {200}
        before = set(server.workers())
        asked = {place: key_server.requests(place) for place in places}
        for place, behaviour in places.items():
            key_server.serve(place, behaviour)
        eventually(lambda: all(key_server.requests(place) > asked[place] for place in places))
        assert statuses(token=token) == statuses() == {200}
        failures = lambda place: server.log.matching(f"AB2002 .*{place}(?!\\d)")
        eventually(lambda: all(map(failures, places)))
        server.log.announce("AB1501 keys-unavailable|AB1108 key-unknown")  # until the next fetch
        for place in places:
            key_server.serve(place, keyserver.document(server.site.around.keys.jwks("p256-new")))
        eventually(lambda: statuses(key="p256-new") == {200})
        eventually(lambda: statuses(token=token) == {401})
        assert before <= set(server.workers())
