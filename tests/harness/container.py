"""Runs images without a container engine: a root directory, processes and a network of its own."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from . import dockerfile
from .image import Image, Layers
from .root import Process, Root, work_folder

# As `docker stop` waits before it kills.
_STOP = 10


class Unhealthy(Exception):
    """A container's health check does not succeed in time, or the container has ended."""


class Container:
    """A running image; all that it prints is in the file `log`."""

    def __init__(self, image: Image, root: Root, place: Path, log: Path):
        self.image = image
        self.log = log
        self._environment = {"HOME": "/", **dict(image.environment)}
        first = self._process([*image.entrypoint, *image.words])
        with log.open("ab") as out:
            # It may open what it has inherited, as an engine's do.
            os.fchown(out.fileno(), *first.user)
            self._outer = subprocess.Popen(
                root.container(place, first), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def run(self, words: list, **options) -> subprocess.CompletedProcess:
        """Runs a command inside, as the image's user: what `docker exec` does."""
        process = self._process(words)
        user, group = process.user
        enter = [*self._enter("--mount", "--pid", "--ipc", "--uts", "--root"), f"--setuid={user}", f"--setgid={group}"]
        return subprocess.run([*enter, "--", *process.argv()], capture_output=True, **options)

    def from_outside(self, words: list, **options) -> subprocess.CompletedProcess:
        """Runs a command of this machine's on the container's network."""
        return subprocess.run([*self._enter(), "--", *words], capture_output=True, **options)

    def wait_until_healthy(self):
        """Repeats the image's health check until it succeeds."""
        flags = self.image.health.flags
        timeout = dockerfile.seconds(flags["timeout"])
        until = time.monotonic() + dockerfile.seconds(flags["start-period"])
        while (result := self.run(dockerfile.command(self.image.health), timeout=timeout)).returncode != 0:
            if self._outer.poll() is not None or time.monotonic() > until:
                raise Unhealthy(f"{result.stdout.decode()}{result.stderr.decode()}\n{self.log.read_text()}")
            time.sleep(0.2)

    def process_owners(self) -> set:
        """The users of all of its processes: real, effective, saved, for files."""
        owners = set()
        for pid in self.processes():
            status = Path(f"/proc/{pid}/status").read_text()
            owners.update(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:])
        return {int(owner) for owner in owners}

    def processes(self) -> list:
        """The numbers, on this machine, of its first process and of all that came of it."""
        found, open_ones = [], [self.first()]
        while open_ones:
            pid = open_ones.pop()
            found.append(pid)
            with suppress(FileNotFoundError):
                open_ones += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def first(self) -> int:
        """The number, on this machine, of its first process."""
        outer = self._outer.pid
        until = time.monotonic() + 5
        while not (children := Path(f"/proc/{outer}/task/{outer}/children").read_text().split()):
            if self._outer.poll() is not None or time.monotonic() > until:
                raise Unhealthy(self.log.read_text())
            time.sleep(0.01)
        return int(children[0])

    def stop(self) -> int:
        """SIGTERM to the first process, and its exit status."""
        os.kill(self.first(), signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """The exit status of the first process, which must end by itself."""
        return self._outer.wait(_STOP)

    def kill(self):
        """Ends it at once; its processes end with the one that keeps them apart."""
        if self._outer.poll() is None:
            self._outer.kill()
            self._outer.wait()

    def _enter(self, *namespaces) -> list:
        return ["nsenter", f"--target={self.first()}", "--net", *namespaces]

    def _process(self, words: list) -> Process:
        return Process(words, self._environment, self.image.folder, self.image.numeric_user())


@contextmanager
def running(image: Image, layers: Layers, folder: Path, volumes=None, memory=None, read_only=False):
    """A container in a `with` block; its changes go with it."""
    folder.mkdir()
    top = layers.scratch(f"container-{folder.name}")
    root = Root(image.layers, top, volumes=volumes or {}, memory=memory or {}, read_only=read_only)
    container = Container(image, root, layers.place, folder / "log")
    try:
        yield container
    finally:
        container.kill()
        shutil.rmtree(top)
        shutil.rmtree(work_folder(top))
