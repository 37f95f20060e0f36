"""A client with Token Binding keys: connections that offer them, messages that their keys sign."""

import dataclasses
from dataclasses import dataclass, field

from . import base64url
from .client import Answer
from .exchange import Http1, Http2
from .server import Server
from .tls_client import TLS_1_2, TLS_1_3, Hello, Session, Tls
from .token_binding import PARAMETERS, Binding, context, message, offer

VERSIONS = {"1.2": TLS_1_2, "1.3": TLS_1_3}
_EXCHANGES = {"h1": (Http1, "http/1.1"), "h2": (Http2, "h2")}
_ALL = tuple(sorted(PARAMETERS.values(), reverse=True))


class BoundConnection:
    """A connection to one virtual host. It offers all key parameters unless it is told otherwise."""

    def __init__(
        self,
        server: Server,
        host: str = "default",
        protocol: str = "h1",
        session: Session | None = None,
        early_data: bytes = b"",
        **hello,
    ):
        site = server.site
        self.keys = site.around.binding_keys
        self.name = site.world.hosts[host].name
        exchange, self._protocol = _EXCHANGES[protocol]
        usual = {
            "token_binding": offer(*_ALL),
            "server_name": self.name,
            "protocols": (self._protocol,),
            "ca": site.around.pki.ca.certificate,
        }
        self.tls = Tls(site.addresses[host].port, Hello(**{**usual, **hello}), session, early_data)
        if self.tls.protocol != self._protocol:
            self.tls.close()
            raise ValueError(f"asked for {self._protocol}, got {self.tls.protocol!r}")
        self._exchange = exchange(self.tls, self.name)

    @property
    def context(self) -> str:
        """Token-Binding-Context as it has to be, or nothing where Token Binding was not negotiated."""
        return context(self.tls.negotiated, self.tls.ekm) if self.tls.negotiated else ""

    @property
    def key(self) -> str:
        """The name of a key with the negotiated parameters."""
        return {2: "p256", 1: "pss", 0: "pkcs"}[self.tls.negotiated[3]]

    def message(self, *bindings: Binding) -> str:
        """A value of Sec-Token-Binding for this connection as it is now."""
        return base64url.encode(message(self.keys, self.tls.ekm, *bindings))

    def fields(self, *bindings: Binding) -> list:
        """The header; without bindings, one provided binding by a key that was negotiated."""
        return [("Sec-Token-Binding", self.message(*(bindings or [Binding(self.key)])))]

    @property
    def kept(self) -> bool:
        """Another request can be sent."""
        return self._exchange.kept

    def request(self, method: str, path: str, headers=(), body: bytes = b"") -> Answer:
        return self._exchange.request(method, path, headers, body)

    def get(self, path: str, *headers: tuple) -> Answer:
        return self.request("GET", path, headers)

    def get_at_once(self, wanted: list) -> list:
        """HTTP/2: the answers to `(path, headers)` asked for in streams side by side."""
        return self.at_once([("GET", path, headers, b"") for path, headers in wanted])

    def at_once(self, wanted: list) -> list:
        """HTTP/2: the answers to `(method, path, headers, body)`, sent in streams side by side."""
        return self._exchange.requests(wanted)

    def turn_to(self, name: str):
        """The next requests name this host, whatever name the handshake was for."""
        self._exchange.host = name

    def close(self):
        self.tls.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclass(frozen=True)
class Presentation:
    """What a scenario's client offers in the handshake, and what it sends in Sec-Token-Binding.

    `offer` names key parameters, none for no extension at all; `message` are bindings. The message
    loses `cut` bytes at its end, gets `within` inside of its vector and `tail` behind it, and the
    text takes the wrong `form`. `values` are the fields sent, where `{message}` is that text.
    """

    offer: list = field(default_factory=lambda: ["ecdsap256"])
    version: str = ""
    extended_master_secret: bool = True
    message: list = field(default_factory=lambda: [{}])
    cut: int = 0
    within: str = ""
    tail: str = ""
    form: str = ""
    values: list = field(default_factory=lambda: ["{message}"])

    def hello(self) -> dict:
        """Words of `Hello`."""
        numbers = [PARAMETERS[name] for name in self.offer]
        return {
            "token_binding": offer(*numbers) if numbers else None,
            "version": VERSIONS.get(self.version),
            "extended_master_secret": self.extended_master_secret,
        }

    def fields(self, connection: BoundConnection) -> list:
        """What is sent on this connection."""
        text = self._text(connection) if any("{message}" in value for value in self.values) else ""
        return [("Sec-Token-Binding", value.replace("{message}", text)) for value in self.values]

    def _text(self, connection: BoundConnection) -> str:
        words = [{name.replace("-", "_"): value for name, value in row.items()} for row in self.message]
        bindings = [Binding(**row) for row in words]
        while True:  # a form that changes nothing comes out differently with another signature
            sound = message(connection.keys, connection.tls.ekm, *bindings)
            inner = sound[2:] + bytes.fromhex(self.within)
            whole = len(inner).to_bytes(2, "big") + inner + bytes.fromhex(self.tail)
            text = base64url.encode(whole[: len(whole) - self.cut])
            if self.form != "standard" or set("-_") & set(text):
                return base64url.misform(text, self.form) if self.form else text


def presentation(words: dict) -> Presentation:
    """From a table."""
    return dataclasses.replace(Presentation(), **{name.replace("-", "_"): value for name, value in words.items()})
