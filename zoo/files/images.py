"""Picture files in and out: clear errors on the way in, never a partial file on the way out. No torch at import."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zoo.errors import DataError
from zoo.files.depths import eight_bits, is_deep
from zoo.files.foreign import kind_of
from zoo.files.writing import write_atomic as write_atomic  # both under their older place, too
from zoo.files.writing import write_text as write_text

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL.Image import Image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MAX_PIXELS = 200_000_000
ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held."""


def is_hidden(name: str) -> bool:
    """Names that systems and editors leave behind, which are no data: `._x.png`, `.DS_Store`, `.ipynb_checkpoints`, `Thumbs.db`."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini", "__macosx")


def is_picture(path: Path) -> bool:
    """True for a name that says picture and is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path.name)


def open_image(path: Path | str) -> Image:
    """A fully decoded PIL picture. Raises DataError for a missing, foreign, truncated or absurdly large file."""
    path = Path(path)
    check_file(path)
    return decode_image(path, path)


def check_file(path: Path) -> None:
    """Raise DataError for a folder, or where there is nothing."""
    if path.is_dir():
        raise DataError(f"{path} is a folder, expected a picture file.")
    if not path.exists():
        near = _near_files(path)
        raise DataError(f"There is no file {path}{near}.")


def decode_image(path: Path, file: Path | IO[bytes]) -> Image:
    """The PIL picture that `file` holds, the bytes of `path` or that path itself. Raises DataError as `open_image` does."""
    import PIL.Image

    try:
        image = PIL.Image.open(file)
        if image.width * image.height > MAX_PIXELS:
            raise DataError(
                f"{path} has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}: scale it down first."
            )
        _tell_pages(image, path)
        image.load()
    except DataError:
        raise
    except PIL.UnidentifiedImageError as error:
        kind = kind_of(_start(file))
        if kind is not None:
            raise DataError(f"{path} is {kind}.") from error
        raise DataError(
            f"{path} is not a picture that can be read ({_size(path)} bytes): expected PNG, JPEG or another common format."
        ) from error
    except PIL.Image.DecompressionBombError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(path, error) from error
    return image


def _tell_pages(image: Image, path: Path) -> None:
    """Warn where one picture of several is read; the previews that phones put behind a JPEG do not count."""
    pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if pages > 1:
        warnings.warn(f"{path} holds {pages} pictures; only the first is read.", stacklevel=3)


def _start(file: Path | IO[bytes]) -> bytes:
    if isinstance(file, Path):
        with file.open("rb") as stream:
            return stream.read(64)
    file.seek(0)
    return file.read(64)


def damaged(path: Path, error: Exception) -> DataError:
    """The error of a file that cannot be read to its end."""
    return DataError(f"{path} is damaged or cut off ({error}): export or download it again.")


def _size(path: Path) -> int:
    return path.stat().st_size


def _near_files(path: Path) -> str:
    from zoo.errors import did_you_mean

    if not path.parent.is_dir():
        return f" (nor a folder {path.parent})"
    return did_you_mean(path.name, [p.name for p in path.parent.iterdir()][:10_000])


def read_photo(path: Path | str) -> torch.Tensor:
    """A photo as float32 RGB in [0, 1], [3, H, W], turned upright by its EXIF tag; alpha is laid on white."""
    return photo_tensor(photo_pixels(open_image(path), Path(path)))


def turn_of(path: Path) -> int:
    """The EXIF orientation of a photo, 1 (as it lies) to 8; 1 where nothing is said or the file cannot be read."""
    import PIL.Image

    try:
        with PIL.Image.open(path) as image:
            turn = image.getexif().get(ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError):
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def turn_fault(path: Path | str, size: tuple[int, int], other: tuple[int, int]) -> str:
    """What to say where a photo of (height, width) `size` lies beside a map of `other` because only the photo was turned; else ""."""
    turn = turn_of(Path(path)) if other == size[::-1] else 1
    if turn < 5:
        return ""
    return (
        f" The photo is turned by its EXIF tag (orientation {turn}), as viewers show it, and the map is of the unturned pixels:"
        " turn the map too, or take the tag off the photo (exiftool -Orientation= FILE)."
    )


def photo_pixels(image: Image, path: Path) -> np.ndarray:
    """A decoded photo as uint8 RGB [H, W, 3], turned upright by its EXIF tag; alpha is laid on white, deep grey scaled to 8 bits.

    path: for the messages. Raises DataError for depths of which nothing says what is white (`zoo.files.depths.eight_bits`).
    """
    import numpy as np
    import PIL.Image
    import PIL.ImageOps

    if is_deep(image):
        turn = image.getexif().get(ORIENTATION)
        image = eight_bits(image, path)
        if turn is not None:
            image.getexif()[ORIENTATION] = turn
    image = PIL.ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def photo_tensor(pixels: np.ndarray) -> torch.Tensor:
    """float32 [3, H, W] in [0, 1] of uint8 RGB [H, W, 3]; shares no memory with it."""
    import torch

    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def to_pil(image: torch.Tensor) -> Image:
    """An RGB picture from float [3, H, W] in [0, 1] (clipped, rounded to the nearest of 256 levels)."""
    import PIL.Image

    pixels = (image.detach().float().clamp(0, 1) * 255).round().byte()
    return PIL.Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def save_image(image: Image, path: Path | str, **options: Any) -> None:
    """Write a PNG under a temporary name, then rename it."""
    write_atomic(Path(path), lambda part: image.save(part, format="PNG", **options))
