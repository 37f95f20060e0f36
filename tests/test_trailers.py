"""Trailers come after headers have been stripped, and so must not become headers."""

import json

import pytest

from harness.caller import Caller
from harness.world import Site, World

TRAILERS = {
    "X-User": "mallory",
    "X_User": "mallory",
    "Bound-Sub": "mallory",
    "TB-SSL-Client-Cert-Fingerprint": "forged",
    "Client-Cert": ":Zm9yZ2Vk:",
}


@pytest.mark.parametrize("where", ["process", "host", "another host"])
def test_merging_trailers_is_refused(around, httpd_kind, where):
    hosts = {"open": {"certificates": "optional_no_ca"}, "other": {"bare": True}}
    world = {
        "realm": "test",
        "hosts": hosts,
        "location": [{"path": "/bound"}],
        "set": {"issuer": "https://issuer.example jwks-file {jwks:main}", "audience": "any"},
        "jwks": {"main": ["p256"]},
    }
    place = {"process": world, "host": hosts["open"], "another host": hosts["other"]}[where]
    for value, passes in (("on", False), ("off", True)):
        place["httpd"] = f"MergeTrailers {value}"
        result = httpd_kind(Site(World.parse(world), around, httpd_kind.name)).check()
        assert (result.returncode == 0) == passes, result.stderr
        assert ('MergeTrailers: got "on", expected off' in result.stderr) != passes, result.stderr


@pytest.mark.parametrize("path", ["/exports-as-headers", "/leaf", "/"])
def test_trailers_are_no_headers(running, kind, path):
    caller = Caller(running.server(kind, "main"))
    trailers = "".join(f"{name}: {value}\r\n" for name, value in TRAILERS.items())
    headers = [("Transfer-Encoding", "chunked"), ("Trailer", ", ".join(TRAILERS)), *caller.headers()]
    with caller.connect() as connection:
        connection.send("POST", path, headers)
        connection.socket.sendall(f"4\r\nbody\r\n0\r\n{trailers}\r\n".encode())
        answer = connection.receive()
        seen = json.loads(answer.body)
        assert answer.status == 200 and seen["body"] == "body"
        values = [value for _, value in seen["headers"]]
        assert not {"mallory", "forged", ":Zm9yZ2Vk:"} & set(values)
        if path == "/exports-as-headers":
            assert ["X-User", "alice"] in seen["headers"]
        # The next request has its own headers.
        seen = json.loads(connection.request("GET", path, caller.headers()).body)
        assert not {"mallory", "forged"} & {value for _, value in seen["headers"]}
