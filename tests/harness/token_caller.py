"""A caller of the token endpoint, for tests that say what they do in Python."""

import contextlib
import dataclasses
import http.client
import json
import re
import ssl
import time

from .client import Connection, tls_context
from .token_request import Asked, make
from .world import World

WORLD = "token_exchange"
CAROL = {"subject_token": "carols-credential"}  # which is good with any certificate
_FORM = "application/x-www-form-urlencoded"


@contextlib.contextmanager
def watched(server):
    """The server, whose log must have nothing unannounced when the block is over."""
    complaints = server.log.unexpected(server.log.fresh())
    yield server
    time.sleep(0.05)
    complaints += server.log.unexpected(server.log.fresh())
    assert not complaints


def sound(server, **words):
    """A request that is granted, unless `words` change that."""
    return make(Asked(**words), server.site.mint)


def context_of(server, certificate: str = "alice", version=None) -> ssl.SSLContext:
    pki = server.site.around.pki
    return tls_context(pki.ca, pki.clients.get(certificate), version)


def connect(server, certificate: str = "alice", host: str = "open") -> Connection:
    return Connection(server.site.addresses[host], context_of(server, certificate))


def ask(connection: Connection, made):
    return connection.request(made.method, made.path, made.headers, made.body)


def said(server, number: str) -> int:
    """How many lines with this number the log has by now."""
    return len(server.log.matching(rf"\b{number} "))


def error(answer) -> tuple:
    return answer.status, json.loads(answer.body)["error"]


def head(made, *fields: str, version: str = "1.1") -> bytes:
    """A request's head as it is sent."""
    lines = [f"{made.method} {made.path} HTTP/{version}", "Host: localhost", f"Content-Type: {_FORM}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def response(connection: Connection) -> http.client.HTTPResponse:
    """The next one on this connection, an interim response included."""
    answer = http.client.HTTPResponse(connection.socket)
    answer.begin()
    return answer


def outages(**behaviours) -> World:
    """The world with issuers and a client whose keys are at the key server's paths of these names."""
    world = World.read(WORLD)
    issuers = [f"https://{name}.example jwks-uri {{key-server}}/{name}" for name in behaviours]
    changes = {
        "issuer": [*world.set["issuer"], *issuers],
        "sts-client": [*world.set["sts-client"], "remote private_key_jwt jwks-uri {key-server}/client"],
        "sts-rule": ["client=remote audience=https://api.example", *world.set["sts-rule"]],
        "key-wait": "1s",
    }
    return dataclasses.replace(
        world,
        endpoints={**{f"/{name}": words for name, words in behaviours.items()}, "/client": {"status": 500}},
        process={"jwks-timeout": "3s", "jwks-cooldown": "1s"},
        set=world.set | changes,
        announced=["AB2002 refresh-failed"],
    )


def of_issuer(name: str, **words) -> dict:
    return {"subject": {"claims": {"iss": f"https://{name}.example", **words}}}


def unavailable(answer):
    assert error(answer) == (503, "temporarily_unavailable"), answer
    assert re.fullmatch(r"[1-9]\d*", answer.all("Retry-After")[0])
    assert answer.all("Cache-Control") == ["no-store"] and b"eyJ" not in answer.body
