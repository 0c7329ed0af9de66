"""The authors' checkpoints `<name>_with_model.pt`: detection, key mapping, vocabulary (docs/papers/sg2im.md, "Checkpoints").

All three networks keep the authors' keys; ours have their network's name in front.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, numbers, vote
from zoo.errors import WeightsError
from zoo.labels import LabelClass, LabelSpace, voc_color
from zoo.plugin import Match
from zoo.registry import label_space
from zoo_plugins.sg2im.config import GEOMETRIC, Sg2imConfig

PREFIXES = {
    "generator": "generator.", "object-discriminator": "discriminator.objects.", "picture-discriminator": "discriminator.pictures.",
}  # fmt: skip
"""Role -> what our keys begin with."""
PARTS = {
    "generator": (
        "obj_embeddings", "pred_embeddings", "gconv", "gconv_net", "box_net", "mask_net", "rel_aux_net", "refinement_net",
    ),
    "object-discriminator": ("discriminator",), "picture-discriminator": ("cnn", "classifier"),
}  # fmt: skip
"""Role -> what the authors' keys begin with."""
UNUSED = "NONE"
COCO, COCO_SLOTS = "coco-stuff", 184
AMBIGUOUS = (
    "label_space",
    "channels",
    "predicates",
    "height",
    "width",
    "slope",
    "gconv_pooling",
    "align_corners",
    "spare_objects",
)
_COUNTER = re.compile(r"\.running_mean$")


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, object-discriminator, picture-discriminator) -> our state dict, keys prefixed with the
    network. Files of torch before 0.4.1 lack the batch norms' counters: these are 0. config is not needed. Raises WeightsError."""
    del config
    state: dict[str, Tensor] = {}
    for role, tensors in parts.items():
        if role not in PREFIXES:
            raise WeightsError(f"sg2im has no network {role!r}: it has {', '.join(PREFIXES)}.")
        if unknown := [key for key in tensors if key.partition(".")[0] not in PARTS[role]]:
            raise WeightsError(
                f"sg2im's {role} has no {', '.join(unknown[:3])}: its parts are {', '.join(PARTS[role])}."
            )
        for key, tensor in tensors.items():
            state[PREFIXES[role] + key] = tensor
            counter = _COUNTER.sub(".num_batches_tracked", key)
            if counter != key and counter not in tensors:
                state[PREFIXES[role] + counter] = torch.zeros((), dtype=torch.int64)
    return state


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold the generator of sg2im, or one of its discriminators? The config is read off the shapes.

    Not in the shapes: names of objects and predicates, the picture's size, the slope of the leaky ReLUs, how a graph pools, and how masks
    lie in boxes. The first four are in the authors' files beside the weights, and `told` reads them there.
    """
    if has(shapes, r"refinement_net\..*") and has(shapes, r"(?:obj|pred)_embeddings\.weight"):
        return _generator(shapes)
    if has(shapes, r"discriminator\.(?:real|obj)_classifier\..*"):
        return _object_discriminator(shapes)
    if has(shapes, r"cnn\.\d+\.weight") and shapes.get("classifier.weight", ())[2:] == (1, 1):
        return _picture_discriminator(shapes)
    return None


def _generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.sg2im.network import Sg2imNetwork

    modules = numbers(shapes, r"refinement_net\.refinement_modules\.(\d+)\..*")
    first = r"refinement_net\.refinement_modules\.{}\.net\.0\.weight"
    dims = tuple(vote(shapes, (first.format(i), 0, 1)) or 1 for i in modules)
    norm = "none"
    if has(shapes, r"refinement_net\.refinement_modules\.\d+\.net\.1\.running_mean"):
        norm = "batch"
    elif has(shapes, r"refinement_net\.refinement_modules\.\d+\.net\.3\.weight"):
        norm = "instance"
    width = vote(shapes, (r"box_net\.0\.weight", 1, 1), (r"mask_net\.\d+\.bias", 0, 1)) or 1
    layers = numbers(shapes, r"gconv_net\.gconvs\.(\d+)\..*")
    plain = has(shapes, r"gconv\.weight")
    convolutions = len(numbers(shapes, r"mask_net\.(\d+)\.running_mean"))
    objects = vote(shapes, (r"obj_embeddings\.weight", 0, 1)) - 1
    predicates = vote(shapes, (r"pred_embeddings\.weight", 0, 1))
    config: dict[str, Any] = {
        "embedding_dim": vote(shapes, (r"(?:obj|pred)_embeddings\.weight", 1, 1)),
        "gconv_dim": width,
        "gconv_hidden_dim": vote(shapes, (r"(?:box_net|rel_aux_net)\.0\.(?:weight|bias)", 0, 1)),
        "gconv_layers": 0 if plain else 1 + len(layers),
        "mlp_norm": "batch" if has(shapes, r"box_net\.1\.running_mean") else "none",
        "mask_size": 1 << convolutions if has(shapes, r"mask_net\..*") else 0,
        "refinement_dims": dims,
        "norm": norm,
        "noise_dim": max(0, vote(shapes, (first.format(0), 1, 1)) - width - 1),
    }
    side = max(64, 1 << len(dims))
    config |= {"height": side, "width": side, **_names(max(objects, 2), max(predicates, 2))}
    given = dict(shapes) | _counters(shapes)

    def build() -> Any:
        return Sg2imNetwork(Sg2imConfig(**config), objects, predicates)

    return _compared("generator", given, build, config)


def _names(objects: int, predicates: int) -> dict[str, Any]:
    """Names that the numbers make likely."""
    named: dict[str, Any] = (
        {"label_space": COCO, "spare_objects": 1}
        if objects == COCO_SLOTS
        else {**numbered(objects - 1), "spare_objects": 0}
    )
    if predicates != len(GEOMETRIC) + 1:
        named["predicates"] = tuple(f"predicate_{i}" for i in range(1, predicates))
    return named


def _counters(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """The counters of batch norms, which old files lack."""
    return {_COUNTER.sub(".num_batches_tracked", k): () for k in shapes if _COUNTER.search(k)}


def _compared(role: str, shapes: Shapes, build: Any, config: Mapping[str, Any]) -> Match | None:
    return compare(role, shapes, build, lambda keys: {k: k for k in keys}, config, Sg2imConfig, AMBIGUOUS)


def _convolutions(shapes: Shapes, prefix: str) -> str:
    """The text of a discriminator's convolutions, as far as shapes tell it."""
    found = []
    for place in numbers(shapes, rf"{re.escape(prefix)}(\d+)\.weight"):
        shape = shapes[f"{prefix}{place}.weight"]
        if len(shape) == 4:
            found.append(f"C{shape[2]}-{shape[0]}-2")
    return ",".join(found) or "C4-64-2"


def _object_discriminator(shapes: Shapes) -> Match | None:
    from zoo_plugins.sg2im.discriminators import ObjectDiscriminator

    objects = vote(shapes, (r"discriminator\.obj_classifier\.(?:weight|bias)", 0, 1))
    arch, given = _convolutions(shapes, "discriminator.cnn.0."), dict(shapes) | _counters(shapes)
    norm = _norm_of(shapes, "discriminator.cnn.0.")
    return _compared(
        "object-discriminator", given, lambda: ObjectDiscriminator(objects, arch, norm=norm), _names(objects, 7)
    )


def _picture_discriminator(shapes: Shapes) -> Match | None:
    from zoo_plugins.sg2im.discriminators import PatchDiscriminator

    arch, given = _convolutions(shapes, "cnn."), dict(shapes) | _counters(shapes)
    norm = _norm_of(shapes, "cnn.")
    return _compared("picture-discriminator", given, lambda: PatchDiscriminator(arch, norm=norm), {})


def _norm_of(shapes: Shapes, prefix: str) -> Any:
    """By the places of the convolutions: a batch norm has keys, an instance norm a place of its own, no norm neither."""
    if any(k.startswith(prefix) and k.endswith("running_mean") for k in shapes):
        return "batch"
    return "instance" if f"{prefix}3.weight" in shapes else "none"


def told(content: Any) -> tuple[dict[str, Any], LabelSpace | None]:
    """What a file says beside its weights: fields of the config, and the label space of its vocabulary (COCO's own, or one made of the
    names). ({}, None) for a file that says nothing of the kind."""
    kwargs = content.get("model_kwargs") if isinstance(content, Mapping) else None
    if not isinstance(kwargs, Mapping):
        return {}, None
    vocab = kwargs.get("vocab") or content.get("vocab")
    fields: dict[str, Any] = {}
    size = kwargs.get("image_size")
    if isinstance(size, Sequence) and len(size) == 2 and all(type(s) is int for s in size):
        fields |= {"height": size[0], "width": size[1]}
    if isinstance(kwargs.get("activation"), str):
        fields["slope"] = slope_of(kwargs["activation"])
    if kwargs.get("gconv_pooling") in ("avg", "sum"):
        fields["gconv_pooling"] = kwargs["gconv_pooling"]
    named = vocab if isinstance(vocab, Mapping) else {}
    objects, predicates = _names_in(named.get("object_idx_to_name")), _names_in(named.get("pred_idx_to_name"))
    if predicates:
        fields["predicates"] = tuple(predicates[1:])
    if not objects:
        return fields, None
    space = _coco(objects)
    if space is not None:
        return {**fields, "spare_objects": len(objects) - len(space)}, space
    return {**fields, "spare_objects": 0}, space_of(objects)


def slope_of(activation: str) -> float:
    """What the authors' code makes of an activation's name: the slope in `leakyrelu-<slope>`, 0.01 for any other."""
    found = re.fullmatch(r"leakyrelu-(\d*\.?\d+)", activation)
    return float(found[1]) if found else 0.01


def _names_in(values: Any) -> tuple[str, ...]:
    """The values, if they are names, more than one; else none."""
    fits = isinstance(values, Sequence) and len(values) > 1 and all(isinstance(v, str) and v for v in values)
    return tuple(values) if fits else ()


def _coco(objects: Sequence[str]) -> LabelSpace | None:
    """COCO-Stuff's label space, if these are its classes by number."""
    space = label_space(COCO)
    if len(objects) < len(space):
        return None
    same = all(
        name == UNUSED or space.find(name) == number - 1 for number, name in enumerate(objects[: len(space)]) if number
    )
    return space if same and len(objects) - len(space) <= 1 else None


def space_of(objects: Sequence[str]) -> LabelSpace:
    """A label space of a vocabulary: the background first, where the picture's own object has its number, then the objects by number."""
    names = ["background"]
    for number, name in enumerate(objects[1:], 1):
        names.append(f"unused {number}" if name == UNUSED or name in names else name)
    classes = tuple(LabelClass(name, voc_color(number)) for number, name in enumerate(names))
    return LabelSpace("vocabulary", classes, background="background")
