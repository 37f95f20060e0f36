"""README's comparison is true: its figures are counted again."""

import importlib.util
import re

import pytest

from harness.httpd import HttpdEvent
from harness.nginx import Nginx
from harness.table import TESTS

NEAR = 0.15
ROWS = {
    "httpd, mod_auth_bound": (HttpdEvent, "/ours"),
    "httpd, mod_oauth2 3.3.1, its cache on": (HttpdEvent, "/theirs"),
    "NGINX, mod_auth_bound": (Nginx, "/ours"),
}


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("mod_oauth2", TESTS.parent / "benches/mod_oauth2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SHORT, module.LONG = 10, 40
    return module


@pytest.mark.parametrize("row", ROWS)
def test_a_token_seen_before(around, bench, row):
    kind, path = ROWS[row]
    if "release" not in kind.artifact().parts:
        pytest.skip(f"{kind.artifact()} is no release build, of which the figures are")
    found = re.search(rf"(?m)^\| {re.escape(row)} \|.*?\| ([\d,]+) \|", (TESTS.parent / "README.md").read_text())
    promised = int(found[1].replace(",", ""))
    assert abs(bench.each(kind, around, path, fresh=False) / promised - 1) < NEAR
