"""Clients whose TLS key is in a device (SoftHSM stands in for it): curl and OpenSSL sign the handshake there over
PKCS #11, a token is issued bound to the certificate, and is worth nothing without the device."""

import hashlib
import json

import pytest
from cryptography.hazmat.primitives import serialization

from harness import base64url
from harness.hardware import Device
from harness.servers import serving
from harness.token import AUDIENCE, ISSUER, Recipe
from harness.world import World

CREDENTIAL = "kept-by-alice-and-nobody-else"
EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "subject_token": CREDENTIAL,
    "audience": AUDIENCE,
}
ISSUED = "AB4000 token-issued"
TLS_1_2 = ("--tls-max", "1.2")


@pytest.fixture(scope="module")
def alice(tmp_path_factory):
    return Device(tmp_path_factory.mktemp("devices") / "alice", "alice", "EC:prime256v1")


@pytest.fixture(scope="module")
def bob(tmp_path_factory):
    return Device(tmp_path_factory.mktemp("devices") / "bob", "bob", "rsa:2048")


@pytest.fixture
def server(kind, around, alice):
    with serving(kind, world(around, alice), around) as server:
        yield server


def world(around, alice: Device) -> World:
    key = around.keys["p256"].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    credential = hashlib.sha256(CREDENTIAL.encode()).hexdigest()
    return World.parse(
        {
            "realm": "test",
            "hosts": {"open": {"certificates": "optional_no_ca"}},
            "location": [
                {"path": "/bound", "set": {"export-header": "BOUND_SUB X-User"}},
                {
                    "path": "/token",
                    "protect": False,
                    "served": "token endpoint",
                    "httpd": "SetHandler bound-token-exchange",
                    "nginx": "bound_token_exchange on;",
                },
            ],
            "set": {
                "issuer": f"{ISSUER} jwks-file {{jwks:main}}",
                "audience": AUDIENCE,
                "sts-issuer": ISSUER,
                "sts-signing-key": "{folder}/sts.secret kid=p256",
                "sts-credentials": "{folder}/credentials.secret",
                "sts-client": "cli none",
                "sts-default-client": "cli",
                "sts-rule": f"audience={AUDIENCE} scope=read",
            },
            "jwks": {"main": ["p256"]},
            "files": {
                "sts.secret": key.decode(),
                "credentials.secret": f"{credential} alice {alice.thumbprint}\n",
            },
        }
    )


def token_for(server, device: Device) -> str:
    """One that somebody else has issued, bound to the device's certificate."""
    return server.site.mint.token(Recipe(claims={"cnf": {"x5t#S256": device.thumbprint}}))


def place(server) -> tuple:
    return server.site.around.pki.ca, server.site.addresses["open"]


def call(server, device: Device, token: str, *words, **client):
    """The API, called by curl: the status and the body."""
    told = ("--header", f"Authorization: Bearer {token}", "--write-out", "\n%{http_code}")
    result = device.curl(*place(server), "/bound", *told, *words, **client)
    assert result.status == 0, result
    body, _, status = result.output.rpartition("\n")
    return int(status), json.loads(body)


@pytest.mark.parametrize("version", [(), TLS_1_2], ids=["TLS 1.3", "TLS 1.2"])
def test_the_device_is_the_way_in(server, alice, bob, version):
    """With an elliptic key and an RSA key, in both versions of TLS."""
    server.log.announce("AB1212 certificate-mismatch")
    for owner, other in ((alice, bob), (bob, alice)):
        token = token_for(server, owner)
        status, seen = call(server, owner, token, *version)
        assert (status, dict(seen["headers"])["X-User"]) == (200, "alice")
        status, refused = call(server, other, token, *version)
        assert (status, refused["error"]) == (401, "invalid_token")
        assert server.log.await_line("AB1212 certificate-mismatch")


def test_a_token_is_issued_to_the_device_and_to_no_other(server, alice, bob):
    form = [word for item in EXCHANGE.items() for word in ("--data-urlencode", "=".join(item))]
    result = alice.curl(*place(server), "/token", *form)
    issued = json.loads(result.output)
    assert "access_token" in issued, result
    claims = json.loads(base64url.decode(issued["access_token"].split(".")[1]))
    assert claims["cnf"] == {"x5t#S256": alice.thumbprint}
    assert server.log.await_line(ISSUED)
    status, seen = call(server, alice, issued["access_token"])
    assert (status, dict(seen["headers"])["X-User"]) == (200, "alice")
    server.log.announce("AB1212 certificate-mismatch|AB4204 subject-certificate-mismatch")
    assert call(server, bob, issued["access_token"])[0] == 401
    refused = json.loads(bob.curl(*place(server), "/token", *form).output)
    assert refused["error"] == "invalid_request"
    assert not server.log.matching(CREDENTIAL)


def test_openssl_signs_with_the_device_too(server, alice, bob):
    server.log.announce("AB1212 certificate-mismatch")
    token = token_for(server, alice)
    request = f"GET /bound HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    for device, status in ((alice, "200"), (bob, "401")):
        result = device.s_client(*place(server), request)
        assert result.output.startswith(f"HTTP/1.1 {status} "), result


def test_what_can_be_stolen_without_the_device_is_worthless(server, around, alice, bob, tmp_path):
    """The certificate and the token are there to be copied; the key is not, and the PIN guards it."""
    token = token_for(server, alice)
    assert b"PRIVATE KEY" not in alice.files()
    assert "always sensitive, never extractable" in alice.tool("--list-objects", "--type", "privkey")
    # The thief's own key does not fit the certificate, wherever it is.
    header = ("--header", f"Authorization: Bearer {token}")
    for key in (around.pki.clients["bob"].key, bob.key):
        device = bob if key == bob.key else alice
        result = device.curl(*place(server), "/bound", *header, certificate=alice.certificate, key=key)
        assert result.status == 58 and not result.output, result
    wrong = tmp_path / "pin"
    wrong.write_text("000000")
    result = alice.curl(*place(server), "/bound", *header, key=alice.uri("tls", wrong))
    assert result.status != 0 and not result.output, result
