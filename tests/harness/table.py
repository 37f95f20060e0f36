"""Tables: TOML read into records, where an unknown word is an error."""

import dataclasses
import tomllib
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def read(path: str) -> dict:
    return tomllib.loads((TESTS / path).read_text())


def record(kind, table: dict):
    """A dataclass from a table with kebab-case names."""
    names = {field.name for field in dataclasses.fields(kind)}
    values = {name.replace("-", "_"): value for name, value in table.items()}
    if unknown := values.keys() - names:
        raise ValueError(f"{kind.__name__} has no {sorted(unknown)}; it has {sorted(names)}")
    return kind(**values)


def divided(kind, words: dict):
    """The words that this dataclass knows, and the others."""
    known = {field.name for field in dataclasses.fields(kind)}
    own = {word: value for word, value in words.items() if word.replace("-", "_") in known}
    return own, {word: value for word, value in words.items() if word not in own}


def joined(outer: dict, inner: dict) -> dict:
    """`inner` on top of `outer`; a token's members are joined one by one."""
    both = {**outer, **inner}
    if "token" in outer and "token" in inner:
        both["token"] = {**outer["token"], **inner["token"]}
    return both


def for_server(row: dict, server: str) -> dict:
    """A row as one server must pass it. What `differs` there, and a row for one server `only`, need a reason."""
    own = {word: value for word, value in row.items() if word != "differs"}
    for difference in row.get("differs", []):
        words = dict(difference)
        if not words.pop("reason", ""):
            raise ValueError(f"{row['name']}: a difference needs its reason")
        if server.startswith(words.pop("server")):
            own = joined(own, words)
    if own.get("only") and not own.get("reason"):
        raise ValueError(f"{row['name']}: a row for one server needs its reason")
    return own
