"""A device that keeps keys, as far as programs can tell: a token of SoftHSM's, reached over PKCS #11."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .client import Address
from .pki import Identity

_LIBRARY = "/usr/lib/softhsm/libsofthsm2.so"
_PIN = "294751"
_SO_PIN = "12345678"
_PATIENCE = 30


@dataclass(frozen=True)
class Result:
    """What a program ended with."""

    status: int
    output: str
    complaint: str


class Device:
    """One user's device with one key pair in it; the certificate is a file, the key is nowhere else."""

    def __init__(self, folder: Path, user: str, key_type: str):
        """`key_type` is pkcs11-tool's word."""
        folder.mkdir()
        self._user = user
        tokens, configuration, self._pin = (folder / name for name in ("tokens", "softhsm2.conf", "pin"))
        tokens.mkdir()
        configuration.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
        self._pin.touch(0o600)
        self._pin.write_text(_PIN)  # without an end of line, which OpenSSL's engine would take for a part of it
        self._environment = {**os.environ, "SOFTHSM2_CONF": str(configuration), "PKCS11_MODULE_PATH": _LIBRARY}
        self._made("softhsm2-util", "--init-token", "--free", "--label", user, "--pin", _PIN, "--so-pin", _SO_PIN)
        login = ("--module", _LIBRARY, "--token-label", user, "--login", "--pin", _PIN)
        self._made("pkcs11-tool", *login, "--keypairgen", "--key-type", key_type, "--label", "tls", "--id", "01")
        self.certificate = folder / "certificate.pem"
        request = ("req", "-x509", "-days", "2", "-subj", f"/CN={user}", "-out", str(self.certificate))
        self._made("openssl", *request, *self._engine(), "-key", self.uri())
        certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        self.der = certificate.public_bytes(serialization.Encoding.DER)

    @property
    def identity(self) -> Identity:
        """For those who only look at the certificate."""
        return Identity(self.certificate, Path(self.uri()), self.der)

    def uri(self, pin: Path | None = None) -> str:
        """The key's (RFC 7512)."""
        return f"pkcs11:token={self._user};object=tls;type=private?pin-source=file:{pin or self._pin}"

    def curl(self, ca: Identity, address: Address, path: str, *words, certificate=None, key=None) -> Result:
        """curl with the device's key, or with another one, and its certificate, or with another one."""
        client = ("--cert", str(certificate or self.certificate), "--key", str(key or self.uri()))
        url = f"https://localhost:{address.port}{path}"
        return self._run("curl", "--silent", "--show-error", "--cacert", str(ca.certificate), *client, *words, url)

    def s_client(self, ca: Identity, address: Address, request: str, *words) -> Result:
        """`openssl s_client` with the device's key; it sends this and shows what comes back."""
        server = ("-connect", f"127.0.0.1:{address.port}", "-servername", "localhost", "-CAfile", str(ca.certificate))
        client = ("-cert", str(self.certificate), "-key", self.uri(), *self._engine())
        return self._run("openssl", "s_client", "-quiet", *server, *client, *words, given=request)

    def about_the_key(self) -> str:
        """What the device says of it."""
        login = ("--module", _LIBRARY, "--token-label", self._user, "--login", "--pin", _PIN)
        return self._run("pkcs11-tool", *login, "--list-objects", "--type", "privkey").output

    def files(self) -> bytes:
        """What a thief of the certificate's folder gets, the device's own storage aside."""
        return b"".join(file.read_bytes() for file in self.certificate.parent.iterdir() if file.is_file())

    @staticmethod
    def _engine() -> tuple:
        return "-engine", "pkcs11", "-keyform", "engine"

    def _made(self, *command):
        result = self._run(*command)
        assert result.status == 0, f"{command}: {result}"

    def _run(self, *command, given: str = "") -> Result:
        run = subprocess.run(
            command, env=self._environment, input=given, capture_output=True, text=True, timeout=_PATIENCE
        )
        return Result(run.returncode, run.stdout, run.stderr)
