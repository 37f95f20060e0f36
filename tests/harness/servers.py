"""Which servers this run is for, and the ones that are running."""

import contextlib
import os

from .httpd import HttpdEvent, HttpdPrefork, HttpdWorker
from .nginx import Nginx
from .server import Server
from .world import Site, Surroundings, World

_KINDS = {kind.name: kind for kind in (HttpdEvent, HttpdPrefork, HttpdWorker, Nginx)}


def chosen() -> list:
    """AUTH_BOUND_SERVERS, a list of names divided by commas; without it the three we promise."""
    names = os.environ.get("AUTH_BOUND_SERVERS", "httpd-event,httpd-prefork,nginx").split(",")
    return [_KINDS[name] for name in names if name]


class Running:
    """The servers started so far, one for each kind and world; all are stopped together."""

    def __init__(self, around: Surroundings):
        self._around = around
        self._servers = {}

    def server(self, kind: type, world: str) -> Server:
        """Starts it at first use; one that does not start is not tried again."""
        if (kind, world) not in self._servers:
            self._servers[kind, world] = None
            self._servers[kind, world] = started(kind, World.read(world), self._around)
        if not self._servers[kind, world]:
            raise RuntimeError(f"{kind.name} did not start with the world {world}")
        return self._servers[kind, world]

    def stop(self):
        """Whatever a server logs on the way out must be announced as well."""
        complaints = []
        for server in filter(None, self._servers.values()):
            server.stop()
            server.site.close()
            complaints += server.log.unexpected(server.log.fresh())
        assert not complaints


def started(kind: type, world: World, around: Surroundings, **options) -> Server:
    server = kind(Site(world, around, kind.name), **options)
    server.start()
    unexpected = server.log.unexpected(server.log.fresh() + server.console())
    if unexpected:
        server.stop()
    assert not unexpected
    return server


@contextlib.contextmanager
def serving(kind: type, world: World, around: Surroundings, **options):
    """A server for one test, which must have announced whatever its log has in the end."""
    server = started(kind, world, around, **options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
        server.site.close()
    assert not server.log.unexpected(server.log.lines() + server.console())
