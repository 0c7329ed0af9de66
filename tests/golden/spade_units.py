"""The cases of single blocks, layers and of pre-processing of SPADE. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.data.preprocess import Preprocess
from zoo.families.spade.blocks import SPADENorm, SPADEResnetBlock, resize_planes
from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.nn.labels import instance_edges, one_hot
from zoo.nn.losses import kl_divergence
from zoo.nn.norms import conv_norm
from zoo_plugins.spade import official

Tensors = dict[str, Tensor]
CLASSES = 5
"""Of the units' maps, where the case has the map alone and not its planes."""


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def load(module: nn.Module, state: Tensors) -> nn.Module:
    module.load_state_dict({our_name(k): v for k, v in state.items()}, strict=True)
    return module


def our_name(key: str) -> str:
    return key.replace("mlp_shared.0.", "mlp_shared.").replace("weight_orig", "weight")


@torch.no_grad()
def run_block(case: Mapping[str, Any], folder: Path) -> Tensors:
    """One block in evaluation mode at two sizes of its input."""
    io, out = recorded.load(folder / "io.safetensors"), {}
    found = re.search(r"fin=(\d+),fout=(\d+),semantic_nc=(\d+),(\w+)\)", case["module"])
    assert found is not None
    block = SPADEResnetBlock(int(found[1]), int(found[2]), int(found[3]), norm=found[4])
    load(block, load_file(folder / "weights.safetensors"))
    block.eval()
    with recorded.where_held():
        planes, x = one_hot(io["in/label_u8"][:, 0].long(), int(found[3])), io["in/x128"]
        for name, inner in (("128", x), ("64", x[..., ::2, ::2].contiguous())):
            plan = block.plan(resize_planes(planes, (inner.shape[-2], inner.shape[-1])))
            out |= {f"out/block{name}": block(inner, plan), f"out/norm_0_{name}": block.norm_0(inner, plan[0])}
    return {k: v for k, v in out.items() if k in io}


def norm_unit(norm: str) -> Callable[[Tensors], nn.Module]:
    """SPADE of the size of its weights."""

    def make(state: Tensors) -> nn.Module:
        shared = state["mlp_shared.0.weight"].shape  # [hidden, classes, kernel, kernel]
        channels = len(state["mlp_gamma.weight"])
        return SPADENorm(channels, shared[1], norm=norm, kernel=shared[-1], hidden=shared[0])

    return make


def block_unit(norm: str) -> Callable[[Tensors], nn.Module]:
    """A residual block of the size of its weights."""

    def make(state: Tensors) -> nn.Module:
        classes = state["norm_0.mlp_shared.0.weight"].shape[1]
        c_in, c_out = state["conv_0.weight_orig"].shape[1], len(state["conv_1.weight_orig"])
        return SPADEResnetBlock(c_in, c_out, classes, norm=norm)

    return make


def discriminator_unit(state: Tensors) -> nn.Module:
    ndf, channels = state["discriminators.0.layers.0.0.weight"].shape[:2]
    return MultiscaleDiscriminator(channels, ndf)


def conv_unit(norm: str, stride: int, padding: int) -> Callable[[Tensors], nn.Module]:
    """A convolution with its norm, of the size of its weights."""

    def make(state: Tensors) -> nn.Module:
        c_out, c_in, kernel, _ = next(v for k, v in state.items() if k.endswith("weight_orig")).shape
        made = conv_norm(norm, c_in, c_out, kernel, stride, padding)
        return made[0] if norm == "spectral" else made

    return make


UNITS: dict[str, tuple[Callable[[Tensors], nn.Module], str]] = {
    "spade_instance": (norm_unit("instance"), "x6"),
    "spade_syncbatch": (norm_unit("syncbatch"), "x6"),
    "spade_batch": (norm_unit("batch"), "x6"),
    "spade_sync5x5": (norm_unit("syncbatch"), "x3"),
    "block_shortcut": (block_unit("spectralspadesyncbatch3x3"), "x6"),
    "block_identity": (block_unit("spectralspadeinstance3x3"), "x4"),
    "D": (discriminator_unit, "img"),
    "conv_sn_in": (conv_unit("spectralinstance", 2, 1), "img"),
    "conv_sn_bn": (conv_unit("spectralbatch", 2, 1), "img"),
    "conv_sn": (conv_unit("spectral", 1, 2), "img"),
}
"""Name in the case -> (module for its weights, input)."""


@torch.no_grad()
def run_units(folder: Path) -> Tensors:
    """The units whose weights and input the case holds, in both modes; in training mode their buffers too."""
    io, weights = recorded.load(folder / "io.safetensors"), load_file(folder / "weights.safetensors")
    out: Tensors = {}
    for name in UNITS:
        for mode in ("eval", "train"):
            with recorded.where_held():
                out |= run_unit(name, mode, io, weights)
    with recorded.where_held():
        out["unit/kld"] = kl_divergence(io["in/mu"], io["in/logvar"]).view(1)
    with recorded.where_held():
        out["unit/edges_u8"] = instance_edges(io["in/instance_u8"][:, 0]).to(torch.uint8)
    return {k: v for k, v in out.items() if k in io}


def planes_of(io: Tensors) -> Tensor:
    """The planes of the units' map."""
    if "in/seg_onehot" in io or "in/label_u8" not in io:
        return io["in/seg_onehot"]
    return one_hot(io["in/label_u8"][:, 0].long(), CLASSES)


def run_unit(name: str, mode: str, io: Tensors, weights: Tensors) -> Tensors:
    state = recorded.held(weights, f"{name}.")
    if name == "D":
        state = {official.rename("discriminator", k) or k: v for k, v in state.items()}
    make, x = UNITS[name]
    module = load(make(state), state).train(mode == "train")
    out = unit_outputs(f"{mode}/{name}", module, io[f"in/{x}"], io)
    if mode == "train":
        after, prefix = module.state_dict(), f"train/buffer/{name}."
        for key in (k for k in io if k.startswith(prefix)):
            rest = key.removeprefix(prefix)
            ours = official.rename("discriminator", rest) if name == "D" else our_name(rest)
            out[key] = after[ours or ""]
    return out


def unit_outputs(name: str, module: nn.Module, x: Tensor, io: Tensors) -> Tensors:
    if isinstance(module, MultiscaleDiscriminator):
        scales = module(torch.cat([planes_of(io), x], 1))
        return {f"{name}_scale{i}_out{j}": t for i, scale in enumerate(scales) for j, t in enumerate(scale)}
    if not isinstance(module, (SPADENorm, SPADEResnetBlock)):
        return {name: module(x)}
    planes = resize_planes(planes_of(io), (x.shape[-2], x.shape[-1]))
    plan: Any = module.affine(planes) if isinstance(module, SPADENorm) else module.plan(planes)
    return {name: module(x, plan)}


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The photo and the map in every mode of the authors' loader."""
    io, out = recorded.load(folder / "io.safetensors"), {}
    for name, info in case["info"].items():
        way = Preprocess(name.removesuffix("_flip"), info["load_size"], info["crop_size"], info["aspect_ratio"])
        window = (info["crop_pos"][0], info["crop_pos"][1])
        with recorded.where_held():
            photo = way.photo(io["in/image_u8_hwc"].numpy(), window, flip=info["flip"])
            out[f"out/{name}/image_u8"] = torch.from_numpy(np.ascontiguousarray(photo.transpose(2, 0, 1)))
        with recorded.where_held():
            labels = way.labels(io["in/label_u8"].numpy(), window, flip=info["flip"])
            out[f"out/{name}/label_u8"] = torch.from_numpy(labels)[None]
    return out
