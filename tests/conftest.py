"""Fixtures that the test modules share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.register_assert_rewrite("harness")

from harness.servers import Running, chosen  # noqa: E402
from harness.world import Surroundings  # noqa: E402


def pytest_configure(config):
    """A missing module is one clear message, not a thousand failed tests."""
    for kind in chosen():
        try:
            kind.artifact()
        except FileNotFoundError as missing:
            pytest.exit(str(missing), returncode=2)


@pytest.fixture(scope="session")
def around():
    surroundings = Surroundings()
    yield surroundings
    surroundings.close()


@pytest.fixture(scope="session")
def running(around):
    running = Running(around)
    yield running
    running.stop()


# Fixtures that run a test once for each server chosen whose name begins like this. Memcheck is
# slow, and the module's code is the same under every MPM of httpd. mod_http2 does not serve HTTP/2
# under prefork.
KINDS = {
    "kind": "",
    "httpd_kind": "httpd",
    "nginx_kind": "nginx",
    "memory_kind": ("httpd-event", "nginx"),
    "http2_kind": ("httpd-event", "httpd-worker", "nginx"),
    "httpd_http2_kind": ("httpd-event", "httpd-worker"),
}


def pytest_generate_tests(metafunc):
    for fixture in KINDS.keys() & set(metafunc.fixturenames):
        kinds = [kind for kind in chosen() if kind.name.startswith(KINDS[fixture])]
        metafunc.parametrize(fixture, kinds, ids=[kind.name for kind in kinds])
