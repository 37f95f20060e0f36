"""Issued tokens, read and verified with the keys of a JWK Set alone: what any resource server can do."""

import hashlib
import json
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from . import base64url

_CURVES = {"P-256": ec.SECP256R1}
# RFC 7638, section 3.2: the members that a thumbprint is of.
_REQUIRED = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


@dataclass(frozen=True)
class Token:
    """A token whose signature holds."""

    header: dict
    claims: dict


def verified(token: str, jwks: dict) -> Token:
    """Fails where RFC 9068 or the signature is not kept to."""
    parts = token.split(".")
    header, claims = (json.loads(base64url.decode(part)) for part in parts[:2])
    (jwk,) = (jwk for jwk in jwks["keys"] if _key_id(jwk, header) == header["kid"])
    if jwk.get("alg", header["alg"]) != header["alg"]:
        raise ValueError(f"signed with {header['alg']}, and the key is for {jwk['alg']}")
    _verify(jwk, header["alg"], base64url.decode(parts[2]), ".".join(parts[:2]).encode())
    return Token(header, claims)


def _key_id(jwk: dict, header: dict) -> str:
    """A refresh token names its key so that nobody else finds it."""
    return f"refresh:{jwk['kid']}" if header["typ"] == "rt+jwt" else jwk["kid"]


def thumbprint(jwk: dict) -> str:
    """RFC 7638, section 3."""
    members = {name: jwk[name] for name in _REQUIRED[jwk["kty"]]}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return base64url.encode(hashlib.sha256(text.encode()).digest())


def _verify(jwk: dict, algorithm: str, signature: bytes, data: bytes):
    """Raises what `cryptography` raises."""
    if algorithm == "RS256":
        return _rsa(jwk).verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    if algorithm == "PS256":
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        return _rsa(jwk).verify(signature, data, pss, hashes.SHA256())
    if algorithm == "ES256":
        if len(signature) != 64:
            raise ValueError(f"{len(signature)} bytes are no signature of ES256")
        pair = encode_dss_signature(_number(signature[:32]), _number(signature[32:]))
        return _ec(jwk).verify(pair, data, ec.ECDSA(hashes.SHA256()))
    if algorithm in ("EdDSA", "Ed25519"):
        public = ed25519.Ed25519PublicKey.from_public_bytes(base64url.decode(jwk["x"]))
        return public.verify(signature, data)
    raise ValueError(f"no test expects {algorithm}")


def _rsa(jwk: dict) -> rsa.RSAPublicKey:
    e, n = (_number(base64url.decode(jwk[name])) for name in ("e", "n"))
    return rsa.RSAPublicNumbers(e, n).public_key()


def _ec(jwk: dict) -> ec.EllipticCurvePublicKey:
    x, y = (_number(base64url.decode(jwk[name])) for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, _CURVES[jwk["crv"]]()).public_key()


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
