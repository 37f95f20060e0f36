"""Builds images from Dockerfiles without a container engine: every step is carried out, in root
directories of its own. As with an engine, each step is a layer, and one whose beginnings have not
changed is taken from the last time."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from . import dockerfile
from .dockerfile import Instruction, NotUnderstood, command, expanded, settings
from .root import ALONE, Process, Root, work_folder

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A base that may be another tomorrow is not pinned.
_PINNED = re.compile(r"(debian|rust):[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}")
_STEP = 900
# How this machine reaches the outside; an engine hands it to its builds too (its proxy settings).
_OUTSIDE = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_TRUST = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "CARGO_HTTP_CAINFO")
_AUTHORITIES = "/dev/authorities.pem"  # in memory: no layer has a trace of it
_TOOLCHAIN = "/usr/local/rustup"


class StepFailed(Exception):
    """A step of a build did not succeed."""


@dataclass(frozen=True)
class Image:
    """Layers, the lowest first, and what an image says about itself."""

    layers: tuple = ()
    key: str = ""  # stands for all that went into it
    environment: tuple = (("PATH", _PATH),)
    arguments: tuple = ()  # of the build, in this stage
    folder: str = "/"
    user: str = "0:0"
    exposed: tuple = ()
    health: Instruction | None = None
    entrypoint: tuple = ()
    words: tuple = ()  # CMD

    def variables(self) -> dict:
        """What steps see: the environment wins over arguments."""
        return {**dict(self.arguments), **dict(self.environment)}

    def numeric_user(self) -> tuple:
        """Whom it runs as; by number, so that whoever starts it can tell that it is not root."""
        if re.fullmatch(r"\d+:\d+", self.user) is None:
            raise NotUnderstood(f"USER {self.user}: only numbers")
        user, group = self.user.split(":")
        return int(user), int(group)


class Layers:
    """The folder that keeps layers from one run to the next."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.place = folder / "root"
        self.place.mkdir(parents=True, exist_ok=True)
        self._used = set()

    def layer(self, key: str, make) -> Path:
        """The layer of this key, which `make` fills if it is new."""
        layer = self.folder / key[:16]
        self._used.add(layer.name)
        if not layer.exists():
            unfinished = self.scratch(f"{layer.name}.unfinished")
            make(unfinished)
            shutil.rmtree(work_folder(unfinished))
            unfinished.rename(layer)
        return layer

    def scratch(self, name: str) -> Path:
        """An empty folder for changes, with the one that an overlay needs beside it."""
        top = self.folder / name
        for folder in (top, work_folder(top)):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
        return top

    def discard_unused(self):
        """Removes the layers that this run has not used."""
        for entry in self.folder.iterdir():
            if re.fullmatch("[0-9a-f]{16}", entry.name) and entry.name not in self._used:
                shutil.rmtree(entry)


class Builder:
    """Builds the stages of Dockerfiles from one context, with the same arguments for all."""

    def __init__(self, layers: Layers, context: Path, arguments: dict):
        self.layers = layers
        self.context = context
        self._given = arguments
        self._stages = {}

    def build(self, path: Path) -> Image:
        """The image of the last stage."""
        self._stages, unused = {}, set(self._given)
        for stage in dockerfile.read(path):
            image = self._stages.get(stage.base) or self._base(stage.base)
            image = replace(image, arguments=())
            for instruction in stage.instructions:
                image = getattr(self, f"_{instruction.name.lower()}")(image, instruction)
                unused -= set(settings(instruction)) if instruction.name == "ARG" else set()
            self._stages[stage.name] = image
        if unused:
            raise NotUnderstood(f"no ARG takes {', '.join(sorted(unused))}")
        return image

    # --- what stands for the images of a registry ---

    def _base(self, reference: str) -> Image:
        if _PINNED.fullmatch(reference) is None:
            raise NotUnderstood(f"FROM {reference}: not pinned, or a base without a counterpart here")
        image = self._debian()
        return self._rust(image) if reference.startswith("rust:") else image

    def _debian(self) -> Image:
        """Debian 12 as debootstrap makes it, with what Debian's images add."""
        key = _digest("debian")
        return Image(layers=(self.layers.layer(key, _bootstrap),), key=key)

    def _rust(self, image: Image) -> Image:
        """What Rust's slim image has above Debian's; the toolchain is this machine's."""
        packages = "ca-certificates gcc libc6-dev"
        step = f"apt-get update && apt-get install --yes --no-install-recommends {packages} && mkdir {_TOOLCHAIN}"
        image = self._step(image, ["/bin/sh", "-c", step])
        environment = {"CARGO_HOME": "/usr/local/cargo", "PATH": f"{_TOOLCHAIN}/bin:{_PATH}"}
        return replace(image, environment=tuple(environment.items()))

    # --- one method for each instruction ---

    def _arg(self, image: Image, instruction: Instruction) -> Image:
        pairs = settings(instruction)
        chosen = {name: self._given.get(name, value) for name, value in pairs.items()}
        given = tuple((name, value) for name, value in chosen.items() if value is not None)
        return replace(image, arguments=image.arguments + given)

    def _env(self, image: Image, instruction: Instruction) -> Image:
        pairs = {name: expanded(value, image.variables()) for name, value in settings(instruction).items()}
        return replace(image, environment=tuple({**dict(image.environment), **pairs}.items()))

    def _workdir(self, image: Image, instruction: Instruction) -> Image:
        folder = os.path.join(image.folder, expanded(instruction.text, image.variables()))
        return replace(self._step(image, ["mkdir", "-p", folder]), folder=folder)

    def _user(self, image: Image, instruction: Instruction) -> Image:
        return replace(image, user=expanded(instruction.text, image.variables()))

    def _expose(self, image: Image, instruction: Instruction) -> Image:
        ports = tuple(int(expanded(word, image.variables())) for word in instruction.words)
        return replace(image, exposed=image.exposed + ports)

    def _healthcheck(self, image: Image, instruction: Instruction) -> Image:
        return replace(image, health=instruction)

    def _entrypoint(self, image: Image, instruction: Instruction) -> Image:
        return replace(image, entrypoint=tuple(command(instruction)), words=())

    def _cmd(self, image: Image, instruction: Instruction) -> Image:
        return replace(image, words=tuple(command(instruction)))

    def _run(self, image: Image, instruction: Instruction) -> Image:
        return self._step(image, command(instruction))

    def _copy(self, image: Image, instruction: Instruction) -> Image:
        *sources, destination = (expanded(word, image.variables()) for word in instruction.words)
        many = len(sources) > 1
        if not sources or any(set(source) & set("*?[") for source in sources):
            raise NotUnderstood(f"COPY {instruction.text}")
        if many and not destination.endswith("/"):
            raise NotUnderstood(f"COPY {instruction.text}: several files need a folder")
        target = os.path.join(image.folder, destination)
        stage = instruction.flags.get("from")
        if stage is None:
            origin, content = self.context, [_content(self.context / source) for source in sources]
        else:
            origin, content = self._stages[stage], [self._stages[stage].key]
        key = _digest(image.key, "COPY", sources, target, content)
        layer = self.layers.layer(key, lambda top: self._copy_files(image, origin, sources, target, top))
        return replace(image, layers=(*image.layers, layer), key=key)

    # --- carrying out ---

    def _step(self, image: Image, words: list) -> Image:
        """Runs a command; what it changes is the new layer."""
        key = _digest(image.key, words, image.variables(), image.folder, image.user)
        layer = self.layers.layer(key, lambda top: self._run_step(image, words, top))
        return replace(image, layers=(*image.layers, layer), key=key)

    def _run_step(self, image: Image, words: list, top: Path):
        binds = {"/etc/resolv.conf": "/etc/resolv.conf"}
        environment = {"HOME": "/root", **image.variables()}
        environment |= {name: os.environ[name] for name in _OUTSIDE if name in os.environ}
        if authorities := os.environ.get("SSL_CERT_FILE"):
            binds[_AUTHORITIES] = authorities
            environment |= dict.fromkeys(_TRUST, _AUTHORITIES)
        if f"{_TOOLCHAIN}/bin" in environment["PATH"]:
            binds[_TOOLCHAIN] = _output(["rustc", "--print", "sysroot"])
        root = Root(image.layers, top, binds=binds)
        process = Process(words, environment, image.folder, image.numeric_user())
        _carry_out(root.command(self.layers.place, process), " ".join(words))

    def _copy_files(self, image: Image, origin, sources: list, target: str, top: Path):
        """Owner root, the modes as they are; a folder stands for its content."""
        script = Root(image.layers, top).mounts(self.layers.place)
        if isinstance(origin, Image):
            # Over the context, where only this process sees it.
            script = [*Root(origin.layers).mounts(self.context)[:2], *script]
        script.append(_COPY)
        arguments = [str(self.context), str(self.layers.place), target, *sources]
        _carry_out([*ALONE, "bash", "-c", "\n".join(script), "COPY", *arguments], f"COPY to {target}")


# The context, the root, the target, the sources. A link that leads out of the root is refused.
_COPY = """
umask 022
context=$1 root=$2 target=.$3
shift 3
case $(realpath -m "$target")/ in "$root"/*) ;; *) echo "$target is not in the root" >&2; exit 1 ;; esac
for source; do
    source=$context/$source
    if [ -d "$source" ]; then
        mkdir -p "$target"
        source=$source/.
    else
        mkdir -p "$(dirname "${target}x")"
    fi
    cp -R --preserve=mode,timestamps -- "$source" "$target"
done
"""


def _bootstrap(top: Path):
    """Debian 12 as debootstrap makes it, with what Debian's images add: no service is started by its
    package, packages are not kept, and the archive that they come from."""
    _carry_out(["debootstrap", "--variant=minbase", "bookworm", str(top)], "debootstrap")
    (top / "etc/resolv.conf").touch()
    policy = top / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    (top / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
    kept = 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache ""; Binary::apt::APT::Keep-Downloaded-Packages "false";\n'
    (top / "etc/apt/apt.conf.d/images").write_text(kept)
    archive = Path("/etc/apt/sources.list.d/debian.sources")  # with security fixes
    if archive.exists():
        shutil.copy(archive, top / "etc/apt/sources.list.d")
        (top / "etc/apt/sources.list").unlink()
    for kept in (top / "var/lib/apt/lists", top / "var/cache/apt/archives"):
        shutil.rmtree(kept)
        (kept / "partial").mkdir(parents=True)


def _carry_out(words: list, title: str):
    result = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_STEP
    )
    if result.returncode != 0:
        raise StepFailed(f"{title} (status {result.returncode}):\n{result.stdout.decode(errors='replace')[-6000:]}")


def _output(words: list) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def _content(path: Path) -> list:
    """Names, modes and digests of a file or of all below a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [
        (str(file.relative_to(path)), file.lstat().st_mode, "" if file.is_dir() else _digest(file.read_bytes().hex()))
        for file in files
    ]


def _digest(*parts) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
