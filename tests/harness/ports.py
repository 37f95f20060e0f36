"""TCP ports of loopback for servers that start later.

Not from the kernel's own range, as far as it leaves any: between the choice and the server's start,
which takes a while under memcheck, the kernel would give one of those to whatever connects anywhere.
As a program it prints that many of them.
"""

import random
import socket
import sys
from pathlib import Path

_KERNELS = "/proc/sys/net/ipv4/ip_local_port_range"


def _ours() -> list:
    """Without an order, since other runs choose at the same time."""
    first, last = map(int, Path(_KERNELS).read_text().split())
    ports = range(1024, 1 << 16)
    left = [port for port in ports if not first <= port <= last] or list(ports)
    return random.sample(left, len(left))


class _Ports:
    """Each comes around again only when all the others had their turn."""

    def __init__(self, ports: list):
        self._ports, self._next = ports, 0

    def free(self) -> int:
        for _ in self._ports:
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            if _is_free(port):
                return port
        raise RuntimeError("no port is free")


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


_PORTS = _Ports(_ours())


def free_ports(count: int) -> list:
    return [_PORTS.free() for _ in range(count)]


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])))
