"""Signing keys, made when first named, and their JWKs."""

import hashlib
import hmac

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from . import base64url

# The kind of key is the first word of its name: "p256-other" is one more P-256 key.
_KINDS = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
    "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "k256": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
}

# Algorithm: the key that signs when a recipe names none.
USUAL_KEY = {
    "RS256": "rsa", "RS384": "rsa", "RS512": "rsa",
    "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
    "ES256": "p256", "ES384": "p384", "ES512": "p521",
    "EdDSA": "ed25519", "Ed25519": "ed25519", "Ed448": "ed448",
}

_HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "secp256k1"}


class Keys:
    """The keys of one run, by name."""

    def __init__(self):
        self._made = {}

    def __getitem__(self, name: str):
        if name not in self._made:
            self._made[name] = _KINDS[name.split("-")[0]]()
        return self._made[name]

    def sign(self, name: str, algorithm: str, data: bytes, der: bool = False) -> bytes:
        key = self[name]
        if algorithm.startswith("Ed"):
            return key.sign(data)
        digest = _HASHES[algorithm[2:]]()
        if algorithm.startswith("RS"):
            return key.sign(data, padding.PKCS1v15(), digest)
        if algorithm.startswith("PS"):
            pss = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
            return key.sign(data, pss, digest)
        signature = key.sign(data, ec.ECDSA(digest))
        return signature if der else _raw_ecdsa(signature, key.curve.key_size)

    def pem(self, name: str) -> str:
        """The private key, as a server reads it."""
        return self[name].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def hmac_with_public_key(self, name: str, form: str, data: bytes) -> bytes:
        """The classic confusion: HS256 keyed with the bytes of a public key."""
        encoding = {"pem": serialization.Encoding.PEM, "der": serialization.Encoding.DER}[form]
        public = self[name].public_key().public_bytes(
            encoding, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hmac.new(public, data, hashlib.sha256).digest()

    def jwk(self, name: str, **members) -> dict:
        """The public JWK; a member given as None is left out."""
        jwk = {**_public_members(self[name].public_key()), "kid": name, "use": "sig", **members}
        return {member: value for member, value in jwk.items() if value is not None}

    def jwks(self, *names: str) -> dict:
        return {"keys": [self.jwk(name) for name in names]}


def _raw_ecdsa(der: bytes, bits: int) -> bytes:
    width = (bits + 7) // 8
    return b"".join(part.to_bytes(width, "big") for part in decode_dss_signature(der))


def _public_members(key) -> dict:
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": base64url.number(numbers.n), "e": base64url.number(numbers.e)}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point, width = key.public_numbers(), (key.curve.key_size + 7) // 8
        coordinate = lambda value: base64url.encode(value.to_bytes(width, "big"))
        return {
            "kty": "EC",
            "crv": _CURVES[key.curve.name],
            "x": coordinate(point.x),
            "y": coordinate(point.y),
        }
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    curve = "Ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "Ed448"
    return {"kty": "OKP", "crv": curve, "x": base64url.encode(raw)}
