"""Debian's mod_oauth2 takes tokens that our endpoint issued, on either server, and takes them from
nobody but the client whose certificate they are bound to."""

import contextlib
import dataclasses
import json

import pytest

from harness.caller import Caller
from harness.httpd import HttpdEvent
from harness.servers import serving
from harness.token_request import Asked, make
from harness.token_visit import send
from harness.world import World

ALGORITHMS = {"ES256": "", "RS256": "/rs256", "PS256": "/ps256"}
# What it logs at error when it refuses: its own words, and that of liboauth2.
THEIRS = "oauth2_"
LOCATION = """
  ProxyPass "/oauth2{path}" "{{backend}}/"
  <Location "/oauth2{path}">
    AuthType oauth2
    OAuth2TokenVerify jwks_uri {url}{path}/jwks "type=mtls&mtls.policy=required"
    Require valid-user
  </Location>"""


@contextlib.contextmanager
def resource_server(around, endpoint, **options):
    """It reads the JWK Sets of the token endpoint."""
    world, url = World.read("mod_oauth2"), endpoint.site.url("clear")
    locations = "".join(LOCATION.format(path=path, url=url) for path in ALGORITHMS.values())
    host = dataclasses.replace(world.hosts["open"], httpd=locations)
    with serving(HttpdEvent, dataclasses.replace(world, hosts={"open": host}), around, **options) as server:
        yield server


def issued(endpoint, path: str, certificate: str = "alice", credential: str = "iamtheeggman") -> dict:
    """The answer's members."""
    asked = Asked(at=f"{path}/token", certificate=certificate, parameters={"subject_token": credential})
    answer = send(endpoint, make(asked, endpoint.site.mint), certificate)
    assert answer.status == 200, answer
    return json.loads(answer.body)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_ours_is_taken_from_its_owner_alone(around, running, kind, algorithm):
    endpoint, path = running.server(kind, "token_exchange"), ALGORITHMS[algorithm]
    with resource_server(around, endpoint) as server:
        token = issued(endpoint, path)["access_token"]
        get = lambda certificate, token: Caller(server, certificate).get(f"/oauth2{path}", token).status
        assert get("alice", token) == 200
        assert get("bob", issued(endpoint, path, "bob", "iamthewalrus")["access_token"]) == 200
        server.log.announce(THEIRS)
        assert get("bob", token) == 401
        assert get("same-name-other-key", token) == 401
        assert get("none", token) == 401
        assert server.log.matching("does not match cnf")
        assert get("alice", token) == 200


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_refresh_token_is_no_access_token(around, running, kind, algorithm):
    """It minds neither typ nor aud, but finds no key of the name that refresh tokens use."""
    endpoint, path = running.server(kind, "token_exchange"), ALGORITHMS[algorithm]
    with resource_server(around, endpoint) as server:
        members = issued(endpoint, path)
        assert Caller(server).get(f"/oauth2{path}", members["access_token"]).status == 200
        server.log.announce(THEIRS)
        assert Caller(server).get(f"/oauth2{path}", members["refresh_token"]).status == 401


def test_a_token_that_is_not_ours(around, running, kind):
    """What it is told by us is what it refuses others for."""
    endpoint = running.server(kind, "token_exchange")
    with resource_server(around, endpoint) as server:
        server.log.announce(THEIRS)
        forged = Caller(server).token(key="p256-foreign", header={"kid": "now"}, claims={"iss": "https://as.example"})
        assert Caller(server).get("/oauth2", forged).status == 401
