"""Tokens from recipes: a sound base token, and what a scenario changes about it."""

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field

from . import base64url
from .keys import USUAL_KEY, Keys
from .placeholders import fill

ISSUER = "https://issuer.example"
AUDIENCE = "https://api.example"

# Texts that a table cannot hold: too long, or not Unicode.
_TEXTS = {
    "byte": lambda digits: bytes.fromhex(digits).decode("utf-8", "surrogateescape"),
    "cookies": lambda count: "; ".join(f"c{number}=v" for number in range(int(count))),
    "dots": lambda count: "." * int(count),
    "zeros": lambda count: "A" * int(count),  # base64url
    "basic": lambda pair: base64.b64encode(pair.replace("/", ":", 1).encode()).decode(),  # RFC 7617
    "sha256": lambda text: hashlib.sha256(text.encode()).hexdigest(),
    "nested": lambda depth: "[" * int(depth) + "]" * int(depth),
}


@dataclass(frozen=True)
class Misform:
    """One part of the token (or its whole), and the wrong form it is sent in."""

    part: str
    form: str


@dataclass(frozen=True)
class Recipe:
    """How a token differs from the base token; every member is data in a scenario table.

    `*-json` gives members as JSON text, for what TOML cannot say; `*-insert` puts raw text behind
    the opening brace (a duplicate member), `*-junk` behind the closing one; `*-text` replaces all.
    """

    alg: str | None = "ES256"
    key: str | None = None
    sign_as: str | None = None
    hmac: str | None = None
    header: dict = field(default_factory=dict)
    header_without: tuple = ()
    header_json: dict = field(default_factory=dict)
    header_insert: str = ""
    header_junk: str = ""
    header_text: str | None = None
    claims: dict = field(default_factory=dict)
    claims_without: tuple = ()
    claims_json: dict = field(default_factory=dict)
    claims_insert: str = ""
    claims_junk: str = ""
    claims_text: str | None = None
    filler: int = 0
    misform: dict | None = None
    signature: str = "sound"
    parts: int = 3
    raw: str | None = None


class Mint:
    """Makes tokens, independent of the code under test."""

    def __init__(self, keys: Keys, clients: dict, places: dict):
        """`places` are the names that the site gives a meaning to, as functions."""
        self._keys = keys
        self._clients = clients
        self._places = places
        self.made = []  # for tests that look for them where they must not be

    def token(self, recipe: Recipe = Recipe()) -> str:
        self.made.append(self._token(recipe))
        return self.made[-1]

    def _token(self, recipe: Recipe) -> str:
        if recipe.raw is not None:
            return self.fill(recipe.raw)
        misform = Misform(**recipe.misform) if recipe.misform else Misform("none", "")
        header = _part("header", self._header(recipe), misform)
        claims = _part("claims", self._claims(recipe), misform)
        signature = self._signature(recipe, f"{header}.{claims}".encode())
        parts = [header, claims, _part("signature", signature, misform), "AA"][: recipe.parts]
        token = ".".join(parts)
        return base64url.misform(token, misform.form) if misform.part == "token" else token

    def fill(self, value):
        """`value` with its placeholders filled."""
        return fill(value, self._lookup)

    def _lookup(self, found):
        name, argument = found["name"], found["argument"]
        if name == "now":
            offset = found["offset"] or "0"
            return int(time.time()) + (float(offset) if "." in offset else int(offset))
        if name in _TEXTS:
            return _TEXTS[name](argument)
        text = self._of_place(name, argument) if name in self._places else self._of_client(name, argument)
        return base64url.misform(text, found["form"]) if found["form"] else text

    def _of_place(self, name: str, argument: str | None):
        return self._places[name](*([argument] if argument else []))

    def _of_client(self, name: str, client: str) -> str:
        return {
            "x5t": lambda identity: base64url.encode(identity.sha256()),
            "x5t-sha1": lambda identity: base64url.encode(identity.sha1()),
            "x5t-hex": lambda identity: identity.sha256().hex(),
            "der": lambda identity: base64.b64encode(identity.der).decode(),
        }[name](self._clients[client])

    def _header(self, recipe: Recipe) -> bytes:
        header = {"typ": "at+jwt", "alg": recipe.alg, "kid": self._key(recipe)}
        header.update(recipe.header)
        members = _texts(self.fill(header), recipe.header_without, self.fill(recipe.header_json))
        return _object(members, recipe.header_insert, recipe.header_junk, recipe.header_text)

    def _claims(self, recipe: Recipe) -> bytes:
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "alice",
            "client_id": "app",
            "scope": "read write",
            "iat": "{now-5}",
            "exp": "{now+600}",
            "jti": secrets.token_urlsafe(12),
            "cnf": {"x5t#S256": "{x5t:alice}"},
        }
        claims.update(recipe.claims)
        members = _texts(self.fill(claims), recipe.claims_without, self.fill(recipe.claims_json))
        if recipe.filler:
            members["filler"] = json.dumps("x" * recipe.filler)
        return _object(members, recipe.claims_insert, recipe.claims_junk, recipe.claims_text)

    def _key(self, recipe: Recipe) -> str:
        return recipe.key or USUAL_KEY.get(recipe.sign_as or recipe.alg, "rsa")

    def _signature(self, recipe: Recipe, data: bytes) -> bytes:
        if recipe.signature == "empty":
            return b""
        if recipe.hmac:
            return self._keys.hmac_with_public_key(self._key(recipe), recipe.hmac, data)
        algorithm = recipe.sign_as or recipe.alg
        made = self._keys.sign(self._key(recipe), algorithm, data, der=recipe.signature == "der")
        return {
            "sound": lambda: made,
            "der": lambda: made,
            "flipped": lambda: bytes([made[0] ^ 1]) + made[1:],
            "short": lambda: made[:-1],
            "long": lambda: made + b"\0",
            "zeros": lambda: bytes(len(made)),
        }[recipe.signature]()


def _texts(members: dict, without, as_json: dict) -> dict:
    texts = {name: json.dumps(value) for name, value in members.items() if name not in without}
    return {**texts, **as_json}


def _object(members: dict, insert: str, junk: str, text: str | None) -> bytes:
    if text is None:
        body = ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items())
        text = "{" + (f"{insert}," if insert else "") + body + "}" + junk
    return text.encode("utf-8", "surrogateescape")


def _part(name: str, data: bytes, misform: Misform) -> str:
    if name != misform.part:
        return base64url.encode(data)
    if misform.form in ("padded", "spare-bits") and name != "signature":
        data += b" " * (1 if len(data) % 3 == 0 else 0)  # these forms need a length off by one
    return base64url.misform(base64url.encode(data), misform.form)
