"""Token Binding messages (RFC 8471): keys, IDs and signatures, and the ways to get each one wrong."""

import hashlib
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from . import base64url

PARAMETERS = {"rsa2048_pkcs1.5": 0, "rsa2048_pss": 1, "ecdsap256": 2}
PROVIDED, REFERRED = 0, 1
VERSION = (1, 0)

# "pss3072-other" is one more key of this kind: parameters, then bits where RSA should differ.
_NAME = re.compile(r"(?P<kind>p256|pss|pkcs)(?P<bits>\d*)(-[\w-]+)?")
_PARAMETERS_OF = {"p256": 2, "pss": 1, "pkcs": 0}
_FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1  # of P-256


def offer(*parameters: int, version: tuple = VERSION) -> bytes:
    """The body of a client's extension (RFC 8472, section 2)."""
    return bytes(version) + vector8(bytes(parameters))


def vector8(data: bytes) -> bytes:
    return len(data).to_bytes(1, "big") + data


def vector16(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


class Key:
    """A Token Binding key and its ID."""

    def __init__(self, name: str):
        found = _NAME.fullmatch(name)
        self.parameters = _PARAMETERS_OF[found["kind"]]
        if found["kind"] == "p256":
            self.private = ec.generate_private_key(ec.SECP256R1())
        else:
            self.private = rsa.generate_private_key(65537, int(found["bits"] or 2048))

    def identifier(self, form: str = "sound", parameters: int | None = None) -> bytes:
        """TokenBindingID (RFC 8471, section 3.2), possibly under other parameters than its own."""
        number = self.parameters if parameters is None else parameters
        public = self.private.public_key()
        key = (_point if isinstance(public, ec.EllipticCurvePublicKey) else _rsa)(public, form)
        if form in _WRONG_LENGTHS:
            return bytes([number]) + (len(key) + _WRONG_LENGTHS[form]).to_bytes(2, "big") + key
        return bytes([number]) + vector16(key)

    @property
    def encoded(self) -> str:
        """EncodedTokenBindingID (draft-ietf-tokbind-ttrp-09, section 2.1)."""
        return base64url.encode(self.identifier())

    @property
    def tbh(self) -> str:
        """The member of `cnf` (draft-ietf-oauth-token-binding-08, section 3)."""
        return base64url.encode(hashlib.sha256(self.identifier()).digest())

    def sign(self, data: bytes, form: str = "sound") -> bytes:
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            return self._ecdsa(data, form)
        return _misshapen(self._rsa(data, form), form)

    def _ecdsa(self, data: bytes, form: str) -> bytes:
        der = self.private.sign(data, ec.ECDSA(hashes.SHA384() if form == "sha384" else hashes.SHA256()))
        if form == "der":
            return der
        return _misshapen(b"".join(part.to_bytes(32, "big") for part in decode_dss_signature(der)), form)

    def _rsa(self, data: bytes, form: str) -> bytes:
        digest = hashes.SHA384() if form == "sha384" else hashes.SHA256()
        scheme = {0: "pkcs", 1: "pss"}[self.parameters]
        if form == "padded-message":
            return _padded(hashlib.sha256(data).digest(), self.private.key_size // 8)
        if form in ("zero-first", "zero-left-out"):
            return self._rsa_with_zero(data)
        if form == "other-scheme":
            scheme = {"pkcs": "pss", "pss": "pkcs"}[scheme]
        if scheme == "pkcs":
            return self.private.sign(data, padding.PKCS1v15(), digest)
        salt = {"salt-0": 0, "salt-20": 20, "salt-31": 31, "salt-max": padding.PSS.MAX_LENGTH}.get(form, 32)
        mask = hashes.SHA1() if form == "mask-sha1" else hashes.SHA256()
        return self.private.sign(data, padding.PSS(padding.MGF1(mask), salt), digest)

    def _rsa_with_zero(self, data: bytes) -> bytes:
        """A signature whose first byte is zero: one in 256, if there is a salt."""
        if self.parameters != PARAMETERS["rsa2048_pss"]:
            raise ValueError("the same data always has the same signature")
        while (signature := self._rsa(data, "sound"))[0] != 0:
            pass
        return signature


class Keys:
    """The Token Binding keys of one run, by name."""

    def __init__(self):
        self._made = {}

    def __getitem__(self, name: str) -> Key:
        if name not in self._made:
            self._made[name] = Key(name)
        return self._made[name]


@dataclass(frozen=True)
class Binding:
    """One TokenBinding of a message; all members but `key` say how it departs from a sound one.

    `signs_type`, `signs_parameters` and `signs_ekm` are what goes into the signature in place of
    the truth; `signer` is the name of another key that signs.
    """

    key: str = "p256"
    type: int = PROVIDED
    parameters: int | None = None
    identifier: str = "sound"
    signature: str = "sound"
    signer: str = ""
    signs_type: int | None = None
    signs_parameters: int | None = None
    signs_ekm: str = ""
    extensions: str = ""

    def encode(self, keys: Keys, ekm: bytes) -> bytes:
        key = keys[self.key]
        parameters = key.parameters if self.parameters is None else self.parameters
        signed = bytes([
            self.type if self.signs_type is None else self.signs_type,
            parameters if self.signs_parameters is None else self.signs_parameters,
        ])  # fmt: skip
        signed += bytes.fromhex(self.signs_ekm) or ekm
        return b"".join([
            bytes([self.type]),
            key.identifier(self.identifier, parameters),
            vector16(keys[self.signer or self.key].sign(signed, self.signature)),
            vector16(bytes.fromhex(self.extensions)),
        ])  # fmt: skip


def message(keys: Keys, ekm: bytes, *bindings: Binding) -> bytes:
    """TokenBindingMessage (RFC 8471, section 3)."""
    return vector16(b"".join(binding.encode(keys, ekm) for binding in bindings))


def context(negotiated: bytes, ekm: bytes) -> str:
    """Token-Binding-Context (draft-campbell-tokbind-tls-term-00, section 2) after this answer."""
    major, minor, one, parameters = negotiated
    if one != 1:
        raise ValueError(f"the server chose {one} key parameters")
    return base64url.encode(bytes([major, minor, parameters]) + ekm)


_WRONG_LENGTHS = {"length-short": -1, "length-long": 1}


def _point(public: ec.EllipticCurvePublicKey, form: str) -> bytes:
    """TB_ECPoint; forms that are no point have nothing to do with the key."""
    numbers = public.public_numbers()
    x, y = (coordinate.to_bytes(32, "big") for coordinate in (numbers.x, numbers.y))
    return {
        "uncompressed": lambda: vector8(b"\x04" + x + y),
        "compressed": lambda: vector8(bytes([2 + (numbers.y & 1)]) + x),
        "short": lambda: vector8((x + y)[:-1]),
        "long": lambda: vector8(x + y + b"\0"),
        "empty": lambda: vector8(b""),
        "zeros": lambda: vector8(bytes(64)),
        "off-curve": lambda: vector8(x + y[:-1] + bytes([y[-1] ^ 1])),
        "past-the-field": lambda: vector8(_past_the_field()),
        "trailing": lambda: vector8(x + y) + b"\0",
        "inner-length": lambda: bytes([65]) + x + y,
    }.get(form, lambda: vector8(x + y))()


def _past_the_field() -> bytes:
    """A point of the curve with the field's prime added to its x."""
    x = 0
    while True:
        x += 1
        try:
            encoded = b"\x02" + x.to_bytes(32, "big")
            y = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded).public_numbers().y
        except ValueError:
            continue
        return (x + _FIELD).to_bytes(32, "big") + y.to_bytes(32, "big")


def _rsa(public: rsa.RSAPublicKey, form: str) -> bytes:
    """RSAPublicKey."""
    numbers = public.public_numbers()
    modulus = numbers.n.to_bytes((public.key_size + 7) // 8, "big")
    exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")
    return {
        "leading-zero": lambda: vector16(b"\0" + modulus) + vector8(exponent),
        "even": lambda: vector16(modulus[:-1] + bytes([modulus[-1] ^ 1])) + vector8(exponent),
        "empty-modulus": lambda: vector16(b"") + vector8(exponent),
        "empty-exponent": lambda: vector16(modulus) + vector8(b""),
        "even-exponent": lambda: vector16(modulus) + vector8(b"\x02"),
        "exponent-one": lambda: vector16(modulus) + vector8(b"\x01"),
        "exponent-zero": lambda: vector16(modulus) + vector8(b"\0" + exponent),
        "trailing": lambda: vector16(modulus) + vector8(exponent) + b"\0",
    }.get(form, lambda: vector16(modulus) + vector8(exponent))()


def _padded(digest: bytes, size: int) -> bytes:
    """EMSA-PKCS1-v1_5 of a SHA-256 hash (RFC 8017, section 9.2)."""
    info = bytes.fromhex("3031300d060960864801650304020105000420") + digest
    return b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info


def _misshapen(signature: bytes, form: str) -> bytes:
    return {
        "flipped": lambda: bytes([signature[0] ^ 4]) + signature[1:],
        "last-flipped": lambda: signature[:-1] + bytes([signature[-1] ^ 1]),
        "short": lambda: signature[:-1],
        "zero-left-out": lambda: signature[1:],
        "long": lambda: signature + b"\0",
        "empty": lambda: b"",
        "zeros": lambda: bytes(len(signature)),
    }.get(form, lambda: signature)()
