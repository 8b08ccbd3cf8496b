"""The dashboard in a real browser: quiet, on its own, accessible, and deaf to what telemetry says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from dashboard.parts.text import visible
from tests.dashboard import hostile
from tests.dashboard import test_pages as pages
from tests.dashboard.conftest import HOSTILE_REPORT, ROOT
from tests.length import also
from tests.report.a_report import night
from tests.stack import Stack

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = ROOT / "tests" / "e2e" / "js" / "node_modules" / "axe-core" / "axe.min.js"
BASELINE: dict[str, str] = json.loads((Path(__file__).parent / "axe_baseline.json").read_text())
MISSING = ("/_stcore/health", "/_stcore/host-config")
"""On a deep link Streamlit first asks for these below the page's own path, where they are not, then at the root."""
NIGHT = night()
PAGES = {
    "overview": "/",
    "runs": "/runs",
    "run": "/run?run_id={run}",
    "tasks": "/tasks",
    "queues": "/queues",
    "conventions": "/conventions",
    "reports": f"/reports?report={HOSTILE_REPORT.id}",
}
THEMES = ("light", "dark")
SEEN = {("light", "overview"), ("dark", "run"), ("light", "queues"), ("dark", "tasks"), ("light", "conventions")}
LOOKS = [
    pytest.param(theme, page, marks=() if (theme, page) in SEEN else pytest.mark.long("browser"))
    for theme in THEMES
    for page in PAGES
]
"""Every page in each theme; briefly some pages in one of them."""
READY = "[data-testid=stApp][data-test-script-state=notRunning]"
IDLE = "() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => requestIdleCallback(r))))"


@dataclass
class Watched:
    """A page and everything it did that it should not have."""

    page: Page
    origin: str
    troubles: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Open *path* and wait until it is drawn."""
        self.page.goto(self.origin + path)
        self.settled()

    def settled(self) -> None:
        """Wait until the script has run and the browser is idle."""
        self.page.wait_for_selector(READY, timeout=60_000)
        self.page.wait_for_selector("[data-testid=stMainBlockContainer] >> visible=true", timeout=60_000)
        self.page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')", timeout=60_000)
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate(IDLE)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return the system's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[BrowserContext]:
    """Return a browser session with a preferred colour scheme; what it fetched once it keeps."""
    with chromium.new_context(color_scheme=request.param, viewport={"width": 1440, "height": 1400}) as context:
        yield context


@pytest.fixture
def watched(context: BrowserContext, server: str) -> Iterator[Watched]:
    """Return a watched page in a theme."""
    with watching(context, server) as made:
        yield made


@pytest.fixture(scope="module")
def any_theme(chromium: Browser) -> Iterator[BrowserContext]:
    """Return a browser session for what does not depend on the theme; what it fetched once it keeps."""
    with chromium.new_context(color_scheme="light", viewport={"width": 1440, "height": 1400}) as context:
        yield context


@pytest.fixture
def light(any_theme: BrowserContext, server: str) -> Iterator[Watched]:
    """Return a watched page for what does not depend on the theme."""
    with watching(any_theme, server) as made:
        yield made


@contextmanager
def watching(context: BrowserContext, server: str) -> Iterator[Watched]:
    """Yield a page that keeps a list of its console errors, foreign requests, bad answers and dialogs."""
    page = context.new_page()
    watched = Watched(page, server)
    host = urlsplit(server).netloc

    def console(message: Any) -> None:
        # Chromium reports a bad answer here too, without its address; `answered` judges those.
        if message.type == "error" and "Failed to load resource" not in message.text:
            watched.troubles.append(f"console: {message.text[:300]}")

    def answered(response: Any) -> None:
        if response.status >= 400 and not response.url.endswith(MISSING):
            watched.troubles.append(f"{response.status}: {response.url}")

    def requested(request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host:
            watched.troubles.append(f"foreign request: {request.url}")

    def asked(dialog: Any) -> None:
        watched.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", console)
    page.on("pageerror", lambda error: watched.troubles.append(f"error: {error}"))
    page.on("response", answered)
    page.on("request", requested)
    page.on("websocket", lambda ws: requested(ws))
    page.on("dialog", asked)
    yield watched
    page.close()


def test_every_page_is_opened() -> None:
    """The addresses opened here are those of all pages there are."""
    assert set(PAGES) == set(pages.PAGES)


@pytest.mark.parametrize(("context", "name"), LOOKS, indirect=["context"])
def test_a_page_is_quiet_and_accessible(watched: Watched, failed_run: str, name: str) -> None:
    """A page logs no error, asks nobody else for anything, and has no accessibility violation of ours."""
    watched.open(PAGES[name].format(run=quote(failed_run, safe="")))
    assert watched.page.locator("h1").first.is_visible()
    watched.page.add_script_tag(path=AXE)
    axe = watched.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    ours = {
        v["id"]: [node["html"][:200] + " | " + (node["any"] or [{"message": ""}])[0]["message"] for node in v["nodes"]]
        for v in axe["violations"]
        if v["id"] not in BASELINE
    }
    assert not ours, json.dumps(ours, indent=1)
    assert not watched.troubles


@pytest.mark.parametrize("context", THEMES, indirect=True)
def test_the_theme_follows_the_viewer(watched: Watched, context: BrowserContext) -> None:
    """Light and dark follow the viewer's preference, charts included."""
    watched.open("/runs")
    prefers_dark = watched.page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    channel = watched.page.evaluate(
        "() => +getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor.match(/\\d+/)[0]"
    )
    assert (channel < 60) == prefers_dark


def test_a_click_opens_a_run_and_a_bar_filters_its_logs(light: Watched, failed_run: str) -> None:
    """Selecting a row of Runs opens that run; selecting a bar of its waterfall leaves the logs within the bar."""
    page = light.page
    light.open(f"/runs?range=7d&q={quote(failed_run)}")
    grid = page.locator("[data-testid=stDataFrame] canvas").first
    box = grid.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 51)
    page.wait_for_selector(".facts h1", timeout=30_000)
    light.settled()
    assert page.locator(".facts .run").inner_text() == failed_run
    assert f"run_id={quote(failed_run)}" in page.url
    logs = page.locator(".st-key-logs_card .rw-sub").first
    whole = logs.inner_text()
    page.locator(".waterfall .row", has_text="attempt 2").first.click()
    page.wait_for_function("() => /within/.test(document.querySelector('.st-key-logs_card .rw-sub').textContent)")
    within = logs.inner_text()
    assert int(within.split()[0]) < int(whole.split()[0])
    assert page.locator(".waterfall .row", has_text="backoff").count() == 2
    page.get_by_text("Work only").click()
    expect(page.locator(".waterfall .row", has_text="backoff")).to_have_count(0)
    expect(page.locator(".waterfall .row", has_text="attempt")).to_have_count(3)
    assert not light.troubles


INJECTED = """() => [...document.querySelectorAll('*')].filter(e =>
    [...e.attributes].some(a => /^on/.test(a.name) && a.value.includes('alert'))
    || ['href', 'src'].some(name => e.hasAttribute(name)
        && /evil[.]invalid/.test(e.getAttribute(name))
        && new URL(e.getAttribute(name), location).origin !== location.origin)
    || (e.localName === 'script' && /^alert/.test(e.textContent))
    || (e.localName === 'style' && /^body[{]display/.test(e.textContent))
    || e.classList.contains('katex')).map(e => e.outerHTML.slice(0, 200))"""
JOINER = "\u2060"
BRIEFLY = ("overview", "run")


@pytest.mark.parametrize("name", [*BRIEFLY, *also("browser", *(name for name in PAGES if name not in BRIEFLY))])
def test_hostile_telemetry_is_text_and_nothing_else(light: Watched, name: str) -> None:
    """Markup, links, icons, formulas and direction controls in any telemetry field stay inert text on every page."""
    run = quote(hostile.run_id(hostile.NAMES[0], 0), safe="")
    path = PAGES[name].format(run=run)
    light.open(f"{path}{'&' if '?' in path else '?'}environment={hostile.ENVIRONMENT}")
    page = light.page
    for chart in page.locator("canvas").all():
        box = chart.bounding_box()
        if box and box["width"] > 80 and box["y"] < 1300:  # tooltips are HTML that ECharts makes
            for share in (0.3, 0.6):
                page.mouse.move(box["x"] + box["width"] * share, box["y"] + min(box["height"], 200) * 0.5)
                page.evaluate(IDLE)
    assert page.evaluate(INJECTED) == []
    text = page.locator("body").inner_text().replace(JOINER, "")
    assert not any(c in text for c in "\u202e\u2066")
    shown = {n for n in hostile.NAMES if " ".join(visible(n).split()) in " ".join(text.split())}
    # Tables and selectors draw on a canvas or in an input; elsewhere the names are text, in full.
    at_least = {"overview": 1, "run": 1, "queues": 5, "reports": 1}.get(name, 0)
    assert len(shown) >= at_least, text
    if name == "runs":
        page.locator(".st-key-task input").fill(hostile.HOST)
        page.locator("[role=option]", has_text=hostile.HOST).first.wait_for()
        offered = [o.inner_text() for o in page.locator("[role=option]").all()]
        assert {visible(n) for n in hostile.NAMES[:2]} <= {o.strip() for o in offered}, offered
        assert page.evaluate(INJECTED) == []
    assert not light.troubles


def test_a_report_is_downloaded_as_the_api_has_it(light: Watched, filled: Stack) -> None:
    """Each download of the Reports page is the document of the API, with links back to this dashboard."""
    light.open(f"/reports?report={NIGHT.id}")
    for name in ("HTML", "Markdown", "JSON"):
        with light.page.expect_download() as asked:
            light.page.get_by_role("button", name=name).first.click()
        downloaded = Path(asked.value.path()).read_text("utf-8")
        kind = asked.value.suggested_filename.rpartition(".")[2]
        assert downloaded == filled.client.report_text(NIGHT.id, kind, light.origin)
    assert not light.troubles


def test_a_downloaded_page_stands_alone(light: Watched, filled: Stack, tmp_path: Path) -> None:
    """The HTML of a report, opened from a disk, asks for nothing, obeys its own policy, and fits 800 px."""
    path = tmp_path / "report.html"
    path.write_text(filled.client.report_text(NIGHT.id, "html"), "utf-8")
    page = light.page
    page.goto(path.as_uri())
    assert page.locator("svg.marks").count() == 2
    size = page.evaluate("() => getComputedStyle(document.querySelector('h1')).fontSize")
    assert size == "22px"  # the policy lets its style apply
    page.set_viewport_size({"width": 800, "height": 900})
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert not light.troubles
