"""A server process started for the tests, and ended by its own process id."""

import os
import signal
import subprocess
import time
from pathlib import Path

from .client import Connection
from .errorlog import ErrorLog, parse
from .table import TESTS
from .world import Site

_START = 20
_STOP = 20
# Should the tests themselves be killed, their servers end too.
_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")


class Server:
    """Common to httpd and NGINX; subclasses say how to render and to signal."""

    name = ""
    protocols = ("h1", "h2")
    artifact_folder = ""
    artifact_name = ""
    graceful_stop = signal.SIGQUIT
    reload_signal = signal.SIGHUP
    ready_line = ""  # in the error log, at start and after each reload

    def __init__(self, site: Site, wrapper=(), patience: float = 1, environment=None, **options):
        """`wrapper` runs the server under a tool, which may make it slower by `patience`; its processes
        see `environment` besides."""
        self.site = site
        self.options = options
        self._wrapper = wrapper
        self._patience = patience
        self.environment = environment or {}
        self.process = None
        self.configuration = site.folder / "server.conf"
        self.configuration.write_text(self.render())
        self.log = ErrorLog(site.folder / "error.log", self.name, site.world.announced)
        self.access_log = site.folder / "access.log"

    @classmethod
    def artifact(cls, build: str = "") -> Path:
        """The module; `build` names one that was built with other features than the released one."""
        folder = f"{cls.artifact_folder}-{build}" if build else cls.artifact_folder
        variable = f"AUTH_BOUND_{folder.replace('-', '_')}_SO".upper()
        default = TESTS.parent / "target" / folder / "release" / cls.artifact_name
        path = Path(os.environ.get(variable, default)).resolve()
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is not there: build the module, set {variable}, "
                f"or leave {cls.name} out of AUTH_BOUND_SERVERS"
            )
        return path

    def module(self) -> Path:
        """The one that this server loads."""
        return self.artifact(self.options.get("build", ""))

    def render(self) -> str:
        raise NotImplementedError

    def command(self) -> list:
        raise NotImplementedError

    def check_command(self) -> list:
        raise NotImplementedError

    def check(self) -> subprocess.CompletedProcess:
        """The server's own configuration test."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(self.check_command(), capture_output=True, text=True, env=environment)

    def start(self):
        self.log.path.touch()
        starts = self._starts()
        with (self.site.folder / "console.log").open("ab") as console:
            self.process = subprocess.Popen(
                [*_WITH_US, *self._wrapper, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,  # prefork ends its whole process group when it stops
                # A panic is one line; whoever runs the tests may have asked for more.
                env={**os.environ, **self.environment, "RUST_BACKTRACE": "0"},
            )
        try:
            self._await(lambda: self._starts() > starts)
        except BaseException:
            self._kill()
            raise

    def stop(self, how=None) -> int:
        """Ends the server and returns its exit status."""
        # mpm_event crashes now and then (without us, too) when SIGTERM meets a closing connection.
        time.sleep(0.1)
        self.process.send_signal(how or signal.SIGTERM)
        try:
            return self.process.wait(_STOP * self._patience)
        except subprocess.TimeoutExpired:
            self._kill()
            raise

    def reload(self):
        """Graceful restart on httpd, HUP on NGINX; returns once new workers are at work."""
        starts, before = self._starts(), set(self.workers())
        self.process.send_signal(self.reload_signal)
        self._await(lambda: self._starts() > starts and set(self.workers()) - before)

    def workers(self) -> list:
        """The child processes, as the kernel lists them."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def worker_of(self, connection: Connection) -> int:
        """The worker that holds the other end, by way of the socket's inode."""
        port = connection.socket.getsockname()[1]
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inodes = {f"socket:[{row[9]}]" for row in sockets if row[2].endswith(f":{port:04X}")}
        for worker in self.workers():
            if inodes & set(_open_files(worker)):
                return worker
        raise LookupError(f"no worker holds the connection from port {port}")

    def console(self) -> list:
        """What it wrote to its standard output and error, as log lines."""
        return parse((self.site.folder / "console.log").read_text())

    def _kill(self):
        """The server with all of its children: the process group that it was started in."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _starts(self) -> int:
        return len(self.log.matching(self.ready_line))

    def _await(self, reached):
        until = time.monotonic() + _START * self._patience
        while not reached():
            if self.process.poll() is not None:
                said = "\n".join(line.text for line in self.console() + self.log.lines())
                raise RuntimeError(f"{self.name} ended:\n{said}")
            if time.monotonic() > until:
                raise TimeoutError(f"{self.name} is not ready")
            time.sleep(0.02)


def directives(words: dict, name, end: str, indent: str) -> str:
    """Neutral words as one server's directives; a list is a directive said several times."""
    lines = []
    for word, values in words.items():
        for value in values if isinstance(values, list) else [values]:
            lines.append(f"{indent}{name(word)} {value}{end}\n")
    return "".join(lines)


def _open_files(process: int):
    """What its descriptors stand for; one may be closed meanwhile."""
    for file in Path(f"/proc/{process}/fd").iterdir():
        try:
            yield os.readlink(file)
        except FileNotFoundError:
            pass
