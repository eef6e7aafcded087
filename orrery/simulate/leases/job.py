"""One simulation as a request that can be sent to another process or machine, and its answer."""

import hashlib
import traceback
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from orrery.core.errors import InvalidInput
from orrery.simulate.leases.knobs import settings_from
from orrery.simulate.leases.outcome import Row, row_of, run_one
from orrery.simulate.leases.report.files import write_report
from orrery.simulate.leases.schedule import schedule_json
from orrery.simulate.leases.sources import Files, SourceOptions, files_of, load_workload


class Job(Struct, frozen=True, kw_only=True):
    """What to simulate."""

    name: str
    workload: str
    options: SourceOptions = SourceOptions()
    settings: dict[str, str] = {}
    probes: tuple[str, ...] = ()
    skip_share: float = 0.0
    labels: dict[str, str] = {}
    """What distinguishes it from others of a study."""
    report: str | None = None
    """A directory for its report, where the machine that runs it sees it."""
    schedule: str | None = None


def run_job(job: Job, contents: Mapping[str, bytes] | None = None) -> Row:
    """Run it; the answer is what `--json` prints, with name and labels before it."""
    workload = load_workload(job.workload, job.options, Files(contents))
    settings = settings_from(job.settings)
    outcome = run_one(workload, settings, probes=job.probes, skip_share=job.skip_share)
    if job.report is not None:
        write_report(outcome, Path(job.report))
    if job.schedule is not None:
        Path(job.schedule).write_bytes(schedule_json(outcome.result))
    return {"name": job.name, "labels": job.labels, **row_of(outcome)}


def try_job(job: Job, contents: Mapping[str, bytes] | None = None) -> Row:
    """The same; what goes wrong is part of the answer, for the other runs of a study go on."""
    try:
        return run_job(job, contents)
    except InvalidInput as error:
        return failed(job, str(error))
    except Exception as error:  # a mistake of ours, or of a user's probe or policy
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return failed(job, f"{type(error).__name__}: {error} ({where})")


def failed(job: Job, reason: str) -> Row:
    return {"name": job.name, "labels": job.labels, "error": reason}


def digest_of(job: Job, files: Files) -> str:
    """The same for the same request on the same files, wherever they lie and whatever it is
    called: a result under it need not be computed again."""
    plain = msgspec.to_builtins(job)
    for given in ("name", "labels", "report", "schedule"):
        del plain[given]
    names = files_of(job.workload, job.options)
    plain["files"] = [hashlib.sha256(files.get(name)).hexdigest() for name in names]
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()[:12]
