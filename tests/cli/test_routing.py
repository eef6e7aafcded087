"""Which part of the program serves which words, and that help of every command works."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from orrery.__main__ import DAEMON, program_name, route
from orrery.cli.program import NOUNS, OTHERS, load, run


@pytest.mark.parametrize(
    ("argv", "target"),
    [
        (["serve", "--home", "x"], DAEMON["serve"]),
        (["up"], DAEMON["up"]),
        (["driver", "serve"], "orrery.agent:serve"),
        (["driver", "check", "program"], "orrery.agent_check:check"),
        (["vm", "list"], None),
        ([], None),
        (["driver"], "orrery.__main__:explain_driver"),
        (["driver", "fly"], "orrery.__main__:explain_driver"),
    ],
)
def test_daemon_and_drivers_are_found_by_their_words(argv: list[str], target: str | None) -> None:
    assert route(argv)[0] == target


def test_words_after_the_route_go_to_it() -> None:
    assert route(["driver", "check", "a", "b"])[1] == ["a", "b"]
    assert route(["vm", "list"])[1] == ["vm", "list"]


@pytest.mark.parametrize(
    ("path", "name"),
    [("/usr/bin/onevm", "onevm"), ("/x/orrery/__main__.py", "orrery"), ("orrery", "orrery")],
)
def test_program_is_named_as_it_was_called(path: str, name: str) -> None:
    assert program_name(path) == name


def commands() -> Iterator[tuple[str, ...]]:
    for word, branch in (NOUNS | OTHERS).items():
        command = load(branch.target)
        yield (word,)
        if isinstance(command, click.Group):
            for verb in command.list_commands(click.Context(command)):
                yield (word, verb)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("orrery", [*words, "--help"]) == 0
    assert "Usage: orrery " + " ".join(words) in capsys.readouterr().out


@pytest.mark.parametrize("program", ["orrery", "onevm"])
def test_every_program_tells_its_version(
    program: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE_XMLRPC", "http://127.0.0.1:9")
    assert run(program, ["--version"]) == 0
    assert capsys.readouterr().out.startswith("orrery ")


def test_unknown_program_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("onefoo", ["list"]) == 1
    assert "there are orrery, onevm" in capsys.readouterr().err


def test_simple_command_loads_neither_the_engine_nor_heavy_libraries() -> None:
    code = (
        "import sys; from orrery.__main__ import main; main(['vm', 'list', '--help'], 'orrery');"
        "heavy = {'rich', 'asyncio', 'starlette', 'lxml', 'msgspec', 'orrery.core'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_manual_says_what_the_program_does() -> None:
    tool = Path(__file__).parents[2] / "tools/man-pages"
    done = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
