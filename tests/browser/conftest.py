"""A real Chromium without a window. Where none is installed, these tests skip and say so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from crack_tf.survey.findings import Survey
from crack_tf.survey.report.page import write_page
from tests.crack_tf.survey.drawn_surveys import drawn_survey

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing but the page: no sandbox that containers lack, no updates, no requests of the browser's own.
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# A page that is opened for a person: to a browser without a window the report shows all of itself at once, to be printed.
PERSON = (
    "--user-agent=Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
WIDE, PHONE = (1400, 900), (390, 844)


def find_chromium() -> str | None:
    """The browser that the variable CHROMIUM names, else the first of the usual ones; None when there is none."""
    return next(filter(None, map(shutil.which, [os.environ.get("CHROMIUM") or "", *NAMES])), None)


# What was asked of the page is then to be seen.
FRAME = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
# Scrolls through the gallery and back to where the window was.
WALK = """async () => {
  const [start, found] = [window.scrollY, new Set()];
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  document.getElementById("gallery").scrollIntoView();
  for (let before = -1; before !== window.scrollY; ) {
    await frame();
    for (const card of document.querySelectorAll(".gallery .card")) found.add(card.dataset.id);
    before = window.scrollY;
    window.scrollBy(0, window.innerHeight);
  }
  window.scrollTo(0, start);
  await frame();
  return [...found];
}"""


@dataclass
class Tab:
    """An open page and what it complained about.

    Attributes:
        page: playwright's.
        developer: the session of its developer tools.
        errors: console errors and uncaught exceptions.
        requests: addresses asked for, other than the page itself and data inside it.
    """

    page: Any
    developer: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def texts(self, selector: str) -> list[str]:
        """Texts of all elements that fit, as seen: a card that was just moved is laid out, and has its text, with the next frame."""
        self.page.evaluate(FRAME)
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]

    def order(self) -> list[str]:
        """Ids of the findings in the gallery, from its first to its last: of a long one only what is near the window is there."""
        found: list[str] = self.page.evaluate(WALK)
        return found

    def cpu_seconds(self) -> float:
        """What the page has taken of a processor so far: unlike the clock, it does not depend on what else a machine does."""
        return cpu_seconds(self.developer)

    def until(self, expression: str) -> None:
        """Wait for something to be true. Playwright's own way evaluates inside the page, which its policy forbids."""
        for _ in range(300):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never true: {expression}")


def cpu_seconds(developer: Any) -> float:
    """What a page's own thread has taken of a processor, by its developer tools, told to count thread ticks."""
    metrics = developer.send("Performance.getMetrics")["metrics"]
    return float(next(entry["value"] for entry in metrics if entry["name"] == "TaskDuration"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The browser; each test's tab has an empty profile of its own."""
    name = find_chromium()
    if name is None:
        pytest.skip(f"no Chromium found: set CHROMIUM, or install one of {', '.join(NAMES)} (Debian: chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: requirements-dev.txt")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=name, args=[*ARGUMENTS, PERSON])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Tab]]:
    """Opens a report; afterwards checks that no tab complained or asked for anything but its own pictures."""
    tabs: list[Tab] = []
    contexts: list[Any] = []

    def open_report(path: Path, size: tuple[int, int] = WIDE, script: str = "", **options: Any) -> Tab:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, accept_downloads=True, **options)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        tab = Tab(page, context.new_cdp_session(page))
        tab.developer.send("Performance.enable", {"timeDomain": "threadTicks"})
        tabs.append(tab)
        tab.page.set_default_timeout(15_000)
        tab.page.on("console", lambda said: tab.errors.extend([said.text] if said.type in ("error", "warning") else []))
        tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        tab.page.goto(path.resolve().as_uri())
        return tab

    yield open_report
    folders = []
    for tab in tabs:
        assert tab.errors == []
        folders.append(tab.page.url.rpartition("/")[0])
        foreign = [url for url in tab.requests if not url.startswith(("data:", "blob:", folders[-1]))]
        assert foreign == []
    for context in contexts:
        context.close()


@dataclass(frozen=True)
class Report:
    """A survey and its page."""

    survey: Survey
    path: Path


@pytest.fixture(scope="session")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Report]:
    """The report of a drawn survey with that many findings, made once."""
    made: dict[int, Report] = {}

    def report(findings: int) -> Report:
        if findings not in made:
            out = tmp_path_factory.mktemp(f"survey{findings}")
            photos, gaps = (24, 3) if findings < 100 else (200, 40)
            limits = (0.3, 0.8) if findings == 500 else ()
            survey = drawn_survey(out, findings, photos=photos, gaps=gaps, limits=limits)
            made[findings] = Report(survey, write_page(out, survey))
        return made[findings]

    return report
