"""Photos in `inputs/`: bare of metadata with the very same pixels, or not copied at all."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
from fixtures_models import Ran

from zoo.files.bare import bare_photo
from zoo.files.decoding import decode_image
from zoo.files.images import photo_pixels

Run = Callable[..., Ran]
SECRET = b"anna-secret"

pytestmark = pytest.mark.usefixtures("one_thread")


def picture() -> PIL.Image.Image:
    return PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8))


def exif(turn: int | None) -> PIL.Image.Exif:
    found = PIL.Image.Exif()
    found[0x010F] = SECRET.decode()
    found[0x9003] = "2020:01:01 00:00:00"
    if turn is not None:
        found[0x0112] = turn
    return found


def encoded(kind: str, turn: int | None, mode: str = "RGB") -> bytes:
    """A file of this kind that tells a secret in all the ways that Pillow writes."""
    buffer, options = io.BytesIO(), {}
    if kind == "PNG":
        text = PIL.PngImagePlugin.PngInfo()
        text.add_text("Author", SECRET.decode())
        text.add_itxt("XML:com.adobe.xmp", f"<x>{SECRET.decode()}</x>")
        options = {"pnginfo": text}
    elif kind == "JPEG":
        options = {"comment": SECRET, "quality": 90, "progressive": mode == "L"}
    elif kind == "WEBP":
        options = {"xmp": SECRET, "lossless": True}
    image = picture().convert(mode)
    image.save(buffer, kind, icc_profile=SECRET * 20, exif=exif(turn), **options)
    return buffer.getvalue() + (SECRET if kind == "JPEG" else b"")


def pixels_of(content: bytes) -> np.ndarray:
    return photo_pixels(decode_image(Path("x"), io.BytesIO(content)), Path("x"))


@pytest.mark.parametrize("turn", [None, 1, 3, 6, 8])
@pytest.mark.parametrize(
    ("kind", "mode", "suffix"),
    [
        ("PNG", "RGB", ".png"), ("PNG", "RGBA", ".png"), ("PNG", "P", ".png"), ("PNG", "L", ".png"),
        ("JPEG", "RGB", ".jpg"), ("JPEG", "L", ".jpg"), ("JPEG", "CMYK", ".jpg"),
        ("WEBP", "RGB", ".png"), ("TIFF", "RGB", ".png"),
    ],
)  # fmt: skip
def test_the_pixels_stay_and_nothing_else(kind: str, mode: str, suffix: str, turn: int | None) -> None:
    content = encoded(kind, turn, mode)
    before = pixels_of(content)
    bare, named = bare_photo(content, Path(f"photo.{kind.lower()}"), before)
    assert SECRET in content and SECRET not in bare and b"2020:01" not in bare and b"http" not in bare
    assert np.array_equal(pixels_of(bare), before) and (named == suffix or (named, kind) == (".jpeg", "JPEG"))
    again, _ = bare_photo(bare, Path(f"x{named}"), before)
    assert again == bare, "a copy of a copy has the same name"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_file_that_tells_nothing(kind: str) -> None:
    buffer = io.BytesIO()
    picture().save(buffer, kind)
    content = buffer.getvalue()
    bare, suffix = bare_photo(content, Path(f"a.{kind.lower()}"), pixels_of(content))
    assert (bare == content) == (kind != "BMP") and suffix in (".png", ".jpg", ".jpeg")


def _with_chunk(content: bytes, kind: bytes, body: bytes) -> bytes:
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return content[:33] + chunk + content[33:]


@pytest.mark.parametrize("kind", [b"prVt", b"tIME", b"pHYs"])
def test_unknown_and_padded_chunks_go(kind: bytes) -> None:
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    content = buffer.getvalue()
    odd = _with_chunk(content, kind, SECRET * 4)
    assert bare_photo(odd, Path("a.png"), pixels_of(content)) == (content, ".png")


def test_a_jpeg_that_is_built_oddly_becomes_a_png() -> None:
    content = encoded("JPEG", 6)
    pixels = pixels_of(content)
    scan = content.index(b"\xff\xda")
    (length,) = struct.unpack_from(">H", content, scan + 2)
    # a comment where the scan should go on: nothing that a camera writes
    odd = content[: scan + 2 + length] + b"\xff\xfe\x00\x04ab" + content[scan + 2 + length :]
    bare, suffix = bare_photo(odd, Path("a.jpg"), pixels)
    assert suffix == ".png" and np.array_equal(pixels_of(bare), pixels)


@pytest.fixture
def photo(inputs: Path, tmp_path: Path) -> Path:
    path = tmp_path / "anna.jpg"
    PIL.Image.open(inputs / "photo.png").convert("RGB").save(path, exif=exif(6), comment=SECRET)
    return path


def test_a_run_keeps_no_metadata_and_replays(run: Run, pair: tuple[str, str], inputs: Path, photo: Path, tmp_path: Path) -> None:  # fmt: skip
    out = tmp_path / "run"
    made = run(
        "synth", pair[1], inputs / "face.png", "--style", f"{photo}::{inputs / 'face.png'}", "--seed", 1, "--out", out
    )
    assert made.code == 0, made.err
    copies = [p.read_bytes() for p in (out / "inputs").iterdir()]
    assert len(copies) == 2 and not any(SECRET in c for c in copies) and (inputs / "face.png").read_bytes() in copies
    assert run("replay", out).code == 0


def test_no_inputs_and_the_files_asked_for_by_digest(run: Run, pair: tuple[str, str], inputs: Path, photo: Path, tmp_path: Path) -> None:  # fmt: skip
    face, style = inputs / "face.png", f"{photo}::{inputs / 'face.png'}"
    command = ("synth", pair[1], face, "--style", style, "--seed", 1, "--out")
    assert run(*command, tmp_path / "with").code == 0
    out = tmp_path / "run"
    assert run(*command, out, "--no-inputs").code == 0
    assert not (out / "inputs").exists()
    manifest = json.loads((out / "manifest.json").read_text())
    assert len(manifest["inputs"]) == 2 and str(tmp_path) not in json.dumps(manifest["request"])
    with_inputs, without = ((tmp_path / d / "images/000000.png").read_bytes() for d in ("with", "run"))
    assert with_inputs == without
    refused = run("replay", out)
    assert refused.code == 2 and "--input" in refused.err and all(d in refused.err for d in manifest["inputs"].values())
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    moved = photo.rename(tmp_path / "elsewhere/deep/other name.jpg")
    refused = run("replay", out, "--input", face)
    assert refused.code == 2 and manifest["inputs"][manifest["request"]["masks"][0]] not in refused.err
    assert run("replay", out, "--input", face, "--input", moved).code == 0
    again = run("replay", out, "--input", face, "--input", tmp_path / "elsewhere", "--out", tmp_path / "again")
    assert again.code == 0 and not (tmp_path / "again/inputs").exists()
    refused = run("replay", out, "--input", tmp_path / "nowhere")
    assert refused.code == 2 and "There is no file or folder" in refused.err
