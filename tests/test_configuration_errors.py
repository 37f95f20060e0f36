"""Wrong configurations are found when the server reads them: configuration_errors.toml."""

import re
from dataclasses import dataclass, field

import pytest

from harness import httpd, nginx, table
from harness.cookie_seal import Secret
from harness.servers import chosen
from harness.world import Site, World

SOUND = {
    "realm": "test",
    "hosts": {"open": {"certificates": "optional_no_ca"}},
    "location": [{"path": "/bound"}],
    "set": {},
    "jwks": {"sound": ["p256"]},
    "files": {
        "garbage": "garbage\n",
        "array": "[]\n",
        "exposed": Secret().line,
        "garbage.secret": "garbage\n",
        "short.secret": Secret().line[:-2],
        "zeros.secret": Secret(bytes(32)).line,
    },
}
SET = {"issuer": "https://issuer.example jwks-file {jwks:sound}", "audience": "https://api.example"}


@dataclass(frozen=True)
class Error:
    """A row; `condition` names the NGINX directive that stands for a Require line."""

    name: str
    set: dict = field(default_factory=dict)
    without: tuple = ()
    where: str = "location"
    served: str = "backend"
    require: list = field(default_factory=list)
    condition: str = ""
    says: list = field(default_factory=list)
    httpd_says: list = field(default_factory=list)
    nginx_says: list = field(default_factory=list)
    unnamed: bool = False
    only: str = ""

    def world(self) -> World:
        changed = {*self.set, *self.without}
        words = {**SOUND, "set": {name: text for name, text in SET.items() if name not in changed}}
        if self.where == "process":
            words["process"] = self.set
        elif self.where == "host":
            words["hosts"] = {"open": {"certificates": "optional_no_ca", "set": self.set}}
        else:
            words["location"] = [
                {"path": "/bound", "served": self.served, "set": self.set, "require": self.require}
            ]
        return World.parse(words)

    def texts(self, kind) -> list:
        """What the server must say: the directive's own name among the rest."""
        if self.unnamed:
            return self.says
        if issubclass(kind, nginx.Nginx):
            names = [nginx.directive(word) for word in [*self.set, self.condition] if word]
            return names + self.says + self.nginx_says
        names = [httpd.directive(word) for word in self.set]
        return names + [line.split()[0] for line in self.require] + self.says + self.httpd_says


ERRORS = [table.record(Error, row) for row in table.read("configuration_errors.toml")["error"]]
# httpd reads its configuration alike whatever the MPM.
KINDS = list({kind.name.split("-")[0]: kind for kind in chosen()}.values())
ROWS = [
    pytest.param((kind, error), id=f"{kind.name} :: {error.name}")
    for kind in KINDS
    for error in ERRORS
    if kind.name.startswith(error.only)
]


@pytest.mark.parametrize("row", ROWS)
def test_error(around, row):
    kind, error = row
    site = Site(error.world(), around, kind.name)
    result = kind(site).check()
    said = result.stdout + result.stderr
    assert result.returncode != 0, said
    missing = [text for text in map(str, site.fill(error.texts(kind))) if text not in said]
    assert not missing, f"{said}\nlacks {missing}"
    assert re.search(r"server\.conf:\d+|line \d+ of .*server\.conf", said), said


@pytest.mark.parametrize("checked", KINDS, ids=lambda kind: kind.name)
def test_the_sound_configuration_passes(around, checked):
    result = checked(Site(World.parse({**SOUND, "set": SET}), around, checked.name)).check()
    assert result.returncode == 0, result.stderr


def test_cookies_without_a_secret(around):
    """httpd does not know its locations before requests come: somewhere there must be one."""
    for kind in (kind for kind in KINDS if kind.name.startswith("httpd")):
        words = {**SOUND, "set": SET, "location": [{"path": "/bound", "set": {"cookie": "S"}}]}
        result = kind(Site(World.parse(words), around, kind.name)).check()
        assert result.returncode != 0
        assert "BoundCookie: AB1901 policy-incomplete: " in result.stderr, result.stderr
        assert "no cookie-secret is configured" in result.stderr


def test_every_directive_has_a_row():
    rows = (table.TESTS.parent / "c_shim/directives.def").read_text()
    directives = set(re.findall(r'"Bound\w+", "bound_(\w+)"', rows))
    tried = {word.replace("-", "_") for error in ERRORS for word in [*error.set, error.condition]}
    assert directives <= tried
