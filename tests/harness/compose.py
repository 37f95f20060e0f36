"""Reads a compose file as strictly as dockerfile.py reads a Dockerfile, and runs its services."""

import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import container
from .dockerfile import NotUnderstood
from .image import Builder

_SERVICE = {"build", "ports", "volumes", "tmpfs", "read_only", "cap_drop", "security_opt", "depends_on"}
# A process that is not root's has no capabilities here, and cannot come by any.
_ALWAYS = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}


@dataclass(frozen=True)
class Service:
    """One service of the file."""

    name: str
    dockerfile: Path
    port: int  # of the container's; published at loopback only
    volumes: dict  # where, and the volume's name
    memory: dict
    read_only: bool
    after: tuple  # services that must be healthy before


def read(file: Path) -> list:
    """The services, those first that others wait for."""
    whole = yaml.safe_load(file.read_text())
    _only(whole, {"services", "volumes"}, "the file")
    services = [_service(file, name, table) for name, table in whole["services"].items()]
    named = {volume for service in services for volume in service.volumes.values()}
    if named != set(whole["volumes"]) or any(whole["volumes"].values()):
        raise NotUnderstood(f"the volumes of {file.name}")
    return _ordered(services)


@contextmanager
def up(services: list, builder: Builder, folder: Path):
    """Containers by the names of their services, all healthy."""
    folder.mkdir()
    with ExitStack() as stack:
        containers = {}
        for service in services:
            image = builder.build(service.dockerfile)
            if service.port not in image.exposed:
                raise NotUnderstood(f"{service.name} publishes a port that its image does not expose")
            volumes = {where: folder / name for where, name in service.volumes.items()}
            for volume in volumes.values():
                volume.mkdir(exist_ok=True)
            options = {"volumes": volumes, "memory": service.memory, "read_only": service.read_only}
            one = stack.enter_context(
                container.running(image, builder.layers, folder / service.name, **options)
            )
            one.wait_until_healthy()
            containers[service.name] = one
        yield containers


def _service(file: Path, name: str, table: dict) -> Service:
    _only(table, _SERVICE, name)
    _only(table["build"], {"context", "dockerfile"}, f"the build of {name}")
    for key, value in _ALWAYS.items():
        if table[key] != value:
            raise NotUnderstood(f"{key} of {name}")
    after = table.get("depends_on", {})
    if any(condition != {"condition": "service_healthy"} for condition in after.values()):
        raise NotUnderstood(f"depends_on of {name}")
    (ports,) = table["ports"]
    published = re.fullmatch(r"127\.0\.0\.1:\d+:(\d+)", ports)
    if published is None:
        raise NotUnderstood(f"the ports of {name}")
    context = (file.parent / table["build"]["context"]).resolve()
    return Service(
        name=name,
        dockerfile=context / table["build"]["dockerfile"],
        port=int(published[1]),
        volumes=dict(reversed(text.split(":")) for text in table["volumes"]),
        memory=dict(text.split(":") for text in table["tmpfs"]),
        read_only=table["read_only"],
        after=tuple(after),
    )


def _ordered(services: list) -> list:
    done = []
    while len(done) < len(services):
        names = {service.name for service in done}
        ready = [one for one in services if one not in done and set(one.after) <= names]
        if not ready:
            raise NotUnderstood("services that wait for each other")
        done += ready
    return done


def _only(table: dict, known: set, place: str):
    if unknown := set(table) - known:
        raise NotUnderstood(f"{', '.join(sorted(unknown))} in {place}")
