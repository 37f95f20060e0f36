"""A shell that follows what an operator would type."""

import os
import secrets
import signal
import subprocess
import threading
from pathlib import Path

_PATIENCE = 120  # seconds for one command


class Shell:
    """A bash that runs one command after the other, as a terminal's does; what a command writes to
    standard output and standard error comes together."""

    def __init__(self, folder: Path, commands: Path):
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env={**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # with whatever it leaves in the background
        )

    def run(self, command: str) -> tuple:
        """The command's exit status and output."""
        mark = secrets.token_hex(8)
        patience = threading.Timer(_PATIENCE, self._end)
        patience.start()
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n%s %d\\n' {mark} $?\n")
        self._process.stdin.flush()
        printed = ""
        for line in self._process.stdout:
            if line.startswith(mark):
                patience.cancel()
                printed = printed.removesuffix("\n")
                return int(line.split()[1]), printed if printed.endswith("\n") or not printed else f"{printed}\n"
            printed += line
        raise RuntimeError(f"$ {command}\ndid not end; it printed\n{printed}")

    def close(self):
        self._end()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def _end(self):
        os.killpg(self._process.pid, signal.SIGKILL)
