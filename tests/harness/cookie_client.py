"""A client with a cookie jar, as far as tests of cookies need one: it minds names and lifetimes, not
hosts and paths."""

import json
import time
from email.utils import parsedate_to_datetime

from .bound_client import BoundConnection
from .client import Answer
from .load import NOBODY
from .server import Server
from .tls_client import TlsError
from .token_binding import Binding, offer


class CookieClient:
    """One client of one virtual host: its certificate, its Token Binding key, its cookies.

    Without `key` it offers no Token Binding. Connections are kept until `close` or `reconnect`.
    """

    def __init__(
        self, server: Server, certificate: str = "alice", key: str = "", protocol: str = "h1", host: str = "app"
    ):
        self.server = server
        self.jar = {}
        self._host = host
        self._protocol = protocol
        self._key = key
        self._identity = server.site.around.pki.clients.get(certificate)
        self._connection = None

    def like(self, **other) -> "CookieClient":
        """A client with these cookies that is otherwise another one."""
        known = {"protocol": self._protocol, "host": self._host}
        client = CookieClient(self.server, **{**known, **other})
        client.jar = dict(self.jar)
        return client

    def ask(
        self, path: str, *, sets=(), replies=(), headers=(), method="GET", body=b"", cookies=None
    ) -> Answer:
        """One request. The backend sets the cookies `sets` and answers with the headers `replies`;
        `cookies` are sent in place of those in the jar."""
        sent = [self.header()] if cookies is None else cookies
        replies = [("Set-Cookie", cookie) for cookie in sets] + list(replies)
        fields = [*headers, ("X-Reply", json.dumps(replies))]
        fields += [("Cookie", header) for header in sent if header]
        answer = self._answer(method, path, fields, body)
        for cookie in answer.all("Set-Cookie"):
            self._store(cookie)
        return answer

    def header(self) -> str:
        """The `Cookie` header."""
        return "; ".join(f"{name}={value}" for name, value in self.jar.items())

    def reconnect(self):
        self.close()

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _answer(self, method: str, path: str, fields: list, body: bytes) -> Answer:
        if self._connection:
            try:
                return self.connection().request(method, path, fields + self.proof(), body)
            except (*NOBODY, TlsError):  # the server has closed it meanwhile
                self.close()
        connection = self.connection()
        return connection.request(method, path, fields + self.proof(), body)

    def connection(self) -> BoundConnection:
        """The one it has, or else a new one."""
        if self._connection and not self._connection.kept:
            self.close()
        if not self._connection:
            offered = offer(2) if self._key else None
            self._connection = BoundConnection(
                self.server, self._host, self._protocol, identity=self._identity, token_binding=offered
            )
        return self._connection

    def proof(self) -> list:
        """What proves its Token Binding key on the connection that it has."""
        return self._connection.fields(Binding(self._key)) if self._key else []

    def _store(self, cookie: str):
        pair, *attributes = cookie.split(";")
        name, _, value = pair.strip().partition("=")
        stated = dict(attribute.strip().lower().partition("=")[::2] for attribute in attributes)
        if "max-age" in stated:
            gone = int(stated["max-age"]) <= 0
        else:
            expires = stated.get("expires")
            gone = expires is not None and parsedate_to_datetime(expires).timestamp() <= time.time()
        if gone:
            self.jar.pop(name, None)
        else:
            self.jar[name] = value


def seen(answer: Answer) -> list:
    """The `Cookie` headers that the backend was sent."""
    assert answer.all("Content-Type") == ["application/json"], answer
    return [value for name, value in json.loads(answer.body)["headers"] if name.lower() == "cookie"]


def told(answer: Answer) -> dict:
    """What the backend was told, by name."""
    headers = json.loads(answer.body)["headers"]
    return {name.removeprefix("X-Env-"): value for name, value in headers if name.startswith("X-Env-")}
