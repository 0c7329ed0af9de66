"""The cases of single layers, tables, losses and pre-processing of SDM. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.data.preprocess import Preprocess
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
from zoo_plugins.sdm.config import SDMConfig
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
    before = list(case["modules"])[list(case["modules"]).index(name) - 1]
    text_before = case["modules"][before] if text.startswith("same") else text
    state = recorded.held(weights, f"{before if text.startswith('same weights') else name}/")
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
            lists = re.findall(r"of \[([^\]]+)\]", case["tensors"]["out/temb_D"])
            times = torch.tensor([float(n) for n in lists[bool(found[2])].split(",")])
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
    if found := re.search(r"t=(\d+)", case["tensors"]["out/net_*"]):
        t = torch.tensor([int(found[1])])
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


# --- data ---------------------------------------------------------------------------------------------------------


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Pairs of the shared samples as the authors' data sets give them; those whose files are not there are not due."""
    io, root, out = recorded.load(folder / "io.safetensors"), folder.parents[2] / "data", {}
    for run, info in case["info"].items():
        if "draws" not in info:
            continue
        with recorded.where_held():
            photo, labels, instances = sources(info, root)
            fields = run_pair(run, info, photo, labels, instances)
            out |= {f"{run}/{name}_u8_s4": value[:, ::4, ::4] for name, value in fields.items()}
            if "edge" in fields:
                out[f"info/{run}/edge pixels"] = fields["edge"].sum()
    return {k: v for k, v in out.items() if k in io or k.startswith("info/")}


def opened(root: Path, text: str) -> Path:
    """The file that a source names. Raises Lacking where it is not there."""
    name = text.split(" ")[0]
    found = next((p for p in (root / name, root / "samples" / name) if p.exists()), None)
    if found is None:
        raise recorded.Lacking(name)
    return found


def sources(info: Mapping[str, Any], root: Path) -> tuple[Any, Any, Any]:
    """Photo, labels as the networks number them, object numbers (or None), in the files' sizes."""
    stored = info["sources"]
    if stored[0].startswith("label, image:"):
        return enlarged(stored[0], root)
    photo = np.array(Image.open(opened(root, stored[0])).convert("RGB"))
    labels = np.array(Image.open(opened(root, stored[1])))
    if "ade20k" in stored[1]:
        labels = labels - np.uint8(1)  # 0 becomes 255, which is the last channel
        labels[labels == 255] = 150
    elif "coco" in stored[1]:
        labels = np.where(labels == 255, 182, labels).astype(np.uint8)
    return photo, labels, labels.astype(np.int32) if "edge pixels" in info else None


def enlarged(text: str, root: Path) -> tuple[Any, Any, Any]:
    """A pair of GTA-5 with every pixel four times four, and numbers of objects: the class, for things a thousand of it and a number."""
    folder, name = re.search(r"(samples/\w+) (\S+\.png)", text).groups()  # type: ignore[union-attr]
    files = sorted((root / folder).rglob(name))
    if len(files) < 2:
        raise recorded.Lacking(name)
    images = [Image.open(f) for f in files]
    (labels,) = (np.array(i) for i in images if i.mode in ("L", "P"))
    (photo,) = (np.array(i.convert("RGB")) for i in images if i.mode not in ("L", "P"))
    labels, photo = (a.repeat(4, 0).repeat(4, 1) for a in (labels, photo))
    across = np.arange(labels.shape[1])[None] // 300
    return photo, labels, np.where(labels >= 8, labels.astype(np.int32) * 1000 + across, labels)


def run_pair(run: str, info: Mapping[str, Any], photo: Any, labels: Any, instances: Any) -> Tensors:
    """Resized, cut and mirrored as the draws say; the borders that the network sees."""
    height, width = info["image shape"][1:]
    draws, size, window = info["draws"], (height, width), (0, 0)
    least, beyond = draws[0]["randrange args"] if draws else (min(height, width), min(height, width) + 1)
    way = Preprocess("short_side_range_and_crop", beyond - 1, least)
    if draws or "centre" in run:
        chosen = (draws[0]["value"] - least + 0.5) / (beyond - least) if draws else 0.0
        size = way.drawn(labels.shape, chosen)
        window = (draws[2]["value"], draws[1]["value"]) if draws else ((size[1] - width) // 2, (size[0] - height) // 2)
    fields = {}
    for name, array in (("image", photo), ("label", labels), ("instance", instances)):
        if array is not None:
            part = way.finish(way.resized(array, size), window, flip=info["flip"]) if size != (height, width) else None
            part = (
                np.ascontiguousarray(way.resized(array, size)[:, :: -1 if info["flip"] else 1])
                if part is None
                else part
            )
            fields[name] = torch.from_numpy(part).permute(2, 0, 1) if part.ndim == 3 else torch.from_numpy(part)[None]
    if "instance" in fields:
        fields["edge"] = borders(fields.pop("instance"))
    return fields


def borders(numbers: Tensor) -> Tensor:
    """Of object numbers [1, H, W], those above the limit being one."""
    return instance_edges(numbers.long().clamp_max(SDMConfig.instance_limit))[0].to(torch.uint8)
