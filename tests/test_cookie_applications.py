"""Real applications behind the servers, unchanged: their sessions go on as ever, and are worthless to
whoever copies their cookies. 1,000 users at once, none of whom is taken for another."""

import contextlib
import itertools
import random
import re
import threading
from urllib.parse import urlencode

import pytest

from harness import application
from harness.cookie_client import CookieClient
from harness.servers import serving
from harness.world import World

USERS, CLIENTS = 1000, 24
# The paths' first part, the program, the cookies of a user who is logged in.
APPLICATIONS = {
    "java": (application.cherrypy, {"JSESSIONID"}),
    "php": (application.php, {"PHPSESSID"}),
    "django": (application.django, {"sessionid", "csrftoken"}),
}
RAW = re.compile("[0-9a-zA-Z,-]{22,64}")  # what a cookie of theirs looks like when it is not sealed


@pytest.fixture(scope="module")
def ports(around):
    """Where the applications are; they serve all servers of the run."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(application.running(command, around.folder / f"application-{name}"))
            for name, (command, _) in APPLICATIONS.items()
        }


@pytest.fixture(scope="module")
def servers(around, ports):
    """One for each kind, started when it is first asked for."""
    with contextlib.ExitStack() as stack:
        started = {}

        def server(kind):
            if kind not in started:
                started[kind] = stack.enter_context(serving(kind, world(ports), around))
            return started[kind]

        yield server


@pytest.fixture
def server(servers, kind):
    return servers(kind)


def world(ports: dict) -> World:
    locations = [
        {
            "path": f"/{name}",
            "protect": False,
            "served": "elsewhere",
            "httpd": f"ProxyPass http://127.0.0.1:{port}/{name}",
            "nginx": f"proxy_pass http://127.0.0.1:{port}; ",
        }
        for name, port in ports.items()
    ]
    cookies = [cookie for _, cookies in APPLICATIONS.values() for cookie in sorted(cookies)]
    return World.parse({
        "realm": "test",
        "hosts": {"app": {"certificates": "optional_no_ca", "name": "app.test.example"}},
        "location": locations,
        "jwks": {"main": ["p256"]},
        "set": {"token-binding": "on", "cookie": cookies, "cookie-secret": "{secret:first}"},
        "announced": ['AB311[89] cookie-possession-(mismatch|missing): the cookie "'],
    })  # fmt: skip


def log_in(client: CookieClient, name: str, user: str):
    form = {"user": user}
    if name == "django":
        answer = client.ask(f"/{name}/login")
        assert answer.status == 200, answer
        form["csrfmiddlewaretoken"] = answer.body.decode()
    answer = post(client, f"/{name}/login", form)
    assert answer.status in (302, 303), answer


def post(client: CookieClient, path: str, form: dict):
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    return client.ask(path, method="POST", body=urlencode(form).encode(), headers=[kind])


def greeted(client: CookieClient, name: str) -> str:
    answer = client.ask(f"/{name}/page")
    assert answer.status == 200, answer
    return answer.body.decode().removeprefix("hello ")


@pytest.mark.parametrize("protocol", ["h1", "h2"])
@pytest.mark.parametrize("key", ["", "p256"], ids=["certificate", "token-binding"])
@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_session(server, kind, name, protocol, key):
    """Login, use, theft, logout; of both kinds of possession."""
    if protocol not in server.protocols:
        pytest.skip("mod_http2 does not serve HTTP/2 under prefork")
    certificate = "none" if key else "alice"
    with CookieClient(server, certificate, key, protocol) as alice:
        assert greeted(alice, name) == "nobody"
        log_in(alice, name, "alice")
        alice.reconnect()
        assert greeted(alice, name) == "alice"
        assert set(alice.jar) == APPLICATIONS[name][1]
        assert not any(RAW.fullmatch(value) for value in alice.jar.values())
        for thief in ({"certificate": "bob"}, {"certificate": "none"}, {"certificate": "none", "key": "p256-thief"}):
            with alice.like(**thief) as other:
                assert greeted(other, name) == "nobody"
        assert greeted(alice, name) == "alice"  # whom the thieves did not log out
        assert alice.ask(f"/{name}/logout").status == 200
        assert greeted(alice, name) == "nobody"


def test_a_forged_form(server, kind):
    """CSRF: the token must match its cookie, and the cookie must be this client's."""
    with CookieClient(server) as alice, CookieClient(server, "bob") as mallory:
        token = alice.ask("/django/login").body.decode()
        form = {"user": "alice", "csrfmiddlewaretoken": token}
        assert post(mallory, "/django/login", form).status == 403
        mallory.jar = dict(alice.jar)
        assert post(mallory, "/django/login", form).status == 403
        other = mallory.like(certificate="alice")
        assert post(other, "/django/login", {**form, "csrfmiddlewaretoken": "A" * 64}).status == 403
        other.close()
        assert post(alice, "/django/login", form).status == 302


class Crowd:
    """Many users, who share a few certificates and connections."""

    def __init__(self, server, name: str):
        self.name = name
        certificates = ["alice", "bob", "same-name-other-key"]
        self.clients = [CookieClient(server, certificates[number % 3]) for number in range(CLIENTS)]
        self.jars = [{} for _ in range(USERS)]
        self.failures = []

    def each(self, do, order):
        """`do(client, user)` for all users in this order, many at once; a user keeps to a certificate."""
        queues = [iter([user for user in order if user % 3 == kind]) for kind in range(3)]
        locks = [threading.Lock() for _ in range(3)]

        def work(number: int):
            client, kind = self.clients[number], number % 3
            while True:
                with locks[kind]:
                    user = next(queues[kind], None)
                if user is None:
                    return
                client.jar = self.jars[user]
                try:
                    do(client, user)
                except Exception as failure:  # any kind counts
                    self.failures.append((user, failure))
                    client.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def close(self):
        for client in self.clients:
            client.close()


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_thousand_users(server, kind, name):
    """Logged in at the same time; each is greeted by name however their requests mix."""
    crowd = Crowd(server, name)
    shuffled = random.Random(5)

    def visit(client, user):
        assert (greeted(client, name), user) == (f"user-{user}", user)

    try:
        crowd.each(lambda client, user: log_in(client, name, f"user-{user}"), range(USERS))
        assert not crowd.failures, crowd.failures[:3]
        texts = list(itertools.chain.from_iterable(jar.values() for jar in crowd.jars))
        assert len(set(texts)) == len(texts) == USERS * len(APPLICATIONS[name][1])
        for _ in range(2):
            crowd.each(visit, shuffled.sample(range(USERS), USERS))
            assert not crowd.failures, crowd.failures[:3]
    finally:
        crowd.close()
    with CookieClient(server, "none") as thief:
        for jar in crowd.jars[::50]:
            thief.jar = dict(jar)
            assert greeted(thief, name) == "nobody"
