"""A browser with Token Binding keys, a certificate and cookies, as far as logins need one (RFC 8473, RFC 6265)."""

from http.cookies import SimpleCookie
from urllib.parse import urljoin, urlsplit

from .bound_client import BoundConnection
from .client import Answer
from .pki import Identity
from .server import Server
from .token_binding import PARAMETERS, REFERRED, Binding, offer

_REDIRECTS = 10


class Browser:
    """`hosts` are the world's hosts by the names in URLs. Each request has a connection of its own.

    Without a `name` it knows nothing of Token Binding; with one, it has a key for each host.
    `identity` is the certificate that it shows where it is asked for one.
    """

    def __init__(self, server: Server, hosts: dict, name: str = "", identity: Identity | None = None):
        self._server = server
        self._hosts = hosts
        self._name = name
        self._identity = identity
        self.around = server.site.around
        self.cookies = {host: {} for host in hosts}

    def key(self, host: str) -> str:
        """The name of its key for a host."""
        return f"p256-{self._name}-{self._hosts[host]}"

    def cookie(self, host: str) -> str:
        """What it sends to a host."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies[host].items())

    def like(self, name: str = "", identity: Identity | None = None) -> "Browser":
        """Another browser that has got at the cookies, and not at the keys."""
        other = Browser(self._server, self._hosts, name, identity)
        other.cookies = {host: dict(cookies) for host, cookies in self.cookies.items()}
        return other

    def get(self, url: str) -> Answer:
        """Follows redirects to the end."""
        answer, referred = self.step(url), ""
        for _ in range(_REDIRECTS):
            if not 300 <= answer.status < 400:
                return answer
            referred = urlsplit(url).netloc if self.asked_to_refer(answer) else ""
            url = urljoin(url, answer.all("Location")[0])
            answer = self.step(url, referred)
        raise RecursionError(url)

    def asked_to_refer(self, answer: Answer) -> bool:
        """RFC 8473, section 5.3: a redirect may ask to show its host's key to the next host."""
        wanted = [value.lower() for value in answer.all("Include-Referred-Token-Binding-ID")]
        return bool(self._name) and wanted == ["true"]

    def step(self, url: str, referred: str = "", speechless: bool = False) -> Answer:
        """One request; `referred` is the host whose key is shown as well, `speechless` shows none."""
        parts = urlsplit(url)
        offered = offer(PARAMETERS["ecdsap256"]) if self._name else None
        hello = {"token_binding": offered, "identity": self._identity}
        host = self._hosts[parts.netloc]
        with BoundConnection(self._server, host, server_name=parts.hostname, **hello) as connection:
            connection.turn_to(parts.netloc)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            bindings = [Binding(self.key(parts.netloc))]
            bindings += [Binding(self.key(referred), REFERRED)] if referred else []
            shown = connection.fields(*bindings) if self._name and not speechless else []
            cookies = [("Cookie", self.cookie(parts.netloc))] if self.cookies[parts.netloc] else []
            answer = connection.get(path, ("Accept", "text/html"), *cookies, *shown)
        self._take_cookies(parts.netloc, answer)
        return answer

    def _take_cookies(self, host: str, answer: Answer):
        for line in answer.all("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                gone = not morsel.value or morsel["max-age"] == "0" or "1970" in morsel["expires"]
                self.cookies[host].pop(name, None)
                if not gone:
                    self.cookies[host][name] = morsel.value
