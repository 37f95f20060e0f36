"""Requests that the server itself refuses before any module has seen them: an error page may take
them to a backend, and what only we may say must not come along from the client.
"""

import contextlib
import json
import socket

import pytest

from harness.bound_client import BoundConnection

OURS = [
    "Sec-Token-Binding", "Sec-Provided-Token-Binding-ID", "Sec-Referred-Token-Binding-ID",
    "sec_other_token_binding_id", "Token-Binding-Context", "Sec-Token-Binding-Context",
    "BOUND_SUB", "Bound-Anything", "Client-Cert", "TB_SSL_CLIENT_CERT_FINGERPRINT",
]  # fmt: skip
FORGED = [(name, "forged") for name in OURS]
# The request line and headers of requests that are refused at once, on both servers.
WRONG = {
    "TRACE": ("TRACE /headers HTTP/1.1", [("Host", "localhost")]),
    "no host": ("GET /headers HTTP/1.1", []),
    "a host that is none": ("GET /headers HTTP/1.1", [("Host", "local/host")]),
    "no length": ("POST /headers HTTP/1.1", [("Host", "localhost"), ("Content-Length", "none")]),
    "a header too long": ("GET /headers HTTP/1.1", [("Host", "localhost"), ("X-Long", "x" * 9000)]),
}
# httpd's page does not get to the backend with what could not be read.
UNREAD_BY_HTTPD = {"no length", "a header too long"}
PROTOCOLS = pytest.mark.parametrize("protocol", ["h1", "h2"])


@pytest.fixture
def server(running, request):
    name = next(name for name in ("kind", "nginx_kind") if name in request.fixturenames)
    return running.server(request.getfixturevalue(name), "early_errors")


def wire(line: str, headers: list) -> bytes:
    """The forged headers stand first: the server may not read on behind the fault."""
    fields = [*FORGED, *headers, ("Connection", "close")]
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in fields), "", ""]).encode()


def answered(send, read, request: bytes) -> bytes:
    """All that comes until the server closes, which need not be in good order."""
    answer = b""
    with contextlib.suppress(OSError):
        send(request)
        while data := read(65536):
            answer += data
    return answer


def check(answer: bytes):
    """The backend has answered."""
    check_seen(json.loads(answer.partition(b"\r\n\r\n")[2]))


def check_seen(seen: dict):
    """The backend was told nothing by the client."""
    names = {name.lower() for name, _ in seen["headers"]}
    assert "forged" not in json.dumps(seen)
    assert not {name.lower() for name in OURS} & names


@pytest.mark.parametrize("offered", [True, False], ids=["negotiated", "not negotiated"])
@pytest.mark.parametrize("host", ["to-plain", "to-headers"])
@pytest.mark.parametrize("wrong", WRONG)
def test_an_error_page_strips(server, kind, wrong, host, offered):
    hello = {} if offered else {"token_binding": None}
    with BoundConnection(server, host, **hello) as connection:
        answer = answered(connection.tls.sendall, connection.tls.read, wire(*WRONG[wrong]))
    assert answer and b"forged" not in answer
    if not (kind.name.startswith("httpd") and wrong in UNREAD_BY_HTTPD):
        check(answer)


@pytest.mark.parametrize("wrong", WRONG)
def test_an_error_page_that_demands_token_binding_has_none(server, kind, wrong):
    before = server.site.around.backend.requests
    with BoundConnection(server, "to-required") as connection:
        answer = answered(connection.tls.sendall, connection.tls.read, wire(*WRONG[wrong]))
    assert answer and b"forged" not in answer
    assert server.site.around.backend.requests == before


@pytest.mark.parametrize("host", ["to-plain", "to-headers"])
def test_plain_http_where_tls_is_spoken(server, nginx_kind, host):
    """497, NGINX's own: it goes on without TLS."""
    port = server.site.addresses[host].port
    with socket.create_connection(("127.0.0.1", port), 15) as plain:
        request = wire("GET /headers HTTP/1.1", [("Host", "localhost")])
        check(answered(plain.sendall, plain.recv, request))


@PROTOCOLS
@pytest.mark.parametrize("path", ["/plain", "/headers"])
def test_an_error_page_at_the_address_asked_for(server, nginx_kind, protocol, path):
    """`=200 $uri`: whatever address the client wishes, and it is not even an error."""
    with BoundConnection(server, "to-what-was-asked-for", protocol, token_binding=None) as connection:
        answer = connection.request("TRACE", path, FORGED)
    assert answer.status == 200
    check_seen(json.loads(answer.body))


@PROTOCOLS
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_named_location_for_clients_without_a_certificate(server, nginx_kind, protocol, method):
    body = b"written" if method == "POST" else b""
    with BoundConnection(server, "to-a-named-location", protocol, token_binding=None) as connection:
        answer = connection.request(method, "/transfer", FORGED, body)
    assert answer.status == 200
    seen = json.loads(answer.body)
    check_seen(seen)
    assert (seen["method"], seen["path"], seen["body"]) == (method, "/transfer", body.decode())
