"""A REST client that exchanges its credential, then calls an API on the very server that issued its
token: client and API find each other by the issuer's metadata alone."""

import subprocess
import sys

import pytest

from harness.table import TESTS

PROGRAM = TESTS / "applications" / "rest_client.py"
CREDENTIAL = "alices-credential"


@pytest.fixture
def server(running, kind):
    return running.server(kind, "rest_client")


def run(server, certificate: str, credential: str = CREDENTIAL, *pauses: str) -> list:
    """What the program prints, line by line."""
    issuer, pki = server.site.url("open"), server.site.around.pki
    own = pki.clients[certificate]
    words = [issuer, f"{issuer}/accounts", pki.ca.certificate, own.certificate, own.key, credential, *pauses]
    command = [sys.executable, PROGRAM, *words]
    made = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout.splitlines()


def test_the_loop_is_closed(server):
    assert run(server, "alice") == ["200 alice read"]


def test_a_token_that_has_expired_is_refreshed(server):
    server.log.announce("AB1113 token-expired")
    before = len(server.log.matching("AB4000 token-issued"))
    assert run(server, "alice", CREDENTIAL, "3") == ["200 alice read"] * 2
    assert len(server.log.matching("AB1113 token-expired")) == 1
    assert len(server.log.matching("AB4000 token-issued")) == before + 2


def test_a_stolen_credential(server):
    server.log.announce("AB4204 subject-certificate-mismatch")
    assert run(server, "bob") == ["no token: invalid_request"]


def test_a_wrong_credential(server):
    server.log.announce("AB4201 subject-token-refused")
    assert run(server, "alice", "made-up-credential") == ["no token: invalid_request"]
