"""A real gRPC client and a real gRPC server with NGINX between them (grpc_pass): the token as call
credentials, the client's certificate on the channel."""

from concurrent import futures

import grpc
import pytest

from harness.caller import Caller
from harness.servers import serving
from harness.world import World

METHOD = "/bound.Echo/Say"
SEEN = "bound-seen-sub"


class Echo(grpc.GenericRpcHandler):
    """Answers with what it was sent, and with the user that NGINX named."""

    def service(self, call):
        if call.method != METHOD:
            return None

        def say(request, context):
            user = dict(context.invocation_metadata()).get("x-user", "")
            context.set_trailing_metadata([(SEEN, user)])
            return request

        return grpc.unary_unary_rpc_method_handler(say)


@pytest.fixture(scope="module")
def backend():
    server = grpc.server(futures.ThreadPoolExecutor(2), [Echo()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


def world(port: int) -> World:
    return World.parse(
        {
            "realm": "test",
            "hosts": {"open": {"certificates": "optional_no_ca"}},
            "location": [{"path": "/bound.Echo/", "served": "grpc", "nginx": f"grpc_pass grpc://127.0.0.1:{port};"}],
            "set": {
                "issuer": "https://issuer.example jwks-file {jwks:main}",
                "audience": "https://api.example",
                "export-header": "BOUND_SUB X-User",
            },
            "jwks": {"main": ["p256"]},
        }
    )


def say(server, client: str, token: str | None):
    """The call's answer and the user that the backend saw."""
    pki = server.site.around.pki
    own = pki.clients.get(client)
    channel_credentials = grpc.ssl_channel_credentials(
        pki.ca.certificate.read_bytes(),
        own.key.read_bytes() if own else None,
        own.certificate.read_bytes() if own else None,
    )
    address = f"localhost:{server.site.addresses['open'].port}"
    metadata = [("x-user", "somebody-else")]
    metadata += [("authorization", f"Bearer {token}")] if token else []
    with grpc.secure_channel(address, channel_credentials) as channel:
        answer, call = channel.unary_unary(METHOD).with_call(b"hello", timeout=5, metadata=metadata)
        return answer, dict(call.trailing_metadata())[SEEN]


def test_a_call_needs_its_token_and_its_certificate(around, backend, nginx_kind):
    with serving(nginx_kind, world(backend), around) as server:
        token = Caller(server).token()
        assert say(server, "alice", token) == (b"hello", "alice")
        server.log.announce("AB1212 certificate-mismatch|AB1211 certificate-missing")
        for client, credentials in (("bob", token), (None, token), ("alice", None)):
            with pytest.raises(grpc.RpcError) as refused:
                say(server, client, credentials)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
