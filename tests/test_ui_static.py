"""The page without a server, in Chromium: the folder of `zoo ui --static`, its pictures against the server's, a stroke's time.

The models are those that come with the package, exported once and kept in the cache: the first run takes minutes.
"""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures_pages import hosted
from pages import (
    another_picture,
    download,
    exported,
    fresh_picture,
    opened,
    paint_by_hand,
    painted_by_hand,
    profile,
    reopened,
)
from PIL import Image

from zoo.errors import UsageError
from zoo.rng import Rng

pytestmark = pytest.mark.slow
MODELS = ("spade-celeba", "oasis-celeba", "sean-celeba", "mask-vae-celeba", "face-parser-celeba")
LEVELS = 2
"""Grey levels of 255 by which a picture may differ from the server's."""
ASK = """async () => {
            const { openEngine } = await import("./static/engine/static/index.js");
            const { fromBase64, toBase64 } = await import("./static/core/wire.js");
            window.engine = await openEngine();
            const inward = (v) => v && typeof v === "object" ? (Array.isArray(v) ? v.map(inward)
              : Object.fromEntries(Object.entries(v).map(([k, e]) => [k, k === "labels" && typeof e === "string" ? fromBase64(e) : inward(e)]))) : v;
            const bytes = async (blob) => toBase64(new Uint8Array(await blob.arrayBuffer()));
            window.ask = async (job) => {
              const began = performance.now();
              const made = await window.engine.run(inward(job));
              const took = (performance.now() - began) / 1000;
              const out = (map) => ({ ...map, labels: toBase64(map.labels) });
              if (made.maps) return { ...made, maps: made.maps.map(out), took };
              if (made.map) return { ...made, map: out(made.map), took };
              return { ...made, image: await bytes(made.image), took };
            };
            window.drop = (text) => window.engine.addPhoto(new Blob([fromBase64(text)]));
        }"""


@pytest.fixture(scope="module")
def site(runtime_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder."""
    from zoo.web.site import build_site

    return build_site(tmp_path_factory.mktemp("site") / "page", MODELS, runtime_folder=runtime_files)


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with hosted(site) as found:
        yield found


@pytest.fixture(scope="module")
def page(address: str, browser: Any) -> Iterator[Any]:
    """The page, and beside it an engine to be asked directly; what it asks of another host fails the test that uses it."""
    made = profile(browser)
    faults: list[str] = []
    page = opened(made, address, faults)
    page.faults = faults
    page.evaluate(ASK)
    yield page
    made.close()


@pytest.fixture(scope="module")
def studio() -> Any:
    """The server's own engine, without HTTP."""
    from zoo.web.offers import gather
    from zoo.web.studio import Studio

    return Studio(gather(MODELS))


def served(studio: Any, job: dict[str, Any]) -> dict[str, Any]:
    from zoo.web.work import Work

    _, run = studio.run(job)
    return run(Work())


def pixels(result: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(result["image"])))).astype(int)


def labels_of(result: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(result["labels"]), np.uint8)


def photo() -> bytes:
    """A smooth made-up picture as PNG, no multiple of the models' size."""
    noise = Rng(8).uniform("photo", shape=(3, 9, 12)).float()
    image = torch.nn.functional.interpolate(noise, size=(180, 240), mode="bicubic").clamp(0, 1)[0]
    file = io.BytesIO()
    Image.fromarray((image * 255).byte().permute(1, 2, 0).numpy()).save(file, "PNG")
    return file.getvalue()


def test_layouts_are_the_servers(page: Any, studio: Any) -> None:
    """Drawn from label sets and edited, by the same seeds; a pixel in a thousand may lie on a tie."""
    generate = {
        "kind": "generate",
        "generator": "mask-vae-celeba",
        "labels": ["skin", "hair", "nose", "l_eye", "r_eye", "neck"],
        "seed": 3,
        "n": 2,
    }
    ours, theirs = page.evaluate("ask", generate), served(studio, generate)
    assert ours["notes"] == theirs["notes"] or not theirs["notes"]
    for a, b in zip(ours["maps"], theirs["maps"], strict=True):
        assert (labels_of(a) != labels_of(b)).mean() < 1e-3
    edits = [[{"kind": "redraw", "labels": ["hair"]}], [{"kind": "add", "labels": ["eye_g"]}, {"kind": "remove", "labels": ["neck"]}],
             [{"kind": "perturb", "labels": ["nose"], "strength": 0.5}]]  # fmt: skip
    for change in edits:
        job = {
            "kind": "edit",
            "generator": "mask-vae-celeba",
            "map": theirs["maps"][0],
            "edits": change,
            "seed": 5,
            "n": 1,
            "keepRest": True,
        }
        ours, answer = page.evaluate("ask", job), served(studio, job)
        assert (labels_of(ours["maps"][0]) != labels_of(answer["maps"][0])).mean() < 1e-3, change
    assert len(np.unique(labels_of(answer["maps"][0]))) > 3
    assert not page.faults


def test_pictures_are_the_servers(page: Any, studio: Any) -> None:
    """Styles by seed, mean, photo and mixed, and a photo's own pixels kept: to 2 grey levels. Photos are read into the same layout."""
    content = photo()
    added = page.evaluate("drop", base64.b64encode(content).decode())
    assert studio.photos.add(content).id == added["photo"] and (added["width"], added["height"]) == (240, 180)
    parse = {"kind": "parse", "photo": added["photo"], "frame": {"x": 100, "y": 90, "side": 120, "angle": 0}}
    ours, theirs = page.evaluate("ask", parse), served(studio, parse)
    assert (labels_of(ours["map"]) != labels_of(theirs["map"])).mean() < 5e-3
    drawn = served(
        studio,
        {
            "kind": "generate",
            "generator": "mask-vae-celeba",
            "labels": ["skin", "hair", "nose", "neck"],
            "seed": 1,
            "n": 1,
        },
    )["maps"][0]
    seed, mean = {"kind": "seed", "seed": 4}, {"kind": "mean"}
    shot = {
        "kind": "photo",
        "photo": added["photo"],
        "frame": {"x": 120.3, "y": 88.1, "side": 140.5, "angle": 12},
        "map": drawn,
    }
    styles = [
        {"base": seed, "parts": [], "mix": None}, {"base": mean, "parts": [], "mix": None},
        {"base": seed, "parts": [], "mix": {"source": mean, "amount": 0.4}}, {"base": shot, "parts": [], "mix": None},
    ]  # fmt: skip
    made = []
    for style in styles:
        job = {"kind": "render", "synthesizer": "spade-celeba", "map": drawn, "style": style, "seed": 0}
        a, b = pixels(page.evaluate("ask", job)), pixels(served(studio, job))
        assert np.abs(a - b).max() <= LEVELS, style
        made.append(a)
    assert np.abs(made[0] - made[1]).max() > 10  # styles show
    keep = {"photo": added["photo"], "frame": shot["frame"], "map": drawn, "classes": ["hair"]}
    job = {"kind": "render", "synthesizer": "spade-celeba", "map": drawn, "style": styles[0], "seed": 0, "keep": keep}
    a, b = pixels(page.evaluate("ask", job)), pixels(served(studio, job))
    assert np.abs(a - b).max() <= LEVELS and np.abs(a - made[0]).max() > 10
    assert not page.faults


def test_styles_of_single_classes_are_the_servers(page: Any, studio: Any) -> None:
    """By class and layer, of seeds, the mean and a photo that lacks classes; mixed, with a locked part; the noise that SEAN draws."""
    content = photo()
    shot = {"kind": "photo", "photo": page.evaluate("drop", base64.b64encode(content).decode())["photo"]}
    studio.photos.add(content)
    want = {
        "kind": "generate",
        "generator": "mask-vae-celeba",
        "labels": ["skin", "hair", "nose", "neck"],
        "seed": 2,
        "n": 2,
    }
    drawn, other = served(studio, want)["maps"]
    seeds = [{"kind": "seed", "seed": n} for n in range(3)]
    mean = {"kind": "mean"}
    shot |= {"map": other, "frame": {"x": 100, "y": 90, "side": 128, "angle": 0}}
    hair = {"labels": ["hair"], "layers": None}
    layers = page.evaluate("() => engine.open().then((f) => f.synthesizers.find((m) => m.id === 'sean-celeba').layers)")
    cases = [
        ("oasis-celeba", {"base": seeds[0], "parts": [{**hair, "source": seeds[1]}], "mix": {"source": mean, "amount": 0.3}}),
        ("oasis-celeba", {"base": mean, "parts": [{**hair, "source": seeds[2], "locked": True}], "mix": {"source": seeds[0], "amount": 0.5}}),
        ("sean-celeba", {"base": mean, "parts": [{**hair, "source": shot}], "mix": None}),
        ("sean-celeba", {"base": shot, "parts": [{"labels": ["skin"], "layers": layers[:2], "source": mean}], "mix": None}),
    ]  # fmt: skip
    for name, style in cases:
        job = {"kind": "render", "synthesizer": name, "map": drawn, "style": style, "seed": 7}
        a, b = pixels(page.evaluate("ask", job)), pixels(served(studio, job))
        assert np.abs(a - b).max() <= LEVELS, (name, style)
    assert not page.faults


def test_paints_generates_styles_and_keeps(browser: Any, address: str, tmp_path: Path) -> None:
    """By mouse and keys on the page itself: a map exact to the pixel and back after a reload, proposals, a photo's look in two
    synthesizers, the project; how long a stroke takes to its picture is printed (`-s`), not judged."""
    context = profile(browser)
    faults: list[str] = []
    page = opened(context, address, faults)
    assert page.evaluate("document.body.dataset.engine") == "static"
    page.select_option("#synthesizer", "spade-celeba")
    paint_by_hand(page)
    expected = painted_by_hand(np.zeros((128, 128), np.uint8))
    assert np.array_equal(exported(page), expected)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    fresh_picture(page)
    print("stroke to picture:", page.inner_text("#seconds"))
    reopened(page)
    assert np.array_equal(exported(page), expected)

    page.click("#tab-draw")
    page.fill("#count", "2")
    page.click("#generate")
    page.wait_for_selector("#proposal-list button")
    page.click("#proposal-list button >> nth=1")
    face = exported(page)
    assert len(np.unique(face)) > 5
    first = fresh_picture(page)
    page.click("#tab-photos")
    with page.expect_file_chooser() as chooser:
        page.click("#photo-add")
    chooser.value.set_files({"name": "a face.png", "mimeType": "image/png", "buffer": first})
    page.wait_for_selector("article.photo:not(:has-text('not read yet'))")
    page.click("button[aria-label='Look: a face.png']")
    shot = another_picture(page, first)
    page.select_option("#synthesizer", "sean-celeba")
    whole = another_picture(page, shot)
    page.click("#tab-look")
    page.select_option("#synthesizer", "spade-celeba")
    another_picture(page, whole)
    page.click("#tab-keep")
    project = json.loads(download(page, "#project-save"))
    assert project["style"]["base"]["kind"] == "photo" and project["synthesizer"] == "spade-celeba"
    assert faults == []
    context.close()


def processor_seconds() -> float:
    """What all of Chromium's processes have used so far; 0 where the system does not say."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = path.read_text().rpartition(")")
        except OSError:
            continue
        if "chrom" in head:
            ticks += sum(map(int, rest.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def test_time_of_a_picture(page: Any) -> None:
    """Printed (`-s`), not judged: seconds from the job to the picture, for each synthesizer, the model loaded."""
    style: dict[str, Any] = {"parts": [], "mix": None}
    for name in ("spade-celeba", "oasis-celeba", "sean-celeba"):
        style["base"] = {"kind": "mean"} if name == "sean-celeba" else {"kind": "seed", "seed": 1}
        job = {"kind": "render", "synthesizer": name, "map": blank(), "style": style, "seed": 0}
        page.evaluate("ask", job)
        before = processor_seconds()
        took = [page.evaluate("ask", job)["took"] for _ in range(5)]
        print(name, "seconds:", [round(t, 3) for t in took], "processor:", round((processor_seconds() - before) / 5, 3))
    assert not page.faults


def blank() -> dict[str, Any]:
    labels = np.zeros((128, 128), np.uint8)
    labels[30:100, 40:90] = 1
    return {
        "width": 128,
        "height": 128,
        "space": "celebamask-hq",
        "labels": base64.b64encode(labels.tobytes()).decode(),
    }


def test_wrong_numbers_and_lacking_models(page: Any) -> None:
    """A sentence, not a picture of nonsense."""
    wrong = {**blank(), "labels": base64.b64encode(bytes([200]) * 128 * 128).decode()}
    style = {"base": {"kind": "seed", "seed": 1}, "parts": [], "mix": None}
    say = "(job) => ask(job).then(() => 'done', (error) => error.name + ': ' + error.message)"
    assert "200" in page.evaluate(
        say, {"kind": "render", "synthesizer": "spade-celeba", "map": wrong, "style": style, "seed": 0}
    )
    assert "not in this page" in page.evaluate(
        say, {"kind": "render", "synthesizer": "sims", "map": blank(), "style": style, "seed": 0}
    )


def test_the_folder(site: Path, tmp_path: Path) -> None:
    """Small, whole, replaced only on request; another's folder is left alone."""
    from zoo.web.site import build_site

    assert {p.name for p in site.iterdir()} == {"index.html", "site.json", "static", "models", "vendor"}
    assert (
        'content="static"' in (site / "index.html").read_text()
        and "wasm-unsafe-eval" in (site / "index.html").read_text()
    )
    assert sum(p.stat().st_size for p in site.rglob("*") if p.is_file()) < 60 << 20
    assert "license" in (site / "models/spade-celeba/README.md").read_text()
    with pytest.raises(UsageError, match="overwrite"):
        build_site(site, MODELS)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="something else"):
        build_site(tmp_path, MODELS)
    assert (tmp_path / "mine.txt").read_text() == "mine"
