"""The images of docker/, built and run without a container engine: every step of the Dockerfiles is
carried out in root directories with mounts, processes and networks of their own, and what comes of it
serves. This needs root, and a kernel with overlays.

It differs from an engine in this. No registry is asked: `FROM debian` is debootstrap's Debian 12 of
today with this machine's sources, `FROM rust` the same with gcc and this machine's Rust toolchain,
mounted read-only. The module is built without optimization, by the build's own arguments. Steps whose
beginnings have not changed are not carried out again, as with an engine: their layers are in
target/docker. Published ports are reached at an address in the container's own network.
"""

import base64
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from harness import build_context, compose, dockerfile, guide
from harness.container import running
from harness.guide_place import Shell
from harness.image import Builder, Layers
from harness.root import ADDRESS
from harness.table import TESTS
from harness.waiting import eventually

ROOT = TESTS.parent
QUICK = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0"}
SERVERS = ("httpd", "nginx")
COMPOSE = "docker/compose.yaml"
README = ROOT / "docker/README.md"
ALARMING = re.compile(r"[:\[](warn|error|crit|alert|emerg)\]")
# What bob's visits lead to.
ANNOUNCED = re.compile(r"AB1212 certificate-mismatch|AB3119 cookie-possession-mismatch|AB4204 subject-certificate")


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.fail("the images are built and run as root; `./test.sh --quick` leaves them out")
    context = tmp_path_factory.mktemp("docker") / "context"
    build_context.copied(ROOT, context)
    return Builder(Layers(ROOT / "target/docker"), context, QUICK)


@pytest.fixture(scope="module")
def containers(builder, tmp_path_factory):
    """The services of the compose file; whatever they were asked, they have logged nothing alarming and
    nothing secret."""
    services = compose.read(builder.context / COMPOSE)
    with compose.up(services, builder, tmp_path_factory.mktemp("compose") / "up") as containers:
        builder.layers.discard_unused()
        yield containers
        for container in containers.values():
            lines = container.log.read_text().splitlines()
            alarming = [line for line in lines if ALARMING.search(line) and not ANNOUNCED.search(line)]
            assert not alarming
            credentials = container.run(["sh", "-c", "cat /etc/auth-bound/clients/*.credential"], check=True)
            secrets = [*re.findall("[0-9a-f]{40}", credentials.stdout.decode()), "wonderland", "eyJ"]
            assert len(secrets) == 4 and not [line for line in lines if any(one in line for one in secrets)]


@pytest.fixture(scope="module")
def clients(containers, tmp_path_factory):
    """What the clients need, out of a container."""
    folder = tmp_path_factory.mktemp("clients")
    packed = containers["httpd"].run(["tar", "-c", "-C", "/etc/auth-bound", "clients"], check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
    return folder / "clients"


def curl(container, clients: Path, who: str, url: str, *arguments) -> subprocess.CompletedProcess:
    """curl with somebody's certificate, from outside of the container."""
    words = ["curl", "--silent", "--show-error", "--cacert", clients / "ca.pem"]
    words += ["--cert", clients / f"{who}.pem", "--key", clients / f"{who}.key"]
    words += ["--connect-to", f"::{ADDRESS}:8443", "--write-out", "\n%{http_code}"]
    return container.from_outside([*map(str, words), *arguments, url], text=True)


def answer(result: subprocess.CompletedProcess) -> tuple:
    """Status and body."""
    assert result.returncode == 0, result.stderr
    body, _, status = result.stdout.rpartition("\n")
    return int(status), body


def exchanged(container, clients: Path, who: str) -> str:
    """An access token for a credential, with the certificate of whose it is."""
    fields = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": (clients / f"{who}.credential").read_text(),
        "audience": "https://api.example",
    }
    data = [word for name, value in fields.items() for word in ("--data-urlencode", f"{name}={value}")]
    status, body = answer(curl(container, clients, who, "https://issuer.example/token", *data))
    assert status == 200, body
    return json.loads(body)["access_token"]


def called(container, clients: Path, who: str, token: str) -> tuple:
    """The API's answer to a token."""
    bearer = ("--header", f"Authorization: Bearer {token}")
    return answer(curl(container, clients, who, "https://api.example/accounts", *bearer))


@pytest.mark.parametrize("server", SERVERS)
def test_readme(containers, tmp_path, server):
    """Every command of docker/README.md, with each server."""
    port = {"httpd": "8443", "nginx": "9443"}
    page = tmp_path / README.name
    text = README.read_text().replace("-T httpd", f"-T {server}").replace("logs httpd", f"logs {server}")
    page.write_text(text.replace(":8443", f":{port[server]}"))
    shell = Shell(tmp_path, stand_ins(tmp_path / "bin", containers))
    try:
        for block in guide.blocks(page):
            for command in [guide.Command(block.text, "")] if block.kind == "sh" else guide.commands(block):
                status, printed = shell.run(command.text)
                assert status == 0, f"{block.place}: {command.text}\n{printed}"
                assert guide.pattern(command.output).fullmatch(printed), f"{block.place}: {command.text}\n{printed}"
    finally:
        shell.close()


def stand_ins(folder: Path, containers: dict) -> Path:
    """A `docker` that knows the commands of the page, and a `curl` that finds the published ports."""
    folder.mkdir()
    lines = ["#!/bin/bash", f'[ "$1 $2 $3" = "compose --file {COMPOSE}" ] || exit 64', 'case "${*:4}" in']
    curls = ["#!/bin/bash"]
    for (name, container), port in zip(sorted(containers.items()), (8443, 9443), strict=True):
        user, group = container.image.numeric_user()
        enter = f"nsenter --target={container.first()} --all --root --setuid={user} --setgid={group}"
        lines.append(f'"exec -T {name} "*) exec {enter} -- "${{@:7}}" ;;')
        lines.append(f'"logs {name}") exec cat {container.log} ;;')
        network = f"nsenter --target={container.first()} --net"
        reached = f'"${{@//::localhost:{port}/::{ADDRESS}:{container.image.exposed[0]}}}"'
        curls.append(f'case "$*" in *::localhost:{port}*) exec {network} -- /usr/bin/curl {reached} ;; esac')
    # What they do has been done.
    lines += ['"up --build --detach --wait") echo done ;;', "*) exit 64 ;;", "esac"]
    for name, script in (("docker", lines), ("curl", [*curls, "exit 64"])):
        (folder / name).write_text("\n".join(script) + "\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("api", SERVERS)
@pytest.mark.parametrize("issuer", SERVERS)
def test_a_token_of_either_is_good_at_both(containers, clients, issuer, api):
    token = exchanged(containers[issuer], clients, "alice")
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    printed = containers[api].run(["auth-bound", "thumbprint", "/etc/auth-bound/clients/alice.pem"], check=True)
    assert claims["cnf"] == {"x5t#S256": printed.stdout.decode().strip()}
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("https://issuer.example", "https://api.example", "alice")
    status, body = called(containers[api], clients, "alice", token)
    assert status == 200 and json.loads(body)["headers"]["X-User"] == "alice"
    status, body = called(containers[api], clients, "bob", token)
    assert status == 401 and json.loads(body)["error"] == "invalid_token"


def test_a_session_cookie_opens_at_both(containers, clients, tmp_path):
    """The servers share its secret; the applications share no sessions."""
    jar = tmp_path / "cookies"
    form = ("--cookie-jar", str(jar), "--data", "user=alice&password=wonderland")
    assert answer(curl(containers["httpd"], clients, "alice", "https://app.example/login", *form))[0] == 303
    page = answer(curl(containers["httpd"], clients, "alice", "https://app.example/", "--cookie", str(jar)))
    assert page[0] == 200 and "Hello, alice." in page[1] and "bound to: certificate" in page[1]
    other = answer(curl(containers["nginx"], clients, "alice", "https://app.example/", "--cookie", str(jar)))
    assert other[0] == 200 and "Please log in." in other[1] and "bound to: certificate" in other[1]
    stolen = answer(curl(containers["nginx"], clients, "bob", "https://app.example/", "--cookie", str(jar)))
    assert stolen[0] == 200 and "Please log in." in stolen[1] and "bound to" not in stolen[1]


@pytest.mark.parametrize("server", SERVERS)
def test_confinement(containers, server):
    container = containers[server]
    user, _ = container.image.numeric_user()
    assert user > 0 and container.process_owners() == {user}
    for pid in container.processes():
        capabilities = re.findall(r"(?m)^Cap(?:Eff|Prm|Inh|Amb):\t(\w+)$", Path(f"/proc/{pid}/status").read_text())
        assert capabilities == 4 * [16 * "0"]
    for file in ("/usr/local/bin/start", "/usr/share/auth-bound/new", "/tmp/new", "/new"):
        assert container.run(["touch", file]).returncode != 0, file
    # The backends take what the server says for granted: nobody else reaches them.
    for port in ("8080", "8081"):
        reached = container.from_outside(["curl", "--silent", f"http://{ADDRESS}:{port}/"])
        assert reached.returncode == 7, reached.stdout
        assert container.run(["curl", "--silent", "--fail", f"http://127.0.0.1:{port}/"]).returncode == 0


@pytest.mark.parametrize("server", SERVERS)
def test_one_container_alone(builder, tmp_path, server):
    """As `docker run` starts it: its keys are its own, its health check can fail, it stops when told to,
    and ends with its server."""
    image = builder.build(builder.context / f"docker/{server}/Dockerfile")
    assert not [file for layer in image.layers for file in layer.glob("*/auth-bound/*")]
    keys = []
    for ending in ("stopped", "crashed"):
        with running(image, builder.layers, tmp_path / ending) as container:
            container.wait_until_healthy()
            keys.append(container.run(["cat", "/etc/auth-bound/jwks.json"], check=True).stdout)
            backend = one_of(container, "backend.py")
            os.kill(backend, signal.SIGSTOP)
            assert container.run(dockerfile.command(image.health)).returncode != 0
            os.kill(backend, signal.SIGCONT)
            if ending == "stopped":
                assert container.stop() == 0
            else:
                os.kill(one_of(container, "backend.py"), signal.SIGKILL)
                assert container.ended() == 1
                assert "has ended" in container.log.read_text()
    assert keys[0] != keys[1]


def test_nothing_is_left(builder, tmp_path):
    """A container that is killed from outside takes its processes and mounts with it."""
    image = builder.build(builder.context / "docker/nginx/Dockerfile")
    with running(image, builder.layers, tmp_path / "killed") as container:
        container.wait_until_healthy()
        processes = container.processes()
        assert len(processes) >= 5
    eventually(lambda: not [pid for pid in processes if Path(f"/proc/{pid}").exists()])
    assert str(builder.layers.folder) not in Path("/proc/mounts").read_text()


def one_of(container, name: str) -> int:
    """The process whose command line has this name."""
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in container.processes()}
    (found,) = [pid for pid, line in lines.items() if f"/{name}\0" in line]
    return found


def test_both_build_the_same_before_the_server(builder):
    """What takes long is made once for both."""
    stages = [dockerfile.read(builder.context / f"docker/{server}/Dockerfile")[0] for server in SERVERS]
    common = [one == other for one, other in zip(stages[0].instructions, stages[1].instructions, strict=True)]
    command = next(index for index, step in enumerate(stages[0].instructions) if "--bin auth-bound" in step.text)
    assert all(common[: command + 1]) and not any(common[command + 1 :])
