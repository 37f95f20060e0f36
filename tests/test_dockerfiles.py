"""What builds the images of docker/ reads strictly: nothing is passed over that an engine would do."""

import pytest

from harness import build_context, compose, dockerfile
from harness.dockerfile import NotUnderstood
from harness.image import Builder, Layers
from harness.table import TESTS

WRONG = {
    "an unknown instruction": "FROM debian\nADD x /x\n",
    "lower case": "from debian\n",
    "an unknown flag": "FROM debian\nCOPY --link x /x\n",
    "a flag of RUN": "FROM debian\nRUN --mount=type=cache true\n",
    "a document in place": "FROM debian\nRUN <<END\ntrue\nEND\n",
    "a parser directive": "# escape=`\nFROM debian\n",
    "nothing before FROM": "RUN true\n",
    "two words of FROM": "FROM debian build\n",
    "ENV without a value": "FROM debian\nENV PORT 8443\n",
    "a continued end": "FROM debian\nRUN true \\\n",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_dockerfile_that_is_not_understood(tmp_path, wrong):
    file = tmp_path / "Dockerfile"
    file.write_text(wrong)
    with pytest.raises(NotUnderstood):
        [dockerfile.settings(one) for stage in dockerfile.read(file) for one in stage.instructions]


@pytest.mark.parametrize("base", ["debian", "debian:bookworm-20260824-slim", "alpine:3.20@sha256:" + 64 * "0"])
def test_a_base_that_is_not_pinned(tmp_path, base):
    file = tmp_path / "Dockerfile"
    file.write_text(f"FROM {base}\n")
    with pytest.raises(NotUnderstood):
        Builder(Layers(tmp_path / "layers"), tmp_path, {}).build(file)


def test_what_an_engine_would_not_see(tmp_path):
    """The last rule that fits counts, and a folder left out may hold what is not."""
    source = tmp_path / "source"
    for name in ("a/one.py", "a/__pycache__/one.pyc", "b/two", "b/c/three", "four", ".git/config"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    (source / ".dockerignore").write_text("# nothing but\n*\n!a\n!b/c\n!four\n**/__pycache__\n")
    build_context.copied(source, tmp_path / "context")
    copied = [file for file in (tmp_path / "context").rglob("*") if file.is_file()]
    assert {str(file.relative_to(tmp_path / "context")) for file in copied} == {"a/one.py", "b/c/three", "four"}


SERVICE = "build: {context: .., dockerfile: d}, ports: ['127.0.0.1:1:2'], volumes: [], tmpfs: [], read_only: true"
SAFE = "cap_drop: [ALL], security_opt: ['no-new-privileges:true']"
UNSAFE = {
    "a key that is not known": f"{SERVICE}, {SAFE}, privileged: true",
    "a port for everybody": f"{SERVICE}, {SAFE}".replace("127.0.0.1:", ""),
    "capabilities": f"{SERVICE}, {SAFE}".replace("[ALL]", "[NET_RAW]"),
    "a volume that is not there": f"{SERVICE}, {SAFE}".replace("volumes: []", "volumes: ['keys:/keys']"),
    "a service that waits for itself": f"{SERVICE}, {SAFE}, depends_on: {{one: {{condition: service_healthy}}}}",
}


@pytest.mark.parametrize("unsafe", UNSAFE.values(), ids=UNSAFE)
def test_a_compose_file_that_is_not_understood(tmp_path, unsafe):
    file = tmp_path / "compose.yaml"
    file.write_text(f"services:\n  one: {{{unsafe}}}\nvolumes: {{}}\n")
    with pytest.raises(NotUnderstood):
        compose.read(file)


def test_the_compose_file_is_understood():
    assert [service.name for service in compose.read(TESTS.parent / "docker/compose.yaml")] == ["httpd", "nginx"]
