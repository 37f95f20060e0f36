"""Devices that keep keys, as far as programs can tell: tokens of SoftHSM's, reached over PKCS #11."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from . import base64url
from .client import Address
from .pki import Identity
from .table import TESTS

LIBRARY = "/usr/lib/softhsm/libsofthsm2.so"
_PIN = "294751"
_SO_PIN = "12345678"
_LOGIN = ("--login", "--pin", _PIN)
_ENGINE = ("-engine", "pkcs11", "-keyform", "engine")
_PATIENCE = 30


@dataclass(frozen=True)
class Result:
    """What a program ended with."""

    status: int
    output: str
    complaint: str


class Library:
    """SoftHSM that takes its time to sign, and counts the PINs that it refuses (device.c)."""

    def __init__(self, folder: Path, slowness: float = 0):
        folder.mkdir()
        self.path, self._refusals = folder / "device.so", folder / "refusals"
        self._refusals.touch()
        self._refusals.chmod(0o666)
        words = {"SLOWNESS": int(slowness * 1e6), "LIBRARY": f'"{LIBRARY}"', "REFUSALS": f'"{self._refusals}"'}
        defined = [f"-D{word}={value}" for word, value in words.items()]
        command = ["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", *defined, "-o", self.path]
        subprocess.run([*command, TESTS / "harness/device.c"], check=True)

    def refusals(self) -> int:
        return self._refusals.stat().st_size


class Token:
    """A token with keys in it."""

    def __init__(self, folder: Path, label: str):
        folder.mkdir()
        self._label = label
        self._pin = folder / "pin"
        self.storage, configuration = folder / "tokens", folder / "softhsm2.conf"
        self.storage.mkdir()
        configuration.write_text(f"directories.tokendir = {self.storage}\nlog.level = ERROR\n")
        self._pin.touch(0o600)
        self._pin.write_text(_PIN)  # without an end of line, which OpenSSL's engine would take for a part of it
        # What a program must be started with to find the token, and what OpenSSL's engine must know.
        self.environment = {"SOFTHSM2_CONF": str(configuration), "PKCS11_MODULE_PATH": LIBRARY}
        self.made("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", _PIN, "--so-pin", _SO_PIN)

    def generate(self, name: str, key_type: str):
        """A key pair; `key_type` is pkcs11-tool's word."""
        self.tool("--keypairgen", "--key-type", key_type, "--label", name, "--id", name.encode().hex())

    def uri(self, name: str, pin: Path | None = None, library: Path | None = None) -> str:
        """The key's (RFC 7512); OpenSSL's engine learns of the library otherwise."""
        query = f"pin-source=file:{pin or self._pin}" + (f"&module-path={library}" if library else "")
        return f"pkcs11:token={self._label};object={name};type=private?{query}"

    def change_pin(self, to: str = _PIN, login: str = _PIN):
        """The file of the PIN goes on having the one from the beginning."""
        words = ("--token-label", self._label, "--login", "--pin", login, "--change-pin", "--new-pin", to)
        self.made("pkcs11-tool", "--module", LIBRARY, *words)

    def tool(self, *words) -> str:
        """What pkcs11-tool says, logged in."""
        return self.made("pkcs11-tool", "--module", LIBRARY, "--token-label", self._label, *_LOGIN, *words)

    def made(self, *command) -> str:
        result = self.run(*command)
        assert result.status == 0, f"{command}: {result}"
        return result.output

    def run(self, *command, given: str = "") -> Result:
        environment = {**os.environ, **self.environment}
        run = subprocess.run(
            command, env=environment, input=given, capture_output=True, text=True, timeout=_PATIENCE
        )
        return Result(run.returncode, run.stdout, run.stderr)


class Device(Token):
    """One user's device with one key pair in it; the certificate is a file, the key is nowhere else."""

    def __init__(self, folder: Path, user: str, key_type: str):
        super().__init__(folder, user)
        self.generate("tls", key_type)
        self.key = self.uri("tls")
        self.certificate = folder / "certificate.pem"
        request = ("req", "-x509", "-days", "2", "-subj", f"/CN={user}", "-out", str(self.certificate))
        self.made("openssl", *request, *_ENGINE, "-key", self.key)
        certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        self.thumbprint = base64url.encode(certificate.fingerprint(hashes.SHA256()))

    def curl(self, ca: Identity, address: Address, path: str, *words, certificate=None, key=None) -> Result:
        """curl with the device's key, or with another one, and its certificate, or with another one."""
        client = ("--cert", str(certificate or self.certificate), "--key", str(key or self.key))
        url = f"https://localhost:{address.port}{path}"
        return self.run("curl", "--silent", "--show-error", "--cacert", str(ca.certificate), *client, *words, url)

    def s_client(self, ca: Identity, address: Address, request: str) -> Result:
        """`openssl s_client` with the device's key; it sends this and shows what comes back."""
        server = ("-connect", f"127.0.0.1:{address.port}", "-servername", "localhost", "-CAfile", str(ca.certificate))
        client = ("-cert", str(self.certificate), "-key", self.key, *_ENGINE)
        return self.run("openssl", "s_client", "-quiet", *server, *client, given=request)

    def files(self) -> bytes:
        """What a thief of the certificate's folder gets, the device's own storage aside."""
        return b"".join(file.read_bytes() for file in self.certificate.parent.iterdir() if file.is_file())
