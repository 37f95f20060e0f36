"""The modules as files: what they export, what they link, and that the shims stay shims."""

import re
import subprocess

import pytest

from harness.table import TESTS

ROOT = TESTS.parent
EXPORTS = {
    "httpd": {"auth_bound_module"},
    "nginx": {"ngx_modules", "ngx_module_names", "ngx_module_order"},
}
# Lines a person reads in one sitting: one server's shim with what it shares with the other's.
ONE_SITTING = 2200
# Security data is compared in the core. What the shims compare: httpd's names of directives, of the
# AuthType, of handlers and of headers, NGINX's names of variables and of headers, and `on`.
COMPARISONS = {
    "ap_cstr_casecmp": {"httpd.c", "httpd_request.c"},
    "strcmp": {"httpd_endpoint.c"},
    "ngx_strcasecmp": {"nginx.c"},
    "ngx_strncasecmp": {"nginx_variables.c", "nginx_headers.c", "nginx_cookies.c"},
}


def shims() -> dict:
    return {path.name: path.read_text() for path in sorted((ROOT / "c_shim").glob("*.[ch]"))}


def test_only_what_the_server_asks_for_is_exported(kind):
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", kind.artifact()], capture_output=True, text=True, check=True
    )
    assert {line.split()[-1] for line in listing.stdout.splitlines()} == EXPORTS[kind.artifact_folder]


def test_there_is_one_tls_library(kind):
    needed = subprocess.run(["ldd", kind.artifact()], capture_output=True, text=True, check=True).stdout
    assert re.search(r"libssl\.so\.3 ", needed) and re.search(r"libcrypto\.so\.3 ", needed)
    assert not re.search("gnutls|nss|mbedtls|wolfssl", needed)


def test_no_other_crypto_library_is_built_in():
    locked = (ROOT / "Cargo.lock").read_text()
    assert not re.search(r'name = "(rustls|ring|aws-lc-\w+|webpki|mbedtls|openssl-src)"', locked)


@pytest.mark.parametrize("other", ["httpd", "nginx"])
def test_a_shim_can_be_read_in_one_sitting(other):
    read = {name: text for name, text in shims().items() if not name.startswith(other)}
    assert sum(text.count("\n") for text in read.values()) < ONE_SITTING


@pytest.mark.parametrize("name", sorted(shims()))
def test_a_shim_holds_no_policy(name):
    code = re.sub(r"/\*.*?\*/", "", shims()[name], flags=re.S)
    for call in re.findall(r"\b(\w*(?:str|mem)\w*cmp\w*|strstr|strchr)\(", code):
        assert name in COMPARISONS.get(call, ()), f"{name} compares with {call}"
    assert not re.search(r"\b(malloc|calloc|realloc|strdup|ngx_alloc|ngx_calloc)\(", code)
    # Text from outside is never a format.
    for function, form in re.findall(r"\b(ap_log_\w+|ngx_log_error|ngx_conf_log_error)\(([^\n]*)", code):
        assert '"' in form or form.endswith(","), f"{name}: {function} without a literal format"
