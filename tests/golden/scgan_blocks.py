"""The case of single blocks and operators of SC-GAN. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from zoo.families.spade.blocks import SPADEResnetBlock, resize_planes
from zoo.nn.resample import binomial_blur
from zoo_plugins.scgan import official
from zoo_plugins.scgan.blocks import SCC, SCN, SCResnetBlock, Site
from zoo_plugins.scgan.svg import gaussian_window, iterative_gaussian, pool_channels

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


@torch.no_grad()
def run_blocks(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, weights = recorded.load(folder / "io.safetensors"), load_file(folder / "weights.safetensors")
    out: Tensors = {}
    for name in io:
        kind, *rest = name.split("|")
        with recorded.where_held():
            if kind == "SCResnetBlock":
                out[name] = run_block(case["opt"], io, weights, *rest)
            elif kind == "SPADEResnetBlock":
                out[name] = run_spade_block(case["opt"], io, weights, *rest)
            elif kind == "IterativeGaussian":
                out[name] = run_gaussian(io, rest)
            elif kind == "pool" and rest[0] == "out":
                out[name] = pool_channels(io[f"pool|in|{rest[1]}"], int(rest[1].split("->")[1]))
            elif name in OPERATORS:
                out[name] = OPERATORS[name](io, weights)
    return out


def _state(weights: Tensors, prefix: str) -> Tensors:
    found = recorded.held(weights, prefix)
    return {official.rename("generator", f".{k}").removeprefix("."): v for k, v in found.items()}


def run_block(opt: Mapping[str, Any], io: Tensors, weights: Tensors, norm: str, widths: str, mode: str) -> Tensor:
    c_in, c_out = map(int, widths.split("-"))
    block = SCResnetBlock(
        c_in, c_out, planes=opt["semantic_nc"], n=opt["num_experts_conv"], m=opt["num_experts_norm"], norm=norm
    )
    block.load_state_dict(_state(weights, f"SCResnetBlock|{norm}|{widths}/"), strict=True)
    block.train(mode == "train")
    planes = resize_planes(io["seg"], tuple(io["x"].shape[-2:]))  # type: ignore[arg-type]
    return block(io["x"], block.plan(Site(io["v_conv"], io["v_norm"], planes)))


def run_spade_block(opt: Mapping[str, Any], io: Tensors, weights: Tensors, norm: str, widths: str, mode: str) -> Tensor:
    c_in, c_out = map(int, widths.split("-"))
    block = SPADEResnetBlock(c_in, c_out, opt["semantic_nc"], norm=norm)
    block.load_state_dict(_state(weights, f"SPADEResnetBlock|{norm}|{widths}/"), strict=True)
    block.train(mode == "train")
    return block(io["x"], block.plan(resize_planes(io["seg"], tuple(io["x"].shape[-2:]))))  # type: ignore[arg-type]


def run_gaussian(io: Tensors, rest: list[str]) -> Tensor:
    if rest[0].startswith("window"):
        size, sigma = rest[0].removeprefix("window").split("_")
        window = gaussian_window(int(size), float(sigma))
        return torch.outer(window, window)[None, None]
    options = dict(part.split("=") for part in rest)
    return iterative_gaussian(io["seg"], gaussian_window(7, 1.5), int(options["iters"]), options["relative"] == "True")


def run_scc(weights: Tensors, x: Tensor, routing: Tensor) -> Tensor:
    state = _state(weights, "SCC/")
    kernels = [v for k, v in sorted(state.items())]
    scc = SCC(kernels[0].shape[1], kernels[0].shape[0], len(kernels), spectral=False)
    scc.load_state_dict(state, strict=True)
    return scc(x, routing)


def run_scn(weights: Tensors, x: Tensor, routing: Tensor) -> Tensor:
    state = _state(weights, "SCN/")
    scn = SCN(x.shape[1], len(state["table"]), "instance")  # no buffers are stored: it has none
    scn.load_state_dict(state, strict=False)
    return scn.eval()(x, routing)


OPERATORS: dict[str, Callable[[Tensors, Tensors], Tensor]] = {
    "SCC|out": lambda io, weights: run_scc(weights, io["x"], io["v_conv"]),
    "SCC|out_global_routing": lambda io, weights: run_scc(weights, io["x"], io["v_conv"].mean((2, 3), keepdim=True)),
    "SCC|out_per_channel": lambda io, weights: run_scc(weights, io["x"], io["SCC|v_per_channel"]),
    "SCN|out": lambda io, weights: run_scn(weights, io["x"], io["v_norm"]),
    "Blur|out": lambda io, _weights: binomial_blur(io["Blur|in"]),
}
