"""The authors' reading of position maps from files (docs/papers/clade.md, "Data"), for comparable numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.data.preprocess import Preprocess
from zoo.nn.positions import class_positions


def official_positions(
    labels: np.ndarray, way: Preprocess, window: tuple[int, int] = (0, 0), *, flip: bool = False
) -> Tensor:
    """Positions float32 [2, h, w] of a label file's values [H, W], as the authors' loader brings them to the size of a pair.

    They are computed at the file's own size. Quirks: they are resized by torch's nearest rule and the labels by Pillow's, so that
    some pixels do not fit; and a flip turns them upside down where labels and photo are mirrored, without a change of signs.
    """
    positions = class_positions(torch.from_numpy(labels.astype(np.int64))[None])
    resized = F.interpolate(positions, size=way.loaded((labels.shape[0], labels.shape[1])), mode="nearest")[0]
    cut = torch.from_numpy(way.finish(resized.permute(1, 2, 0).numpy(), window)).permute(2, 0, 1)
    return cut.flip(1) if flip else cut.contiguous()
