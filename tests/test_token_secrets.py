"""No log, at any level, has a credential, a secret, an assertion, an issued token or a signing key in it,
whether a token request is granted, refused or never finished."""

import dataclasses
import itertools
import json

import pytest

from harness.caller import Caller
from harness.errorlog import Line
from harness.servers import serving
from harness.token_request import Asked, make
from harness.token_visit import send
from harness.world import World
from test_secrets import LOUDEST, RESPONSE_HEAD, THEIR_OWN

WORLD = "token_exchange"
# Requests of every kind, granted and refused, as members of `Asked`.
REQUESTS = [
    {},
    {"certificate": "bob"},
    {"parameters": {"subject_token": "carols-credential", "audience": "https://unknown.example"}},
    {"parameters": {"subject_token": "a-credential-of-nobody"}},
    {"parameters": {"subject_token": ["iamtheeggman", "carols-credential"]}},
    {"subject": {}},
    {"subject": {}, "actor": {}},
    {"subject": {"claims": {"exp": "{now-60}"}}},
    {"subject": {"claims": {"iss": "https://unknown.example"}}},
    {"subject": {"signature": "flipped"}, "certificate": "bob"},
    {"subject": {"filler": 30000}},
    {"assertion": {}},
    {"assertion": {"claims": {"aud": "https://other.example"}}},
    {"authorization": ["Basic {basic:basic/the-secret-of-basic}"]},
    {"authorization": ["Basic {basic:basic/a-wrong-secret}"]},
    {"authorization": ["Bearer the-secret-of-basic"]},
    {"parameters": {"client_id": "post", "client_secret": "the-secret-of-post"}},
    {"parameters": {"client_id": "post", "client_secret": "another-wrong-secret"}},
    # Where secrets are when a client gets it wrong: in other parameters, names, headers, halves.
    {"subject": {}, "parameters": {"grant_type": "{subject}"}},
    {"subject": {}, "parameters": {"subject_token_type": "{subject}", "client_id": "{subject}"}},
    {"subject": {}, "parameters": {"client_id": "{subject}"}},
    {"subject": {}, "parameters": {"audience": "{subject}"}},
    {"subject": {}, "parameters": {"resource": "{subject}"}},
    {"subject": {}, "parameters": {"scope": "{subject}"}},
    # A credential, and a secret, are texts like any other.
    {"parameters": {"grant_type": "carols-credential"}},
    {"parameters": {"subject_token_type": "carols-credential"}},
    {"parameters": {"subject_token_type": "urn:carols-credential"}},
    {"parameters": {"client_id": "carols-credential"}},
    {"parameters": {"audience": "carols-credential"}},
    {"parameters": {"resource": "carols-credential"}},
    {"parameters": {"scope": "read carols-credential"}},
    {"parameters": {"subject_token": "a-credential-of-nobody", "audience": "a-credential-of-nobody"}},
    {"parameters": {"client_id": "the-secret-of-post", "client_secret": "post"}},
    {"parameters": {"client_id": "a-wrong-secret-of-post", "client_secret": "post"}},
    {"parameters": {"audience": "the-secret-of-basic"}},
    {"parameters": {"audience": ["https://api.example/" + "a" * 70, "b" * 60, "carols-credential"]}},
    {"parameters": {"client_id": "basic:the-secret-of-basic"}},
    {"parameters": {"subject_token_type": "urn:ietf:params:the-secret-of-basic"}},
    {"content_type": ["the-secret-of-basic"]},
    {"subject": {}, "content_type": ["{subject}"]},
    {"subject": {}, "body": "{subject}"},
    {"subject": {}, "body": "{subject}=x&{subject}=y"},
    {"subject": {}, "body": "subject_token={subject}&scope=%zz"},
    {"subject": {}, "encoding": "json", "body": '{"subject_token":"{subject}","scope":'},
    {"subject": {}, "encoding": "json", "body": '{"{subject}":1,"{subject}":2}'},
    {"subject": {}, "encoding": "json", "parameters": {"subject_token": ["{subject}"]}},
    {"subject": {}, "method": "PUT"},
]


@pytest.mark.parametrize("encoding", ["form", "json"])
def test_nothing_leaks_at_the_loudest_level(around, kind, encoding):
    family = kind.name.split("-")[0]
    world = World.read(WORLD)
    world = dataclasses.replace(world, announced=[*world.announced, "AB4[0-9]{3} ", RESPONSE_HEAD])
    with serving(kind, world, around, log_level=LOUDEST[family]) as server:
        secret = signing_keys(server) | set(itertools.chain(*(ask(server, encoding, words) for words in REQUESTS)))
        with Caller(server).connect() as connection:  # one that leaves in the middle of its secret
            connection.socket.sendall(b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n")
            connection.socket.sendall(b"client_secret=the-secret-of-post&subject_token=carols-credential")
        server.reload()
        secret |= ask(server, encoding, {})
        server.stop()
        assert len(secret) > 40
        assert not leaks(server, secret, THEIR_OWN[family])


def ask(server, encoding: str, words: dict) -> set:
    """What is secret in the request and in its answer; with the refresh token that came, once more."""
    asked = Asked(**{"encoding": encoding, **words})
    made = make(asked, server.site.mint)
    answer = send(server, made, asked.certificate)
    secret = {part for part in made.secrets if len(part) >= 12}
    if answer.status != 200:
        return secret
    members = json.loads(answer.body)
    tokens = [members[name] for name in ("access_token", "refresh_token") if name in members]
    if "refresh_token" in members:
        parameters = {**asked.parameters, "grant_type": "refresh_token", "refresh_token": members["refresh_token"]}
        again = Asked(**{"encoding": encoding, **words, "parameters": parameters})
        send(server, make(again, server.site.mint), asked.certificate)
    return secret | {part for token in tokens for part in token.split(".")[1:]}


def signing_keys(server) -> set:
    """Every line of them."""
    files = [file for file in server.site.folder.iterdir() if file.name.endswith(".pem.secret")]
    return {line for file in files for line in file.read_text().splitlines()[1:-1] if len(line) > 12}


def leaks(server, secret: set, passed_over) -> list:
    lines = [line for line in server.log.lines() + server.console() if not passed_over(line)]
    lines += [Line("", text) for text in server.access_log.read_text().splitlines()]
    return [line for line in lines if any(text in line.text for text in secret)]
