"""Checkpoints of the authors: `<step>_G.pth` and `model.pth` are bare state dicts of `unet` (dossier sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from zoo.errors import WeightsError
from zoo.labels import Color, LabelSpace
from zoo.registry import Match
from zoo_plugins.face_parser.unet import widths

ROLE = "parser"
_MARKS = ("conv1.conv1.0.weight", "center.conv1.0.weight", "up_concat4.up.weight", "final.weight")


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """{"parser": official state dict} -> our state dict: the same keys in front of which stands `unet.`.

    A `module.` of DataParallel (`--parallel`) is taken off. config is not needed. Raises WeightsError for another role.
    """
    unknown = [role for role in parts if role != ROLE]
    if unknown or not parts:
        raise WeightsError(
            f"The face parser's checkpoint is one file with the role {ROLE!r}, got {', '.join(unknown) or 'none'}."
        )
    return {f"unet.{key.removeprefix('module.')}": value for key, value in parts[ROLE].items()}


def detect(shapes: Mapping[str, tuple[int, ...]]) -> Match | None:
    """Recognises the U-Net by its keys and reads its sizes off the shapes; None if it is something else.

    Ambiguous: the side (the network takes any multiple of 16), and with unusual widths the feature scale.
    """
    shapes = {key.removeprefix("module."): tuple(shape) for key, shape in shapes.items()}
    if any(mark not in shapes or len(shapes[mark]) != 4 for mark in _MARKS):
        return None
    levels = tuple(
        shapes[f"{block}.conv1.0.weight"][0]
        for block in ("conv1", "conv2", "conv3", "conv4", "center")
        if f"{block}.conv1.0.weight" in shapes
    )
    scales = [scale for scale in range(1, 65) if widths(scale) == levels]
    if not scales or shapes["conv1.conv1.0.weight"][1] != 3:
        return None
    batch_norm = "conv1.conv1.1.weight" in shapes
    config: dict[str, Any] = {"feature_scale": scales[0], "batch_norm": batch_norm}
    ambiguous = ("side",) + (("feature_scale",) if len(scales) > 1 else ())
    expected = set(_keys(batch_norm))
    missing = tuple(sorted(expected - set(shapes)))
    unknown = tuple(sorted(set(shapes) - expected))
    classes = shapes["final.weight"][0]
    if classes != 19:
        ambiguous += ("label_space",)
    return Match(ROLE, config, ambiguous, missing, unknown)


def _keys(batch_norm: bool) -> list[str]:
    blocks = ["conv1", "conv2", "conv3", "conv4", "center", *(f"up_concat{i}.conv" for i in (4, 3, 2, 1))]
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked") if batch_norm else ()
    keys = [f"{block}.conv{i}.0.{part}" for block in blocks for i in (1, 2) for part in ("weight", "bias")]
    keys += [f"{block}.conv{i}.1.{part}" for block in blocks for i in (1, 2) for part in norm]
    keys += [f"up_concat{i}.up.{part}" for i in (4, 3, 2, 1) for part in ("weight", "bias")]
    return [*keys, "final.weight", "final.bias"]


def tester_colors(space: LabelSpace) -> tuple[Color, ...]:
    """The colours of the official trainer's and tester's pictures (`labelcolormap`), in order of the values.

    Quirk kept: for 19 classes value 7 (r_brow) is (51, 255, 255), where the colouring script and our palette have
    (255, 204, 204) (dossier section 1).
    """
    colors = list(space.palette)
    if len(colors) == 19:
        colors[7] = (51, 255, 255)
    return tuple(colors)
