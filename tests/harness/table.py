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
