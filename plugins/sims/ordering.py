"""What the ordering network learns from: neighbouring segments of a photo and which is nearer (docs/papers/sims.md, "Training")."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.data import Batch, layers_of
from zoo.files.decoding import open_image
from zoo.plugin import DataError
from zoo_plugins.sims.borders import sobel, widened
from zoo_plugins.sims.pairs import Pair, all_pairs
from zoo_plugins.sims.roles import Roles
from zoo_plugins.sims.segments import Segments, boxes

NEAR = 3
"""Side of the square by which a border is widened to tell neighbours."""
BAND = 11
"""The same to compare disparities on both sides."""


def neighbours(segments: Segments, rows: Tensor, order: Sequence[int], most: int) -> list[Pair]:
    """The first `most` pairs of one map's segments that touch, the farther class first."""
    if not len(rows):
        return []
    masks = segments.masks(rows)
    near = widened(sobel(masks), NEAR).flatten(1).float() @ masks.flatten(1).float().T > 0
    place = {row: i for i, row in enumerate(rows.tolist())}
    touching = near.tolist()
    return [p for p in all_pairs(segments.table, rows, order) if touching[place[p[0]]][place[p[1]]]][:most]


def nearer(segments: Segments, pairs: Sequence[Pair], depth: Tensor, covers: Tensor | None, roles: Roles) -> Tensor:
    """The class in front of each pair, int64 [P], as the ordering network numbers its outputs (the class plus 1).

    depth: [h, w], larger is nearer, 0 where it is not known; the medians of both sides along the common border are compared, of equal
    ones the second is in front. covers: [classes, classes], pixels of the first that lie on the second, which decide where they differ;
    None: nothing is known of that. A class of `planar` lies behind one of `standing` in any case.
    """
    front = []
    for a, b in pairs:
        kinds = int(segments.table[a, 1]), int(segments.table[b, 1])
        if kinds[0] in roles.planar and kinds[1] in roles.standing:
            first = False
        elif covers is not None and covers[kinds[0], kinds[1]] != covers[kinds[1], kinds[0]]:
            first = bool(covers[kinds[0], kinds[1]] > covers[kinds[1], kinds[0]])
        else:
            first = _nearer(segments.masks(torch.tensor([a, b], device=depth.device)), depth)
        front.append((kinds[0] if first else kinds[1]) + 1)
    return torch.tensor(front, dtype=torch.int64, device=depth.device)


def _nearer(masks: Tensor, depth: Tensor) -> bool:
    """Whether the first of two masks is nearer along their border."""
    bands = widened(sobel(masks), BAND)
    shared = bands[0] & bands[1] & (depth > 0)
    sides = [depth[shared & mask] for mask in masks]
    if not (sides[0].numel() and sides[1].numel()):
        return False
    return bool(sides[0].median() > sides[1].median())


def ground_depth(segments: Segments) -> Tensor:
    """In place of a disparity: a segment is as near as its lowest pixel is low, [h, w] of one map; 0 outside of segments (ours)."""
    rows = torch.arange(len(segments.table), device=segments.numbers.device)
    lowest = boxes(segments.masks(rows))[:, 1] + 1 if len(rows) else rows
    return torch.cat([lowest.new_zeros(1), lowest])[segments.numbers[0]].float()


def coverings(batch: Batch, channels: Sequence[int], labels: Tensor, planes: int) -> Tensor | None:
    """Pixels of each class that lie on each other one: int64 [B, classes, classes]; None where neither the data nor the label space knows
    what lies under what. channels: the label space's value of each class. labels: channels [B, H, W]."""
    if batch.layers is None and not any(batch.maps.space.under):
        return None
    layers = layers_of(batch).resize((labels.shape[1], labels.shape[2])).layers[:, list(channels)] > 0.5
    own = torch.nn.functional.one_hot(labels, planes)[..., : len(channels)].flatten(1, 2).float()
    return (own.transpose(1, 2) @ layers.flatten(2).transpose(1, 2).to(own)).long()


# --- disparities on disk ----------------------------------------------------------------------------------------------


def disparity_file(folder: Path, name: str) -> Path | None:
    """The file of a pair's disparity, None where there is none. Cityscapes has a folder for each city, the first word of the name."""
    above, _, stem = name.rpartition("/")
    tries = (f"{name}.png", f"{name}_disparity.png", f"{above}/{stem.partition('_')[0]}/{stem}_disparity.png")
    return next((folder / t for t in tries if (folder / t).is_file()), None)


def check_disparities(folder: Path, names: Sequence[str]) -> None:
    """Raise DataError where a pair has no disparity."""
    lacking = [name for name in names if disparity_file(folder, name) is None]
    if lacking:
        raise DataError(
            f"{folder} has no disparity of {len(lacking)} of {len(names)} pairs, the first {lacking[0]} (a 16-bit PNG"
            f" {lacking[0]}_disparity.png); leave the option disparity out to order segments by their place in the picture."
        )


def read_disparity(folder: Path, name: str, size: tuple[int, int]) -> Tensor:
    """A pair's disparity, float32 [h, w] at (h, w) = size (nearest), 0 where it is not known. Raises DataError for files that are none."""
    path = disparity_file(folder, name)
    if path is None:
        raise DataError(f"{folder} has no disparity of {name}.")
    values = np.asarray(open_image(path))
    if values.ndim != 2:
        raise DataError(f"{path} is no disparity: expected a PNG with one 16-bit number per pixel.")
    found = torch.from_numpy(values.astype(np.float32))[None, None]
    return torch.nn.functional.interpolate(found, size=size, mode="nearest-exact")[0, 0]
