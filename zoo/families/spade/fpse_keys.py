"""Checkpoints of feature-pyramid discriminators (CC-FPSE, SC-GAN): the authors' key names, and which of them a file holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from torch import nn

from zoo.checkpoints.shapes import Shapes, compare, has, vote
from zoo.families.spade import official_keys
from zoo.families.spade.fpse import FPSEDiscriminator, FPSEMDiscriminator
from zoo.families.spade.official_networks import norm_kind
from zoo.registry import Match

_PARAMETER = r"(?:weight|bias|weight_u|weight_v)"
OURS = (
    rf"(?:encoders|laterals|finals)\.\d\.(?:0\.0\.{_PARAMETER}|0\.1\.(?:{_PARAMETER}|running_mean|running_var|num_batches_tracked))|"
    rf"(?:score|segment|embedding)\.{_PARAMETER}"
)
"""A pattern of all keys of ours."""
_RULES: official_keys.Rules = (
    (r"^((?:enc|lat|final)\d\.0)\.(weight|bias)", r"\1.0.\2"),  # without a norm they have no inner Sequential
    (r"^enc(\d)\.", "encoders.{}."),
    (r"^tf1?\.", "score."),
    (r"^seg\.", "segment."),
)
_PYRAMID = re.compile(r"^(lat|final)(\d)\.")
_PYRAMID_CONV = re.compile(r"^((?:enc|lat|final)\d\.0)\.0(\.\w+)$")


def _is_fpsem(keys: Iterable[str]) -> bool:
    return any(k.startswith("lat6.") for k in keys)


def rename(key: str, keys: Iterable[str] = ()) -> str:
    """Our name of an official key (after `official_keys.rename`); other keys stay as they are. keys: all of the file (they tell fpsem
    from fpse)."""
    new = official_keys.apply(_RULES, key)
    if match := _PYRAMID.match(new):  # counted from the scale, which fpsem begins at 3 for `lat`
        first = 3 if match[1] == "lat" and _is_fpsem(keys) else 2
        new = f"{'laterals' if match[1] == 'lat' else 'finals'}.{int(match[2]) - first}." + new[match.end() :]
    return new


def official_names(names: Mapping[str, str], keys: Collection[str]) -> dict[str, str]:
    """Official names of our keys, the inverse of `rename`. names: our keys -> what `official_keys.official_names` gives."""
    fpsem = "laterals.0.0.0.weight" in keys and "segment.weight" not in keys
    back: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
        (r"^encoders\.(\d)\.", lambda m: f"enc{int(m[1]) + 1}."),
        (r"^laterals\.(\d)\.", lambda m: f"lat{int(m[1]) + 2 + fpsem}."),
        (r"^finals\.(\d)\.", lambda m: f"final{int(m[1]) + 2}."),
        (r"^score\.", "tf1." if fpsem else "tf."),
        (r"^segment\.", "seg."),
    )
    found = dict(names)
    for pattern, replacement in back:
        found = {key: re.sub(pattern, replacement, name) for key, name in found.items()}
    return official_keys.unwrapped(found, _PYRAMID_CONV)


def match_fpse(
    shapes: Shapes,
    names: Callable[[Collection[str]], Mapping[str, str]],
    fields: Callable[[int], Mapping[str, Any]],
    defaults: type,
    *,
    build: Callable[[int, int], nn.Module] | None = None,
    kernels: str = r"(?:0\.0|0)\.weight(?:_orig)?",
    constants: Shapes | None = None,
    ambiguous: tuple[str, ...] = ("label_space", "channels", "edges"),
) -> Match | None:
    """`latest_net_D.pth` of an FPSE discriminator.

    names: from our keys to the official ones. fields: from the number of planes to config fields. build: the network of so many planes and
    of this width, where it is none of the two here. kernels: where the width is read off, behind `encN.`.
    """
    planes = vote(shapes, (r"embedding\.weight(?:_orig)?", 1, 1)) or 1
    width = vote(shapes, *((rf"enc{i + 1}\.{kernels}", 0, 1 << i) for i in range(4))) or 64
    norm = norm_kind(shapes, r"(?:enc|lat|final)\d\.0\.0", r"(?:enc|lat|final)\d\.0")
    kind = FPSEMDiscriminator if has(shapes, r"lat6\..*") else FPSEDiscriminator
    make = build or (lambda planes, width: kind(planes, width, norm))
    return compare(
        "discriminator",
        shapes,
        lambda: make(planes, width),
        names,
        fields(planes),
        defaults,
        ambiguous,
        constants=constants,
    )


def is_fpse(shapes: Shapes) -> bool:
    """Whether the keys are those of a feature-pyramid discriminator."""
    return has(shapes, r"enc\d\.(?:0\.|conv_bases\.).*") and has(shapes, r"(?:lat|final)\d\.0\..*")
