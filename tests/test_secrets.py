"""No log, at any level, has a token, a cookie or key material in it."""

import re

from harness.caller import Caller
from harness.errorlog import Line
from harness.servers import serving
from harness.world import World

COOKIE = "c00kie-value-that-must-stay-out-of-logs"

# What the servers themselves print of a request's headers: httpd from http_request.c and mod_http2's
# h2_stream.c at trace, NGINX at debug, and at info when it refuses a repeated header. That is theirs
# to answer for; these lines are passed over, and no others.
THEIR_OWN = {
    "httpd": lambda line: (line.module, line.level) in {("http", "trace"), ("http2", "trace")}
    and re.search(r"(?i)( {3}|add_header: ')(authorization|cookie|content-type): ", line.text),
    "nginx": lambda line: line.level == "debug"
    and re.search(r'(?i)http2? (header|table add): "(authorization|cookie|content-type): ', line.text)
    or line.level == "info"
    and re.search(r'(?i)client sent duplicate header line: "authorization: ', line.text),
}
# NGINX ends each of its lines with the request's first line; whoever puts a token there is logged.
_REQUEST_LINE = re.compile(r', request: "[^"]*"')
# NGINX's debug log prints response heads line by line.
RESPONSE_HEAD = r"^([A-Z][\w-]+: .*|HTTP/1\.1 .*)?$"
LOUDEST = {"httpd": "trace8", "nginx": "debug"}


def test_nothing_leaks_at_the_loudest_level(around, kind):
    family = kind.name.split("-")[0]
    with serving(kind, World.read("keys"), around, log_level=LOUDEST[family]) as server:
        server.log.announce("AB1[0-9]{3} ")
        server.log.announce(RESPONSE_HEAD)
        caller = Caller(server)
        cookie = [("Cookie", f"session={COOKIE}")]
        recipes = [
            {},
            {"claims": {"exp": 0}},
            {"signature": "flipped"},
            {"header_junk": "x"},
            {"parts": 4},
            {"header": {"kid": "nobody"}},
            {"alg": "none", "signature": "empty"},
            {"claims_without": ("cnf",)},
            {"filler": 20000},
            {"claims": {"cnf": {"x5t#S256": "{x5t:alice|padded}"}}},
        ]
        for recipe in recipes:
            headers = caller.headers(**recipe) + cookie
            with caller.connect() as connection:
                connection.request("GET", "/page/page.txt", headers)
                connection.request("GET", "/page/page.txt", headers * 2)
            if "h2" in kind.protocols and recipe.get("filler") is None:
                caller.http2().request("GET", "/page/page.txt", headers)
        with Caller(server, "bob").connect() as connection:
            connection.request("GET", "/page/page.txt", caller.headers() + cookie)
        caller.get("/url-page/page.txt")
        server.reload()
        caller.get("/url-page/page.txt")
        server.stop()
        assert not leaks(server, passed_over=THEIR_OWN[family])


def test_nothing_leaked_in_the_whole_table(running, kind):
    """Every token of every scenario that ran before, at the level that the table runs at."""
    assert not leaks(running.server(kind, "main"), passed_over=THEIR_OWN[kind.name.split("-")[0]])


def leaks(server, passed_over) -> list:
    needles = secrets_of(server)
    lines = [line for line in server.log.lines() + server.console() if not passed_over(line)]
    lines += [Line("", text) for text in server.access_log.read_text().splitlines()]
    texts = [_REQUEST_LINE.sub("", line.text) for line in lines]
    return [text for text in texts if any(needle in text for needle in needles)]


def secrets_of(server) -> set:
    """The cookie, private keys, and of each token every part that is long enough to be one."""
    around = server.site.around
    private = around.pki.server.key.read_text().splitlines()[1:-1]
    parts = {part for token in server.site.mint.made for part in token.split(".")[1:]}
    return {COOKIE, *private, *(part for part in parts if len(part) > 40 and set(part) != {"A"})}
