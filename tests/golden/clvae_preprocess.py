"""The pre-processing case of CLVAE: raw photos and maps through our readings of the authors' data sets.

Loaded by file path, so it imports nothing from its own folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zoo.data.preprocess import Preprocess

Tensors = dict[str, Tensor]
READINGS = {
    ("ade20k", True): Preprocess("resize_and_crop", 286, 256),
    ("ade20k", False): Preprocess("resize_and_crop", 256, 256),
    ("deepfashion", False): Preprocess("fixed", 256, 256, 1.0),
    ("gta5", False): Preprocess("fixed", 512, 512, 2.0),
}
"""Data set, training or test: how its pairs are read (docs/papers/clvae.md, "Data")."""


def run_preprocess(case: Mapping[str, Any], io: Tensors) -> Tensors:
    """What each source that the case holds becomes. Labels stay as they are stored: on ADE20K 0 is "unknown"."""
    out: Tensors = {}
    for tag, info in case["info"].items():
        if {f"in/{info['source']}/{k}" for k in ("image_u8_hwc", "label_u8")} <= set(io):
            out |= prepared(io, tag, info)
    return out


def prepared(io: Tensors, tag: str, info: Mapping[str, Any]) -> Tensors:
    """One reading: the photo and the labels."""
    name = info["argv"][info["argv"].index("--dataset_mode") + 1]
    reading = READINGS[name, info["train"]]
    image, labels = (io[f"in/{info['source']}/{k}"].numpy() for k in ("image_u8_hwc", "label_u8"))
    window, flip = tuple(info["crop"] or (0, 0)), bool(info["flip"])
    photo = reading.photo(image, window, flip=flip)  # type: ignore[arg-type]
    out = {f"out/{tag}/image_u8": torch.from_numpy(photo).permute(2, 0, 1)}
    out[f"out/{tag}/label_u8"] = torch.from_numpy(reading.labels(labels, window, flip=flip))[None]  # type: ignore[arg-type]
    return out
