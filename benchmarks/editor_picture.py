"""docs/editor.png: the editor's page with a generated layout and picture, photographed in Chromium (extras ui and ui-test)."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

TOKEN = "only-for-this-picture"
FRESH = """() => !document.querySelector('#picture').hidden && document.querySelector('#stale').hidden
  && document.querySelector('#progress').hidden"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8799)
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
    given = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, "-m", "zoo", "ui", "--no-browser", "--port", str(given.port)],
        env=os.environ | {"ZOO_UI_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=given.scheme)
            page.set_default_timeout(120_000)
            page.goto(url)
            work(page)
            shot = page.screenshot()
            browser.close()
    finally:
        server.terminate()
        server.wait()
    # a fifth of the grey levels: nobody sees it, and the file is half as large
    Image.open(io.BytesIO(shot)).convert("RGB").point([round(v / 5) * 5 for v in range(256)] * 3).save(
        given.out, optimize=True
    )


def work(page: Page) -> None:
    """A layout, another, new hair, and the divider."""
    page.wait_for_selector("body[data-ready]")
    page.click("#generate")
    for proposal in (0, 1):
        page.click(f"#proposal-list button >> nth={proposal}")
        settled(page, proposal + 1)
    page.click("#pin")
    page.click("#tab-look")
    page.click("label[title=hair]")
    page.click("#part-add")
    settled(page, 3)
    page.fill("#part-list input[type=number]", "9650")
    page.keyboard.press("Tab")
    settled(page, 4)
    page.check("#compare")
    page.select_option("#under", "picture")
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)


def settled(page: Page, pictures: int) -> None:
    """The picture is up to date, and so many are in the history."""
    page.wait_for_function(f"() => document.querySelectorAll('#strip-list button').length >= {pictures}")
    page.wait_for_function(FRESH)


if __name__ == "__main__":
    main()
