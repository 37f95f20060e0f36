"""A gRPC service with each of the four kinds of calls, and its client, both by grpcio."""

import threading
import time
from concurrent import futures

import grpc

# Trailing metadata: the user that the server in front of the service named.
SEEN_USER = "seen-user"
# What a call that ends by itself is told.
FAILURE = "100 % \u00e4"
_PATIENCE = 15


class EchoServer(grpc.GenericRpcHandler):
    """A service on a port of loopback that sends back what it is sent. `Count` sends each byte of
    one message, `Gather` joins messages, `Chat` sends its headers and answers each message, `Fail`
    ends with a status of its own, `Hang` waits until the call is cancelled."""

    def __init__(self):
        self.calls = 0
        self.hanging = threading.Event()
        self.cancelled = threading.Event()
        self._methods = {
            "Say": grpc.unary_unary_rpc_method_handler(self._say),
            "Count": grpc.unary_stream_rpc_method_handler(self._count),
            "Gather": grpc.stream_unary_rpc_method_handler(self._gather),
            "Chat": grpc.stream_stream_rpc_method_handler(self._chat),
            "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "Hang": grpc.unary_unary_rpc_method_handler(self._hang),
        }
        self._server = grpc.server(futures.ThreadPoolExecutor(32), [self])
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self):
        self._server.stop(None).wait()

    def service(self, call):
        _, _, method = call.method.rpartition("/")
        self.calls += 1
        return self._methods[method]

    def _say(self, message, context):
        self._tell(context)
        return message

    def _count(self, message, context):
        self._tell(context)
        for byte in message:
            yield bytes([byte])

    def _gather(self, messages, context):
        self._tell(context)
        return b"".join(messages)

    def _chat(self, messages, context):
        context.send_initial_metadata([("early", "yes")])
        self._tell(context)
        yield from messages

    def _fail(self, message, context):
        self._tell(context)
        context.abort(grpc.StatusCode.ALREADY_EXISTS, FAILURE)

    def _hang(self, message, context):
        context.add_callback(self.cancelled.set)
        self.hanging.set()
        self.cancelled.wait(_PATIENCE)
        return message

    @staticmethod
    def _tell(context):
        users = [value for name, value in context.invocation_metadata() if name == "x-user"]
        context.set_trailing_metadata([(SEEN_USER, ",".join(users))])


class Obtained(grpc.AuthMetadataPlugin):
    """Call credentials: a token that `obtain` gets when the first call wants one."""

    def __init__(self, obtain):
        self._obtain = obtain
        self._token = None

    def __call__(self, context, callback):
        try:
            self._token = self._token or self._obtain()
        except Exception as failure:
            return callback((), failure)
        callback((("authorization", f"Bearer {self._token}"),), None)


class EchoClient:
    """A channel to one virtual host: one client's certificate, and what it puts on every call.

    `credentials` are call credentials or a token. `path` is the service's.
    """

    def __init__(self, server, certificate: str | None, credentials=None, path: str = "/bound.Echo", host: str = "open"):
        site = server.site
        own = site.around.pki.clients.get(certificate)
        channel = grpc.ssl_channel_credentials(
            site.around.pki.ca.certificate.read_bytes(),
            own.key.read_bytes() if own else None,
            own.certificate.read_bytes() if own else None,
        )
        if isinstance(credentials, str):
            credentials = grpc.access_token_call_credentials(credentials)
        if credentials:
            channel = grpc.composite_channel_credentials(channel, credentials)
        self._channel = grpc.secure_channel(f"localhost:{site.addresses[host].port}", channel)
        self._path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._channel.close()

    def say(self, message: bytes = b"hello", method: str = "Say", **options):
        """The answer, and the trailing metadata."""
        options = {"timeout": _PATIENCE, **options}
        answer, call = self._channel.unary_unary(f"{self._path}/{method}").with_call(message, **options)
        return answer, dict(call.trailing_metadata())

    def begin_say(self, message: bytes, method: str = "Say") -> grpc.Future:
        return self._channel.unary_unary(f"{self._path}/{method}").future(message, timeout=_PATIENCE)

    def hang(self) -> grpc.Future:
        return self.begin_say(b"", "Hang")

    def count(self, message: bytes = b"abc") -> list:
        return list(self._channel.unary_stream(f"{self._path}/Count")(message, timeout=_PATIENCE))

    def gather(self, *messages: bytes) -> bytes:
        return self._channel.stream_unary(f"{self._path}/Gather")(iter(messages), timeout=_PATIENCE)

    def chat(self, messages):
        """The call itself: answers are its items."""
        return self._channel.stream_stream(f"{self._path}/Chat")(messages, timeout=_PATIENCE)


class Conversation:
    """Messages for `chat`, each said when somebody says so; the call stays open until the end."""

    def __init__(self):
        self._said = []
        self._changed = threading.Condition()
        self._over = False

    def say(self, message: bytes):
        with self._changed:
            self._said.append(message)
            self._changed.notify()

    def end(self):
        with self._changed:
            self._over = True
            self._changed.notify()

    def __iter__(self):
        return self

    def __next__(self) -> bytes:
        until = time.monotonic() + _PATIENCE
        with self._changed:
            while not self._said:
                if self._over or not self._changed.wait(until - time.monotonic()):
                    raise StopIteration
            return self._said.pop(0)
