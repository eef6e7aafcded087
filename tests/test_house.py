"""The house rules that no linter knows: pages up to date, sizes, docstrings, links, no foreign
places.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orrery.config import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted((ROOT / "orrery").rglob("*.py"))
LINES_MAX = 600
FUNCTION_LINES_MAX = 60
TEXT_BYTES_MAX = 2_000_000


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


# --- pages ----------------------------------------------------------------------------------------


def test_the_generated_pages_are_up_to_date() -> None:
    done = run(sys.executable, "tools/generate-docs", "--check")
    assert done.returncode == 0, done.stderr


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    assert [s.name for s in SETTINGS if f"| `{s.name}` |" not in page] == []


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(<?([^)\s>]+)>?[^)]*\)|(?:src|href)=\"([^\"]+)\"")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def links(page: Path) -> Iterator[str]:
    """The places in this tree that a page points to."""
    for match in LINK.finditer(FENCE.sub("", page.read_text())):
        target = match[1] or match[2]
        if not ELSEWHERE.match(target):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for target in links(page):
        path, _, heading = target.partition("#")
        place = page.parent / path if path else page
        if not place.exists() or (heading and heading not in headings(place)):
            dead.append(target)
    assert dead == []


def headings(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to."""
    if page.suffix != ".md":
        return set()
    titles = re.findall(r"^#+ +(.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


# --- code -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [p for p in PACKAGE if p.stat().st_size], ids=short)
def test_a_module_says_what_it_is_for_and_stays_small(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no docstring"
    assert text.count("\n") <= LINES_MAX, f"over {LINES_MAX} lines: make it a package"
    long = [
        f"{node.name}: {size} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_packages_hold_no_logic_of_their_own() -> None:
    full = [short(p) for p in PACKAGE if p.name == "__init__.py" and p.stat().st_size]
    assert full in ([], ["orrery/__init__.py"])


def test_every_import_contract_is_kept() -> None:
    done = run(str(Path(sys.executable).parent / "lint-imports"), "--no-cache")
    assert done.returncode == 0, done.stdout[-2000:]


# --- what belongs to nobody's machine -------------------------------------------------------------

WORDS = {
    "a directory of one machine": r"(?<![\w.$}])/" + "work" + r"(?:/|(?=[\s\"'`,;:)]|$))",
    "a registry of packages": "|".join(
        [
            *["py" + r"pi\.(?:org|python)", "python" + "hosted", "npm" + r"js\.(?:org|com)"],
            *["crates" + r"\.io", "proxy" + r"\.golang", "docker" + r"\.io"],
        ]
    ),
    "a mirror of a distribution": "|".join(
        [r"(?:deb|ftp\w*|snapshot|security)\." + "debian" + r"\.org", "archive" + r"\.ubuntu\.com"]
    ),
    "work that is left": r"\b(?:TO" + "DO|FIX" + r"ME|XX" + r"X)\b",
}


def texts() -> Iterator[tuple[str, str]]:
    """Every text that is part of the project, by name."""
    listed = run("git", "ls-files", "-z")
    if listed.returncode:
        pytest.skip("not a checkout: there is no list of the project's files")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.stat().st_size < TEXT_BYTES_MAX:
            try:
                yield name, path.read_text()
            except UnicodeDecodeError:
                continue


@pytest.mark.parametrize("what", WORDS)
def test_no_file_names(what: str) -> None:
    pattern = re.compile(WORDS[what], re.MULTILINE)
    found = [f"{name}: {match[0]}" for name, text in texts() for match in pattern.finditer(text)]
    assert found == []
