"""Checkpoints of the authors: `<step>_G.pth` and `model.pth` are bare state dicts of `unet` (docs/papers/face_parser.md, "Checkpoints")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, vote
from zoo.labels import Color
from zoo.plugin import LabelSpace, Match, WeightsError
from zoo_plugins.face_parser.config import FaceParserConfig
from zoo_plugins.face_parser.unet import UNet, level_widths

ROLE = "parser"
_BLOCKS = ("conv1", "conv2", "conv3", "conv4", "center", *(f"up_concat{i}.conv" for i in (4, 3, 2, 1)))


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """{"parser": official state dict} -> our state dict: the same keys in front of which stands `unet.`.

    A `module.` of DataParallel (`--parallel`) is taken off. config is not needed. Raises WeightsError for another role and
    for unknown keys.
    """
    others = [role for role in parts if role != ROLE]
    if others or not parts:
        raise WeightsError(
            f"The face parser's checkpoint is one file with the role {ROLE!r}, got {', '.join(others) or 'none'}."
        )
    state = {key.removeprefix("module."): value for key, value in parts[ROLE].items()}
    known = set(_keys())
    unknown = sorted(key for key in state if key not in known)
    if unknown:
        raise WeightsError(
            f"No face parser's checkpoint: {len(unknown)} unknown keys, the first {unknown[:3]}. Try: zoo identify FILE"
        )
    return {f"unet.{key}": value for key, value in state.items()}


def detect(shapes: Shapes) -> Match | None:
    """Recognises the U-Net by its keys and reads its sizes off the shapes; None if it is something else.

    Ambiguous: the classes' names and order, the side (the network takes any multiple of 16) and how photos are brought to
    it, and with unusual widths the feature scale.
    """
    shapes = {key.removeprefix("module."): tuple(shape) for key, shape in shapes.items()}
    if not has(shapes, r"(?:center|up_concat[1-4]\.conv)\.conv[12]\.0\.weight|up_concat[1-4]\.up\.weight"):
        return None
    # a level's width is the output of its block, and of the decoder's of the same level
    levels = [
        vote(shapes, (rf"(?:{block}|up_concat{i}\.conv)\.conv[12]\.[01]\.(?:weight|bias)", 0, 1))
        for i, block in enumerate(_BLOCKS[:5], 1)
    ]
    agreeing = {s: sum(a == b for a, b in zip(level_widths(s), levels, strict=True)) for s in range(1, 65)}
    scales = [scale for scale, count in agreeing.items() if count == max(agreeing.values())]
    batch_norm = has(shapes, r".*\.conv[12]\.1\.running_mean")
    classes = vote(shapes, (r"final\.(?:weight|bias)", 0, 1)) or 19
    config: dict[str, Any] = {"feature_scale": scales[0], "batch_norm": batch_norm}
    if classes != 19:
        config |= numbered(classes)
    ambiguous = ("label_space", "channels", "side", "resize", *(("feature_scale",) if len(scales) > 1 else ()))
    return compare(
        ROLE,
        shapes,
        lambda: UNet(classes, scales[0], batch_norm=batch_norm),
        lambda keys: {key: key for key in keys},
        config,
        FaceParserConfig,
        ambiguous,
    )


def _keys() -> list[str]:
    """All keys of the U-Net, those of the norms too."""
    keys = [f"{block}.conv{i}.0.{part}" for block in _BLOCKS for i in (1, 2) for part in ("weight", "bias")]
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys += [f"{block}.conv{i}.1.{part}" for block in _BLOCKS for i in (1, 2) for part in norm]
    keys += [f"up_concat{i}.up.{part}" for i in (4, 3, 2, 1) for part in ("weight", "bias")]
    return [*keys, "final.weight", "final.bias"]


def tester_colors(space: LabelSpace) -> tuple[Color, ...]:
    """The colours of the official trainer's and tester's pictures (`labelcolormap`), in order of the values.

    Quirk kept: for 19 classes value 7 (r_brow) is (51, 255, 255), where the colouring script and our palette have
    (255, 204, 204) (docs/papers/face_parser.md, "Colours").
    """
    colors = list(space.palette)
    if len(colors) == 19:
        colors[7] = (51, 255, 255)
    return tuple(colors)
