"""A study: a YAML file that says which simulations to run.

    name: does suspension pay
    workloads:
      - trace.swf.gz
      - {name: busy, file: generated.yaml, inject: share=20,duration=3h}
    site: 144 CPU:100,Memory:1024
    settings: {suspend-rate: 50}
    profiles:
      plain: {suspension: none}
      suspending: {suspension: all}
    sweep:
      backfilling: [off, aggressive, 4]
    seeds: 3

Every workload is run with every profile, every combination of the sweep, and every seed (a number
means 1 to that; a list means itself). Names of files are relative to that of the study.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from orrery.core.documents import Fields, Value, read_yaml, shown
from orrery.core.errors import InvalidInput
from orrery.core.moments import parse_duration
from orrery.simulate.leases.job import Job
from orrery.simulate.leases.knobs import settings_from
from orrery.simulate.leases.probes import Chosen
from orrery.simulate.leases.sources import Overheads, SourceOptions, is_injection, stem
from orrery.simulate.leases.workload.reading import content, decoded, is_resources

OPTIONS = frozenset(
    {
        *("site", "processors_per_node", "queues", "from", "length", "inject", "annotate"),
        *("memory", "slowdown", "added", "slow_all", "ignore_preemptible"),
    }
)
FIELDS = OPTIONS | {
    *("name", "workloads", "settings", "profiles", "sweep", "seeds", "probes", "skip_first"),
}
RUNS_MAX = 100_000
UNFIT = re.compile(r"[^A-Za-z0-9._=+-]+")


class Study(Struct, frozen=True, kw_only=True):
    """All runs of a study."""

    name: str
    jobs: tuple[Job, ...]


def read_study(path: Path) -> Study:
    """The study in a file.

    Raises:
        InvalidInput: with the place.
    """
    fields = Fields(read_yaml(decoded(content(path))), "", FIELDS)
    base = Job(
        name="",
        workload="",
        probes=tuple(text_of(item, place) for place, item in fields.items("probes")),
        settings=dict(fields.texts("settings")),
        skip_share=(fields.number("skip_first") or 0.0) / 100,
    )
    Chosen(base.probes)  # a name that is none is told before the work
    jobs = tuple(jobs_of(fields, base, path.parent))
    if len({job.name for job in jobs}) < len(jobs):
        raise InvalidInput("workloads", "", "have two of one name: give each a name")
    return Study(name=fields.text("name") or path.stem, jobs=jobs)


def jobs_of(fields: Fields, base: Job, folder: Path) -> Iterator[Job]:
    sources = list(sources_of(fields, folder))
    profiles, grid, seeds = profiles_of(fields), list(grid_of(fields)), seeds_of(fields)
    count = len(sources) * len(profiles) * len(grid) * len(seeds)
    if not sources or count > RUNS_MAX:
        remedy = f"make {count} runs: at least 1, at most {RUNS_MAX}"
        raise InvalidInput("workloads", "", remedy)
    for source, (profile, own), point, seed in product(sources, profiles.items(), grid, seeds):
        labels = {"workload": source.name, "profile": profile, **point}
        parts = [profile, source.name, *(f"{key}={value}" for key, value in point.items())]
        if seed is not None:
            labels["seed"] = str(seed)
            parts.append(f"seed{seed}")
        settings = {**base.settings, **own, **point}
        settings_from(settings)
        yield replace(
            base,
            name=UNFIT.sub("-", "_".join(part for part in parts if part)),
            workload=source.workload,
            options=replace(source.options, seed=seed),
            settings=settings,
            labels={key: value for key, value in labels.items() if value},
        )


# --- parts ----------------------------------------------------------------------------------------


def sources_of(fields: Fields, folder: Path) -> Iterator[Job]:
    """Workloads with what is done to them; what is said for all counts unless one says else."""
    common = {name: fields.get(name) for name in OPTIONS if fields.get(name) is not None}
    for place, item in fields.items("workloads"):
        own = item if isinstance(item, dict) else {"file": item}
        one = Fields({**common, **own}, place, OPTIONS | {"name", "file"})
        file = located(one.need("file"), folder)
        name = one.text("name") or (file if file.startswith("synthetic:") else stem(file))
        yield Job(name=name, workload=file, options=options_of(one, folder))


def options_of(fields: Fields, folder: Path) -> SourceOptions:
    site, notes = fields.text("site"), fields.text("annotate")
    length, memory = fields.text("length"), fields.get("memory")
    injected = [text_of(item, place) for place, item in fields.items("inject")]
    return SourceOptions(
        site=site if site is None or is_resources(site) else located(site, folder),
        processors_per_node=fields.whole("processors_per_node", 1, least=1),
        queues=tuple(queue_of(item, place) for place, item in fields.items("queues")),
        honour_preemptible=not fields.flag("ignore_preemptible"),
        from_s=round(parse_duration(fields.text("from") or "0", fields.at("from"))),
        length_s=None if length is None else round(parse_duration(length, fields.at("length"))),
        inject=tuple(one if is_injection(one) else located(one, folder) for one in injected),
        annotations=None if notes is None else located(notes, folder),
        memory_mib=None if memory is None else fields.whole("memory", 0, least=1),
        overheads=Overheads(
            slowdown_pct=fields.number("slowdown") or 0.0,
            added_s=round(parse_duration(fields.text("added") or "0", fields.at("added"))),
            all_kinds=bool(fields.flag("slow_all")),
        ),
    )


def located(name: str, folder: Path) -> str:
    return name if name.startswith("synthetic:") else str(folder / name)


def text_of(value: Value, place: str) -> str:
    if isinstance(value, str):
        return value
    raise InvalidInput(place, shown(value), "is no text")


def queue_of(value: Value, place: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InvalidInput(place, shown(value), "is no number of a queue")


def profiles_of(fields: Fields) -> dict[str, dict[str, str]]:
    """By name; a study without profiles has one without a name."""
    value = fields.get("profiles")
    if value is None:
        return {"": {}}
    inner = Fields(value, "profiles", value if isinstance(value, dict) else ())
    return {name: dict(inner.texts(name)) for name in inner.values}


def grid_of(fields: Fields) -> Iterator[Mapping[str, str]]:
    """Every combination of the values of the sweep."""
    value = fields.get("sweep")
    if value is None:
        yield {}
        return
    inner = Fields(value, "sweep", value if isinstance(value, dict) else ())
    lists = [
        [str(item) if isinstance(item, int | float) else text_of(item, place) for place, item in
         inner.items(name)]
        for name in inner.values
    ]  # fmt: skip
    for values in product(*lists):
        yield dict(zip(inner.values, values, strict=True))


def seeds_of(fields: Fields) -> list[int | None]:
    match fields.get("seeds"):
        case None:
            return [None]
        case bool():
            pass
        case int() as count if 1 <= count <= RUNS_MAX:
            return list(range(1, count + 1))
        case [*seeds] if seeds and all(type(seed) is int and seed >= 0 for seed in seeds):
            return [int(str(seed)) for seed in seeds]
        case _:
            pass
    raise fields.refuse("seeds", "is neither a number of seeds nor a list of them")


def described(study: Study) -> bytes:
    """The study in full, as it is kept beside its results."""
    return msgspec.json.format(msgspec.json.encode(study), indent=2)
