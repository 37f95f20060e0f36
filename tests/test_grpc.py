"""gRPC through both servers: grpcio's client and service with NGINX's grpc_pass or httpd's
mod_proxy_http2 between them. The client's certificate is on the channel, its token on each call."""

import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import grpc
import pytest

from harness.caller import Caller
from harness.grpc_echo import FAILURE, SEEN_USER, Conversation, EchoClient, EchoServer, Obtained
from harness.servers import serving
from harness.world import World

MISMATCH = "the access token is bound to another client certificate"
CALL_HEADERS = [("Content-Type", "application/grpc"), ("TE", "trailers")]


@pytest.fixture(scope="module")
def echo():
    server = EchoServer()
    yield server
    server.stop()


def location(port: int, path: str, httpd: str = "", nginx: str = "", **words) -> dict:
    return {
        "path": f"{path}/",
        "served": "grpc",
        "httpd": f'ProxyPass "h2c://127.0.0.1:{port}{path}/"\n    {httpd}',
        "nginx": f"grpc_pass grpc://127.0.0.1:{port}; {nginx}",
        **words,
    }


def world(port: int) -> World:
    issued = "https://as.example jwks-uri {url:clear}/jwks"
    closed = "https://issuer.example jwks-uri http://127.0.0.1:{closed-port}/keys"
    return World.parse(
        {
            "realm": "test",
            "hosts": {
                "open": {
                    "certificates": "optional_no_ca",
                    "httpd": 'CustomLog {folder}/statuses.log "%>s %{BOUND_REFUSAL}e"\nProxyTimeout 3',
                    "nginx": "access_log {folder}/statuses.log statuses; client_max_body_size 100m;",
                },
                "clear": {},
                # Without an issuer; NGINX finds that when it reads the configuration.
                "bare": {
                    "certificates": "optional_no_ca",
                    "bare": True,
                    "httpd": '<Location "/bound.Echo/">\nAuthType Bound\nRequire valid-user\n</Location>',
                },
            },
            "location": [
                location(port, "/bound.Echo"),
                location(port, "/bound.Issued", set={"issuer": issued, "key-wait": "5s"}),
                location(port, "/bound.Admin", require=["bound-scope admin"]),
                location(port, "/bound.Outage", set={"issuer": closed}),
                location(port, "/bound.Binding", set={"token-binding-required": "on"}),
                location(port, "/bound.Code", set={"error-body": "code-and-message"}),
                location(
                    port,
                    "/bound.Paged",
                    httpd='ErrorDocument 401 /error\n    ErrorDocument 400 "no"',
                    nginx="error_page 400 401 =418 /error;",
                ),
                location(
                    port,
                    "/bound.Either",
                    httpd="<RequireAny>\nRequire ip 192.0.2.1\nRequire bound-scope admin\n</RequireAny>",
                    nginx="satisfy any; deny all; auth_delay 300ms;",
                ),
                {"path": "/token", "protect": False, "served": "token-exchange"},
                {"path": "/jwks", "protect": False, "served": "sts-jwks"},
            ],
            "files": {"credentials.secret": "{sha256:iamtheeggman} alice {x5t:alice}\n"},
            "set": {
                "issuer": "https://issuer.example jwks-file {jwks:main}",
                "audience": "https://api.example",
                "export-header": "BOUND_SUB X-User",
                "sts-issuer": "https://as.example",
                "sts-signing-key": "{signing-key:p256-sts}",
                "sts-credentials": "{folder}/credentials.secret",
                "sts-client": "cli none",
                "sts-default-client": "cli",
                "sts-rule": "audience=https://api.example",
            },
            "process": {"jwks-cooldown": "1s"},
            "jwks": {"main": ["p256"]},
            "httpd": "LoadModule proxy_http2_module /usr/lib/apache2/modules/mod_proxy_http2.so\nH2MinWorkers 4\nH2MaxWorkers 4",
            "nginx": "log_format statuses '$status $bound_refusal';",
            "announced": [r"AB(1003|1057|1102|12\d\d|1401|1404|1501|1901|2002|4204) ", "access forbidden by rule"],
        }
    )


@pytest.fixture(scope="module")
def fronts(around, echo):
    """The servers in front of the service, each started at first use."""
    with contextlib.ExitStack() as stack:
        started = {}

        def front(kind):
            if kind not in started:
                started[kind] = stack.enter_context(serving(kind, world(echo.port), around))
            return started[kind]

        yield front


@pytest.fixture
def server(fronts, http2_kind):
    return fronts(http2_kind)


def refusal(attempt) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as refused:
        attempt()
    return refused.value


def assert_trailers_only(refused: grpc.RpcError) -> dict:
    """The headers ended the stream: then grpcio has everything from trailers. Returns them."""
    assert not refused.initial_metadata()
    metadata = dict(refused.trailing_metadata())
    assert metadata["cache-control"] == "no-store"
    return metadata


def exchange(server, certificate: str) -> dict:
    """What the token endpoint answers to a client with alice's credential and this certificate."""
    parameters = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "iamtheeggman",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "https://api.example",
    }
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    with Caller(server, certificate).connect() as connection:
        answer = connection.request("POST", "/token", headers, urlencode(parameters).encode())
    return json.loads(answer.body)


# --- Calls that are let through


def test_a_client_exchanges_and_calls(server, echo):
    """The walk of cert_bound_sts_server's gRPC client: the module issues what the module checks."""
    obtained = grpc.metadata_call_credentials(Obtained(lambda: exchange(server, "alice")["access_token"]))
    with EchoClient(server, "alice", obtained, "/bound.Issued") as client:
        assert client.say() == (b"hello", {SEEN_USER: "alice"})
        assert list(client.chat(iter([b"a", b"b"]))) == [b"a", b"b"]
    assert exchange(server, "bob")["error"] == "invalid_request"
    before = echo.calls
    with EchoClient(server, "bob", exchange(server, "alice")["access_token"], "/bound.Issued") as client:
        stolen = refusal(client.say)
    assert (stolen.code(), stolen.details()) == (grpc.StatusCode.UNAUTHENTICATED, MISMATCH)
    assert echo.calls == before


def test_every_kind_of_call_gets_through(server):
    credentials = grpc.metadata_call_credentials(Obtained(Caller(server).token))
    with EchoClient(server, "alice", credentials) as client:
        assert client.say(metadata=[("x-user", "somebody-else")]) == (b"hello", {SEEN_USER: "alice"})
        assert client.count(b"abc") == [b"a", b"b", b"c"]
        assert client.gather(b"a", b"b", b"c") == b"abc"
        assert list(client.chat(iter([b"a", b"b"]))) == [b"a", b"b"]


def test_a_conversation_goes_back_and_forth(server):
    with EchoClient(server, "alice", Caller(server).token()) as client:
        talk = Conversation()
        answers = client.chat(talk)
        for message in (b"one", b"two", b"three"):
            talk.say(message)
            assert next(answers) == message
        talk.end()
        assert list(answers) == []
        assert dict(answers.trailing_metadata()) == {SEEN_USER: "alice"}


def test_large_messages_get_through(server):
    message = bytes(range(256)) * 12_000
    with EchoClient(server, "alice", Caller(server).token()) as client:
        assert client.say(message)[0] == message


def test_the_services_own_status_gets_through(server):
    with EchoClient(server, "alice", Caller(server).token()) as client:
        failed = refusal(lambda: client.say(method="Fail"))
    assert (failed.code(), failed.details()) == (grpc.StatusCode.ALREADY_EXISTS, FAILURE)
    assert dict(failed.trailing_metadata())[SEEN_USER] == "alice"


# --- Calls that are refused


@pytest.mark.parametrize(
    ("certificate", "bears", "details"),
    [
        ("bob", True, MISMATCH),
        (None, True, "the access token is bound to a client certificate and none was presented"),
        ("alice", False, "an access token is required"),
    ],
    ids=["stolen", "no certificate", "no token"],
)
def test_every_kind_of_call_is_refused(server, echo, certificate, bears, details):
    before = echo.calls
    with EchoClient(server, certificate, Caller(server).token() if bears else None) as client:
        for attempt in (
            client.say,
            client.count,
            lambda: client.gather(b"a", b"b"),
            lambda: list(client.chat(iter([b"a", b"b"]))),
        ):
            refused = refusal(attempt)
            assert (refused.code(), refused.details()) == (grpc.StatusCode.UNAUTHENTICATED, details)
            challenge = assert_trailers_only(refused)["www-authenticate"]
            assert challenge.startswith('Bearer realm="test"')
            assert (f'error_description="{details}"' in challenge) == bears
    assert echo.calls == before


def test_a_call_that_stays_open_is_refused_at_once(server):
    """The refusal does not wait for the rest of the client's messages."""
    with EchoClient(server, "bob", Caller(server).token()) as client:
        talk = Conversation()
        talk.say(b"one")
        began = time.monotonic()
        refused = refusal(lambda: next(client.chat(talk)))
        assert time.monotonic() - began < 2
        talk.end()
    assert (refused.code(), refused.details()) == (grpc.StatusCode.UNAUTHENTICATED, MISMATCH)


def test_calls_after_a_refused_one_use_the_same_connection(server):
    """Nothing of a refusal stays with the connection, however many there are."""
    good, bad = map(grpc.access_token_call_credentials, (Caller(server).token(), "nonsense"))
    with EchoClient(server, "alice") as client:
        for _ in range(20):
            assert refusal(lambda: client.say(credentials=bad)).details() == "the access token is malformed"
            assert client.say(credentials=good)[0] == b"hello"


@pytest.mark.parametrize(
    ("path", "code", "details"),
    [
        ("/bound.Admin", grpc.StatusCode.PERMISSION_DENIED, "the access token lacks a scope that is required here"),
        ("/bound.Outage", grpc.StatusCode.UNAVAILABLE, "the issuer's keys are not available at the moment"),
        ("/bound.Binding", grpc.StatusCode.UNAUTHENTICATED, "Token Binding is required"),
    ],
)
def test_statuses(server, path, code, details):
    with EchoClient(server, "alice", Caller(server).token(), path) as client:
        refused = refusal(client.say)
    assert (refused.code(), refused.details()) == (code, details)
    metadata = assert_trailers_only(refused)
    assert ("retry-after" in metadata) == (code == grpc.StatusCode.UNAVAILABLE)
    assert ('scope="admin"' in metadata.get("www-authenticate", "")) == (code == grpc.StatusCode.PERMISSION_DENIED)


def test_the_style_of_bodies_says_nothing_of_calls(server):
    with EchoClient(server, "bob", Caller(server).token(), "/bound.Code") as client:
        refused = refusal(client.say)
    assert (refused.code(), refused.details()) == (grpc.StatusCode.UNAUTHENTICATED, MISMATCH)


def test_an_incomplete_configuration_is_internal(fronts, httpd_http2_kind):
    server = fronts(httpd_http2_kind)
    with EchoClient(server, "alice", Caller(server).token(), host="bare") as client:
        refused = refusal(client.say)
    assert refused.code() == grpc.StatusCode.INTERNAL
    assert refused.details() == "the server's configuration is incomplete"


@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Bearer a b"])
def test_error_pages_say_nothing_of_calls(server, authorization):
    with EchoClient(server, "alice", path="/bound.Paged") as client:
        refused = refusal(lambda: client.say(metadata=[("authorization", authorization)]))
    assert refused.code() == grpc.StatusCode.UNAUTHENTICATED
    assert refused.details() in ("the access token is malformed", "the Authorization header is malformed")
    assert_trailers_only(refused)


def test_alternatives_to_a_token(server):
    """On NGINX the refusal waits for the other modules, and for auth_delay."""
    with EchoClient(server, "bob", Caller(server).token(), "/bound.Either") as client:
        began = time.monotonic()
        refused = refusal(client.say)
        delayed = time.monotonic() - began >= 0.3
    assert (refused.code(), refused.details()) == (grpc.StatusCode.UNAUTHENTICATED, MISMATCH)
    assert_trailers_only(refused)
    assert delayed == (server.name == "nginx")


def test_logs_tell_the_refusal_beside_200(server):
    """The access log has the status that was sent, and the number of the refusal."""
    with EchoClient(server, "bob", Caller(server).token()) as client:
        server.log.fresh()
        refusal(client.say)
    assert server.log.await_line("AB1212 certificate-mismatch: ")
    log = server.site.folder / "statuses.log"
    until = time.monotonic() + 3
    while "200 AB1212\n" not in log.read_text() and time.monotonic() < until:
        time.sleep(0.01)
    assert "200 AB1212\n" in log.read_text()
    assert not [line for line in log.read_text().splitlines() if line.startswith("401 ")]


# --- How far the servers carry gRPC: README.md and the guide tell the limits that these tests find


def test_a_cancelled_call_ends_at_the_service(server, echo):
    """On httpd perhaps not before ProxyTimeout, which is three seconds here."""
    echo.hanging.clear()
    echo.cancelled.clear()
    with EchoClient(server, "alice", Caller(server).token()) as client:
        call = client.hang()
        assert echo.hanging.wait(5)
        call.cancel()
        assert echo.cancelled.wait(1 if server.name == "nginx" else 5)


def test_the_services_headers_come_with_its_first_message(server):
    """Both servers keep them back until then, so a client must not wait for them before it speaks."""
    with EchoClient(server, "alice", Caller(server).token()) as client, ThreadPoolExecutor(1) as pool:
        talk = Conversation()
        answers = client.chat(talk)
        headers = pool.submit(answers.initial_metadata)
        with pytest.raises(TimeoutError):
            headers.result(0.5)
        talk.say(b"one")
        assert next(answers) == b"one"
        assert dict(headers.result(5))["early"] == "yes"
        talk.end()
        assert list(answers) == []


def test_calls_that_stay_open(server):
    """Each keeps one of httpd's threads, of which there are four here; others wait for one."""
    with EchoClient(server, "alice", Caller(server).token()) as client, contextlib.ExitStack() as talks:
        open_calls = []
        for _ in range(4):
            talk = Conversation()
            talks.callback(talk.end)
            talk.say(b"one")
            answers = client.chat(talk)
            assert next(answers) == b"one"
            open_calls.append((talk, answers))
        one_more = client.begin_say(b"five")
        if server.name == "nginx":
            assert one_more.result(5) == b"five"
        else:
            with pytest.raises(grpc.FutureTimeoutError):
                one_more.result(0.5)
        for talk, answers in open_calls:
            talk.end()
            assert list(answers) == []
        assert one_more.result(5) == b"five"


# --- What is no call gets a plain refusal


def assert_plain(answer):
    assert answer.status == 401
    assert answer.all("Content-Type") == ["application/json"]
    assert not answer.all("grpc-status")
    assert answer.all("WWW-Authenticate") == ['Bearer realm="test"']
    assert b"an access token is required" in answer.body


def test_grpcs_media_type_over_http_1_is_no_call(server):
    """There is no gRPC over HTTP/1.1, and who sends its media type there could take 200 for success."""
    with Caller(server).connect() as connection:
        assert_plain(connection.request("POST", "/bound.Echo/Say", CALL_HEADERS, b"message"))


def test_grpc_web_is_no_call(server):
    """Its clients read HTTP's status."""
    headers = [("Content-Type", "application/grpc-web+proto")]
    assert_plain(Caller(server).http2().request("POST", "/bound.Echo/Say", headers))
