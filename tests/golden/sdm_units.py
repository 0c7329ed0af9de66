"""The cases of single layers, tables, losses and pre-processing of SDM. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.nn.labels import instance_edges, one_hot
from zoo_plugins.sdm.blocks import (
    AttentionBlock,
    Downsample,
    ResBlock,
    SDMResBlock,
    SPADEGroupNorm,
    Upsample,
    timestep_embedding,
)
from zoo_plugins.sdm.losses import discretized_log_likelihood, normal_kl
from zoo_plugins.sdm.schedule import Tables, betas, respaced, spaced_steps

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


sdm = _beside("sdm")
recorded = sdm.recorded


def flag(text: str, name: str) -> bool:
    """Whether a description says so: {'up': True}."""
    return re.search(rf"'{name}': True", text) is not None


def number(text: str, name: str, default: int) -> int:
    found = re.search(rf"'{name}': (\d+)", text)
    return int(found[1]) if found else default


@torch.no_grad()
def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, out = recorded.load(folder / "io.safetensors"), {}
    weights = load_file(folder / "weights.safetensors") if (folder / "weights.safetensors").exists() else {}
    for run in (run_layers, run_tables, run_functions, run_networks):
        with recorded.where_held():
            run(case, folder, io, weights, out)
    return {k: v for k, v in out.items() if k in io}


def run_layers(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    """Every layer that has weights here."""
    constants = sdm.constants(case)
    groups, hidden = constants["groups"], constants["spade_hidden"]
    for name, text in case["modules"].items():
        with recorded.where_held():
            out[f"out/{name}"] = run_layer(case, name, text, io, weights, groups, hidden)


def run_layer(
    case: Mapping[str, Any], name: str, text: str, io: Tensors, weights: Tensors, groups: int, hidden: int
) -> Tensor:
    """What one layer puts out."""
    x = io["in/x"]
    if text.startswith("same"):  # "same weights" of the one before; "same, ..." with weights of its own
        before = list(case["modules"])[list(case["modules"]).index(name) - 1]
        own = any(k.startswith(f"{name}/") for k in weights)
        state = recorded.held(weights, f"{name if own else before}/")
        text_before = case["modules"][before]
    else:
        state, text_before = recorded.held(weights, f"{name}/"), text
    state = {k.replace("mlp_shared.0.", "mlp_shared."): v for k, v in state.items()}
    labels = io["in/seg_u8"][:, 0].long()
    channels = next((v.shape[1] for k, v in state.items() if k.endswith("mlp_shared.weight")), int(labels.max()) + 1)
    planes = one_hot(labels, channels) * (0 if "seg = 0" in text else 1)
    if "AttentionBlock" in text_before:
        heads = x.shape[1] // int(re.search(r"num_head_channels (\d+)", text_before)[1])  # type: ignore[index]
        layer: nn.Module = AttentionBlock(x.shape[1], heads, groups=groups, new_order="use_new_attention_order" in text)
        arguments: tuple[Any, ...] = (x,)
    elif "sample with conv" in text:
        layer, arguments = (Downsample if text.startswith("Down") else Upsample)(x.shape[1]), (x,)
    elif text_before.startswith("SPADEGroupNorm"):
        layer, arguments = SPADEGroupNorm(x.shape[1], channels, groups=groups, hidden=hidden), (x, planes)
    else:
        fields: dict[str, Any] = {"groups": groups, "scale_shift": flag(text, "use_scale_shift_norm")}
        fields |= {"up": flag(text, "up"), "down": flag(text, "down"), "conv_shortcut": flag(text, "use_conv")}
        width, embedding = x.shape[1], io["in/emb"].shape[1]
        out = number(text, "out_channels", width)
        if text.startswith("SDM"):
            layer = SDMResBlock(width, embedding, out, channels, hidden=hidden, scale=2, **fields)
        else:
            layer = ResBlock(width, embedding, out, **fields)
        arguments = (x, io["in/emb"], planes)
    layer.load_state_dict(state, strict=True)
    return layer.eval()(*arguments)


def run_tables(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    """Embeddings, schedules, respaced processes."""
    for key in io:
        if found := re.fullmatch(r"out/temb_(\d+)(_float)?", key):
            times = torch.tensor([0.25, 998.5]) if found[2] else torch.tensor([0, 1, 500, 999])
            out[key] = timestep_embedding(times, int(found[1]))
        elif found := re.fullmatch(r"out/betas_(\w+)_(\d+)", key):
            out[key] = torch.from_numpy(betas(found[1], int(found[2])))
        elif found := re.fullmatch(r"out/resp_([^/]+)/(\w+?)(_every25)?", key):
            tables = Tables(respaced(betas("linear", 1000), spaced_steps(1000, found[1])))
            out[key] = torch.from_numpy(getattr(tables, found[2])[:: 25 if found[3] else 1])


def run_functions(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    """Divergence, likelihood, borders."""
    out["out/edges_u8"] = instance_edges(io["in/inst_u8"][:, 0].long()).to(torch.uint8)
    constant = torch.full_like(io["in/inst_u8"][:, 0].long(), 7)
    out["out/edges_const_u8"] = instance_edges(constant).to(torch.uint8)
    m1, l1 = io["in/m1"], io["in/l1"]
    out["out/normal_kl"] = normal_kl(m1, l1, io["in/m2"], io["in/l2"])
    out["out/disc_ll"] = discretized_log_likelihood(io["in/px"], 0.3 * m1, 0.5 * l1 - 3)


def run_networks(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    """The whole network of the case that is named, on maps of one class, without a map, and in half precision."""
    home = folder.parent / re.search(r"weights of (\w+)", case["tensors"]["out/net_*"])[1]  # type: ignore[index]
    if not (home / "case.json").exists():
        return
    base, x, t = json.loads((home / "case.json").read_text()), io["in/net_x"], torch.tensor([10])
    model = sdm.build(base, recorded.load(home / "weights.safetensors"), sdm.side(x))

    def planes(labels: Tensor) -> Tensor:
        return model.planes(sdm.SemanticMap(labels, model.label_space))

    zero = torch.zeros(1, *sdm.side(x), dtype=torch.int64)
    for key in io:
        if found := re.fullmatch(r"out/net_oneclass(\d+)", key):
            out[key] = model.unet(x, t, planes(zero + int(found[1])))
    out["out/net_zero"] = model.unet(x, t, torch.zeros_like(planes(zero)))
    shown = planes(io["in/net_lab_u8"][:, 0].long())
    out["out/net_fp32"] = model.unet(x, t, shown)
    model.unet.half_precision()
    out["out/net_fp16_cpu"] = model.unet(x, t, shown)
