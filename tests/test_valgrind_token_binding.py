"""Memcheck: Token Binding over every kind of handshake. Where the contexts of virtual hosts differed
in their extensions, OpenSSL would read past an array when it changes from one to the other."""

import contextlib
import xml.etree.ElementTree as ElementTree

from harness.bound_client import BoundConnection
from harness.memcheck import checked, renew
from harness.tls_client import TLS_1_2, TLS_1_3, TlsError
from harness.token_binding import REFERRED, Binding, offer
from harness.world import World

HOSTS = ("default", "on", "off", "picky", "remembering", "remembering-on", "remembering-off", "late", "late-on")


def test_memory_of_handshakes(around, memory_kind):
    world = World.read("token_binding")
    with checked(memory_kind, world, around, "token-binding", others=errors_of_tls) as server:
        server.log.announce("AB1[012][0-9]{2} |AH02008|SSL_do_handshake\\(\\) failed|SSL Library Error")
        everything(server)
        renew(server)
        everything(server)


def everything(server):
    """Full and resumed handshakes with each host, good messages and bad ones, broken offers."""
    for version in (TLS_1_2, TLS_1_3):
        for host in HOSTS:
            session = None
            for _ in range(2):
                with BoundConnection(server, host, "h1", session, version=version) as connection:
                    talk(connection)
                    session = connection.tls.session()
        with contextlib.suppress(TlsError):
            BoundConnection(server, "on", version=version, token_binding=b"\1")
        with BoundConnection(server, "on", version=version, token_binding=None) as connection:
            connection.get("/")
    with BoundConnection(server, "on", "h2") as connection:
        wanted = [Binding(f"p256-{number}") for number in range(8)]
        streams = [("/headers", connection.fields(binding)) for binding in wanted]
        assert {answer.status for answer in connection.get_at_once(streams)} == {200}
    with BoundConnection(server, token_binding=offer(2), version=TLS_1_2, identity=alice(server)) as connection:
        connection.get("/step-up", *connection.fields())
        connection.get("/headers", *connection.fields())


def talk(connection: BoundConnection):
    if not connection.tls.negotiated:
        connection.get("/", ("Sec-Token-Binding", "AAAA"))
        return
    sound, referred = Binding(connection.key), Binding("p256-elsewhere", REFERRED)
    other = Binding("p256-third", 9)
    for path in ("/headers", "/own-names", "/forwarding", "/referring/answers/302", "/bound"):
        connection.get(path, *connection.fields(sound, referred, other))
    connection.get("/required", *connection.fields(Binding(connection.key, signature="flipped")))


def alice(server):
    return server.site.around.pki.clients["alice"]


def errors_of_tls(report) -> list:
    """Memcheck's errors in the TLS library, but for leaks: there, none of ours need be on the stack."""
    found = []
    for error in ElementTree.parse(report).getroot().iter("error"):
        frames = list(error.iter("frame"))
        in_tls = any("libssl" in (frame.findtext("obj") or "") for frame in frames)
        if in_tls and not error.findtext("kind").startswith("Leak_"):
            stack = [frame.findtext("fn") or frame.findtext("obj") or "?" for frame in frames]
            found.append("\n  ".join([f"{report.name}: {error.findtext('what')}", *stack]))
    return found
