"""Pictures of more than 8 bits a channel: scaled by what the file says of its range, refused where it says nothing. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SIXTEEN = ("I;16", "I;16B", "I;16L", "I;16N")
_LOWEST, _HIGHEST = (340, 280), (341, 281)
"""TIFF tags SMinSampleValue, MinSampleValue and SMaxSampleValue, MaxSampleValue."""


def is_deep(image: Image) -> bool:
    """True for grey of 16 or 32 bits, and for floats."""
    return image.mode in (*SIXTEEN, "I", "F")


def eight_bits(image: Image, path: Path) -> Image:
    """Deep grey as 8 bits: from the range of values that a TIFF states, else that of 16 bits (0..65535).

    Raises DataError for 32 bits and floats without a stated range (white could be 1, 255, 4095, ...), and for values outside it.
    """
    import numpy as np
    import PIL.Image

    values = np.asarray(image).astype(np.float64)
    stated = _stated_range(image)
    if stated is None and (image.mode in SIXTEEN or (image.mode == "I" and image.format == "PNG")):
        stated = (0.0, 65535.0)
    if stated is None or not np.isfinite(values).all():
        found = _range(values)
        raise DataError(
            f"{path}: {'floats' if image.mode == 'F' else '32-bit grey'} with values {found}, and the file does not say which"
            " value is white: scale them to 0..255 and save the photo as 8-bit PNG."
        )
    low, high = stated
    if values.min() < low or values.max() > high:
        raise DataError(
            f"{path} says that its values lie in {low:g}..{high:g}, but they are {_range(values)}: scale them to 0..255 and save"
            " the photo as 8-bit PNG."
        )
    return PIL.Image.fromarray(np.round((values - low) * (255 / (high - low))).astype(np.uint8))


def refuse_fractions(path: Path, image: Image) -> None:
    """Raise DataError for a map of floats that are no whole numbers."""
    if image.mode != "F":
        return
    import numpy as np

    values = np.asarray(image)
    whole = np.isfinite(values) & (values == np.round(values))
    if not whole.all():
        raise DataError(
            f"{path}: {int((~whole).sum())} pixels are no whole numbers (values {_range(values)}); a label map holds class numbers:"
            " save them as an 8-bit PNG, without scaling or smoothing."
        )


def _stated_range(image: Image) -> tuple[float, float] | None:
    tags: Any = getattr(image, "tag_v2", None) or {}
    highest = [n for tag in _HIGHEST if (n := _number(tags.get(tag))) is not None]
    lowest = [n for tag in _LOWEST if (n := _number(tags.get(tag))) is not None]
    low = lowest[0] if lowest else 0.0
    return (low, highest[0]) if highest and low < highest[0] else None


def _number(value: Any) -> float | None:
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if abs(number) < float("inf") else None


def _range(values: np.ndarray) -> str:
    return f"{values.min():g}..{values.max():g}"
