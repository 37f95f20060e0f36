"""A key server that can be told to misbehave."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .pki import Identity


class KeyServer:
    """Serves what `serve` was given, path by path, and counts who asked.

    A behaviour is a function of the request handler, so a test may bring its own; the usual ones
    are below.
    """

    def __init__(self, identity: Identity | None = None):
        self._scheme = "https" if identity else "http"
        self._identity = identity
        self._behaviours = {}
        self._counts = {}
        self._counting = threading.Lock()
        self._released = threading.Event()
        self._server = None
        self.start(0)
        self.port = self._server.server_address[1]

    def start(self, port: int | None = None):
        """Listens; again on the same port after a `stop`."""
        self._released.clear()
        self._server = _Server(("127.0.0.1", self.port if port is None else port), _Handler)
        self._server.owner = self
        if self._identity:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._identity.certificate, self._identity.key)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        """Down: the port is closed, and whoever was kept waiting is let go."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "") -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}{path}"

    def serve(self, path: str, behaviour):
        self._behaviours[path] = behaviour

    def requests(self, path: str) -> int:
        with self._counting:
            return self._counts.get(path, 0)

    def wait(self, seconds: float):
        """Holds a request back; ends early when the server is stopped."""
        self._released.wait(seconds)

    def handle(self, request):
        with self._counting:
            self._counts[request.path] = self._counts.get(request.path, 0) + 1
        self._behaviours.get(request.path, status(404))(request)


# Behaviours, as the tables of worlds name them: each takes its one argument from there.


def document(value):
    """A JSON document, such as a JWK Set or issuer metadata."""
    return content(json.dumps(value))


def content(body: str, kind: str = "application/json"):
    encoded = body.encode()
    return lambda request: request.reply(200, encoded, {"Content-Type": kind})


def size(count: int):
    """A JSON document of so many bytes."""
    return content('{"keys":[' + " " * (count - 11) + "]}")


def status(code: int):
    return lambda request: request.reply(code, b"", {})


def redirect(to: str):
    return lambda request: request.reply(302, b"", {"Location": to})


def delayed(seconds: float, then):
    def behaviour(request):
        request.server.owner.wait(seconds)
        then(request)

    return behaviour


def silence(seconds: float):
    """Takes the request and does not answer."""

    def behaviour(request):
        request.server.owner.wait(seconds)
        request.close_connection = True

    return behaviour


def dripping(seconds: float):
    """Never silent for long, and not finished in time."""

    def behaviour(request):
        request.send_response(200)
        request.send_header("Content-Length", "1000000")
        request.end_headers()
        for _ in range(int(seconds / 0.1)):
            request.wfile.write(b" ")
            request.server.owner.wait(0.1)
        request.close_connection = True

    return behaviour


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, *_):
        """A client that hangs up early is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.owner.handle(self)

    def reply(self, code: int, body: bytes, headers: dict):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Requests are counted instead."""
