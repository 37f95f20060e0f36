"""Memcheck: cookies opened and sealed, good and bad, in parts, behind redirects, error pages and
subrequests."""

from harness.cookie_client import CookieClient, seen
from harness.cookie_seal import Sealed
from harness.memcheck import checked, renew
from harness.world import World

LARGE = "large." * 1300
BAD = [
    {"age": 100_000}, {"age": -1000}, {"flipped": 240}, {"cut": 3}, {"secret": "retired"}, {"version": 2},
    {"type": 2}, {"tail": "00"}, {"kind": 9}, {"name": "T", "sent_as": "S"}, {"host": "other.test.example"},
    {"path": "/admin"}, {"bound": "certificate:bob"}, {"bound": "token-binding:p256"}, {"bound": "dpop:alice"},
    {"bound": "nothing", "policy": "preferred"}, {"parts": 4, "without": [2]}, {"parts": 4, "swapped": 1},
    {"parts": 3, "count": "100"},
]  # fmt: skip


def test_memory_of_cookies(around, memory_kind):
    with checked(memory_kind, World.read("cookies"), around, "cookies") as server:
        server.log.announce("AB31[0-9]{2} |AB160[12] |No such file or directory")
        (server.site.document_root / "page/page.txt").write_text('<!--#include virtual="/part" -->')
        everything(server)
        renew(server)
        everything(server)


def everything(server):
    for protocol in server.protocols:
        with CookieClient(server, protocol=protocol) as alice, CookieClient(server, "none", "p256", protocol) as bound:
            for client in (alice, bound):
                sets_and_uses(client)
            refused(alice)
            inside(alice)


def sets_and_uses(client: CookieClient):
    for value in ("small", LARGE, LARGE[:5000], "small"):
        client.ask("/required", sets=["a=1", f"S={value}; Path=/", "b=2"])
        assert f"S={value}" in "; ".join(seen(client.ask("/required")))
    client.ask("/required", sets=["S=; Path=/; Max-Age=0"])
    for path in ("/preferred", "/many", "/all", "/by-token-binding", "/by-certificate", "/either-way"):
        client.ask(path, sets=["S=v; Path=/", "__Host-id=v", "S~1=v", "app_x=v"])
        client.ask(path)
    client.jar.clear()


def refused(alice: CookieClient):
    around = alice.server.site.around
    for words in BAD:
        pairs = Sealed(**words).pairs(around)
        for path in ("/required", "/unauthorized", "/redirected", "/preferred", "/unauthorized-with-page"):
            alice.ask(path, cookies=[f"a=1; {pairs}; b=2"])
    for header in ("S", "S=; s=1", "%53=1;, S=2", "; ".join(f"S={number}" for number in range(2000))):
        alice.ask("/required", cookies=[header])


def inside(alice: CookieClient):
    """CGI programs are left out: memcheck's report of a process that becomes another is a torso."""
    alice.ask("/required", sets=["S=v; Path=/", "T=w; Path=/"])
    for path in ("/error-page/answers/500", "/error-page-protected/answers/500", "/error-page-to-another/answers/404",
                 "/rewritten", "/rewritten-to-another", "/page/page.txt", "/set-always", "/set-here",
                 "/set-with-file/nothing.txt", "/tried", "/asking", "/plain/page.txt"):  # fmt: skip
        alice.ask(path, sets=["S=v; Path=/", f"T={LARGE}; Path=/"])
    alice.ask("/accelerated", sets=["S=v; Path=/"], replies=[("X-Accel-Redirect", "/plain/page.txt")])
