"""Real applications, unchanged: each a process of its own on a free port of loopback."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from .ports import free_ports
from .table import TESTS

_START = 20
# Should the tests themselves be killed, they end too.
_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
_FOLDER = TESTS / "applications"


def cherrypy(port: int, _: Path) -> list:
    return ["/usr/bin/python3", str(_FOLDER / "cherrypy_application.py"), str(port)]


def django(port: int, _: Path) -> list:
    return ["/usr/bin/python3", str(_FOLDER / "django_application.py"), str(port)]


def php(port: int, folder: Path) -> list:
    """PHP's own server; its sessions are files in the folder."""
    options = ["-d", f"session.save_path={folder}", "-d", "display_errors=stderr"]
    return ["php", "-n", *options, "-S", f"127.0.0.1:{port}", str(_FOLDER / "application.php")]


@contextlib.contextmanager
def running(command, folder: Path):
    """The port of an application, which is up as long as the block runs."""
    folder.mkdir()
    (port,) = free_ports(1)
    with (folder / "console.log").open("wb") as console:
        process = subprocess.Popen(
            [*_WITH_US, *command(port, folder)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,  # PHP's server leaves its workers behind
            env={**os.environ, "PHP_CLI_SERVER_WORKERS": "4"},
        )
    try:
        _await(process, port, folder)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(_START)


def _await(process: subprocess.Popen, port: int, folder: Path):
    until = time.monotonic() + _START
    while True:
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{process.args}: {(folder / 'console.log').read_text()}")
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
