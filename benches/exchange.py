#!/usr/bin/python3
"""How many tokens the token endpoint issues, compared with what its key alone could sign.

    /usr/bin/python3 benches/exchange.py [httpd-event | nginx]

The server has one core to itself, the client (ab, of apache2-utils) the other. `openssl speed`
signs on the server's core before and after each series with a key of the same kind: what it reaches
is what no endpoint can exceed. Exchanges are mTLS requests on kept-alive connections, with an opaque
credential that is good with the client's certificate only. A second series asks for the JWK Set, which
takes all that a request takes but no signature: a request and a signature together are what no endpoint in
that server can exceed."""

import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness.servers import _KINDS, serving  # noqa: E402
from harness.world import Surroundings, World  # noqa: E402

SECRET = "iamtheeggman"
SERVER_CORE, CLIENT_CORE = 0, 1
ROUNDS = 7
# The kind of key, how openssl makes one, and what openssl speed calls it.
KEYS = {
    "RS256": (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "rsa2048"),
    "RS256, 3072 bits": (["RSA", "-pkeyopt", "rsa_keygen_bits:3072"], "rsa3072"),
    "ES256": (["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ecdsap256"),
}
# As in Debian's apache2.conf; without it httpd looks for an .htaccess file in each folder of the path.
AS_DEBIAN = "<Directory />\n    Options FollowSymLinks\n    AllowOverride None\n</Directory>"
BODY = (
    "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=https://api.example"
    f"&subject_token={SECRET}&subject_token_type=urn:ietf:params:oauth:token-type:access_token"
)


def world(key: Path) -> World:
    return World.parse(
        {
            "realm": "test",
            "hosts": {"default": {"certificates": "optional", "httpd": AS_DEBIAN}},
            "location": [
                {"path": "/token", "protect": False, "served": "token-exchange"},
                {"path": "/jwks", "protect": False, "served": "sts-jwks"},
            ],
            "files": {"credentials.secret": "{sha256:%s} alice {x5t:alice}\n" % SECRET},
            "set": {
                "sts-issuer": "https://as.example",
                "sts-signing-key": str(key),
                "sts-credentials": "{folder}/credentials.secret",
                "sts-client": "cli none",
                "sts-default-client": "cli",
                "sts-rule": "audience=https://api.example",
            },
        }
    )


def signatures(name: str) -> float:
    """Signatures a second on the server's core, with the server idle."""
    command = ["taskset", "-c", str(SERVER_CORE), "openssl", "speed", "-elapsed", "-mr", "-seconds", "2", name]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.search(r"^\+F\d:\d+:\d+:([\d.]+):[\d.]+$", lines, re.M)[1])


def answers(server, identity: Path, path: str, count: int, *options) -> float:
    """What the server answers a second."""
    address = server.site.addresses["default"]
    command = ["taskset", "-c", str(CLIENT_CORE), "ab", "-q", "-k", "-c", "8", "-n", str(count), "-E", str(identity)]
    command += [*options, f"https://localhost:{address.port}{path}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in printed and re.search(rf"^Complete requests:\s+{count}$", printed, re.M), printed
    return float(re.search(r"^Requests per second:\s+([\d.]+)", printed, re.M)[1])


def series(server, identity: Path, body: Path, name: str) -> tuple:
    """Of one round: tokens to signatures, and tokens to what a request and a signature together allow."""
    form = ["-p", str(body), "-T", "application/x-www-form-urlencoded"]
    before = signatures(name)
    issued = answers(server, identity, "/token", 4000, *form)
    signed = (before + signatures(name)) / 2
    possible = 1 / (1 / signed + 1 / answers(server, identity, "/jwks", 8000))
    return issued / signed, issued / possible


def measure(kind: type, around: Surroundings, title: str):
    arguments, name = KEYS[title]
    folder = around.folder / f"exchange-{kind.name}-{name}"
    folder.mkdir()
    key, body, identity = folder / "key.pem", folder / "body", folder / "alice.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", *arguments, "-out", key], check=True, capture_output=True)
    alice = around.pki.clients["alice"]
    identity.write_bytes(alice.certificate.read_bytes() + alice.key.read_bytes())
    body.write_text(BODY)
    wrapper = ["taskset", "-c", str(SERVER_CORE)]
    with serving(kind, world(key), around, wrapper=wrapper, processes=1) as server:
        series(server, identity, body, name)
        rounds = [series(server, identity, body, name) for _ in range(ROUNDS)]
    of_signing, of_possible = (sorted(column) for column in zip(*rounds))
    print(
        f"{kind.name}, {title}: {median(of_signing):.2f} of what signing alone allows"
        f" ({of_signing[0]:.2f} to {of_signing[-1]:.2f} in {ROUNDS} rounds),"
        f" {median(of_possible):.2f} of what this server allows beside it"
        f" ({of_possible[0]:.2f} to {of_possible[-1]:.2f})",
        flush=True,
    )


def main():
    if not {SERVER_CORE, CLIENT_CORE} <= os.sched_getaffinity(0):
        sys.exit("two cores are needed: one for the server, one for the client")
    names = sys.argv[1:] or ["httpd-event", "nginx"]
    around = Surroundings()
    try:
        for name in names:
            for title in KEYS:
                measure(_KINDS[name], around, title)
    finally:
        around.close()


if __name__ == "__main__":
    main()
