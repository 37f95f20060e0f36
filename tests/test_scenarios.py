"""The table in scenarios/, against every server: `server :: group :: name`."""

import re

import pytest

from harness import table
from harness.scenario import REFUSALS, scenarios
from harness.servers import chosen
from harness.visit import Visit

GROUPS = sorted(file.stem for file in (table.TESTS / "scenarios").glob("*.toml"))

# Numbers that no row brings about on the servers of this name.
REACHED_ELSEWHERE = {
    ("AB1901", "nginx"): "found when the configuration is read: configuration_errors.toml",
    ("AB1404", "nginx"): "no directive there asks for a user",
    ("AB1502", "nginx"): "a thread pool that is full: test_keys.py",
    ("AB1502", "httpd"): "a request waits in its own thread",
    ("AB1902", ""): "no request makes the core panic: test_panic.py",
}


def rows():
    for kind in chosen():
        for group in GROUPS:
            for scenario in scenarios(group, kind.name):
                for protocol in scenario.protocols:
                    if protocol in kind.protocols:
                        suffix = "" if protocol == "h1" else f" ({protocol})"
                        name = f"{kind.name} :: {scenario}{suffix}"
                        yield pytest.param((kind, scenario, protocol), id=name)


@pytest.mark.parametrize("row", rows())
def test_scenario(running, row):
    kind, scenario, protocol = row
    visit = Visit(running.server(kind, scenario.world), scenario, protocol)
    visit.run()
    if visit.complaints:
        pytest.fail("\n".join(visit.complaints), pytrace=False)


def test_every_refusal_is_reached():
    for kind in chosen():
        reached = {
            step.expect.refused
            for group in GROUPS
            for scenario in scenarios(group, kind.name)
            for step in scenario.steps
        }
        elsewhere = {number for number, name in REACHED_ELSEWHERE if kind.name.startswith(name)}
        assert set(REFUSALS) == reached - {""} | elsewhere, kind.name


def test_the_refusals_are_those_of_the_source():
    source = (table.TESTS.parent / "src/refusal.rs").read_text()
    rows = re.findall(r'^    (\d{4}) \w+ "([a-z-]+)" \w+ (\d{3}) "(\w*)"', source, re.MULTILINE)
    assert {f"AB{number}": (name, int(status), error) for number, name, status, error in rows} == {
        number: (row["name"], row["status"], row.get("body", row.get("error")))
        for number, row in REFUSALS.items()
    }
