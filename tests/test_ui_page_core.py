"""The editor page's pure functions, under node; its strokes against those of `zoo mask paint`; its types."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.files.lines import draw_path

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "zoo/web/static"
WEB = ROOT / "tests/web"


@pytest.fixture(scope="module")
def node() -> str:
    """Node 20 or newer; skips where it is absent."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed: the page's modules are tested under it")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip().lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"node {version.strip()} is older than 20")
    return found


def _evaluate(node: str, script: str, given: object = None) -> str:
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], input=json.dumps(given), capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_modules(node: str) -> None:
    """tests/web/*.test.mjs."""
    files = sorted(map(str, WEB.glob("*.test.mjs")))
    assert len(files) >= 2
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_strokes_are_those_of_the_command_line(node: str) -> None:
    """Brush and line of the page paint the very pixels of `zoo mask paint`, at any size and place."""
    draw = random.Random(5)
    strokes = [
        {
            "points": [[draw.randint(-15, 60), draw.randint(-15, 50)] for _ in range(draw.randint(1, 5))],
            "size": draw.choice([1, 1, 2, 3, 4, 5, 6, 7, 12, 25, 100]),
        }
        for _ in range(400)
    ]
    script = """
      import { drawPath } from "./zoo/web/static/core/lines.js";
      import { readFileSync } from "node:fs";
      for (const { points, size } of JSON.parse(readFileSync(0, "utf8"))) {
        const map = { width: 41, height: 37, space: "s", labels: new Uint8Array(41 * 37) };
        drawPath(map, points, size, 1);
        console.log(map.labels.join(""));
      }
    """
    painted = _evaluate(node, script, strokes).split()
    for stroke, got in zip(strokes, painted, strict=True):
        labels = np.zeros((37, 41), np.uint8)
        draw_path(labels, [tuple(p) for p in stroke["points"]], stroke["size"], 1)
        assert got == "".join(map(str, labels.ravel())), stroke


def test_pillow_reads_the_pngs_of_the_page(node: str, tmp_path: Path) -> None:
    """Grey, palette and RGB, number by number; and the page reads Pillow's."""
    script = f"""
      import {{ encodePng, decodePng }} from "./zoo/web/static/core/png.js";
      import {{ readFileSync, writeFileSync }} from "node:fs";
      const folder = {json.dumps(str(tmp_path))};
      const data = Uint8Array.from({{ length: 13 * 11 }}, (_, i) => i % 19);
      const palette = Uint8Array.from({{ length: 768 }}, (_, i) => (i * 31) & 255);
      const size = {{ width: 13, height: 11 }};
      writeFileSync(folder + "/grey.png", await encodePng({{ ...size, data, channels: 1 }}));
      writeFileSync(folder + "/palette.png", await encodePng({{ ...size, data, channels: 1, palette }}));
      const rgb = Uint8Array.from({{ length: 13 * 11 * 3 }}, (_, i) => (i * 7) & 255);
      writeFileSync(folder + "/rgb.png", await encodePng({{ ...size, data: rgb, channels: 3 }}));
      console.log(JSON.stringify([...(await decodePng(readFileSync(folder + "/photo.png"))).data]));
    """
    photo = (
        np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8) // 3
        + np.arange(30, dtype=np.uint8)[:, None] * 5
    )
    Image.fromarray(photo).save(tmp_path / "photo.png", optimize=True)
    read = json.loads(_evaluate(node, script))
    assert np.array_equal(np.array(read, np.uint8).reshape(photo.shape), photo)
    numbers = (np.arange(13 * 11) % 19).reshape(11, 13)
    for name, mode in (("grey", "L"), ("palette", "P")):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.mode == mode
            assert np.array_equal(np.asarray(image), numbers)
    with Image.open(tmp_path / "palette.png") as image:
        assert image.getpalette()[:6] == [0, 31, 62, 93, 124, 155]  # type: ignore[index]
    with Image.open(tmp_path / "rgb.png") as image:
        assert np.array_equal(np.asarray(image).ravel(), np.arange(13 * 11 * 3) * 7 % 256)


def test_types() -> None:
    """`tsc --noEmit --checkJs` over the page; skips where npm's typescript is not at hand."""
    tsc = shutil.which("tsc")
    if tsc is None:
        pytest.skip("tsc (npm install -g typescript) is not installed: the page's types are not checked")
    done = subprocess.run([tsc, "-p", str(STATIC / "jsconfig.json")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_page_asks_nobody_else() -> None:
    """No address of another host in the page, no script or style from elsewhere, no code from text."""
    for file in STATIC.rglob("*"):
        if file.suffix in (".html", ".css", ".js") and "vendor" not in file.parts and "ort" not in file.parts:
            text = file.read_text(encoding="utf-8")
            plain = text.replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in plain and "https://" not in plain and "//cdn" not in plain, file
            assert "eval(" not in text and "new Function" not in text and "innerHTML" not in text, file
