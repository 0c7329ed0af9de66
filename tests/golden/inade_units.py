"""The cases of single layers and of data of INADE. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.data.preprocess import Preprocess
from zoo.families.spade.blocks import ResnetBlock, resize_numbers, resize_planes
from zoo.nn.labels import instance_edges
from zoo.nn.latents import reparameterize
from zoo_plugins.inade import official
from zoo_plugins.inade.config import InadeOptions
from zoo_plugins.inade.encoder import InstanceConv2d, InstanceEncoder, Posterior
from zoo_plugins.inade.instances import Shown, renumbered
from zoo_plugins.inade.norms import INADENorm, Site
from zoo_plugins.inade.trainer import divergence

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, family, shared = _beside("recorded"), _beside("spade_family"), _beside("clade_units")


def our_name(name: str, key: str) -> str:
    """Our key of a unit's official one."""
    if name == "encoder":
        return official.rename("encoder", key) or key
    return key.replace("weight_orig", "weight")


def unit(name: str, state: Tensors) -> nn.Module:
    """The module of a unit, of the size of its weights, with them."""
    if name.startswith("iconv"):
        c_out, c_in = state["weight"].shape[:2]
        made: nn.Module = InstanceConv2d(c_in, c_out, stride=int(name[-1]))
    elif name == "encoder":
        made = InstanceEncoder(len(state["layer1.weight"]), len(state["scale_conv_mu.weight"]))
    elif name.startswith("block"):
        kind = "syncbatch" if "norm_0.param_free_norm.running_mean" in state else "instance"
        spectral = "conv_0.weight_orig" in state
        convs = [state[f"conv_{i}.{'weight_orig' if spectral else 'weight'}"].shape for i in (0, 1)]
        classes, noise = len(state["norm_0.weight"]), state["norm_0.fc_noise.weight"].shape[1]

        def norm(channels: int) -> INADENorm:
            return INADENorm(channels, classes, noise, norm=kind)

        made = ResnetBlock(convs[0][1], convs[1][0], norm, spectral=spectral)
    else:
        found = re.match(r"ilade_(instance|syncbatch|batch)", name)
        classes, channels, _ = state["weight"].shape
        noise, sketch = state["fc_noise.weight"].shape[1], "sketch_conv.weight" in state
        made = INADENorm(channels, classes, noise, norm=found[1] if found else "instance", sketch=sketch)
    made.load_state_dict({our_name(name, k): v for k, v in state.items()}, strict=True)
    return made


@torch.no_grad()
def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The layers in both modes, codes, and renumbering."""
    io, weights, out = recorded.load(folder / "io.safetensors"), load_file(folder / "weights.safetensors"), Tensors()
    for name, about in case["modules"].items():
        for mode in ("eval", "train"):
            with recorded.where_held():
                out |= run_unit(name, about["inputs"], mode, io, recorded.held(weights, f"{name}."))
    names = [f"eval/encoder/{kind}_{what}" for what in ("mus", "logvars") for kind in ("scale", "bias")]
    if all(n in out for n in names):
        mu, logvar = (torch.stack([out[n] for n in pair], 2) for pair in (names[:2], names[2:]))
        options = InadeOptions()
        out["unit/kld"] = (options.lambda_kld * divergence(Posterior(mu, logvar), options)).view(1)
        with recorded.where_held():
            out["unit/remapped_noise"] = reparameterize(mu, logvar, io["in/noise3"])
    with recorded.where_held():
        out["out/edge_u8"] = instance_edges(io["in/instance_u8"][:, 0]).to(torch.uint8)
    with recorded.where_held():
        out["out/reid_u8"] = renumbered(io["in/reid_i32"]).to(torch.uint8)
    return {k: v for k, v in out.items() if k in io}


def run_unit(name: str, inputs: list[str], mode: str, io: Tensors, state: Tensors) -> Tensors:
    module = unit(name, state).train(mode == "train")
    x, numbers = io[f"in/{inputs[0]}"], None
    size = (x.shape[-2], x.shape[-1])
    if "soft_inst" not in inputs:
        numbers = io["in/instance_u8"][:, 0].long()
    if isinstance(module, InstanceEncoder) and numbers is not None:
        noise = io["in/noise3"] if "in/noise3" in io else io["in/noise"]
        posterior = module(x, numbers, noise.shape[1])
        both = {"mus": posterior.mu, "logvars": posterior.logvar}
        return {
            f"{mode}/{name}/{kind}_{what}": v[:, :, i]
            for what, v in both.items()
            for i, kind in enumerate(("scale", "bias"))
        }
    if isinstance(module, InstanceConv2d) and numbers is not None:
        return {f"{mode}/{name}": module(x, resize_numbers(numbers, size))}
    if isinstance(module, INADENorm) and numbers is None:
        planes = io["in/soft_seg"][:, : len(module.weight)]
        scale, shift = module.soft_affine(planes, io["in/soft_inst"], io["in/noise"])
        return {f"{mode}/{name}": module.param_free_norm(x) * scale + shift}
    assert numbers is not None
    noise = io["in/noise"]
    labels = io["in/label_u8"][:, 0].long()
    shown = Shown.of(resize_numbers(labels * noise.shape[1] + numbers, size))
    sketch = resize_planes(io["in/sketch_u8"].float(), size) if "sketch" in inputs else None
    classes, codes = shown.values // noise.shape[1], noise[:, shown.values % noise.shape[1]]
    site = Site(shown.index, classes, codes, sketch)
    block = isinstance(module, ResnetBlock)
    out = {f"{mode}/{name}": module(x, (site, site, site if module.learned else None) if block else site)}
    if mode == "train":
        after, prefix = module.state_dict(), f"train/buffer/{name}."
        out |= {k: after[our_name(name, k.removeprefix(prefix))] for k in io if k.startswith(prefix)}
    return out


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Photo, map and instances as the authors' loader gives them: instances are the labels of the whole map, renumbered."""
    io, samples = recorded.load(folder / "io.safetensors"), shared.samples_of(folder)
    assert samples is not None, "the pictures of this case lie in the shared folder"
    seen: Tensors = {}
    for name, info in case["info"].items():
        options = info["options"]
        way = Preprocess("resize_and_crop", options["load_size"], options["crop_size"])
        window, flip = tuple(info["crop_pos"]), info["flip"] and not options["no_flip"]
        photo = next(samples.rglob(info["path"]))
        labels = map_of(samples, info["path"], options["label_nc"], name)
        made = way.photo(shared.read(photo), window, flip=flip)
        seen[f"{name}/image_u8"] = torch.from_numpy(np.ascontiguousarray(made.transpose(2, 0, 1)))
        seen[f"{name}/label_u8"] = torch.from_numpy(way.labels(labels, window, flip=flip))[None]
        numbers = renumbered(torch.from_numpy(labels.astype(np.int64))).numpy().astype(np.int32)
        cut = way.instances(numbers, window, flip=flip).astype(np.uint8)
        seen[f"{name}/instance_u8"] = torch.from_numpy(cut)[None]
    return family.chosen(io, seen)


def map_of(samples: Path, photo: str, classes: int, name: str) -> np.ndarray:
    """The label file of a photo; DeepFashion's 16 labels modulo the number of classes, as the case says."""
    stem = Path(photo).stem
    names = (f"{stem}.png", f"{stem}_label.png")
    path = next(p for p in samples.rglob("*.png") if p.name in names)
    labels = shared.read(path)
    labels = labels if labels.ndim == 2 else labels[..., 0]
    return labels % classes if name.startswith("deepfashion") else labels
