"""HTTP over a connection of the tests' own TLS client: HTTP/1.1 by Python's library, HTTP/2 by h2."""

import http.client

import h2.config
import h2.connection
import h2.events

from .client import Answer
from .tls_client import Tls

_READ = 65536
_PING = -1  # what is awaited in place of a stream


class Http1:
    """One request after the other. `host` is what they name."""

    def __init__(self, tls: Tls, host: str):
        self.host = host
        self._http = http.client.HTTPConnection(host)
        self._http.sock = _Socket(tls)
        self._http.auto_open = 0

    @property
    def kept(self) -> bool:
        """The last answer did not say `Connection: close`."""
        return self._http.sock is not None

    def request(self, method: str, path: str, headers=(), body: bytes = b"") -> Answer:
        """`headers` is a list of pairs, so that a field can be sent twice."""
        self._http.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        self._http.putheader("Host", self.host)
        for name, value in headers:
            self._http.putheader(name, value.encode("latin-1"))
        if body:
            self._http.putheader("Content-Length", str(len(body)))
        self._http.endheaders(body or None)
        response = self._http.getresponse()
        return Answer(response.status, response.getheaders(), response.read())


class _Socket:
    """What http.client takes for a socket. It would close it while the answer is still being read."""

    def __init__(self, tls: Tls):
        self.sendall, self.makefile = tls.sendall, tls.makefile

    def close(self):
        """The connection is closed by whoever opened it."""


class Http2:
    """One request, or several streams at once. `host` is what they name."""

    kept = True  # or else the next request fails

    def __init__(self, tls: Tls, host: str):
        self._tls = tls
        self.host = host
        config = h2.config.H2Configuration(header_encoding="latin-1", validate_outbound_headers=False)
        self._h2 = h2.connection.H2Connection(config)
        self._h2.initiate_connection()
        self._flush()

    def request(self, method: str, path: str, headers=(), body: bytes = b"") -> Answer:
        return self.requests([(method, path, headers, body)])[0]

    def requests(self, wanted: list) -> list:
        """The answers to `(method, path, headers, body)`, in order; all are sent before any is read."""
        answers = {self._send(*request): ([], bytearray()) for request in wanted}
        self._await(answers, set(answers))
        # mod_http2 is done with a stream, and logs it, at the next sign of life.
        self._h2.ping(bytes(8))
        self._await(answers, {_PING})
        return [_answer(headers, content) for headers, content in answers.values()]

    def _await(self, answers: dict, left: set):
        self._flush()
        while left:
            data = self._tls.read(_READ)
            if not data:
                raise ConnectionError("the server closed the connection")
            for event in self._h2.receive_data(data):
                self._take(event, answers, left)
            self._flush()

    def _send(self, method: str, path: str, headers, body: bytes) -> int:
        stream = self._h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", self.host), (":path", path)]
        fields = [(name.lower(), value) for name, value in headers]
        self._h2.send_headers(stream, pseudo + fields, end_stream=not body)
        if body:
            self._h2.send_data(stream, body, end_stream=True)
        return stream

    def _take(self, event, answers: dict, left: set):
        if isinstance(event, h2.events.ResponseReceived):
            answers[event.stream_id][0].extend(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answers[event.stream_id][1].extend(event.data)
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            left.discard(event.stream_id)
        elif isinstance(event, h2.events.PingAckReceived):
            left.discard(_PING)
        elif isinstance(event, h2.events.StreamReset) and event.stream_id not in left and not event.error_code:
            pass  # RFC 9113, section 8.1: the answer is whole, and the rest of the body not wanted
        elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
            raise ConnectionError(f"the server broke off: {event}")

    def _flush(self):
        if data := self._h2.data_to_send():
            self._tls.sendall(data)


def _answer(headers: list, content: bytearray) -> Answer:
    fields = [(name, value) for name, value in headers if not name.startswith(":")]
    return Answer(int(dict(headers)[":status"]), fields, bytes(content))
