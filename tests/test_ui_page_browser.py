"""The editor in a real browser: Chromium, driven by Playwright, at `zoo ui` with the embedded models. Software rendering: few and small."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import (
    another_picture,
    at,
    download,
    drag,
    exported,
    fresh_picture,
    opened,
    paint_by_hand,
    painted_by_hand,
    pixels,
    profile,
    reopened,
)
from PIL import Image

pytestmark = pytest.mark.slow
TOKEN = "a-token-of-this-test"
FACES = ("mask-vae-celeba", "segvae-celeba", "clvae-celeba", "scgan-celeba", "face-parser-celeba", "clvae-ccp")


@dataclass
class Server:
    """`zoo ui` as a child process that can be killed and started again at its place. port: 0 before the first start."""

    log: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={TOKEN}"

    def start(self) -> None:
        models = [word for name in FACES for word in ("--models", name)]
        self.log.write_bytes(b"")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "zoo", "ui", "--no-browser", "--port", str(self.port), *models],
                env=os.environ | {"ZOO_UI_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
            )
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.2)
        self.port = int(found[1])

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server."""
    for name in ("fastapi", "uvicorn"):
        pytest.importorskip(name, reason=f"{name} is not installed (extra ui)")
    found = Server(tmp_path_factory.mktemp("ui") / "log.txt")
    found.start()
    yield found
    found.kill()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A fresh profile."""
    made = profile(browser)
    yield made
    made.close()


def test_paints_exactly_and_keeps_it(server: Server, context: Any) -> None:
    """Strokes, fill, undo, redo; the exported map is exact to the pixel; a reload brings all back; nobody else is asked."""
    faults: list[str] = []
    page = opened(context, server.url, faults)
    assert "token" not in page.url
    paint_by_hand(page)
    expected = painted_by_hand(np.zeros((128, 128), np.uint8))
    assert np.array_equal(exported(page), expected)
    with Image.open(io.BytesIO(download(page, "#export-palette"))) as image:
        assert image.mode == "P" and np.array_equal(np.asarray(image), expected)
        assert image.getpalette()[3:6] == [204, 0, 0]  # type: ignore[index]

    page.click("label[title=cloth]")
    page.locator("#layout").focus()
    page.keyboard.press("f")
    page.mouse.click(*at(page, 120, 5))
    filled = exported(page)
    assert filled[5, 120] == 18 and filled[60, 40] == 0 and (filled == 18).sum() == (expected == 0).sum() - 1
    page.keyboard.press("Control+z")
    assert np.array_equal(exported(page), expected)
    for _ in range(8):
        page.keyboard.press("Control+z")
    assert not exported(page).any() and page.is_disabled("#undo")
    for _ in range(4):
        page.keyboard.press("Control+Shift+z")
    assert np.array_equal(exported(page), expected)

    fresh_picture(page)
    reopened(page)
    assert np.array_equal(exported(page), expected)
    page.keyboard.press("Control+z")
    assert (exported(page) != expected).sum() == 1  # the undo list is back, too
    assert faults == []


def test_paints_by_keyboard_and_touch(server: Server, context: Any, browser: Any) -> None:
    """A box by cursor keys and space; a polygon closed by enter; a finger's stroke."""
    page = opened(context, server.url)
    page.uncheck("#live")
    page.locator("#layout").focus()
    page.keyboard.press("r")
    page.keyboard.press("ArrowLeft")  # the cell cursor appears in the middle
    page.keyboard.press("Space")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("Space")
    expected = np.zeros((128, 128), np.uint8)
    expected[64:76, 64:67] = 1
    assert np.array_equal(exported(page), expected)
    page.locator("#layout").focus()
    page.keyboard.press("p")
    page.keyboard.press("Space")
    for key in ("Shift+ArrowLeft", "Space", "Shift+ArrowDown", "Space", "Enter"):
        page.keyboard.press(key)
    assert (exported(page) == 1).sum() > 60
    phone = profile(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    small = opened(phone, server.url)
    assert small.evaluate("innerWidth") == 390  # nothing sticks out
    small.locator("#live").uncheck()
    small.locator("#layout").scroll_into_view_if_needed()
    small.touchscreen.tap(*at(small, 30, 30))
    small.wait_for_function("() => !document.querySelector('#undo').disabled")
    phone.close()


def test_generates_edits_and_styles(server: Server, context: Any, browser: Any, tmp_path: Path) -> None:
    """Proposals, one taken; an edit; one class restyled; a locked class; before and after; a photo of the zoo's own; the project."""
    page = opened(context, server.url)
    page.fill("#count", "2")
    page.click("#generate")
    page.wait_for_selector("#proposal-list button")
    assert page.locator("#proposal-list button").count() == 2
    page.click("#proposal-list button >> nth=1")
    first = fresh_picture(page)
    face = exported(page)
    assert len(np.unique(face)) > 5

    page.click("label[title=hair]")
    page.click("button[aria-label='Another look for hair']")
    another_picture(page, first)
    page.click("#tab-look")
    page.fill("#part-list input[aria-label^='Seed of part 1, hair']", "5")
    page.keyboard.press("Tab")
    page.wait_for_selector("#strip-list button:nth-child(3)")
    hair = fresh_picture(page)
    change = np.abs(pixels(hair) - pixels(first)).sum(2)
    assert change[face == 13].mean() > 1.5 * change[face == 1].mean()  # the hair, and what it touches
    page.click("button[aria-label='Lock the look of hair']")
    page.locator("#layout").focus()
    page.keyboard.press("d")
    rolled = another_picture(page, hair)
    page.click("#tab-look")  # the model's style of the whole tints hair, too: what is asked is what counts
    assert page.locator("#part-list [aria-label^='Unlock part 1, hair']").count() == 1

    page.check("#compare")
    assert page.is_visible("#before") and page.is_visible("#divider")
    page.locator("#divider").focus()
    page.keyboard.press("ArrowLeft")
    page.uncheck("#compare")

    page.click("#tab-draw")
    page.click("label.kind:has-text('Redraw')")
    page.check("#edit-list input[value=hair]")
    page.click("#edit")
    page.wait_for_function("() => document.querySelector('#proposal-list button')?.title.startsWith('redraw hair')")
    page.click("#proposal-list button >> nth=0")
    redrawn = exported(page)
    untouched = (face != 13) & (redrawn != 13)
    assert (redrawn != face).any() and np.array_equal(redrawn[untouched], face[untouched])

    drawn_anew = another_picture(page, rolled)
    page.click("#tab-photos")
    with page.expect_file_chooser() as chooser:
        page.click("#photo-add")
    chooser.value.set_files({"name": "a face.png", "mimeType": "image/png", "buffer": first})
    page.wait_for_selector("article.photo:not(:has-text('not read yet'))")
    page.click("button[aria-label='Look: a face.png']")
    photo_look = another_picture(page, drawn_anew)
    page.click("button[aria-label='Frame: a face.png']")
    page.locator("#frame").focus()
    for key in ("ArrowRight", "+", "+", "."):
        page.keyboard.press(key)
    page.click("#frame-dialog .main")
    framed = another_picture(page, photo_look)
    page.click("#tab-look")
    page.check("#keep-list input[value=nose]")
    last = another_picture(page, framed)

    page.click("#tab-keep")
    project = json.loads(download(page, "#project-save"))
    (part,) = project["style"]["parts"]
    assert part["labels"] == ["hair"] and part["locked"] and part["source"]["kind"] == "seed"
    assert project["style"]["base"]["kind"] == "photo" and project["style"]["base"]["frame"]["angle"] == -1
    assert project["zoo"] == "project" and list(project["photos"]) and project["digests"][project["synthesizer"]]
    (tmp_path / "mine.zoo.json").write_text(json.dumps(project))
    replayed = subprocess.run(
        [sys.executable, "-m", "zoo", "replay", "mine.zoo.json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert project["picture"]["sha256"]
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr

    other = profile(browser)
    clean = opened(other, server.url)
    clean.set_input_files(
        "#file", {"name": "mine.zoo.json", "mimeType": "application/json", "buffer": json.dumps(project).encode()}
    )
    clean.wait_for_function("() => !document.querySelector('#undo').disabled")
    assert np.array_equal(pixels(another_picture(clean, b"")), pixels(last))
    assert np.array_equal(exported(clean), redrawn)
    other.close()


def test_the_command_line_makes_the_same_picture(server: Server, context: Any, tmp_path: Path) -> None:
    """What the page offers to copy, run as it is beside the files that it names."""
    page = opened(context, server.url)
    page.fill("#count", "1")
    page.click("#generate")
    page.click("#proposal-list button")
    old = fresh_picture(page)
    page.click("label[title=hair]")
    page.click("button[aria-label='Another look for hair']")
    shown = another_picture(page, old)
    page.click("#tab-keep")
    (tmp_path / "map.png").write_bytes(download(page, "#command-files"))
    command = page.input_value("#command").splitlines()[-1]
    assert command.startswith("zoo synth clvae-celeba map.png ")
    run = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    made = (tmp_path / "picture/images/000000.png").read_bytes()
    assert np.abs(pixels(made) - pixels(shown)).max() <= 2  # layouts that are kept are computed by windows


def test_wrong_and_huge_files(server: Server, context: Any) -> None:
    """Each is one sentence on the page; the work is as it was."""
    page = opened(context, server.url)
    page.uncheck("#live")
    paint_by_hand(page)
    before = exported(page)
    limit = page.evaluate(
        f"fetch('api/facts', {{headers: {{Authorization: 'Bearer {TOKEN}', 'X-Zoo-Session': 't'}}}}).then((r) => r.json())"
    )["limits"]
    big = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(big, "PNG")
    wrong = [
        ("notes.txt", b"hello", "photo"),
        ("empty.png", b"", None),
        ("cut.png", big.getvalue()[:300], "map"),
        ("bomb.png", big.getvalue(), "photo"),
        ("no.zoo.json", b"{}", None),
        ("half.zoo.json", b'{"zoo": "proj', None),
    ]
    for name, content, kind in wrong:
        page.evaluate("document.querySelector('#banner').hidden || document.querySelector('#banner-close').click()")
        page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": content})
        if kind:
            page.click(f"#file-dialog button[value={kind}]")
        page.wait_for_selector("#banner:visible")
        assert name in page.inner_text("#banner-text"), name
        assert "Traceback" not in page.inner_text("#banner-text")
    page.click("#banner-close")
    # a good one is judged first, and comes back number by number
    page.click("#tab-keep")
    palette = download(page, "#export-palette")
    page.locator("#layout").focus()
    page.keyboard.press("Control+z")
    page.set_input_files("#file", {"name": "mine.png", "mimeType": "image/png", "buffer": palette})
    page.click("#file-dialog button[value=map]")
    page.wait_for_selector("#notes-list li:has-text('128 × 128 pixels of the label space celebamask-hq')")
    page.click("#notes-ok")
    page.wait_for_function("() => document.querySelector('#undo').title.includes('Map mine.png')")
    assert np.array_equal(exported(page), before)
    # a file beyond the limit is not even read
    page.evaluate(
        "(bytes) => { const t = new DataTransfer(); t.items.add(new File([new Uint8Array(bytes)], 'huge.png'));"
        " dispatchEvent(new DragEvent('drop', {dataTransfer: t, cancelable: true})); }",
        limit["uploadBytes"] + 1,
    )
    page.wait_for_selector("#banner:has-text('huge.png')")
    assert np.array_equal(exported(page), before)


def test_a_model_that_takes_its_time(server: Server, context: Any) -> None:
    """Progress is shown, painting goes on, a newer stroke cancels the older job, and Cancel ends what waits."""
    page = opened(context, server.url)
    given_up: list[str] = []
    page.on("requestfailed", lambda request: given_up.append(request.url))
    page.route("**/api/run", lambda route: None)  # no answer ever comes
    drag(page, (20, 20), (90, 40))
    page.wait_for_selector("#progress:has-text('Painting the picture')")
    drag(page, (20, 60), (90, 80))
    page.wait_for_function("() => document.querySelector('#undo').title.includes('Brush')")
    page.click("#cancel")
    page.wait_for_selector("#progress", state="hidden")
    while len(given_up) < 2:  # the browser tells of it when it comes to it
        page.wait_for_timeout(50)
    assert len(given_up) == 2 and page.is_hidden("#banner")
    page.unroute("**/api/run")
    page.click("#paint")
    fresh_picture(page)
    assert (exported(page) == 1).sum() > 500


def test_second_tab_and_killed_server(server: Server, context: Any) -> None:
    """The second tab has its own work and both say so; a killed server loses nothing, and the page finds it again by itself."""
    page = opened(context, server.url)
    page.click("#tools label:has-text('Brush')")
    drag(page, (20, 20), (90, 40))
    fresh_picture(page)
    second = opened(context, server.url)
    for tab in (page, second):
        tab.wait_for_selector("#notice:has-text('Another tab')")
    assert second.is_disabled("#undo")  # its own, empty work
    second.close()

    server.kill()
    drag(page, (20, 60), (90, 80))
    page.wait_for_selector("#banner:has-text('no connection')")
    drag(page, (20, 100), (90, 110))  # work goes on
    page.wait_for_selector("body[data-kept=true]")
    painted = exported(page)
    assert (painted[110] == 1).any()
    page.click("#tab-keep")
    assert json.loads(download(page, "#project-save"))["picture"] is None  # saved all the same
    server.start()
    page.wait_for_selector("#banner", state="hidden")
    fresh_picture(page)
    assert np.array_equal(exported(page), painted)
