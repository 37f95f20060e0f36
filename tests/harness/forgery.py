"""A thief who has a certificate, which anybody may see, and not its key."""

import base64
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .pki import Identity


def forged(identity: Identity, folder: Path) -> Identity:
    """The certificate with a key that looks like its own, and makes signatures that are none.

    OpenSSL compares a key with a certificate by the public half; the private half is another's.
    """
    key = serialization.load_pem_private_key(identity.key.read_bytes(), None)
    sound = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    false = sound.replace(_scalar(key), _scalar(ec.generate_private_key(ec.SECP256R1())))
    lines = base64.encodebytes(false).decode()
    file = folder / "forged.key"
    file.write_text(f"-----BEGIN EC PRIVATE KEY-----\n{lines}-----END EC PRIVATE KEY-----\n")
    return Identity(identity.certificate, file, identity.der)


def _scalar(key) -> bytes:
    return key.private_numbers().private_value.to_bytes(32, "big")
