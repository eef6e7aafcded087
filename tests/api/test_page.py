"""The web page in a real browser, against the application on a small engine."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.api.world import ADMIN, World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt: chromium)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 375, "height": 800})
    yield context.new_page()
    context.close()


def log_in(page: Page, address: str, password: str = "secret") -> None:
    page.goto(address)
    page.fill("#name", "oneadmin")
    page.fill("#password", password)
    page.click("#login button")


def tokens_of_admin(world: World) -> int:
    return len(world.state.users[0].tokens)


def test_a_wrong_password_is_told_and_nothing_is_shown(
    page: Page, world: World, serve: Callable[[World], str]
) -> None:
    log_in(page, serve(world), "wrong")
    page.wait_for_selector("#login-error:not([hidden])")
    assert page.inner_text("#login-error") == "User or password is wrong."
    assert page.is_hidden("#lists")


def test_lists_are_shown_searched_and_fit_a_narrow_screen(
    page: Page, world: World, serve: Callable[[World], str]
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    world.running_vm(7, ADMIN, name="<b>bold</b>", error="it <i>failed</i>")
    world.running_vm(8, ADMIN, name="quiet")
    log_in(page, serve(world))
    page.wait_for_selector("text=quiet")
    assert page.inner_text("#hosts-count") == "2"
    assert "<b>bold</b>" in page.inner_text("#vms")
    assert page.query_selector("#vms b, #vms i") is None
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    page.fill("#search", "quiet")
    page.wait_for_selector("#vms-count:text-is('1')")
    assert errors == []


def test_a_reload_keeps_the_session_and_log_out_ends_it(
    page: Page, world: World, serve: Callable[[World], str]
) -> None:
    log_in(page, serve(world))
    page.wait_for_selector("#lists:not([hidden])")
    page.reload()
    page.wait_for_selector("#lists:not([hidden])")
    assert tokens_of_admin(world) == 1
    page.click("#leave")
    page.wait_for_selector("#login:not([hidden])")
    assert tokens_of_admin(world) == 0
    assert page.evaluate("sessionStorage.length") == 0
