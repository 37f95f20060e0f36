"""The documents about the token endpoint: the JWK Set and the metadata, as any client finds them."""

import dataclasses
import json

import pytest

from harness import base64url
from harness.bound_client import BoundConnection
from harness.issued import thumbprint
from harness.servers import serving
from harness.token_request import Made
from harness.token_visit import published, send
from harness.world import World

JWKS, METADATA = "/jwks", "/.well-known/oauth-authorization-server"
MEDIA_TYPES = {JWKS: "application/jwk-set+json", METADATA: "application/json"}
DOCUMENTS = pytest.mark.parametrize("path", [JWKS, METADATA], ids=["JWK Set", "metadata"])
EXPECTED = {
    "issuer": "https://as.example",
    "token_endpoint": "https://as.example/token",
    "jwks_uri": "https://as.example/jwks",
    "grant_types_supported": ["urn:ietf:params:oauth:grant-type:token-exchange", "refresh_token"],
    "response_types_supported": [],
    "scopes_supported": ["read", "write"],
    "token_endpoint_auth_methods_supported": [
        "client_secret_basic",
        "client_secret_post",
        "none",
        "private_key_jwt",
        "self_signed_tls_client_auth",
        "tls_client_auth",
    ],
    "tls_client_certificate_bound_access_tokens": True,
    "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.as.example/token"},
}


@pytest.fixture
def server(running, kind):
    return running.server(kind, "token_exchange")


def ask(server, method: str, path: str, **words):
    return send(server, Made(method, path, words.pop("headers", []), words.pop("body", b""), set()), **words)


@DOCUMENTS
@pytest.mark.parametrize("host", ["open", "clear"])
def test_a_document(server, path, host):
    answer = ask(server, "GET", path, host=host)
    assert answer.status == 200
    assert answer.all("Content-Type") == [MEDIA_TYPES[path]]
    assert answer.all("Content-Length") == [str(len(answer.body))]
    assert answer.all("Cache-Control") == ["public, max-age=300"]
    assert isinstance(json.loads(answer.body), dict)


@DOCUMENTS
def test_the_head_of_a_document(server, path):
    whole, head = ask(server, "GET", path), ask(server, "HEAD", path)
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Type", "Content-Length", "Cache-Control"):
        assert head.all(name) == whole.all(name), name


@DOCUMENTS
def test_a_document_in_a_stream(server, kind, path):
    if "h2" not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    answer, plain = ask(server, "GET", path, protocol="h2"), ask(server, "GET", path)
    assert (answer.status, answer.body) == (200, plain.body)
    with BoundConnection(server, "open", "h2", token_binding=None) as connection:
        answers = connection.at_once([(method, path, [], b"") for method in ("HEAD", "GET", "HEAD")])
    assert [one.body for one in answers] == [b"", plain.body, b""]


@DOCUMENTS
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(server, path, method):
    """They are told which there are, and the log who asked."""
    server.log.announce("AB4013 document-method-not-allowed")
    before = len(server.log.matching("AB4013"))
    answer = ask(server, method, path, body=b"grant_type=x" if method != "DELETE" else b"")
    assert (answer.status, answer.all("Allow")) == (405, ["GET, HEAD"])
    assert answer.all("Cache-Control") == ["no-store"]
    assert json.loads(answer.body)["error"] == "invalid_request"
    assert len(server.log.await_line("AB4013") and server.log.matching("AB4013")) == before + 1


def test_the_keys(server):
    """Public members alone, and every one that names itself."""
    keys = published(server)["keys"]
    assert [key["kid"] for key in keys] == ["now", "before"]
    for key in keys:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    expected = server.site.around.keys.jwk("p256-now")
    assert {name: keys[0][name] for name in ("x", "y")} == {name: expected[name] for name in ("x", "y")}


KINDS_OF_KEYS = [
    ("/rs256/jwks", {"n", "e"}, "RS256"),
    ("/ps256/jwks", {"n", "e"}, "PS256"),
    ("/eddsa/jwks", {"crv", "x"}, "EdDSA"),
]


@pytest.mark.parametrize("path, members, algorithm", KINDS_OF_KEYS)
def test_the_keys_of_every_kind(server, path, members, algorithm):
    (key,) = published(server, path)["keys"]
    assert key.keys() == {"kty", "kid", "alg", "use"} | members
    assert key["alg"] == algorithm
    assert all(base64url.decode(key[name]) for name in members - {"e", "crv"})


def test_a_key_without_a_name_has_its_thumbprint(server):
    (key,) = published(server, "/eddsa/jwks")["keys"]
    assert key["kid"] == thumbprint(key)


@pytest.mark.parametrize("host, token_binding", [("open", False), ("bound", True)])
def test_the_metadata(server, host, token_binding):
    """Token Binding is told of where the host negotiates it."""
    document = json.loads(ask(server, "GET", METADATA, host=host).body)
    algorithms = document.pop("token_endpoint_auth_signing_alg_values_supported")
    assert {"RS256", "PS256", "ES256", "EdDSA"} <= set(algorithms) and "none" not in algorithms
    assert not any(algorithm.startswith("HS") for algorithm in algorithms)
    for kind in ("access", "refresh"):
        assert document.pop(f"as_{kind}_token_token_binding_supported") is token_binding
    assert document == EXPECTED


def test_the_metadata_of_an_issuer_with_a_path(around, kind):
    """Whoever knows the issuer finds it there (RFC 8414, section 3.1), addresses of its own included."""
    world = World.read("token_exchange")
    changes = {
        "sts-issuer": "https://as.example/tenant",
        "sts-endpoint": "https://as.example/exchange",
        "sts-jwks-uri": "https://keys.example/of-tenant",
        "sts-client": "cli none",
        "sts-rule": "audience=https://api.example unbound=on",
    }
    locations = [dataclasses.replace(one, path=f"{METADATA}/tenant") for one in world.location if one.path == METADATA]
    hosts = {"open": world.hosts["open"]}
    world = dataclasses.replace(world, set=world.set | changes, location=locations, hosts=hosts)
    with serving(kind, world, around) as server:
        document = json.loads(ask(server, "GET", f"{METADATA}/tenant").body)
        assert document["issuer"] == "https://as.example/tenant"
        assert document["token_endpoint"] == "https://as.example/exchange"
        assert document["jwks_uri"] == "https://keys.example/of-tenant"
        assert document["token_endpoint_auth_methods_supported"] == ["none"]
        assert document["grant_types_supported"] == ["urn:ietf:params:oauth:grant-type:token-exchange"]
        assert "scopes_supported" not in document
        assert "token_endpoint_auth_signing_alg_values_supported" not in document
