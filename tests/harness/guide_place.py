"""A place where a page of the documentation is followed: a server, a shell, and the names, paths and
ports that the page speaks of."""

import re
import socket
from pathlib import Path

from . import guide, keyserver
from .ports import free_ports
from .shell import Shell
from .table import TESTS
from .waiting import eventually
from .world import Site, Surroundings, World

ROOT = TESTS.parent
# Commands that are not run here, and what shows that test.sh runs them.
OF_TEST_SH = {
    "./test.sh": "Runs every test",
    "./demo.sh": "for server in httpd nginx; do\n        ./demo.sh",
    "./demo.sh --server nginx": "./demo.sh --once --server $server",
    "cargo httpd": "cargo --quiet httpd",
    "cargo nginx": "cargo --quiet nginx",
}
_MODULES = "/usr/lib/apache2/modules"
_WORLD = {"realm": "guide", "hosts": {}, "location": []}
# The OpenID provider of the pages that speak of one.
_PROVIDER = {"certificates": "none", "httpd": 'ProxyPass "/" "{openid-provider}/"'}
_HOST = {
    "httpd": """<VirtualHost *:443>
ServerName api.example
ServerAlias app.example issuer.example localhost
SSLEngine on
SSLCertificateFile /etc/auth-bound/server.pem
SSLCertificateKeyFile /etc/auth-bound/server.key
{}
</VirtualHost>
""",
    "nginx": """server {{
listen 443 ssl;
server_name api.example app.example issuer.example localhost;
ssl_certificate /etc/auth-bound/server.pem;
ssl_certificate_key /etc/auth-bound/server.key;
{}
}}
""",
}
# A server that redirects to itself may name the port that it really listens on.
_CURL = """#!/bin/sh
exec /usr/bin/curl --silent --show-error --cacert {ca} --connect-to :443:127.0.0.1:{port} \\
    --resolve '*:{port}:127.0.0.1' "$@"
"""
_COMMAND = """#!/bin/sh
[ "$1 $2" = "tb get" ] || exec {command} "$@"
shift 2
exec {command} tb get --ca {ca} --connect 127.0.0.1:{port} "$@"
"""


class Place:
    """One server of the kind, and one shell; close() ends both with whatever they started."""

    def __init__(self, page: Path, kind: type, around: Surroundings):
        self._page, self._around = page, around
        self._server_name = kind.artifact_folder
        world = World.parse(_WORLD | ({"hosts": {"login": _PROVIDER}} if "login.example" in page.read_text() else {}))
        self._site = Site(world, around, kind.name)
        # What a service manager would give it; SoftHSM finds its tokens by it.
        environment = f"SOFTHSM2_CONF={self._site.folder}/etc/softhsm2.conf"
        self._server = kind(self._site, wrapper=("env", environment))
        self._base = self._server.configuration.read_text()
        self._page_configuration, self._is_served = "", True
        self._port, self._application = free_ports(2)
        self._logged = []
        self._site.key_server.serve("/jwks", self._publish)
        self._shell = Shell(*self._furnish(kind.artifact().with_name("auth-bound")))

    def follow(self):
        """Everything that the page says, in its order."""
        for block in guide.blocks(self._page):
            if block.is_for(self._server_name):
                getattr(self, f"_{block.kind}")(block)
        self._serve()
        assert not self._server.log.unexpected(self._server.log.lines(), *self._logged)

    def close(self):
        self._shell.close()
        if self._server.process:
            self._server.stop()
        self._site.close()

    def _apache(self, block: guide.Block):
        self._configure(block, self._httpd_text, "</VirtualHost>")

    def _nginx(self, block: guide.Block):
        self._configure(block, self._nginx_text, "}")

    def _configure(self, block: guide.Block, whole, end: str):
        """From here on the configuration is this one, or the one before with this one besides."""
        text = block.text
        if "more" in block.words:
            before, _, after = self._page_configuration.rpartition(end)
            text = f"{before}{text}{end}{after}"
        elif not re.search(r"<VirtualHost|^server \{", text, re.M):
            text = _HOST[self._server_name].format(text)
        self._page_configuration = text
        self._server.configuration.write_text(whole(self._placed(text)))
        self._is_served = False

    def _serve(self):
        """The server runs with the configuration so far. Not before it is needed: one that ends as soon
        as it has started has reason to complain."""
        if not self._is_served:
            if self._server.process:
                self._server.stop()
            self._server.start()
        self._is_served = True

    def _httpd_text(self, text: str) -> str:
        ca = self._around.pki.ca.certificate
        return f"{self._base}\nListen 127.0.0.1:{self._port}\nBoundJwksCa {ca}\n{text}"

    def _nginx_text(self, text: str) -> str:
        outside = "".join(re.findall(r"(?m)^env .*\n", text))
        end = self._base.rindex("}")
        besides = f"bound_jwks_ca {self._around.pki.ca.certificate};\nssl_protocols TLSv1.2 TLSv1.3;"
        return f"{outside}{self._base[:end]}\n{besides}\n{text.replace(outside, '')}}}\n"

    def _sh(self, block: guide.Block):
        for command in guide.commands(block):
            self._run(block, command.text)

    def _console(self, block: guide.Block):
        self._serve()
        for command in guide.commands(block):
            printed = self._run(block, command.text, expected_to_fail=bool(command.output))
            # Every line counts, and where the page shows none there must be none.
            assert guide.pattern(command.output).fullmatch(printed), (
                f"{block.place}: $ {command.text}\nprinted\n{printed}\ninstead of\n{command.output}"
            )

    def _run(self, block: guide.Block, command: str, expected_to_fail: bool = False) -> str:
        shown_by = OF_TEST_SH.get(command.split("  ")[0])
        if shown_by:
            assert shown_by in (ROOT / "test.sh").read_text()
            return ""
        status, printed = self._shell.run(self._placed(command))
        assert status == 0 or expected_to_fail, f"{block.place}: $ {command}\nended with {status}:\n{printed}"
        if command.endswith("&"):
            eventually(lambda: _answers(self._application))
        return printed

    def _log(self, block: guide.Block):
        """Each line of the block is in the log, and no other refusal or complaint."""
        patterns = [guide.pattern(line).pattern.removesuffix(r"\n") for line in block.text.splitlines()]
        fresh = []
        self._serve()
        for wanted in patterns:
            if not any(re.search(wanted, line.text) for line in fresh):
                fresh += self._server.log.await_line(wanted)
            assert any(re.search(wanted, line.text) for line in fresh), (
                f"{block.place}: {wanted} is not among\n" + "\n".join(line.text for line in fresh)
            )
        hidden = self._server.log.unexpected(fresh, *patterns)
        assert not hidden, f"{block.place} does not show {hidden}"
        self._logged += patterns

    def _text(self, block: guide.Block):
        """For people only."""

    def _key_set(self) -> str:
        """Where the issuer's keys are: with this very server, or with one that is only spoken of."""
        if re.search("sts[-_]jwks", self._page_configuration):
            return f"https://localhost:{self._port}/jwks"
        return self._site.key_server.url("/jwks")

    def _publish(self, request):
        """The issuer that is only spoken of publishes the key set that the page has made."""
        keyserver.content((self._site.folder / "etc/jwks.json").read_text())(request)

    def _placed(self, text: str) -> str:
        """The text with this place's paths and ports in place of an operator's."""
        replacements = {
            r"/etc/auth-bound": self._site.folder / "etc",
            r"(?m)^(LoadModule auth_bound_module|load_module) .*$": "",
            r"LoadModule (\w+) modules": rf"LoadModule \1 {_MODULES}",
            r"(?m)^Listen 443$": "",
            r"\*:443": f"127.0.0.1:{self._port}",
            r"listen 443": f"listen 127.0.0.1:{self._port}",
            r"\b8080\b": self._application,
            # What the server itself asks for.
            r"(jwks[-_]uri) https://issuer\.example/jwks": rf"\1 {self._key_set()}",
            r"ServerName issuer\.example": "ServerName issuer.example\nServerAlias localhost",
            r"server_name issuer\.example": "server_name issuer.example localhost",
        }
        if "login" in self._site.addresses:
            issuer = f"https://localhost:{self._site.addresses['login'].port}"
            self._site.openid_provider.issuer = issuer
            replacements[r"https://login\.example"] = issuer
            ca = self._around.pki.ca.certificate
            replacements[r"(?m)^( *)(OIDCClientID)"] = rf"\1OIDCCABundlePath {ca}\n\1\2"
        for found, here in replacements.items():
            text = re.sub(found, str(here), text)
        return text

    def _furnish(self, command: Path) -> tuple:
        """What the operator has: the server's certificate in /etc/auth-bound, the checkout, commands."""
        etc, home, bin_ = (self._site.folder / name for name in ("etc", "home", "bin"))
        for folder in (etc, home, bin_):
            folder.mkdir()
        server = self._around.pki.server
        (etc / "server.pem").symlink_to(server.certificate)
        (etc / "server.key").symlink_to(server.key)
        (home / "demo").symlink_to(ROOT / "demo")
        words = {"ca": self._around.pki.ca.certificate, "port": self._port, "command": command.resolve()}
        for name, script in {"curl": _CURL, "auth-bound": _COMMAND}.items():
            (bin_ / name).write_text(script.format(**words))
            (bin_ / name).chmod(0o755)
        return home, bin_


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
