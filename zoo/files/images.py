"""Picture files in and out: clear errors on the way in, never a partial file on the way out. No torch at import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.files.decoding import one_line, open_image, orientation, orientation_of
from zoo.files.depths import eight_bits, is_deep
from zoo.files.writing import write_atomic as write_atomic  # both under their older place, too
from zoo.files.writing import write_text as write_text

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL.Image import Image

_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What turns a photo upright, by its EXIF orientation."""
RLE = 3
"""zlib's strategy for a PNG of a photo: what its filters leave hardly repeats, so the search for repetitions takes three quarters of the
time for a hundredth of the bytes (measured on the published models' pictures). Not for maps."""
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def is_hidden(name: str) -> bool:
    """Names that systems and editors leave behind, which are no data: `._x.png`, `.DS_Store`, `.ipynb_checkpoints`, `Thumbs.db`."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini", "__macosx")


def is_picture(path: Path) -> bool:
    """True for a name that says picture and is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path.name)


def read_photo(path: Path | str) -> torch.Tensor:
    """A photo as float32 RGB in [0, 1], [3, H, W], turned upright by its EXIF tag; alpha is laid on white."""
    return photo_tensor(photo_pixels(open_image(path), Path(path)))


def turn_of(path: Path) -> int:
    """The EXIF orientation of a photo, 1 (as it lies) to 8; 1 where nothing is said or the file cannot be read."""
    return orientation_of(path)


def turn_fault(path: Path | str, size: tuple[int, int], other: tuple[int, int]) -> str:
    """What to say where a photo of (height, width) `size` lies beside a map of `other` because only the photo was turned; else ""."""
    turn = turn_of(Path(path)) if other == size[::-1] else 1
    if turn < 5:
        return ""
    return (
        f" The photo is turned by its EXIF tag (orientation {turn}), as viewers show it, and the map is of the unturned pixels:"
        " turn the map too, or take the tag off the photo (exiftool -Orientation= FILE)."
    )


def is_transparent(image: Image) -> bool:
    """Whether something of a decoded photo is see-through; an alpha that is opaque everywhere does not count."""
    if image.mode not in ("RGBA", "LA", "PA", "La", "RGBa") and "transparency" not in image.info:
        return False
    lowest = image.convert("RGBA").getchannel("A").getextrema()[0]
    return isinstance(lowest, int | float) and lowest < 255


def photo_pixels(image: Image, path: Path) -> np.ndarray:
    """A decoded photo as uint8 RGB [H, W, 3], turned upright by its EXIF tag; alpha is laid on white, deep grey scaled to 8 bits.

    path: for the messages. Raises DataError for depths of which nothing says what is white (`zoo.files.depths.eight_bits`).
    """
    import numpy as np
    import PIL.Image

    with one_line(path):
        turn = orientation(image)
        if is_deep(image):
            image = eight_bits(image, path)
        if turn > 1:
            image = image.transpose(PIL.Image.Transpose[_TURNS[turn]])
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image)
        return np.array(image.convert("RGB"), dtype=np.uint8)


def photo_tensor(pixels: np.ndarray) -> torch.Tensor:
    """float32 [3, H, W] in [0, 1] of uint8 RGB [H, W, 3]; shares no memory with it."""
    import torch

    return torch.from_numpy(pixels).permute(2, 0, 1).float().div_(255)


def to_pil(image: torch.Tensor) -> Image:
    """An RGB picture from float [3, H, W] in [0, 1] (clipped, rounded to the nearest of 256 levels)."""
    import PIL.Image

    pixels = (image.detach().float().clamp(0, 1) * 255).round().byte()
    return PIL.Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def save_image(image: Image, path: Path | str, **options: Any) -> None:
    """Write a PNG under a temporary name, then rename it."""
    write_atomic(Path(path), lambda part: image.save(part, format="PNG", **options))


def save_picture(image: Image, path: Path, quality: int) -> None:
    """Write a picture in the format that its ending says, PNG or JPEG (of this quality, 1 to 100, colours at full resolution)."""
    if path.suffix == ".png":
        save_image(image, path, compress_type=RLE)
    else:
        write_atomic(path, lambda part: image.save(part, format="JPEG", quality=quality, subsampling=0))
