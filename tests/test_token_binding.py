"""Token Binding belongs to the connection: when it is negotiated, what a message proves there, and
that it proves nothing anywhere else. What a message must look like is in scenarios/token_binding.toml.
"""

import contextlib
import itertools
import json
import re
import socket

import pytest

from harness import table

from harness.bound_client import VERSIONS, BoundConnection
from harness.client_hello import (
    EXTENDED_MASTER_SECRET,
    RENEGOTIATION_INFO,
    TOKEN_BINDING,
    answered,
    extensions_of_hello,
)
from harness.servers import serving
from harness.tls_client import TLS_1_2, TLS_1_3, TlsError
from harness.token import Recipe
from harness.token_binding import PARAMETERS, REFERRED, Binding, offer
from harness.waiting import eventually, in_parallel
from harness.world import Site, World

TLS = pytest.mark.parametrize("version", VERSIONS.values(), ids=[f"TLS {name}" for name in VERSIONS])
PROTOCOLS = pytest.mark.parametrize("protocol", ["h1", "h2"])
P256 = PARAMETERS["ecdsap256"]
DECODE_ERROR = 50  # RFC 8446, section 6.2
PROVIDED_ID, CONTEXT = "Sec-Provided-Token-Binding-ID", "Token-Binding-Context"
SIGNATURE_INVALID = "AB1056 token-binding-signature"
# How a session comes back: in the client's ticket, or by what the server remembers.
HOSTS = {
    "ticket": {"default": "default", "on": "on", "off": "off"},
    "memory": {"default": "remembering", "on": "remembering-on", "off": "remembering-off"},
}


@pytest.fixture
def server(running, request):
    name = next(name for name in ("kind", "httpd_kind", "nginx_kind") if name in request.fixturenames)
    server = running.server(request.getfixturevalue(name), "token_binding")
    if request.node.callspec.params.get("protocol", "h1") not in server.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    return server


def told(answer) -> dict:
    """What the server exported, by name; an answer that is none of the backend's fails."""
    assert answer.status == 200, answer
    headers = json.loads(answer.body)["headers"]
    return {name.removeprefix("X-Env-"): value for name, value in headers if name.startswith("X-Env-")}


def refused(answer) -> bool:
    """Whether the message was refused for its signature."""
    return answer.status == 400 and b"signature is invalid" in answer.body


def check(connection: BoundConnection, negotiated: bytes | None):
    """The answer in the handshake, and what the server makes of a message sent accordingly."""
    assert connection.tls.negotiated == negotiated
    if negotiated is None:
        exported = told(connection.get("/", ("Sec-Token-Binding", "AAAA")))
        assert not {PROVIDED_ID, CONTEXT} & exported.keys()
        return
    assert told(connection.get("/"))[CONTEXT] == connection.context  # equal at both ends
    exported = told(connection.get("/", *connection.fields()))
    assert exported[CONTEXT] == connection.context
    assert exported[PROVIDED_ID] == connection.keys[connection.key].encoded


def bound_token(server, key: str) -> tuple:
    """The header with a token that is bound to the key."""
    claims = {"cnf": {"tbh": server.site.around.binding_keys[key].tbh}}
    return ("Authorization", f"Bearer {server.site.mint.token(Recipe(claims=claims))}")


# --- Negotiation


@TLS
@pytest.mark.parametrize("resumption", HOSTS)
@pytest.mark.parametrize("name", ["default", "on", "off"])
@PROTOCOLS
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_matrix(server, kind, version, resumption, name, protocol, parameters):
    """{TLS} x {full, then resumed} x {virtual host} x {HTTP} x {key parameters}."""
    number = PARAMETERS[parameters]
    negotiated = None if name == "off" else bytes([1, 0, 1, number])
    host = HOSTS[resumption][name]
    hello = {"version": version, "tickets": resumption == "ticket", "token_binding": offer(number)}
    if version == TLS_1_3:
        hello["tickets"] = True  # there, even what the server remembers has a ticket's form
    contexts, session = [], None
    for resumed in (False, True, True):
        with BoundConnection(server, host, protocol, session, **hello) as connection:
            assert connection.tls.resumed == resumed
            check(connection, negotiated)
            contexts.append(connection.context)
            session = connection.tls.session()
            if version == TLS_1_2:
                assert session.by_ticket == (resumption == "ticket")
    assert negotiated is None or len(set(contexts)) == 3


@TLS
@pytest.mark.parametrize("name", ["default", "on"])
@pytest.mark.parametrize(("first", "then"), [(2, 1), (2, None), (None, 2), (0, 2)])
def test_a_resumed_connection_negotiates_anew(server, kind, version, name, first, then):
    """RFC 8472, section 2: what another connection of the session did does not count."""
    extension = lambda number: None if number is None else offer(number)
    answer = lambda number: None if number is None else bytes([1, 0, 1, number])
    offering = lambda number: {"token_binding": extension(number), "version": version}
    with BoundConnection(server, name, **offering(first)) as connection:
        check(connection, answer(first))
        session = connection.tls.session()
    with BoundConnection(server, name, "h1", session, **offering(then)) as connection:
        assert connection.tls.resumed
        check(connection, answer(then))


@TLS
@pytest.mark.parametrize(
    ("first", "then"), [("on", "off"), ("off", "on"), ("default", "off"), ("default", "on")]
)
def test_a_session_taken_to_another_virtual_host(server, kind, version, first, then):
    """Not what the session was, but the host that is asked for decides. To NGINX, OpenSSL tells the
    session's name in place of the new one when TLS 1.2 resumes it."""
    with BoundConnection(server, first, version=version) as connection:
        connection.get("/")
        session = connection.tls.session()
    with BoundConnection(server, then, "h1", session, version=version) as connection:
        old = kind.name == "nginx" and version == TLS_1_2 and connection.tls.resumed
        negotiated = (first if old else then) != "off"
        assert (connection.tls.negotiated is not None) == negotiated
        fields = connection.fields() if negotiated else [("Sec-Token-Binding", "AAAA")]
        exported = told(connection.get("/", *fields))
        assert exported.get(CONTEXT, "") == ("" if then == "off" else connection.context)
        assert (PROVIDED_ID in exported) == (negotiated and then != "off")


@TLS
def test_one_connection_and_another_host(server, kind, version):
    """The handshake was with a host that has it on, a request goes to one that has it off; and the
    reverse."""
    server.log.announce("AB1231 token-binding-missing|AB1057 token-binding-required")
    with BoundConnection(server, "on", version=version) as connection:
        fields = connection.fields(Binding("p256"))
        connection.turn_to("off.test.example")
        assert not {PROVIDED_ID, CONTEXT} & told(connection.get("/", *fields)).keys()
        assert connection.get("/bound", *fields, bound_token(server, "p256")).status == 401
        connection.turn_to("on.test.example")
        assert told(connection.get("/", *fields))[CONTEXT] == connection.context
    with BoundConnection(server, "off", version=version) as connection:
        connection.turn_to("on.test.example")
        exported = told(connection.get("/", ("Sec-Token-Binding", "AAAA")))
        assert not {PROVIDED_ID, CONTEXT} & exported.keys()
        assert connection.get("/required").status == 400


@TLS
@PROTOCOLS
def test_key_parameters_that_another_host_negotiated(server, kind, version, protocol):
    """A host's list is not only for handshakes: keys that it does not want prove nothing there."""
    server.log.announce("AB1231 token-binding-missing|AB1057 token-binding-required")
    hello = {"version": version, "token_binding": offer(0)}
    with BoundConnection(server, "default", protocol, **hello) as connection:
        fields = connection.fields()
        token = bound_token(server, connection.key)
        assert told(connection.get("/bound", *fields, token))["BOUND_PROOF"] == "token-binding"
        connection.turn_to("picky.test.example")
        assert not {PROVIDED_ID, CONTEXT} & told(connection.get("/headers", *fields)).keys()
        assert connection.get("/bound", *fields, token).status == 401
        connection.turn_to("on.test.example")
        assert told(connection.get("/", *fields))[CONTEXT] == connection.context
        connection.turn_to("picky.test.example")
        assert connection.get("/required", *fields).status == 400


@TLS
@PROTOCOLS
def test_key_parameters_that_both_hosts_have(server, kind, version, protocol):
    hello = {"version": version, "token_binding": offer(P256)}
    with BoundConnection(server, "default", protocol, **hello) as connection:
        connection.turn_to("picky.test.example")
        token = bound_token(server, "p256")
        assert told(connection.get("/bound", *connection.fields(), token))["BOUND_PROOF"] == "token-binding"


@TLS
@PROTOCOLS
def test_a_host_that_has_it_beside_a_default_that_has_not(server, kind, version, protocol):
    with BoundConnection(server, "late", protocol, version=version) as connection:
        check(connection, None)
    with BoundConnection(server, "late-on", protocol, version=version) as connection:
        check(connection, bytes([1, 0, 1, P256]))
        session = connection.tls.session()
    with BoundConnection(server, "late-on", protocol, session, version=version) as connection:
        assert connection.tls.resumed
        check(connection, bytes([1, 0, 1, P256]))


@TLS
@pytest.mark.parametrize("server_name", [None, "nobody.test.example"], ids=["no name", "a name that nobody has"])
def test_the_default_host_is_for_all_others(server, kind, version, server_name):
    with BoundConnection(server, version=version, server_name=server_name) as connection:
        check(connection, bytes([1, 0, 1, P256]))


def test_a_hello_retry_request(server, kind):
    """The extension is parsed twice, and answered once."""
    hello = {"version": TLS_1_3, "groups": "X25519:P-384"}
    with BoundConnection(server, "retrying", **hello) as connection:
        assert connection.tls.hellos == 2
        check(connection, bytes([1, 0, 1, P256]))


@TLS
@pytest.mark.parametrize(
    ("body", "negotiated"),
    [
        (offer(2, 1, 0), "01000102"),
        (offer(0, 1, 2), "01000102"),
        (offer(0, 1), "01000101"),
        (offer(17, 0, 200), "01000100"),
        (offer(*range(3, 255)), None),
        (offer(2, version=(1, 7)), "01000102"),
        (offer(2, version=(2, 0)), "01000102"),
        (offer(2, version=(255, 255)), "01000102"),
        (offer(2, version=(0, 13)), None),
        (offer(2, version=(0, 255)), None),
        (offer(77), None),
        (None, None),
    ],
    ids=lambda value: value.hex() if isinstance(value, bytes) else str(value),
)
def test_offers(server, kind, version, body, negotiated):
    """RFC 8472, section 3: never a higher version, never anything that was not offered."""
    with BoundConnection(server, version=version, token_binding=body) as connection:
        check(connection, bytes.fromhex(negotiated) if negotiated else None)


@TLS
@pytest.mark.parametrize(
    ("offered", "chosen"), [((0, 1, 2), 1), ((2, 1), 1), ((2,), 2), ((0, 2), 2), ((0,), None)], ids=str
)
def test_the_hosts_own_preference(server, kind, version, offered, chosen):
    with BoundConnection(server, "picky", version=version, token_binding=offer(*offered)) as connection:
        check(connection, None if chosen is None else bytes([1, 0, 1, chosen]))


@TLS
@pytest.mark.parametrize("host", ["default", "on"])
@pytest.mark.parametrize("body", ["", "01", "0100", "010000", "010002", "01000202", "0100010200", "01000102ff"])
def test_an_extension_that_is_none(server, kind, version, host, body):
    """Truncated, an empty list, or bytes left over: fatal (RFC 8446, section 6.2)."""
    server.log.announce("SSL_do_handshake\\(\\) failed|AH02008|SSL Library Error")
    with pytest.raises(TlsError) as broken:
        BoundConnection(server, host, version=version, token_binding=bytes.fromhex(body))
    assert broken.value.alert == DECODE_ERROR


@pytest.mark.parametrize(
    ("extensions", "signalling", "negotiated"),
    [
        ([EXTENDED_MASTER_SECRET, RENEGOTIATION_INFO], False, True),
        ([EXTENDED_MASTER_SECRET], True, True),
        ([EXTENDED_MASTER_SECRET], False, False),
        ([RENEGOTIATION_INFO], False, False),
        ([], True, False),
        ([], False, False),
    ],
    ids=["both", "both, signalled", "no renegotiation", "no master secret", "signalled alone", "neither"],
)
@pytest.mark.parametrize("host", ["default", "on", "off"])
def test_what_tls_1_2_needs_besides(server, kind, host, extensions, signalling, negotiated):
    """RFC 8472, section 3: extended master secret and renegotiation indication."""
    bodies = {EXTENDED_MASTER_SECRET: b"", RENEGOTIATION_INFO: b"\0"}
    sent = {number: bodies[number] for number in extensions} | {TOKEN_BINDING: offer(P256)}
    site = server.site
    answer = answered(site.addresses[host].port, site.world.hosts[host].name, sent, signalling)
    expected = bytes([1, 0, 1, P256]) if negotiated and host != "off" else None
    assert answer.get(TOKEN_BINDING) == expected


def test_no_extended_master_secret_in_a_resumed_session(server, kind):
    """Its own full handshake had it; a client that then leaves it out must not be resumed at all
    (RFC 7627, section 5.3), and has no Token Binding in any case."""
    with BoundConnection(server, version=TLS_1_2) as connection:
        connection.get("/")
        session = connection.tls.session()
    server.log.announce("SSL_do_handshake\\(\\) failed|AH02008|SSL Library Error")
    with contextlib.suppress(TlsError):
        hello = {"version": TLS_1_2, "extended_master_secret": False}
        with BoundConnection(server, "default", "h1", session, **hello) as connection:
            assert connection.tls.negotiated is None


def test_after_a_reload(around, kind):
    """The contexts of TLS are new, and every one of them has the extension."""
    with serving(kind, World.read("token_binding"), around) as server:
        for _ in range(2):
            for host in ("default", "on", "picky", "late-on"):
                with BoundConnection(server, host, token_binding=offer(P256)) as connection:
                    check(connection, bytes([1, 0, 1, P256]))
            with BoundConnection(server, "off") as connection:
                check(connection, None)
            old = set(server.workers())
            server.reload()
            eventually(lambda: not old & set(server.workers()))


def test_a_backend_is_not_offered_it(around, kind):
    """Where the server is the client, towards a backend with TLS, it has no keys to bind."""
    words = table.read("worlds/token_binding.toml")
    with socket.create_server(("127.0.0.1", 0)) as backend:
        place = f"https://127.0.0.1:{backend.getsockname()[1]}"
        towards = {"path": "/tls", "protect": False, "served": "elsewhere"}
        towards["httpd"] = f"ProxyPass {place}/"
        towards["nginx"] = f"proxy_pass {place}; "
        words["location"].append(towards)
        for host in words["hosts"].values():
            host["httpd"] = host.get("httpd", "") + "\nSSLProxyEngine on"
        with serving(kind, World.parse(words), around) as server:
            server.log.announce("SSL Library Error|AH0(0898|1097|1102|0961|2003|1084)|upstream|SSL_do_handshake")
            with BoundConnection(server) as connection, in_parallel(lambda: connection.get("/tls"), 1):
                received, _ = backend.accept()
                with received:
                    hello = received.recv(4096)
    assert hello[0] == 22 and hello[5] == 1
    assert TOKEN_BINDING not in extensions_of_hello(hello[5:])


# --- Configurations


def words_of(hosts: dict) -> dict:
    """The world with these hosts in place of its own."""
    words = table.read("worlds/token_binding.toml")
    words["exported"].remove("OUTER_ID")  # NGINX knows no variable that nobody configures
    return {**words, "hosts": hosts}


@pytest.mark.parametrize("both", [False, True], ids=["without TLS", "one with TLS and one without"])
def test_a_server_without_tls(around, kind, both):
    """Another server's TLS is of no use to the one that is to negotiate; httpd finds out at its start."""
    on = {"set": {"token-binding": "on"}}
    words = words_of({"default": {"certificates": "none", **(on if both else {})}, "plain": on})
    del words["set"]["token-binding"]
    refusal = 'oken_?[bB]inding: got "on", expected a server with TLS'
    with contextlib.nullcontext() if both else pytest.raises(RuntimeError, match=refusal):
        with serving(kind, World.parse(words), around) as server, BoundConnection(server) as connection:
            check(connection, bytes([1, 0, 1, P256]))


def of_example(kind, path: str) -> str:
    """One location of the example configuration, with the tests' backend."""
    text = (table.TESTS.parent / f"{kind.artifact_folder}-conf/token-binding.conf").read_text()
    location = rf"<Location {path}>.*?</Location>|location {path} \{{.*?\}}"
    return re.search(location, text, re.DOTALL)[0].replace("http://127.0.0.1:8080", "{backend}")


def test_the_example_believes_no_header_of_the_clients(around, kind):
    """The headers that it sets by the server's own means are not the client's to set."""
    words = words_of({"default": {"certificates": "none", kind.artifact_folder: of_example(kind, "/context")}})
    names = ["Sec-Token-Binding", CONTEXT, "X-Token-Binding-Hash"]
    seen = lambda answer: {name: value for name, value in json.loads(answer.body)["headers"] if name in names}
    forged = [(CONTEXT, "forged"), ("X-Token-Binding-Hash", "forged")]
    with serving(kind, World.parse(words), around) as server:
        with BoundConnection(server, token_binding=None) as connection:
            assert seen(connection.get("/context", ("Sec-Token-Binding", "forged"), *forged)) == {}
        with BoundConnection(server) as connection:
            assert seen(connection.get("/context", *forged)) == {CONTEXT: connection.context}
            key, (message,) = connection.keys[connection.key], connection.fields()
            values = [message[1], connection.context, key.tbh]
            assert seen(connection.get("/context", message, *forged)) == dict(zip(names, values))


# --- Early data


def request_bytes(name: str, path: str, *headers: tuple) -> bytes:
    fields = "".join(f"{field}: {value}\r\n" for field, value in [("Host", name), *headers])
    return f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode()


def test_early_data_beside_token_binding_is_an_error(around, nginx_kind):
    words = table.read("worlds/token_binding.toml")
    words["hosts"]["early"]["set"] = {"token-binding": "on"}
    server = nginx_kind(Site(World.parse(words), around, nginx_kind.name))
    result = server.check()
    assert result.returncode != 0
    assert re.search(r"bound_token_binding: .*ssl_early_data.*server\.conf:\d+", result.stderr)


def test_early_data_excludes_token_binding(server, nginx_kind):
    """draft-ietf-tokbind-tls13-03, section 3: not both on one connection."""
    with BoundConnection(server, "early-on", version=TLS_1_3) as connection:
        check(connection, bytes([1, 0, 1, P256]))
        session = connection.tls.session()
    assert session.early_data > 0
    with BoundConnection(server, "early-on", "h1", session, version=TLS_1_3) as connection:
        assert connection.tls.resumed
        check(connection, bytes([1, 0, 1, P256]))
        session = connection.tls.session()
    early = request_bytes("on.test.example", "/", ("Sec-Token-Binding", "AAAA"))
    with BoundConnection(server, "early-on", "h1", session, early, version=TLS_1_3) as connection:
        if connection.tls.early_data_accepted:
            assert connection.tls.negotiated is None
            first = b""
            while not first.endswith(b"}"):
                first += connection.tls.read(65536)
            assert first.startswith(b"HTTP/1.1 200 ")
            assert PROVIDED_ID.encode() not in first
            assert told(connection.get("/")).get(CONTEXT) is None
        else:
            check(connection, bytes([1, 0, 1, P256]))


# --- A message elsewhere


def message_of_another(server, host: str = "default", **hello) -> tuple:
    """The headers of a request that was granted on its own connection, as a thief captured them."""
    with BoundConnection(server, host, **hello) as connection:
        headers = (*connection.fields(Binding("p256")), bound_token(server, "p256"))
        assert connection.get("/bound", *headers).status == 200
        return headers


@TLS
@PROTOCOLS
@pytest.mark.parametrize("host", ["default", "on", "remembering"])
def test_a_captured_message_on_another_connection_or_host(server, kind, version, protocol, host):
    server.log.announce(SIGNATURE_INVALID)
    captured = message_of_another(server, version=version)
    before = server.site.around.backend.requests
    with BoundConnection(server, host, protocol, version=version) as thief:
        assert refused(thief.get("/bound", *captured))
    with BoundConnection(server, host, protocol, version=version) as thief:
        assert refused(thief.get("/", *captured))
    assert server.site.around.backend.requests == before


@TLS
def test_a_captured_message_on_the_resumed_connection(server, kind, version):
    """The exporter of TLS 1.2 with extended master secret, and of 1.3, differs even there."""
    server.log.announce(SIGNATURE_INVALID)
    with BoundConnection(server, version=version) as connection:
        captured = connection.fields()
        told(connection.get("/", *captured))
        session = connection.tls.session()
    with BoundConnection(server, "default", "h1", session, version=version) as thief:
        assert thief.tls.resumed
        assert refused(thief.get("/", *captured))


@TLS
def test_a_captured_message_while_its_own_connection_is_open(server, kind, version):
    """Whichever process or thread gets the thief's connection: no memory of verified messages is shared."""
    server.log.announce(SIGNATURE_INVALID)
    with BoundConnection(server, version=version) as connection:
        captured = connection.fields()
        for _ in range(12):
            told(connection.get("/", *captured))
            with BoundConnection(server, version=version) as thief:
                assert refused(thief.get("/", *captured))
        told(connection.get("/", *captured))


@TLS
def test_a_captured_message_at_another_server(server, around, kind, version):
    server.log.announce(SIGNATURE_INVALID)
    captured = message_of_another(server, version=version)
    with serving(kind, World.read("token_binding"), around) as another:
        another.log.announce(SIGNATURE_INVALID)
        with BoundConnection(another, version=version) as thief:
            assert refused(thief.get("/bound", *captured))


@pytest.mark.parametrize(("first", "then"), [("h1", "h2"), ("h2", "h1")])
def test_a_captured_message_over_another_protocol(server, kind, first, then):
    if "h2" not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    server.log.announce(SIGNATURE_INVALID)
    with BoundConnection(server, "default", first) as connection:
        captured = connection.fields()
        told(connection.get("/", *captured))
    with BoundConnection(server, "default", then) as thief:
        assert refused(thief.get("/", *captured))


@TLS
@PROTOCOLS
def test_the_same_message_again_on_its_connection(server, kind, version, protocol):
    with BoundConnection(server, "default", protocol, version=version) as connection:
        headers = (*connection.fields(Binding("p256")), bound_token(server, "p256"))
        for _ in range(5):
            assert told(connection.get("/bound", *headers))["BOUND_PROOF"] == "token-binding"


@PROTOCOLS
def test_a_remembered_message_does_not_hide_a_bad_one(server, kind, protocol):
    """The memo of a connection is of whole messages: one bit less is another message."""
    server.log.announce(SIGNATURE_INVALID)
    with BoundConnection(server, "default", protocol) as connection:
        sound = connection.message(Binding())
        told(connection.get("/", ("Sec-Token-Binding", sound)))
        at = 150  # inside of the signature
        bad = sound[:at] + ("A" if sound[at] != "A" else "B") + sound[at + 1 :]
        assert refused(connection.get("/", ("Sec-Token-Binding", bad)))
        if protocol == "h2":  # a 400 ends a connection of HTTP/1.1
            told(connection.get("/", ("Sec-Token-Binding", sound)))
            assert refused(connection.get("/", ("Sec-Token-Binding", bad)))


def test_the_key_changes_between_requests(server, kind):
    """A client may show another key at any request; each token wants its own."""
    server.log.announce("AB1232 token-binding-mismatch|AB1231 token-binding-missing")
    tokens = {key: bound_token(server, key) for key in ("p256", "p256-elsewhere")}
    with BoundConnection(server) as connection:
        for shown in ("p256", "p256-elsewhere", "p256", "p256-elsewhere"):
            fields = connection.fields(Binding(shown))
            assert told(connection.get("/", *fields))[PROVIDED_ID] == connection.keys[shown].encoded
            for key, token in tokens.items():
                assert connection.get("/bound", *fields, token).status == (200 if key == shown else 401)
        assert connection.get("/bound", tokens["p256"]).status == 401


# --- Streams side by side


def test_streams_with_messages_of_their_own(server, kind):
    """HTTP/2: each request has its own IDs, whatever its neighbours show."""
    if "h2" not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    server.log.announce(SIGNATURE_INVALID)
    with BoundConnection(server, "default", "h2") as connection:
        for _ in range(3):
            wanted, expected = [], []
            for number in range(24):
                headers, ids = stream(connection, number)
                wanted.append((f"/slow/{number}", headers))
                expected.append(ids)
            answers = connection.get_at_once(wanted)
            assert [ids_of(answer) for answer in answers] == expected


def test_many_clients_at_once(server, kind):
    """Each has a key of its own, and is told of no other's."""
    numbers = itertools.count()

    def client() -> list:
        key = f"p256-client-{next(numbers)}"
        wrong = []
        for attempt in range(12):
            protocol = kind.protocols[attempt % len(kind.protocols)]
            with BoundConnection(server, ("default", "on")[attempt % 2], protocol) as connection:
                own = connection.keys[key].encoded
                for _ in range(3):
                    fields = connection.fields(Binding(key))
                    exported = told(connection.get("/", *fields))
                    if (exported[PROVIDED_ID], exported[CONTEXT]) != (own, connection.context):
                        wrong.append(exported)
        return wrong

    with in_parallel(client, 8) as results:
        pass
    assert results == [[]] * 8


def stream(connection: BoundConnection, number: int) -> tuple:
    """One request of six kinds, and what the backend must be told of it."""
    key, elsewhere = f"p256-{number % 4}", f"p256-elsewhere-{number % 3}"
    encoded = lambda name: connection.keys[name].encoded
    sound, referred = Binding(key), Binding(elsewhere, REFERRED)
    return {
        0: lambda: (connection.fields(sound), (encoded(key), None)),
        1: lambda: (connection.fields(sound, referred), (encoded(key), encoded(elsewhere))),
        2: lambda: ([], (None, None)),
        3: lambda: (connection.fields(Binding(key, signature="flipped")), 400),
        4: lambda: (connection.fields(Binding("p256")), (encoded("p256"), None)),
        5: lambda: (connection.fields(Binding("p256"), referred), (encoded("p256"), encoded(elsewhere))),
    }[number % 6]()


def ids_of(answer):
    if answer.status != 200:
        return answer.status
    exported = told(answer)
    return exported.get(PROVIDED_ID), exported.get("Sec-Referred-Token-Binding-ID")


# --- Renegotiation and post-handshake authentication


@pytest.mark.parametrize("path", ["/step-up", "/other-cipher"])
def test_renegotiation(server, httpd_kind, path):
    """TLS 1.2: the exporter changes in the middle of a request, whose message was signed before."""
    server.log.announce(SIGNATURE_INVALID)
    alice = server.site.around.pki.clients["alice"]
    with BoundConnection(server, version=TLS_1_2, identity=alice) as connection:
        before = connection.context
        old = connection.fields()
        assert told(connection.get("/", *old))[CONTEXT] == before
        during = told(connection.get(path, *old))
        assert connection.tls.hellos == 2 and connection.context != before
        assert during[PROVIDED_ID] == connection.keys["p256"].encoded
        assert during[CONTEXT] in (before, connection.context)
        now = told(connection.get("/", *connection.fields()))
        assert now[CONTEXT] == connection.context
        assert now[PROVIDED_ID] == connection.keys["p256"].encoded
        assert refused(connection.get("/", *old))


def test_renegotiation_at_the_first_request(server, httpd_kind):
    """The message is verified before the request finds out that a certificate is wanted."""
    around = server.site.around
    with BoundConnection(server, version=TLS_1_2, identity=around.pki.clients["alice"]) as connection:
        token = bound_token(server, "p256")
        exported = told(connection.get("/bound-step-up", *connection.fields(), token))
        assert connection.tls.hellos == 2
        assert exported["BOUND_PROOF"] == "token-binding"
        assert exported["BOUND_CLIENT_CERTIFICATE_THUMBPRINT"]
        assert told(connection.get("/bound-step-up", *connection.fields(), token))["BOUND_PROOF"] == "token-binding"


def test_renegotiation_without_the_extension(server, httpd_kind):
    """The new handshake did not negotiate: from then on the connection has no Token Binding."""
    hello = {"version": TLS_1_2, "offers": 1, "identity": server.site.around.pki.clients["alice"]}
    server.log.announce("AB1231 token-binding-missing")
    with BoundConnection(server, **hello) as connection:
        fields = connection.fields()
        assert told(connection.get("/step-up", *fields))[PROVIDED_ID]
        assert connection.tls.hellos == 2
        exported = told(connection.get("/", *connection.fields()))
        assert not {PROVIDED_ID, CONTEXT} & exported.keys()
        headers = (*connection.fields(), bound_token(server, "p256"))
        assert connection.get("/bound", *headers).status == 401


def test_renegotiation_that_offers_it_for_the_first_time(server, httpd_kind):
    """A connection has it from the first handshake on or never: what would not count is not answered."""
    hello = {"version": TLS_1_2, "silent": 1, "identity": server.site.around.pki.clients["alice"]}
    server.log.announce("AB1231 token-binding-missing")
    with BoundConnection(server, **hello) as connection:
        assert not {PROVIDED_ID, CONTEXT} & told(connection.get("/")).keys()
        told(connection.get("/step-up"))
        assert connection.tls.hellos == 2
        assert connection.tls.negotiated is None
        fields = connection.fields(Binding("p256"))
        assert not {PROVIDED_ID, CONTEXT} & told(connection.get("/", *fields)).keys()
        assert connection.get("/bound", *fields, bound_token(server, "p256")).status == 401


def test_the_key_parameters_after_renegotiation(server, httpd_kind):
    """They are those of the last handshake, which here chose as the first did."""
    server.log.announce("AB1055 token-binding-key-parameters")
    hello = {"version": TLS_1_2, "identity": server.site.around.pki.clients["alice"]}
    with BoundConnection(server, "picky", **hello) as connection:
        assert connection.key == "pss"
        told(connection.get("/step-up", *connection.fields()))
        assert connection.key == "pss"
        assert connection.get("/", *connection.fields(Binding("p256"))).status == 400


def test_the_old_message_right_after_renegotiation(server, httpd_kind):
    server.log.announce(SIGNATURE_INVALID)
    alice = server.site.around.pki.clients["alice"]
    with BoundConnection(server, version=TLS_1_2, identity=alice) as connection:
        old = connection.fields()
        told(connection.get("/step-up", *old))
        assert refused(connection.get("/bound", *old, bound_token(server, "p256")))


def test_post_handshake_authentication_leaves_the_exporter(server, httpd_kind):
    """TLS 1.3: a certificate asked for in the middle of a connection changes nothing about it."""
    alice = server.site.around.pki.clients["alice"]
    with BoundConnection(server, version=TLS_1_3, identity=alice) as connection:
        fields, before = connection.fields(), connection.context
        for path in ("/", "/step-up", "/"):
            exported = told(connection.get(path, *fields))
            assert exported[PROVIDED_ID] == connection.keys["p256"].encoded
            assert exported[CONTEXT] == before == connection.context
        assert exported["BOUND_CLIENT_CERTIFICATE_THUMBPRINT"]


# --- Clients without it


@TLS
@pytest.mark.parametrize("host", ["default", "on"])
def test_a_client_without_the_extension_notices_nothing(server, kind, version, host):
    with BoundConnection(server, host, version=version, token_binding=None) as connection:
        assert connection.tls.negotiated is None
        assert not {PROVIDED_ID, CONTEXT} & told(connection.get("/")).keys()
