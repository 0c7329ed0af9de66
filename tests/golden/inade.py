"""Maps the recorded INADE cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.nn.latents import reparameterize
from zoo_plugins.inade import official
from zoo_plugins.inade.config import InadeConfig, InadeOptions
from zoo_plugins.inade.encoder import Posterior
from zoo_plugins.inade.generator import INADEPlan
from zoo_plugins.inade.model import INADE
from zoo_plugins.inade.trainer import InadeTrainer, InstanceOutputs

Tensors = dict[str, Tensor]
ENCODER = {
    **{f"layer{i + 1}": f"layers.{i}" for i in range(4)}, "middle": "middle", **{f"up{i + 1}": f"ups.{i}" for i in range(3)},
    "scale_conv_mu": "heads.scale_mu", "scale_conv_var": "heads.scale_logvar", "bias_conv_mu": "heads.shift_mu",
    "bias_conv_var": "heads.shift_logvar",
}  # fmt: skip
NORMS = {"norm": "layers.", "norm_up": "ups."}
"""Norms hold no keys: `norm1` follows `layer1`, `norm_up1` follows `up1`."""


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, spade, family = _beside("recorded"), _beside("spade"), _beside("spade_family")
_OPTIONS = {k: v for k, v in recorded.NETWORK.items() if k != "norm_E"} | {
    "use_vae": "use_vae", "noise_nc": "noise_dim", "add_sketch": "sketch",
}  # fmt: skip


def config_of(opt: Mapping[str, Any]) -> InadeConfig:
    """Our config from the authors' options."""
    return InadeConfig(**recorded.options(opt, _OPTIONS))


def options_of(opt: Mapping[str, Any]) -> InadeOptions:
    """Our training options from the authors'."""
    return InadeOptions(
        ttur=not opt.get("no_TTUR", False), perceptual="none", **recorded.options(opt, recorded.TRAINING)
    )


def build(opt: Mapping[str, Any], folder: Path) -> INADE:
    """The model of a case with its weights, in evaluation mode."""
    model = INADE(config_of(opt), numbered_space(opt["label_nc"] + bool(opt["contain_dontcare_label"])))
    family.load_weights(model, folder, official)
    return model.eval()


def map_of(model: INADE, io: Tensors) -> SemanticMap:
    """The recorded map with its instances."""
    return SemanticMap(io["in/label_u8"][:, 0].long(), model.label_space, io["in/instance_u8"][:, 0].long())


def plan_of(model: INADE, io: Tensors, noise: Tensor, rows: slice = slice(None)) -> INADEPlan:
    """The plan of the recorded map, whose instance numbers are the places in the noise."""
    labels, numbers = (io[k][rows, 0].long() for k in ("in/label_u8", "in/instance_u8"))
    return model.generator.plan(labels, numbers, noise.shape[1])


def encode(model: INADE, io: Tensors) -> Posterior:
    """Codes of the recorded photos, one for each number up to the largest of the batch."""
    assert model.encoder is not None
    numbers = io["in/instance_u8"][:, 0].long()
    return model.encoder(spade.unit_images(io["in/image_u8"]), numbers, int(numbers.max()) + 1)


def codes_of(posterior: Posterior) -> Tensors:
    """Codes by their recorded names."""
    both = {"mus": posterior.mu, "logvars": posterior.logvar}
    return {f"{kind}_{name}": v[:, :, i] for name, v in both.items() for i, kind in enumerate(("scale", "bias"))}


# --- networks: A, B -----------------------------------------------------------------------------------------------


@torch.no_grad()
def run_networks(case: Mapping[str, Any], folder: Path) -> Tensors:
    io = recorded.load(folder / "io.safetensors")
    model = build(case["official_options"], folder)
    seen: Tensors = {}
    with recorded.where_held():
        seen["edge_u8"] = model.planes(map_of(model, io))[:, -1:].to(torch.uint8)
    posterior = None
    if model.encoder is not None:
        with recorded.where_held():
            posterior = run_encoder(model, io, seen)
    if posterior is not None or model.encoder is None:
        with recorded.where_held():
            run_generator(model, io, posterior, seen)
    with recorded.where_held():
        plan, z = plan_of(model, io, io["in/noise"]), io["in/noise_ins"]
        seen["prior_sample"] = model.generator(plan, z, io["in/noise"])
    with recorded.where_held():
        run_demo(case, model, io, posterior, seen)
    out = family.chosen(io, seen)
    if any(k.startswith("train/") for k in io):
        out |= run_training(model.train(), io, folder)
    return out


def run_generator(model: INADE, io: Tensors, posterior: Posterior | None, seen: Tensors) -> None:
    """The picture of the case's options, and what the modules put out on the way, by the name of the module."""
    noise = remapped(io["in/noise"], posterior)
    with family.outputs_seen(model.generator, seen):
        seen["sample"] = model.generator.render(plan_of(model, io, noise), io["in/noise_ins"], noise)


def remapped(noise: Tensor, posterior: Posterior | None) -> Tensor:
    return noise if posterior is None else reparameterize(posterior.mu, posterior.logvar, noise)


def run_encoder(model: INADE, io: Tensors, seen: Tensors) -> Posterior:
    """Codes, and what the layers put out on the way."""
    assert model.encoder is not None
    inner: Tensors = {}
    with family.outputs_seen(model.encoder, inner, suffix=""):
        posterior = encode(model, io)
    numbers = io["in/instance_u8"][:, 0].long()
    features = model.encoder.features(spade.unit_images(io["in/image_u8"]), numbers)
    inner |= {f"heads.{name}": head(features, numbers) for name, head in model.encoder.heads.items()}
    seen |= {f"enc/{name}": v for name, v in codes_of(posterior).items()}
    seen |= {f"enc/{theirs}_out": inner[ours] for theirs, ours in ENCODER.items()}
    for prefix, ours in NORMS.items():
        layers = {k: v for k, v in inner.items() if k.startswith(ours)}
        seen |= {f"enc/{prefix}{int(k[len(ours) :]) + 1}_out": F.instance_norm(v) for k, v in layers.items()}
    return posterior


def run_demo(case: Mapping[str, Any], model: INADE, io: Tensors, posterior: Posterior | None, seen: Tensors) -> None:
    """The authors' demo on the first map: explicit noise, and one instance in the style of another photo's.

    Quirk of theirs, which no function of ours has: the instance takes the code of the shifts for the scales, too.
    """
    noise, z = io["in/demo_noise"], io["in/demo_noise_ins"]
    plan = plan_of(model, io, noise, slice(0, 1))
    seen["demo_plain_sample"] = model.generator(plan, z, noise)
    found = re.search(r"reference = image (\d+): instance (\d+) takes the code of reference instance (\d+)", json.dumps(case["tensors"]))  # fmt: skip
    if found is None or posterior is None:
        return
    image, target, reference = map(int, found.groups())
    mu, logvar = (p[image, reference, 1] for p in posterior)
    noise = noise.clone()
    noise[:, target] = reparameterize(mu, logvar, noise[:, target])
    seen["demo_ref_sample"] = model.generator(plan, z, noise)


def run_training(model: INADE, io: Tensors, folder: Path) -> Tensors:
    """One forward in training mode, and the buffers that it changed."""
    out: Tensors = {}
    with recorded.where_held():
        noise = remapped(io["in/noise"], None if model.encoder is None else encode(model, io))
        fake = model.generator.render(plan_of(model, io, noise), io["in/noise_ins"], noise)
        out |= family.chosen(io, {"sample": fake}, "train/")
        out |= family.buffers("train/buffer/", io, {"netG": model.generator}, folder, official)
    return out


# --- losses: C ----------------------------------------------------------------------------------------------------


class Recorded(InadeTrainer):
    """The trainer with recorded noise; `eps` is the name of its half, the planes' last one holds instance numbers."""

    io: Tensors

    def fake(self, planes: Tensor, real: Tensor, eps: Any, drawn: Any = None) -> InstanceOutputs:
        noise, posterior = self.io[f"in/noise_{eps}"], None
        if self.gan.encoder is not None:
            posterior = encode(self.gan, self.io)
            noise = remapped(noise, posterior)
        plan = plan_of(self.gan, self.io, noise)
        return InstanceOutputs(self.gan.generator(plan, self.io[f"in/noise_ins_{eps}"], noise), posterior=posterior)


class Step(spade.Step):
    """Both halves of an iteration on the recorded batch."""

    def __init__(self, trainer: Recorded, io: Tensors) -> None:
        self.trainer, self.io = trainer, io
        maps = map_of(trainer.gan, io)
        self.planes = torch.cat([trainer.gan.planes(maps), maps.instances[:, None].float()], 1)  # pyright: ignore[reportOptionalSubscript]
        self.real = self.fake = spade.unit_images(io["in/image_u8"])

    def noise(self, name: str) -> Any:
        return "G" if name == "in/eps" else name


def build_trainer(opt: Mapping[str, Any], folder: Path, io: Tensors, train: bool) -> Recorded:
    """Our trainer with the networks of a case."""
    trainer = Recorded(build(opt, folder).train(train), options_of(opt))
    trainer.io = io
    family.load_critics(trainer, folder, official, train)
    return trainer


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, opt = recorded.load(folder / "io.safetensors"), case["official_options"]
    return family.run_losses(
        io, folder, official, lambda train: build_trainer(opt, folder, io, train), lambda t: Step(t, io)
    )


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("inade_units")
    if "info" in case:
        return units.run_preprocess(case, case_dir)
    if "modules" in case:
        return units.run_units(case, case_dir)
    return run_losses(case, case_dir) if "slim_vgg" in case else run_networks(case, case_dir)
