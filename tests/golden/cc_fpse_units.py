"""The cases of single blocks, layers and of pre-processing of CC-FPSE. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.preprocess import Preprocess
from zoo.families.spade.fpse import FPSEDiscriminator
from zoo.nn.labels import instance_edges, one_hot
from zoo_plugins.cc_fpse import official
from zoo_plugins.cc_fpse.blocks import ConditionalBlock, PixelwiseDepthwise, Site
from zoo_plugins.cc_fpse.pyramid import layer

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, spade, shared = _beside("recorded"), _beside("spade"), _beside("clade_units")


def our_name(unit: str, key: str, keys: Mapping[str, Tensor]) -> str:
    """Our key of an official one of a unit."""
    if unit == "D":
        return official.rename("discriminator", key, keys) or key
    place = "labelenc1" if unit == "label_layer" else "head_0"
    new = official.rename("generator", f"{place}.{key}") or key
    return new.removeprefix("head_0.").removeprefix("pyramid.encoders.0.")


def make(unit: str, state: Tensors) -> nn.Module:
    """The module of a unit, of the size of its weights."""
    if unit == "D":
        return FPSEDiscriminator(state["embedding.weight"].shape[1], len(state["enc1.0.0.weight_orig"]))
    if unit == "label_layer":
        c_out, c_in, kernel, _ = state["0.0.weight_orig"].shape
        return layer("spectralbatch", c_in, c_out, kernel, stride=2)
    hidden, planes = state["gen_weights1.0.weight"].shape[:2]
    return ConditionalBlock(len(state["norm_1.weight"]), len(state["conv_3.weight"]), planes, hidden)


def run_units(folder: Path) -> Tensors:
    """The units whose weights and inputs the case holds, in both modes; in training mode gradients and buffers too."""
    io, weights = recorded.load(folder / "io.safetensors"), recorded.load(folder / "weights.safetensors")
    out: Tensors = {}
    for unit in sorted({key.partition(".")[0] for key in weights}):
        for mode in ("eval", "train"):
            with recorded.where_held():
                out |= run_unit(unit, mode, io, recorded.held(weights, f"{unit}."))
    with recorded.where_held():
        out["eval/depthconv"] = PixelwiseDepthwise()(io["in/x"], io["in/kernels"])
    return {k: v for k, v in out.items() if k in io}


def run_unit(unit: str, mode: str, io: Tensors, state: Tensors) -> Tensors:
    module = make(unit, state).train(mode == "train")
    module.load_state_dict({our_name(unit, k, state): v for k, v in state.items()}, strict=True)
    out = outputs(f"{mode}/{unit}", module, io, state)
    prefix = f"train/buffer/{unit}."
    after = module.state_dict()
    if mode == "train":
        out |= {k: after[our_name(unit, k.removeprefix(prefix), state)] for k in io if k.startswith(prefix)}
    return {k: v.detach() for k, v in out.items()}


def outputs(name: str, module: nn.Module, io: Tensors, state: Tensors) -> Tensors:
    if isinstance(module, FPSEDiscriminator):
        planes = one_hot(io["in/d_seg_u8"][:, 0].long(), state["embedding.weight"].shape[1])
        opinion = module.judge(spade.unit_images(io["in/d_img_u8"]), planes)
        features = {f"{name.replace('D', 'D_feat')}{i}": group[0] for i, group in enumerate(opinion.features)}
        return features | {f"{name.replace('D', 'D_pred')}{i}": score for i, score in enumerate(opinion.scores)}
    if not isinstance(module, ConditionalBlock):
        return {name: module(io["in/seg"])}
    x = io["in/x"][:, : module.conv_0.norm.num_features].clone().requires_grad_()
    site = Site(io["in/seg"])
    y = module(x, site)
    out = {name: y}
    with torch.no_grad():  # the way without gradients, by chunks of channels
        if not module.training:
            torch.testing.assert_close(module(x, site), y, atol=1e-5, rtol=1e-5)
    (y * io["in/cot"][:, : y.shape[1]]).sum().backward()
    grads = {our_name("block", k, state): k for k in state}
    out |= {f"{name}_grad_{grads[k]}": p.grad for k, p in module.named_parameters() if p.grad is not None}
    return out | ({} if x.grad is None else {f"{name}_grad_x": x.grad})


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Photo, map and instances as the authors' loader gives them, and the planes of the network's input."""
    io, samples = recorded.load(folder / "io.safetensors"), shared.samples_of(folder)
    assert samples is not None, "the pictures of this case lie in the shared folder"
    out: Tensors = {}
    for name, info in case["info"].items():
        way = Preprocess("resize_and_crop", info["load_size"], info["crop_size"])
        window, flip = tuple(info["crop_pos_x_y"]), info["flip"]
        stem = Path(info["file"]).stem
        photo = way.photo(shared.read(next(samples.rglob(info["file"]))), window, flip=flip)
        labels = way.labels(shared.read(map_file(samples, stem, "label")), window, flip=flip)
        classes = info["label_nc"] + info["contain_dontcare_label"]
        planes = one_hot(label_ids(torch.from_numpy(labels), info)[None], classes)
        seen = {"image_u8": torch.from_numpy(photo.transpose(2, 0, 1).copy()), "label_u8": label_ids(torch.from_numpy(labels), info)[None].to(torch.uint8)}  # fmt: skip
        if not info["no_instance"]:
            numbers = way.instances(shared.read(map_file(samples, stem, "inst")).astype("int32"), window, flip=flip)
            seen["instance_i32"] = torch.from_numpy(numbers.copy())[None].to(torch.int32)
            edges = instance_edges(seen["instance_i32"])
            planes = torch.cat([planes, edges], 1)
            seen["edge_u8"] = edges[0].to(torch.uint8)
        seen["semantics_channel_sums"] = planes.sum((0, 2, 3))
        out |= {f"out/{name}/{k}": v for k, v in seen.items()}
    return {k: v for k, v in out.items() if k in io}


def label_ids(labels: Tensor, info: Mapping[str, Any]) -> Tensor:
    """Class ids: 255 is the "don't care" class."""
    return labels.long().masked_fill(labels == 255, info["label_nc"])


def map_file(samples: Path, stem: str, kind: str) -> Path:
    """The label or instance file of a photo."""
    return next(p for p in sorted(samples.rglob(f"{stem}*.png")) if ("inst" in str(p)) == (kind == "inst"))
