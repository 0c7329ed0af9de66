"""Contact sheets: rows of pictures with thin gaps, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import PIL.Image
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import DataError
from zoo.files.images import save_image, to_pil

PAPER = 0.94


def grid(rows: Sequence[Sequence[Tensor]], *, gap: int = 2, cell: tuple[int, int] | None = None) -> Tensor:
    """One picture float32 [3, H, W] in [0, 1] from rows of pictures [3, h, w] in [0, 1] (grey [1, h, w] too).

    Rows may differ in length; pictures of another size than `cell` (default: the first one's (h, w)) are resized.
    Raises DataError if there is no picture.
    """
    rows = [row for row in rows if len(row)]
    if not rows:
        raise DataError("A contact sheet needs at least one picture.")
    height, width = cell or (int(rows[0][0].shape[-2]), int(rows[0][0].shape[-1]))
    columns = max(len(row) for row in rows)
    sheet = torch.full((3, len(rows) * (height + gap) + gap, columns * (width + gap) + gap), PAPER)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            top, left = gap + r * (height + gap), gap + c * (width + gap)
            sheet[:, top : top + height, left : left + width] = _fit(picture, height, width)
    return sheet


def wrapped(rows: Sequence[Sequence[Tensor]], columns: int) -> list[Sequence[Tensor]]:
    """The rows broken after `columns` pictures, parts of one sample staying below each other (maps above photos)."""
    longest = max((len(row) for row in rows), default=0)
    return [row[start : start + columns] for start in range(0, longest, columns) for row in rows if len(row) > start]


def save_grid(
    rows: Sequence[Sequence[Tensor]], path: Path | str, *, gap: int = 2, cell: tuple[int, int] | None = None
) -> None:
    """Write `grid(rows)` as a PNG (under a temporary name first)."""
    save_image(grid_pil(rows, gap=gap, cell=cell), path)


def grid_pil(rows: Sequence[Sequence[Tensor]], *, gap: int = 2, cell: tuple[int, int] | None = None) -> PIL.Image.Image:
    """`grid(rows)` as a Pillow picture."""
    return to_pil(grid(rows, gap=gap, cell=cell))


def _fit(picture: Tensor, height: int, width: int) -> Tensor:
    picture = picture.detach().float().cpu().clamp(0, 1)
    if tuple(picture.shape[-2:]) != (height, width):
        picture = F.interpolate(picture[None], size=(height, width), mode="bilinear", antialias=True)[0].clamp(0, 1)
    return picture.expand(3, height, width)
