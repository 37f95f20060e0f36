"""The contract of Curity's sender-constrained token plugin, with tokens that this server's own endpoint
issued and with an issuer's: the same inputs, the same status, the same body byte for byte. What the
plugin leaves to others is checked as well: signature, lifetime, issuer, audience."""

import json

import pytest

from harness.caller import Caller
from harness.token_request import Asked, make
from harness.token_visit import send

UNAUTHORIZED = b'{"code":"unauthorized", "message":"Missing, invalid or expired access token"}\n'
EXCHANGE = {"subject_token": "alices-credential"}
# Recipes of tokens that the plugin refuses, or should have.
WRONG = {
    "no cnf": {"claims_without": ("cnf",)},
    "a cnf without x5t#S256": {"claims": {"cnf": {}}},
    "a cnf that is a text": {"claims": {"cnf": "{x5t:alice}"}},
    "another thumbprint": {"claims": {"cnf": {"x5t#S256": "{x5t:bob}"}}},
    "a thumbprint with padding": {"claims": {"cnf": {"x5t#S256": "{x5t:alice|padded}"}}},
    "a thumbprint in standard base64": {"claims": {"cnf": {"x5t#S256": "{x5t:alice|standard}"}}},
    "an empty thumbprint": {"claims": {"cnf": {"x5t#S256": ""}}},
    "a signature that does not hold": {"signature": "flipped"},
    "no signature": {"alg": "none", "signature": "empty"},
    "a foreign key": {"key": "p256-foreign", "header": {"kid": "p256"}},
    "expired": {"claims": {"exp": "{now-60}"}},
    "another issuer": {"claims": {"iss": "https://unknown.example"}},
    "another audience": {"claims": {"aud": "https://other.example"}},
    "two parts": {"parts": 2},
}
HEADERS = {
    "no header": [],
    "an empty header": [("Authorization", "")],
    "a scheme alone": [("Authorization", "Bearer")],
    "a scheme and a blank": [("Authorization", "Bearer ")],
    "another scheme": [("Authorization", "Basic YWxpY2U6eA==")],
    "nonsense": [("Authorization", "Bearer nonsense")],
}


@pytest.fixture
def server(running, kind):
    server = running.server(kind, "curity")
    server.log.announce("AB1(00|1|2)")
    return server


def issued(server) -> str:
    answer = send(server, make(Asked(parameters=EXCHANGE), server.site.mint))
    return json.loads(answer.body)["access_token"]


def refused(server, answer):
    assert (answer.status, answer.body) == (401, UNAUTHORIZED)
    assert answer.all("Content-Type") == ["application/json"]


def call(server, headers: list, certificate: str = "alice"):
    before = server.site.around.backend.requests
    with Caller(server, certificate).connect() as connection:
        answer = connection.request("GET", "/api", headers)
    assert server.site.around.backend.requests == before + (answer.status == 200)
    return answer


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_certificate_that_the_token_is_bound_to(server, scheme):
    headers = [("Authorization", f"{scheme} {issued(server)}")]
    assert call(server, headers).status == 200
    refused(server, call(server, headers, "bob"))
    refused(server, call(server, headers, "same-name-other-key"))
    refused(server, call(server, headers, "none"))


@pytest.mark.parametrize("name", HEADERS)
def test_headers_without_a_token(server, name):
    refused(server, call(server, HEADERS[name]))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tokens(server, name):
    caller = Caller(server)
    assert call(server, caller.headers()).status == 200
    refused(server, call(server, caller.headers(**WRONG[name])))


def test_an_issued_token_that_was_changed(server):
    """The plugin compares the thumbprint of a payload that nobody signed."""
    token = issued(server)
    head, _, signature = token.split(".")
    stolen = Caller(server, "bob").token(claims={"cnf": {"x5t#S256": "{x5t:bob}"}, "iss": "https://as.example"})
    forged = ".".join([head, stolen.split(".")[1], signature])
    refused(server, call(server, [("Authorization", f"Bearer {forged}")], "bob"))


def test_thumbprints_of_other_forms_where_they_are_tolerated(server):
    caller = Caller(server)
    for form in ("padded", "standard"):
        token = caller.token(claims={"cnf": {"x5t#S256": f"{{x5t:alice|{form}}}"}})
        assert caller.get("/tolerant", token).status == 200
        assert Caller(server, "bob").get("/tolerant", token).body == UNAUTHORIZED


def test_the_token_endpoint_speaks_the_same_way(server):
    """With its own codes, which clients of a token endpoint act on."""
    server.log.announce("AB4(009|106|204)")
    cases = [
        (Asked(without=["grant_type"]), 400, "invalid_request"),
        (Asked(certificate="bob", parameters=EXCHANGE), 400, "invalid_request"),
        (Asked(authorization=["Basic {basic:basic/wrong-secret}"], parameters=EXCHANGE), 401, "invalid_client"),
    ]
    for asked, status, code in cases:
        answer = send(server, make(asked, server.site.mint), asked.certificate)
        assert answer.status == status
        body = json.loads(answer.body)
        assert answer.body == b'{"code":"%s", "message":"%s"}\n' % (code.encode(), body["message"].encode())
        assert len(answer.all("WWW-Authenticate")) == (status == 401)
