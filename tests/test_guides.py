"""README and the guides, followed to the letter: every command is run and must print what the page
shows, every configuration is served with (harness/guide.py says how a page is read)."""

import re
from pathlib import Path

import pytest

from harness import guide
from harness.guide_place import Place
from harness.servers import chosen
from harness.table import TESTS

ROOT = TESTS.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/guides").glob("*.md"))]
# Pages speak of HTTP/2 as well, which httpd has under event and worker.
KINDS = list({kind.artifact_folder: kind for kind in reversed(chosen()) if "h2" in kind.protocols}.values())


def cases():
    """Each page with the servers that it has a configuration for."""
    for page in PAGES:
        text = page.read_text()
        configured = {server for word, server in guide.SERVERS.items() if f"\n```{word}" in text}
        for kind in KINDS:
            if kind.artifact_folder in configured:
                yield pytest.param(page, kind, id=f"{kind.name} :: {page.name}")


@pytest.mark.parametrize("page, kind_of_server", cases())
def test_page(around, page, kind_of_server):
    follow(page, kind_of_server, around)


def follow(page, kind, around):
    place = Place(page, kind, around)
    try:
        place.follow()
    finally:
        place.close()


def test_links_lead_somewhere():
    for page in [*PAGES, *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


# The directives of those whose users move over.
MOD_OAUTH2 = Path("/usr/lib/apache2/modules/mod_oauth2.so")
THEIRS = {
    "move-from-mod_oauth2.md": lambda: re.findall(rb"\x00(OAuth2[A-Z]\w+)(?=\x00)", MOD_OAUTH2.read_bytes()),
    "move-from-mod_token_binding.md": lambda: [
        *(b"TokenBindingEnabled", b"TokenBindingProvidedEnvVar", b"TokenBindingReferredEnvVar"),
        *(b"TokenBindingContextEnvVar", b"TokenBindingPassVar"),
        *(b"token_binding", b"token_binding_cookie", b"token_binding_secret"),
    ],
}


@pytest.mark.parametrize("page", THEIRS)
def test_every_directive_of_theirs_has_its_row(page):
    names = {name.decode() for name in THEIRS[page]()}
    rows = re.findall(r"(?m)^\| .*?`(\w+)", (ROOT / "docs/guides" / page).read_text())
    assert len(names) >= 5
    assert names <= set(rows)


WRONG = {
    "a block of an unknown kind": "```\nls\n```\n",
    "output that differs": "```console\n$ echo one\ntwo\n```\n",
    "output that the page does not show": "```console\n$ echo one\n```\n",
    "a line too many": "```console\n$ printf '1\\n2\\n'\n1\n```\n",
    "a command that fails": "```sh\nfalse\n```\n",
    "a line that was not logged": "```log\nAB1212 certificate-mismatch\n```\n",
    "a refusal that the page does not show": "```console\n$ curl https://api.example/\n{...\n```\n```log\n```\n",
    "a configuration that is none": "```apache\nBoundIssuer\n```\n```nginx\nbound_issuer;\n```\n",
}
INSTALLED = "The module is [installed](README.md#install).\n"
CONFIGURATION = """```apache
LoadModule auth_bound_module /usr/lib/apache2/modules/mod_auth_bound.so
BoundTokenBinding on
BoundTokenBindingRequired on
ProxyPass / http://127.0.0.1:8080/
```
```nginx
load_module modules/ngx_http_auth_bound_module.so;
bound_token_binding on;
bound_token_binding_required on;
location / { proxy_pass http://127.0.0.1:8080/; }
```
"""
RIGHT = """```console
$ printf '%s\\n' 1 2 3 && false
1
...
3
$ echo one \\
    two
one ...
$ true
```
"""


def test_a_page_that_is_right(around, tmp_path, kind):
    page = tmp_path / "page.md"
    page.write_text(INSTALLED + CONFIGURATION + RIGHT)
    follow(page, kind, around)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_page_that_is_wrong(around, tmp_path, kind, wrong):
    page = tmp_path / "page.md"
    page.write_text(INSTALLED + CONFIGURATION + wrong)
    with pytest.raises((AssertionError, ValueError, RuntimeError)):
        follow(page, kind, around)


# What becomes of a page that leaves out a step of the installation, or takes another way.
SERVED = INSTALLED + CONFIGURATION
NOT_THERE = r"(?s)annot load |dlopen\(\).*cannot open shared object file"
UNINSTALLED = {
    "a module that is not installed": (CONFIGURATION, NOT_THERE),
    "a module loaded from somewhere else": (
        SERVED.replace("/usr/lib/apache2/modules", "modules").replace("modules/ngx", "elsewhere/ngx"),
        NOT_THERE,
    ),
    "a command that is not installed": ("```sh\nauth-bound --version\n```\n" + CONFIGURATION, "ended with 127"),
    "a folder that nobody made": ("```sh\necho > /etc/auth-bound/credentials\n```\n" + CONFIGURATION, "ended with 1:"),
}


@pytest.mark.parametrize("text, found", UNINSTALLED.values(), ids=UNINSTALLED)
def test_a_page_that_leaves_out_the_installation(around, tmp_path, kind, text, found):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises((AssertionError, RuntimeError), match=found):
        follow(page, kind, around)


@pytest.mark.parametrize("kind_of_server", [kind for kind in KINDS if kind.artifact_folder == "httpd"])
def test_a_page_that_does_not_enable_a_module(around, tmp_path, kind_of_server):
    page = tmp_path / "page.md"
    page.write_text(re.sub(r"(?m)^a2enmod .*\n", "", (ROOT / "README.md").read_text()))
    with pytest.raises(RuntimeError, match="Invalid command 'SSL"):
        follow(page, kind_of_server, around)


def test_a_page_that_does_not_say_whom_to_trust_for_keys(around, tmp_path, kind):
    """The keys come from the page's own server, whose certificate is of an authority of its own."""
    page = tmp_path / "page.md"
    page.write_text(re.sub("BoundJwksCa|bound_jwks_ca", "another directive", (ROOT / "README.md").read_text()))
    with pytest.raises(AssertionError, match="X-User"):
        follow(page, kind, around)
