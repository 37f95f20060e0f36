"""The token endpoint where it takes more than a request: many clients at once, assertions that come twice,
sessions that are resumed, Token Binding."""

import concurrent.futures
import contextlib
import copy
import dataclasses
import hashlib
import itertools
import json
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest

from harness.bound_client import BoundConnection
from harness.client import Connection, tls_context
from harness.issued import verified
from harness.servers import serving
from harness.token_binding import REFERRED, Binding
from harness.token_caller import (
    CAROL,
    WORLD,
    ask,
    connect,
    context_of,
    error,
    said,
    sound,
    unavailable,
    watched,
)
from harness.token_visit import issued, published, send
from harness.waiting import eventually
from harness.world import World


@pytest.fixture
def server(running, kind):
    with watched(running.server(kind, WORLD)) as server:
        yield server


TLS_VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"]
)


def resuming(server, certificate: str, host: str, version):
    """Connections of which each but the first resumes the session of the one before."""
    context, session = context_of(server, certificate, version), None
    for _ in range(3):
        with Connection(server.site.addresses[host], context, session) as connection:
            assert connection.socket.session_reused == (session is not None)
            yield connection
            session = connection.socket.session


# --- Many at once


def test_many_at_once_are_not_mixed_up(server):
    """Each client gets its own subject, bound to its own certificate."""
    jwks = published(server)
    people = [
        ("alice", "iamtheeggman", "alice"),
        ("bob", "iamthewalrus", "bob"),
        ("service", "carols-credential", "carol"),
    ]
    thumbprints = {name: server.site.fill(f"{{x5t:{name}}}") for name, _, _ in people}

    def turn(person):
        certificate, credential, subject = person
        made = sound(server, parameters={"subject_token": credential})
        with connect(server, certificate) as connection:
            for _ in range(15):
                claims = verified(json.loads(ask(connection, made).body)["access_token"], jwks).claims
                assert claims["sub"] == subject
                assert claims["cnf"] == {"x5t#S256": thumbprints[certificate]}
                yield claims["jti"]

    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        turns = [pool.submit(lambda person=person: list(turn(person))) for person in people * 3]
        identifiers = [one for done in turns for one in done.result()]
    assert len(set(identifiers)) == len(identifiers) == 135


def test_streams_of_one_connection_are_not_mixed_up(server, kind):
    if "h2" not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    jwks = published(server)
    made = [sound(server, parameters={"subject_token": name}) for name in ("iamtheeggman", "carols-credential")] * 10
    made.append(sound(server, parameters={"subject_token": "iamthewalrus"}))
    server.log.announce("AB4204 subject-certificate-mismatch")
    identity = server.site.around.pki.clients["alice"]
    with BoundConnection(server, "open", "h2", identity=identity, token_binding=None) as connection:
        answers = connection.at_once([(one.method, one.path, one.headers, one.body) for one in made])
    assert error(answers.pop())[0] == 400
    subjects = [verified(json.loads(answer.body)["access_token"], jwks).claims["sub"] for answer in answers]
    assert subjects == ["alice", "carol"] * 10


# --- Assertions are good once, whichever process they come to


def spread(server, stack: contextlib.ExitStack) -> list:
    """Eight connections, or as many more as it takes until several processes hold them."""
    connections, processes = [], set()
    several = 1 if server.name == "httpd-event" else 2  # it has one process here
    while len(connections) < 8 or len(processes) < several:
        assert len(connections) < 100
        connections.append(stack.enter_context(connect(server)))
        connections[-1].request("GET", "/jwks")
        processes.add(server.worker_of(connections[-1]))
    return connections


def test_an_assertion_is_good_once_in_all_processes(around, kind):
    with serving(kind, World.read(WORLD), around) as server, contextlib.ExitStack() as stack:
        server.log.announce("AB4111 client-assertion-replayed")
        connections = spread(server, stack)
        made = sound(server, assertion={})
        statuses = [ask(connection, made).status for connection in connections]
        refused = len(connections) - 1
        assert sorted(statuses) == [200] + [400] * refused
        assert [line.level for line in server.log.lines() if "AB4111" in line.text] == ["warn"] * refused


def test_an_assertion_sent_at_once_to_all_processes_is_good_once(around, kind):
    with serving(kind, World.read(WORLD), around) as server, contextlib.ExitStack() as stack:
        server.log.announce("AB4111 client-assertion-replayed")
        for _ in range(5):
            connections = spread(server, stack)
            made, gate = sound(server, assertion={}), threading.Barrier(len(connections))
            with concurrent.futures.ThreadPoolExecutor(len(connections)) as pool:
                tries = [pool.submit(lambda one=one: (gate.wait(), ask(one, made).status)[1]) for one in connections]
            assert sorted(one.result() for one in tries) == [200] + [400] * (len(connections) - 1)


def test_an_assertion_is_not_good_again_after_a_reload(around, kind):
    with serving(kind, World.read(WORLD), around) as server:
        server.log.announce("AB4111 client-assertion-replayed")
        made = sound(server, assertion={})
        assert send(server, made).status == 200
        for _ in range(2):
            server.reload()
            assert error(send(server, made)) == (400, "invalid_client")
        assert send(server, sound(server, assertion={})).status == 200


def test_a_refused_request_leaves_the_assertion_good(server):
    server.log.announce("AB4302 target-unknown|AB4111 client-assertion-replayed")
    made = sound(server, assertion={}, parameters={"audience": "https://unknown.example"})
    assert error(send(server, made)) == (400, "invalid_target")
    right = dataclasses.replace(made, body=made.body.replace(b"unknown.example", b"api.example"))
    assert send(server, right).status == 200
    assert error(send(server, right)) == (400, "invalid_client")


def bucket_of(key: bytes, identifier: str) -> tuple:
    """src/outbound/replay.rs: the bucket of an assertion of `jwt`, and what is kept there of it."""
    issuer = "https://as.example"
    kept = hashlib.sha256(f"{len(issuer)}:3:{issuer}jwt{identifier}".encode()).digest()
    return int.from_bytes(hashlib.sha256(key + kept).digest()[:8], "big") % 4096, kept


def key_of_memory(server, used: str) -> bytes:
    """What the memory in which this identifier is kept begins with: a file in memory of the server's."""
    for file in Path(f"/proc/{server.process.pid}/fd").iterdir():
        if os.readlink(file).startswith("/memfd:auth_bound"):
            content = file.read_bytes()
            bucket, kept = bucket_of(content[:32], used)
            if kept in content[32 + bucket * 2560 :][:2560]:
                return content[:32]
    raise LookupError(used)


def test_a_memory_of_used_assertions_that_is_full(around, kind):
    """A bucket of it has room for 64. What cannot be remembered is refused, what is remembered stays so."""
    with serving(kind, World.read(WORLD), around) as server:
        asserted = lambda identifier: sound(server, assertion={"claims": {"jti": identifier}})
        assert send(server, asserted("0")).status == 200
        key = key_of_memory(server, "0")
        bucket, _ = bucket_of(key, "0")
        others = (number for number in map(str, itertools.count(1)) if bucket_of(key, number)[0] == bucket)
        *identifiers, last = itertools.islice(others, 64)
        assert {send(server, asserted(identifier)).status for identifier in identifiers} == {200}

        server.log.fresh()
        server.log.announce("AB4902 replay-store-unavailable|AB4111 client-assertion-replayed")
        unavailable(send(server, asserted(last)))
        lines = [line for line in server.log.await_line("AB4902 ") if "AB4" in line.text]
        assert [line.level for line in lines] == ["error"]
        assert error(send(server, asserted(identifiers[0]))) == (400, "invalid_client")
        assert send(server, sound(server, assertion={})).status == 200  # another bucket


# --- The certificate's chain on sessions that are resumed


@TLS_VERSIONS
def test_a_resumed_session_verifies_no_chain(server, version):
    """Of a client whose authority nobody trusts, a resumed session is no better than a first one."""
    server.log.announce("AB4108 client-certificate-unverified")
    made = sound(server, parameters={**CAROL, "client_id": "by-subject"})
    for connection in resuming(server, "outsider", "open", version):
        assert error(ask(connection, made)) == (400, "invalid_client")


@TLS_VERSIONS
@pytest.mark.parametrize("host", ["open", "verified"])
def test_a_resumed_session_keeps_its_chain(server, version, host):
    made = sound(server, parameters={**CAROL, "client_id": "by-subject"})
    for connection in resuming(server, "service", host, version):
        token = issued(server, ask(connection, made))
        assert token.claims["cnf"] == {"x5t#S256": server.site.fill("{x5t:service}")}


# One address, several names: what is proved to one of them proves nothing to another, which asks for no
# certificate or trusts fewer authorities.
SEVERAL_NAMES = {
    "realm": "test",
    "hosts": {
        "trusting": {
            "certificates": "optional",
            "name": "trusting.test.example",
            "nginx": "ssl_trusted_certificate {other-ca};",
        },
        "asking": {"certificates": "optional", "name": "asking.test.example", "beside": "trusting"},
        "silent": {"certificates": "none", "name": "silent.test.example", "beside": "trusting"},
        "bare": {  # it uses the certificate of the first one
            "name": "bare.test.example",
            "beside": "trusting",
            "nginx": "ssl_client_certificate {ca}; ssl_verify_client optional;",
        },
    },
    "location": [{"path": "/token", "protect": False, "served": "token-exchange"}],
    "files": {"credentials.secret": "{sha256:carols-credential} carol\n"},
    "set": {
        "sts-issuer": "https://as.example",
        "sts-signing-key": "{signing-key:p256-now}",
        "sts-credentials": "{folder}/credentials.secret",
        "sts-client": "named tls_client_auth subject_dn=CN=service",
        "sts-rule": "audience=https://api.example",
    },
}


@contextlib.contextmanager
def connected(server, context: ssl.SSLContext, name: str | None, session=None):
    """A connection to the address of all names that says this one, or none."""
    with socket.create_connection(("127.0.0.1", server.site.addresses["trusting"].port), 10) as plain:
        sni = f"{name}.test.example" if name else None
        with context.wrap_socket(plain, server_hostname=sni, session=session) as connection:
            assert connection.session_reused == (session is not None)
            yield connection


def context_without_names(server, client: str, version) -> ssl.SSLContext:
    pki = server.site.around.pki
    context = tls_context(pki.ca, pki.clients[client], version)
    context.check_hostname = False
    return context


def is_issued(server, connection, name: str) -> bool:
    """Whether there is a token for a request with this name; otherwise the client is refused."""
    made = sound(server, parameters={**CAROL, "client_id": "named"})
    fields = [*made.headers, ("Host", f"{name}.test.example"), ("Content-Length", str(len(made.body)))]
    head = "".join(f"{field}: {value}\r\n" for field, value in fields)
    connection.sendall(f"POST /token HTTP/1.1\r\n{head}\r\n".encode() + made.body)
    status = connection.recv(16_384).split(b" ")[1]
    assert status in (b"200", b"400"), status
    return status == b"200"


@TLS_VERSIONS
def test_a_chain_counts_only_where_the_server_trusts_it(around, nginx_kind, version):
    """NGINX lets a connection to one name speak to another that asks for no certificate, or, where the client
    said no name of ours, that trusts others; httpd answers 421."""
    with serving(nginx_kind, World.parse(SEVERAL_NAMES), around) as server:
        server.log.announce("AB4108 client-certificate-unverified")
        for client, said_name, expected in [
            ("service", "asking", {"asking": True, "silent": False}),
            ("service", None, {"trusting": True, "asking": True, "silent": False, "bare": False}),
            ("service", "bare", {"bare": False}),
            ("outsider", None, {"trusting": True, "asking": False, "silent": False}),
            ("outsider", "nobody", {"trusting": True, "asking": False, "silent": False}),
        ]:
            with connected(server, context_without_names(server, client, version), said_name) as connection:
                for name, expected_there in expected.items():
                    assert is_issued(server, connection, name) == expected_there, (client, said_name, name)


@TLS_VERSIONS
def test_a_session_that_began_with_another_name(around, nginx_kind, version):
    """What the server that the session began with found out about the chain is not remembered for another."""
    with serving(nginx_kind, World.parse(SEVERAL_NAMES), around) as server:
        server.log.announce("AB4108 client-certificate-unverified")
        for client, is_trusted in [("service", True), ("outsider", False)]:
            context, session = context_without_names(server, client, version), None
            for said_name, name, expected in [
                (None, "trusting", True),
                ("asking", "asking", is_trusted),
                ("trusting", "trusting", True),
            ]:
                with connected(server, context, said_name, session) as connection:
                    assert is_issued(server, connection, name) == expected, (client, name)
                    session = connection.session


@TLS_VERSIONS
def test_a_session_of_a_certificate_that_was_revoked(around, nginx_kind, version):
    """NGINX keeps sessions through a reload, and in TLS 1.3 each resumption prolongs them."""
    words = copy.deepcopy(SEVERAL_NAMES)
    words["files"]["revoked.pem"] = "{crl}"
    sessions = "ssl_session_tickets off; ssl_session_cache shared:tests:1m; "
    words["hosts"]["asking"]["nginx"] = f"{sessions}ssl_crl {{folder}}/revoked.pem;"
    words["hosts"]["trusting"]["nginx"] += sessions
    with serving(nginx_kind, World.parse(words), around) as server:
        server.log.announce("AB4108 client-certificate-unverified|certificate revoked")
        context, session = context_without_names(server, "service", version), None
        for expected in [True, True, False]:
            if not expected:
                (server.site.folder / "revoked.pem").write_text(around.pki.crl("service"))
                old = set(server.workers())
                server.reload()
                eventually(lambda: not old & set(server.workers()))
            with connected(server, context, "asking", session) as connection:
                assert is_issued(server, connection, "asking") == expected
                session = connection.session


# --- Token Binding


def bound_exchange(connection: BoundConnection, server, fields: list, **words):
    made = sound(server, parameters={**CAROL, **words})
    return connection.request(made.method, made.path, [*made.headers, *fields], made.body)


def confirmations(server, answer) -> tuple:
    """`cnf` of the access token and of the refresh token."""
    assert answer.status == 200, answer
    jwks, members = published(server), json.loads(answer.body)
    return tuple(verified(members[name], jwks).claims["cnf"] for name in ("access_token", "refresh_token"))


PROTOCOLS = pytest.mark.parametrize("protocol", ["h1", "h2"])


@PROTOCOLS
def test_what_token_binding_proves_is_what_tokens_are_bound_to(server, kind, protocol):
    if protocol not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    keys = server.site.around.binding_keys
    mine, theirs = {"tbh": keys["p256"].tbh}, {"tbh": keys["p256-referred"].tbh}
    certificate = {"x5t#S256": server.site.fill("{x5t:alice}")}
    both = (Binding("p256"), Binding("p256-referred", type=REFERRED))
    identity = server.site.around.pki.clients["alice"]
    with BoundConnection(server, "bound", protocol, identity=identity) as connection:
        fields = connection.fields(*both)
        # The token is for the key that the client uses with the API; to refresh it uses its own.
        assert confirmations(server, bound_exchange(connection, server, fields)) == (theirs, mine)
        # A rule may have it otherwise.
        answer = bound_exchange(connection, server, fields, client_id="provided")
        assert confirmations(server, answer) == (mine, certificate)
        # Only its own: the certificate is what is left.
        fields = connection.fields(Binding("p256"))
        assert confirmations(server, bound_exchange(connection, server, fields)) == (certificate, mine)


def test_a_referred_binding_binds_without_a_certificate(server):
    keys = server.site.around.binding_keys
    with BoundConnection(server, "bound") as connection:
        fields = connection.fields(Binding("p256"), Binding("p256-referred", type=REFERRED))
        answer = bound_exchange(connection, server, fields)
        assert confirmations(server, answer)[0] == {"tbh": keys["p256-referred"].tbh}
        server.log.announce("AB4307 possession-missing")
        assert error(bound_exchange(connection, server, connection.fields())) == (400, "invalid_request")


def test_a_message_that_proves_nothing_issues_nothing(server):
    server.log.announce("AB1056 token-binding-signature")
    before = said(server, "AB4000")
    with BoundConnection(server, "bound") as connection:
        fields = connection.fields(Binding("p256"), Binding("p256-referred", type=REFERRED, signature="flipped"))
        assert bound_exchange(connection, server, fields).status == 400
    assert said(server, "AB4000") == before


def test_a_refresh_token_that_is_bound_to_the_provided_key(server):
    keys = server.site.around.binding_keys
    with BoundConnection(server, "bound") as connection:
        fields = connection.fields(Binding("p256"), Binding("p256-referred", type=REFERRED))
        refresh = json.loads(bound_exchange(connection, server, fields).body)["refresh_token"]
        words = {"without": ["subject_token", "subject_token_type"]}
        words["parameters"] = {"grant_type": "refresh_token", "refresh_token": refresh}
        made = sound(server, **words)
        request = lambda one, fields: one.request(made.method, made.path, [*made.headers, *fields], made.body)
        claims = issued(server, request(connection, fields)).claims
        assert claims["cnf"] == {"tbh": keys["p256-referred"].tbh}
    server.log.announce("AB4401 refresh-token-refused")
    with BoundConnection(server, "bound") as connection:
        others = (Binding("p256-other"), Binding("p256-referred", type=REFERRED))
        assert error(request(connection, connection.fields(*others))) == (400, "invalid_grant")
    with BoundConnection(server, "bound") as connection:
        assert error(request(connection, [])) == (400, "invalid_grant")
