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
README = ROOT / "README.md"
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
# Where Debian's packages look for modules.
_MODULES = {"httpd": Path("/usr/lib/apache2/modules"), "nginx": Path("/usr/lib/nginx/modules")}
# What Debian's apache2 has switched on before anybody says a2enmod.
_ENABLED = """access_compat alias auth_basic authn_core authn_file authz_core authz_host authz_user autoindex
              deflate dir env filter mime negotiation reqtimeout setenvif status""".split()
# A server that redirects to itself may name the port that it really listens on.
_CURL = """#!/bin/sh
exec /usr/bin/curl --silent --show-error --cacert {ca} --connect-to :443:127.0.0.1:{port} \\
    --resolve '*:{port}:127.0.0.1' "$@"
"""
_COMMAND = """#!/bin/sh
[ "$1 $2" = "tb get" ] || exec {commands}/auth-bound "$@"
shift 2
exec {commands}/auth-bound tb get --ca {ca} --connect 127.0.0.1:{port} "$@"
"""
_A2ENMOD = """#!/bin/sh
export APACHE_CONFDIR={apache2} APACHE_ENVVARS=/etc/apache2/envvars APACHE_STATE_DIRECTORY={apache2}/state
exec /usr/sbin/a2enmod "$@"
"""


class Place:
    """One server of the kind, and one shell; close() ends both with whatever they started.

    The machine is one where Debian's server is installed and this checkout built, no more: what a page
    does not install, enable or make is not there. What it does not have to say: where names like
    api.example are found, which authority curl and `tb get` trust, and which one vouches for the
    servers of others that keys are fetched from."""

    def __init__(self, page: Path, kind: type, around: Surroundings):
        self._page, self._around = page, around
        self._ca = around.pki.ca.certificate
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
        # NGINX reads a relative path from its prefix, where Debian has a link to this folder.
        self._modules = self._site.folder / ("modules" if kind.artifact_folder == "nginx" else "apache2-modules")
        self._shell = Shell(*self._furnish(kind))

    def follow(self):
        """Everything that the page says, in its order."""
        begun = guide.section(README, "Install") if "README.md#install" in self._page.read_text() else []
        for block in [*begun, *guide.blocks(self._page)]:
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
        loading, text = _taken(r"^LoadModule .*\n", text)
        _, base = _taken(r"^(LoadModule|ScriptSock) .*\n", self._base)
        folder = self._site.folder
        enabled = "".join(f"IncludeOptional {folder}/apache2/mods-enabled/*.{kind}\n" for kind in ("load", "conf"))
        ours = f"BoundJwksCa {self._ca}\n" if self._has_authority("BoundJwksCa") else ""
        if "auth_bound" not in loading:  # a page may begin with what was there before us
            base, ours = base.replace(" auth_bound:info", ""), ""
        variables = f"Define APACHE_RUN_DIR {folder}\nDefine APACHE_LOG_DIR {folder}\n"
        return f"{variables}{enabled}{loading}{base}\nListen 127.0.0.1:{self._port}\n{ours}{text}"

    def _nginx_text(self, text: str) -> str:
        outside, text = _taken(r"^(env|load_module) .*\n", text)
        _, base = _taken(r"^load_module .*\n", self._base)
        besides = "ssl_protocols TLSv1.2 TLSv1.3;\n"
        if self._has_authority("bound_jwks_ca"):
            besides += f"bound_jwks_ca {self._ca};\n"
        return f"{outside}{base[: base.rindex('}')]}\n{besides}{text}}}\n"

    def _has_authority(self, directive: str) -> bool:
        """Whether our authority is trusted for keys. That of the server which the page sets up is the
        operator's own, and the page must say so; the others have public ones, which ours stands for."""
        return not self._has_own_keys() or directive in self._page.read_text()

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
        if self._has_own_keys():
            return f"https://localhost:{self._port}/jwks"
        return self._site.key_server.url("/jwks")

    def _has_own_keys(self) -> bool:
        return bool(re.search("sts[-_]jwks", self._page_configuration))

    def _publish(self, request):
        """The issuer that is only spoken of publishes the key set that the page has made."""
        keyserver.content((self._site.folder / "etc/jwks.json").read_text())(request)

    def _placed(self, text: str) -> str:
        """The text with this place's paths and ports in place of an operator's."""
        replacements = {
            r"/etc/auth-bound/server\.pem": self._around.pki.server.certificate,
            r"/etc/auth-bound/server\.key": self._around.pki.server.key,
            r"/etc/auth-bound": self._site.folder / "etc",
            str(_MODULES[self._server_name]): self._modules,
            r"/usr/local/bin": self._site.folder / "commands",
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
            replacements[r"(?m)^( *)(OIDCClientID)"] = rf"\1OIDCCABundlePath {self._ca}\n\1\2"
        for found, here in replacements.items():
            text = re.sub(found, str(here), text)
        return text

    def _furnish(self, kind: type) -> tuple:
        """What the operator has: the checkout, built, and commands."""
        home, bin_, commands = (self._site.folder / name for name in ("home", "bin", "commands"))
        built = home / "target" / kind.artifact_folder / "release"
        for folder in (bin_, commands, built):
            folder.mkdir(parents=True)
        (home / "demo").symlink_to(ROOT / "demo")
        (built / kind.artifact_name).symlink_to(kind.artifact())
        (built / "auth-bound").symlink_to(kind.artifact().with_name("auth-bound"))
        if self._server_name == "httpd":
            self._furnish_httpd(kind)
        apache2 = self._site.folder / "apache2"
        words = {"ca": self._ca, "port": self._port, "commands": commands, "apache2": apache2}
        for name, script in {"curl": _CURL, "auth-bound": _COMMAND, "a2enmod": _A2ENMOD}.items():
            (bin_ / name).write_text(script.format(**words))
            (bin_ / name).chmod(0o755)
        return home, bin_

    def _furnish_httpd(self, kind: type):
        """Debian's modules, all of them installed and few enabled."""
        self._modules.mkdir()
        for module in _MODULES["httpd"].glob("*.so"):
            if module.name != kind.artifact_name:
                (self._modules / module.name).symlink_to(module)
        apache2 = self._site.folder / "apache2"
        (apache2 / "mods-enabled").mkdir(parents=True)
        (apache2 / "mods-available").symlink_to("/etc/apache2/mods-available")
        for name in [*_ENABLED, f"mpm_{kind.mpm}"]:
            for file in (apache2 / "mods-available").glob(f"{name}.*"):
                (apache2 / "mods-enabled" / file.name).symlink_to(file)


def _taken(pattern: str, text: str) -> tuple:
    """The lines that the pattern finds, and the text without them."""
    found = "".join(match[0] for match in re.finditer(pattern, text, re.M))
    return found, re.sub(pattern, "", text, flags=re.M)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
