"""Clients that share no code with the module: Python's ssl for HTTP/1.1, curl for HTTP/2."""

import http.client
import re
import socket
import ssl
import subprocess
from dataclasses import dataclass

from .pki import Identity

_TIMEOUT = 15


@dataclass(frozen=True)
class Answer:
    """A response, header fields in order and unmerged."""

    status: int
    headers: list
    body: bytes

    def all(self, name: str) -> list:
        return [value for field, value in self.headers if field.lower() == name.lower()]


class Truncated(Exception):
    """The connection ended in the middle of an answer."""


@dataclass(frozen=True)
class Address:
    """Where a virtual host listens."""

    port: int
    tls: bool


def tls_context(ca: Identity, client: Identity | None, version=None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca.certificate)
    context.post_handshake_auth = True
    if version:
        context.minimum_version = context.maximum_version = version
    if client:
        context.load_cert_chain(client.certificate, client.key)
    return context


class Connection:
    """One HTTP/1.1 connection, kept alive as long as the server agrees."""

    def __init__(self, address: Address, context: ssl.SSLContext | None, session=None):
        sock = socket.create_connection(("127.0.0.1", address.port), _TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls:
            sock = context.wrap_socket(sock, server_hostname="localhost", session=session)
        self.socket = sock
        self._http = http.client.HTTPConnection("localhost", address.port)
        self._http.sock = sock
        self._http.auto_open = 0

    def request(self, method: str, path: str, headers=(), body: bytes = b"") -> Answer:
        """`headers` is a list of pairs, so that a field can be sent twice."""
        self.send(method, path, headers, body)
        return self.receive()

    def send(self, method: str, path: str, headers=(), body: bytes = b""):
        """The request alone."""
        self._http.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            self._http.putheader(name, value.encode("latin-1"))
        if body:
            self._http.putheader("Content-Length", str(len(body)))
        self._http.endheaders(body or None)

    def receive(self) -> Answer:
        """The answer to what was sent."""
        response = self._http.getresponse()
        try:
            content = response.read()
        except (OSError, http.client.HTTPException) as cause:
            raise Truncated from cause
        return Answer(response.status, response.getheaders(), content)

    @property
    def kept(self) -> bool:
        """The last answer did not say `Connection: close`."""
        return self._http.sock is not None

    def close(self):
        self._http.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Http2:
    """HTTP/2 by curl: each call is a connection of its own, or many streams over one."""

    def __init__(self, address: Address, ca: Identity, client: Identity | None):
        self._base = f"https://localhost:{address.port}"
        self._options = {
            "silent": None,
            "show-error": None,
            "http2": None,
            "max-time": str(_TIMEOUT),
            "resolve": f"localhost:{address.port}:127.0.0.1",
            "cacert": str(ca.certificate),
        }
        if client:
            self._options |= {"cert": str(client.certificate), "key": str(client.key)}

    def request(self, method: str, path: str, headers=(), body: bytes = b"") -> Answer:
        made = self._curl(
            {
                "include": None,
                "path-as-is": None,
                **({"head": None} if method == "HEAD" else {"request": method}),
                "url": self._base + path,
                **({"data-binary": body.decode("latin-1")} if body else {}),
            },
            headers,
        )
        head, _, content = made.partition(b"\r\n\r\n")
        status_line, *fields = head.decode("latin-1").split("\r\n")
        version, status, *_ = status_line.split(" ")
        if version != "HTTP/2":
            raise ValueError(f"asked for HTTP/2, got {version}")
        return Answer(int(status), [tuple(re.split(": ?", line, 1)) for line in fields], content)

    def statuses(self, path: str, headers, streams: int) -> list:
        """The statuses of `streams` parallel requests over one connection."""
        made = self._curl(
            {
                "parallel": None,
                "parallel-max": str(streams),
                "write-out": "%{http_version} %{http_code}\\n",
                "url": f"{self._base}{path}?[1-{streams}]",
                "output": "/dev/null",
            },
            headers,
        )
        versions, statuses = zip(*(line.split() for line in made.decode().splitlines()))
        if set(versions) != {"2"}:
            raise ValueError(f"asked for HTTP/2, got {set(versions)}")
        return [int(status) for status in statuses]

    def _curl(self, options: dict, headers) -> bytes:
        """Options go through standard input: header fields may be longer than a command line."""
        options = [*self._options.items(), *options.items()]
        options += [("header", f"{name}: {value}" if value else f"{name};") for name, value in headers]
        run = subprocess.run(
            ["curl", "--config", "-"],
            input="".join(map(_option, options)).encode("latin-1"),
            capture_output=True,
        )
        if run.returncode:
            raise OSError(f"curl: {run.stderr.decode()}")
        return run.stdout


def _option(option) -> str:
    name, value = option
    if value is None:
        return f"{name}\n"
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name} = "{quoted}"\n'
