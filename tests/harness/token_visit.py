"""Runs one row of token_requests/ against one server and says everything that was not as expected."""

import dataclasses
import json
import re
from dataclasses import dataclass, field

from . import table
from .client import Answer, Connection, Http2, tls_context
from .issued import Token, verified
from .server import Server
from .token_request import Asked, Made, make

DENIALS = table.read("denials.toml")
ISSUED = r"AB4000 token-issued: [^;]+"
_NUMBERED = re.compile(r"\bAB4\d{3}\b")
_BASIC = re.compile(r'Basic realm="(?:[^"\\]|\\.)*", charset="UTF-8"')
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@dataclass(frozen=True)
class Expected:
    """What must come of a request: without `refused`, a token.

    `cause` is the refusal of a token behind the denial, `detail` a pattern in its log line. `claims`
    are those of the token (an empty text: it must not be there), `answer` members of the answer.
    With `own_status` the server itself refuses, before the module sees the request.
    """

    refused: str = ""
    cause: str = ""
    detail: str = ""
    own_status: int = 0
    claims: dict = field(default_factory=dict)
    header: dict = field(default_factory=dict)
    refresh_claims: dict = field(default_factory=dict)
    answer: dict = field(default_factory=dict)
    log: list = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """A request and what must come of it, after another one whose tokens it may name."""

    group: str
    name: str
    asked: Asked
    expected: Expected
    before: Asked | None = None
    times: int = 1
    jwks: str = "/jwks"
    protocols: tuple = ("h1",)
    only: str = ""
    reason: str = ""

    def __str__(self):
        return f"{self.group} :: {self.name}"


def rows(group: str, server: str) -> list:
    """A file of the table as one server must pass it: each row in each of its encodings."""
    words = table.read(f"token_requests/{group}.toml")
    found = []
    for row in words["request"]:
        row = {**words.get("base", {}), **row}
        for encoding in row.pop("encodings", ["form"]):
            found.append(_parse(group, {**row, "encoding": encoding}, server))
    return [row for row in found if server.startswith(row.only)]


def _parse(group: str, row: dict, server: str) -> Row:
    row = table.for_server(row, server)
    if row["encoding"] != "form":
        row["name"] += f" ({row['encoding']})"
    expected, row = table.divided(Expected, row)
    own, asked = table.divided(Row, row)
    if "before" in own:
        own["before"] = table.record(Asked, own["before"])
    made = {"group": group, "asked": table.record(Asked, asked), "expected": table.record(Expected, expected)}
    return table.record(Row, {**own, **made})


def send(server: Server, made: Made, certificate: str = "alice", host: str = "open", protocol: str = "h1") -> Answer:
    """A request on a connection of its own."""
    pki, address = server.site.around.pki, server.site.addresses[host]
    client = pki.clients.get(certificate)
    request = (made.method, made.path, made.headers, made.body)
    if protocol == "h2":
        return Http2(address, pki.ca, client).request(*request)
    with Connection(address, tls_context(pki.ca, client)) as connection:
        return connection.request(*request)


def exchange(server: Server, known: dict | None = None, **words) -> Answer:
    """A token request in the words of `Asked`."""
    asked = Asked(**words)
    return send(server, make(asked, server.site.mint, known), asked.certificate, asked.host)


def published(server: Server, path: str = "/jwks") -> dict:
    """A JWK Set of the server."""
    answer = send(server, Made("GET", path, [], b"", set()))
    if answer.status != 200:
        raise ValueError(f"{path}: {answer}")
    return json.loads(answer.body)


def issued(server: Server, answer: Answer, jwks: str = "/jwks") -> Token:
    """The token of a granted request."""
    assert answer.status == 200, answer
    return verified(json.loads(answer.body)["access_token"], published(server, jwks))


class TokenVisit:
    """One row under way, and its complaints."""

    def __init__(self, server: Server, row: Row, protocol: str):
        self._server = server
        self._row = row
        self._protocol = protocol
        self._mint = server.site.mint
        self.complaints = []

    def run(self):
        row, known = self._row, {}
        if row.before:
            known = self._tokens_of_before(row.before)
        made = make(row.asked, self._mint, known)
        for _ in range(row.times - 1):
            self._send(made)
        self._take(made)

    def _tokens_of_before(self, asked: Asked) -> dict:
        made = make(asked, self._mint)
        answer = send(self._server, made, asked.certificate, asked.host)
        if answer.status != 200:
            raise ValueError(f"the request before is refused: {answer}")
        self._server.log.await_line(ISSUED)
        members = json.loads(answer.body)
        return {"{access-token}": members["access_token"], "{refresh-token}": members.get("refresh_token", "")}

    def _send(self, made: Made) -> Answer:
        asked = self._row.asked
        return send(self._server, made, asked.certificate, asked.host, self._protocol)

    def _take(self, made: Made):
        log, expected = self._server.log, self._row.expected
        self._check_lines(log.fresh(), made)
        answer = self._send(made)
        if expected.own_status:
            self._expect("status", answer.status, expected.own_status)
            self._check_nothing_issued(answer)
            # The server's own line at info may repeat a header: that is its to answer for.
            return self._check_lines(log.fresh(), dataclasses.replace(made, secrets=set()))
        if expected.refused:
            own = rf"{expected.refused} {DENIALS[expected.refused]['name']}: [^;]+; .+"
            lines = log.await_line(own)
            self._check_refused(answer, lines)
            self._check_lines(lines + log.fresh(), made, own)
        else:
            lines = log.await_line(ISSUED)
            self._check_granted(answer, lines)
            self._check_lines(lines + log.fresh(), made)

    def _check_refused(self, answer: Answer, lines: list):
        expected, denial = self._row.expected, DENIALS[self._row.expected.refused]
        challenged = bool(self._row.asked.authorization) and denial["status"] == 401
        # RFC 6749, section 5.2: 401 only for a client that used Authorization.
        status = 400 if denial["status"] == 401 and not challenged else denial["status"]
        self._expect("status", answer.status, status)
        self._check_headers(answer)
        challenges = answer.all("WWW-Authenticate")
        if len(challenges) != challenged or not all(map(_BASIC.fullmatch, challenges)):
            self._complain(f"challenges: {challenges}")
        self._expect("Allow", answer.all("Allow"), [denial["allow"]] if "allow" in denial else [])
        retry = answer.all("Retry-After")
        if len(retry) != (status == 503) or not all(re.fullmatch(r"[1-9]\d*", value) for value in retry):
            self._complain(f"Retry-After: {retry}")
        self._check_nothing_issued(answer)
        if self._row.asked.method != "HEAD":
            self._check_error(answer, denial)
        numbered = [line for line in lines if _NUMBERED.search(line.text)]
        self._expect("levels of its lines", [line.level for line in numbered], [denial.get("level", "warn")])
        text = numbered[0].text if numbered else ""
        for pattern in (expected.cause, self._mint.fill(expected.detail)):
            if not re.search(pattern, text):
                self._complain(f"the log does not tell {pattern}: {text}")

    def _check_error(self, answer: Answer, denial: dict):
        try:
            body = json.loads(answer.body)
        except ValueError:
            return self._complain(f"the body is not JSON: {answer.body!r}")
        self._expect("error", body.pop("error", None), denial["error"])
        if not body.pop("error_description", "") or body:
            self._complain(f"the body is not error and error_description: {answer.body!r}")

    def _check_nothing_issued(self, answer: Answer):
        if b"eyJ" in answer.body or b"access_token\"" in answer.body:
            self._complain(f"something was issued: {answer.body!r}")

    def _check_headers(self, answer: Answer):
        self._expect("Content-Type", answer.all("Content-Type"), ["application/json"])
        self._expect("Cache-Control", answer.all("Cache-Control"), ["no-store"])
        self._expect("Pragma", answer.all("Pragma"), ["no-cache"])
        if self._row.asked.method != "HEAD":
            self._expect("Content-Length", answer.all("Content-Length"), [str(len(answer.body))])

    def _check_granted(self, answer: Answer, lines: list):
        if answer.status != 200:
            return self._complain(f"refused: {answer}")
        expected, members = self._row.expected, json.loads(answer.body)
        self._check_headers(answer)
        usual = {"token_type": "Bearer", "issued_token_type": _ACCESS_TOKEN}
        self._check_members("answer", members, {**usual, **expected.answer})
        keys = published(self._server, self._row.jwks)
        token = verified(members["access_token"], keys)
        self._check_members("header", token.header, {"typ": "at+jwt", **expected.header})
        self._expect("lifetime", token.claims["exp"] - token.claims["iat"], members["expires_in"])
        self._check_members("claims", token.claims, self._mint.fill({"iss": "https://as.example", **expected.claims}))
        if expected.refresh_claims:
            refresh = verified(members.get("refresh_token", ""), keys)
            self._expect("typ of the refresh token", refresh.header["typ"], "rt+jwt")
            self._check_members("refresh token", refresh.claims, self._mint.fill(expected.refresh_claims))
        told = [line for line in lines if _NUMBERED.search(line.text)]
        self._expect("levels of its lines", [line.level for line in told], ["info"])
        if not told or token.claims["jti"] not in told[0].text:
            self._complain(f"the log does not name the token: {told}")
        secret = {part for name in ("access_token", "refresh_token") for part in members.get(name, "").split(".")[1:]}
        self._check_secrets(lines, secret)

    def _check_members(self, what: str, members: dict, wanted: dict):
        for name, value in wanted.items():
            self._expect(f"{name} in the {what}", members.get(name, ""), value)

    def _check_lines(self, lines: list, made: Made, *announced: str):
        for text in self._server.log.unexpected(lines, *announced, *self._row.expected.log):
            self._complain(f"unexpected in the error log: {text}")
        self._check_secrets(lines, made.secrets)

    def _check_secrets(self, lines: list, secret: set):
        for line in lines:
            if any(text in line.text for text in secret):
                self._complain(f"the log has a secret: {line.text}")

    def _expect(self, what: str, got, wanted):
        if got != wanted:
            self._complain(f"{what}: got {got!r}, expected {wanted!r}")

    def _complain(self, text: str):
        self.complaints.append(text)
