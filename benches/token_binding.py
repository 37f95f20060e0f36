#!/usr/bin/python3
"""What Token Binding costs a request, in instructions, counted by callgrind in the real server.

    /usr/bin/python3 benches/token_binding.py [httpd-event | nginx]

Three series over TLS 1.3 and HTTP/1.1, each the difference between a long and a short run, so that
start and handshake cancel: without Token Binding, with one message sent again and again, with a new
message each time. The last includes the signature check, which is shown by itself as well."""

import glob
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness.bound_client import BoundConnection  # noqa: E402
from harness.servers import _KINDS, serving  # noqa: E402
from harness.world import Surroundings, World  # noqa: E402

PAGE = "/page/page.txt"
WORLD = World.parse(
    {
        "realm": "test",
        "hosts": {"default": {"certificates": "none"}},
        "location": [{"path": "/page", "protect": False, "served": "file"}],
        "jwks": {"sound": ["p256"]},
        "set": {"token-binding": "on"},
    }
)
SHORT, LONG = 50, 250
# OpenSSL's check of a signature of P-256, and what it takes to make a key of a Token Binding ID.
CHECK = (
    "ECDSA_do_verify",
    "openssl::ec::EcPoint::from_bytes",
    "openssl::ec::EcKey<openssl::pkey::Public>::from_public_key",
    "EC_KEY_free",
    "EC_POINT_free",
)

ROW = r"^\s*([\d,]+) \([^)]*\)\s+\S*?:(\S.*?)(?: \[.*)?$"


def series(connection, count: int, kind: str):
    fields = connection.fields() if kind != "without" else []
    for _ in range(count):
        fields = connection.fields() if kind == "first sight" else fields
        assert connection.get(PAGE, *fields).status == 200


def instructions(kind: type, around, count: int, sort: str) -> tuple:
    folder = around.folder / f"callgrind-{kind.name}-{sort.replace(' ', '-')}-{count}"
    folder.mkdir()
    folder.chmod(0o777)
    wrapper = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/%p"]
    options = {"wrapper": wrapper, "patience": 20, "processes": 1}
    with serving(kind, WORLD, around, **options) as server:
        offer = {"token_binding": None} if sort == "without" else {}
        with BoundConnection(server, "default", "h1", **offer) as connection:
            series(connection, count, sort)
        server.stop()
    total = check = 0
    for file in glob.glob(f"{folder}/*"):
        total += int(re.search(r"^(?:totals|summary): (\d+)", Path(file).read_text(), re.M)[1])
        check += inclusive(file)
    return total, check


def inclusive(file: str) -> int:
    """What OpenSSL took for signatures, with all that it calls."""
    listing = subprocess.run(
        ["callgrind_annotate", "--inclusive=yes", "--threshold=100", file],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    rows = [(name, int(count.replace(",", ""))) for count, name in re.findall(ROW, listing, re.M)]
    return sum(max([count for other, count in rows if other == name], default=0) for name in CHECK)


def main():
    kind = _KINDS[sys.argv[1] if len(sys.argv) > 1 else "httpd-event"]
    around = Surroundings()
    try:
        base = None
        for sort in ("without", "remembered", "first sight"):
            (low, low_check), (high, high_check) = (
                instructions(kind, around, count, sort) for count in (SHORT, LONG)
            )
            each = (high - low) / (LONG - SHORT)
            check = (high_check - low_check) / (LONG - SHORT)
            base = each if base is None else base
            print(f"{kind.name} {sort}: {each:.0f}, {each - base:+.0f}, of which signature {check:.0f}", flush=True)
    finally:
        around.close()


if __name__ == "__main__":
    os.environ.setdefault("AUTH_BOUND_SERVERS", "")
    main()
