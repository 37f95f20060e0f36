"""A certificate is believed only when its key has signed the handshake: whoever has a stolen token
and the victim's public certificate gets nowhere."""

import http.client
import json
import ssl
import time

import pytest

from harness import base64url
from harness.caller import Caller
from harness.client import Connection, Truncated, tls_context
from harness.forgery import forged
from harness.token_request import Asked, make
from harness.waiting import eventually

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLS 1.2", "TLS 1.3"])
BROKEN = (OSError, http.client.HTTPException, Truncated)
TOLD = ["BOUND_SUB", "BOUND_PROOF", "BOUND_CLIENT_CERTIFICATE_THUMBPRINT", "TB_SSL_CLIENT_CERT_FINGERPRINT"]
# What the servers say of such a handshake themselves; AH02039 would be a chain that does not verify.
THEIRS = "AH(02261|02042|10158|02263|02008)|SSL Library Error|SSL_do_handshake\\(\\) failed|SSL_read\\(\\) failed"


@pytest.fixture
def server(running, request):
    kind = request.getfixturevalue(next(name for name in ("kind", "httpd_kind") if name in request.fixturenames))
    server = running.server(kind, "forgery")
    server.log.announce("AB1211 certificate-missing")
    server.log.announce(THEIRS)
    return server


class Thief(Caller):
    """Has alice's token and certificate."""

    marks = 0

    def __init__(self, server, host, version):
        super().__init__(server, host=host, version=version)
        around = server.site.around
        stolen = forged(around.pki.clients["alice"], server.site.folder)
        self.context = tls_context(around.pki.ca, stolen, version)
        self.backend = around.backend
        self.log = server.access_log
        Thief.marks += 1
        self.mark = f"forgery-{Thief.marks}"

    def headers(self, *arguments, **recipe):
        return [("X-Scenario", self.mark), *super().headers(*arguments, **recipe)]

    def attempt(self, method, path, body=b""):
        """The answer, if there is one to be had."""
        try:
            with self.connect() as connection:
                return connection.request(method, path, self.headers(), body)
        except BROKEN:
            return None

    def logged(self) -> list:
        lines = [line for line in self.log.read_text().splitlines() if f'"{self.mark}"' in line]
        return [json.loads(line) for line in lines]


@VERSIONS
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/optional", "/demanded", "/own-error-page"])
def test_a_forged_certificate_in_the_middle_of_a_connection(server, httpd_kind, path, method, version):
    """Renegotiation with TLS 1.2, post-handshake authentication with TLS 1.3."""
    thief = Thief(server, "asking", version)
    before = thief.backend.requests
    answer = thief.attempt(method, path, b"written" if method == "POST" else b"")
    assert answer is None or answer.status in (401, 403)
    eventually(thief.logged)
    for line in thief.logged():
        assert [line[name] for name in TOLD] == ["-"] * len(TOLD), line
    assert thief.backend.requests == before


@VERSIONS
def test_a_forged_certificate_is_not_exported_where_nothing_is_protected(server, httpd_kind, version):
    """mod_ssl may let the request go on: then as one without a certificate."""
    thief = Thief(server, "asking", version)
    thief.attempt("GET", "/unprotected")
    eventually(thief.logged)
    assert [line[name] for line in thief.logged() for name in TOLD] == ["-"] * len(TOLD)


def test_a_request_right_behind_the_forged_certificate(server, httpd_kind):
    """It may be served from what had been read before the handshake failed."""
    thief = Thief(server, "asking", TLS_1_3)
    before = thief.backend.requests
    fields = "".join(f"{name}: {value}\r\n" for name, value in [("Host", "localhost"), *thief.headers()])
    both = "".join(f"GET {path} HTTP/1.1\r\n{fields}\r\n" for path in ("/optional", "/bound"))
    with thief.connect() as connection:
        connection.socket.sendall(both.encode())
        try:
            while connection.socket.recv(4096):
                pass
        except OSError:
            pass
    eventually(thief.logged)
    time.sleep(0.1)
    assert thief.backend.requests == before
    assert {line[name] for line in thief.logged() for name in TOLD} == {"-"}


@VERSIONS
@pytest.mark.parametrize("path", ["/optional", "/demanded"])
def test_an_honest_certificate_in_the_middle_of_a_connection(server, httpd_kind, path, version):
    caller = Caller(server, host="asking", version=version)
    with caller.connect() as connection:
        assert connection.request("GET", "/bound", caller.headers()).status == 401
        answer = connection.request("GET", path, caller.headers())
        assert answer.status == 200
        assert ["X-Env-BOUND_PROOF", "certificate"] in json.loads(answer.body)["headers"]


@VERSIONS
@pytest.mark.parametrize("host", ["open", "demanded"])
def test_a_forged_certificate_in_the_handshake(server, kind, host, version):
    thief = Thief(server, host, version)
    before = thief.backend.requests
    with pytest.raises(BROKEN):
        with Connection(thief.address, thief.context) as connection:
            connection.request("GET", "/bound", thief.headers())
    assert thief.backend.requests == before and not thief.logged()
    assert Caller(server, host=host, version=version).get("/bound").status == 200


# What a thief asks for: what is good with alice's certificate only, what will be bound to whatever
# certificate there is, and what is issued to whoever has it.
WANTED = [
    {"subject_token": "iamtheeggman"},
    {"subject_token": "carols-credential"},
    {"subject_token": "carols-credential", "client_id": "self"},
]


@VERSIONS
@pytest.mark.parametrize("parameters", WANTED, ids=["the credential", "the binding", "the client"])
def test_a_forged_certificate_gets_no_token(server, httpd_kind, parameters, version):
    """With the body already on its way when the server asks for the certificate."""
    server.log.announce("AB4(107|203|307) ")
    thief, before = Thief(server, "asking", version), len(server.log.matching("AB4000"))
    made = make(Asked(at="/token/asking", parameters=parameters), server.site.mint)
    try:
        with thief.connect() as connection:
            answer = connection.request(made.method, made.path, made.headers, made.body)
            assert answer.status in (400, 403) and b"eyJ" not in answer.body
    except BROKEN:
        pass  # the handshake failed
    time.sleep(0.1)
    assert len(server.log.matching("AB4000")) == before


@VERSIONS
def test_a_forged_certificate_in_the_handshake_gets_no_token(server, kind, version):
    thief, before = Thief(server, "open", version), len(server.log.matching("AB4000"))
    made = make(Asked(), server.site.mint)
    with pytest.raises(BROKEN):
        with Connection(thief.address, thief.context) as connection:
            connection.request(made.method, made.path, made.headers, made.body)
    assert len(server.log.matching("AB4000")) == before


@VERSIONS
@pytest.mark.parametrize("parameters", WANTED, ids=["the credential", "the binding", "the client"])
def test_an_honest_certificate_in_the_middle_of_a_connection_gets_its_token(server, httpd_kind, parameters, version):
    caller = Caller(server, host="asking", version=version)
    made = make(Asked(at="/token/asking", parameters=parameters), server.site.mint)
    with caller.connect() as connection:
        assert connection.request("GET", "/told/page.txt").status == 200
        answer = connection.request(made.method, made.path, made.headers, made.body)
    claims = json.loads(base64url.decode(json.loads(answer.body)["access_token"].split(".")[1]))
    assert claims["cnf"] == {"x5t#S256": server.site.fill("{x5t:alice}")}


@VERSIONS
@pytest.mark.parametrize("certificate", ["service", "outsider"])
def test_a_chain_that_is_verified_in_the_middle_of_a_connection(server, httpd_kind, certificate, version):
    """Whose authority nobody trusts is nobody's client, also where the session is resumed."""
    server.log.announce("AB410[78] ")
    server.log.announce("AH(02039|02276|10158|02261)")  # mod_ssl, of the chain
    caller, session = Caller(server, certificate, "asking", version), None
    parameters = {"subject_token": "carols-credential", "client_id": "named"}
    made = make(Asked(at="/token/asking", parameters=parameters), server.site.mint)
    for _ in range(3):
        with caller.connect(session) as connection:
            answer = connection.request(made.method, made.path, made.headers, made.body)
            assert answer.status == (200 if certificate == "service" else 400)
            session = connection.socket.session
