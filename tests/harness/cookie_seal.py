"""Bound cookies as docs/cookie-seal.md has them, made without any code of the module's, and the ways
to get each part wrong."""

import secrets
import time
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from . import base64url

KINDS = {"nothing": 0, "certificate": 1, "token-binding": 2, "dpop": 3, "device": 4}
POLICIES = {"required": 1, "preferred": 2}
_PREFIX, _NONCE = 5, 24


class Secret:
    """The 32 bytes of a secret's file, and what is derived from them."""

    def __init__(self, data: bytes | None = None):
        self.data = data or secrets.token_bytes(32)

    @property
    def line(self) -> str:
        """The file."""
        return f"auth-bound-secret-v1:{base64url.encode(self.data)}\n"

    @property
    def key(self) -> bytes:
        return self._derived(b"auth-bound cookie seal v1", 32)

    @property
    def key_id(self) -> bytes:
        return self._derived(b"auth-bound cookie key id v1", 4)

    def _derived(self, info: bytes, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, None, info).derive(self.data)


class Secrets:
    """The secrets of one run, by name."""

    def __init__(self):
        self._made = {}

    def __getitem__(self, name: str) -> Secret:
        return self._made.setdefault(name, Secret())


@dataclass(frozen=True)
class Possession:
    """What a cookie is bound to, in words: `certificate:alice`, `token-binding:p256`, `nothing`."""

    kind: int
    hash: bytes

    @classmethod
    def of(cls, words: str, around) -> "Possession":
        kind, _, key = words.partition(":")
        if kind == "token-binding":
            return cls(KINDS[kind], base64url.decode(around.binding_keys[key].tbh))
        if kind == "nothing":
            return cls(0, b"")
        return cls(KINDS[kind], around.pki.clients[key].sha256())


@dataclass(frozen=True)
class Sealed:
    """A cookie; what is not said is sound, and bound to alice's certificate.

    `sent_as` is the name it comes under. `type`, `policy_code`, `kind`, `scope_code` and `tail` are
    bytes of the payload, `version`, `key_id` bytes in front of it, in hexadecimal where they are
    texts; the seal holds all the same. `flipped` names a bit of the decoded text that is not as it
    was, `cut` how many characters the text loses, `tail_text` what it gets, `form` how it is
    spelled. With `parts` the text comes in so many chunks, `without` some of them, `swapped` naming
    one that is of another value, in the order `order`; `count` is what the first one says.
    """

    name: str = "S"
    value: str = "v"
    sent_as: str = ""
    bound: str = "certificate:alice"
    policy: str = "required"
    host: str = "app.test.example"
    domain: bool = False
    path: str = "/"
    age: int = 5
    secret: str = "first"
    type: int = 1
    policy_code: int | None = None
    kind: int | None = None
    scope_code: int | None = None
    tail: str = ""
    version: int = 1
    key_id: str = ""
    flipped: int | None = None
    cut: int = 0
    tail_text: str = ""
    form: str = ""
    parts: int = 1
    count: str = ""
    without: list = field(default_factory=list)
    swapped: int = 0
    order: list = field(default_factory=list)

    def pairs(self, around) -> str:
        """What a browser would put into its `Cookie` header."""
        name = self.sent_as or self.name
        text = self.text(around)
        if self.parts == 1:
            return f"{name}={text}"
        chunks = chunked(name, text, self.parts, self.count)
        other = chunked(name, self.text(around), self.parts)
        if self.swapped:
            chunks[self.swapped] = other[self.swapped]
        order = self.order or range(self.parts)
        return "; ".join(chunks[number] for number in order if number not in self.without)

    def text(self, around) -> str:
        """The sealed text."""
        secret = around.secrets[self.secret]
        prefix = bytes([self.version]) + (bytes.fromhex(self.key_id) or secret.key_id)
        sealed = bytearray(seal(secret.key, prefix, self.payload(around)))
        if self.flipped is not None:
            sealed[self.flipped // 8] ^= 1 << self.flipped % 8
        text = base64url.encode(bytes(sealed))
        text = text[: len(text) - self.cut] + self.tail_text
        return base64url.misform(text, self.form) if self.form else text

    def payload(self, around) -> bytes:
        possession = Possession.of(self.bound, around)
        kind = possession.kind if self.kind is None else self.kind
        policy = POLICIES[self.policy] if self.policy_code is None else self.policy_code
        scope = int(self.domain) if self.scope_code is None else self.scope_code
        fields = (self.host, self.path, self.name, self.value)
        return b"".join([
            bytes([self.type]),
            (int(time.time()) - self.age).to_bytes(8, "big"),
            bytes([policy, kind]),
            possession.hash,
            bytes([scope]),
            *(_field(text.encode("latin-1")) for text in fields),
            bytes.fromhex(self.tail),
        ])  # fmt: skip


def chunked(name: str, text: str, parts: int, count: str = "") -> list:
    """The pairs of a text in so many parts, the last the shortest."""
    size = -(-len(text) // parts)
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    first, *others = pieces
    tag = text[8:16]
    return [f"{name}={count or len(pieces)}~{first}"] + [
        f"{name}~{number}={tag}~{piece}" for number, piece in enumerate(others, 1)
    ]


def seal(key: bytes, prefix: bytes, payload: bytes, nonce: bytes = b"") -> bytes:
    """XAES-256-GCM."""
    nonce = nonce or secrets.token_bytes(_NONCE)
    return prefix + nonce + _message_cipher(key, nonce).encrypt(nonce[12:], payload, prefix)


def opened(secret: Secret, text: str) -> bytes:
    """The payload of a text, which must be sealed with this very secret."""
    sealed = base64url.decode(text)
    prefix, nonce, rest = sealed[:_PREFIX], sealed[_PREFIX : _PREFIX + _NONCE], sealed[_PREFIX + _NONCE :]
    if prefix != b"\1" + secret.key_id:
        raise ValueError("not sealed with this secret")
    return _message_cipher(secret.key, nonce).decrypt(nonce[12:], rest, prefix)


@dataclass(frozen=True)
class Payload:
    """What is read from inside of a seal."""

    issued: int
    policy: str
    possession: Possession
    domain: bool
    host: str
    path: str
    name: str
    value: str

    @classmethod
    def read(cls, payload: bytes) -> "Payload":
        kind = payload[10]
        hash, rest = (payload[11:43], payload[43:]) if kind else (b"", payload[11:])
        domain, rest, fields = rest[0], rest[1:], []
        for _ in range(4):
            length = int.from_bytes(rest[:2], "big")
            fields.append(rest[2 : 2 + length].decode("latin-1"))
            rest = rest[2 + length :]
        if rest or payload[0] != 1:
            raise ValueError(f"not a cookie's payload: {payload!r}")
        policy = {code: name for name, code in POLICIES.items()}[payload[9]]
        issued = int.from_bytes(payload[1:9], "big")
        return cls(issued, policy, Possession(kind, hash), bool(domain), *fields)


def _message_cipher(key: bytes, nonce: bytes) -> AESGCM:
    block = lambda data: Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(data)
    zero = int.from_bytes(block(bytes(16)), "big")
    mask = (zero << 1) % (1 << 128) ^ (0x87 if zero >> 127 else 0)

    def part(count: int) -> bytes:
        counted = int.from_bytes(bytes([0, count, 0x58, 0]) + nonce[:12], "big")
        return block((counted ^ mask).to_bytes(16, "big"))

    return AESGCM(part(1) + part(2))


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
