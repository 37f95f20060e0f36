"""The files that a build may copy: a folder without what its .dockerignore names."""

import re
import shutil
from pathlib import Path


def copied(source: Path, destination: Path):
    """Copies the context of a build."""
    rules = _rules(source / ".dockerignore")
    destination.mkdir()
    _copy(source, destination, "", rules)


def _copy(source: Path, destination: Path, below: str, rules: list):
    for entry in sorted(source.iterdir()):
        name = f"{below}{entry.name}"
        kept = not _ignored(name, rules)
        if entry.is_dir() and not entry.is_symlink():
            # A folder that is left out may hold something that is not.
            if kept or any(not ignores and text.startswith(f"{name}/") for ignores, text, _ in rules):
                (destination / entry.name).mkdir()
                _copy(entry, destination / entry.name, f"{name}/", rules)
        elif kept:
            shutil.copy2(entry, destination / entry.name, follow_symlinks=False)


def _rules(file: Path) -> list:
    """Whether a rule leaves out, its text, and the pattern that it is."""
    rules = []
    for line in file.read_text().splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            ignores = not text.startswith("!")
            text = text.removeprefix("!").strip("/")
            rules.append((ignores, text, re.compile(_pattern(text))))
    return rules


def _pattern(text: str) -> str:
    """A rule holds for what it names and for all below."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", text)
    return "".join(parts.get(piece, re.escape(piece)) for piece in pieces) + "(?:/.*)?"


def _ignored(name: str, rules: list) -> bool:
    """The last rule that fits counts."""
    fitting = [ignores for ignores, _, pattern in rules if pattern.fullmatch(name)]
    return fitting[-1] if fitting else False
