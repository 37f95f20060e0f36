"""The application behind the servers: it answers with what it was sent."""

import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The longest header that is read: servers in front let longer ones through than Python does.
http.client._MAXLINE = 1 << 20


class Backend:
    """Plain HTTP on loopback. `/slow...` answers after a moment, so that requests overlap;
    `.../answers/302` answers with that status. `X-Reply` asks for headers of the answer, in JSON
    (servers join a header's fields); `X-Reply-Also: Name: value` for one more."""

    def __init__(self):
        self.requests = 0
        self._server = _Server(("127.0.0.1", 0), _Echo)
        self._server.backend = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        if self.headers.get("Upgrade") == "websocket":
            return self.echo()
        self.server.backend.requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/slow"):
            threading.Event().wait(0.3)
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": [[name, value] for name, value in self.headers.items()],
            "body": body.decode("latin-1"),
        }
        content = json.dumps(seen).encode()
        asked = re.search(r"/answers/(\d{3})", self.path)
        self.send_response(int(asked[1]) if asked else 200)
        if asked and asked[1].startswith("3"):
            self.send_header("Location", "/elsewhere")
        for name, value in json.loads(self.headers.get("X-Reply", "[]")):
            self.send_header(name, value)
        if also := self.headers.get("X-Reply-Also"):
            self.send_header(*also.split(": ", 1))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and not (asked and asked[1] in ("204", "304")):
            self.wfile.write(content)

    def echo(self):
        """What a protocol upgrade leads to: whatever comes goes back."""
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        while said := self.rfile.read1(1024):
            self.wfile.write(said)
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_HEAD = do_OPTIONS = do_DELETE = answer

    def log_message(self, *_):
        """The servers in front have logs of their own."""
