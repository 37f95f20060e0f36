#!/usr/bin/python3
"""How many tokens the token endpoint issues, compared with what its key alone could sign.

    /usr/bin/python3 benches/exchange.py [httpd-event | nginx]

The server has one core to itself, the client (ab, of apache2-utils) the other. `openssl speed`
signs on the server's core before and after each series with a key of the same kind: what it reaches
is what no endpoint can exceed. Exchanges are mTLS requests on kept-alive connections, with an opaque
credential that is good with the client's certificate only."""

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
ROUNDS = 9
# The kind of key, how openssl makes one, and what openssl speed calls it.
KEYS = {
    "RS256": (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "rsa2048"),
    "RS256, 3072 bits": (["RSA", "-pkeyopt", "rsa_keygen_bits:3072"], "rsa3072"),
    "ES256": (["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ecdsap256"),
}
BODY = (
    "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=https://api.example"
    f"&subject_token={SECRET}&subject_token_type=urn:ietf:params:oauth:token-type:access_token"
)


def world(key: Path) -> World:
    return World.parse(
        {
            "realm": "test",
            "hosts": {"default": {"certificates": "optional"}},
            "location": [{"path": "/token", "protect": False, "served": "token-exchange"}],
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


def exchanges(server, identity: Path, body: Path, count: int) -> float:
    """Tokens issued a second."""
    address = server.site.addresses["default"]
    command = ["taskset", "-c", str(CLIENT_CORE), "ab", "-q", "-k", "-c", "8", "-n", str(count), "-p", str(body)]
    command += ["-T", "application/x-www-form-urlencoded", "-E", str(identity)]
    command += [f"https://localhost:{address.port}/token"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in printed and re.search(rf"^Complete requests:\s+{count}$", printed, re.M), printed
    return float(re.search(r"^Requests per second:\s+([\d.]+)", printed, re.M)[1])


def measure(kind: type, around: Surroundings, title: str):
    arguments, name = KEYS[title]
    folder = around.folder / f"exchange-{name}"
    folder.mkdir()
    key, body, identity = folder / "key.pem", folder / "body", folder / "alice.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", *arguments, "-out", key], check=True, capture_output=True)
    alice = around.pki.clients["alice"]
    identity.write_bytes(alice.certificate.read_bytes() + alice.key.read_bytes())
    body.write_text(BODY)
    wrapper = ["taskset", "-c", str(SERVER_CORE)]
    with serving(kind, world(key), around, wrapper=wrapper, processes=1) as server:
        exchanges(server, identity, body, 500)
        before, ratios = signatures(name), []
        for _ in range(ROUNDS):
            issued = exchanges(server, identity, body, 4000)
            after = signatures(name)
            ratios.append(2 * issued / (before + after))
            before = after
    ratios.sort()
    print(
        f"{kind.name}, {title}: {median(ratios):.2f} of what signing alone allows"
        f" ({ratios[0]:.2f} to {ratios[-1]:.2f}, {ROUNDS} rounds; {issued:.0f} tokens and {after:.0f} signatures a second)"
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
