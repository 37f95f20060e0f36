"""The token endpoint with signing keys in hardware (SoftHSM stands in for it): each process of a server signs in the
device, nobody else waits for it, and a device that is gone issues nothing."""

import itertools
import json
import select
import shutil
import ssl
import time
from pathlib import Path

import pytest

from harness.client import Connection, tls_context
from harness.hardware import LIBRARY, Library, Token
from harness.issued import thumbprint
from harness.servers import serving
from harness.token_request import Asked, make
from harness.token_visit import exchange, issued, published
from harness.waiting import eventually, in_parallel
from harness.world import Site, World

# What the endpoint signs with, by the name of its locations: the key, its type, the words behind the URI.
SIGNERS = {
    "ES256": ("p256", "EC:prime256v1", ""),
    "RS256": ("rsa", "rsa:2048", ""),
    "PS256": ("rsa", "rsa:2048", " alg=PS256 kid=named"),
    "EdDSA": ("ed25519", "EC:edwards25519", ""),
}
SLOWNESS = 1.0  # seconds for a signature of the slow token
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def token(around):
    return new_token(around)


def new_token(around) -> Token:
    """One that the servers' workers may use as well; the PIN is root's."""
    token = Token(around.folder / f"signing-{next(_NUMBERS)}", "sts")
    for name, key_type in {(name, key_type) for name, key_type, _ in SIGNERS.values()}:
        token.generate(name, key_type)
    give_to_workers(token)
    return token


def give_to_workers(token: Token):
    for path in (token.storage, *token.storage.rglob("*")):
        shutil.chown(path, "www-data", "www-data")


@pytest.fixture(scope="module")
def slow_library(around) -> Path:
    return Library(around.folder / "slow-device", SLOWNESS).path


def signing_key(token: Token, algorithm: str = "ES256", library: Path | str = LIBRARY, pin: Path | None = None) -> str:
    name, _, words = SIGNERS[algorithm]
    return f'"{token.uri(name, pin, library)}"{words}'


def endpoint(path: str, kind: str, keys=None) -> dict:
    return {
        "path": path,
        "protect": False,
        "served": "endpoint",
        "set": {"sts-signing-key": keys} if keys else {},
        "httpd": f"SetHandler bound-{kind}",
        "nginx": f"bound_{kind.replace('-', '_')} on;",
    }


def world(keys, *locations: dict) -> World:
    """The endpoint at /token, its keys at /jwks, and a page that has nothing to do with it."""
    return World.parse(
        {
            "realm": "test",
            "hosts": {"open": {"certificates": "optional_no_ca"}},
            "location": [
                *locations,
                endpoint("/token", "token-exchange"),
                endpoint("/jwks", "sts-jwks"),
                {"path": "/page", "protect": False},
            ],
            "set": {
                "sts-issuer": "https://as.example",
                "sts-signing-key": keys,
                "sts-credentials": "{folder}/credentials.secret",
                "sts-client": "cli none",
                "sts-default-client": "cli",
                "sts-rule": "audience=https://api.example refresh=1h",
            },
            "files": {"credentials.secret": "{sha256:iamtheeggman} alice {x5t:alice}\n"},
        }
    )


def connect(server) -> Connection:
    """With TLS 1.2, where nothing comes by itself after the handshake (no session tickets)."""
    pki = server.site.around.pki
    context = tls_context(pki.ca, pki.clients["alice"], ssl.TLSVersion.TLSv1_2)
    return Connection(server.site.addresses["open"], context)


def test_every_process_signs_in_the_device(kind, around, token):
    """With every kind of key, many at once, and in the processes of the next configuration too."""
    locations = []
    for name in SIGNERS:
        locations += [
            endpoint(f"/token/{name}", "token-exchange", signing_key(token, name)),
            endpoint(f"/jwks/{name}", "sts-jwks", signing_key(token, name)),
        ]
    keys = [signing_key(token), "{signing-key:p256-before} kid=before"]
    with serving(kind, world(keys, *locations), around, environment=token.environment) as server:
        for _ in range(2):
            first, before = published(server)["keys"]
            assert (first["kid"], before["kid"]) == (thumbprint(first), "before")
            with in_parallel(lambda: exchange(server), 24) as answers:
                pass
            assert {issued(server, answer).header["kid"] for answer in answers} == {first["kid"]}
            for name in SIGNERS:
                header = issued(server, exchange(server, at=f"/token/{name}"), f"/jwks/{name}").header
                assert header["alg"] == name
            server.reload()
        refresh = json.loads(answers[0].body)["refresh_token"]
        known, request = {"{refresh}": refresh}, {"grant_type": "refresh_token", "refresh_token": "{refresh}"}
        without = ("subject_token", "subject_token_type", "audience")
        again = exchange(server, known, parameters=request, without=without)
        assert issued(server, again).header["kid"] == first["kid"]
        assert len(server.log.matching("AB4000 token-issued")) == 2 * (24 + len(SIGNERS)) + 1


def test_nobody_waits_for_the_device_but_who_wants_a_token(kind, around, token, slow_library):
    keys = signing_key(token, library=slow_library)
    options = {"environment": token.environment} | ({"processes": 1} if kind.name == "nginx" else {})
    with serving(kind, world(keys), around, **options) as server:
        asked = make(Asked(), server.site.mint)
        with connect(server) as waiting, connect(server) as other:
            head = [f"{asked.method} {asked.path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(asked.body)}"]
            head += [f"{name}: {value}" for name, value in asked.headers]
            waiting.socket.sendall("\r\n".join([*head, "", ""]).encode() + asked.body)
            time.sleep(SLOWNESS / 4)
            assert other.request("GET", "/page").status == 200
            assert not waiting.socket.pending() and not select.select([waiting.socket], [], [], 0)[0]
            assert waiting.socket.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_device_that_is_gone_issues_nothing_until_it_is_back(kind, around):
    token = new_token(around)
    drawer = token.storage.with_name("drawer")
    with serving(kind, world(signing_key(token)), around, environment=token.environment) as server:
        server.log.announce("AB4904 signing-failed: .*the PKCS#11 library shows no token to this user")
        token.storage.rename(drawer)
        token.storage.mkdir()
        answer = exchange(server)
        assert (answer.status, json.loads(answer.body)["error"]) == (500, "server_error")
        assert server.log.await_line("AB4904 signing-failed")
        token.storage.rmdir()
        drawer.rename(token.storage)
        assert issued(server, exchange(server)).claims["sub"] == "alice"


def test_a_pin_is_not_tried_again_once_it_was_refused(kind, around):
    """A device locks itself after a few tries: all processes together have one, and so has a configuration test."""
    token, library = new_token(around), Library(around.folder / f"counting-{next(_NUMBERS)}")
    words = [signing_key(token, name, library.path) for name in ("ES256", "RS256")]
    locations = [endpoint("/token/rsa", "token-exchange", words[1])]
    with serving(kind, world(words[0], *locations), around, environment=token.environment, processes=4) as server:
        token.change_pin("000000")
        give_to_workers(token)
        assert server.check().returncode != 0
        assert library.refusals() == 1
        server.log.announce("AB4904 signing-failed: .*the token refuses the PIN of pin-source")
        with in_parallel(lambda: exchange(server), 12) as answers:
            with in_parallel(lambda: exchange(server, at="/token/rsa"), 12) as others:
                pass
        assert {answer.status for answer in answers + others} == {500}
        assert library.refusals() == 2
        token.change_pin(login="000000")
        give_to_workers(token)
        assert exchange(server).status == 500
        server.reload()
        eventually(lambda: exchange(server).status == 200)
        assert library.refusals() == 2


@pytest.mark.parametrize(
    "wrong, told",
    [
        ({"pin": "000000"}, "the token refuses the PIN of pin-source"),
        ({"pin": ""}, "no PIN in it"),
        ({"library": "/nowhere/pkcs11.so"}, "the PKCS#11 library cannot be loaded: /nowhere/pkcs11.so"),
        ({"algorithm": "ES384"}, "the key cannot sign with ES384"),
    ],
    ids=["wrong PIN", "no PIN", "no library", "another algorithm"],
)
def test_a_server_does_not_start_with_a_key_that_cannot_sign(kind, around, token, tmp_path, wrong, told):
    pin = None
    if "pin" in wrong:
        pin = tmp_path / "pin"
        pin.touch(0o600)
        pin.write_text(wrong["pin"])
    key = signing_key(token, library=wrong.get("library", LIBRARY), pin=pin)
    key += f" alg={wrong['algorithm']}" if "algorithm" in wrong else ""
    site = Site(world(key), around, kind.name)
    try:
        checked = kind(site, environment=token.environment).check()
        said = checked.stdout + checked.stderr
        assert checked.returncode != 0 and told in said, said
        assert "000000" not in said and "294751" not in said
    finally:
        site.close()
