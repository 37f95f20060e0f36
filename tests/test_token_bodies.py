"""The token endpoint and its requests' bodies, as they come over the wire: in pieces, too large, slowly,
never to their end; and what becomes of the connection."""

import contextlib
import dataclasses
import json
import time

import pytest

from harness.bound_client import BoundConnection
from harness.caller import Caller
from harness.client import Connection
from harness.issued import verified
from harness.servers import serving
from harness.token_caller import (
    WORLD,
    ask,
    chunked,
    connect,
    error,
    head,
    response,
    said,
    sound,
    watched,
)
from harness.token_visit import exchange, issued, published, send
from harness.waiting import eventually
from harness.world import World


@pytest.fixture
def server(running, kind):
    with watched(running.server(kind, WORLD)) as server:
        yield server


@pytest.mark.parametrize("size", [1, 7, 100000], ids=["byte by byte", "in small chunks", "in one chunk"])
def test_a_chunked_body(server, size):
    made = sound(server)
    with connect(server) as connection:
        connection.socket.sendall(head(made, "Transfer-Encoding: chunked") + chunked(made.body, size))
        answer = response(connection)
        assert (answer.status, json.loads(answer.read())["token_type"]) == (200, "Bearer")


def test_a_body_in_very_many_chunks(server):
    """A chunk for each byte, as large as a body may be."""
    made = sound(server)
    body = made.body + b"&comment=" + b"x" * (65000 - len(made.body))
    with connect(server) as connection:
        began = time.monotonic()
        connection.socket.sendall(head(made, "Transfer-Encoding: chunked") + chunked(body, 1))
        assert response(connection).status == 200
        assert time.monotonic() - began < 5


def test_a_chunked_body_that_is_too_large(server):
    server.log.announce("AB4004 body-too-large")
    made = sound(server)
    body = made.body + b"&comment=" + b"x" * 70000
    before = said(server, "AB4004")
    with connect(server) as connection:
        connection.socket.sendall(head(made, "Transfer-Encoding: chunked") + chunked(body, 8192))
        answer = response(connection)
        assert (answer.status, json.loads(answer.read())["error"]) == (413, "invalid_request")
    eventually(lambda: said(server, "AB4004") == before + 1)


def test_a_body_that_is_too_large_is_refused_before_it_comes(server):
    server.log.announce("AB4004 body-too-large")
    made = sound(server)
    with connect(server) as connection:
        connection.socket.sendall(head(made, "Content-Length: 100000"))
        answer = response(connection)
        assert (answer.status, json.loads(answer.read())["error"]) == (413, "invalid_request")
        assert answer.getheader("Cache-Control") == "no-store"


def test_a_body_that_nobody_would_take(server):
    """Larger than sts-max-body can ever be. NGINX's client_max_body_size has its say before ours."""
    server.log.announce("AB4004 body-too-large|client intended to send too large body")
    made = sound(server)
    with connect(server) as connection:
        connection.socket.sendall(head(made, "Content-Length: 10000000000"))
        answer = response(connection)
        assert answer.status == 413
        assert server.name == "nginx" or json.loads(answer.read())["error"] == "invalid_request"


def test_a_body_that_is_too_large_in_a_stream(server, kind):
    """The stream ends, and the connection goes on."""
    if "h2" not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    server.log.announce("AB4004 body-too-large")
    identity = server.site.around.pki.clients["alice"]
    large = sound(server, at="/small/token", parameters={"comment": "x" * 15000})
    with BoundConnection(server, "open", "h2", identity=identity, token_binding=None) as connection:
        for _ in range(3):
            assert error(ask(connection, large)) == (413, "invalid_request")
            assert ask(connection, sound(server)).status == 200


def interim(connection: Connection) -> bytes:
    """The head of what comes next."""
    read = b""
    while not read.endswith(b"\r\n\r\n"):
        read += connection.socket.recv(1)
    return read


def test_a_client_that_asks_whether_to_go_on(server):
    made = sound(server)
    with connect(server) as connection:
        connection.socket.sendall(head(made, f"Content-Length: {len(made.body)}", "Expect: 100-continue"))
        assert interim(connection).startswith(b"HTTP/1.1 100 ")
        connection.socket.sendall(made.body)
        assert response(connection).status == 200


def test_a_client_that_asks_whether_to_go_on_with_too_much(server):
    """It is told no, and need not send anything."""
    server.log.announce("AB4004 body-too-large")
    made = sound(server)
    with connect(server) as connection:
        connection.socket.sendall(head(made, "Content-Length: 100000", "Expect: 100-continue"))
        assert interim(connection).startswith(b"HTTP/1.1 413 ")


REFUSED_BEFORE_ITS_BODY_COUNTS = {
    "another media type": ({"content_type": ["text/plain"]}, "AB4002"),
    "GET with a body": ({"method": "GET"}, "AB4001"),
    "a wrong secret": ({"authorization": ["Basic {basic:basic/wrong-secret}"]}, "AB4106"),
    "a parameter twice": ({"parameters": {"scope": ["read", "read"]}}, "AB4007"),
}


@pytest.mark.parametrize("name", REFUSED_BEFORE_ITS_BODY_COUNTS)
def test_the_connection_is_good_after_a_refusal(server, name):
    """The body is read to its end: the next request begins where it begins."""
    words, number = REFUSED_BEFORE_ITS_BODY_COUNTS[name]
    server.log.announce(number)
    words = {**words, "parameters": {"comment": "x" * 20000, **words.get("parameters", {})}}
    for _ in range(3):
        with connect(server) as connection:
            refused = ask(connection, sound(server, **words))
            assert refused.status >= 400
            # httpd closes the connection after any 400, and says so.
            assert connection.kept == (refused.status != 400 or server.name == "nginx")
            assert not connection.kept or ask(connection, sound(server)).status == 200


def test_the_connection_is_good_after_a_refusal_in_a_stream(server, kind):
    if "h2" not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    identity = server.site.around.pki.clients["alice"]
    with BoundConnection(server, "open", "h2", identity=identity, token_binding=None) as connection:
        for words, number in REFUSED_BEFORE_ITS_BODY_COUNTS.values():
            server.log.announce(number)
            words = {**words, "parameters": {"comment": "x" * 15000, **words.get("parameters", {})}}
            assert ask(connection, sound(server, **words)).status >= 400
            assert ask(connection, sound(server)).status == 200


def test_documents_and_tokens_on_one_connection(server):
    with connect(server) as connection:
        for _ in range(3):
            jwks = json.loads(connection.request("GET", "/jwks", body=b"x" * 5000).body)
            token = json.loads(ask(connection, sound(server)).body)["access_token"]
            assert verified(token, jwks).claims["sub"] == "alice"
            assert connection.request("GET", "/api", [("Authorization", f"Bearer {token}")]).status == 200
            assert connection.kept


def test_pipelined_requests(server):
    """Three requests in one piece: three answers, in order."""
    subjects = ["iamtheeggman", "carols-credential", "iamtheeggman"]
    bodies = [sound(server, parameters={"subject_token": one}) for one in subjects]
    wire = b"".join(head(made, f"Content-Length: {len(made.body)}") + made.body for made in bodies)
    jwks = published(server)
    with connect(server) as connection:
        connection.socket.sendall(wire)
        reader = connection.socket.makefile("rb")
        got = []
        for _ in subjects:
            fields = list(iter(reader.readline, b"\r\n"))
            length = next(int(line.split(b":")[1]) for line in fields if line.lower().startswith(b"content-length"))
            got.append(verified(json.loads(reader.read(length))["access_token"], jwks).claims["sub"])
    assert got == ["alice", "carol", "alice"]


def test_http_1_0(server):
    made = sound(server)
    with connect(server) as connection:
        connection.socket.sendall(head(made, f"Content-Length: {len(made.body)}", version="1.0") + made.body)
        assert response(connection).status == 200


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_an_error_page_takes_nothing_away(around, kind, protocol):
    """A client of a token endpoint reads JSON, whatever browsers are shown."""
    if protocol not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    world = World.read(WORLD)
    pages = {
        "httpd": "".join(f"ErrorDocument {status} /sorry\n" for status in (400, 401, 405, 413)),
        "nginx": "error_page 400 401 405 413 /sorry;",
    }
    hosts = {**world.hosts, "open": dataclasses.replace(world.hosts["open"], **pages)}
    with serving(kind, dataclasses.replace(world, hosts=hosts), around) as server:
        server.log.announce("AB4(001|004|009|106) ")
        ask = lambda **words: error(send(server, sound(server, **words), protocol=protocol))
        assert ask(without=["grant_type"]) == (400, "invalid_request")
        assert ask(authorization=["Basic {basic:basic/wrong-secret}"]) == (401, "invalid_client")
        assert ask(method="PUT") == (405, "invalid_request")
        assert ask(at="/small/token", parameters={"comment": "x" * 2000}) == (413, "invalid_request")


# --- Clients that are slow, or gone


def test_slow_bodies_keep_nobody_waiting(around, kind):
    """More clients that take their time than NGINX has workers; others are answered at once."""
    processes = {"processes": 1} if kind.name == "nginx" else {}
    with serving(kind, World.read(WORLD), around, **processes) as server, contextlib.ExitStack() as stack:
        made = sound(server)
        slow = [stack.enter_context(connect(server)) for _ in range(5)]
        for connection in slow:
            connection.socket.sendall(head(made, f"Content-Length: {len(made.body)}") + made.body[:5])
        for position in range(5, 15):
            for connection in slow:
                connection.socket.sendall(made.body[position : position + 1])
            began = time.monotonic()
            assert send(server, sound(server)).status == 200
            assert time.monotonic() - began < 2
        for connection in slow:
            connection.socket.sendall(made.body[15:])
            assert response(connection).status == 200


def test_clients_that_leave_in_the_middle_of_the_body(server):
    made, before = sound(server), said(server, "AB4000")
    for sent in (0, 1, len(made.body) // 2, len(made.body) - 1):
        for field in (f"Content-Length: {len(made.body)}", "Transfer-Encoding: chunked"):
            with connect(server) as connection:
                data = chunked(made.body, 50) if field.startswith("Transfer") else made.body
                connection.socket.sendall(head(made, field) + data[:sent])
    assert send(server, made).status == 200
    eventually(lambda: said(server, "AB4000") == before + 1)  # what came whole, and nothing else


def test_clients_that_fall_silent_in_the_middle_of_the_body(around, kind):
    """They are given up after the server's own time limit, and get nothing."""
    world = World.read(WORLD)
    limits = {"httpd": "Timeout 1", "nginx": "client_body_timeout 1s;"}
    hosts = {**world.hosts, "open": dataclasses.replace(world.hosts["open"], **limits)}
    with serving(kind, dataclasses.replace(world, hosts=hosts), around) as server, contextlib.ExitStack() as stack:
        made, workers = sound(server), set(server.workers())
        for field in (f"Content-Length: {len(made.body)}", "Transfer-Encoding: chunked"):
            silent = [stack.enter_context(connect(server)) for _ in range(3)]
            for connection in silent:
                data = chunked(made.body, 50) if field.startswith("Transfer") else made.body
                connection.socket.sendall(head(made, field) + data[:100])
            began = time.monotonic()
            for connection in silent:
                connection.socket.settimeout(8)
                assert b" 200 " not in connection.socket.recv(4096)
            assert time.monotonic() - began < 7
        assert send(server, made).status == 200
        assert said(server, "AB4000") == 1
        assert workers <= set(server.workers())


def test_a_client_that_leaves_before_the_answer(server):
    """The token is issued to nobody, and the server goes on."""
    made = sound(server)
    for _ in range(10):
        connection = connect(server)
        connection.socket.sendall(head(made, f"Content-Length: {len(made.body)}") + made.body)
        connection.close()
    assert send(server, made).status == 200


def test_no_body_lies_in_a_file(around, nginx_kind):
    """NGINX writes what does not fit into its buffer to a file; tokens and secrets never get there."""
    world = World.read(WORLD)
    world = dataclasses.replace(world, nginx=world.nginx + "client_body_in_file_only on; client_body_buffer_size 1k;")
    with serving(nginx_kind, world, around) as server:
        for encoding in ("form", "json"):
            answer = exchange(server, encoding=encoding, parameters={"comment": "x" * 50000})
            assert issued(server, answer).claims["sub"] == "alice"
        server.log.announce("AB4009 parameter-missing")
        answer = exchange(server, parameters={"comment": "x" * 50000}, without=["subject_token"])
        assert error(answer) == (400, "invalid_request")
        with Caller(server).connect() as connection:  # what is proxied does
            assert connection.request("POST", "/unprotected", body=b"x" * 50000).status == 200
        files = [file for file in (server.site.folder / "client_body").rglob("*") if file.is_file()]
        assert [file.stat().st_size for file in files] == [50000]
