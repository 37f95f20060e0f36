"""A world: the virtual hosts and protected locations that scenarios visit, in neutral words.

`httpd.py` and `nginx.py` render it. A `Site` is one world on one server: its folder and ports.
"""

import json
import random
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from . import base64url, keyserver, table, token_binding
from .backend import Backend
from .client import Address
from .cookie_seal import Secrets
from .keys import Keys
from .keyserver import KeyServer
from .openid_provider import OpenIdProvider
from .pki import Pki
from .ports import free_ports
from .token import Mint

# What the module itself answers for, as `served` of a location.
ENDPOINTS = ("token-exchange", "sts-jwks", "sts-metadata")


@dataclass(frozen=True)
class Host:
    """A virtual host. `certificates` is httpd's and NGINX's common word, or none without TLS.

    It has an address of its own, or is one more name at the address of the host it is `beside`.
    """

    certificates: str | None = None
    name: str = "localhost"
    beside: str = ""
    bare: bool = False  # true: neither the directives nor the locations of the world's other hosts
    set: dict = field(default_factory=dict)
    httpd: str = ""
    nginx: str = ""


@dataclass(frozen=True)
class Location:
    """A protected path; `set` holds directives, `require` what all must hold."""

    path: str
    protect: bool = True
    set: dict = field(default_factory=dict)
    require: list = field(default_factory=list)
    served: str = "backend"
    httpd: str = ""
    nginx: str = ""
    only: str = ""
    reason: str = ""


@dataclass(frozen=True)
class World:
    """What the table says, parsed."""

    realm: str
    hosts: dict
    location: list
    process: dict = field(default_factory=dict)
    set: dict = field(default_factory=dict)
    jwks: dict = field(default_factory=dict)
    endpoints: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    exported: list = field(default_factory=list)
    announced: list = field(default_factory=list)
    httpd: str = ""
    nginx: str = ""

    @classmethod
    def read(cls, name: str) -> "World":
        return cls.parse(table.read(f"worlds/{name}.toml"))

    @classmethod
    def parse(cls, words: dict) -> "World":
        hosts = {name: table.record(Host, host) for name, host in words["hosts"].items()}
        locations = [table.record(Location, location) for location in words["location"]]
        return table.record(cls, {**words, "hosts": hosts, "location": locations})


class Surroundings:
    """What every server of a run shares: certificates, keys, secrets and the backend."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="auth-bound-tests-"))
        self.folder.chmod(0o755)  # the servers' workers run as another user
        self.pki = Pki(self.folder / "pki")
        self.keys = Keys()
        self.binding_keys = token_binding.Keys()
        self.secrets = Secrets()
        self.backend = Backend()

    def close(self):
        self.backend.close()
        shutil.rmtree(self.folder)


class Site:
    """One world on one server: its folder, its ports, its key servers."""

    def __init__(self, world: World, around: Surroundings, name: str):
        self.world = world
        self.around = around
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=around.folder))
        self.folder.chmod(0o755)
        self.addresses = _addresses(world.hosts)
        self._key_servers = []
        self._providers = []
        self._behaviours = {}
        self.mint = Mint(around.keys, around.pki.clients, self._places())
        self.document_root.mkdir()
        for name in world.jwks:
            self.write_jwks(name)
        for name, content in world.files.items():
            self.write_file(name, self.fill(content))
        for location in world.location:
            if location.served == "file":
                page = self.document_root / location.path.strip("/") / "page.txt"
                page.parent.mkdir(parents=True, exist_ok=True)
                page.write_text(f"the page of {location.path}\n")

    def close(self):
        for server in self._key_servers + self._providers:
            server.stop()

    @cached_property
    def key_server(self) -> KeyServer:
        return self._open_key_server()

    @cached_property
    def tls_key_server(self) -> KeyServer:
        return self._open_key_server(self.around.pki.server)

    @cached_property
    def untrusted_key_server(self) -> KeyServer:
        return self._open_key_server(self.around.pki.clients["self-signed"])

    @cached_property
    def openid_provider(self) -> OpenIdProvider:
        provider = OpenIdProvider(self.around.keys)
        self._providers.append(provider)
        return provider

    @property
    def document_root(self) -> Path:
        return self.folder / "pages"

    def jwks_file(self, name: str) -> Path:
        return self.folder / f"{name}.jwks"

    def secret_file(self, name: str) -> Path:
        """A file with the secret of this name, the same on every site."""
        file = self.folder / f"{name}.secret"
        if not file.exists():
            file.touch(0o600)
            file.write_text(self.around.secrets[name].line)
        return file

    def write_file(self, name: str, content: str):
        """A file of the world, replaced in one step. Scripts can be run, secrets are root's alone."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(content)
        fresh.chmod(0o755 if content.startswith("#!") else 0o600 if name.endswith(".secret") else 0o644)
        fresh.rename(self.folder / name)

    def signing_key_file(self, name: str) -> Path:
        """The private key of this name in PEM, for a server to sign with."""
        file = self.folder / f"{name}.pem.secret"
        if not file.exists():
            self.write_file(file.name, self.around.keys.pem(name))
        return file

    def url(self, host: str) -> str:
        """A virtual host by its URL; one with TLS by the name that its certificate has."""
        address = self.addresses[host]
        return f"https://localhost:{address.port}" if address.tls else f"http://127.0.0.1:{address.port}"

    def write_jwks(self, name: str, entries: list | None = None):
        """The world's JWK Set, or other entries under its name; replaced in one step."""
        file = self.jwks_file(name)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(self.jwks(self.world.jwks[name] if entries is None else entries)))
        fresh.rename(file)

    def jwks(self, entries: list) -> dict:
        """An entry is a key's name, or a table: the key's name and the members that differ."""
        return {"keys": [self._jwk(entry) for entry in entries]}

    def fill(self, value):
        return self.mint.fill(value)

    def host_words(self, host: Host) -> dict:
        """The directives of a virtual host."""
        return self.fill(({} if host.bare else self.world.set) | host.set)

    def host_locations(self, host: Host, server: str) -> list:
        """Its locations on the server of this name."""
        locations = [] if host.bare else self.world.location
        return [location for location in locations if location.only in ("", server)]

    def _jwk(self, entry) -> dict:
        if isinstance(entry, str):
            return self.around.keys.jwk(entry)
        members = {name: value for name, value in self.fill(entry).items() if name != "key"}
        for name in members.pop("without", ()):
            members[name] = None
        return self.around.keys.jwk(entry["key"], **members)

    def _open_key_server(self, identity=None) -> KeyServer:
        server = KeyServer(identity)
        self._key_servers.append(server)
        for path in self.world.endpoints:
            server.serve(path, lambda request, path=path: self._behaviour(path)(request))
        return server

    def _behaviour(self, path: str):
        """Made at the first request: it may name the very server that it belongs to."""
        if path not in self._behaviours:
            ((kind, argument),) = self.world.endpoints[path].items()
            if kind == "jwks":
                kind, argument = "document", self.jwks(self.world.jwks[argument])
            self._behaviours[path] = getattr(keyserver, kind)(self.fill(argument))
        return self._behaviours[path]

    def _places(self) -> dict:
        return {
            "jwks": self.jwks_file,
            "secret": self.secret_file,
            "signing-key": self.signing_key_file,
            "url": self.url,
            "key-id": lambda name: self.around.secrets[name].key_id.hex(),
            "key-server": lambda: self.key_server.url(),
            "tls-key-server": lambda: self.tls_key_server.url(),
            "untrusted-key-server": lambda: self.untrusted_key_server.url(),
            "openid-provider": lambda: self.openid_provider.url(),
            "closed-port": lambda: free_ports(1)[0],
            "ca": lambda: self.around.pki.ca.certificate,
            "other-ca": lambda: self.around.pki.other_ca.certificate,
            "crl": self.around.pki.crl,
            "folder": lambda: self.folder,
            "document-root": lambda: self.document_root,
            "backend": lambda: f"http://127.0.0.1:{self.around.backend.port}",
            "tbh": lambda key: self.around.binding_keys[key].tbh,
            "token-binding-id": lambda key: self.around.binding_keys[key].encoded,
            "modulus": lambda bits: base64url.number(random.getrandbits(int(bits)) | 1),
        }


def _addresses(hosts: dict) -> dict:
    own = [name for name, host in hosts.items() if not host.beside]
    ports = dict(zip(own, free_ports(len(own))))
    return {
        name: Address(ports[host.beside or name], host.certificates is not None)
        for name, host in hosts.items()
    }
