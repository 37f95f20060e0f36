"""Root directories put together from layers, and processes in them.

Each process has mounts and process numbers of its own: when it ends, for whatever reason, its mounts
and all that it started are gone with it.
"""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

# Should the tests be killed, what they started ends too.
ALONE = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
_APART = ["--net", "--ipc", "--uts"]
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# An address of the container's that is not loopback (RFC 5737): what is published is reached by it.
ADDRESS = "192.0.2.1"


@dataclass(frozen=True)
class Process:
    """A command, as whom and where it runs, and the whole of its environment."""

    words: list
    environment: dict
    folder: str = "/"
    user: tuple = (0, 0)

    def argv(self) -> list:
        """The command with its environment and folder, once inside of the root."""
        pairs = [f"{name}={value}" for name, value in self.environment.items()]
        return ["env", "--ignore-environment", f"--chdir={self.folder}", *pairs, *self.words]


@dataclass(frozen=True)
class Root:
    """A root directory: layers, the lowest first, and perhaps one on top that takes the changes."""

    layers: tuple
    top: Path | None = None
    binds: dict = field(default_factory=dict)  # where, and the file or folder to read there
    volumes: dict = field(default_factory=dict)  # where, and the folder to write to there
    memory: dict = field(default_factory=dict)  # where, and the options of a file system in memory
    read_only: bool = False

    def command(self, place: Path, process: Process) -> list:
        """Runs a process in this root, mounted at a place that nobody else sees it at."""
        user, group = process.user
        # Another user no longer ends with what started it, unless it asks for that anew.
        tied = ["setpriv", "--pdeathsig", "KILL", "--"]
        enter = ["exec", "chroot", f"--userspec={user}:{group}", "--groups=", ".", *tied, *process.argv()]
        return [*ALONE, "sh", "-c", "\n".join([*self.mounts(place), shlex.join(enter)])]

    def container(self, place: Path, process: Process) -> list:
        """The same with a network of its own, which has nothing but a loopback interface."""
        whole = self.command(place, process)
        network = ["ip link set lo up", f"ip address add {ADDRESS}/32 dev lo"]
        return [*whole[: len(ALONE)], *_APART, "sh", "-c", "\n".join([*network, whole[-1]])]

    def mounts(self, place: Path) -> list:
        """Lines for a shell with mounts of its own; the last leaves it in the root directory."""
        lines = ["set -eu", f"mount -t overlay overlay -o {_quoted(self._overlay())} {_quoted(place)}"]
        lines += [f"cd {_quoted(place)}", *_devices(), "mount -t proc proc proc"]
        for where, folder in self.volumes.items():
            # An empty one begins with what the image has there.
            lines.append(f'[ -n "$(ls -A {_quoted(folder)})" ] || cp -a .{_quoted(where)}/. {_quoted(folder)}/')
            lines.append(f"mount --bind {_quoted(folder)} .{_quoted(where)}")
        for where, options in self.memory.items():
            lines.append(f"mount -t tmpfs -o {_quoted(options)} tmpfs .{_quoted(where)}")
        for where, source in self.binds.items():
            lines.append(f"[ -e .{_quoted(where)} ] || touch .{_quoted(where)}")
            lines.append(f"mount --bind {_quoted(source)} .{_quoted(where)}")
            lines.append(f"mount -o remount,bind,ro .{_quoted(where)}")
        if self.read_only:
            lines.append("mount -o remount,bind,ro .")
        return lines

    def _overlay(self) -> str:
        options = "lowerdir=" + ":".join(str(layer) for layer in reversed(self.layers))
        if self.top is not None:
            options += f",upperdir={self.top},workdir={work_folder(self.top)}"
        return options


def work_folder(top: Path) -> Path:
    """Where the overlay prepares changes; beside the layer that takes them."""
    return top.with_name(f"{top.name}.work")


def _devices() -> list:
    lines = ["mount -t tmpfs -o mode=755 tmpfs dev", "mkdir -m 1777 dev/shm"]
    for name in _DEVICES:
        lines.append(f"touch dev/{name} && mount --bind /dev/{name} dev/{name}")
    lines.append("ln -s /proc/self/fd dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        lines.append(f"ln -s /proc/self/fd/{number} dev/{name}")
    return lines


def _quoted(text) -> str:
    return shlex.quote(str(text))
