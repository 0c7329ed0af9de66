"""Maps the recorded CLADE cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from zoo.families.spade.losses import Outputs
from zoo.labels import numbered_space
from zoo_plugins.clade import official
from zoo_plugins.clade.config import CladeConfig, CladeOptions
from zoo_plugins.clade.model import CLADE
from zoo_plugins.clade.trainer import CladeTrainer

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, spade, family = _beside("recorded"), _beside("spade"), _beside("spade_family")
_OPTIONS = recorded.NETWORK | {"use_vae": "use_vae", "add_dist": "positions"}


def config_of(opt: Mapping[str, Any]) -> CladeConfig:
    """Our config from the authors' options."""
    return CladeConfig(edges=not opt["no_instance"], **recorded.options(opt, _OPTIONS))


def options_of(opt: Mapping[str, Any]) -> CladeOptions:
    """Our training options from the authors'."""
    return CladeOptions(
        ttur=not opt.get("no_TTUR", False), perceptual="none", **recorded.options(opt, recorded.TRAINING)
    )


def build(opt: Mapping[str, Any], folder: Path) -> CLADE:
    """The model of a case with its weights, in evaluation mode."""
    model = CLADE(config_of(opt), numbered_space(opt["label_nc"] + bool(opt["contain_dontcare_label"])))
    family.load_weights(model, folder, official)
    return model.eval()


class Positioned(CladeTrainer):
    """The trainer with recorded position maps."""

    positions: Tensor | None = None

    def outputs(self, planes: Tensor, z: Tensor | None) -> Outputs:
        generator = self.gan.generator
        return Outputs(generator.render(generator.plan(planes, self.positions), z))


# --- networks: A, B -----------------------------------------------------------------------------------------------


@torch.no_grad()
def run_networks(case: Mapping[str, Any], folder: Path) -> Tensors:
    io = recorded.load(folder / "io.safetensors")
    model = build(case["official_options"], folder)
    seen: Tensors = {}
    with recorded.where_held():
        run_generator(model, io, seen)
    if model.encoder is not None:
        with recorded.where_held():
            spade.run_encoder(model, io, seen)
    out = family.chosen(io, seen)
    if any(k.startswith("train/") for k in io):
        out |= run_training(model.train(), io, folder)
    return out


def plan_of(model: CLADE, io: Tensors) -> Any:
    """The plan of the recorded map, with the recorded positions where there are any."""
    planes = model.planes(spade.map_of(model, io))
    return model.generator.plan(planes, io.get("in/dist"))


def run_generator(model: CLADE, io: Tensors, seen: Tensors) -> None:
    """The picture, and what the modules put out on the way, by the name of the module."""
    seen["edge_u8"] = model.planes(spade.map_of(model, io))[:, -1:].to(torch.uint8)
    with family.outputs_seen(model.generator, seen):
        seen["sample"] = model.generator.render(plan_of(model, io), spade.latents(model, io))


def run_training(model: CLADE, io: Tensors, folder: Path) -> Tensors:
    """One forward of each network in training mode, and the buffers that it changed."""
    out: Tensors = {}
    if model.encoder is not None:
        with recorded.where_held():
            posterior = model.encode(spade.unit_images(io["in/image_u8"]))
            out |= family.chosen(io, dict(zip(("enc_mu", "enc_logvar"), posterior, strict=True)), "train/")
            out |= family.buffers("train/buffer/", io, {"netE": model.encoder}, folder, official)
    with recorded.where_held():
        fake = model.generator.render(plan_of(model, io), spade.latents(model, io))
        out |= family.chosen(io, {"sample": fake}, "train/")
        out |= family.buffers("train/buffer/", io, {"netG": model.generator}, folder, official)
    return out


# --- losses: C ----------------------------------------------------------------------------------------------------


def build_trainer(opt: Mapping[str, Any], folder: Path, io: Tensors, train: bool) -> Positioned:
    """Our trainer with the networks of a case."""
    trainer = Positioned(build(opt, folder).train(train), options_of(opt))
    trainer.positions = io.get("in/dist")
    family.load_critics(trainer, folder, official, train)
    return trainer


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, opt = recorded.load(folder / "io.safetensors"), case["official_options"]
    return family.run_losses(
        io, folder, official, lambda train: build_trainer(opt, folder, io, train), lambda t: spade.Step(t, io)
    )


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("clade_units")
    if "info" in case:
        return units.run_preprocess(case, case_dir)
    if "modules" in case:
        return units.run_units(case, case_dir)
    return run_losses(case, case_dir) if "slim_vgg" in case else run_networks(case, case_dir)
