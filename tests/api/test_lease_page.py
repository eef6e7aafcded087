"""Leases on the web page in a real browser, against a real daemon with a simulated host.

1. a form is filled and asked when it would start, 2. it is asked for, and is in list and calendar,
3. what does not fit is refused, and its alternative taken, 4. a lease is cancelled.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.cli.test_daemon import Session, furnish, wait_for_endpoint

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt: chromium)"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a daemon with a host of 16 cores, an image and a template."""
    home = tmp_path_factory.mktemp("home")
    words = ["serve", "--home", str(home), "--listen", "127.0.0.1:0", "--datastore-driver", "sim"]
    with (home / "log").open("wb") as log:
        daemon = subprocess.Popen([sys.executable, "-m", "orrery", *words], stdout=log, stderr=log)
    try:
        wait_for_endpoint(home, daemon)
        furnish(Session(home))
        yield home
    finally:
        daemon.terminate()
        daemon.wait(30)


@pytest.fixture(params=[1200, 375])
def page(home: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page of a user who is logged in; whatever goes wrong in it fails the test."""
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": request.param, "height": 900}, timezone_id="Europe/Berlin"
        )
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.goto((home / "endpoint").read_text().strip().removesuffix("/RPC2"))
        page.fill("#name", "oneadmin")
        page.fill("#password", (home / "one_auth").read_text().strip().partition(":")[2])
        page.click("#login button")
        page.wait_for_selector("#lists:not([hidden])")
        yield page
        assert page.evaluate("document.documentElement.scrollWidth") == request.param
        browser.close()
    assert [text for text in errors if "status of 400" not in text] == []


def fill_form(page: Page, name: str, nodes: int, kind: str) -> None:
    page.fill("#lease-name", name)
    page.fill("#lease-nodes", str(nodes))
    page.fill("#lease-cpu", "1")
    page.fill("#lease-memory", "64")
    page.fill("#lease-duration", "2h")
    page.select_option("#lease-kind", kind)


def answered(page: Page, words: str) -> str:
    page.wait_for_selector(f"#lease-answer:has-text('{words}')")
    return page.inner_text("#lease-answer")


def test_a_lease_is_asked_for_shown_and_cancelled(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#lease-more summary")
    page.wait_for_selector("#lease-template option:has-text('small')", state="attached")
    fill_form(page, "class", 4, "exact")
    page.evaluate(
        """() => {
        const start = new Date(Date.now() + 3 * 3600e3);
        const local = new Date(start - start.getTimezoneOffset() * 60e3);
        document.getElementById('lease-start').value = local.toISOString().slice(0, 16);
        }"""
    )
    page.click("#lease-when")
    answered(page, "It would be accepted")
    assert page.inner_text("#leases-count") == "0"
    page.click("#lease-form button:has-text('Ask for it')")
    answered(page, "is accepted")
    page.wait_for_selector("#leases tr:has-text('class') .state:has-text('scheduled')")
    page.wait_for_selector("#calendar rect.planned", state="attached")
    title = page.eval_on_selector("#calendar rect.planned title", "title => title.textContent")
    assert "class: 4 nodes" in title
    page.click("#leases tr:has-text('class') button:has-text('Cancel')")
    page.wait_for_selector("#leases-count:text-is('0')")


def test_what_does_not_fit_has_alternatives_to_take(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#lease-more summary")
    fill_form(page, "big", 100, "best-effort")
    page.click("#lease-when")
    assert "the whole site has room for 16" in answered(page, "Refused")
    page.click("#lease-answer button:has-text('Take it')")
    answered(page, "is accepted")
    page.wait_for_selector("#leases tr:has-text('big') td:has-text('16 ×')")
    page.click("#leases tr:has-text('big') button:has-text('Cancel')")
    page.wait_for_selector("#leases-count:text-is('0')")


def test_the_calendar_is_moved_and_its_length_changed(page: Page) -> None:
    page.wait_for_selector("#calendar line.now", state="attached")
    page.click("#calendar-on")
    page.wait_for_selector("#calendar line.now", state="detached")
    page.select_option("#calendar-span", "604800")
    page.click("#calendar-now")
    page.wait_for_selector("#calendar line.now", state="attached")
    page.wait_for_selector("#calendar .tick >> nth=1", state="attached")


def test_what_is_wrong_is_told(page: Page) -> None:
    page.click("#lease-more summary")
    fill_form(page, "odd", 1, "best-effort")
    page.fill("#lease-duration", "a while")
    page.click("#lease-when")
    assert "is no duration" in answered(page, "duration")
