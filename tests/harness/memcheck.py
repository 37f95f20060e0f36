"""A server under memcheck: it must come to its end without an error or a leak of ours."""

import contextlib
import xml.etree.ElementTree as ElementTree

from .servers import serving
from .waiting import eventually

MEMCHECK = ["valgrind", "--tool=memcheck", "--leak-check=full", "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite", "--keep-debuginfo=yes", "--num-callers=40", "--xml=yes",
            "--child-silent-after-fork=no"]  # fmt: skip
# What is made once in a process and kept until its end: two statics of libraries, the curve of Token
# Binding, and the process object itself, which threads may still use. NGINX unloads the module and
# frees its configuration before memcheck looks, which then finds the one block without what pointed
# to it. Builds without optimization name functions in full.
KEPT = {
    "arc_swap::debt::list::Node::get",
    "add_headers",
    "ureq::run::add_headers",
    "openssl::ec::EcGroup::from_curve_name",
}


@contextlib.contextmanager
def checked(kind, world, around, name: str, generations: int = 2, others=lambda report: []):
    """The server, until it is stopped. `generations` of workers are started, the first and one by each reload;
    `others` finds further errors in the report of a process."""
    reports = around.folder / f"memcheck-{name}-{kind.name}"
    reports.mkdir()
    reports.chmod(0o777)
    wrapper = [*MEMCHECK, f"--xml-file={reports}/%p.xml"]
    with serving(kind, world, around, wrapper=wrapper, patience=10, processes=1) as server:
        yield server
        assert server.stop() == 0
    files = list(reports.iterdir())
    # The parent, and a worker of each generation.
    assert sum(not _is_cut_short(ElementTree.parse(file).getroot()) for file in files) > generations
    found = [error for file in files for error in errors_of_ours(file, kind) + others(file)]
    assert not found, "\n\n".join(found)


def renew(server):
    """Reloads the server, and waits until the workers from before have gone."""
    old = set(server.workers())
    server.reload()
    eventually(lambda: not old & set(server.workers()), 60)


def errors_of_ours(report, kind) -> list:
    """Memcheck's errors with our module on the stack."""
    name = kind.artifact().name
    root = ElementTree.parse(report).getroot()
    found = []
    for error in root.iter("error"):
        if _is_cut_short(root) and error.findtext("kind").startswith("Leak"):
            continue
        frames = list(error.iter("frame"))
        what = error.findtext("what") or error.findtext("xwhat/text")
        stack = [frame.findtext("fn") or frame.findtext("obj") or "?" for frame in frames]
        ours = any(name in (frame.findtext("obj") or "") for frame in frames)
        kept = " in 1 blocks are definitely lost" in what and KEPT & set(stack)
        if ours and not kept:
            found.append("\n  ".join([f"{report.name}: {what}", *stack]))
    return found


def _is_cut_short(root) -> bool:
    """Whether SIGTERM ended the process where it stood, as it does mod_cgid's: then it may have been about to
    free what nothing points to any more."""
    return root.findtext("fatal_signal/signame") == "SIGTERM"
