"""The token endpoint where it takes more than a request: bodies as they come over the wire, many clients
at once, assertions used twice, keys and credentials that change, key servers that fail."""

import concurrent.futures
import contextlib
import dataclasses
import http.client
import itertools
import json
import re
import ssl
import threading
import time

import pytest

from harness.bound_client import BoundConnection
from harness.caller import Caller
from harness.client import Connection, tls_context
from harness.issued import thumbprint, verified
from harness.servers import serving
from harness.token_binding import REFERRED, Binding
from harness.token_request import Asked, make
from harness.token_visit import ISSUED, exchange, issued, published, send
from harness.waiting import eventually, in_parallel
from harness.world import World

WORLD = "token_exchange"
CAROL = {"subject_token": "carols-credential"}
FORM = "application/x-www-form-urlencoded"
TLS_VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"]
)


@pytest.fixture
def server(running, kind):
    server = running.server(kind, WORLD)
    complaints = server.log.unexpected(server.log.fresh())
    yield server
    time.sleep(0.05)
    complaints += server.log.unexpected(server.log.fresh())
    assert not complaints


def sound(server, **words):
    """A request that is granted, unless `words` change that."""
    return make(Asked(**words), server.site.mint)


def connect(server, certificate: str = "alice", host: str = "open", session=None, version=None) -> Connection:
    pki = server.site.around.pki
    context = tls_context(pki.ca, pki.clients.get(certificate), version)
    return Connection(server.site.addresses[host], context, session)


def ask(connection: Connection, made):
    return connection.request(made.method, made.path, made.headers, made.body)


def said(server, number: str) -> int:
    """How many lines with this number the log has by now."""
    return len(server.log.matching(rf"\b{number} "))


def error(answer) -> tuple:
    return answer.status, json.loads(answer.body)["error"]


def refuses(server, number: str, answer, status: int, code: str):
    """The answer, and one line in the log."""
    assert error(answer) == (status, code), answer
    assert answer.all("Cache-Control") == ["no-store"] and b"eyJ" not in answer.body
    lines = server.log.await_line(f"{number} ")
    assert len([line for line in lines if "AB4" in line.text]) == 1, lines
    assert not server.log.unexpected(lines, f"{number} ")


# --- Bodies on the wire


def head(made, *fields: str, version: str = "1.1") -> bytes:
    """A request's head as it is sent."""
    lines = [f"{made.method} {made.path} HTTP/{version}", "Host: localhost", f"Content-Type: {FORM}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def response(connection: Connection) -> http.client.HTTPResponse:
    """The next one on this connection, an interim response included."""
    answer = http.client.HTTPResponse(connection.socket)
    answer.begin()
    return answer


@pytest.mark.parametrize("size", [1, 7, 100000], ids=["byte by byte", "in small chunks", "in one chunk"])
def test_a_chunked_body(server, size):
    made = sound(server)
    with connect(server) as connection:
        connection.socket.sendall(head(made, "Transfer-Encoding: chunked") + chunked(made.body, size))
        answer = response(connection)
        assert (answer.status, json.loads(answer.read())["token_type"]) == (200, "Bearer")


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
    """Larger than sts-max-body can ever be, so that the server's own limits have a say as well."""
    server.log.announce("AB4004 body-too-large|client intended to send too large body")
    made = sound(server)
    with connect(server) as connection:
        connection.socket.sendall(head(made, "Content-Length: 10000000000"))
        answer = response(connection)
        assert (answer.status, json.loads(answer.read())["error"]) == (413, "invalid_request")


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
    with connect(server) as connection:
        for _ in range(3):
            assert ask(connection, sound(server, **words)).status >= 400
            assert ask(connection, sound(server)).status == 200
            assert connection.kept


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
            fields = iter(reader.readline, b"\r\n")
            length = next(int(line.split(b":")[1]) for line in list(fields) if line.lower().startswith(b"content-length"))
            got.append(verified(json.loads(reader.read(length))["access_token"], jwks).claims["sub"])
    assert got == ["alice", "carol", "alice"]


def test_http_1_0(server):
    made = sound(server)
    with connect(server) as connection:
        connection.socket.sendall(head(made, f"Content-Length: {len(made.body)}", version="1.0") + made.body)
        assert response(connection).status == 200


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


def test_a_client_that_leaves_before_the_answer(server):
    """The token is issued to nobody, and the server goes on."""
    made = sound(server)
    for _ in range(10):
        connection = connect(server)
        connection.socket.sendall(head(made, f"Content-Length: {len(made.body)}") + made.body)
        connection.close()
    assert send(server, made).status == 200


def test_a_body_that_lies_in_a_file(around, nginx_kind):
    """NGINX writes what does not fit into its buffer to a file."""
    world = World.read(WORLD)
    world = dataclasses.replace(world, nginx=world.nginx + "client_body_buffer_size 1k;")
    with serving(nginx_kind, world, around) as server:
        server.log.announce("a client request body is buffered to a temporary file")
        for encoding in ("form", "json"):
            answer = exchange(server, encoding=encoding, parameters={"comment": "x" * 50000})
            assert issued(server, answer).claims["sub"] == "alice"
        assert server.log.matching("buffered to a temporary file")
        server.log.announce("AB4009 parameter-missing")
        answer = exchange(server, parameters={"comment": "x" * 50000}, without=["subject_token"])
        assert error(answer) == (400, "invalid_request")


# --- Many at once


def test_many_at_once_are_not_mixed_up(server):
    """Each client gets its own subject, bound to its own certificate."""
    jwks = published(server)
    people = [("alice", "iamtheeggman", "alice"), ("bob", "iamthewalrus", "bob"), ("service", "carols-credential", "carol")]
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
    """Connections that several processes hold."""
    connections = [stack.enter_context(connect(server)) for _ in range(8)]
    for connection in connections:
        connection.request("GET", "/jwks")
    if server.name != "httpd-event":  # which has one process here
        eventually_several = {server.worker_of(connection) for connection in connections}
        assert len(eventually_several) > 1
    return connections


def test_an_assertion_is_good_once_in_all_processes(around, kind):
    with serving(kind, World.read(WORLD), around) as server, contextlib.ExitStack() as stack:
        server.log.announce("AB4111 client-assertion-replayed")
        connections = spread(server, stack)
        made = sound(server, assertion={})
        statuses = [ask(connection, made).status for connection in connections]
        assert sorted(statuses) == [200] + [400] * 7
        assert [line.level for line in server.log.lines() if "AB4111" in line.text] == ["warn"] * 7


def test_an_assertion_sent_at_once_to_all_processes_is_good_once(around, kind):
    with serving(kind, World.read(WORLD), around) as server, contextlib.ExitStack() as stack:
        server.log.announce("AB4111 client-assertion-replayed")
        connections = spread(server, stack)
        for _ in range(5):
            made, gate = sound(server, assertion={}), threading.Barrier(len(connections))
            with concurrent.futures.ThreadPoolExecutor(len(connections)) as pool:
                tries = [pool.submit(lambda one=one: (gate.wait(), ask(one, made).status)[1]) for one in connections]
            assert sorted(one.result() for one in tries) == [200] + [400] * 7


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
    assertion = server.site.mint.token
    made = sound(server, assertion={}, parameters={"audience": "https://unknown.example"})
    assert error(send(server, made)) == (400, "invalid_target")
    right = dataclasses.replace(made, body=made.body.replace(b"unknown.example", b"api.example"))
    assert send(server, right).status == 200
    assert error(send(server, right)) == (400, "invalid_client")


# --- The certificate's chain on sessions that are resumed


@TLS_VERSIONS
def test_a_resumed_session_verifies_no_chain(server, version):
    """Of a client whose authority nobody trusts, a resumed session is no better than a first one."""
    server.log.announce("AB4108 client-certificate-unverified")
    words = {"parameters": {**CAROL, "client_id": "by-subject"}}
    session = None
    for _ in range(3):
        with connect(server, "outsider", session=session, version=version) as connection:
            assert connection.socket.session_reused == (session is not None)
            assert error(ask(connection, sound(server, **words))) == (400, "invalid_client")
            session = connection.socket.session


@TLS_VERSIONS
@pytest.mark.parametrize("host", ["open", "verified"])
def test_a_resumed_session_keeps_its_chain(server, version, host):
    words = {"parameters": {**CAROL, "client_id": "by-subject"}}
    session = None
    for _ in range(3):
        with connect(server, "service", host, session, version) as connection:
            assert connection.socket.session_reused == (session is not None)
            token = issued(server, ask(connection, sound(server, **words)))
            assert token.claims["cnf"] == {"x5t#S256": server.site.fill("{x5t:service}")}
            session = connection.socket.session


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
        assert error(request(connection, [])) == (400, "invalid_grant")


# --- Keys and credentials that change


def reconfigured(server, **words):
    """The server with other words for all its hosts, after a reload."""
    site = server.site
    changes = {name.replace("_", "-"): value for name, value in words.items()}
    site.world = dataclasses.replace(site.world, set=site.world.set | changes)
    server.configuration.write_text(server.render())
    server.reload()


def refreshed(server, token: str):
    words = {"grant_type": "refresh_token", "refresh_token": token}
    return exchange(server, parameters=words, without=["subject_token", "subject_token_type", "audience"])


NOW, BEFORE, NEXT = "{signing-key:p256-now} kid=now", "{signing-key:p256-before} kid=before", "{signing-key:rsa-next} kid=next"


def test_a_new_signing_key_leaves_what_was_issued_good(around, kind):
    with serving(kind, World.read(WORLD), around) as server:
        api = Caller(server)
        old = json.loads(exchange(server).body)
        assert api.get("/api", old["access_token"]).status == 200

        reconfigured(server, sts_signing_key=[NEXT, NOW])  # BEFORE is gone
        assert [key["kid"] for key in published(server)["keys"]] == ["next", "now"]
        token = issued(server, refreshed(server, old["refresh_token"]))
        assert (token.header["alg"], token.header["kid"], token.claims["sub"]) == ("RS256", "next", "alice")
        new = json.loads(exchange(server).body)
        assert api.get("/api", old["access_token"]).status == 200
        eventually(lambda: api.get("/api", new["access_token"]).status == 200)

        server.log.announce("AB1108 key-unknown")
        reconfigured(server, sts_signing_key=[NEXT])
        assert error(refreshed(server, old["refresh_token"])) == (400, "invalid_grant")
        assert server.log.await_line("AB4401 refresh-token-refused.*AB1108")
        assert refreshed(server, new["refresh_token"]).status == 200
        eventually(lambda: api.get("/api", old["access_token"]).status == 401)
        assert api.get("/api", new["access_token"]).status == 200


def test_a_key_file_that_is_replaced_in_place(around, kind):
    """Without kid= the name is the key's thumbprint, so that another key has another name."""
    world = World.read(WORLD)
    world = dataclasses.replace(world, set=world.set | {"sts-signing-key": "{signing-key:p256-in-place}"})
    with serving(kind, world, around) as server:
        jwk = lambda: published(server)["keys"][0]
        first = jwk()
        assert first["kid"] == thumbprint(first) == issued(server, exchange(server)).header["kid"]
        server.site.write_file("p256-in-place.pem.secret", around.keys.pem("ed25519-in-place"))
        assert jwk() == first  # until the reload
        server.reload()
        second = jwk()
        assert second["kid"] == thumbprint(second) == issued(server, exchange(server)).header["kid"]
        assert (first["kty"], second["kty"]) == ("EC", "OKP")


def test_credentials_are_read_again_by_a_reload(around, kind):
    with serving(kind, World.read(WORLD), around) as server:
        server.log.announce("AB4201 subject-token-refused")
        daves = {"subject_token": "daves-credential"}
        assert exchange(server).status == 200
        assert error(exchange(server, parameters=daves)) == (400, "invalid_request")
        lines = server.site.fill("{sha256:daves-credential} carol\n")
        server.site.write_file("credentials.secret", lines)
        server.reload()
        assert issued(server, exchange(server, parameters=daves)).claims["sub"] == "carol"
        assert error(exchange(server)) == (400, "invalid_request")  # alice is in no line any more


@pytest.mark.parametrize("content", ["nonsense", "{sha256:a-credential}", "{sha256:a-credential} a b", "{sha256:a} a\n{sha256:a} b"])
def test_credentials_that_are_not_understood(around, kind, content):
    """The configuration test finds it and names the line, and nothing of what stands there."""
    with serving(kind, World.read(WORLD), around) as server:
        server.site.write_file("credentials.secret", server.site.fill(f"# a comment\n{content}\n"))
        checked = server.check()
        told = checked.stdout + checked.stderr
        assert checked.returncode != 0 and re.search(r"line [23]", told), told
        assert server.site.fill("{sha256:a-credential}") not in told and "nonsense" not in told


def test_under_load_a_reload_fails_no_request(around, kind):
    from harness.load import Load

    with serving(kind, World.read(WORLD), around) as server:
        made = sound(server)
        pki = around.pki
        context = tls_context(pki.ca, pki.clients["alice"])

        def once(request):
            answer = request(made.method, made.path, made.headers, made.body)
            assert json.loads(answer.body)["expires_in"] == 300, answer
            return answer

        with Load(server.site.addresses["open"], context, once) as load:
            for _ in range(5):
                server.reload()
                time.sleep(0.1)
        assert not load.failures
        assert load.statuses[200] > 20


# --- Key servers that fail


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


def of(name: str, **words) -> dict:
    return {"subject": {"claims": {"iss": f"https://{name}.example", **words}}}


def unavailable(answer):
    assert error(answer) == (503, "temporarily_unavailable"), answer
    assert re.fullmatch(r"[1-9]\d*", answer.all("Retry-After")[0])
    assert answer.all("Cache-Control") == ["no-store"] and b"eyJ" not in answer.body


def test_a_key_server_that_is_silent(around, kind):
    """Who waits for it is told to come again; who does not is answered meanwhile."""
    processes = {"processes": 1} if kind.name == "nginx" else {}
    with serving(kind, outages(silent={"silence": 30}), around, **processes) as server:
        server.log.announce("AB4901 exchange-keys-unavailable")
        with in_parallel(lambda: exchange(server, **of("silent")), 3) as answers:
            time.sleep(0.1)
            began = time.monotonic()
            for _ in range(5):
                assert exchange(server).status == 200
                assert Caller(server).get("/api", claims={"iss": "https://unknown.example"}).status == 401
            assert time.monotonic() - began < 0.9  # they are still waiting
            server.log.announce("AB1107 issuer-not-trusted")
        for answer in answers:
            unavailable(answer)
        assert [line.level for line in server.log.lines() if "AB4901" in line.text] == ["error"] * 3


def test_a_key_server_that_comes_back(around, kind):
    with serving(kind, outages(failing={"status": 500}), around) as server:
        server.log.announce("AB4901 exchange-keys-unavailable")
        unavailable(exchange(server, **of("failing")))
        from harness.keyserver import document

        server.site.key_server.serve("/failing", document(around.keys.jwks("p256")))
        eventually(lambda: exchange(server, **of("failing", sub="ann")).status == 200)


def test_a_client_whose_keys_are_not_available(around, kind):
    """The assertion is not used up by a request that could not be decided."""
    with serving(kind, outages(), around) as server:
        server.log.announce("AB4901 exchange-keys-unavailable|AB4111 client-assertion-replayed")
        words = {"assertion": {"claims": {"iss": "remote", "sub": "remote"}}, "parameters": CAROL}
        made = sound(server, **words)
        unavailable(send(server, made))
        from harness.keyserver import document

        server.site.key_server.serve("/client", document(around.keys.jwks("p256-client")))
        eventually(lambda: send(server, sound(server, **words)).status == 200)
        statuses = [send(server, made).status for _ in range(3)]
        assert sorted(statuses) == [200, 400, 400] or 503 in statuses


def test_a_key_that_is_not_published(around, kind):
    """A kid that nobody knows makes the server look again, and then it is refused."""
    with serving(kind, outages(good={"jwks": "main"}), around) as server:
        server.log.announce("AB4201 subject-token-refused")
        assert exchange(server, **of("good")).status == 200
        asked = of("good")
        asked["subject"]["key"] = "p256-unpublished"
        assert error(exchange(server, **asked)) == (400, "invalid_request")
        assert server.log.await_line("AB4201 .*AB1108")
