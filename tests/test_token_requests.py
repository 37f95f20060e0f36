"""The table in token_requests/, against every server: `server :: group :: name`."""

import re

import pytest

from harness import table
from harness.servers import chosen
from harness.token_visit import DENIALS, TokenVisit, rows

GROUPS = sorted(file.stem for file in (table.TESTS / "token_requests").glob("*.toml"))
WORLD = "token_exchange"

# Numbers that no row brings about, on the servers of this name.
REACHED_ELSEWHERE = {
    ("AB4013", ""): "asked of the documents: test_token_documents.py",
    ("AB4901", ""): "a key server that is down: test_token_keys.py",
    ("AB4902", ""): "a memory of used assertions that is full: test_token_exchange.py",
    ("AB4903", "nginx"): "found when the configuration is read: configuration_errors.toml",
    ("AB4904", ""): "takes a key in hardware that fails: test_hardware_signing.py",
    ("AB4905", ""): "no request makes the core panic: test_panic.py",
    ("AB4906", "nginx"): "a thread pool that is full: test_token_keys.py",
    ("AB4906", "httpd"): "a request waits in its own thread",
}


def cases():
    for kind in chosen():
        for group in GROUPS:
            for row in rows(group, kind.name):
                for protocol in row.protocols:
                    if protocol in kind.protocols:
                        suffix = "" if protocol == "h1" else f" ({protocol})"
                        yield pytest.param((kind, row, protocol), id=f"{kind.name} :: {row}{suffix}")


@pytest.mark.parametrize("case", cases())
def test_request(running, case):
    kind, row, protocol = case
    visit = TokenVisit(running.server(kind, WORLD), row, protocol)
    visit.run()
    if visit.complaints:
        pytest.fail("\n".join(visit.complaints), pytrace=False)


def test_every_denial_is_reached():
    for kind in chosen():
        reached = {row.expected.refused for group in GROUPS for row in rows(group, kind.name)}
        elsewhere = {number for number, name in REACHED_ELSEWHERE if kind.name.startswith(name)}
        assert set(DENIALS) == reached - {""} | elsewhere, kind.name


def test_names_are_not_given_twice():
    for kind in chosen():
        names = [str(row) for group in GROUPS for row in rows(group, kind.name)]
        assert len(names) == len(set(names))


def test_the_denials_are_those_of_the_source():
    source = (table.TESTS.parent / "src/exchange/denial.rs").read_text()
    found = re.findall(r'^    (\d{4}) \w+ "([a-z-]+)" (\w+) (\d{3}) "(\w+)"', source, re.MULTILINE)
    assert {
        f"AB{number}": (name, "warn" if fault == "Client" else "error", int(status), error)
        for number, name, fault, status, error in found
    } == {
        number: (row["name"], row.get("level", "warn"), row["status"], row["error"])
        for number, row in DENIALS.items()
    }
