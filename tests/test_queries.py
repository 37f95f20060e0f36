"""The query of a key set's URL may hold a secret, and stays out of every log, whatever happens there."""

import dataclasses

from harness import keyserver
from harness.caller import Caller
from harness.servers import serving
from harness.waiting import eventually
from harness.world import Location, World

SECRET = "apikey-that-must-stay-out-of-logs"
LOUDEST = {"httpd": "trace8", "nginx": "debug"}
ENDPOINTS = {
    "good": {"jwks": "published"},
    "skipping": {"jwks": "partly"},
    "withdrawn": {"content": '{"keys":[]}'},
    "failing": {"status": 500},
    "garbage": {"content": "<html>"},
    "moved": {"redirect": "/elsewhere"},
    "silent": {"silence": 30},
    "large": {"size": 10_000_000},
}
# NGINX's debug log prints the heads of requests to backends, and of responses, line by line.
HEADS = r'^("|"GET .*|[A-Z][\w-]+: .*|HTTP/1\.1 .*)?$'
LINES = [
    "AB2001 .*/good",
    "AB2002 .*/failing",
    "AB2002 .*/good",
    "AB2003 .*/skipping",
    "AB2004 .*/good",
    "AB2006 .*/withdrawn",
]


def test_no_log_has_it(around, memory_kind):
    world = World.read("keys")
    urls = {name: f"{{key-server}}/{name}?key={SECRET}" for name in ENDPOINTS}
    urls |= {
        "closed": f"http://127.0.0.1:{{closed-port}}/?key={SECRET}",
        "untrusted": f"{{untrusted-key-server}}/good?key={SECRET}",
    }
    locations = [
        Location(f"/{name}", set={"issuer": f"https://issuer.example jwks-uri {url}"})
        for name, url in urls.items()
    ]
    world = dataclasses.replace(
        world,
        location=world.location + locations,
        jwks=world.jwks | {"partly": ["p256", {"key": "p256-other", "use": "enc"}]},
        endpoints={f"/{name}?key={SECRET}": kind for name, kind in ENDPOINTS.items()},
        process=world.process | {"jwks-refresh": "1s", "jwks-stale": "2s"},
        set=world.set | {"key-wait": "100ms"},
        announced=["AB[12][0-9]{3} "],
    )
    family = memory_kind.name.split("-")[0]
    with serving(memory_kind, world, around, log_level=LOUDEST[family]) as server:
        server.log.announce(HEADS)
        caller = Caller(server)
        eventually(lambda: caller.get("/good").status == 200)
        for name in urls:
            assert caller.get(f"/{name}").status in ((200,) if name in ("good", "skipping") else (401, 503))
        key_server = server.site.key_server
        key_server.serve(f"/good?key={SECRET}", keyserver.status(500))
        for line in LINES:
            eventually(lambda: server.log.matching(line), 8)
        server.reload()
        caller.get("/good")
        server.stop()
        texts = [line.text for line in server.log.lines() + server.console()]
        texts += server.access_log.read_text().splitlines()
        assert not [text for text in texts if SECRET in text]
