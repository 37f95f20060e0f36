"""Restarts, stops and lost workers while clients go on asking."""

import os
import signal
import subprocess
import time
from pathlib import Path
from subprocess import DEVNULL

import pytest

from harness.caller import Caller
from harness.load import NOBODY, Load
from harness.servers import serving
from harness.waiting import eventually, in_parallel
from harness.world import Site, World


@pytest.fixture
def server(around, kind):
    with serving(kind, World.read("keys"), around) as server:
        yield server


def mixed(caller: Caller):
    """A granted and a refused token in turn; each answer must be the right one."""
    good, bad = caller.headers(), caller.headers(claims={"exp": 0})
    turn = iter(range(10**9))

    def ask(request):
        granted = next(turn) % 2 == 0
        answer = request("GET", "/page/page.txt", good if granted else bad)
        assert answer.status == (200 if granted else 401), answer
        return answer

    return ask


def test_reloads_under_load_fail_no_request(server):
    server.log.announce("AB1113 token-expired")
    caller = Caller(server)
    times = 20 if server.name == "nginx" else 5
    with Load(caller.address, caller.context, mixed(caller)) as load:
        for _ in range(times):
            server.reload()
            time.sleep(0.1)
    assert not load.failures
    assert load.statuses[200] > 50 and load.statuses[401] > 50


def test_requests_under_way_survive_a_reload(server):
    caller = Caller(server)
    with in_parallel(lambda: caller.get("/slow").status, 4) as answers:
        time.sleep(0.15)  # the backend takes twice as long
        server.reload()
    assert answers == [200] * 4


def test_a_graceful_stop_finishes_what_it_began(server):
    """Whoever comes after the stop finds nobody; whoever was being served is served."""
    caller = Caller(server)
    with in_parallel(lambda: caller.get("/slow").status, 4) as answers:
        time.sleep(0.15)
        assert server.stop(server.graceful_stop) == 0
    assert answers == [200] * 4


def test_a_graceful_stop_under_load_gives_no_wrong_and_no_half_answer(server):
    server.log.announce("AB1113 token-expired")
    caller = Caller(server)
    with Load(caller.address, caller.context, mixed(caller)) as load:
        time.sleep(0.5)
        assert not load.failures
        assert server.stop(server.graceful_stop) == 0
    # Those who came too late found nobody, or were still waiting to be accepted.
    assert all(isinstance(failure, NOBODY) for failure in load.failures), load.failures
    assert load.statuses[200] > 10 and load.statuses[401] > 10


def test_a_killed_worker_harms_no_other(around, kind):
    """Whoever another worker serves is served, and so are all that come later."""
    with serving(kind, World.read("keys"), around, processes=2) as server:
        server.log.announce("exited on signal 9")  # NGINX; httpd takes it for an order
        caller = Caller(server)
        victim, lost, others = None, [], []
        while not others:  # how the servers share out connections is theirs to say
            connection = caller.connect()
            served_by = server.worker_of(connection)
            victim = victim or served_by
            (lost if served_by == victim else others).append(connection)
        for connection in lost + others:
            connection.send("GET", "/slow", caller.headers())
        os.kill(victim, signal.SIGKILL)
        assert [connection.receive().status for connection in others] == [200] * len(others)
        eventually(lambda: victim not in server.workers())
        assert [caller.get("/page/page.txt").status for _ in range(10)] == [200] * 10


def pid_in(file: Path) -> str:
    """NGINX renames its pid file when a new binary takes over."""
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""


def test_nginx_is_replaced_by_a_new_binary_under_load(around, nginx_kind):
    """NGINX ignores USR2 unless it is a daemon, so this one is known by its pid file alone."""
    server = nginx_kind(Site(World.read("keys"), around, nginx_kind.name), daemon="on")
    subprocess.run(server.command(), check=True, stdout=DEVNULL, stderr=DEVNULL)
    file = server.site.folder / "nginx.pid"
    eventually(lambda: pid_in(file))
    masters = [int(pid_in(file))]
    try:
        caller = Caller(server)
        token = caller.headers()
        ask = lambda request: request("GET", "/page/page.txt", token)
        with Load(caller.address, caller.context, ask) as load:
            os.kill(masters[0], signal.SIGUSR2)
            eventually(lambda: pid_in(file) not in ("", str(masters[0])))
            masters.append(int(pid_in(file)))
            time.sleep(0.3)
            os.kill(masters[0], signal.SIGQUIT)
            eventually(lambda: not Path(f"/proc/{masters[0]}").exists())
            time.sleep(0.3)
        assert not load.failures and set(load.statuses) == {200}
    finally:
        for master in filter(lambda master: Path(f"/proc/{master}").exists(), masters):
            os.kill(master, signal.SIGTERM)
        server.site.close()
    assert not server.log.unexpected(server.log.lines())
