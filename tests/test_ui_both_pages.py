"""The page of `zoo ui` and that of `zoo ui --static`, with the same tiny models, driven in the same way in Chromium."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_pages import TINY, hosted, seen_photo
from fixtures_ui import TOKEN, Editor
from pages import (
    accessibility_faults,
    another_picture,
    at,
    download,
    drag,
    drop,
    drop_photo,
    exported,
    fresh_picture,
    new_layout,
    opened,
    paint_by_hand,
    painted_by_hand,
    pixels,
    profile,
    propose,
    reopened,
)
from PIL import Image

import zoo
from zoo.files.lines import draw_path

pytestmark = pytest.mark.slow
SPACE = "celebamask-hq"
LEVELS = 2
"""Grey levels of 255 by which the pictures of the two pages may differ."""


@pytest.fixture(scope="module")
def served(ui_models: dict[str, Path], seeing_parser: Path) -> Iterator[str]:
    """The address of a server's page."""
    models = (*(ui_models[name] for name in (*TINY, "sdm-tiny")), seeing_parser)
    editor = Editor(*(word for path in models for word in ("--models", path)))
    yield f"{editor.url}/?token={TOKEN}"
    code, out, err = editor.stop()
    assert (code, out) == (130, "") and "Traceback" not in err, err


@pytest.fixture(scope="module", params=["server", "static"])
def home(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a page."""
    if request.param == "server":
        yield request.getfixturevalue("served")
        return
    with hosted(request.getfixturevalue("tiny_site")) as address:
        yield address


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A fresh profile."""
    made = profile(browser)
    yield made
    made.close()


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A PNG in which the tiny parser sees several classes."""
    file = io.BytesIO()
    Image.fromarray((seen_photo()[0] * 255).byte().permute(1, 2, 0).numpy()).save(file, "PNG")
    return file.getvalue()


def begun(context: Any, home: str, faults: list[str] | None = None) -> Any:
    """The page, its synthesizer the one with styles by class and layer."""
    page = opened(context, home, faults)
    page.select_option("#synthesizer", "clvae-tiny")
    return page


def named(face: np.ndarray) -> list[str]:
    """The classes of a map but the background, the largest first."""
    names, counts = zoo.label_space(SPACE).names, np.bincount(face.ravel(), minlength=19)
    return [names[i] for i in np.argsort(-counts) if counts[i] and i]


def test_from_the_first_stroke_to_the_last_file(
    home: str, context: Any, browser: Any, ui_models: dict[str, Path], photo: bytes, tmp_path: Path
) -> None:
    """Paint, fill, undo, reload, generate, restyle a class, a photo, save, open elsewhere, export; nobody else is asked, and torch makes
    the same picture of the project."""
    faults: list[str] = []
    page = begun(context, home, faults)
    new_layout(page, 128)
    paint_by_hand(page)
    expected = painted_by_hand(np.zeros((128, 128), np.uint8))
    assert np.array_equal(exported(page), expected)
    assert np.array_equal(exported(page, "#export-palette"), expected)
    page.click("label[title=cloth]")
    page.locator("#layout").focus()
    page.keyboard.press("f")
    page.mouse.click(*at(page, 120, 5))
    filled = exported(page)
    assert filled[5, 120] == 18 and (filled == 18).sum() == (expected == 0).sum() - 1
    page.keyboard.press("Control+z")
    assert np.array_equal(exported(page), expected)
    painted = fresh_picture(page)
    reopened(page)
    assert np.array_equal(exported(page), expected) and page.input_value("#synthesizer") == "clvae-tiny"
    assert np.array_equal(pixels(fresh_picture(page)), pixels(painted))

    propose(page, 2)
    face = exported(page)
    one, *_ = named(face)
    drawn = another_picture(page, painted)
    page.click(f"label[title={one}]")
    page.click(f"button[aria-label='Another look for {one}']")
    restyled = another_picture(page, drawn)
    drop_photo(page, "me.png", photo)
    page.click("button[aria-label='Look: me.png']")
    last = another_picture(page, restyled)
    page.click("#tab-keep")
    content = download(page, "#project-save")
    for selector, size in (("#export-pair", (64, 32)), ("#export-grid", None)):
        with Image.open(io.BytesIO(download(page, selector))) as image:
            if size is None:
                assert (image.size[1] + 2) % 66 == 0  # rows of a map above its picture, a gap of 2 between them
            else:
                assert image.size == size
                assert np.array_equal(np.asarray(image)[:, 32:], pixels(last))
                colours = np.asarray(zoo.label_space(SPACE).palette, np.uint8)
                assert np.array_equal(np.asarray(image)[:, :32], colours[exported(page)])

    other = profile(browser)
    clean = opened(other, home, faults)
    clean.set_input_files("#file", {"name": "mine.zoo.json", "mimeType": "application/json", "buffer": content})
    clean.wait_for_function("() => !document.querySelector('#undo').disabled")
    assert np.array_equal(pixels(another_picture(clean, b"")), pixels(last))
    assert np.array_equal(exported(clean), face)
    other.close()
    assert faults == []

    (tmp_path / "mine.zoo.json").write_bytes(content)
    command = ["replay", "mine.zoo.json", "--out", "again", "--json", "--input", str(ui_models["clvae-tiny"])]
    told = subprocess.run([sys.executable, "-m", "zoo", *command], cwd=tmp_path, capture_output=True, text=True)
    report = json.loads(told.stdout)
    assert "clvae-tiny" not in report["models"] and (
        report["equal"] or page.evaluate("document.body.dataset.engine") == "static"
    )
    again = pixels((tmp_path / "again/picture.png").read_bytes())
    assert np.abs(again - pixels(last)).max() <= LEVELS
    assert np.array_equal(np.asarray(Image.open(tmp_path / "again/map.png")), face)


def test_edits_are_those_of_the_command_line(
    home: str, context: Any, ui_models: dict[str, Path], tmp_path: Path
) -> None:
    """Perturb with a strength and interpolate towards the history, from the panel to the taken proposal."""
    page = begun(context, home)
    propose(page, 2)
    first = fresh_picture(page)
    face = exported(page)
    page.click("#tab-draw")
    page.click("#proposal-list button >> nth=0")
    another_picture(page, first)
    other = exported(page)
    page.click("#undo")
    assert np.array_equal(exported(page), face)
    shared = next(name for name in named(face) if name in named(other))
    for name, labels in (("face", face), ("other", other)):
        Image.fromarray(labels).save(tmp_path / f"{name}.png")
    page.click("#tab-draw")
    page.fill("#layout-seed", "5")
    page.fill("#count", "2")
    for kind, slider, value, text in (
        ("Perturb", "#strength", "2", f"perturb:{shared}=2"),
        ("Interpolate", "#amount", "0.5", f"interpolate:{shared}={tmp_path / 'other.png'}@0.5"),
    ):
        page.click("#tab-draw")
        page.click(f"label.kind:has-text('{kind}')")
        page.check(f"#edit-list input[value={shared}]")
        page.locator(slider).fill(value)
        assert page.inner_text(f"{slider}-out") == value
        if kind == "Interpolate":
            history = re.compile(r"^history \d+: mask-vae-celeba, seed 1, number 1$")
            page.select_option("#other", page.locator("#other option", has_text=history).get_attribute("value"))
        page.click("#edit")
        page.wait_for_function(
            "(kind) => document.querySelector('#proposal-list button')?.title.startsWith(kind)", arg=kind.lower()
        )
        page.click("#proposal-list button >> nth=0")
        made = exported(page)
        pipe = zoo.compose((str(ui_models["mask-vae-celeba"]), None), device="cpu")
        wanted = pipe(
            maps=str(tmp_path / "face.png"),
            mask_space=SPACE,
            trust_maps=True,
            edits=[text],
            seed=5,
            n=1 if kind == "Interpolate" else 2,
            keep_rest=True,
        ).maps
        assert wanted is not None
        assert (made != wanted.labels[0].numpy()).mean() < 5e-3, kind  # a pixel may lie on a tie
        page.click("#undo")
        assert np.array_equal(exported(page), face)


def test_styles_by_layer_mixed_locked_kept_and_compared(home: str, context: Any, photo: bytes) -> None:
    page = begun(context, home)
    propose(page)
    first = fresh_picture(page)
    face = exported(page)
    one, *_ = named(face)

    page.click("#tab-look")
    page.click("#part-all")  # all classes at one layer
    layer = another_picture(page, first)
    layers = page.locator("#part-list select[aria-label^='Layers of part 1']")
    assert layers.locator("option").all_inner_texts()[0] == "all layers" and layers.locator("option").count() >= 6
    chosen = layers.input_value()
    layers.select_option(
        next(v for v in layers.locator("option").evaluate_all("o => o.map((x) => x.value)") if v not in ("", chosen))
    )
    deeper = another_picture(page, layer)
    page.click("#part-list button[aria-label^='Remove part 1']")
    plain = another_picture(page, deeper)
    assert np.abs(pixels(plain) - pixels(first)).max() <= 1

    page.check("#mix-on")
    half = another_picture(page, plain)
    page.locator("#mix").fill("0.25")
    quarter = another_picture(page, half)
    far, near = (np.abs(pixels(p) - pixels(plain)).mean() for p in (half, quarter))
    assert near < far and page.inner_text("#mix-out") == "0.25"
    page.click("#tab-keep")
    assert "--style-to" in page.input_value("#command") and "number 000001 of the 5" in page.inner_text("#command-hint")
    page.click("#tab-look")
    page.click(f"button[aria-label='Lock the look of {one}']")  # a locked class is left alone by the mix
    assert page.locator(f"button[aria-label='Unlock the look of {one}'][aria-pressed=true]").count() == 1
    locked = another_picture(page, quarter)
    page.uncheck("#mix-on")
    unmixed = another_picture(page, locked)
    page.locator("#layout").focus()
    page.keyboard.press("d")
    another_picture(page, unmixed)
    page.click("#tab-look")
    assert page.locator(f"#part-list [aria-label^='Unlock part 1, {one}']").count() == 1
    page.click(f"button[aria-label='Unlock the look of {one}']")

    before = fresh_picture(page)
    drop_photo(page, "me.png", photo)
    page.click("button[aria-label='Map: me.png']")
    own = another_picture(page, before)
    seen = exported(page)
    kept, *_ = named(seen)
    page.click("#tab-look")
    page.check(f"#keep-list input[value={kept}]")
    with_pixels = another_picture(page, own)
    changed = (pixels(with_pixels) != pixels(own)).any(2)
    number = zoo.label_space(SPACE).names.index(kept)
    assert changed[seen == number].mean() > 0.9 and not changed[seen != number].any()

    page.check("#compare")
    assert page.is_visible("#before") and page.is_visible("#divider")
    page.locator("#divider").fill("250")
    assert page.evaluate("document.querySelector('#before').style.clipPath").replace(" ", "").startswith("inset(0px75%")
    page.locator("#divider").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#divider", "aria-valuetext") == "25 % before"
    page.click("#pin")
    assert page.input_value("#compare-with") == "pinned"
    for text in ("me.png", "the last"):
        page.select_option("#compare-with", label=text)
        page.wait_for_function(
            "() => document.querySelector('#before').complete && document.querySelector('#before').naturalWidth > 0"
        )
    page.uncheck("#compare")
    assert page.is_hidden("#before")


def touch(session: Any, kind: str, *points: tuple[float, float]) -> None:
    """Fingers on the glass at these places."""
    places = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})


def pen(session: Any, kind: str, place: tuple[float, float], force: float = 0.5) -> None:
    pressed = {"button": "left", "buttons": 1, "clickCount": 1} if kind != "mouseReleased" else {"button": "left"}
    where = {"x": place[0], "y": place[1], "force": force, "pointerType": "pen"}
    session.send("Input.dispatchMouseEvent", {"type": kind, **where, **pressed})


def test_fingers_and_a_pen(home: str, browser: Any) -> None:
    """A finger paints, two fingers zoom and paint nothing, a pen's pressure is its size, the palm beside it does nothing, its other end
    erases."""
    made = profile(browser, has_touch=True)
    page = opened(made, home)
    page.uncheck("#live")
    new_layout(page, 128)
    page.click("label[title=skin]")
    page.locator("#tools label:has-text('Brush')").click()
    hand = made.new_cdp_session(page)
    expected = np.zeros((128, 128), np.uint8)
    touch(hand, "touchStart", at(page, 20, 20))
    for point in ((40, 30), (60, 30)):
        touch(hand, "touchMove", at(page, *point))
    touch(hand, "touchEnd")
    draw_path(expected, [(20, 20), (40, 30), (60, 30)], 6, 1)
    assert np.array_equal(exported(page), expected)

    touch(hand, "touchStart", at(page, 54, 64))
    touch(hand, "touchStart", at(page, 54, 64), at(page, 74, 64))
    touch(hand, "touchMove", at(page, 44, 64), at(page, 84, 64))
    touch(hand, "touchEnd")
    assert np.array_equal(exported(page), expected)
    page.fill("#size-number", "1")
    touch(hand, "touchStart", at(page, 84, 64))  # where pixel 74 is now, twice as large
    touch(hand, "touchEnd")
    expected[64, 74] = 1
    assert np.array_equal(exported(page), expected)
    page.click("#zoom-fit")

    page.fill("#size-number", "6")
    page.check("#pressure")
    pen(hand, "mousePressed", at(page, 20, 80), 0.25)
    touch(hand, "touchStart", at(page, 100, 100))
    touch(hand, "touchMove", at(page, 110, 110))
    touch(hand, "touchEnd")
    pen(hand, "mouseMoved", at(page, 60, 80), 1.0)
    pen(hand, "mouseReleased", at(page, 60, 80), 0)
    draw_path(expected, [(20, 80)], 3, 1)
    draw_path(expected, [(20, 80), (60, 80)], 12, 1)
    assert np.array_equal(exported(page), expected)

    page.evaluate(
        """([x, y]) => {
          const canvas = document.querySelector("#layout");
          canvas.setPointerCapture = () => {}; // there is no such pointer
          const more = {pointerId: 77, pointerType: "pen", clientX: x, clientY: y, pressure: 0.5, bubbles: true, cancelable: true};
          canvas.dispatchEvent(new PointerEvent("pointerdown", {...more, button: 5, buttons: 32}));
          canvas.dispatchEvent(new PointerEvent("pointerup", {...more, button: 5, buttons: 0}));
        }""",
        list(at(page, 40, 80)),
    )
    draw_path(expected, [(40, 80)], 6, 0)
    assert np.array_equal(exported(page), expected)
    made.close()


def test_keys_paint_and_a_phone_shows_it_all(home: str, browser: Any) -> None:
    """A box and a polygon by cursor keys and Space; nothing sticks out of a phone's screen."""
    phone = profile(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = opened(phone, home)
    page.uncheck("#live")
    new_layout(page, 128)
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
    for panel in ("draw", "look", "photos", "keep"):
        page.click(f"#tab-{panel}")
        assert page.evaluate("document.documentElement.scrollWidth") == 390, panel
    phone.close()


def test_the_command_line_is_copied(home: str, browser: Any) -> None:
    """By the clipboard of the browser, and by a selection where a page has none (a plain network)."""
    made = profile(browser, permissions=["clipboard-read", "clipboard-write"])
    page = begun(made, home)
    reader = made.new_page()  # it goes on with a clipboard
    reader.goto(home)
    page.bring_to_front()
    page.click("#tab-keep")
    wanted = page.input_value("#command")
    assert wanted.startswith("zoo synth clvae-tiny map.png")
    page.click("#command-copy")
    page.wait_for_function("() => document.querySelector('#said').textContent.includes('copied')")
    reader.bring_to_front()
    assert reader.evaluate("navigator.clipboard.readText()") == wanted
    page.bring_to_front()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    page.click("#tab-look")
    page.fill("#noise", "77")
    page.keyboard.press("Tab")
    page.click("#tab-keep")
    wanted = page.input_value("#command")
    assert "--seed 77 " in wanted
    page.click("#command-copy")
    reader.bring_to_front()
    assert reader.evaluate("navigator.clipboard.readText()") == wanted
    made.close()


def test_a_removed_photo_comes_back(home: str, context: Any, photo: bytes) -> None:
    """By undo, also after a reload; what had its look from it has it again."""
    page = begun(context, home)
    propose(page)
    plain = fresh_picture(page)
    drop_photo(page, "me.png", photo)
    page.click("button[aria-label='Look: me.png']")
    shot = another_picture(page, plain)
    page.click("button[aria-label='Remove me.png']")
    assert page.locator("article.photo").count() == 0
    gone = another_picture(page, shot)
    page.click("#undo")
    assert page.locator("article.photo").count() == 1
    assert np.abs(pixels(another_picture(page, gone)) - pixels(shot)).max() <= 1
    page.click("#redo")
    assert page.locator("article.photo").count() == 0
    another_picture(page, shot)
    reopened(page)
    page.click("#tab-photos")
    assert page.locator("article.photo").count() == 0
    page.click("#undo")
    assert page.locator("article.photo:not(:has-text('not read yet'))").count() == 1
    assert np.abs(pixels(another_picture(page, gone)) - pixels(shot)).max() <= 1
    drop_again = page.locator("article.photo").count()
    drop(page, "me.png", photo)
    page.click("#file-dialog button[value=photo]")
    page.wait_for_function(
        "() => document.querySelector('#said').textContent.includes('here already') || document.querySelector('#said').textContent.includes('among the photos')"
    )
    assert page.locator("article.photo").count() == drop_again


def test_wrong_and_huge_files(home: str, context: Any, photo: bytes) -> None:
    """Each is one sentence on the page; the work is as it was."""
    page = begun(context, home)
    page.uncheck("#live")
    new_layout(page, 128)
    paint_by_hand(page)
    before = exported(page)
    big = io.BytesIO()
    Image.new("L", (20_000, 20_000)).save(big, "PNG")
    small = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(small, "JPEG")
    wide = bytearray(small.getvalue())
    frame = wide.index(b"\xff\xc0")
    wide[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"  # few bytes that say that they are many pixels
    wrong = [
        ("notes.txt", b"hello", "photo", ""),
        ("notes.txt", b"hello", "map", ""),
        ("empty.png", b"", None, "empty"),
        ("cut.png", big.getvalue()[:300], "map", ""),
        ("cut.jpg", small.getvalue()[:200], "photo", ""),
        ("bomb.png", big.getvalue(), "photo", "20000"),
        ("bomb.png", big.getvalue(), "map", "20000"),
        ("bomb.jpg", bytes(wide), "photo", "pixels"),
        ("face.png", photo, "map", ""),
        ("no.zoo.json", b"{}", None, "no project"),
        ("half.zoo.json", b'{"zoo": "proj', None, "cut off"),
    ]
    for name, content, kind, words in wrong:
        page.evaluate("document.querySelector('#banner').hidden || document.querySelector('#banner-close').click()")
        page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": content})
        if kind:
            page.click(f"#file-dialog button[value={kind}]")
        page.wait_for_selector("#banner:visible")
        told = page.inner_text("#banner-text")
        assert name in told and words in told and "Traceback" not in told and "Error" not in told, told
    page.click("#banner-close")
    # a file beyond the limit is not even read
    page.evaluate(
        "(bytes) => { const t = new DataTransfer(); t.items.add(new File([new Uint8Array(bytes)], 'huge.png'));"
        " dispatchEvent(new DragEvent('drop', {dataTransfer: t, cancelable: true})); }",
        (32 << 20) + 1,
    )
    page.wait_for_selector("#banner:has-text('huge.png')")
    assert np.array_equal(exported(page), before)
    # a good one is judged first, and comes back number by number
    palette = download(page, "#export-palette")
    page.locator("#layout").focus()
    page.keyboard.press("Control+z")
    page.set_input_files("#file", {"name": "mine.png", "mimeType": "image/png", "buffer": palette})
    page.click("#file-dialog button[value=map]")
    page.wait_for_selector(f"#notes-list li:has-text('128 × 128 pixels of the label space {SPACE}')")
    page.click("#notes-ok")
    page.wait_for_function("() => document.querySelector('#undo').title.includes('Map mine.png')")
    assert np.array_equal(exported(page), before)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault_of_accessibility(home: str, browser: Any, axe: Path, photo: bytes, scheme: str) -> None:
    """axe-core over the page in use, each panel and two dialogs, at a desk and on a phone."""
    for size in ({"width": 1280, "height": 800}, {"width": 390, "height": 844}):
        made = profile(browser, viewport=size, color_scheme=scheme, bypass_csp=True)
        page = begun(made, home)
        propose(page)
        fresh_picture(page)
        drop_photo(page, "me.png", photo)
        page.click("#tab-look")
        page.check("#mix-on")
        page.click("#part-add")
        page.check("#compare")
        found = accessibility_faults(page, axe)
        made.close()
        assert [fault for fault in found if fault[1] in ("serious", "critical")] == [], found


def test_options_of_a_model(served: str, context: Any) -> None:
    """Sampling options go to the synthesizer, stand in the command line and in the project, are undone, and bad ones are a sentence."""
    page = opened(context, served)
    page.uncheck("#live")
    propose(page)
    page.select_option("#synthesizer", "sdm-tiny")
    page.click("#tab-look")
    page.click("#look-options summary")
    page.fill("#look-options-steps", "2")
    page.keyboard.press("Tab")
    page.select_option("#look-options-sampler", "ddim")
    page.wait_for_selector("#look-options summary:has-text('2 set')")
    page.click("#paint")
    first = fresh_picture(page)
    page.click("#tab-keep")
    assert "--opt steps=2 --opt sampler=ddim " in page.input_value("#command")
    assert json.loads(download(page, "#project-save"))["options"] == {"steps": "2", "sampler": "ddim"}
    page.click("#undo")
    assert "--opt sampler" not in page.input_value("#command")
    page.click("#redo")
    page.click("#tab-look")
    page.fill("#look-options-steps", "many")
    page.keyboard.press("Tab")
    page.click("#paint")
    page.wait_for_selector("#banner:has-text('steps')")
    page.click("#banner-close")
    page.fill("#look-options-steps", "3")
    page.keyboard.press("Tab")
    page.click("#paint")
    another_picture(page, first)
    reopened(page)
    page.click("#tab-look")
    page.click("#look-options summary")
    assert page.input_value("#look-options-steps") == "3" and page.input_value("#look-options-sampler") == "ddim"


def test_a_host_that_is_gone_and_a_second_tab(tiny_site: Path, context: Any) -> None:
    """The static page: what is loaded works without its host; what is not waits for it, and nothing is lost."""
    with hosted(tiny_site) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        page = begun(context, address)
        new_layout(page, 128)
        page.click("label[title=skin]")
        drag(page, (20, 20), (90, 40))
        first = fresh_picture(page)
        second = opened(context, address)
        for tab in (page, second):
            tab.wait_for_selector("#notice:has-text('Another tab')")
        assert second.is_disabled("#undo")  # its own, empty work
        second.close()
    drag(page, (20, 60), (90, 80))
    alone = another_picture(page, first)
    painted = exported(page)
    page.click("#tab-draw")
    page.click("#generate")  # a model that was not needed so far
    page.wait_for_selector("#banner:has-text('no connection')")
    page.click("#tools label:has-text('Brush')")
    drag(page, (20, 100), (90, 110))  # work goes on
    another_picture(page, alone)
    page.wait_for_selector("body[data-kept=true]")
    assert (exported(page) != painted).any()
    with hosted(tiny_site, port):
        page.wait_for_selector("#banner", state="hidden")
        before = exported(page)
        propose(page)
        assert (exported(page).shape != before.shape) or (exported(page) != before).any()
        reopened(page)
        page.click("#undo")
        assert np.array_equal(exported(page), before)
