"""Maps the recorded CRN cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

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
from torch import Tensor
from torch.nn import functional as F

from zoo.families.crn.generator import RefineConv, half_areas
from zoo.families.crn.losses import class_terms, diversity_loss, weighted_terms
from zoo.families.crn.perceptual import CAFFE_MEAN, AverageVGG
from zoo.maps import SemanticMap
from zoo.nn.labels import one_hot
from zoo.registry import label_space
from zoo_plugins.crn import official
from zoo_plugins.crn.config import CRNConfig, CRNOptions
from zoo_plugins.crn.model import CRN
from zoo_plugins.crn.trainer import CRNTrainer

Tensors = dict[str, Tensor]
SPACE = label_space("gta5")


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def widths_of(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Channels of each module: `lo` below the height `th`, `hi` from there on, `last` and `last2` of the last ones."""
    widths, heights = config["widths"], [4 << i for i in range((config["sp"] // 4).bit_length())]
    found = [widths["lo"] if height < widths["th"] else widths["hi"] for height in heights]
    last = [widths[name] for name in ("last", "last2") if name in widths]
    return (*found[: len(found) - len(last)], *last)


def build(case: Mapping[str, Any], weights: Tensors) -> CRN:
    """The model of a case with its weights, in evaluation mode."""
    config = case["config"]
    model = CRN(
        CRNConfig(resolution=config["image_hw"][1], widths=widths_of(config), outputs=config["outputs_k"]), SPACE
    )
    names = {official.official_name(k): k for k in weights}
    state = recorded.complete(case, weights, model.generator.state_dict(), lambda key: key)
    assert all(official.rename(name) == key for name, key in names.items())
    model.load_state_dict(official.convert({"generator": state}), strict=True)
    return model.eval()


def stride(name: str, value: Tensor) -> Tensor:
    """The pixels that a name ending in `_sK` means."""
    found = re.search(r"_s(\d+)$", name)
    return value[..., :: int(found[1]), :: int(found[1])] if found else value


def plain(name: str) -> str:
    """A recorded name without its folder and stride."""
    return re.sub(r"_s\d+$", "", name.removeprefix("out/"))


def map_of(io: Tensors) -> SemanticMap:
    """The recorded map."""
    return SemanticMap(io["in/label_u8"][:, 0].long(), SPACE)


def in_bytes(images: Tensor) -> Tensor:
    """About [-1, 1] -> the authors' scale, about 0..255."""
    return (images + 1) / 2 * 255


def forward(model: CRN, io: Tensors) -> tuple[Tensor, Tensors]:
    """(the pictures [k, 3, H, W] with their gradient, what the modules put out on the way)."""
    planes = model.planes(map_of(io))
    seen: dict[str, Any] = {}
    heights = model.generator.heights
    seen |= {f"label_{h}": label for h, label in zip(heights, half_areas(planes, len(heights)), strict=True)}
    hooks = [
        module.register_forward_hook(
            lambda _m, _i, result, name=name: seen.__setitem__(re.sub(r"g_(\d+)_", r"m\1_", name), result.detach())
        )
        for name, module in model.generator.named_modules()
        if isinstance(module, RefineConv)
    ]
    pictures = model.generator(planes)[0]
    for hook in hooks:
        hook.remove()
    seen["image"] = in_bytes(pictures.detach())
    return pictures, seen


@torch.no_grad()
def run_network(case: Mapping[str, Any], folder: Path) -> Tensors:
    io = recorded.load(folder / "io.safetensors")
    found: Tensors = {}
    with recorded.where_held():
        _, seen = forward(build(case, recorded.load(folder / "weights.safetensors")), io)
        found = {k: stride(k, seen[plain(k)]) for k in io if k.startswith("out/") and plain(k) in seen}
    return found


# --- losses -----------------------------------------------------------------------------------------------------------


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Loss tables, gradients, and one step of Adam."""
    io, config = recorded.load(folder / "io.safetensors"), case["config"]
    values = json.loads((folder / "values.json").read_text())
    options = CRNOptions(perceptual="none", divisors=tuple(map(float, config["loss_divisors_p0_to_p5"])))
    trainer = CRNTrainer(build(case, load_file(folder / "weights.safetensors")).train(), options)
    trainer.features = AverageVGG(load_file(folder / "weights_vgg.safetensors"), CAFFE_MEAN, (1.0, 1.0, 1.0))
    trainer.divisors = options.divisors
    model = trainer.synthesizer
    planes, real = model.planes(map_of(io)), io["in/image_u8"].float() / 127.5 - 1
    pictures, seen = forward(model, io)
    pictures.retain_grad()
    levels = trainer.differences(pictures, real)
    found = terms(levels, planes[0], trainer.divisors)
    found["G_loss"].backward()
    assert pictures.grad is not None
    seen["grad_wrt_image"] = pictures.grad / 127.5
    named = dict(model.generator.named_parameters())
    gradients = {k: p.grad for k, p in named.items() if p.grad is not None}
    before = {k: p.detach().clone() for k, p in named.items()}
    trainer.optimizers()["generator"].step()
    seen |= {f"grad/{k}": g for k, g in gradients.items()} | {f"after_step/{k}": p.detach() for k, p in named.items()}
    seen |= {k: v.detach() for k, v in found.items() if v.dim()}
    with torch.no_grad():
        found["G_loss_after_step"] = trainer.loss(planes, real)
    found |= {f"grad_norm/{k}": g.norm() for k, g in gradients.items()}
    found |= {f"adam_delta_norm/{k}": (p.detach() - before[k]).norm() for k, p in named.items()}
    found["adam_step_lr"] = torch.tensor(trainer.rates(0.0, 0)["generator"])
    out = {k: stride(k, seen[plain(k)]) for k in io if k.startswith("out/") and plain(k) in seen}
    due = {*values, *(f"{k}/{inner}" for k, v in values.items() if isinstance(v, dict) for inner in v)}
    return out | {k: v.detach() for k, v in found.items() if k in due and not v.dim()}


def terms(levels: list[Tensor], planes: Tensor, divisors: tuple[float, ...]) -> Tensors:
    """The loss and what it is made of."""
    if len(levels[0]) == 1:
        parts = weighted_terms(levels, divisors)
        return {"G_loss": torch.stack(parts).sum()} | {f"p{i}": p[0] for i, p in enumerate(parts)}
    parts = class_terms(levels, planes, divisors)
    content = torch.stack(parts).sum(0)
    found = {f"p{i}": p for i, p in enumerate(parts)} | {"content_loss": content, "G_loss": diversity_loss(content)}
    found["argmin_per_class"] = content.argmin(0)
    return found | {"sum_of_min": content.amin(0).sum(), "sum_of_mean": content.mean(0).sum()}


# --- single operators -------------------------------------------------------------------------------------------------


@torch.no_grad()
def run_units(folder: Path) -> Tensors:
    """TensorFlow's operators as ours compute them."""
    io = recorded.load(folder / "io.safetensors")
    x, out = io["in/x"], {}
    out["out/up_8x16_align_corners"] = F.interpolate(x, (8, 16), mode="bilinear", align_corners=True)
    out["out/down_2x4_area"] = half_areas(x, 2)[0]
    out["out/down_2x4_legacy_no_align"] = x[..., ::2, ::2]
    out["out/up_8x16_legacy_no_align"] = legacy_doubled(x)
    padded = F.pad(x, (0, 1, 0, 1), value=float("-inf"))
    out["out/max_pool3_s2_same"] = F.max_pool2d(padded, 3, 2)
    out["out/avg_pool3_s2_same"] = F.avg_pool2d(x, 3, 2, 0, ceil_mode=True, count_include_pad=False)
    with recorded.where_held():
        weight = io["w/g_8_conv1.weight"]
        conv = RefineConv(weight.shape[1], len(weight))
        state = {k: io[f"w/g_8_conv1.{k}"] for k in ("weight", "norm.weight", "norm.bias")}
        conv.load_state_dict(state, strict=True)
        out["out/conv_ln_lrelu"] = conv(x)
        out["out/conv_only"] = F.conv2d(x, weight, padding=1)
    return {k: v for k, v in out.items() if k in io}


def legacy_doubled(x: Tensor) -> Tensor:
    """TensorFlow's bilinear doubling without half-pixel shift: every second value is the mean of its neighbours, the last one repeats."""
    for axis in (2, 3):
        following = torch.cat([x.narrow(axis, 1, x.shape[axis] - 1), x.narrow(axis, x.shape[axis] - 1, 1)], axis)
        x = torch.stack([x, (x + following) / 2], axis + 1).flatten(axis, axis + 1)
    return x


def run_label_png(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Colours -> classes, what has no class's colour the last."""
    io = recorded.load(folder / "io.safetensors")
    colours = io["in/rgb_u8"].long()
    palette = torch.tensor([SPACE.palette[i] for i in range(len(SPACE) - 1)])
    same = (colours[:, :, None] == palette).all(3)
    labels = torch.where(same.any(2), same.byte().argmax(2), len(SPACE) - 1)
    return {"out/onehot_u8": one_hot(labels[None], len(SPACE)).to(torch.uint8)}


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    if "config" not in case:
        return run_label_png(case, case_dir) if "palette" in case else run_units(case_dir)
    return run_losses(case, case_dir) if case["mode"] == "loss" else run_network(case, case_dir)
