"""The authors' checkpoints `model.ckpt` of TensorFlow 1, one per network: detection and key mapping (docs/papers/sims.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from zoo.checkpoints.shapes import Shapes, compare, numbered
from zoo.plugin import Match, WeightsError
from zoo_plugins.sims.config import SIMSConfig
from zoo_plugins.sims.order import OrderNetwork
from zoo_plugins.sims.synthesis import SynthesisNetwork
from zoo_plugins.sims.transform import TransformNetwork

ROLES = ("synthesis", "transform", "order")
STAGE = r"g_(?:encoder_conv|decoder_conv|transform_conv|transfrom_conv|selection_conv)\d|g_decoder_(?:final|512)"
HEAD = r"g_(?:\d{1,5}_conv100|semantic_\d{1,5}(?:_conv100)?|selection_classify)"
_ENDS = {"weights": "weight", "biases": "bias", "LayerNorm/gamma": "norm.weight", "LayerNorm/beta": "norm.bias"}
_PLAIN = {ours: theirs for theirs, ours in _ENDS.items()}
_END = r"(weights|LayerNorm/gamma|LayerNorm/beta)"
_STAGE = re.compile(rf"({STAGE})/(\1_\d)/{_END}")
_SINGLE = re.compile(rf"(g_selection_conv6)/{_END}|({HEAD})/(weights|biases)")
_FREE = ("g_transform_param", "g_b_fc1")
_OURS = re.compile(
    rf"({STAGE})\.\1_\d\.(?:norm\.(?:weight|bias)|weight)|g_selection_conv6\.(?:norm\.(?:weight|bias)|weight)|{HEAD}\.(?:weight|bias)"
)
_TRAINING = re.compile(r".+/Adam(?:_1)?|beta[12]_power(?:_\d)?|global_step")


def rename(key: str) -> str | None:
    """Our name of a variable inside its network, or of a key that has it already; None for any other."""
    if key in _FREE or _OURS.fullmatch(key):
        return key
    if m := _STAGE.fullmatch(key):
        return f"{m[1]}.{m[2]}.{_ENDS[m[3]]}"
    if m := _SINGLE.fullmatch(key):
        return f"{m[1]}.{_ENDS[m[2]]}" if m[1] else f"{m[3]}.{_ENDS[m[4]]}"
    return None


def of_training(key: str) -> bool:
    """Whether a variable belongs to the optimizer and not to the network."""
    return _TRAINING.fullmatch(key) is not None


def official_name(key: str) -> str:
    """The variable of one of our keys inside its network; the inverse of `rename`."""
    if key in _FREE:
        return key
    m = re.fullmatch(r"(.+?)\.((?:norm\.)?(?:weight|bias))", key)
    assert m is not None, key
    return f"{m[1].replace('.', '/')}/{_PLAIN[m[2]]}"


def in_tensorflow(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a variable lies as TensorFlow has it: kernels [height, width, in, out], the matrix [in, 6]."""
    if name == "g_transform_param":
        return len(shape) == 2 and shape[1] == 6 and shape[0] != 6
    single = re.match(rf"{HEAD}|g_selection_conv6", name) is not None
    return len(shape) == 4 and tuple(shape[:2]) == ((1, 1) if single else (3, 3))


def to_torch(name: str, tensor: Tensor) -> Tensor:
    """A variable as torch lays it out."""
    if not in_tensorflow(name, tuple(tensor.shape)):
        return tensor
    return (tensor.T if tensor.dim() == 2 else tensor.permute(3, 2, 0, 1)).contiguous()


def role_of(names: Mapping[str, Any]) -> str | None:
    """The network that most of these variables are of."""
    marks = {"transform": r"g_trans.*|g_b_fc1", "order": r"g_selection_.*"}
    counts = {role: sum(1 for n in names if rename(n) and re.fullmatch(mark, n)) for role, mark in marks.items()}
    counts["synthesis"] = sum(1 for n in names if rename(n)) - sum(counts.values())
    best = max(counts, key=lambda role: counts[role])
    return best if counts[best] else None


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Variables by role -> our state dict. Adam's slots are left out. config is not needed. Raises WeightsError."""
    out: dict[str, Tensor] = {}
    for role, state in parts.items():
        if role not in ROLES:
            raise WeightsError(f"Unknown role {role!r}: the networks of SIMS are {', '.join(ROLES)}.")
        names = {k: rename(k) for k in state if not of_training(k)}
        unknown = sorted(k for k, name in names.items() if name is None)
        if unknown:
            raise WeightsError(
                f"No {role} network of SIMS: {len(unknown)} unknown variables, the first {unknown[:3]}. Try: zoo identify FILE"
            )
        out |= {f"{role}.{name}": to_torch(k, state[k]) for k, name in names.items()}
    return out


# --- detection --------------------------------------------------------------------------------------------------------

NUMBERS = (
    "segment_pixels", "slots", "drop", "parity", "bands", "inner", "painted", "thin", "ground", "planar", "vehicles", "ragged",
    "standing", "buildings",
)  # fmt: skip
"""Fields of retrieval and canvas, which no network's file tells."""
DATA = ("label_space", "channels", "void", "aspect_ratio", "resolution")


def detect(shapes: Shapes) -> Match | None:
    """Which of the three networks does this file hold, if any? Widths, planes and doublings are read off names and shapes.

    Not in the file: class names (20 planes are taken for the training classes of Cityscapes with void), sizes beyond the height in the
    name of the last layer where there is no doubling, and all numbers of retrieval and canvas.
    """
    kept = {k: tuple(s) for k, s in shapes.items() if not of_training(k)}
    role = role_of(kept)
    if role is None:
        return None
    network = {k: _turned(k, s) for k, s in kept.items()}
    found = {name: s for k, s in network.items() if (name := rename(k))}
    return {"synthesis": _synthesis, "transform": _transform, "order": _order}[role](network, found)


def _turned(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if not in_tensorflow(name, shape):
        return shape
    return shape[::-1] if len(shape) == 2 else (shape[3], shape[2], shape[0], shape[1])


def _compare(
    role: str, network: Shapes, build: Callable[[], nn.Module], config: dict[str, Any], ambiguous: tuple[str, ...]
) -> Match | None:
    plain = not any("/" in k for k in network)
    return compare(
        role,
        network,
        build,
        lambda keys: {k: k if plain else official_name(k) for k in keys},
        config,
        SIMSConfig,
        (*DATA, *ambiguous, *NUMBERS),
    )


def _of_planes(planes: int) -> dict[str, Any]:
    """The label space of so many planes, of which the last is that of holes."""
    return {} if planes == 20 else numbered(planes - 1) | {"void": ""}


def _widths(found: Shapes, scope: str) -> tuple[int, ...]:
    """Outputs of the first four stages; 0 where a stage is not there."""
    names = [f"{scope}{n}" for n in range(1, 5)]
    return tuple(found.get(f"{n}.{n}_1.weight", (0,))[0] for n in names)


def _inputs(found: Shapes, scope: str) -> int:
    shape = found.get(f"{scope}1.{scope}1_1.weight", ())
    return shape[1] if len(shape) == 4 else 0


def _synthesis(network: Shapes, found: Shapes) -> Match | None:
    planes, widths = _inputs(found, "g_encoder_conv") - 4, _widths(found, "g_encoder_conv")
    if planes < 2 or min(widths) < 1:
        return None
    names = [m for k in found if (m := re.fullmatch(r"g_(\d+)_conv100\.weight", k))]
    scale = 2 if "g_1024_conv100.weight" in found else int("g_semantic_512.weight" in found)
    height = 256 if scale or not names else int(names[0][1])
    config = {"widths": widths, "scale": scale, **_of_planes(planes), "resolution": 2 * (height << scale)}
    size = (height << scale, 2 * (height << scale))
    return _compare(
        "synthesis",
        network,
        lambda: SynthesisNetwork(planes, widths, size, scale),
        config,
        ("transform_widths", "order_widths", "order_columns"),
    )


def _transform(network: Shapes, found: Shapes) -> Match | None:
    planes = _inputs(found, "g_transform_conv") - 4
    widths = _widths({k.replace("transfrom", "transform"): s for k, s in found.items()}, "g_transform_conv")
    if planes < 2 or min(widths) < 1:
        return None
    config = {"transform_widths": widths, **_of_planes(planes)}
    return _compare(
        "transform",
        network,
        lambda: TransformNetwork(planes, widths, (32, 32)),
        config,
        ("widths", "order_widths", "order_columns", "scale"),
    )


def _order(network: Shapes, found: Shapes) -> Match | None:
    hidden, outputs = (found.get(k, (0,))[0] for k in ("g_selection_conv6.weight", "g_selection_classify.bias"))
    widths = (*_widths(found, "g_selection_conv"), hidden)
    if outputs < 2 or min(widths) < 1:
        return None
    config = {"order_widths": widths, **_of_planes(outputs)}
    return _compare(
        "order",
        network,
        lambda: OrderNetwork(outputs - 1, widths),
        config,
        ("widths", "transform_widths", "order_columns", "scale"),
    )
