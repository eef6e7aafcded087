"""Structured logs: JSON lines for machines, short lines for people; every record with its cause."""

import logging
import sys

import structlog

from orrery.core.messages import Record
from orrery.engine.writer import Commit

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def set_up(level: str, form: str) -> None:
    """Route structlog and the standard library's loggers to standard error in one form."""
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for noisy in ("uvicorn", "uvicorn.access", "uvicorn.error", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


log = structlog.get_logger("orrery.records")


def log_commit(commit: Commit) -> None:
    """A listener of the writer: one line for each record."""
    for record in commit.records:
        log_record(record)


def log_record(record: Record) -> None:
    failed = "error" in record.body
    (log.warning if failed else log.info)(
        record.kind, id=record.subject_id, cause=record.cause, seq=record.seq, **body_of(record)
    )


def body_of(record: Record) -> dict[str, object]:
    """The record's own fields, under names that cannot clash with the line's."""
    return {
        f"{k}_" if k in ("id", "cause", "seq", "event") else k: v for k, v in record.body.items()
    }
