"""A server's error log, read as it grows. Lines at warn and above must have been announced."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from . import table

_HTTPD = re.compile(r"\[[^\]]+\] \[(?P<module>\w*):(?P<level>\w+?)\d?\] (?P<text>.*)")
_NGINX = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(?P<level>\w+)\] (?P<text>.*)")
_QUIET = {"trace", "debug", "info", "notice"}
_CRASH = re.compile(r"exit signal|exited on signal|exited with fatal")


@dataclass(frozen=True)
class Line:
    """`module` is empty on NGINX, which does not name it."""

    level: str
    text: str
    module: str = ""

    @property
    def loud(self) -> bool:
        return self.level not in _QUIET or bool(_CRASH.search(self.text))


class ErrorLog:
    def __init__(self, path: Path, server: str, announced: list):
        """`announced` are patterns of lines that belong to the server's world."""
        self.path = path
        self._offset = 0
        lines = table.read("log_lines.toml")["line"]
        usual = [line["pattern"] for line in lines if server.startswith(line["server"])]
        self._allowed = [re.compile(pattern) for pattern in usual + announced]

    def fresh(self) -> list:
        """Lines written since the last call; a line still being written is left for the next."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return parse(whole.decode("utf-8", "replace"))

    def await_line(self, pattern: str, seconds: float = 3) -> list:
        """Fresh lines up to one that matches; all that came, if none does in time."""
        lines, until = self.fresh(), time.monotonic() + seconds
        while not _any(pattern, lines) and time.monotonic() < until:
            time.sleep(0.01)
            lines += self.fresh()
        return lines

    def announce(self, pattern: str):
        """From now on, such lines are expected."""
        self._allowed.append(re.compile(pattern))

    def lines(self) -> list:
        """Everything so far."""
        return parse(self.path.read_text("utf-8", "replace"))

    def matching(self, pattern: str) -> list:
        """Every line so far that matches."""
        return [line.text for line in self.lines() if re.search(pattern, line.text)]

    def unexpected(self, lines: list, *announced: str) -> list:
        """The loud lines that match neither an announced pattern nor the table of allowed ones."""
        patterns = [*map(re.compile, announced), *self._allowed]
        known = lambda line: any(pattern.search(line.text) for pattern in patterns)
        return [line.text for line in lines if line.loud and not known(line)]


def _any(pattern: str, lines: list) -> bool:
    return any(re.search(pattern, line.text) for line in lines)


def parse(text: str) -> list:
    """Lines; one that is not in the server's own form (a panic, a sanitizer) is loud."""
    return [_line(line) for line in text.splitlines() if line]


def _line(text: str) -> Line:
    found = _HTTPD.fullmatch(text) or _NGINX.fullmatch(text)
    return Line(**found.groupdict()) if found else Line("unknown", text)
