"""A small OpenID provider that logs everybody in as alice (OpenID Connect Core 1.0).

It stands behind a server that speaks TLS for it and tells it the referred Token Binding ID, to which
it binds ID tokens where it is told to (OpenID Connect Token Bound Authentication 1.0).
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from . import base64url
from .keys import Keys

CLIENT, SECRET = "app", "change-me"
_LIFETIME = 300


class OpenIdProvider:
    """`issuer` is its URL from outside; `binds` says whether ID tokens are bound to the referred key,
    `misbinds` that they are to nobody's. `claims` are added to ID tokens.
    """

    def __init__(self, keys: Keys):
        self.issuer = ""
        self.binds = False
        self.misbinds = False
        self.claims = {}
        self.logins = 0
        self.refreshes = 0
        self._keys = keys
        self._codes = {}
        self._refresh_tokens = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def metadata(self) -> dict:
        """OpenID Connect Discovery 1.0, section 3."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def jwks(self) -> dict:
        return self._keys.jwks("rsa")

    def authorize(self, query: dict, referred: str | None) -> str:
        """Section 3.1.2: where to send the browser, with a code."""
        self.logins += 1
        code = secrets.token_urlsafe(16)
        self._codes[code] = {"nonce": query.get("nonce"), "to": query["redirect_uri"], "referred": referred}
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict, authorization: str) -> dict | None:
        """Sections 3.1.3 and 12: tokens for a code or a refresh token, once; none if anything is
        wrong about the request."""
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization != f"Basic {expected}":
            return None
        if form.get("grant_type") == "refresh_token":
            login = self._refresh_tokens.pop(form.get("refresh_token"), None)
            self.refreshes += bool(login)
        else:
            login = self._codes.pop(form.get("code"), None)
            login = login if login and form.get("redirect_uri") == login["to"] else None
        return self._tokens(login) if login else None

    def _tokens(self, login: dict) -> dict:
        again = secrets.token_urlsafe(16)
        self._refresh_tokens[again] = login
        return {
            "access_token": secrets.token_urlsafe(16),
            "refresh_token": again,
            "token_type": "Bearer",
            "expires_in": _LIFETIME,
            "id_token": self._id_token(login),
        }

    def _id_token(self, login: dict) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "alice", "aud": CLIENT, "iat": now, "exp": now + _LIFETIME}
        claims |= self.claims
        if login["nonce"]:
            claims["nonce"] = login["nonce"]
        if self.misbinds:
            claims["cnf"] = {"tbh": base64url.encode(bytes(32))}
        elif self.binds and login["referred"]:
            claims["cnf"] = {"tbh": _tbh(login["referred"])}
        header = {"typ": "JWT", "alg": "RS256", "kid": "rsa"}
        signed = ".".join(base64url.encode(json.dumps(part).encode()) for part in (header, claims))
        return f"{signed}.{base64url.encode(self._keys.sign('rsa', 'RS256', signed.encode()))}"


def _tbh(encoded: str) -> str:
    """draft-ietf-oauth-token-binding-08, section 3, of an ID in base64url."""
    identifier = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    return base64url.encode(hashlib.sha256(identifier).digest())


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        provider, url = self.server.provider, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/.well-known/openid-configuration":
            self._answer(200, provider.metadata())
        elif url.path == "/jwks":
            self._answer(200, provider.jwks())
        elif url.path == "/authorize" and query.get("client_id") == CLIENT:
            to = provider.authorize(query, self.headers.get("Sec-Referred-Token-Binding-ID"))
            self._answer(302, {}, {"Location": to})
        else:
            self._answer(404, {"error": "not_found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        tokens = self.server.provider.token(form, self.headers.get("Authorization", ""))
        self._answer(200 if tokens else 400, tokens or {"error": "invalid_grant"})

    def _answer(self, code: int, document: dict, headers: dict | None = None):
        content = json.dumps(document).encode()
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """The server in front has a log of its own."""
