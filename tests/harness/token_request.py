"""Token requests: a sound one, what a row of the table changes about it, and what must come of it."""

import json
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlencode

from . import table
from .token import Mint, Recipe

AUTHORIZATION_SERVER = "https://as.example"
_URN = "urn:ietf:params:oauth:"
_MEDIA_TYPES = {"form": "application/x-www-form-urlencoded", "json": "application/json"}
# A sound exchange: alice's credential of the file, which is good together with her certificate.
_SOUND = {
    "grant_type": "grant-type:token-exchange",
    "subject_token": "iamtheeggman",
    "subject_token_type": "token-type:access_token",
    "audience": "https://api.example",
}
# What is short in tables: the rest of these names is `_URN`.
_SHORT = ("grant-type:", "token-type:", "client-assertion-type:")


@dataclass(frozen=True)
class Asked:
    """A token request.

    `parameters` and `without` change the sound one, `body` replaces it. `subject`, `actor` and
    `assertion` are recipes of JWTs, which also stand for `{subject}`, `{actor}`, `{assertion}`.
    `content_type` are the values of that header; without, it is the encoding's.
    """

    at: str = "/token"
    host: str = "open"
    method: str = "POST"
    certificate: str = "alice"
    encoding: str = "form"
    parameters: dict = field(default_factory=dict)
    without: tuple = ()
    body: str | None = None
    content_type: list | None = None
    authorization: list = field(default_factory=list)
    headers: list = field(default_factory=list)
    subject: dict | None = None
    actor: dict | None = None
    assertion: dict | None = None


@dataclass(frozen=True)
class Made:
    """A request as it is sent. `secrets` is what no log may have."""

    method: str
    path: str
    headers: list
    body: bytes
    secrets: set


def make(asked: Asked, mint: Mint, known: dict | None = None) -> Made:
    """The request; `known` are placeholders that an earlier answer fills."""
    return _Maker(asked, mint, known or {}).make()


class _Maker:
    def __init__(self, asked: Asked, mint: Mint, known: dict):
        self._asked = asked
        self._mint = mint
        self._known = {**known, **self._tokens()}

    def make(self) -> Made:
        asked = self._asked
        values = {name: self._value(value) for name, value in self._parameters().items()}
        encode = {"form": _form, "json": json.dumps}[asked.encoding]
        body = encode(values) if asked.body is None else self._value(asked.body)
        types = [_MEDIA_TYPES[asked.encoding]] if asked.content_type is None else asked.content_type
        headers = [("Content-Type", self._value(value)) for value in types]
        headers += [("Authorization", self._value(value)) for value in asked.authorization]
        headers += [(name, self._value(value)) for name, value in asked.headers]
        return Made(
            asked.method,
            self._value(asked.at),
            headers,
            body.encode("utf-8", "surrogateescape"),
            self._secrets(values),
        )

    def _parameters(self) -> dict:
        asked, parameters = self._asked, dict(_SOUND)
        if asked.subject is not None:
            parameters["subject_token"] = "{subject}"
        if asked.actor is not None:
            parameters |= {"actor_token": "{actor}", "actor_token_type": "token-type:access_token"}
        if asked.assertion is not None:
            kind = "client-assertion-type:jwt-bearer"
            parameters |= {"client_assertion": "{assertion}", "client_assertion_type": kind}
        parameters |= asked.parameters
        return {name: value for name, value in parameters.items() if name not in asked.without}

    def _tokens(self) -> dict:
        """The JWTs that the row describes."""
        bases = {"subject": _subject, "actor": _actor, "assertion": _assertion}
        recipes = {role: getattr(self._asked, role) for role in bases}
        return {
            f"{{{role}}}": self._mint.token(table.record(Recipe, bases[role](recipe)))
            for role, recipe in recipes.items()
            if recipe is not None
        }

    def _value(self, value):
        if isinstance(value, list):
            return [self._value(one) for one in value]
        if not isinstance(value, str):
            return value
        for placeholder, text in self._known.items():
            value = value.replace(placeholder, text)
        value = self._mint.fill(value)
        return _URN + value if isinstance(value, str) and value.startswith(_SHORT) else value

    def _secrets(self, values: dict) -> set:
        """Of JWTs the parts that nobody knows who does not have them."""
        names = ("subject_token", "actor_token", "client_secret", "client_assertion", "refresh_token")
        found = [values.get(name) for name in names]
        found += [value.split(" ")[-1] for value in map(self._value, self._asked.authorization)]
        texts = [text for text in found if isinstance(text, str)]
        parts = {part for text in texts for part in text.split(".")[-2:]}
        return {part for part in parts if len(part) >= 8}


def _subject(recipe: dict) -> dict:
    return _with_claims(recipe, {"aud": AUTHORIZATION_SERVER, "sub": "ann", "scope": "read write"})


def _actor(recipe: dict) -> dict:
    return _with_claims(recipe, {"aud": AUTHORIZATION_SERVER, "sub": "service"})


def _assertion(recipe: dict) -> dict:
    """RFC 7523, section 3. A recipe that names no `iss` is of the client `jwt`."""
    claims = {"iss": "jwt", "sub": "jwt", "aud": f"{AUTHORIZATION_SERVER}/token", "exp": "{now+60}"}
    claims["jti"] = secrets.token_urlsafe(12)
    usual = {"key": "p256-client", "header": {"typ": "JWT"}, "claims-without": ["cnf", "scope", "client_id"]}
    return _with_claims({**usual, **recipe}, claims)


def _with_claims(recipe: dict, claims: dict) -> dict:
    return {**recipe, "claims": {**claims, **recipe.get("claims", {})}}


def _form(values: dict) -> str:
    return urlencode(values, doseq=True)
