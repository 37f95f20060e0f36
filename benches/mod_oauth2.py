#!/usr/bin/python3
"""What a certificate-bound token costs a request, beside Debian's mod_oauth2 in the same server.

    /usr/bin/python3 benches/mod_oauth2.py

Instructions, counted by callgrind: they do not depend on what else the machine does. Each figure is
the difference between a long and a short run, so that start and handshake cancel. A request is for
a small file over one TLS 1.3 connection with a client certificate, with an RS256 token: the same one
again and again, and each time another. mod_oauth2 runs with its defaults, its cache on."""

import glob
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness.caller import Caller  # noqa: E402
from harness.httpd import HttpdEvent  # noqa: E402
from harness.nginx import Nginx  # noqa: E402
from harness.servers import serving  # noqa: E402
from harness.world import Surroundings, World  # noqa: E402

THEIRS = """AuthType oauth2
    OAuth2TokenVerify jwks_uri {key-server}/jwks "type=mtls&mtls.policy=required"
    Require valid-user"""


def world(kind: type) -> World:
    """One file at three places: open, protected by us and, in httpd, by mod_oauth2."""
    served = {"served": "file", "protect": False}
    locations = [{"path": "/open", **served}, {"path": "/ours", "served": "file"}]
    httpd = kind is HttpdEvent
    if httpd:
        locations.append({"path": "/theirs", **served, "httpd": THEIRS})
    return World.parse(
        {
            "realm": "test",
            "hosts": {"open": {"certificates": "optional_no_ca"}},
            "location": locations,
            "jwks": {"sound": ["rsa"]},
            "endpoints": {"/jwks": {"jwks": "sound"}},
            "set": {"issuer": "https://issuer.example jwks-file {jwks:sound}", "audience": "https://api.example"},
            "httpd": "LoadModule oauth2_module /usr/lib/apache2/modules/mod_oauth2.so" if httpd else "",
        }
    )


SHORT, LONG = 50, 250


def instructions(kind: type, around, path: str, fresh: bool, count: int) -> int:
    """What the server takes for so many requests, start and stop included."""
    folder = around.folder / f"callgrind-{len(list(around.folder.iterdir()))}"
    folder.mkdir()
    folder.chmod(0o777)
    wrapper = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/%p"]
    with serving(kind, world(kind), around, wrapper=wrapper, patience=20, processes=1) as server:
        caller = Caller(server)
        headers = caller.headers(alg="RS256")
        with caller.connect() as connection:
            for number in range(count):
                if fresh:
                    headers = caller.headers(alg="RS256", claims={"jti": f"number-{number}"})
                answer = connection.request("GET", f"{path}/page.txt", headers if path != "/open" else [])
                assert answer.status == 200, answer
        server.stop()
    files = [Path(file).read_text() for file in glob.glob(f"{folder}/*")]
    return sum(int(re.search(r"^(?:totals|summary): (\d+)", text, re.M)[1]) for text in files)


def each(kind: type, around, path: str, fresh: bool) -> float:
    """What one request takes."""
    low, high = (instructions(kind, around, path, fresh, count) for count in (SHORT, LONG))
    return (high - low) / (LONG - SHORT)


def main():
    around = Surroundings()
    try:
        for kind, paths in ((HttpdEvent, ("/open", "/ours", "/theirs")), (Nginx, ("/open", "/ours"))):
            for path in paths:
                for fresh in (False, True) if path != "/open" else (False,):
                    token = "a new token each time" if fresh else "the same token" if path != "/open" else "no token"
                    print(f"{kind.name} {path}, {token}: {each(kind, around, path, fresh):.0f}", flush=True)
    finally:
        around.close()


if __name__ == "__main__":
    main()
