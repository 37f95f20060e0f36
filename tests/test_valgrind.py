"""Memcheck: start, mixed load, a reload and a stop, without an error or a leak of ours."""

import socket
import time

from harness.caller import Caller
from harness.keyserver import silence
from harness.load import Client
from harness.memcheck import checked
from harness.world import World

PAGE = "/page/page.txt"


def test_memory(around, memory_kind):
    with checked(memory_kind, World.read("keys"), around, "keys", generations=3) as server:
        server.log.announce("AB[12][0-9]{3} ")
        everything(server)
        server.reload()
        everything(server)
        server.site.key_server.serve("/keys", silence(60))
        server.reload()
        hang_up_while_waiting(server)


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
