"""The cases of single layers and of data of CLADE. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.data.preprocess import Preprocess
from zoo.families.spade.blocks import ResnetBlock, resize_numbers, resize_planes
from zoo.nn.labels import instance_edges
from zoo.nn.positions import class_positions
from zoo_plugins.clade import official
from zoo_plugins.clade.norms import CLADENorm, ClassSite
from zoo_plugins.clade.positions import official_positions

Tensors = dict[str, Tensor]
DATA = "data"
"""Beside the golden cases: the maps and photos of the cases of data."""


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, family = _beside("recorded"), _beside("spade_family")


def our_name(key: str) -> str:
    """Our key of a block's official one."""
    new = official.rename("generator", f"head_0.{key}")
    return (new or key).removeprefix("head_0.")


def load(module: nn.Module, state: Tensors) -> nn.Module:
    module.load_state_dict({our_name(k): v for k, v in state.items()}, strict=True)
    return module


def norm_of(state: Tensors, kind: str) -> CLADENorm:
    """A norm of the size of its weights; with names as in a block (`norm_0.…`)."""
    rows, channels = state["norm_0.class_specified_affine.weight"].shape
    edges = "norm_0.inst_conv.weight" in state
    positions = "norm_0.class_specified_affine.dist_conv_w.weight" in state
    return CLADENorm(channels, rows, norm=kind, edges=edges, positions=positions)


def unit(name: str, state: Tensors) -> CLADENorm | ResnetBlock:
    """The module of a unit, with its weights."""
    if name.startswith("block"):
        kind = "syncbatch" if "norm_0.param_free_norm.running_mean" in state else "instance"
        example = norm_of(state, kind)
        spectral, appended = "conv_0.weight_orig" in state, int(example.edge_conv is not None)
        convs = [state[f"conv_{i}.{'weight_orig' if spectral else 'weight'}"].shape for i in (0, 1)]

        def norm(channels: int) -> CLADENorm:
            positions = example.scale_position is not None
            return CLADENorm(channels, len(example.weight), norm=kind, edges=bool(appended), positions=positions)

        block = ResnetBlock(convs[0][1] - appended, convs[1][0], norm, spectral=spectral, appended=appended)
        load(block, state)
        return block
    if "weight" in state:  # the tables alone
        state = {f"class_specified_affine.{k}": v for k, v in state.items()}
    state = {f"norm_0.{k}": v for k, v in state.items()}
    found = re.match(r"light_([a-z]+)", name)
    made = norm_of(state, found[1] if found else "instance")
    made.load_state_dict({our_name(k).removeprefix("norm_0."): v for k, v in state.items()}, strict=True)
    return made


def site_of(case: Mapping[str, Any], io: Tensors, size: tuple[int, int]) -> ClassSite:
    """What a unit reads of the map."""
    if case["seg"] == "in/soft_seg":
        return ClassSite(io["in/soft_seg"].argmax(1))
    classes = resize_numbers(io["in/label_u8"][:, 0].long(), size)
    if "tie" in case["seg"]:  # two channels are 1 everywhere
        ones = [int(n) for n in re.findall(r"\d+", case["seg"])[:2]]
        planes = torch.zeros(len(classes), max(ones) + 1, *size)
        planes[:, ones] = 1
        return ClassSite(planes.argmax(1))
    edges = resize_planes(instance_edges(io["in/instance_u8"][:, 0]), size) if "edge" in case["seg"] else None
    return ClassSite(classes, edges, resize_planes(io["in/dist"], size) if case["dist"] else None)


@torch.no_grad()
def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The layers in both modes, and what is computed of maps."""
    io, weights, out = recorded.load(folder / "io.safetensors"), load_file(folder / "weights.safetensors"), Tensors()
    for name, about in case["modules"].items():
        for mode in ("eval", "train"):
            with recorded.where_held():
                out |= run_unit(name, about, mode, io, recorded.held(weights, f"{name}."))
    with recorded.where_held():
        out["out/edge_u8"] = instance_edges(io["in/instance_u8"][:, 0]).to(torch.uint8)
    with recorded.where_held():
        toy = io["in/dist_toy_u8"].long()[None]
        out |= {f"out/dist_toy_{n}": class_positions(toy, normalize=n == "norm")[0] for n in ("norm", "no")}
    for key in io:
        if (found := re.fullmatch(r"out/dist_ade_val_(\d+)_s(\d+)", key)) and (samples := samples_of(folder)):
            labels = torch.from_numpy(read(next(samples.rglob(f"ADE_val_{int(found[1]):08d}.png"))))
            step = int(found[2])
            out[key] = class_positions(labels.long()[None])[0, :, ::step, ::step]
    return {k: v for k, v in out.items() if k in io}


def run_unit(name: str, about: Mapping[str, Any], mode: str, io: Tensors, state: Tensors) -> Tensors:
    module = unit(name, state).train(mode == "train")
    x = io[about["x"]]
    site = site_of(about, io, (x.shape[-2], x.shape[-1]))
    if isinstance(module, ResnetBlock):
        result = module(x, (site, site, site if module.learned else None))
    elif name.startswith("affine"):  # the tables alone: x is not normalised
        gamma, beta = module.affine(site)
        result = x * gamma + beta
    else:
        result = module(x, site)
    out = {f"{mode}/{name}": result}
    if mode == "train":
        after, prefix = module.state_dict(), f"train/buffer/{name}."
        for key in (k for k in io if k.startswith(prefix)):
            rest = key.removeprefix(prefix)
            out[key] = after[our_name(rest) if rest in after or isinstance(module, ResnetBlock) else rest]
    return out


# --- data ----------------------------------------------------------------------------------------------------------------


def samples_of(folder: Path) -> Path | None:
    """The shared data, if the case lies in the shared folder."""
    found = [p / DATA for p in folder.resolve().parents if (p / DATA / "samples").is_dir()]
    return found[0] if found else None


def read(path: Path) -> np.ndarray:
    return np.array(PIL.Image.open(path))


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Photo, map and positions as the authors' loader gives them."""
    io, out, samples = recorded.load(folder / "io.safetensors"), Tensors(), samples_of(folder)
    assert samples is not None, "the pictures of this case lie in the shared folder"
    seen: Tensors = {}
    for name, info in case["info"].items():
        options = info.get("options", {})
        way = Preprocess("resize_and_crop", options.get("load_size", 286), options.get("crop_size", 256))
        window, flip = tuple(info.get("crop_pos", (0, 0))), info.get("flip", False) and not options.get("no_flip")
        if "path" in info:
            photo = next(samples.rglob(info["path"]))
            labels = read(next(samples.rglob(Path(info["path"]).with_suffix(".png").name)))
            made = way.photo(read(photo), window, flip=flip)
            seen[f"{name}/image_u8"] = torch.from_numpy(np.ascontiguousarray(made.transpose(2, 0, 1)))
            seen[f"{name}/label_u8"] = torch.from_numpy(way.labels(labels, window, flip=flip))[None]
        else:
            labels = read(next(p for p in samples.rglob(info["source"].split()[1]) if read(p).ndim == 2))
            sizes = re.search(r"crop_size (\d+), aspect (\d+)", info["what"])
            assert sizes is not None
            way = Preprocess("fixed", int(sizes[1]), int(sizes[1]), float(sizes[2]))
        seen[f"{name}/dist"] = official_positions(labels, way, window, flip=flip)
    return out | family.chosen(io, seen)
