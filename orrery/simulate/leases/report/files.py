"""A report on disk: the page, and every number of it for other programs."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import orjson

from orrery.simulate.leases.disk import disk_of_fullest_host, disk_of_site
from orrery.simulate.leases.history import cpu_of, in_order, site_cpu, state_name, work_of
from orrery.simulate.leases.knobs import shown_settings
from orrery.simulate.leases.metrics import Lease
from orrery.simulate.leases.outcome import Outcome, Row, row_of
from orrery.simulate.leases.probes import Counter, Reading
from orrery.simulate.leases.report.page import report_page
from orrery.simulate.leases.run import Result
from orrery.simulate.leases.schedule import schedule_json
from orrery.simulate.leases.series import Series, cpu_by_use, queue_length

LEASE_COLUMNS = (
    *("id", "kind", "state", "user", "nodes", "cpu_pct", "submitted", "requested_start"),
    *("deadline", "requested_s", "start", "end", "wait_s", "bounded_slowdown", "done_s"),
    *("lost_s", "suspensions", "migrations", "kills", "price", "reason"),
)
Cell = int | float | str | None


def write_report(outcome: Outcome, place: Path) -> None:
    """Fill a directory; files of an earlier report in it are replaced."""
    (place / "series").mkdir(parents=True, exist_ok=True)
    result = outcome.result
    pretty = orjson.OPT_INDENT_2
    (place / "report.html").write_text(report_page(outcome))
    (place / "metrics.json").write_bytes(orjson.dumps(row_of(outcome), option=pretty))
    settings = orjson.dumps(shown_settings(result.settings), option=pretty)
    (place / "settings.json").write_bytes(settings)
    (place / "schedule.json").write_bytes(schedule_json(result))
    write_csv(place / "leases.csv", *lease_table(result, outcome.readings))
    write_series(place / "series", result)
    for name, reading in outcome.readings.items():
        write_counters(place / "series", name, reading, result.end)


def lease_table(
    result: Result, readings: dict[str, Reading]
) -> tuple[Sequence[str], Iterator[Sequence[Cell]]]:
    """One line a lease, with what probes say of it in further columns."""
    extra = [
        (f"{probe}: {name}", values)
        for probe, reading in readings.items()
        for name, values in reading.per_lease.items()
    ]
    rows = (
        [*lease_cells(Lease(one, work_of(one))), *(values.get(one.id) for _, values in extra)]
        for one in in_order(result)
    )
    return [*LEASE_COLUMNS, *(name for name, _ in extra)], rows


def lease_cells(lease: Lease) -> list[Cell]:
    one, work = lease.booking, lease.work
    return [
        *(one.id, one.kind.value, state_name(one.status), one.user, one.node_count, cpu_of(one)),
        *(one.submitted, one.start, one.deadline, one.duration, work.first_start, one.ended),
        *(lease.wait_s, lease.slowdown, work.done_s, work.lost_s, one.suspensions),
        *(work.migrations, work.kills, one.price, one.reason),
    ]


def write_series(place: Path, result: Result) -> None:
    used = cpu_by_use(result)
    whole = site_cpu(result) or 1
    times = sorted({time for series in used.values() for time in series.times})
    head = ("time_s", *(use.value for use in used))
    shares = (
        (time, *(round(series.at(time) / whole, 6) for series in used.values())) for time in times
    )
    write_csv(place / "utilization.csv", head, shares)
    write_csv(place / "queue.csv", ("time_s", "waiting"), points(queue_length(result)))
    write_csv(place / "disk.csv", ("time_s", "mib"), points(disk_of_site(result)))
    fullest = points(disk_of_fullest_host(result))
    write_csv(place / "disk-fullest-host.csv", ("time_s", "mib"), fullest)


def points(series: Series) -> Iterator[tuple[int, float]]:
    return zip(series.times, series.values, strict=True)


def write_counters(place: Path, probe: str, reading: Reading, end: int) -> None:
    """A file for each counter of a probe."""
    for name, counter in reading.counters.items():
        plain = "".join(c if c.isalnum() else "-" for c in f"{probe}-{name}".lower()).strip("-")
        write_csv(place / f"{plain}.csv", *counter_table(counter))


def counter_table(counter: Counter) -> tuple[Sequence[str], Iterator[Sequence[Cell]]]:
    """Time, value, the lease behind it, and the average up to then where it means something."""
    series = counter.series
    leases = counter.leases or (None,) * len(series.times)
    rows: Iterator[Sequence[Cell]] = zip(series.times, leases, series.values, strict=True)
    if not counter.weighted:
        return ("time_s", "lease", "value"), rows
    with_mean = ((*row, mean) for row, mean in zip(rows, running_means(series), strict=True))
    return ("time_s", "lease", "value", "average"), with_mean


def running_means(series: Series) -> Iterator[float]:
    """Weighted with time, from the beginning."""
    total, since, value = 0.0, 0, 0.0
    for time, next_value in zip(series.times, series.values, strict=True):
        total += value * (time - since)
        since, value = time, next_value
        yield total / time if time else next_value


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


# --- many runs ------------------------------------------------------------------------------------


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """One line a run: its labels, and every number of it."""
    flat = [flattened(row) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    write_csv(path, columns, ([row.get(column) for column in columns] for row in flat))


def flattened(row: Row) -> dict[str, Cell]:
    """Without what is a list or belongs to users; mappings of one level by joined names."""
    found: dict[str, Cell] = {}
    for name, value in row.items():
        if isinstance(value, int | float | str) or value is None:
            found[name] = value
        elif isinstance(value, dict) and name not in ("users", "states", "probes"):
            found |= {f"{name}.{key}": cell for key, cell in value.items()}
    return found
