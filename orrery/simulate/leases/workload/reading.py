"""Workloads and sites from files of any of the known formats, told by name and content; and text in
any of them. Knows the file system, but no command line.
"""

import gzip
import io
import re
import zlib
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.documents import read_yaml
from orrery.core.errors import InvalidInput
from orrery.sched.leases.site import Site
from orrery.simulate.leases.workload.annotations import Annotations, read_annotations
from orrery.simulate.leases.workload.lwf import lwf_text, read_lwf, read_lwf_site
from orrery.simulate.leases.workload.model import Workload
from orrery.simulate.leases.workload.sites import (
    RESOURCES,
    site_from_document,
    site_from_resources,
)
from orrery.simulate.leases.workload.swf import FIELDS_MIN, SwfOptions, read_swf, swf_text
from orrery.simulate.leases.workload.text_lwf import looks_like_text_lwf, read_text_lwf
from orrery.simulate.leases.workload.yaml import read_yaml_workload, yaml_text

BYTES_MAX = 512 << 20
GZIP_MAGIC = b"\x1f\x8b"
SWF_LINE = re.compile(rf"\s*(?:-?[0-9.]+\s+){{{FIELDS_MIN - 1}}}", re.ASCII)


class ReadOptions(Struct, frozen=True, kw_only=True):
    """How to read; each option matters to some formats only."""

    honour_preemptible: bool = True
    """LWF: Haizea itself did not (see `lwf`)."""
    swf: SwfOptions = SwfOptions()
    site: Site | None = None
    """In place of the site that the file names."""


def read(path: Path, options: ReadOptions = ReadOptions()) -> Workload:
    """The workload in a file: LWF (XML or the old text), SWF, or YAML; any of them in gzip.

    Raises:
        InvalidInput: it cannot be read, with the place.
    """
    data = content(path)
    names = path.name.removesuffix(".gz")
    workload = parse(data, Path(names).suffix.lower(), options)
    if options.site is not None:
        workload = replace(workload, site=options.site)
    return workload if workload.name else replace(workload, name=names.rsplit(".", 1)[0])


def parse(data: bytes, suffix: str, options: ReadOptions) -> Workload:
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return read_lwf(data, honour_preemptible=options.honour_preemptible)
    if suffix == ".swf":
        return read_swf(data.decode("latin-1"), options.swf)
    text = decoded(data)
    if suffix not in (".yaml", ".yml", ".json"):
        if looks_like_text_lwf(text):
            return read_text_lwf(text)
        if looks_like_swf(text):
            return read_swf(text, options.swf)
    if suffix in (".lwf", ".xml"):
        raise InvalidInput("file", text[:40], "is neither XML nor a list of leases, one a line")
    return read_yaml_workload(text, options.site)


def looks_like_swf(text: str) -> bool:
    """A header, or a line of numbers."""
    return text.lstrip().startswith(";") or SWF_LINE.match(text) is not None


def read_site(text: str) -> Site:
    """The site that a text describes (`4 CPU:100,Memory:1024`), or the file of that name: a site or
    workload in LWF, or YAML with `hosts` or `site`.

    Raises:
        InvalidInput: it is neither.
    """
    return site_from_resources(text) if is_resources(text) else parse_site(content(Path(text)))


def is_resources(text: str) -> bool:
    return RESOURCES.fullmatch(text) is not None and ":" in text


def parse_site(data: bytes) -> Site:
    """The site in the content of a file."""
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return read_lwf_site(data)
    document = read_yaml(decoded(data))
    if isinstance(document, dict) and "hosts" not in document:
        document = document.get("site")
    return site_from_document(document)


def read_annotations_file(path: Path) -> Annotations:
    return read_annotations(content(path))


def text_of(workload: Workload, suffix: str, options: SwfOptions = SwfOptions()) -> str:
    """The workload in the format that a file of that suffix has.

    Raises:
        InvalidInput: there is no such format, or it has no place for one of the leases.
    """
    match suffix.lower():
        case ".lwf" | ".xml":
            return lwf_text(workload)
        case ".swf":
            return swf_text(workload, options)
        case ".yaml" | ".yml":
            return yaml_text(workload)
    raise InvalidInput("suffix", suffix, "is none of .lwf, .xml, .swf, .yaml and .yml")


def content(path: Path) -> bytes:
    """What is in the file, unpacked."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise InvalidInput("file", str(path), f"is larger than {BYTES_MAX >> 20} MiB")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: no name for a file
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput("file", str(path), f"cannot be read: {reason}") from error
    return unpacked(data, path) if data.startswith(GZIP_MAGIC) else data


def unpacked(data: bytes, path: Path) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            plain = stream.read(BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput("file", str(path), f"is damaged gzip: {error}") from error
    if len(plain) > BYTES_MAX:
        raise InvalidInput("file", str(path), f"unpacks to more than {BYTES_MAX >> 20} MiB")
    return plain


def decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("file", "", f"is not UTF-8: {error.reason}") from error
