"""A client with a token, for tests that say what they do in Python."""

from .client import Answer, Connection, Http2, tls_context
from .server import Server
from .token import Recipe


class Caller:
    """Calls one virtual host of a server as one client, with tokens made by recipe."""

    def __init__(self, server: Server, certificate: str = "alice", host: str = "open", version=None):
        self._server = server
        around = server.site.around
        self._ca = around.pki.ca
        self._client = around.pki.clients.get(certificate)
        self.address = server.site.addresses[host]
        self.context = tls_context(self._ca, self._client, version)

    def connect(self, session=None) -> Connection:
        return Connection(self.address, self.context, session)

    def http2(self) -> Http2:
        return Http2(self.address, self._ca, self._client)

    def headers(self, token: str | None = None, **recipe) -> list:
        return [("Authorization", f"Bearer {token or self.token(**recipe)}")]

    def token(self, **recipe) -> str:
        return self._server.site.mint.token(Recipe(**recipe))

    def get(self, path: str, token: str | None = None, **recipe) -> Answer:
        """One request on a connection of its own."""
        with self.connect() as connection:
            return connection.request("GET", path, self.headers(token, **recipe))
