"""Map and photo files: every format, damaged with and without its checksums repaired, under any ending."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from zoo.files.images import read_photo

from . import odd_files, pngs, trees
from .place import Place, Ran

SIDE = 48
LOSSLESS = ("PNG", "PNG", "PNG", "PNG", "PNG", "TIFF", "BMP", "GIF", "WEBP")
LOSSY = ("JPEG", "WEBP lossy")
FOREIGN = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n",
    "pdf": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>\n',
    "ppm": b"P6\n4 4\n255\n" + bytes(48),
    "xpm": b'/* XPM */\nstatic char *x[] = {"1 1 1 1", "a c #000000", "a"};\n',
    "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "fits": b"SIMPLE  =                    T".ljust(80) + b" " * 2800,
    "psd": b"8BPS\0\1" + bytes(40),
    "ico": b"\0\0\1\0\1\0" + bytes(40),
    "dds": b"DDS " + bytes(124),
    "text": b"no picture at all\n",
    "json": b"{}\n",
}
"""Heads of formats that are no pictures for us, none of which does anything."""
ENDINGS = (
    ".png",
    ".png",
    ".png",
    ".jpg",
    ".jpeg",
    ".tif",
    ".bmp",
    ".gif",
    ".webp",
    ".eps",
    ".pdf",
    "",
    ".PNG",
    ".png.png",
)


def prepare(folder: Path) -> Callable[[Place], None]:
    """The tiny models, and the runner."""
    import fixtures_models

    fixtures_models.build(folder)
    return lambda place: case(place, folder)


def case(place: Place, models: Path) -> None:
    """One file, looked at by one or two commands."""
    import zoo

    rng, space = place.rng, zoo.label_space(place.rng.choice(["celebamask-hq", "celebamask-hq", "atr", "camvid"]))
    labels = drawn(rng, len(space))
    content, same, lossy = _content(place, labels, space)
    path = _named(place, rng)
    path.write_bytes(content)
    if rng.random() < 0.03:
        place.did(odd_files.replace(rng, path, place.guarded))
        same = False
    if rng.random() < 0.6:
        _as_map(place, path, labels if same and not lossy else None, space, lossy, models)
    else:
        _as_photo(place, path, same, models)


def drawn(rng: Random, classes: int) -> np.ndarray:
    """uint8 [48, 48] of boxes of classes."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(rng.randrange(2, 9)):
        top, left = rng.randrange(SIDE - 4), rng.randrange(SIDE - 4)
        labels[top : top + rng.randrange(4, 30), left : left + rng.randrange(4, 30)] = rng.randrange(classes)
    return labels


def _content(place: Place, labels: np.ndarray, space: Any) -> tuple[bytes, bool, bool]:
    """The file's bytes; whether one who takes it must see these labels; whether the format loses something."""
    rng = place.rng
    if rng.random() < 0.04:
        name = rng.choice(list(FOREIGN))
        place.did(f"the head of {name}")
        return FOREIGN[name], False, False
    if rng.random() < 0.004:
        return _large(place)
    form = rng.choice(LOSSLESS + LOSSY)
    content = encoded(rng, form, labels, space)
    place.did(form)
    (place.work / "undamaged").write_bytes(content)
    lossy = form in LOSSY
    if rng.random() < 0.06:
        return content, True, lossy
    if form == "PNG" and rng.random() < 0.75:
        content, told, same = pngs.mutate(rng, content)
    else:
        before = content
        content, told = trees.damage(rng, content)
        # formats without checksums cannot show a flipped bit; bytes after the end are no pixels
        same = "cut" in told and before != content
        same |= form == "PNG" and told in ("bits flipped", "emptied")
    place.did(told)
    return content, same, lossy


def encoded(rng: Random, form: str, labels: np.ndarray, space: Any) -> bytes:
    """The labels as a file of a format, as numbers or colours."""
    import PIL.Image

    palette = np.array(space.palette, np.uint8)
    image = PIL.Image.fromarray(labels)
    if (form in ("PNG", "TIFF", "BMP") and rng.random() < 0.5) or form == "GIF":
        image.putpalette(palette.tobytes())
    elif form.startswith("WEBP") or (form == "PNG" and rng.random() < 0.3):
        image = image.convert("RGB")
    elif form == "PNG" and rng.random() < 0.2:
        image = PIL.Image.fromarray(labels.astype(np.uint16))
    stream = io.BytesIO()
    options: dict[str, Any] = {"lossless": form == "WEBP"} if form.startswith("WEBP") else {}
    if form == "TIFF":
        options["compression"] = rng.choice([None, "tiff_lzw", "tiff_deflate", "packbits"])
    image.save(stream, format=form.split()[0], **options)
    return stream.getvalue()


def _large(place: Place) -> tuple[bytes, bool, bool]:
    import PIL.Image

    side = place.rng.choice([1000, 1500, 2000])
    pixels = np.frombuffer(place.rng.randbytes(side * side * 3), np.uint8).reshape(side, side, 3)
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, format="PNG", compress_level=1)
    place.did(f"{side} x {side} pixels of any colour")
    return stream.getvalue(), False, False


def _named(place: Place, rng: Random) -> Path:
    stem = rng.choice(
        ["face", "face", "face", "a b", "#1", "x@2", "é", "-n", "$(touch MARK)", "x" * 200, "a\x1b[2Jb", "line\nbreak"]
    )
    return place.work / f"{stem}{rng.choice(ENDINGS)}"


def _as_map(place: Place, path: Path, truth: np.ndarray | None, space: Any, lossy: bool, models: Path) -> None:
    """inspect, and the labels that Python reads; now and then pictures of it."""
    import zoo

    rng, told = place.rng, Ran(0, "", "")
    if rng.random() < 0.7:
        told = place.zoo("mask", "inspect", path, *rng.choice([(), ("--space", space.name), ("--json",)]))
    with place.python("from_png") as refused:
        read = zoo.SemanticMap.from_png(path, space)
    if refused:
        place.outcome.verdict = "refused"
    elif truth is not None and not torch.equal(read.labels[0], torch.from_numpy(truth.astype(np.int64))):
        share = float((read.labels[0].numpy() != truth).mean()) if read.labels[0].shape == truth.shape else 1.0
        place.outcome.add(
            "silent", f"a damaged {path.suffix} map read with other labels ({'over' if share > 0.02 else 'under'} 2 %)"
        )
    elif lossy and not refused:
        place.outcome.add("silent", "a lossy map was taken")
    if rng.random() < 0.15:
        _pictures(place, path, models, told)


def _pictures(place: Place, path: Path, models: Path, told: Ran) -> None:
    out = place.work / "out"
    ran = place.zoo("synth", models / "scgan-celeba", path, "--seed", 0, "--out", out, "--device", "cpu")
    finished = out / "manifest.json"
    if not ran.taken and finished.exists() and json.loads(finished.read_text()).get("finished"):
        place.outcome.add("silent", "refused, and a finished run was left")


def _as_photo(place: Place, path: Path, same: bool, models: Path) -> None:
    """parse, or a pair of a folder data set; a photo that lost its end is not read in silence."""
    if same:
        with place.python("read_photo") as refused:
            photo = read_photo(path)
        if not refused and not torch.equal(photo, read_photo(place.work / "undamaged")):
            place.outcome.add("silent", "a damaged photo read with other pixels")
    if place.rng.random() < 0.6:
        out = place.work / "maps"
        ran = place.zoo("parse", path, "--parser", models / "face-parser-celeba", "--out", out, "--device", "cpu")
        if not ran.taken and out.is_dir() and any(out.glob("*.png")):
            place.outcome.add("silent", "refused, and a map was left")
        return
    folder = place.work / "set"
    for kind in ("images", "maps"):
        (folder / kind).mkdir(parents=True)
    ending = path.suffix if path.suffix in (".png", ".jpg") else ".png"
    kind = place.rng.choice(["images", "maps"])
    other = place.work / "other.png"
    other.write_bytes(encoded(Random(1), "PNG", drawn(Random(1), 5), _space()))
    for name in ("images", "maps"):
        source = path if name == kind else other
        target = folder / name / f"1{ending if name == kind else '.png'}"
        if source.is_file() and not source.is_symlink():
            target.write_bytes(source.read_bytes())
        else:
            source.rename(target) if source.exists() and not source.is_symlink() else target.symlink_to(source)
    place.zoo("data", "check", f"folder:{folder}", "--space", "celebamask-hq")


def _space() -> Any:
    import zoo

    return zoo.label_space("celebamask-hq")
