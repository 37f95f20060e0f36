"""Memcheck: start, mixed load, a reload and a stop, without an error or a leak of ours."""

import socket
import time
import xml.etree.ElementTree as ElementTree

from harness.caller import Caller
from harness.keyserver import silence
from harness.load import Client
from harness.servers import serving
from harness.world import World

MEMCHECK = ["valgrind", "--tool=memcheck", "--leak-check=full", "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite", "--keep-debuginfo=yes", "--num-callers=40", "--xml=yes",
            "--child-silent-after-fork=no"]  # fmt: skip
PAGE = "/page/page.txt"

# What is made once in a process and kept until its end: two statics of libraries, the curve of Token
# Binding, and the process object itself, which threads may still use. NGINX unloads the module and
# frees its configuration before memcheck looks, which then finds the one block without what pointed
# to it.
KEPT = {"arc_swap::debt::list::Node::get", "add_headers", "openssl::ec::EcGroup::from_curve_name"}


def test_memory(around, memory_kind):
    kind = memory_kind
    reports = around.folder / f"memcheck-{kind.name}"
    reports.mkdir()
    reports.chmod(0o777)
    wrapper = [*MEMCHECK, f"--xml-file={reports}/%p.xml"]
    options = {"wrapper": wrapper, "patience": 10, "processes": 1}
    with serving(kind, World.read("keys"), around, **options) as server:
        server.log.announce("AB[12][0-9]{3} ")
        everything(server)
        server.reload()
        everything(server)
        server.site.key_server.serve("/keys", silence(60))
        server.reload()
        hang_up_while_waiting(server)
        assert server.stop() == 0
    ours = [error for file in reports.iterdir() for error in errors_of_ours(file, kind)]
    assert len(list(reports.iterdir())) >= 4  # the parent, and a worker of each generation
    assert not ours, "\n\n".join(ours)


def everything(server):
    """Grants and refusals of every kind, over every protocol."""
    caller = Caller(server)
    recipes = [
        {},
        {"alg": "RS256"},
        {"claims": {"exp": 0}},
        {"signature": "flipped"},
        {"header": {"kid": "nobody"}},
        {"alg": "none", "signature": "empty"},
        {"claims_without": ("cnf",)},
        {"filler": 20000},
        {"header_json": {"deep": "{nested:5000}"}},
        {"raw": "opaque"},
    ]
    client = Client(caller.address, caller.context)
    for recipe in recipes:
        headers = caller.headers(**recipe)
        for path in (PAGE, "/url-keys"):
            client.request("GET", path, headers)
    assert client.request("GET", PAGE, caller.headers()).status == 200
    assert client.request("GET", PAGE, caller.headers() * 2).status == 400
    assert client.request("GET", PAGE).status == 401
    client.close()
    with Caller(server, "bob").connect() as connection:
        assert connection.request("GET", PAGE, caller.headers()).status == 401
    with Caller(server, "none").connect() as connection:
        assert connection.request("GET", PAGE, caller.headers()).status == 401
    if "h2" in server.protocols:
        assert caller.http2().statuses(PAGE, caller.headers(), 20) == [200] * 20
        refused = caller.http2().request("POST", PAGE, [("Content-Type", "application/grpc")])
        assert refused.all("grpc-status") == ["16"]
    with socket.create_connection(("127.0.0.1", caller.address.port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        plain.recv(4096)


def hang_up_while_waiting(server):
    caller = Caller(server)
    for _ in range(5):
        with caller.connect() as connection:
            connection.send("GET", "/url-keys", caller.headers())
            time.sleep(0.1)
    time.sleep(1.5)  # past key-wait
    assert caller.get(PAGE).status == 200


def errors_of_ours(report, kind) -> list:
    """Memcheck's errors with our module on the stack."""
    name = kind.artifact().name
    root = ElementTree.parse(report).getroot()
    found = []
    for error in root.iter("error"):
        frames = list(error.iter("frame"))
        what = error.findtext("what") or error.findtext("xwhat/text")
        stack = [frame.findtext("fn") or frame.findtext("obj") or "?" for frame in frames]
        ours = any(name in (frame.findtext("obj") or "") for frame in frames)
        kept = " in 1 blocks are definitely lost" in what and KEPT & set(stack)
        if ours and not kept:
            found.append("\n  ".join([f"{report.name}: {what}", *stack]))
    return found
