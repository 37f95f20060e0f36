#!/usr/bin/python3
"""What bound cookies cost a request, in instructions, counted by callgrind in the real server.

    /usr/bin/python3 benches/cookies.py [httpd-event | nginx]

Each series is the difference between a long and a short run, so that start and handshake cancel. From
it goes what the same request takes at a location without rules, which gets the same response:

  none present   rules, and a request whose cookies are all of others
  one opened     one bound cookie among them
  one sealed     a response with one cookie that is protected, and one that is not

The server sets the cookies itself. Requests and responses have the same number of bytes at both: the
location without rules sets a cookie that is as long as a sealed one. The limits are those that the
project has set itself."""

import glob
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness.bound_client import BoundConnection  # noqa: E402
from harness.cookie_seal import Sealed  # noqa: E402
from harness.servers import _KINDS, serving  # noqa: E402
from harness.world import Surroundings, World  # noqa: E402

VALUE = "of-the-server-0123456789"
SEALED_LENGTH = 186  # of this value for app.test.example


def location(path: str, sets: dict, **rules) -> dict:
    cookies = [f'Set-Cookie "{name}={value}; Path=/"' for name, value in sets.items()]
    return {
        "path": path,
        "protect": False,
        "served": "file",
        "set": rules,
        "httpd": "\n    ".join(f"Header add {cookie}" for cookie in cookies),
        "nginx": " ".join(f"add_header {cookie};" for cookie in cookies),
    }


WORLD = World.parse(
    {
        "realm": "test",
        "hosts": {"app": {"certificates": "optional_no_ca", "name": "app.test.example"}},
        "location": [
            location("/plain", {}),
            location("/ruled", {}, cookie="S"),
            location("/plain-sets", {"S": "x" * SEALED_LENGTH, "other": VALUE}),
            location("/ruled-sets", {"S": VALUE, "other": VALUE}, cookie="S"),
        ],
        "jwks": {"sound": ["p256"]},
        "set": {"cookie-secret": "{secret:first}", "cookie-attributes": "none"},
    }
)
OTHERS = "theme=dark; consent=yes; _ga=GA1.2.1234567890.1234567890"
SHORT, LONG = 100, 500
# Name, where the rules are, where not, the Cookie header, limit.
SERIES = [
    ("none present", "/ruled", "/plain", OTHERS, 1_000),
    ("one opened", "/ruled", "/plain", OTHERS + "; {sealed}", 12_000),
    ("one opened, each time another", "/ruled", "/plain", OTHERS + "; {another}", 12_000),
    ("one sealed", "/ruled-sets", "/plain-sets", OTHERS, 25_000),
]


def instructions(kind: type, around, path: str, cookies: list) -> int:
    """What the server takes for requests with these `Cookie` headers, start and stop included."""
    folder = around.folder / f"callgrind-{kind.name}-{path.strip('/')}-{len(list(around.folder.iterdir()))}"
    folder.mkdir()
    folder.chmod(0o777)
    wrapper = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/%p"]
    options = {"wrapper": wrapper, "patience": 20, "processes": 1}
    with serving(kind, WORLD, around, **options) as server:
        identity = around.pki.clients["alice"]
        with BoundConnection(server, "app", token_binding=None, identity=identity) as connection:
            for cookie in cookies:
                answer = connection.get(f"{path}/page.txt", ("Cookie", cookie))
                assert answer.status == 200
                lengths = [len(cookie) for cookie in answer.all("Set-Cookie")]
                assert lengths in ([], [len("S=; Path=/") + SEALED_LENGTH, len(f"other={VALUE}; Path=/")]), lengths
        server.stop()
    files = [Path(file).read_text() for file in glob.glob(f"{folder}/*")]
    return sum(int(re.search(r"^(?:totals|summary): (\d+)", text, re.M)[1]) for text in files)


def each(kind: type, around, path: str, header: str) -> float:
    """What one request takes."""
    sealed = lambda: Sealed(value=VALUE).pairs(around)
    header = header.replace("{sealed}", sealed())
    headers = [header.replace("{another}", sealed()) for _ in range(LONG)]
    low, high = (instructions(kind, around, path, headers[:count]) for count in (SHORT, LONG))
    return (high - low) / (LONG - SHORT)


def main():
    kind = _KINDS[sys.argv[1] if len(sys.argv) > 1 else "httpd-event"]
    around = Surroundings()
    try:
        for name, ruled, plain, header, limit in SERIES:
            with_rules, without = (each(kind, around, path, header) for path in (ruled, plain))
            print(
                f"{kind.name} {name}: {with_rules:.0f}, {with_rules - without:+.0f} (at most {limit})",
                flush=True,
            )
    finally:
        around.close()


if __name__ == "__main__":
    main()
