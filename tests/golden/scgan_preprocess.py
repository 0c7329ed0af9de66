"""The pre-processing case of SC-GAN: raw photos and maps through our readings of the authors' data sets.

Loaded by file path, so it imports nothing from its own folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from zoo.families.spade.official_pictures import label_colormap, to_uint8
from zoo_plugins.scgan import preprocess

Tensors = dict[str, Tensor]
_CHANNELS = {"coco": preprocess.coco_channels, "ade": preprocess.ade_channels}


def run_preprocess(case: Mapping[str, Any], io: Tensors) -> Tensors:
    """What each raw pair that the case holds becomes, the colours of labels, and pictures as bytes."""
    out: Tensors = {k: label_colormap(int(k.split("_")[1])) for k in io if k.startswith("colormap_")}
    if "to_uint8_in" in io:
        out["to_uint8_out"] = to_uint8(io["to_uint8_in"])
    for name, record in case["records"].items():
        source, phase = name.split("_")[0], name.split("_")[-1]
        if not {f"{source}_raw_image", f"{source}_raw_label"} <= set(io):
            continue
        channels = _CHANNELS.get(source, preprocess.celeba_channels)
        image, labels = preprocess.prepare_pair(
            io[f"{source}_raw_image"].numpy(), channels(io[f"{source}_raw_label"].numpy()),
            mode=record.get("preprocess_mode", "resize_and_crop"), load_size=record["load_size"],
            crop_size=record["crop_size"], crop=tuple(record["crop_pos_xy"]),
            flip=record["flip"] and phase != "eval",  # drawn in both phases, applied in training only
        )  # fmt: skip
        out |= {f"{name}_image": image, f"{name}_label": labels}
    return out
