"""The workloads that a directory of published traces holds, packed or not. Nothing is written
there: what is packed is unpacked into a directory of the caller.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.core.lease_lwf import Amounts
from orrery.sched.leases.site import Site
from orrery.simulate.leases.published.prototype import read_prototype
from orrery.simulate.leases.workload.annotations import annotate
from orrery.simulate.leases.workload.model import Workload, merge
from orrery.simulate.leases.workload.reading import read, read_annotations_file
from orrery.simulate.leases.workload.sites import site_of

PACKED = (".tar.gz", ".tgz")
PROTOTYPE = (".csv", ".trace")
WORKLOADS = (".lwf", ".swf", ".swf.gz", *PROTOTYPE)
ANNOTATIONS = ".lwfa"
INJECTED_FOR = "injected_leases_"
"""An archive of that name and X holds reservations to be added to the workload X."""
INJECTED = "inj"
"""A file whose name begins so holds leases to be added to the others of its folder."""
ANNOTATED = "preemption.lwf"
"""The workload of two leases that Haizea's tests of annotations change."""


class Trace(Struct, frozen=True, kw_only=True):
    """One simulation to run: a workload, alone or with what is put into it."""

    name: str
    """Its path below the directory, and what is put into it."""
    path: Path
    injected: Path | None = None
    annotations: Path | None = None


def traces_in(directory: Path, unpacked: Path) -> list[Trace]:
    """All of them, by name.

    Args:
        unpacked: an empty directory that takes what archives hold.

    Raises:
        InvalidInput: there is no workload at all.
    """
    folders = [(directory, directory), *unpack_all(directory, unpacked)]
    found = [trace for shown, folder in folders for trace in in_folder(directory, shown, folder)]
    if not found:
        raise InvalidInput("directory", str(directory), "holds no workload")
    return sorted(found, key=lambda trace: trace.name)


def load(trace: Trace) -> Workload:
    """Its leases, on the site that it names, or on the smallest one that holds each lease.

    Raises:
        InvalidInput: a file of it cannot be read.
    """
    workload = read_any(trace.path)
    if trace.injected is not None:
        workload = merge(workload, read_any(trace.injected))
    if trace.annotations is not None:
        workload = annotate(workload, read_annotations_file(trace.annotations))
    site = workload.site or (smallest_site(workload) if workload.arrivals else None)
    return replace(workload, name=trace.name, site=site)


def read_any(path: Path) -> Workload:
    if path.suffix in PROTOTYPE:
        return read_prototype(path.read_text(), path.stem)
    return read(path)


def smallest_site(workload: Workload) -> Site:
    sets = [nodes for arrival in workload.arrivals for nodes in arrival.terms.nodes]
    largest = Capacity(
        max(nodes.capacity.cpu_pct for nodes in sets),
        max(nodes.capacity.memory_mib for nodes in sets),
        max(nodes.capacity.disk_mib for nodes in sets),
    )
    count = max(arrival.terms.node_count for arrival in workload.arrivals)
    return site_of([(count, Amounts(largest))])


def unpack_all(directory: Path, into: Path) -> Iterator[tuple[Path, Path]]:
    """(the archive, where its files are now)."""
    for archive in sorted(directory.rglob("*")):
        if archive.name.endswith(PACKED):
            target = into / archive.relative_to(directory)
            unpack(archive, target)
            yield archive, target


def unpack(archive: Path, target: Path) -> None:
    """Raises:
    InvalidInput: it is damaged, or names files outside itself.
    """
    target.mkdir(parents=True)
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(target, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InvalidInput("archive", str(archive), f"cannot be unpacked: {error}") from error


def in_folder(directory: Path, shown: Path, folder: Path) -> Iterator[Trace]:
    """The traces below a folder; those of an archive of reservations need their workload."""
    base = injected_into(shown)
    label = "" if shown == directory else f"{stem_of(shown)}:"
    for path in sorted(folder.rglob("*")):
        name = f"{label}{path.relative_to(folder)}"
        if path.name.endswith(ANNOTATIONS):
            yield from annotated(path, name)
        elif not path.name.endswith(WORKLOADS):
            continue
        elif base is not None:
            yield Trace(name=f"{base.name} + {path.name}", path=base, injected=path)
        elif path.name.startswith(INJECTED):
            yield from into_others(path, name)
        else:
            yield Trace(name=name, path=path)


def injected_into(archive: Path) -> Path | None:
    if not archive.name.startswith(INJECTED_FOR):
        return None
    base = archive.with_name(f"{stem_of(archive).removeprefix(INJECTED_FOR)}.swf")
    return base if base.exists() else None


def stem_of(archive: Path) -> str:
    return archive.name.removesuffix(PACKED[1]).removesuffix(PACKED[0])


def into_others(injected: Path, name: str) -> Iterator[Trace]:
    for path in sorted(injected.parent.glob("*.lwf")):
        if not path.name.startswith(INJECTED):
            yield Trace(name=f"{name} + {path.name}", path=path, injected=injected)


def annotated(annotations: Path, name: str) -> Iterator[Trace]:
    path = annotations.with_name(ANNOTATED)
    if path.exists():
        yield Trace(name=f"{name} + {path.name}", path=path, annotations=annotations)
