"""Maps the recorded cIMLE cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

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
from safetensors.torch import load_file
from torch import Tensor

from zoo.data.rarity import BINS, pixel_weights, rarities
from zoo.families.crn.generator import every_second, half_areas
from zoo.families.crn.losses import weighted_terms
from zoo.families.crn.perceptual import CAFFE_MEAN, AverageVGG
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo_plugins.cimle import official
from zoo_plugins.cimle.config import CIMLEConfig, CIMLEOptions
from zoo_plugins.cimle.model import CIMLE
from zoo_plugins.cimle.trainer import CIMLETrainer

Tensors = dict[str, Tensor]
SPACE = label_space("gta5")


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def build(case: Mapping[str, Any], weights: Tensors) -> CIMLE:
    """The model of a case with its weights, in evaluation mode."""
    config, widths = case["config"], case["config"]["widths"]
    heights = [4 << i for i in range((config["sp"] // 4).bit_length())]
    model = CIMLE(
        CIMLEConfig(
            resolution=config["image_hw"][1],
            widths=tuple(widths["lo"] if h < widths["th"] else widths["hi"] for h in heights),
            noise=config["num_noise"],
            encoder_width=widths["ne"],
        ),
        SPACE,
    )
    state = recorded.complete(case, weights, model.generator.state_dict(), lambda key: key)
    model.load_state_dict(official.convert({"generator": state}), strict=True)
    return model.eval()


def stride(name: str, value: Tensor) -> Tensor:
    """The pixels that a name ending in `_sK` means."""
    found = re.search(r"_s(\d+)$", name)
    return value[..., :: int(found[1]), :: int(found[1])] if found else value


def plain(name: str) -> str:
    """A recorded name without its folder and stride."""
    return re.sub(r"_s\d+$", "", name.removeprefix("out/"))


def planes_of(model: CIMLE, io: Tensors) -> Tensor:
    """The recorded map's planes."""
    return model.planes(SemanticMap(io["in/label_u8"][:, 0].long(), SPACE))


def in_bytes(images: Tensor) -> Tensor:
    """About [-1, 1] -> the authors' scale, about 0..255."""
    return (images + 1) / 2 * 255


@torch.no_grad()
def run_network(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Samples of one map, each with what the modules put out on the way."""
    io, seen = recorded.load(folder / "io.safetensors"), {}
    with recorded.where_held():
        model = build(case, recorded.load(folder / "weights.safetensors"))
        planes = planes_of(model, io)
        for i, noise in enumerate(io["in/noise"].split(1)):
            hooks = [
                module.register_forward_hook(
                    lambda _m, _i, result, name=name, i=i: seen.__setitem__(f"{i}/{named(name)}", result)
                )
                for name, module in model.generator.named_modules()
                if re.fullmatch(r"g_\w+_conv[123]", name)
            ]
            seen[f"{i}/image"] = in_bytes(model.generator(planes, noise)[0])
            for hook in hooks:
                hook.remove()
            heights, code = model.generator.heights, seen[f"{i}/noise_code"]
            for height, small in zip(heights, every_second(code, len(heights)), strict=True):
                seen[f"{i}/noise_code_down_{height}"] = small
    return {k: stride(k, seen[plain(k)]) for k in io if k.startswith("out/") and plain(k) in seen}


def named(module: str) -> str:
    """A module's name in the case."""
    short = module.removeprefix("g_")
    return "noise_code" if short == "noise_conv3" else re.sub(r"^(\d+)_", r"m\1_", short)


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    """All candidates' terms, the choice, its gradients, and one step of Adam."""
    io, config = recorded.load(folder / "io.safetensors"), case["config"]
    options = CIMLEOptions(perceptual="none", divisors=tuple(map(float, config["loss_divisors_p0_to_p5"])))
    trainer = CIMLETrainer(build(case, load_file(folder / "weights.safetensors")).train(), options)
    trainer.features = AverageVGG(load_file(folder / "weights_vgg.safetensors"), CAFFE_MEAN, (1.0, 1.0, 1.0))
    trainer.divisors = options.divisors
    model, mask = trainer.synthesizer, io["in/loss_mask"]
    planes, real = planes_of(model, io), io["in/image_u8"].float() / 127.5 - 1
    out: Tensors = {f"out/mask_area_{2**i}": m for i, m in enumerate(reversed(half_areas(mask, 5)))}
    totals = []
    with torch.no_grad():
        for i, noise in enumerate(io["in/noise_candidates"].split(1)):
            levels = trainer.differences(model.generator(planes, noise)[:, 0], real)
            terms = weighted_terms(levels, trainer.divisors, mask)
            totals.append(float(torch.stack(terms).sum()))
            out |= {f"candidates/{i}/p{level}": term[0] for level, term in enumerate(terms)}
            out[f"candidates/{i}/G_loss"] = trainer.distances(planes, real, noise, mask)[0]
    chosen = min(range(len(totals)), key=totals.__getitem__)
    noise = io["in/noise_candidates"][chosen : chosen + 1]
    out["chosen"] = torch.tensor(chosen)
    with torch.no_grad():
        out["out/image_chosen"] = in_bytes(model.generator(planes, noise)[0])
    trainer.distances(planes, real, noise, mask).mean().backward()
    parameters = dict(model.generator.named_parameters())
    before = {k: p.detach().clone() for k, p in parameters.items()}
    gradients = {k: p.grad.clone() for k, p in parameters.items() if p.grad is not None}
    trainer.optimizers()["generator"].step()
    out |= {f"out/grad/{k}": g for k, g in gradients.items()}
    out |= {f"out/after_step/{k}": p.detach() for k, p in parameters.items()}
    out |= {f"grad_norm_chosen/{k}": g.norm() for k, g in gradients.items()}
    out |= {f"adam_delta_norm/{k}": (p.detach() - before[k]).norm() for k, p in parameters.items()}
    out["adam_lr"] = torch.tensor(trainer.rates(0.0, 0)["generator"])
    with torch.no_grad():
        out["G_loss_after_step"] = trainer.distances(planes, real, noise, mask)[0]
    values = json.loads((folder / "values.json").read_text())
    due = set(scalars("", values))
    return {k: v for k, v in out.items() if k in io or k in due}


def scalars(path: str, value: Any) -> list[str]:
    """The paths of all numbers in a nested value."""
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        return [name for key, inner in parts for name in scalars(f"{path}/{key}".strip("/"), inner)]
    return [path]


def run_start(folder: Path) -> Tensors:
    """A CRN as cIMLE starts from it."""
    io = recorded.load(folder / "io.safetensors")
    names = {
        "conv100_weight": "g_8_conv100.weight",
        "conv100_bias": "g_8_conv100.bias",
        "conv1_weight": "g_8_conv1.weight",
    }
    state = {ours: io[f"in/{theirs}"] for theirs, ours in names.items()}
    made = official.from_crn(state, io["in/randn"].shape[1], lambda key, shape: io["in/randn"])
    return {f"out/{theirs}": made[ours] for theirs, ours in names.items()}


def run_rarity(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Colours, rarities, weights of pixels, and the images that are drawn."""
    io, config = recorded.load(folder / "io.safetensors"), case["config"]
    labels, images = io["in/labels_u8"].numpy().astype(np.int64), io["in/images_u8"].numpy()
    classes = len(SPACE)
    planes = labels[..., None] == np.arange(classes)
    areas = planes.sum((1, 2)).astype(np.float64)
    areas_of_images = areas.copy()
    areas[config["excluded_index"]] = 0
    shown = areas > 0
    sums = np.einsum("nhwp,nhwc->npc", planes.astype(np.float64), images.astype(np.float64))
    colours = np.where(shown[..., None], sums / np.maximum(areas, 1)[..., None], -1.0)
    rarity = rarities(colours, shown, stand_in=True)
    found: dict[str, Any] = {"out/avgcolor_f64": colours, "out/rarity_f64": rarity, "out/areas_f64": areas_of_images}
    found["out/rarity_mask"] = np.stack([pixel_weights(*pair) for pair in zip(labels, rarity, strict=True)])
    bins = {
        label: np.cumsum(rarity[:, label] / rarity[:, label].sum())
        for label in range(classes)
        if rarity[:, label].any()
    }
    found |= {f"out/bin_{label}_f64": values for label, values in bins.items()}
    with recorded.where_held():
        draws = io["in/u"].numpy()
        indices = [int(np.searchsorted(bins[BINS[i % len(BINS)]], u)) for i, u in enumerate(draws)]
        found["out/sampled_index"] = np.array(indices)
    return {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in found.items() if k in io}


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    if "config" not in case:
        return run_start(case_dir)
    if "excluded_index" in case["config"]:
        return run_rarity(case, case_dir)
    return run_losses(case, case_dir) if case["mode"] == "train" else run_network(case, case_dir)
