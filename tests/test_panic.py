"""A panic in the core refuses that one request, and the worker lives on.

Only a module built with the feature `fault-injection` can be made to panic: it is looked for at
AUTH_BOUND_HTTPD_FAULT_SO and AUTH_BOUND_NGINX_FAULT_SO, by default in target/httpd-fault and
target/nginx-fault.
"""

import dataclasses
import json

import pytest

from harness.caller import Caller
from harness.servers import serving
from harness.token_request import Asked, make
from harness.token_visit import send
from harness.world import World

PANIC = [("Authorization", "Bearer fault-injection-panic")]


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_a_panic_is_refused_with_500_and_harms_nobody(around, kind, protocol):
    if protocol not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    with serving(kind, World.read("keys"), around, build="fault") as server:
        server.log.announce("AB1902 internal-error: ")
        server.log.announce("panicked at|injected by a test|RUST_BACKTRACE")
        workers = set(server.workers())
        caller = Caller(server)
        for _ in range(5):
            answer = ask(caller, protocol, PANIC)
            assert answer.status == 500
            assert json.loads(answer.body)["error"] == "server_error"
            assert answer.all("Cache-Control") == ["no-store"]
            assert not answer.all("WWW-Authenticate")
            assert ask(caller, protocol, caller.headers()).status == 200
        assert len(server.log.matching("AB1902 internal-error: .*panic [1-5] of this process")) == 5
        assert workers <= set(server.workers())


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_a_panic_of_the_token_endpoint_issues_nothing(around, kind, protocol):
    if protocol not in kind.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    with serving(kind, World.read("token_exchange"), around, build="fault") as server:
        server.log.announce("AB4905 exchange-internal-error: ")
        server.log.announce("panicked at|injected by a test|RUST_BACKTRACE")
        workers = set(server.workers())
        made = make(Asked(), server.site.mint)
        for _ in range(5):
            answer = send(server, dataclasses.replace(made, headers=made.headers + PANIC), protocol=protocol)
            assert (answer.status, json.loads(answer.body)["error"]) == (500, "server_error")
            assert answer.all("Cache-Control") == ["no-store"] and b"eyJ" not in answer.body
            assert send(server, made, protocol=protocol).status == 200
        told = [line.level for line in server.log.lines() if "AB4905 exchange-internal-error: " in line.text]
        assert told == ["error"] * 5
        assert workers <= set(server.workers())


def ask(caller: Caller, protocol: str, headers: list):
    if protocol == "h2":
        return caller.http2().request("GET", "/page/page.txt", headers)
    with caller.connect() as connection:
        return connection.request("GET", "/page/page.txt", headers)
