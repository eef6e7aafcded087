"""Directories of published traces, made here: packed, paired and in the prototype's format."""

import io
import tarfile
from pathlib import Path

import pytest

from orrery.core.errors import InvalidInput
from orrery.core.model.lease import LeaseKind
from orrery.simulate.leases.published.files import load, traces_in
from orrery.simulate.leases.published.prototype import read_prototype

JOB = "1 0 -1 600 2 -1 -1 2 900 -1 1 7 -1 -1 1 -1 -1 -1\n"
RESERVATION = "0 3600 600 600 2 1 1024 0 'NONE.img' 600\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "traces").mkdir()
    return tmp_path / "traces"


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    (tmp_path / "unpacked").mkdir()
    return tmp_path / "unpacked"


def pack(archive: Path, **files: str) -> None:
    with tarfile.open(archive, "w:gz") as packed:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "."))
            data = text.encode()
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))


def test_reservations_of_an_archive_go_into_the_workload_it_names(
    directory: Path, unpacked: Path
) -> None:
    (directory / "june.swf").write_text(JOB)
    pack(directory / "injected_leases_june.tar.gz", work__lwf=RESERVATION)
    plain, injected = traces_in(directory, unpacked)
    assert (plain.name, injected.name) == ("june.swf", "june.swf + work.lwf")
    workload = load(injected)
    kinds = [arrival.terms.kind for arrival in workload.arrivals]
    assert kinds == [LeaseKind.BEST_EFFORT, LeaseKind.RESERVATION]
    assert workload.site is not None
    assert len(workload.site.hosts) == 2


def test_an_archive_that_leads_outside_is_refused(directory: Path, unpacked: Path) -> None:
    pack(directory / "bad.tar.gz", **{"../out__swf": JOB})
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        traces_in(directory, unpacked)
    assert not (unpacked / "out.swf").exists()


def test_a_directory_without_workloads_is_refused(directory: Path, unpacked: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no workload"):
        traces_in(directory, unpacked)


def test_the_prototype_counts_starts_from_the_request() -> None:
    text = "# a comment\n900;0;nfs:///a.img;600;2;512;100;RW;1800;3600;900;AR\n"
    (arrival,) = read_prototype(text).arrivals
    assert (arrival.at, arrival.terms.start, arrival.real_duration) == (900, 2700, 900)
    assert arrival.terms.image_mib == 600


def test_the_oldest_traces_of_the_prototype_name_no_real_duration() -> None:
    (arrival,) = read_prototype("0;nfs:///a.img;600;2;1024;50;RW;NULL;INF;BATCH").arrivals
    assert arrival.terms.kind is LeaseKind.BEST_EFFORT
    assert arrival.terms.duration == 36_500 * 86_400
    assert arrival.real_duration is None


def test_a_line_with_a_field_too_few_is_refused_by_its_number() -> None:
    with pytest.raises(InvalidInput, match="line 2"):
        read_prototype("\n0;0;a;600\n")
