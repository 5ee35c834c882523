"""Both pages in a browser: nothing runs that should not, nothing is fetched, and both can be used."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from pages.pictures import HOSTILE, RUN, failed, row, save_hostile

from recon_detect import explain, load_detector
from recon_detect.output.writers import write_jsonl
from recon_detect.pages import write_report

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# The script of axe-core, which is no package of Python.
AXE = os.environ.get("RECON_DETECT_AXE")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]
LOOKS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def explanation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explanation")
    return explain(save_hostile(folder), detector=load_detector("grid")).save(folder / "page.html")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """10,000 rows, some with names that would run."""
    folder = tmp_path_factory.mktemp("report")
    rows = [failed(i, f"{HOSTILE}{i}") if i % 500 == 7 else row(i, i / 2500 - 1, path=f"photos/{HOSTILE}/{i:05d}.jpg")
            for i in range(10_000)]  # fmt: skip
    write_jsonl(folder / "rows.jsonl", rows, RUN)
    (folder / "rows.jsonl.run.json").write_text(json.dumps(RUN.to_dict()))
    write_report(folder / "rows.jsonl", folder / "report.html", thumbnails=0)
    return folder / "report.html"


class Opened:
    """A page from a file, with all that it said and asked for."""

    def __init__(self, browser, path, width=1280, scheme="light"):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.events = []
        self.page.on("console", lambda message: self.events.append(message.text))
        self.page.on("pageerror", lambda error: self.events.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.events.append(dialog.message), dialog.dismiss()))
        self.context.route("**/*", self._route)
        self.page.goto(path.as_uri())

    def _route(self, route):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            self.events.append(route.request.url)
            route.abort()

    def __enter__(self):
        return self.page

    def __exit__(self, *_):
        self.context.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("name", ["explanation", "report"])
def test_nothing_runs_or_leaves_and_the_page_is_as_wide_as_the_screen(name, width, scheme, browser, request):
    opened = Opened(browser, request.getfixturevalue(name), width, scheme)
    with opened as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("img[onerror]").count() == 0
        page.wait_for_timeout(200)
        assert not opened.events
        if AXE:
            page.evaluate(Path(AXE).read_text(encoding="utf-8"))
            violations = page.evaluate("axe.run().then(result => result.violations)")
            assert not [v["id"] for v in violations if v["impact"] in ("serious", "critical")]


def test_the_slider_works_by_keyboard(browser, explanation):
    with Opened(browser, explanation) as page:
        slider, layer = page.locator("#blend"), page.locator("img.map").first
        assert layer.evaluate("image => image.style.opacity") == "0.6"
        slider.focus()
        page.keyboard.press("End")
        assert layer.evaluate("image => image.style.opacity") == "1"
        page.keyboard.press("Home")
        assert layer.evaluate("image => image.style.opacity") == "0"


def test_ten_thousand_rows_sort_filter_and_turn_over(browser, report):
    from playwright.sync_api import expect  # waits without code in the page, which its policy forbids

    start = time.monotonic()
    opened = Opened(browser, report)
    with opened as page:
        page.wait_for_selector("#rows tr")
        assert time.monotonic() - start < 60
        assert page.locator("#rows tr").count() == 100
        assert page.locator("#rows tr").first.locator("td").nth(3).inner_text() == "3.00"
        page.locator("button[data-column=score]").click()
        assert page.locator("#rows tr").first.locator("td").nth(3).inner_text() == "-1.00"
        page.locator("#next").click()
        assert page.locator("#place").inner_text() == "101 to 200 of 10000"
        page.select_option("#kind", label="not scored (20)")
        assert page.locator("#status").inner_text() == "20 of 10000 images"
        assert "truncated <b>file</b>" in page.locator("#rows tr").first.inner_text()
        page.locator("#reset").click()
        expect(page.locator("#status")).to_have_text("10000 of 10000 images")
        page.fill("#text", "04321")
        expect(page.locator("#status")).to_have_text("1 of 10000 images")
        page.locator("#rows summary").click()
        assert page.locator("#rows details p").first.is_visible()
        with page.expect_download() as download:
            page.locator("#save").click()
        lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
        assert len(lines) == 2 and f"photos/{HOSTILE}/04321.jpg" in lines[1]
        assert not opened.events
