"""A page of the documentation, read as what it tells an operator to do.

Its fenced blocks are:

  apache, nginx   the server's configuration from here on; what has no virtual host of its own is put
                  into one. `apache more` is added to the configuration before.
  sh              commands, which must succeed
  console         commands after `$ `, each followed by what it prints; `...` stands for what varies.
                  A command that prints nothing must succeed.
  log             the lines that the server must have logged since the block before, from the number on
  text            pictures

`console nginx` is for one server only, and so is `sh`, `log` with a server's name behind it.

A page with a link to README.md#install begins where that section ends.
"""

import re
from dataclasses import dataclass
from pathlib import Path

SERVERS = {"apache": "httpd", "nginx": "nginx"}
_KINDS = {*SERVERS, "sh", "console", "log", "text"}
_FENCE = re.compile(r"```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    place: str  # page and line
    kind: str
    words: tuple
    text: str

    def is_for(self, server: str) -> bool:
        """Whether it is to be run with this server."""
        wanted = SERVERS.get(self.kind) or next((word for word in self.words if word in SERVERS.values()), server)
        return wanted == server


@dataclass(frozen=True)
class Command:
    """A command with the output that the page shows, empty if it shows none."""

    text: str
    output: str


def blocks(page: Path) -> list:
    """The page's blocks in order; one that is of no known kind is an error."""
    text = page.read_text()
    found = [_block(page, text, fence) for fence in _FENCE.finditer(text)]
    fences = len(re.findall(r"^\s*```", text, re.M))
    if fences != 2 * len(found):
        raise ValueError(f"{page.name} has {fences} fences, but {len(found)} whole blocks")
    return found


def section(page: Path, heading: str) -> list:
    """The blocks below one heading of the second level."""
    text = page.read_text()
    part = re.search(rf"^## {heading}$.*?(?=^## |\Z)", text, re.M | re.S)
    return [_block(page, text, fence) for fence in _FENCE.finditer(text, *part.span())]


def commands(block: Block) -> list:
    """The commands of a block; a line that ends in a backslash goes on in the next. In a console block
    a command has a prompt before it, and what it prints behind it."""
    prompt = "$ " if block.kind == "console" else ""
    found = []
    for line in block.text.splitlines():
        if found and found[-1][0].endswith("\\") and not found[-1][1]:
            found[-1][0] += f"\n{line}"
        elif line and line.startswith(prompt):
            found.append([line.removeprefix(prompt), []])
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"{block.place}: output without a command")
    return [Command(text, "\n".join(output)) for text, output in found]


def pattern(shown: str) -> re.Pattern:
    """What the page shows, as a pattern: a line of `...` is any number of lines, elsewhere it is any
    part of one."""
    lines = ""
    for line in shown.splitlines():
        part = r"(?:.*\n)*?" if line == "..." else r".*".join(map(re.escape, line.split("..."))) + r"\n"
        lines += part
    return re.compile(lines)


def _block(page: Path, text: str, fence: re.Match) -> Block:
    place = f"{page.name}:{text.count(chr(10), 0, fence.start()) + 1}"
    kind, *words = fence["info"].split() or [""]
    allowed = {"more"} if kind in SERVERS else set(SERVERS.values())
    if kind not in _KINDS or not set(words) <= allowed:
        raise ValueError(f"{place}: ```{fence['info']} is no block that is run")
    return Block(place, kind, tuple(words), fence["text"])
