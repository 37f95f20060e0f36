"""Reads a Dockerfile, strictly: what is not understood to the letter is an error."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

# Instructions, with the flags that each may have.
_FLAGS = {
    "FROM": set(),
    "ARG": set(),
    "ENV": set(),
    "WORKDIR": set(),
    "COPY": {"from"},
    "RUN": set(),
    "USER": set(),
    "EXPOSE": set(),
    "HEALTHCHECK": {"interval", "timeout", "start-period", "retries"},
    "ENTRYPOINT": set(),
    "CMD": set(),
}
_SHELL = ["/bin/sh", "-c"]
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class NotUnderstood(Exception):
    """Something in a Dockerfile that this reader does not know."""


@dataclass(frozen=True)
class Instruction:
    """One instruction; `words` are its arguments, split as its kind demands."""

    name: str
    text: str
    words: tuple
    flags: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """What stands between one FROM and the next."""

    base: str
    name: str
    instructions: tuple


def read(path: Path) -> list:
    """The stages of a Dockerfile."""
    stages = []
    for instruction in map(_instruction, _logical_lines(path.read_text())):
        if instruction.name == "FROM":
            match instruction.words:
                case (base,):
                    stages.append((base, "", []))
                case (base, "AS", name):
                    stages.append((base, name, []))
                case _:
                    raise NotUnderstood(f"FROM {instruction.text}")
        elif not stages:
            raise NotUnderstood(f"{instruction.name} before FROM")
        else:
            stages[-1][2].append(instruction)
    return [Stage(base, name, tuple(instructions)) for base, name, instructions in stages]


def command(instruction: Instruction) -> list:
    """What RUN, CMD, ENTRYPOINT or the CMD of a HEALTHCHECK runs: a JSON list, or text for the shell."""
    text = instruction.text
    if instruction.name == "HEALTHCHECK":
        keyword, _, text = text.partition(" ")
        if keyword != "CMD":
            raise NotUnderstood(f"HEALTHCHECK {instruction.text}")
    if not text.startswith("["):
        return [*_SHELL, text]
    words = json.loads(text)
    if not words or not all(isinstance(word, str) for word in words):
        raise NotUnderstood(f"{instruction.name} {text}")
    return words


def settings(instruction: Instruction) -> dict:
    """The names and values of ENV; those of ARG may lack the value."""
    pairs = {}
    for word in instruction.words:
        name, equals, value = word.partition("=")
        if not re.fullmatch(r"\w+", name) or (instruction.name == "ENV" and not equals):
            raise NotUnderstood(f"{instruction.name} {instruction.text}")
        pairs[name] = value if equals else None
    return pairs


def expanded(text: str, environment: dict) -> str:
    """`$NAME` and `${NAME}` replaced, as in all arguments but those of RUN, CMD and ENTRYPOINT."""
    result = _VARIABLE.sub(lambda found: environment.get(found[1] or found[2], ""), text)
    if "$" in result:
        raise NotUnderstood(text)
    return result


def seconds(text: str) -> float:
    """A duration of HEALTHCHECK."""
    match = re.fullmatch(r"(\d+)(s|m)", text)
    if match is None:
        raise NotUnderstood(text)
    return int(match[1]) * {"s": 1, "m": 60}[match[2]]


def _logical_lines(text: str):
    """Lines with their continuations; comments go, between continued lines too."""
    whole = ""
    for line in text.splitlines():
        if re.match(r"#\s*\w+=", line):
            raise NotUnderstood(f"the parser directive {line}")
        if line.lstrip().startswith("#"):
            continue
        continued = line.endswith("\\")
        whole += line[:-1] if continued else line
        if not continued:
            if whole.strip():
                yield whole.strip()
            whole = ""
    if whole:
        raise NotUnderstood("the last line is continued")


def _instruction(line: str) -> Instruction:
    name, _, text = line.partition(" ")
    if name not in _FLAGS or "<<" in text:
        raise NotUnderstood(line)
    flags, text = {}, text.strip()
    while match := re.match(r"--([\w-]+)=(\S+)\s+", text):
        if match[1] not in _FLAGS[name]:
            raise NotUnderstood(line)
        flags[match[1]] = match[2]
        text = text[match.end() :]
    if text.startswith("--") or not text:
        raise NotUnderstood(line)
    # RUN, CMD and ENTRYPOINT are split by the shell, or are JSON.
    words = () if name in {"RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK"} else tuple(shlex.split(text))
    return Instruction(name, text, words, flags)
