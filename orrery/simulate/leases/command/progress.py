"""Progress on standard error, for people only."""

import contextlib
import sys
from collections.abc import Callable, Iterator

import click

from orrery.simulate.leases.run import Progress

PARTS = 200


@contextlib.contextmanager
def progress_bar(label: str) -> Iterator[Progress | None]:
    """A bar for one simulation; None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:
        shown = 0

        def tell(done: int, count: int) -> None:
            nonlocal shown
            if done - shown >= max(1, count // PARTS) or done == count:
                bar.length = count
                bar.update(done - shown)
                shown = done

        yield tell


@contextlib.contextmanager
def runs_bar(count: int) -> Iterator[Callable[[int, int, str], None]]:
    """A bar for many of them; elsewhere a line for each that has ended."""
    if not sys.stderr.isatty():
        yield lambda done, all_, name: click.echo(f"{done} of {all_}: {name}", err=True)
        return
    with click.progressbar(length=count, label="runs", file=sys.stderr) as bar:
        shown = 0

        def tell(done: int, all_: int, name: str) -> None:
            nonlocal shown
            del all_, name
            bar.update(done - shown)
            shown = done

        yield tell
