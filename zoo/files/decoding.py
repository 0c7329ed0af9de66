"""Every picture of the zoo is opened here: formats that are named, whole files, bounded sizes, one line for whatever is wrong. No torch.

Decoders are outside software that strangers' bytes reach. They are handed only files whose content says one of `FORMATS`
(nothing that starts a program or a network request), that lie on the disk as plain files, and whose outlines are whole.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zoo.errors import DataError, ZooError
from zoo.files.containers import MANY, Container, look_at, stated_size
from zoo.files.foreign import kind_of

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
"""Those that are read, by content; all others are not even tried."""
NAMED = "PNG, JPEG, WebP, TIFF, BMP or GIF"
MAX_PIXELS = 178_000_000
"""Above that Pillow refuses too."""
MAX_BYTES = 1 << 30
"""Of a file; 178 megapixels of four bytes are fewer."""
LOSSLESS_TIFF = (
    *("raw", "raw_16", "tiff_raw_16", "tiff_ccitt", "group3", "group4", "tiff_lzw", "packbits", "tiff_thunderscan"),
    *("tiff_adobe_deflate", "tiff_deflate", "lzma", "zstd"),
)
_WORDS = 200


def open_image(path: Path | str, *, exact: bool = False) -> Image:
    """A fully decoded PIL picture. exact: for maps, where every value counts.

    Raises DataError for a file that is missing, no plain file, too large, of another format, damaged or cut off; with `exact`
    also for one that lost values when it was saved (JPEG, lossy WebP) or would lose them here (16 bits a channel of colours).
    """
    path = Path(path)
    check_file(path)
    return decode_image(path, path, exact=exact)


def check_file(path: Path) -> None:
    """Raise DataError for a folder, a pipe or device, a file of more than `MAX_BYTES`, or where there is nothing."""
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"There is no file {path}{_near_files(path)}.") from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error
    if stat.S_ISDIR(state.st_mode):
        raise DataError(f"{path} is a folder, expected a picture file.")
    if not stat.S_ISREG(state.st_mode):
        raise DataError(f"{path} is a pipe, a device or a socket, expected a picture file.")
    if state.st_size > MAX_BYTES:
        raise DataError(f"{path} has {state.st_size:,} bytes, more than {MAX_BYTES:,}: scale the picture down first.")


def decode_image(
    path: Path, file: Path | IO[bytes], *, exact: bool = False, max_pixels: int = MAX_PIXELS, told: bool = False
) -> Image:
    """The PIL picture that `file` holds, the bytes of `path` or that path itself. Raises DataError as `open_image` does.

    max_pixels: of a larger picture nothing is decoded. told: the caller says himself that of several pictures the first is read.
    """
    with one_line(path), _stream(file) as stream:
        image, container = _opened(path, stream, max_pixels)
        if exact:
            _refuse_lossy(path, image, container)
        if not container.filled or not _filled(image):
            raise ValueError("the pixels do not fill the picture")
        if container.pages > 1 and not told:
            number = f"{MANY} pictures or more" if container.pages == MANY else f"{container.pages} pictures"
            warnings.warn(f"{path} holds {number}; only the first is read.", stacklevel=3)
        image.load()
        orientation(image)  # while the file is open
        return image


def _opened(path: Path, stream: IO[bytes], max_pixels: int = MAX_PIXELS) -> tuple[Image, Container]:
    """A picture whose pixels are not decoded yet."""
    import PIL.Image

    quiet()
    if (
        stated := stated_size(stream)
    ) is not None:  # before its pixels are counted, which takes as long as they are many
        _check_size(path, *stated, max_pixels)
    container = look_at(stream)
    if container is None:
        raise DataError(_foreign(path, stream))
    if container.size is not None:
        _check_size(path, *container.size, max_pixels)
    stream.seek(0)
    try:
        image = PIL.Image.open(stream, formats=(container.format,))
    except PIL.UnidentifiedImageError as error:
        raise ValueError("its header cannot be read") from error
    except PIL.Image.DecompressionBombError as error:
        raise DataError(f"{path} has more than {MAX_PIXELS:,} pixels: scale it down first.") from error
    _check_size(path, image.width, image.height, max_pixels)
    return image, container


def _check_size(path: Path, width: int, height: int, most: int) -> None:
    if width * height > most:
        raise DataError(f"{path} has {width} x {height} pixels, more than {most:,}: scale it down first.")


def orientation(image: Image) -> int:
    """The EXIF orientation, 1 (as it lies) to 8; 1 where nothing is said or what is said cannot be read."""
    with suppress(Exception):  # of what may stand there
        turn = image.getexif().get(0x0112, 1)
        if isinstance(turn, int) and 1 <= turn <= 8:
            return turn
    return 1


def orientation_of(path: Path) -> int:
    """`orientation` of a file, whose pixels are not decoded; 1 for one that cannot be read."""
    try:
        check_file(path)
        with one_line(path), path.open("rb") as stream:
            return orientation(_opened(path, stream)[0])
    except DataError:
        return 1


def _refuse_lossy(path: Path, image: Image, container: Container) -> None:
    lossy, cut = container.lossy, container.cut
    if container.format == "TIFF":
        packed = str(image.info.get("compression", "raw"))
        lossy = None if packed in LOSSLESS_TIFF else f"TIFF with {packed.removeprefix('tiff_').upper()} inside"
        bits: Any = getattr(image, "tag_v2", {}).get(258, (8,))
        cut = image.mode not in ("I", "F") and not image.mode.startswith("I;") and max(bits) > 8
    if lossy is not None:
        raise DataError(
            f"{path} was saved as {lossy}, which changes numbers and colours, so that no label map can be read from it:"
            " use the original map, saved as PNG."
        )
    if cut:
        raise DataError(
            f"{path} holds colours of 16 bits a channel, of which 8 would be lost: save the map with 8 bits, or class numbers as"
            " one channel."
        )


def _filled(image: Image) -> bool:
    """False where the parts that the file holds leave some of its pixels out, which Pillow fills with zeros."""
    parts: Any = getattr(image, "tile", [])
    width, height = getattr(image, "_tile_size", image.size)
    boxes = {tuple(part[1]) for part in parts if part[1] is not None}
    covered = sum(
        max(0, min(right, width) - max(0, left)) * max(0, min(bottom, height) - max(0, top))
        for left, top, right, bottom in boxes
    )
    return not boxes or covered >= width * height


def _foreign(path: Path, stream: IO[bytes]) -> str:
    stream.seek(0)
    kind = kind_of(stream.read(64))
    if kind is not None:
        return f"{path} is {kind}."
    return f"{path} is not a picture that can be read ({stream.seek(0, os.SEEK_END)} bytes): expected {NAMED}."


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside becomes a DataError of one line: decoders raise what they like."""
    try:
        yield
    except ZooError:
        raise
    except MemoryError as error:
        raise DataError(f"{path} does not fit into the memory: scale it down first.") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> DataError:
    """The error of a file that cannot be read to its end."""
    told = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split()) or type(error).__name__
    told = told if len(told) <= _WORDS else told[:_WORDS] + "…"
    return DataError(f"{path} is damaged or cut off ({told}): export or download it again.")


@contextmanager
def _stream(file: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    if isinstance(file, Path):
        with file.open("rb") as stream:
            yield stream
    else:
        yield file


def _near_files(path: Path) -> str:
    from zoo.errors import did_you_mean

    try:
        if not path.parent.is_dir():
            return f" (nor a folder {path.parent})"
        return did_you_mean(path.name, [p.name for p in path.parent.iterdir()][:10_000])
    except (OSError, ValueError):
        return ""


def quiet() -> None:
    """Leave what decoders print and warn of to our own words. Python's filter is set again each time, as others reset it."""
    if not any(f[0] == "ignore" and getattr(f[3], "pattern", None) == _PILLOW for f in warnings.filters[:20]):
        warnings.filterwarnings("ignore", module=_PILLOW)
    _quiet_libtiff()


_PILLOW = r"PIL\."


@cache
def _quiet_libtiff() -> None:
    """Pillow raises an error for what libtiff reports, and libtiff writes it to stderr besides: not to a user's screen.

    Only the library that Pillow's own wheels bring can be told so; another one keeps on writing.
    """
    import ctypes

    import PIL

    home = Path(PIL.__file__).parent
    for library in [*home.parent.glob("pillow.libs/libtiff*"), *home.glob(".dylibs/libtiff*")]:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(str(library)).TIFFSetErrorHandler(None)
