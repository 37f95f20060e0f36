"""Scenarios: the table of requests and what must come of them."""

from dataclasses import dataclass, field

from . import table
from .token import Recipe

REFUSALS = table.read("refusals.toml")


@dataclass(frozen=True)
class Expectation:
    """What must come of a request. Without `refused` it reaches what it asked for.

    `exact_body` is a refusal's body, but for its line's end, where that is not `error` and
    `error_description`. `cookies_seen` are the `Cookie` headers that the backend gets. `cookies_refused` are refusals of
    cookies as in "AB3119 possession-mismatch S", all of them, by name.
    """

    refused: str = ""
    status: int = 0
    scheme: str = ""
    challenge: dict = field(default_factory=dict)
    replaced_body: bool = False
    exact_body: str = ""
    answer_headers: dict = field(default_factory=dict)
    answer_body: str = ""
    env: dict = field(default_factory=dict)
    env_absent: list = field(default_factory=list)
    sees: dict = field(default_factory=dict)
    sees_not: list = field(default_factory=list)
    logged: dict = field(default_factory=dict)
    log: list = field(default_factory=list)
    cookies_seen: list | None = None
    cookies_refused: list = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """One request. Steps that name the same `connection` share it.

    `token_binding` is a `Presentation`; with it, the tests' own TLS client is used. `cookies` are
    `Cookie` headers: lists of texts and of tables, each a `Sealed`.
    """

    at: str
    expect: Expectation
    host: str = "open"
    certificate: str = "alice"
    connection: str = ""
    method: str = "GET"
    body: str = ""
    token_binding: dict | None = None
    authorization: str | list = "Bearer {token}"
    headers: list = field(default_factory=list)
    cookies: list = field(default_factory=list)
    wait: float = 0
    times: int = 1


@dataclass(frozen=True)
class Scenario:
    """Steps with one token. `only` and `differs` name servers, and always give a `reason`."""

    group: str
    name: str
    token: Recipe
    steps: list
    world: str = "main"
    protocols: tuple = ("h1",)
    only: str = ""
    reason: str = ""

    def __str__(self):
        return f"{self.group} :: {self.name}"


def scenarios(group: str, server: str) -> list:
    """A file of the table as one server must pass it; `base` there is what its rows share."""
    words = table.read(f"scenarios/{group}.toml")
    base = {"world": words.get("world", "main"), **words.get("base", {})}
    parsed = [_parse(group, base, row, server) for row in words["scenario"]]
    return [scenario for scenario in parsed if server.startswith(scenario.only)]


def _parse(group: str, base: dict, row: dict, server: str) -> Scenario:
    row, shared = table.divided(Scenario, table.for_server(table.joined(base, row), server))
    steps = shared.pop("step", [{}])
    return table.record(
        Scenario,
        {
            **row,
            "group": group,
            "token": table.record(Recipe, row.get("token", {})),
            "steps": [_step(table.joined(shared, step)) for step in steps],
        },
    )


def _step(words: dict) -> Step:
    """A flat row: what `Expectation` knows goes there, the rest is the request."""
    expected, asked = table.divided(Expectation, words)
    return table.record(Step, {**asked, "expect": table.record(Expectation, expected)})
