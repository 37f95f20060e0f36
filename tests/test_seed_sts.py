"""cert_bound_sts_server's users, pointed at this server: the curl commands of its README, with JSON and
with a form, then the calls to its resource server. Where the answers differ: its 401 and 403 for a
subject token are RFC 8693's 400 here, and its 400 without a certificate is RFC 6750's 401."""

import json
import subprocess

import pytest

from harness.issued import verified
from harness.token_visit import published

PEOPLE = {"alice": "iamtheeggman", "bob": "iamthewalrus"}
ENCODINGS = pytest.mark.parametrize("encoding", ["json", "form"])
# As its README has them; empty members are what its Go structures become.
USUAL = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "resource": "https://backend.example.com/api",
    "audience": "https://backend.example.com",
    "scope": "https://www.googleapis.com/auth/cloud-platform",
    "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "actor_token": "",
    "actor_token_type": "",
}


@pytest.fixture
def server(running, kind):
    return running.server(kind, "seed_sts")


def curl(server, certificate: str, path: str, *options: str) -> tuple:
    """Status and body. The certificates are files, as in the README."""
    pki = server.site.around.pki
    own = pki.clients.get(certificate)
    files = ["--cert", own.certificate, "--key", own.key] if own else []
    command = ["curl", "--silent", "--show-error", "--cacert", pki.ca.certificate, *files]
    command += ["--write-out", "\n%{http_code} %header{cache-control}", server.site.url("open") + path]
    run = subprocess.run([*map(str, command), *options], capture_output=True, text=True, check=True)
    body, _, told = run.stdout.rpartition("\n")
    status, _, cache = told.partition(" ")
    assert path != "/token" or cache == "no-store"
    return int(status), body


def exchange(server, certificate: str, encoding: str, **members) -> tuple:
    """The status and the answer's members."""
    asked = {name: value for name, value in {**USUAL, **members}.items() if value is not None}
    if encoding == "json":
        options = ["--header", "Content-Type: application/json", "--data", json.dumps(asked)]
    else:
        options = [word for name, value in asked.items() for word in ("--data-urlencode", f"{name}={value}")]
    status, body = curl(server, certificate, "/token", *options)
    return status, json.loads(body)


def call(server, certificate: str, token: str | None) -> tuple:
    options = ["--header", f"Authorization: Bearer {token}"] if token else []
    return curl(server, certificate, "/resource", *options)


@ENCODINGS
@pytest.mark.parametrize("person", PEOPLE)
def test_everybody_gets_a_token_of_their_own(server, person, encoding):
    status, answer = exchange(server, person, encoding, subject_token=PEOPLE[person])
    assert status == 200
    assert {name: answer[name] for name in ("issued_token_type", "token_type", "expires_in")} == {
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 60,  # and unlike there, the token says so as well
    }
    token = verified(answer["access_token"], published(server))
    assert (token.header["alg"], token.header["kid"]) == ("RS256", "61c8b23ef9f935c0d98cf57bd4862c146e7b9fb7")
    assert (token.claims["iss"], token.claims["sub"]) == ("https://sts.domain.com", person)
    assert token.claims["exp"] - token.claims["iat"] == 60
    # Its servers write standard base64 with padding here; RFC 8705 does not.
    assert token.claims["cnf"] == {"x5t#S256": server.site.fill(f"{{x5t:{person}}}")}

    status, body = call(server, person, answer["access_token"])
    assert (status, seen_user(body)) == (200, person)


def seen_user(body: str) -> str:
    return dict(map(tuple, json.loads(body)["headers"]))["X-User"]


@ENCODINGS
def test_alices_credential_with_bobs_certificate(server, encoding):
    server.log.announce("AB4204 subject-certificate-mismatch")
    status, answer = exchange(server, "bob", encoding, subject_token="iamtheeggman")
    assert (status, answer["error"]) == (400, "invalid_request")  # there: 401
    assert "certificate" in answer["error_description"]


@ENCODINGS
def test_a_credential_that_nobody_has(server, encoding):
    server.log.announce("AB4202 subject-unknown")
    status, answer = exchange(server, "alice", encoding, subject_token="iamnobody")
    assert (status, answer["error"]) == (400, "invalid_request")  # there: 403


@ENCODINGS
@pytest.mark.parametrize("missing", ["grant_type", "subject_token", "subject_token_type"])
def test_a_parameter_that_is_missing(server, missing, encoding):
    server.log.announce("AB4009 parameter-missing")
    members = {"subject_token": "iamtheeggman", missing: None}
    status, answer = exchange(server, "alice", encoding, **members)
    assert (status, answer["error"]) == (400, "invalid_request")


@ENCODINGS
def test_a_token_type_that_nobody_knows(server, encoding):
    server.log.announce("AB4012 token-type-unsupported")
    kind = "urn:ietf:params:oauth:token-type:saml1"
    status, answer = exchange(server, "alice", encoding, subject_token="iamtheeggman", subject_token_type=kind)
    assert (status, answer["error"]) == (400, "invalid_request")


def test_no_certificate(server):
    """There the handshake fails."""
    server.log.announce("AB4203 subject-certificate-missing")
    status, answer = exchange(server, "nobody", "json", subject_token="iamtheeggman")
    assert (status, answer["error"]) == (400, "invalid_request")


def test_another_media_type(server):
    server.log.announce("AB4002 media-type-unsupported")
    options = ("--header", "Content-Type: text/plain", "--data", "x")
    assert curl(server, "alice", "/token", *options)[0] == 400


def test_the_resource_server(server):
    """Alice's token is hers alone."""
    token = exchange(server, "alice", "json", subject_token="iamtheeggman")[1]["access_token"]
    assert seen_user(call(server, "alice", token)[1]) == "alice"
    server.log.announce("AB1(001|1\\d\\d|2\\d\\d) ")
    signature = token.rpartition(".")[2]
    wrong = {
        ("bob", token): "AB1212",
        ("nobody", token): "AB1211",
        ("alice", None): "AB1001",
        ("alice", "nonsense"): "AB110",
        ("alice", token.replace(signature, signature[::-1])): "AB11",
    }
    for (certificate, presented), number in wrong.items():
        server.log.fresh()
        status, body = call(server, certificate, presented)
        assert status == 401 and "X-User" not in body
        assert any(number in line.text for line in server.log.await_line(number)), number
