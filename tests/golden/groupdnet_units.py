"""The cases of single layers and of data of GroupDNet. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.preprocess import Preprocess
from zoo.families.spade.blocks import resize_planes
from zoo.nn.labels import instance_edges, one_hot
from zoo_plugins.groupdnet import official
from zoo_plugins.groupdnet.config import GroupDNetConfig
from zoo_plugins.groupdnet.encoder import class_crops
from zoo_plugins.groupdnet.generator import GroupBlock, read_norm
from zoo_plugins.groupdnet.norms import CGNorm
from zoo_plugins.groupdnet.schedules import norm_groups

Tensors = dict[str, Tensor]
CLASSES = {"deepfashion": 8, "cityscapes": 5, "ade20k": 6}
"""Of the blocks, whose lines in the case do not say it."""


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, spade, formula, shared = (_beside(n) for n in ("recorded", "spade", "weights_recipe", "clade_units"))


def our_name(key: str) -> str:
    """Our key of an official one of a unit."""
    block = re.match(r"(?:conv|norm)_[01s]\.", key)
    prefix = "head_0." if block else "head_0.norm_0."
    return (official.rename("generator", prefix + key) or key).removeprefix(prefix)


def norm_of(channels: int, network: str, classes: int, groups: int, text: str) -> CGNorm:
    spec = read_norm(text)
    layers = norm_groups(GroupDNetConfig(network=network), classes, groups)  # type: ignore[arg-type]
    return CGNorm(channels, layers, classes, norm=spec.kind, kernel=spec.kernel)


def make(what: str) -> tuple[nn.Module, int, int]:
    """(the module of a line of the case, channels of its input, number of classes)."""
    if block := re.match(r"SPADEV2ResnetBlock\((\d+),(\d+),group (\d+)\) (\w+)", what):
        c_in, c_out, groups = map(int, block.groups()[:3])
        classes = CLASSES[block[4]]

        def norm(channels: int) -> CGNorm:
            return norm_of(channels, block[4], classes, groups, "spadesyncbatch3x3")

        return GroupBlock(c_in, c_out, norm, spectral=True, groups=groups), c_in, classes
    channels, classes, groups = (int(re.search(rf"{n} (\d+)", what)[1]) for n in ("norm_nc", "label_nc", "group_num"))  # type: ignore[index]
    text, network = re.search(r"'(\w+)'", what), re.search(r"data_mode (\w+)", what)
    assert network is not None
    return norm_of(channels, network[1], classes, groups, text[1] if text else "spadesyncbatch3x3"), channels, classes


def planes_of(io: Tensors, classes: int) -> Tensor:
    """The planes that norms read; of five classes with edges between them."""
    planes = one_hot(io[f"in/lab{classes}"][:, 0].long(), classes)
    if classes != CLASSES["cityscapes"]:
        return planes
    edges = instance_edges(io["in/inst5_u8"][:, 0].long())
    return torch.stack([planes, edges.expand_as(planes)], 2).flatten(1, 2)


@torch.no_grad()
def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The units whose weights and inputs the case holds, in both modes; in training mode their buffers too; close-ups of classes."""
    io = recorded.load(folder / "io.safetensors")
    stored = recorded.load(folder / "weights.safetensors")
    weights, held = formula.made(case) | stored, {key.partition(".")[0] for key in stored}
    out: Tensors = {}
    for unit, what in ((u, w) for u, w in case["modules"].items() if u in held):
        for mode in ("eval", "train"):
            with recorded.where_held():
                out |= run_unit(unit, what, mode, io, recorded.held(weights, f"{unit}."))
    with recorded.where_held():
        out["out/edge_u8"] = instance_edges(io["in/inst5_u8"][:, 0].long()).to(torch.uint8)
        out["out/cityscapes_seg_interleaved_s4"] = planes_of(io, CLASSES["cityscapes"])[..., ::4, ::4]
    for name, key, classes, step in (
        ("split", "split", 4, 16),
        ("cancel", "cancel_split", 3, 8),
        ("split_cs", "split_cs", 4, 16),
    ):
        with recorded.where_held():
            labels, image = (
                io[f"in/{name}_{n}_u8"].repeat_interleave(8, -1).repeat_interleave(8, -2) for n in ("lab", "img")
            )
            made = class_crops(spade.unit_images(image), one_hot(labels[:, 0].long(), classes))
            out[f"out/{key}_s{step}"] = made[..., ::step, ::step]
    return {k: v for k, v in out.items() if k in io}


def run_unit(unit: str, what: str, mode: str, io: Tensors, state: Tensors) -> Tensors:
    module, channels, classes = make(what)
    # the counts in the file are those after the recorded forward, which began at 0
    begun = {k: torch.zeros_like(v) if k.endswith("num_batches_tracked") else v for k, v in state.items()}
    module.load_state_dict({our_name(k): v for k, v in begun.items()}, strict=True)
    module.train(mode == "train")
    x = io[f"in/x{channels}"]
    planes = resize_planes(planes_of(io, classes), (x.shape[-2], x.shape[-1]))
    plan: Any = module.plan(planes) if isinstance(module, GroupBlock) else module.affine(planes)  # type: ignore[operator]
    out = {f"{mode}/{unit}": module(x, plan)}
    prefix = f"train/buffer/{unit}."
    if mode == "train":
        after = module.state_dict()
        out |= {k: after[our_name(k.removeprefix(prefix))] for k in io if k.startswith(prefix)}
    return out


# --- data: P ----------------------------------------------------------------------------------------------------------


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Photo, map and instances as the authors' loader gives them; instance numbers by their rank."""
    io, samples = recorded.load(folder / "io.safetensors"), shared.samples_of(folder)
    assert samples is not None, "the pictures of this case lie in the shared folder"
    seen: Tensors = {}
    for name, info in case["info"].items():
        o = info["options"]
        way = Preprocess(o["preprocess_mode"], o["load_size"], o["crop_size"], o["aspect_ratio"])
        window, flip = tuple(info["crop_pos"]), info["flip_drawn"] and not o["no_flip"]
        photo, labels = pair_of(case, samples, name, info)
        made = way.photo(photo, window, flip=flip)
        seen[f"{name}/image_u8"] = torch.from_numpy(np.ascontiguousarray(made.transpose(2, 0, 1)))
        seen[f"{name}/label_u8"] = torch.from_numpy(way.labels(labels, window, flip=flip))[None]
        if "instance_values_in_order" in info:
            numbers = way.instances(instances_of(case, labels), window, flip=flip)
            ranks = np.searchsorted(np.array(info["instance_values_in_order"]), numbers).astype(np.uint8)
            seen[f"{name}/instance_rank_u8"] = torch.from_numpy(ranks)[None]
    out: Tensors = {}
    for key in io:
        found = re.fullmatch(r"out/(.*)_s(\d+)", key)
        if found is not None and found[1] in seen:
            out[key] = seen[found[1]][..., :: int(found[2]), :: int(found[2])]
    return out


def _table(text: str) -> np.ndarray:
    """The list of numbers in a line of the case."""
    found = re.search(r"\[([\d, ]+)\]", text)
    assert found is not None
    return np.array([int(n) for n in found[1].split(",")], dtype=np.uint8)


def pair_of(
    case: Mapping[str, Any], samples: Path, name: str, info: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Photo and label map, labels renumbered as the case says."""
    system, (stem, _, _) = name.partition("_")[0], info["file"].rpartition(".")
    if system == "cityscapes":  # the first two of a split by name
        found = re.search(r"town_(\d+)", info["file"])
        assert found is not None
        split = sorted(p for p in (samples / "samples/gta5").rglob("*.png") if f"/{info['phase']}" in str(p))
        photos, maps = ([p for p in split if shared.read(p).ndim == dims] for dims in (3, 2))
        photo, labels = (shared.read(files[int(found[1])]) for files in (photos, maps))
        return photo, _table(case["roots"][system])[labels]
    photo = next(samples.rglob(info["file"]))
    labels = next(p for p in sorted(samples.rglob(f"{stem}*.png")) if p != photo)
    read = shared.read(labels)
    read = read if read.ndim == 2 else read[..., 0]
    return shared.read(photo), _table(case["roots"][system])[read] if system == "deepfashion" else read


def instances_of(case: Mapping[str, Any], labels: np.ndarray) -> np.ndarray:
    """Instance numbers of a Cityscapes map: its ids, and those of things times 1000 and the number of the connected part."""
    from scipy import ndimage

    found = re.search(r"for ids ([\d,]+)", case["roots"]["cityscapes"])
    assert found is not None
    numbers = labels.astype(np.int32)
    for value in map(int, found[1].split(",")):
        parts, _ = ndimage.label(labels == value)
        numbers = np.where(labels == value, value * 1000 + parts - 1, numbers)
    return numbers
