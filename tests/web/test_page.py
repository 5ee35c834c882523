"""The page in headless Chromium, on a real process."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def server():
    """The address of a server, whose detector needs no networks."""
    command = [sys.executable, "-m", "recon_detect", "serve", "--method", "grid", "--port", "0", "--timeout", "300"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        address = re.search(r"http://\S+/", line)
        assert address, line + process.stderr.read()
        yield address[0]
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 0 and "Traceback" not in rest


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_api.sync_playwright() as playwright:
        if chromium is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("needs Chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """Opens the page; at the end nothing was logged, and nothing was fetched from elsewhere."""
    contexts, faults = [], []

    def open_page(**options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(180_000)
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append("a dialog"))
        page.on(
            "request",
            lambda request: request.url.startswith((server, "data:", "blob:")) or faults.append(request.url),
        )
        page.goto(server)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    picture = Image.fromarray(noise).resize((240, 160), Image.Resampling.BICUBIC)
    for name in ("photo.png", HOSTILE):
        picture.save(folder / name)
    (folder / "broken.png").write_bytes(b"not an image")
    (folder / "empty.png").touch()
    with (folder / "large.png").open("wb") as file:
        file.truncate(50_000_000)
    return folder


def headline(page, name, kind=None):
    """The headline of the newest picture of a name, once it is there."""
    card = page.locator(".card", has=page.get_by_role("heading", name=name, exact=True)).first
    card.locator(".verdict").wait_for()
    return card, card.locator(".headline").inner_text()


def test_upload_progress_verdict_map_and_downloads(visit, files):
    page = visit()
    page.evaluate("""() => {
        window.states = [];
        const note = () => window.states.push(...[...document.querySelectorAll('.words')].map((x) => x.textContent));
        new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
    }""")
    page.set_input_files("#choose", [files / "photo.png", files / "broken.png", files / "empty.png"])
    card, words = headline(page, "photo.png")
    assert words.strip("●○◐ ") and card.locator(".meaning").inner_text()
    assert {"Uploading", "Scoring"} <= set(page.evaluate("window.states"))
    assert "not scored" in headline(page, "broken.png")[1]
    assert "first bytes" in headline(page, "broken.png")[0].locator(".meaning").inner_text()
    assert headline(page, "empty.png")[0].locator(".meaning").inner_text() == "an empty file"

    slider = card.get_by_role("slider")
    slider.fill("100")
    assert card.locator(".map").evaluate("image => [image.naturalWidth > 0, image.style.clipPath]") == [
        True,
        "inset(0px 0% 0px 0px)",
    ]
    card.locator("summary", has_text="What the file says").click()
    assert "Absence proves nothing" in card.locator(".claims").inner_text()
    for link, start in ((".json", "{"), (".html", "<!doctype html>")):
        with page.expect_download() as download:
            card.locator(link).click()
        assert download.value.suggested_filename == f"photo{link}"
        assert Path(download.value.path()).read_text(encoding="utf-8").startswith(start)


def test_the_example_is_found(visit):
    page = visit()
    page.get_by_role("button", name="the same, written by a decoder").click()
    card, words = headline(page, "decoded.png")
    assert "Stable Diffusion" in words and card.locator(".verdict").get_attribute("data-kind") == "found"


def test_large_files_are_refused_by_the_page_and_by_the_server(visit, files, server):
    page = visit()
    page.set_input_files("#choose", files / "large.png")
    card, _ = headline(page, "large.png")
    assert "at most 20 MB" in card.locator(".meaning").inner_text()
    command = ["curl", "-s", "-F", f"picture=@{files / 'large.png'}", f"{server}v1/score"]
    done = subprocess.run(command, capture_output=True)
    assert b"more than 20,000,000 bytes" in done.stdout


def test_names_are_inert(visit, files):
    page = visit()
    page.set_input_files("#choose", files / HOSTILE)
    card, _ = headline(page, HOSTILE)
    assert card.locator("h3").inner_text() == HOSTILE and page.locator("img[src=x]").count() == 0


def test_two_people_at_once(visit, files):
    first, second = visit(), visit()
    for page in (first, second):
        page.set_input_files("#choose", files / "photo.png")
    assert headline(first, "photo.png")[1] == headline(second, "photo.png")[1]
    assert first.locator(".card").count() == second.locator(".card").count() == 1


def test_keyboard_alone(visit, files):
    page = visit()
    # Choosers are intercepted from here on: a key that is pressed as soon as one is expected may be faster.
    page.on("filechooser", lambda chooser: None)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    with page.expect_file_chooser(timeout=90_000) as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(files / "photo.png")
    headline(page, "photo.png")
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.className || document.activeElement.type || ''"))
        if reached[-1] == "range":
            page.keyboard.press("ArrowRight")
            assert page.evaluate("document.activeElement.value") != "0"
    assert {"remove", "range", "button json", "button html"} <= set(reached)
    assert "photo.png" in page.locator("#news").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_and_has_no_serious_fault_of_access(visit, files, scheme, width):
    script = axe()
    page = visit(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page.set_input_files("#choose", [files / "photo.png", files / "broken.png"])
    headline(page, "photo.png")
    headline(page, "broken.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate(script.read_text(encoding="utf-8"))
    violations = page.evaluate("async () => (await axe.run()).violations")
    assert not [fault["id"] for fault in violations if fault["impact"] in ("serious", "critical")]


def axe() -> Path:
    """The script of axe-core, which the variable AXE_CORE names."""
    script = Path(os.environ.get("AXE_CORE", ""))
    if not script.is_file():
        pytest.skip("needs AXE_CORE, the path of axe.min.js")
    return script


def test_no_name_but_ours_is_answered(server):
    host, port = re.match(r"http://(.*):(\d+)/", server).groups()
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
