"""The dashboard in a real browser: it stays live, keeps what people type, and breaks no policy of ours."""

import shutil
import socket
import threading
from asyncio import run
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import Any

import pytest
import uvicorn

from api.ports import ApiLimits
from storage.access import Role
from storage.campaign import CampaignPhase
from storage.events import EventKind
from tests.support.house import House
from tests.support.lives import lives
from tests.support.showcase import showcase

CHROMIUM = shutil.which("chromium", path="/usr/bin") or shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RUNNING = "/campaigns/spring-release-1-1"


@dataclass
class Served:
    """A showcase behind a socket, and its people."""

    house: House
    url: str


@contextmanager
def served(*more: Callable[[House], Awaitable[object]]) -> Iterator[Served]:
    """A showcase with ``more`` in it."""
    house = showcase(ApiLimits(page_seconds=0.2))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(house.app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    )

    async def serve() -> None:
        for fill in more:
            await fill(house)
        await server.serve([listening])

    thread = threading.Thread(target=lambda: run(serve()))
    thread.start()
    try:
        until = monotonic() + 20
        while not server.started:
            assert monotonic() < until, "the app did not start"
            sleep(0.01)
        yield Served(house, f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Served]:
    """One showcase for all tests that only look."""
    with served() as found:
        yield found


@contextmanager
def opened(browser: Any, site: Served, role: Role, *, refused: bool = False, **options: Any) -> Iterator[Any]:
    """A page of somebody logged in; every complaint of the browser fails the test.

    ``refused``: that the login is over may reach what the page asks for by itself, too.
    """
    context = browser.new_context(**options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda sent: sent.url.startswith(site.url) or complaints.append(f"left us: {sent.url}")
    )
    try:
        page.goto(f"{site.url}/login")
        page.fill("#token", site.house.texts[role])
        page.click("button[type=submit]")
        page.wait_for_selector("#live")
        yield page
        assert [one for one in complaints if not (refused and "(Unauthorized)" in one)] == []
    finally:
        context.close()


@pytest.mark.requirement("F106", "F111")
def test_pages_follow_what_happens_without_losing_what_people_type(browser: Any) -> None:
    with served() as site, opened(browser, site, Role.RELEASE_MANAGER) as page:
        page.goto(site.url + RUNNING)
        page.wait_for_selector("#live-state[data-state=on]")
        page.wait_for_selector("#chart canvas")
        page.click("text=Abort…")
        page.fill("#abort-reason", "half a sen")
        page.click("#verdict-1 > summary")
        campaign = site.house.campaigns.all["spring-release-1-1"]
        site.house.campaigns.all["spring-release-1-1"] = replace(campaign, reason="Something new happened.")
        page.wait_for_selector("text=Something new happened.")

        assert page.input_value("#abort-reason") == "half a sen"
        assert page.is_visible("#verdict-1 >> text=failures")
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_a_charger_that_changes_changes_its_cell(browser: Any) -> None:
    with served() as site, opened(browser, site, Role.VIEWER) as page:
        page.wait_for_selector("#live-state[data-state=on]")
        assert page.is_visible("#c-CP-0000.is-available")
        view = site.house.chargers.all["CP-0000"]
        offline = replace(view.twin.connectivity, online=False)
        site.house.chargers.all["CP-0000"] = replace(view, twin=replace(view.twin, connectivity=offline))
        page.wait_for_selector("#c-CP-0000.is-offline")

        assert page.inner_text("#c-CP-0000 .sr") == "CP-0000 offline"


def test_a_button_moves_the_campaign_and_the_page_says_so(browser: Any) -> None:
    with served() as site, opened(browser, site, Role.OPERATOR) as page:
        page.goto(site.url + RUNNING)
        page.click("text=Pause")
        page.wait_for_selector(".heading .badge.is-paused")

        assert site.house.campaigns.all["spring-release-1-1"].phase is CampaignPhase.PAUSED
        assert page.locator("#acts").count() == 1
        assert page.get_by_role("button", name="Resume").count() == 0  # an operator may stop, not go on
        assert page.locator("form[action$='/resume']").count() == 0

        with opened(browser, site, Role.RELEASE_MANAGER) as other:
            other.goto(site.url + RUNNING)
            other.get_by_role("button", name="Resume").click()
            page.wait_for_selector(".heading .badge.is-running")


CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("main *, header *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.classList.contains("sr")) continue;
    const style = getComputedStyle(element);
    if (!style.color.startsWith("rgb")) continue;
    const [a, b] = [light(rgb(style.color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


UNLABELLED = (
    "[...document.querySelectorAll('input:not([type=hidden]), textarea')]"
    ".filter((field) => !field.labels.length).map((field) => field.name)"
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_its_window_and_every_word_is_legible(
    browser: Any, site: Served, scheme: str
) -> None:
    with opened(browser, site, Role.ADMIN, color_scheme=scheme) as page:
        artifact = next(iter(site.house.artifacts.all))
        here = site.house.chargers.all["CP-0000"].charger.site_id
        paths = (
            "/",
            f"/?site_id={here}",
            "/service",
            "/chargers/CP-0000",
            "/campaigns",
            RUNNING,
            "/artifacts",
        )
        more = (f"/artifacts/{artifact}", "/incidents", "/halts", "/configurations")
        for path in (*paths, *more):
            page.goto(site.url + path)
            for width in (390, 1360):
                page.set_viewport_size({"width": width, "height": 844})
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.evaluate(CONTRAST) == [], path
            assert page.evaluate(UNLABELLED) == [], path


LIVES = tuple(
    f"/life{part}" for part in ("", "/renewals", "/renewals/r-0", "/provisioning", "/quarantine", "/retired")
)


@pytest.mark.requirement("F106")
def test_the_pages_of_chargers_lives_fit_stay_live_and_act(browser: Any) -> None:
    with served(lives) as site, opened(browser, site, Role.ADMIN) as page:
        for path in LIVES:
            page.goto(site.url + path)
            for width in (390, 1280):
                page.set_viewport_size({"width": width, "height": 844})
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.evaluate(CONTRAST) == [], path
            assert page.evaluate(UNLABELLED) == [], path
        with page.expect_download() as saved:
            page.get_by_role("link", name="Receipt", exact=True).click()
        assert saved.value.suggested_filename == "CP-0006.receipt.json"

        page.goto(f"{site.url}/life/provisioning")
        page.wait_for_selector("#live-state[data-state=on]")
        rows = site.house.services.enrolments.rows  # type: ignore[union-attr, attr-defined]  # the double's
        page.locator("#q-NEW-00001 summary").click()
        page.fill("#v-NEW-00001-rcd-test", "21 ms")
        rows["NEW-00000"] = replace(rows["NEW-00000"], waits_for="its certificate is on its way")
        page.wait_for_selector("text=its certificate is on its way")
        assert page.input_value("#v-NEW-00001-rcd-test") == "21 ms"
        page.get_by_role("button", name="It passed").click()
        page.wait_for_url("**/life/provisioning")
        assert rows["NEW-00001"].attestations[0].value == "21 ms"


def test_the_api_manual_works_under_our_own_policy(browser: Any, site: Served) -> None:
    with opened(browser, site, Role.VIEWER) as page:
        page.goto(f"{site.url}/docs")
        paths = site.house.app.openapi()["paths"]
        tags = [(act["tags"][0], path) for path, acts in paths.items() for act in acts.values()]
        page.locator(".opblock-tag").first.wait_for()
        assert page.locator(".opblock-tag").count() == len(dict(tags))

        page.locator("#operations-tag-campaigns").click()
        page.get_by_text("/api/v1/campaigns/plan", exact=True).wait_for()
        shown = page.locator(".opblock-summary-path").evaluate_all("all => all.map((at) => at.dataset.path)")
        assert sorted(shown) == sorted(path for tag, path in tags if tag == "campaigns")


def test_a_lost_session_ends_in_the_login_page(browser: Any) -> None:
    with served() as site, opened(browser, site, Role.VIEWER, refused=True) as page:
        page.wait_for_selector("#live-state[data-state=on]")
        site.house.tokens.tokens.clear()
        site.house.add_event("CP-0000", EventKind.HEARTBEAT_RECEIVED, 99)
        page.reload()
        page.wait_for_selector("#token")
