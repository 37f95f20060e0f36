"""Certificates of the test world: one CA, a server, and the clients that scenarios name."""

import datetime
import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from . import base64url

_SERVER_NAMES = (
    x509.DNSName("localhost"),
    x509.DNSName("*.test.example"),
    *(x509.DNSName(f"{name}.example") for name in ("api", "app", "issuer")),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
)
_NAMES = (
    x509.DNSName("service.example"),
    x509.UniformResourceIdentifier("https://service.example/id"),
    x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
    x509.RFC822Name("service@service.example"),
)


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, as files."""

    certificate: Path
    key: Path
    der: bytes

    def sha256(self) -> bytes:
        return hashlib.sha256(self.der).digest()

    def sha1(self) -> bytes:
        return hashlib.sha1(self.der).digest()


class Pki:
    """Everything is made anew for each run, so nothing here can expire or leak."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self._folder = folder
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self._ca_name = _name("Test CA")
        ca = self._certificate(self._ca_name, self._ca_key, self._ca_name, self._ca_key, ca=True)
        self.ca = self._write("ca", ca, self._ca_key)
        other_key, other_name = ec.generate_private_key(ec.SECP256R1()), _name("Other CA")
        other_ca = self._certificate(other_name, other_key, other_name, other_key, ca=True)
        self.other_ca = self._write("other-ca", other_ca, other_key)
        self.server = self._issue("server", "localhost", names=_SERVER_NAMES)
        self.clients = {
            "alice": self._issue("alice", "alice", wanted=_tells_encodings_apart),
            "bob": self._issue("bob", "bob"),
            "same-name-other-key": self._issue("same-name-other-key", "alice"),
            "self-signed": self._self_signed("self-signed"),
            "service": self._issue("service", "service", names=_NAMES),
            "outsider": self._outsider(other_name, other_key),
        }

    def crl(self, *revoked: str) -> str:
        """The CA's list of the certificates that it has revoked, as PEM."""
        now = datetime.datetime.utcnow()
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._ca_name)
        builder = builder.last_update(now - datetime.timedelta(hours=1)).next_update(now + datetime.timedelta(days=2))
        for name in revoked:
            serial = x509.load_der_x509_certificate(self.clients[name].der).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def _outsider(self, ca_name: x509.Name, ca_key) -> Identity:
        """Everything that `service` is, but for who says so."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._write("outsider", self._certificate(_name("service"), key, ca_name, ca_key, names=_NAMES), key)

    def _issue(self, file, common_name, names=(), wanted=lambda thumbprint: True) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(common_name)
        while True:  # the serial number, and with it the thumbprint, is another each time
            made = self._certificate(name, key, self._ca_name, self._ca_key, names=names)
            if wanted(base64url.encode(made.fingerprint(hashes.SHA256()))):
                return self._write(file, made, key)

    def _self_signed(self, file: str) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(file)
        return self._write(file, self._certificate(name, key, name, key), key)

    @staticmethod
    def _certificate(subject, key, issuer, issuer_key, ca=False, names=()):
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def _write(self, file: str, certificate: x509.Certificate, key) -> Identity:
        identity = Identity(
            self._folder / f"{file}.pem",
            self._folder / f"{file}.key",
            certificate.public_bytes(serialization.Encoding.DER),
        )
        identity.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        identity.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return identity


def _tells_encodings_apart(thumbprint: str) -> bool:
    """Standard base64 looks different, and upper case leaves the last character canonical."""
    return {"-", "_"} <= set(thumbprint) and thumbprint[-1] in "AEIMQUY048"


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
