"""The example configurations are configurations: each is read by its server as it stands, but for
the paths, ports and addresses of the place it is tried in. demo.sh serves with some of them."""

import re

import pytest

from harness.servers import chosen
from harness.table import TESTS
from harness.world import Site, World

ROOT = TESTS.parent
# Configurations are read alike whatever the MPM.
KINDS = list({kind.artifact_folder: kind for kind in chosen()}.values())
CASES = [
    pytest.param(kind, path, id=f"{kind.name} :: {path.name}")
    for kind in KINDS
    for path in sorted((ROOT / f"{kind.artifact_folder}-conf").glob("*.conf"))
]
_ONE_MODULE = "mod_auth_openidc is httpd's"
ONE_SERVER = {"openid-connect.conf": _ONE_MODULE, "bound-openid-session.conf": _ONE_MODULE}
SMALLEST = World.parse(
    {
        "realm": "test",
        "hosts": {"open": {"certificates": "optional_no_ca"}},
        "location": [],
        "jwks": {"sound": ["p256"]},
        "files": {"credentials": "# nobody has one\n"},
    }
)


def placed(text: str, site: Site) -> str:
    """The example with this place's files; a free port is not needed to read a configuration."""
    pki = site.around.pki
    port = site.addresses["open"].port
    replacements = {
        r"/etc/auth-bound/server\.pem": str(pki.server.certificate),
        r"/etc/auth-bound/server\.key": str(pki.server.key),
        r"/etc/auth-bound/jwks\.json": site.fill("{jwks:sound}"),
        r"/etc/auth-bound/cookie\.secret": site.fill("{secret:main}"),
        r"/etc/auth-bound/sts\.pem": site.fill("{signing-key:p256}"),
        r"/etc/auth-bound/credentials": str(site.folder / "credentials"),
        r"(?m)^LoadModule auth_bound_module .*$": "",
        r"(?m)^Listen 443$": "",
        r"\*:443": f"127.0.0.1:{port}",
        r"listen 443": f"listen 127.0.0.1:{port}",
    }
    for pattern, value in replacements.items():
        text = re.sub(pattern, lambda _: str(value), text)
    return text


def uncommented(text: str) -> str:
    """The reference with every default written out; what has no default stays a comment."""
    return re.sub(r"(?m)^#(?=(Bound|bound_)(?!.*\.\.\.))", "", text)


@pytest.mark.parametrize("server_kind, path", CASES)
def test_example_is_read(around, server_kind, path):
    server = server_kind(Site(SMALLEST, around, server_kind.name))
    text = path.read_text()
    example = uncommented(text) if path.name == "reference.conf" else placed(text, server.site)
    whole = server.configuration.read_text()
    if server_kind.artifact_folder == "nginx":
        whole = whole[: whole.rindex("}")] + example + "}\n"
    else:
        whole += example
    server.configuration.write_text(whole)
    result = server.check()
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "httpd-conf").glob("*.conf")))
def test_both_servers_have_each_example(name):
    assert (ROOT / "nginx-conf" / name).exists() != (name in ONE_SERVER)


def test_the_documentation_names_no_directive_that_is_not_there():
    rows = (ROOT / "c_shim/directives.def").read_text()
    known = set(re.findall(r'"(Bound\w+)"', rows)) | set(re.findall(r'"(bound_\w+)"', rows))
    exported = {name.lower() for name in re.findall(r"`(BOUND_\w+)", (ROOT / "docs/exports.md").read_text())}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        named = set(re.findall(r"\b(Bound[A-Z]\w+|bound_\w+)\b", page.read_text()))
        assert {name for name in named if name.lower() not in exported} <= known, page
