"""Memcheck for the token endpoint: requests of every kind, bodies in pieces, clients that leave while
they send, while they wait for keys and while they are answered, a reload and a stop."""

import time

from harness.caller import Caller
from harness.memcheck import checked
from harness.token_request import Asked, make
from harness.token_visit import send
from harness.token_caller import chunked, head, outages
from test_token_secrets import REQUESTS

SILENT = {"subject": {"claims": {"iss": "https://silent.example"}}}


def test_memory(around, memory_kind):
    with checked(memory_kind, outages(silent={"silence": 60}), around, "token-exchange") as server:
        server.log.announce("AB4[0-9]{3} ")
        everything(server)
        server.reload()
        everything(server)


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
