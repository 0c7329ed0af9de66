"""Checkpoints of CRN and cIMLE (`model.ckpt` of TensorFlow 1): variables of the cascade and of cIMLE's noise encoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes
from zoo.errors import WeightsError

MODULE = r"g_(?:\d{1,5}|noise)_conv(?:\d|100)"
_ENDS = {"weights": "weight", "biases": "bias", "LayerNorm/gamma": "norm.weight", "LayerNorm/beta": "norm.bias"}
_TRAINING = re.compile(
    rf"(?:{MODULE}/(?:weights|biases|LayerNorm/(?:gamma|beta))/Adam(?:_1)?|beta[12]_power|global_step)"
)
_OURS = re.compile(rf"{MODULE}\.(?:norm\.)?(?:weight|bias)")


def rename(key: str) -> str | None:
    """Our name of a variable, or of a key that has it already; None for any other. Adam's slots have none."""
    if _OURS.fullmatch(key):
        return key
    module, _, rest = key.partition("/")
    return f"{module}.{_ENDS[rest]}" if re.fullmatch(MODULE, module) and rest in _ENDS else None


def of_training(key: str) -> bool:
    """Whether a variable belongs to the optimizer and not to the network."""
    return _TRAINING.fullmatch(key) is not None


def official_name(key: str) -> str:
    """The variable of one of our keys; the inverse of `rename`."""
    module, _, rest = key.partition(".")
    plain = {"weight": "weights", "bias": "biases", "norm.weight": "LayerNorm/gamma", "norm.bias": "LayerNorm/beta"}
    return f"{module}/{plain[rest]}"


def in_tensorflow(name: str, shape: tuple[int, ...]) -> bool:
    """Whether the kernel of a variable lies as TensorFlow has it, [height, width, in, out]."""
    side = 1 if re.search(r"conv100|noise_conv3", name) else 3
    return len(shape) == 4 and tuple(shape[:2]) == (side, side)


def to_torch(name: str, tensor: Tensor) -> Tensor:
    """A variable as torch lays it out."""
    return tensor.permute(3, 2, 0, 1).contiguous() if in_tensorflow(name, tuple(tensor.shape)) else tensor


def network_shapes(shapes: Shapes) -> dict[str, tuple[int, ...]] | None:
    """The network's shapes as torch lays them out, by the file's own names; None where no key is of a cascade."""
    kept = {k: tuple(s) for k, s in shapes.items() if not of_training(k)}
    if not any(rename(k) for k in kept):
        return None
    return {k: (s[3], s[2], s[0], s[1]) if in_tensorflow(k, s) else s for k, s in kept.items()}


def convert(parts: Mapping[str, Mapping[str, Tensor]], title: str) -> dict[str, Tensor]:
    """Variables (role "generator") -> our state dict, keys prefixed with the role; the optimizer's are left out.

    Raises WeightsError for an unknown role or unknown variables.
    """
    out: dict[str, Tensor] = {}
    for role, state in parts.items():
        if role != "generator":
            raise WeightsError(f"Unknown role {role!r}: {title} has one network, the generator.")
        names = {k: rename(k) for k in state if not of_training(k)}
        unknown = sorted(k for k, name in names.items() if name is None)
        if unknown:
            raise WeightsError(
                f"No {title}: {len(unknown)} unknown variables, the first {unknown[:3]}. Try: zoo identify FILE"
            )
        out |= {f"generator.{name}": to_torch(k, state[k]) for k, name in names.items()}
    return out


def read_cascade(shapes: Shapes) -> dict[str, Any]:
    """Config fields that the shapes of a cascade tell: widths, and the picture's height by the last module's name.

    shapes: of `network_shapes`. The coarsest module of a complete file is the first with both convolutions.
    """
    found = {name: shape for k, shape in shapes.items() if (name := rename(k))}
    second = {int(m[1]): s[0] for k, s in found.items() if (m := re.fullmatch(r"g_(\d+)_conv2\.weight", k)) and s}
    heights = sorted(second)[:12]
    if not heights:
        return {}
    height = heights[-1]
    return {"widths": tuple(second[h] for h in heights), "resolution": 2 * height, "aspect_ratio": 2.0}


def read_outputs(shapes: Shapes) -> int:
    """Channels of the 1x1 convolution to the pictures; 0 if there is none."""
    return next((s[0] for k, s in shapes.items() if re.fullmatch(r"g_\d+_conv100\.bias", rename(k) or "") and s), 0)


def read_first(shapes: Shapes) -> int:
    """Input channels of the coarsest module: planes of the map, and of a code; 0 if nothing tells."""
    found = {
        int(m[1]): s
        for k, s in shapes.items()
        if (m := re.fullmatch(r"g_(\d+)_conv1\.weight", rename(k) or "")) and len(s) == 4
    }
    return found[min(found)][1] if found else 0
