"""Our lines in .htaccess are refused, whatever is overridden, and leave nothing behind: httpd reads
the file anew for each request."""

import dataclasses
import re
from pathlib import Path

import pytest

from harness.caller import Caller
from harness.httpd import HttpdEvent
from harness.load import Client
from harness.servers import chosen, serving
from harness.waiting import in_parallel
from harness.world import Host, World

OVERRIDES = '''
<Directory "{document-root}/page">
  AllowOverride AuthConfig Limit
  AllowOverrideList BoundLeeway BoundIssuer
</Directory>
<Directory "{document-root}/url-page">
  AllowOverride Nonfatal=Override
</Directory>'''
PAGE = "/page/page.txt"
REFUSED = "\\.htaccess: .*{} (cannot occur|not allowed|is not allowed) "
LINES = [
    "Require bound-scope read",
    "Require not bound-scope read",
    "Require bound-claim groups staff",
    "Require bound-proof nonsense-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "<RequireAny>\nRequire bound-scope read\n</RequireAny>",
    "<Limit GET>\nRequire bound-scope read\n</Limit>",
    "BoundLeeway 10s",
    "BoundLeeway nonsense",
    "BoundIssuer https://issuer.example discover",
    "BoundJwksTimeout 1s",
    "BoundBearer on",
]


@pytest.fixture
def server(around, httpd_kind):
    yield from serve(around, httpd_kind)


@pytest.fixture
def one_process(around):
    """A server whose memory can be watched."""
    if HttpdEvent not in chosen():
        pytest.skip("httpd-event is not among AUTH_BOUND_SERVERS")
    yield from serve(around, HttpdEvent, processes=1)


def serve(around, kind, **options):
    world = World.read("keys")
    world = dataclasses.replace(world, httpd=OVERRIDES, hosts=world.hosts | {"clear": Host()})
    with serving(kind, world, around, **options) as server:
        server.log.announce("AB(1116|1201|1212) |AH02295: Bound\\w+ in .htaccess forbidden by AllowOverride")
        server.log.announce(REFUSED.format(""))
        yield server


def write(server, text: str, place: str = "page"):
    (server.site.document_root / place / ".htaccess").write_text(text + "\n")


def test_a_line_of_ours(server):
    caller = Caller(server)
    assert caller.get(PAGE).status == 200
    for line in LINES:
        write(server, line)
        server.log.fresh()
        assert caller.get(PAGE).status == 500, line
        name = re.search("Require|Bound\\w+", line.replace("<Require", ""))[0]
        said = [said.text for said in server.log.fresh() if ".htaccess: " in said.text]
        assert len(said) == 1 and name in said[0] and re.search(REFUSED.format(""), said[0]), said
    write(server, "Require valid-user")
    assert caller.get(PAGE).status == 200
    assert Caller(server, "bob").get(PAGE).status == 401


def test_a_line_of_ours_that_is_passed_over_changes_nothing(server):
    caller = Caller(server)
    for line in ("BoundBearer on", "BoundAudience any", "BoundIssuer https://mallory.example discover"):
        write(server, line, "url-page")
        assert caller.get("/url-page/page.txt").status == 200
        assert caller.get("/url-page/page.txt", claims_without=("cnf",)).status == 401
        assert caller.get("/url-page/page.txt", claims={"aud": "https://other.example"}).status == 401


def test_wrong_lines_read_by_many_at_once_are_each_reported_whole(server):
    lines = {f"Require bound-proof nonsense-{letter * 200}" for letter in "ABC"}
    client = Caller(server, host="clear")
    for line in lines:
        write(server, line)
        with in_parallel(lambda: [client.get(PAGE).status for _ in range(25)], 8) as statuses:
            pass
        assert statuses == [[500] * 25] * 8
    said = {line.text.partition(".htaccess: ")[2] for line in server.log.lines() if ".htaccess: " in line.text}
    assert len(said) == 1, said


@pytest.mark.parametrize(
    ("place", "line", "status"),
    [
        ("page", "Require bound-scope read\n" * 100, 500),
        ("page", "Require bound-proof nonsense\n" * 100, 500),
        ("page", "BoundLeeway 10s", 500),
        ("url-page", "BoundLeeway 10s", 401),
    ],
    ids=["a requirement", "a wrong requirement", "a directive", "a directive passed over"],
)
def test_memory_does_not_grow(one_process, place, line, status):
    server = one_process
    write(server, line, place)
    caller = Caller(server, host="clear")
    client = Client(caller.address, None)
    ask = lambda count: {client.request("GET", f"/{place}/page.txt").status for _ in range(count)}
    assert ask(400) == {status}
    (worker,) = workers_of(server)
    before = resident(worker)
    assert ask(1200) == {status}
    assert workers_of(server) == [worker]
    # What was kept came to 140 bytes for each requirement, and to 1,600 for each directive.
    assert resident(worker) - before < 900_000
    client.close()


def workers_of(server) -> list:
    """Without mod_cgid's daemon, which is httpd's child too and has one thread."""
    return [worker for worker in server.workers() if len(list(Path(f"/proc/{worker}/task").iterdir())) > 4]


def resident(process: int) -> int:
    """Bytes of memory."""
    return 4096 * int(Path(f"/proc/{process}/statm").read_text().split()[1])
