"""What a hand does on the editor's page in Chromium: for the tests of the page behind a server and of the one without."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

WAIT = 240_000
"""Milliseconds after which something hangs; a machine that others use, too, needs many."""


def opened(context: Any, url: str, faults: list[str] | None = None) -> Any:
    """The page, ready. Requests to anywhere but its own address and faults of scripts are collected."""
    page = context.new_page()
    listen(page, url, [] if faults is None else faults)
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    return page


def listen(page: Any, url: str, faults: list[str]) -> None:
    """Collect faults of scripts and requests to other hosts."""
    home = "{0.scheme}://{0.netloc}/".format(urlsplit(url))

    def asked(request: Any) -> None:
        if not request.url.startswith((home, f"blob:{home}", "data:")):
            faults.append(request.url)

    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", asked)
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)


def profile(browser: Any, **more: Any) -> Any:
    """A fresh profile of a desk's size."""
    made = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "accept_downloads": True, **more})
    made.set_default_timeout(WAIT)
    return made


def reopened(page: Any) -> None:
    """Once the work is kept, the page loaded again."""
    page.wait_for_selector("body[data-kept=true]")
    page.reload()
    page.wait_for_selector("body[data-ready]")


def fresh_picture(page: Any) -> bytes:
    """The picture's bytes, once it is up to date."""
    page.wait_for_function(
        "() => !document.querySelector('#picture').hidden && document.querySelector('#stale').hidden && document.querySelector('#progress').hidden"
        " && !document.querySelector('#export-picture').disabled"
    )
    with page.expect_download() as waiting:  # whichever panel is open
        page.evaluate("document.querySelector('#export-picture').click()")
    return Path(waiting.value.path()).read_bytes()


def another_picture(page: Any, old: bytes) -> bytes:
    """As soon as it differs from the old one."""
    for _ in range(WAIT // 100):
        new = fresh_picture(page)
        if new != old:
            return new
        page.wait_for_timeout(100)
    raise AssertionError("the picture stays as it was")


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def download(page: Any, selector: str) -> bytes:
    with page.expect_download() as waiting:
        page.click(selector)
    return Path(waiting.value.path()).read_bytes()


def exported(page: Any, selector: str = "#export-grey") -> np.ndarray:
    """The exported map's numbers."""
    page.click("#tab-keep")
    with Image.open(io.BytesIO(download(page, selector))) as image:
        assert image.mode == ("L" if "grey" in selector else "P")
        return np.asarray(image)


def at(page: Any, x: float, y: float) -> tuple[float, float]:
    """A pixel of a square map on the screen, while the whole map is shown."""
    box = page.locator("#layout").bounding_box()
    size = int(page.inner_text("#layout-facts").rpartition("×")[2])
    side = min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    return left + (x + 0.5) * side / size, top + (y + 0.5) * side / size


def drag(page: Any, *points: tuple[int, int]) -> None:
    page.mouse.move(*at(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*at(page, *point))
    page.mouse.up()


def new_layout(page: Any, side: int) -> None:
    """A blank layout of that size, whatever the models' own is."""
    page.click("#new")
    page.fill("#new-width", str(side))
    page.fill("#new-height", str(side))
    page.click("#new-dialog button[value=ok]")
    page.wait_for_function(f"() => document.querySelector('#layout-facts').textContent.endsWith('× {side}')")


def painted_by_hand(base: np.ndarray) -> np.ndarray:
    """What `paint_by_hand` paints, by the command line's own lines."""
    from zoo.files.lines import draw_path

    expected = base.copy()
    draw_path(expected, [(20, 20), (90, 40)], 6, 1)
    expected[50:71, 30:61] = 13
    expected[100:111, 5:26] = 2
    draw_path(expected, [(40, 60)], 1, 0)
    return expected


def paint_by_hand(page: Any) -> None:
    """A stroke, two boxes and a dot of the eraser, on a map of 128 pixels."""
    page.click("label[title=skin]")
    page.click("#tools label:has-text('Brush')")
    drag(page, (20, 20), (90, 40))
    page.click("label[title=hair]")
    page.keyboard.press("r")
    drag(page, (30, 50), (60, 70))
    page.click("label[title=nose]")
    drag(page, (5, 100), (25, 110))
    page.fill("#size-number", "1")
    page.keyboard.press("Escape")
    page.locator("#layout").focus()
    page.keyboard.press("e")
    page.mouse.click(*at(page, 40, 60))


def drop(page: Any, name: str, content: bytes, kind: str = "image/png") -> None:
    """A file falls on the page, as from the desktop."""
    page.evaluate(
        "([name, text, type]) => { const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)); const t = new DataTransfer();"
        " t.items.add(new File([bytes], name, {type})); dispatchEvent(new DragEvent('drop', {dataTransfer: t, cancelable: true})); }",
        [name, base64.b64encode(content).decode(), kind],
    )


def drop_photo(page: Any, name: str, content: bytes) -> None:
    """A photo falls on the page and is read."""
    drop(page, name, content)
    page.click("#file-dialog button[value=photo]")
    page.wait_for_selector(f"article.photo:has-text('{name}'):not(:has-text('not read yet'))")


def propose(page: Any, count: int = 1) -> None:
    """Proposals for a layout, the last of which is taken."""
    page.click("#tab-draw")
    page.fill("#count", str(count))
    page.click("#generate")
    page.wait_for_selector("#proposal-list button")
    page.click(f"#proposal-list button >> nth={count - 1}")


AXE = """async () => {
  const found = await axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]});
  return found.violations.map((v) => [v.impact, v.id, v.nodes.slice(0, 4).map((n) => n.target.join(" "))]);
}"""


def accessibility_faults(page: Any, axe: Path) -> list[tuple[str, ...]]:
    """What axe-core finds on each panel and in two dialogs: (where, impact, rule, places)."""
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = []
    for panel in ("draw", "look", "photos", "keep"):
        page.click(f"#tab-{panel}")
        found += [(panel, *fault) for fault in page.evaluate(AXE)]
    page.click("#keys")
    found += [("keys", *fault) for fault in page.evaluate(AXE)]
    page.keyboard.press("Escape")
    page.click("#new")
    found += [("new", *fault) for fault in page.evaluate(AXE)]
    page.keyboard.press("Escape")
    return found
