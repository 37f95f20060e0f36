"""Memcheck for the token endpoint: requests of every kind, bodies in pieces, clients that leave while
they send, while they wait for keys and while they are answered, a reload and a stop."""

import time

from harness.caller import Caller
from harness.servers import serving
from harness.token_request import Asked, make
from harness.token_visit import send
from harness.token_caller import chunked, head, outages
from test_token_secrets import REQUESTS
from test_valgrind import MEMCHECK, errors_of_ours

SILENT = {"subject": {"claims": {"iss": "https://silent.example"}}}


def test_memory(around, memory_kind):
    reports = around.folder / f"memcheck-token-exchange-{memory_kind.name}"
    reports.mkdir()
    reports.chmod(0o777)
    wrapper = [*MEMCHECK, f"--xml-file={reports}/%p.xml"]
    options = {"wrapper": wrapper, "patience": 10, "processes": 1}
    with serving(memory_kind, outages(silent={"silence": 60}), around, **options) as server:
        server.log.announce("AB4[0-9]{3} ")
        everything(server)
        server.reload()
        everything(server)
        assert server.stop() == 0
    ours = [error for file in reports.iterdir() for error in errors_of_ours(file, memory_kind)]
    assert len(list(reports.iterdir())) >= 3  # the parent, and a worker of each generation
    assert not ours, "\n\n".join(ours)


def everything(server):
    mint, caller = server.site.mint, Caller(server)
    for words in REQUESTS:
        asked = Asked(**words)
        send(server, make(asked, mint), asked.certificate)
    sound = make(Asked(), mint)
    for path in ("/jwks", "/.well-known/oauth-authorization-server"):
        for method in ("GET", "HEAD", "POST"):
            with caller.connect() as connection:
                connection.request(method, path)
    for sent in (1, len(sound.body) // 2, len(sound.body)):
        with caller.connect() as connection:
            connection.socket.sendall(head(sound, f"Content-Length: {len(sound.body)}") + sound.body[:sent])
        with caller.connect() as connection:
            connection.socket.sendall(head(sound, "Transfer-Encoding: chunked") + chunked(sound.body, 9)[:sent])
    with caller.connect() as connection:
        connection.socket.sendall(head(sound, "Transfer-Encoding: chunked") + chunked(b"x" * 100000, 1000))
        connection.socket.recv(1000)
    if "h2" in server.protocols:
        for _ in range(3):
            assert send(server, sound, protocol="h2").status == 200
    waiting = make(Asked(**SILENT), mint)
    for _ in range(5):
        with caller.connect() as connection:
            connection.send(waiting.method, waiting.path, waiting.headers, waiting.body)
            time.sleep(0.1)
    time.sleep(1.5)  # past key-wait
    assert send(server, sound).status == 200
