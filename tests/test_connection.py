"""Possession belongs to the connection: renegotiation, post-handshake authentication, resumption,
and many streams over one connection."""

import contextlib
import socket
import ssl

import pytest

from harness.caller import Caller
from harness.client import tls_context
from harness.servers import serving
from harness.world import World

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
PAGE = "/page/page.txt"
MISSING, MISMATCH = "AB1211 certificate-missing", "AB1212 certificate-mismatch"


@pytest.fixture(scope="module")
def servers(around):
    """Servers that the tests of this module share, by kind."""
    with contextlib.ExitStack() as stack:
        open_servers = {}

        def server(kind):
            if kind not in open_servers:
                open_servers[kind] = stack.enter_context(serving(kind, World.read("keys"), around))
                open_servers[kind].log.announce(f"{MISSING}|{MISMATCH}")
            return open_servers[kind]

        yield server


def test_a_certificate_changed_by_renegotiation(servers, httpd_kind):
    """TLS 1.2: the server asks for a new handshake, and the client answers with another certificate."""
    server = servers(httpd_kind)
    alice = Caller(server, version=TLS_1_2)
    bob = Caller(server, "bob", version=TLS_1_2)
    token = alice.headers()
    with alice.connect() as connection:
        ask = lambda path: connection.request("GET", path, token).status
        assert ask(PAGE) == 200
        connection.socket.context = bob.context
        assert ask("/other-cipher") == 200
        assert ask(PAGE) == 401
        assert ask("/url-keys") == 401
        connection.socket.context = alice.context
    with bob.connect() as connection:
        ask = lambda path: connection.request("GET", path, token).status
        assert ask(PAGE) == 401
        connection.socket.context = alice.context
        assert ask("/other-cipher") == 200
        assert ask(PAGE) == 200


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["renegotiation", "post-handshake"])
@pytest.mark.parametrize(("client", "status"), [("alice", 200), ("bob", 401)])
def test_a_certificate_asked_for_by_one_location(servers, httpd_kind, version, client, status):
    """Per-location SSLVerifyClient: the certificate comes in the middle of the connection."""
    server = servers(httpd_kind)
    caller = Caller(server, client, host="asking", version=version)
    token = caller.headers()
    with caller.connect() as connection:
        ask = lambda path: connection.request("GET", path, token).status
        assert ask(PAGE) == 401  # not asked for here
        assert ask("/step-up") == status
        assert ask(PAGE) == status  # from now on the connection has it


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLS 1.2", "TLS 1.3"])
@pytest.mark.parametrize(("client", "status"), [("alice", 200), ("bob", 401)])
def test_a_resumed_connection_has_its_certificate(servers, kind, version, client, status):
    server = servers(kind)
    caller = Caller(server, client, version=version)
    token = caller.headers()
    with caller.connect() as connection:
        assert connection.request("GET", PAGE, token).status == status
        session = connection.socket.session
    with caller.connect(session) as connection:
        assert connection.socket.session_reused
        assert connection.request("GET", PAGE, token).status == status


def test_many_streams_over_one_connection(servers, kind):
    if "h2" not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    server = servers(kind)
    token = Caller(server).headers()
    assert Caller(server).http2().statuses(PAGE, token, 100) == [200] * 100
    assert Caller(server).http2().statuses("/file-keys", token, 50) == [200] * 50
    assert Caller(server, "bob").http2().statuses(PAGE, token, 50) == [401] * 50


def test_a_websocket_behind_a_protected_location(servers, kind):
    server = servers(kind)
    for client, answer in (("alice", b"HTTP/1.1 101 "), ("bob", b"HTTP/1.1 401 ")):
        caller = Caller(server, client)
        upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), *caller.headers()]
        with caller.connect() as connection:
            connection.send("GET", "/socket", upgrade)
            said = connection.socket.recv(4096)
            assert said.startswith(answer)
            if client == "alice":
                connection.socket.sendall(b"a frame")
                assert connection.socket.recv(4096) == b"a frame"


def test_plain_http_on_the_tls_port_is_turned_away(servers, kind):
    server = servers(kind)
    caller = Caller(server)
    with socket.create_connection(("127.0.0.1", caller.address.port), 5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n")
        assert b"400 Bad Request" in plain.recv(4096)
    assert caller.get(PAGE).status == 200


def test_clients_that_leave_during_the_handshake_leave_nothing_behind(servers, kind):
    server = servers(kind)
    caller = Caller(server)
    before = set(server.workers())
    for _ in range(10):
        socket.create_connection(("127.0.0.1", caller.address.port), 5).close()
    context = tls_context(server.site.around.pki.ca, None)
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing := ssl.MemoryBIO(), server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", caller.address.port), 5) as half:
            half.sendall(hello)
    assert caller.get(PAGE).status == 200
    assert before <= set(server.workers())
