"""Reads templates from a file or a pipe, and writes attributes. Calls nothing."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from orrery.cli.failure import CommandFailed
from orrery.cli.tree import quoted

Pairs = list[tuple[str, str]]


def read_template(file: str | None) -> str:
    """The text of FILE; without FILE, or with `-`, what is piped in."""
    if file is None and sys.stdin.isatty():
        raise click.UsageError("no template: name a FILE, or pipe one in (- reads from a terminal)")
    if file is None or file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"FILE: cannot read {file!r}: {reason(error)}") from error


def with_options(file: str | None, options: str) -> str:
    """The options alone when no FILE is named and there are some; else the text, options last."""
    if file is None and options:
        return options
    return read_template(file).rstrip("\n") + "\n" + options


def reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def attribute(name: str, text: str) -> str:
    return f"{name}={quoted(text)}"


def vector(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    """NAME=[ K="v", ... ]."""
    return f"{name}=[ " + ", ".join(attribute(key, text) for key, text in pairs) + " ]"


def pair(text: str, option: str) -> tuple[str, str]:
    """`KEY=value` split at the first =."""
    key, equals, content = text.partition("=")
    if not equals or not key.strip():
        raise click.UsageError(f"{option}: {text!r} is not KEY=VALUE")
    return key.strip().upper(), content
