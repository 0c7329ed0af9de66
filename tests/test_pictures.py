"""Pictures that strangers send: six formats by content, damage noticed, lossy maps refused, one place that opens them."""

from __future__ import annotations

import ast
import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import zoo
from zoo.data.files import read_instance_array, read_label_array, read_photo_array
from zoo.errors import DataError, LabelError
from zoo.files import decoding
from zoo.files.images import read_photo
from zoo.files.mapfiles import read_map_file
from zoo.files.opened import OpenedFiles
from zoo.files.tally import tally_colors, tally_numbers

ROOT = Path(__file__).parents[1]
FACES = zoo.label_space("celebamask-hq")
VALUES = np.kron(np.random.default_rng(0).integers(0, 19, (6, 8)), np.ones((5, 5), int)).astype(np.uint8)
GREY = PIL.Image.fromarray(VALUES)
COLORED = PIL.Image.fromarray(np.asarray(FACES.palette, np.uint8)[VALUES])
NOISE = PIL.Image.fromarray(np.random.default_rng(1).integers(0, 256, (30, 40, 3)).astype(np.uint8))
MAPS: list[Callable[[Path], Any]] = [
    read_map_file,
    lambda path: OpenedFiles().map(path),
    lambda path: read_label_array(path, FACES),
    read_instance_array,
]
ALL: list[Callable[[Path], Any]] = [*MAPS, read_photo, read_photo_array, lambda path: OpenedFiles().photo(path)]


def packed(image: PIL.Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def put(folder: Path, content: bytes, name: str = "x.png") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refused(path: Path, told: str, reads: list[Callable[[Path], Any]] = ALL) -> None:
    for read in reads:
        with pytest.raises(DataError, match=told) as caught:
            read(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


def header(width: int = 4, height: int = 2, depth: int = 8, kind: int = 0, interlaced: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)


ROWS = b"\0\1\2\3\4\0\5\6\7\0"
PIXELS = (b"IDAT", zlib.compress(ROWS))
END = (b"IEND", b"")


def test_one_function_opens_pictures() -> None:
    """No other file of the zoo or its plugins calls Pillow's `open`, whatever it is imported as."""
    found = []
    for path in [*(ROOT / "zoo").rglob("*.py"), *(ROOT / "plugins").rglob("*.py"), *(ROOT / "cards").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("open", "LOAD_TRUNCATED_IMAGES"):
                owner = ast.unparse(node.value)
                if owner.split(".")[-1] in ("Image", "ImageFile"):
                    found.append(path.relative_to(ROOT).as_posix())
            if isinstance(node, ast.ImportFrom) and node.module == "PIL.Image":
                found += [path.name for n in node.names if n.name == "open"]
    assert found == ["zoo/files/decoding.py"]


LOSSLESS = {
    "PNG": {},
    "BMP": {},
    "GIF": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "TIFF lzw": {"compression": "tiff_lzw"},
    "TIFF deflate": {"compression": "tiff_adobe_deflate"},
    "TIFF packbits": {"compression": "packbits"},
    "TIFF strips": {"tiffinfo": {278: 7}},
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_format_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    image = COLORED if name == "WEBP" else GREY
    path = put(tmp_path, packed(image, name.split()[0], **LOSSLESS[name]), "x.jpg")
    assert np.array_equal(read_label_array(path, FACES), VALUES)
    assert np.array_equal(OpenedFiles().map(path).labels(FACES), VALUES)


@pytest.mark.parametrize("form", ["EPS", "PPM", "ICNS", "TGA", "PCX", "SGI", "IM", "DDS", "PDF", "ICO", "JPEG2000"])
def test_other_formats_are_not_even_tried(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, packed(NOISE.resize((64, 64)), form))
    monkeypatch.setattr(PIL.Image, "open", lambda *a, **k: pytest.fail("a decoder was asked"))
    refused(path, r"is not a picture that can be read \(\d+ bytes\): expected PNG, JPEG|is a PDF")


@pytest.mark.parametrize("read", ALL)
def test_an_eps_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Any]) -> None:
    mark = tmp_path / "started"
    tool = put(tmp_path, f"#!/bin/sh\ntouch {mark}\n".encode(), "gs")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    path = put(tmp_path, packed(NOISE, "EPS"), "face.png")
    refused(path, "is not a picture", [read])
    assert not mark.exists()


LOSSY = {
    "JPEG": packed(NOISE, "JPEG", quality=100),
    "JPEG of several": packed(NOISE, "MPO", save_all=True, append_images=[NOISE]),
    "lossy WebP": packed(NOISE, "WEBP"),
    "lossy WebP with alpha": packed(NOISE.convert("RGBA"), "WEBP"),
    "TIFF with JPEG inside": packed(NOISE, "TIFF", compression="jpeg"),
}


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_maps_are_refused_and_lossy_photos_are_not(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, LOSSY[name])
    refused(path, f"was saved as {name.split(' of ')[0].split(' with alpha')[0]}, which changes numbers", MAPS)
    for read in (read_photo, read_photo_array):
        assert tuple(read(path).shape) in ((3, 30, 40), (30, 40, 3))


@pytest.mark.parametrize("read", MAPS[1:3])
def test_gifs_are_read_by_their_colours(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    """Pillow counts the numbers of a map again when it writes a GIF: 0, 3, 17 become 0, 1, 2."""
    values = np.array([[0, 3, 3], [17, 17, 0]], np.uint8)
    grey, colored = PIL.Image.fromarray(values), PIL.Image.fromarray(values)
    colored.putpalette([c for color in FACES.palette for c in color])
    for image in (grey, colored):
        path = put(tmp_path, packed(image, "GIF"))
        with PIL.Image.open(path) as opened:
            assert np.asarray(opened).tolist() == [[0, 1, 1], [2, 2, 0]]
        found = read(path)
        labels = found if isinstance(found, np.ndarray) else found.labels(FACES)
        assert labels.tolist() == values.tolist()
    other = PIL.Image.fromarray(values)
    other.putpalette([c for value in range(256) for c in (value, 255 - value, 7)])
    with pytest.raises(LabelError, match="colours that are no class"):
        read_label_array(put(tmp_path, packed(other, "GIF")), FACES)


def test_colours_of_sixteen_bits_are_no_map(tmp_path: Path) -> None:
    """Pillow cuts them to 8 bits: all classes below 256 would be class 0."""
    row = b"\0" + np.full((4, 3), 7, ">u2").tobytes()
    path = put(tmp_path, png(header(4, 1, 16, 2), (b"IDAT", zlib.compress(row)), END))
    refused(path, "16 bits a channel", MAPS)
    assert read_photo_array(path).shape == (1, 4, 3)


WHOLE = packed(GREY, "PNG")
BROKEN = {
    "a checksum of pixels": WHOLE[: WHOLE.index(b"IDAT") + 9] + b"\xff\xfe" + WHOLE[WHOLE.index(b"IDAT") + 11 :],
    "the checksum of the header": WHOLE[:29] + b"\0\0\0\0" + WHOLE[33:],
    "a checksum of something else": png(header(), PIXELS)[:-4] + bytes(4) + chunk(*END),
    "no end": WHOLE[:-12],
    "half an end": WHOLE[:-6],
    "no pixels": png(header(), END),
    "few pixels": png(header(), (b"IDAT", zlib.compress(ROWS[:5])), END),
    "many pixels": png(header(), (b"IDAT", zlib.compress(ROWS + ROWS)), END),
    "a stream that stops": png(header(), (b"IDAT", zlib.compress(ROWS)[:-4]), END),
    "a wrong sum of the stream": png(header(), (b"IDAT", zlib.compress(ROWS)[:-4] + b"abcd"), END),
    "another height": png(header(height=3), PIXELS, END),
    "no height": png(header(height=0), PIXELS, END),
    "another depth": png(header(depth=3), PIXELS, END),
    "no palette": png(header(kind=3), PIXELS, END),
    "half a palette": png(header(kind=3), (b"PLTE", bytes(4)), PIXELS, END),
    "two headers": png(header(), header(8, 1), PIXELS, END),
    "an interruption": png(header(), (b"IDAT", PIXELS[1][:6]), (b"tEXt", b"a\0b"), (b"IDAT", PIXELS[1][6:]), END),
    "an unknown critical chunk": png(header(), (b"ABCD", b""), PIXELS, END),
    "a name that is none": png(header(), (b"\n\nab", b""), PIXELS, END),
    "nothing behind the signature": WHOLE[:8],
}


@pytest.mark.parametrize("name", BROKEN)
def test_damaged_pngs_are_noticed(tmp_path: Path, name: str) -> None:
    refused(put(tmp_path, BROKEN[name]), "x.png is damaged or cut off")


@pytest.mark.parametrize(
    "content",
    [
        png(header(), PIXELS, END),
        png(header(), PIXELS, END) + b"what an uploader left",
        png(header(), (b"IDAT", PIXELS[1][:5]), (b"IDAT", PIXELS[1][5:]), (b"tEXt", b"a\0b"), END),
        png(header(kind=3), (b"PLTE", bytes(24)), PIXELS, END),
    ],
)
def test_sound_pngs_are_read(tmp_path: Path, content: bytes) -> None:
    values = read_map_file(put(tmp_path, content)).values
    assert values is not None and values.tolist() == [[1, 2, 3, 4], [5, 6, 7, 0]]


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (13, 21), (40, 5)])
@pytest.mark.parametrize(("depth", "kind"), [(1, 0), (4, 0), (8, 0), (16, 0), (2, 3), (8, 2), (8, 6)])
def test_interlaced_pngs_have_the_size_of_their_passes(
    size: tuple[int, int], depth: int, kind: int, tmp_path: Path
) -> None:
    """A stream of zeros of the length that we expect is what Pillow reads too; one byte less is damage."""
    from zoo.files.pngchunks import Header

    length = Header(*size, depth, kind, True).size
    palette = [(b"PLTE", bytes(12))] if kind == 3 else []
    chunks = (header(*size, depth, kind, 1), *palette)
    path = put(tmp_path, png(*chunks, (b"IDAT", zlib.compress(bytes(length))), END))
    assert decoding.open_image(path).size == size
    refused(put(tmp_path, png(*chunks, (b"IDAT", zlib.compress(bytes(length - 1))), END)), "bytes of pixels")


CUT = {
    **{name: packed(GREY, name.split()[0], **options) for name, options in LOSSLESS.items() if name != "WEBP"},
    "WEBP": packed(COLORED, "WEBP", lossless=True),
    "lossy WEBP": packed(NOISE, "WEBP"),
    "JPEG": packed(NOISE, "JPEG"),
    "JPEG progressive": packed(NOISE, "JPEG", progressive=True),
}


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.97])
def test_pictures_that_are_cut_off_are_noticed(tmp_path: Path, name: str, share: float) -> None:
    content = CUT[name]
    path = put(tmp_path, content[: int(len(content) * share)])
    refused(path, "damaged or cut off|is not a picture", ALL if name in LOSSLESS else ALL[len(MAPS) :])


def test_a_tiff_that_lacks_strips_is_noticed(tmp_path: Path) -> None:
    """Pillow leaves the rows black for which the file names no strip."""
    content = bytearray(packed(GREY, "TIFF", tiffinfo={278: 7}))
    place = struct.unpack("<I", content[4:8])[0]
    for entry in range(place + 2, place + 2 + 12 * struct.unpack("<H", content[place : place + 2])[0], 12):
        if struct.unpack("<H", content[entry : entry + 2])[0] == 257:
            content[entry : entry + 12] = struct.pack("<HHII", 257, 4, 1, 60)
    refused(put(tmp_path, bytes(content)), "the pixels do not fill the picture")


def test_a_gif_whose_picture_is_smaller_than_its_frame_is_no_map(tmp_path: Path) -> None:
    content = bytearray(packed(GREY, "GIF"))
    content[6:8] = struct.pack("<H", 60)
    refused(put(tmp_path, bytes(content)), "the pixels do not fill the picture")


ERRORS = (ValueError, SyntaxError, OSError, KeyError, IndexError, struct.error, zlib.error, OverflowError, RuntimeError)


@pytest.mark.parametrize("error", [*ERRORS, MemoryError, AssertionError, RecursionError, ZeroDivisionError])
def test_whatever_a_decoder_raises_is_one_line(tmp_path: Path, error: type, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("two\nlines \x1b[31m" + "x" * 5000)

    path = put(tmp_path, WHOLE)
    monkeypatch.setattr(PIL.Image.Image, "load", fail)
    for read in ALL:
        with pytest.raises(DataError) as caught:
            read(path)
        assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value) and len(str(caught.value)) < 600


def test_damaged_exif_turns_nothing(tmp_path: Path) -> None:
    for exif in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM", b"Exif\0\0" + b"\xff" * 40):
        path = put(tmp_path, packed(NOISE, "JPEG", exif=exif), "x.jpg")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_photo_array(path).shape == (30, 40, 3)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_photos_are_turned_as_pillow_turns_them(tmp_path: Path, turn: int, form: str) -> None:
    import PIL.ImageOps

    exif = PIL.Image.Exif()
    exif[0x0112] = turn
    path = put(tmp_path, packed(NOISE, form, exif=exif))
    with PIL.Image.open(path) as image:
        expected = np.asarray(PIL.ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(read_photo_array(path), expected)


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "a pipe, a device or a socket")
    refused(Path("/dev/zero"), "a pipe, a device or a socket")
    refused(tmp_path, "is a folder")
    refused(tmp_path / ("x" * 400), "There is no file|Cannot read")
    (tmp_path / "circle.png").symlink_to("circle.png")
    refused(tmp_path / "circle.png", "Cannot read")


def test_huge_files_and_pictures_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = put(tmp_path, WHOLE)
    os.truncate(path, decoding.MAX_BYTES + 1)
    refused(path, r"1,073,741,825 bytes, more than 1,073,741,824")
    webp = bytearray(packed(COLORED, "WEBP", lossless=True))
    place = webp.index(b"VP8L") + 8
    webp[place + 1 : place + 5] = b"\xff\xff\xff\x0f"
    refused(put(tmp_path, bytes(webp)), r"16384 x 16384 pixels, more than 178,000,000")
    refused(put(tmp_path, packed(PIL.Image.new("L", (65500, 4)), "JPEG").replace(
        struct.pack(">HH", 4, 65500), struct.pack(">HH", 65500, 65500))), "more than 178,000,000", [read_photo])  # fmt: skip


@pytest.mark.parametrize("form", ["GIF", "TIFF"])
def test_pages_are_counted_up_to_a_bound(tmp_path: Path, form: str) -> None:
    tiny = PIL.Image.new("L", (1, 1))
    path = put(
        tmp_path,
        packed(tiny, form, save_all=True, append_images=[PIL.Image.new("L", (1, 1), i % 9) for i in range(1200)]),
    )
    with pytest.warns(UserWarning, match="holds 1000 pictures or more; only the first is read"):
        decoding.open_image(path)


def test_nothing_of_the_decoders_reaches_the_screen(tmp_path: Path) -> None:
    """libtiff writes to stderr by itself, and Pillow warns: neither is shown."""
    tiff = packed(GREY, "TIFF", compression="tiff_lzw")
    broken = put(tmp_path, tiff[:60] + bytes(len(tiff) - 60), "a.tif")
    other = put(tmp_path, tiff[: len(tiff) // 3] + b"\xa5" * 20 + tiff[len(tiff) // 3 + 20 :], "b.tif")
    code = (
        "import sys\nfrom pathlib import Path\nfrom zoo.errors import DataError\nfrom zoo.files.mapfiles import read_map_file\n"
        "for name in sys.argv[1:]:\n    try: read_map_file(Path(name))\n    except DataError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code, broken, other], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout.splitlines()) >= 1


def test_tallies_are_what_numpy_counts() -> None:
    rng = np.random.default_rng(3)
    for colors in (rng.integers(0, 3, (70, 51, 3)), rng.integers(0, 256, (700, 513, 3)), np.zeros((1, 1, 3), int)):
        tally = tally_colors(colors.astype(np.uint8))
        found, counts = np.unique(colors.reshape(-1, 3) @ [65536, 256, 1], return_counts=True)
        assert np.array_equal(tally.keys, found) and np.array_equal(tally.pixels, counts)
        order = np.lexsort((found, -counts))[:30]
        assert tally.top(30) == [(int(found[i]), int(counts[i])) for i in order]
        without = [i for i in np.lexsort((found, -counts)) if i % 2][:30]
        assert tally.top(30, range(0, len(found), 2)) == [(int(found[i]), int(counts[i])) for i in without]
    for values in (rng.integers(0, 256, (600, 700)).astype(np.uint8), rng.integers(-9, 1 << 30, (600, 700))):
        tally = tally_numbers(values)
        found, counts = np.unique(values, return_counts=True)
        assert np.array_equal(tally.keys, found) and np.array_equal(tally.pixels, counts)
