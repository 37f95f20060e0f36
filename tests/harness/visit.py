"""Runs one scenario against one server and says everything that was not as expected."""

import json
import re
import time
from http.client import HTTPException

from .bound_client import BoundConnection, Presentation, presentation
from .client import Answer, Connection, Http2, tls_context
from .cookie_seal import Sealed
from .scenario import REFUSALS, Expectation, Scenario, Step
from .server import Server
from .table import record

_CHALLENGE = re.compile(r'(?P<scheme>[A-Za-z]+)(?: \w+="[^"\\]*"(?:, \w+="[^"\\]*")*)?')
_PARAMETER = re.compile(r'(\w+)="([^"\\]*)"')


class Visit:
    """One scenario under way: its token, its open connections and its complaints."""

    _count = 0

    def __init__(self, server: Server, scenario: Scenario, protocol: str):
        self._server = server
        self._around = server.site.around
        self._scenario = scenario
        self._protocol = protocol
        self._mint = server.site.mint
        self._token = self._mint.token(scenario.token)
        self._connections = {}
        self._now = {}  # placeholders that only this request's connection fills
        self.complaints = []

    def run(self):
        try:
            for step in self._scenario.steps:
                time.sleep(step.wait)
                for _ in range(step.times):
                    self._take(step)
        except (OSError, HTTPException) as broken:
            self._complain(f"the connection broke: {broken!r}")
            time.sleep(0.5)  # a parent takes a moment to report that its child died
            self._check_lines(self._server.log.fresh())
        finally:
            for connection in self._connections.values():
                connection.close()

    def _take(self, step: Step):
        Visit._count += 1
        mark = str(Visit._count)
        self._check_lines(self._server.log.fresh())  # what came late is no less unexpected
        before = self._around.backend.requests
        answer = self._request(step, [("X-Scenario", mark), *self._headers(step)])
        reached = self._around.backend.requests - before
        expect = step.expect
        if expect.refused:
            self._check_refusal(step, answer, reached)
        else:
            self._expect("status", answer.status, expect.status or 200)
            self._check_seen(step, answer)
        if expect.answer_body and expect.answer_body not in answer.body.decode("latin-1"):
            self._complain(f"body: got {answer.body!r}, expected {expect.answer_body!r} in it")
        for name, value in expect.answer_headers.items():
            self._expect(name, ", ".join(answer.all(name)), value)
        self._check_access_log(mark, expect)  # waits until the server is done with the request
        self._check_log(expect)

    def _headers(self, step: Step) -> list:
        values = step.authorization
        values = [values] if isinstance(values, str) else values
        headers = [("Authorization", value) for value in values] + step.headers
        headers += [("Cookie", self._cookies(pairs)) for pairs in step.cookies]
        return [(name, self._fill(value)) for name, value in headers]

    def _cookies(self, pairs: list) -> str:
        """A `Cookie` header; a text is the same as it stands."""
        sealed = lambda words: record(Sealed, self._mint.fill(words)).pairs(self._around)
        return "; ".join(pair if isinstance(pair, str) else sealed(pair) for pair in pairs)

    def _fill(self, text: str) -> str:
        return self._mint.fill(text.replace("{token}", self._token))

    def _told(self, values: dict) -> dict:
        """What the server has to tell others, with the placeholders that only a connection fills."""
        return self._mint.fill({name: self._now.get(value, value) for name, value in values.items()})

    def _request(self, step: Step, headers: list) -> Answer:
        address = self._server.site.addresses[step.host]
        client = self._around.pki.clients.get(step.certificate)
        request = (step.method, self._fill(step.at), headers, self._fill(step.body).encode())
        if step.token_binding is not None and address.tls:
            return self._bound_request(step, client, request)
        if self._protocol == "h2":
            return Http2(address, self._around.pki.ca, client).request(*request)
        context = tls_context(self._around.pki.ca, client)
        if not step.connection:
            with Connection(address, context) as connection:
                return connection.request(*request)
        if step.connection not in self._connections:
            self._connections[step.connection] = Connection(address, context)
        return self._connections[step.connection].request(*request)

    def _bound_request(self, step: Step, client, request) -> Answer:
        """By the client that can offer Token Binding."""
        presented = presentation(step.token_binding)
        connect = lambda: BoundConnection(
            self._server, step.host, self._protocol, identity=client, **presented.hello()
        )
        if not step.connection:
            with connect() as connection:
                return self._present(connection, presented, request)
        if step.connection not in self._connections:
            self._connections[step.connection] = connect()
        return self._present(self._connections[step.connection], presented, request)

    def _present(self, connection: BoundConnection, presented: Presentation, request) -> Answer:
        fields = [(name, self._mint.fill(value)) for name, value in presented.fields(connection)]
        self._now = {
            "{token-binding-context}": connection.context,
            "{sec-token-binding}": ", ".join(value for _, value in fields),
        }
        method, path, headers, body = request
        return connection.request(method, path, [*headers, *fields], body)

    def _check_refusal(self, step: Step, answer: Answer, reached: int):
        expect, refusal = step.expect, REFUSALS[step.expect.refused]
        self._expect("status", answer.status, expect.status or refusal["status"])
        self._expect("requests that reached the backend", reached, 0)
        self._check_challenge(answer, expect, refusal)
        self._expect("Cache-Control", answer.all("Cache-Control"), ["no-store"])
        if refusal["status"] == 503 and not re.fullmatch(r"[1-9]\d*", "".join(answer.all("Retry-After"))):
            self._complain(f"Retry-After: {answer.all('Retry-After')}")
        if step.method == "HEAD" or expect.replaced_body:
            return
        self._expect("Content-Type", answer.all("Content-Type"), ["application/json"])
        if expect.exact_body:
            return self._expect("body", answer.body.decode("latin-1"), expect.exact_body + "\n")
        try:
            body = json.loads(answer.body)
        except ValueError:
            return self._complain(f"the body is not JSON: {answer.body!r}")
        self._expect("error in the body", body.pop("error", None), refusal.get("body", refusal.get("error")))
        if not body.pop("error_description", "") or body:
            self._complain(f"the body is not error and error_description: {answer.body!r}")

    def _check_challenge(self, answer: Answer, expect: Expectation, refusal: dict):
        challenges = answer.all("WWW-Authenticate")
        if refusal["status"] >= 500 or refusal.get("scheme") == "none":
            return self._expect("challenges", challenges, [])
        if len(challenges) != 1 or not _CHALLENGE.fullmatch(challenges[0]):
            return self._complain(f"not one well-formed challenge: {challenges}")
        self._expect("scheme", challenges[0].split(" ")[0], expect.scheme or refusal.get("scheme", "Bearer"))
        parameters = _PARAMETER.findall(challenges[0])
        realm = {} if refusal.get("bare") else {"realm": self._server.site.world.realm}
        wanted = {**realm, **expect.challenge}
        if "error" in refusal:
            wanted["error"] = refusal["error"]
        described = dict(parameters).get("error_description")
        self._expect("parameters", {n: v for n, v in parameters if n != "error_description"}, wanted)
        self._expect("parameters named twice", len(parameters), len(dict(parameters)))
        if bool(described) != ("error" in refusal):
            self._complain(f"error_description without error, or the reverse: {challenges[0]}")

    def _check_seen(self, step: Step, answer: Answer):
        """What the backend, or the CGI program, was sent."""
        expect, fill = step.expect, self._told
        told = expect.cookies_refused or expect.cookies_seen is not None
        if not (expect.env or expect.env_absent or expect.sees or expect.sees_not or told):
            return
        headers, variables = _seen(answer)
        for name, value in fill(expect.env).items():
            self._expect(name, variables.get(name), [value])
        for name in expect.env_absent:
            self._expect(name, variables.get(name), None)
        for name, value in fill(expect.sees).items():
            self._expect(name, headers.get(name.lower()), [value])
        for name in expect.sees_not:
            self._expect(name, headers.get(name.lower()), None)
        if expect.cookies_seen is not None:
            self._expect("Cookie", headers.get("cookie", []), expect.cookies_seen)
        numbers = [words.split(" ")[0] for words in expect.cookies_refused]
        wanted = [",".join(numbers)] if numbers else None
        self._expect("BOUND_COOKIE_REFUSED", variables.get("BOUND_COOKIE_REFUSED"), wanted)

    def _check_log(self, expect: Expectation):
        """The refusal's own line, at its level, with a next step; and nothing unannounced."""
        log, announced = self._server.log, list(expect.log)
        cookies = [_of_cookie(words) for words in expect.cookies_refused]
        announced += cookies
        if not expect.refused:
            lines = log.fresh()
        else:
            refusal = REFUSALS[expect.refused]
            own = f"{expect.refused} {refusal['name']}: [^;].*; .+"
            announced.append(own)
            lines = log.await_line(own)
            found = [line.level for line in lines if re.search(own, line.text)]
            self._expect(f"levels of {expect.refused} in the log", found, [refusal.get("level", "warn")])
        for own in cookies:
            found = [line.level for line in lines if re.search(own, line.text)]
            self._expect(f"levels of {own} in the log", found, ["warn"])
        self._check_lines(lines, *announced)

    def _check_lines(self, lines: list, *announced: str):
        for text in self._server.log.unexpected(lines, *announced):
            self._complain(f"unexpected in the error log: {text}")

    def _check_access_log(self, mark: str, expect: Expectation):
        wanted = {"BOUND_REFUSAL": expect.refused or "-", **self._told(expect.logged)}
        logged = self._logged(mark)
        for name, value in wanted.items():
            self._expect(f"{name} in the access log", logged.get(name) or "-", value)

    def _logged(self, mark: str) -> dict:
        """The access log's line is written after the answer has been sent."""
        until = time.monotonic() + 3
        while time.monotonic() < until:
            for line in reversed(self._server.access_log.read_text().splitlines(keepends=True)):
                if f'"scenario": "{mark}"' in line and line.endswith("\n"):
                    return json.loads(line)
            time.sleep(0.01)
        return {}

    def _expect(self, what: str, got, wanted):
        if got != wanted:
            self._complain(f"{what}: got {got!r}, expected {wanted!r}")

    def _complain(self, text: str):
        self.complaints.append(text)


def _of_cookie(words: str) -> str:
    """A pattern of the line that tells of a refused cookie."""
    number, reason, name = words.split(" ", 2)
    line = f"{number} cookie-{reason}: the cookie \"{re.escape(name)}\" is not let through: "
    return line + r"[^\"]+ \(\d+ so far in this process\)"


def _seen(answer: Answer):
    """Request headers by lower-case name, and variables by name, each with all its values."""
    headers, variables = {}, {}
    if answer.all("Content-Type") == ["application/json"]:
        for name, value in json.loads(answer.body)["headers"]:
            headers.setdefault(name.lower(), []).append(value)
            if name.startswith("X-Env-"):
                variables.setdefault(name.removeprefix("X-Env-"), []).append(value)
    else:  # what the CGI program's `env` printed
        for line in answer.body.decode().splitlines():
            name, _, value = line.partition("=")
            variables.setdefault(name, []).append(value)
    return headers, variables
