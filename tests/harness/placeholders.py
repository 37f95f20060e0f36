"""Values that tables cannot spell out: `{now+600}`, `{x5t:alice|padded}`, `{jwks:main}`."""

import re
from typing import Any, Callable

_PLACEHOLDER = re.compile(
    r"\{(?P<name>[a-z][a-z0-9-]*?)(?P<offset>[+-]\d+(?:\.\d+)?)?(?::(?P<argument>[\w./-]+))?"
    r"(?:\|(?P<form>[a-z-]+))?\}"
)


def fill(value: Any, lookup: Callable[[re.Match], Any]) -> Any:
    """`value` with each placeholder looked up; a string that is one placeholder takes its type."""
    if isinstance(value, dict):
        return {name: fill(member, lookup) for name, member in value.items()}
    if isinstance(value, list):
        return [fill(member, lookup) for member in value]
    if not isinstance(value, str):
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    return lookup(whole) if whole else _PLACEHOLDER.sub(lambda found: str(lookup(found)), value)
