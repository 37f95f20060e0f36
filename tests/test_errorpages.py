"""An error page that is protected itself: one refusal comes of two, with one challenge."""

import pytest

from harness.caller import Caller

PATHS = ["/other-rules", "/same-rules", "/in-a-circle"]


@pytest.mark.parametrize("protocol", ["h1", "h2"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("certificate", "scope", "status", "error"),
    [
        ("alice", None, 401, None),
        ("bob", "admin", 401, "invalid_token"),
        ("alice", "read", 403, "insufficient_scope"),
    ],
    ids=["no token", "stolen", "not enough"],
)
def test_one_challenge(running, kind, protocol, path, certificate, scope, status, error):
    if protocol not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    caller = Caller(running.server(kind, "errorpages"), certificate)
    headers = caller.headers(claims={"scope": scope}) if scope else []
    if protocol == "h2":
        answer = caller.http2().request("GET", path, headers)
    else:
        with caller.connect() as connection:
            answer = connection.request("GET", path, headers)
    assert answer.status == status
    (challenge,) = answer.all("WWW-Authenticate")
    assert challenge.startswith('Bearer realm="test"')
    assert challenge.count("error=") == (1 if error else 0)
    assert not error or f'error="{error}"' in challenge
    assert answer.all("Cache-Control") == ["no-store"]
