"""Maps the recorded CC-FPSE cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

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

from zoo.families.spade.losses import Outputs
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.nn.latents import reparameterize
from zoo.nn.perceptual import VGG19Features
from zoo_plugins.cc_fpse import official
from zoo_plugins.cc_fpse.config import CCFPSEConfig, CCFPSEOptions
from zoo_plugins.cc_fpse.model import CCFPSE
from zoo_plugins.cc_fpse.trainer import CCFPSETrainer

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, spade, family = _beside("recorded"), _beside("spade"), _beside("spade_family")
_OPTIONS = recorded.NETWORK | {"use_vae": "use_vae", "nhidden": "hidden"}


def config_of(opt: Mapping[str, Any]) -> CCFPSEConfig:
    """Our config from the authors' options; the depth follows from the data set."""
    fields = recorded.options(opt, _OPTIONS)
    fields["upsampling"] = "more" if opt["dataset_mode"] == "cityscapes" else "normal"
    fields["norm"] = fields.get("norm", CCFPSEConfig.norm).replace("sync_batch", "syncbatch")
    return CCFPSEConfig(edges=not opt["no_instance"], **fields)


def options_of(opt: Mapping[str, Any]) -> CCFPSEOptions:
    """Our training options from the authors'; with two time scales theirs fixes the betas, whatever the options say."""
    fields, ttur = recorded.options(opt, recorded.TRAINING), not opt.get("no_TTUR", False)
    if ttur:
        fields = {k: v for k, v in fields.items() if k not in ("beta1", "beta2")}
    return CCFPSEOptions(ttur=ttur, perceptual="none", **fields)


def weights_of(case: Mapping[str, Any], folder: Path) -> Path:
    """The folder of the weights: that of another case where the case says so."""
    return folder / Path(case["weights"]).parent if "weights" in case else folder


def build(case: Mapping[str, Any], folder: Path) -> CCFPSE:
    """The model of a case with its weights, in evaluation mode."""
    opt = case["official_options"]
    model = CCFPSE(config_of(opt), numbered_space(opt["label_nc"] + bool(opt["contain_dontcare_label"])))
    family.load_weights(model, weights_of(case, folder), official)
    return model.eval()


def map_of(model: CCFPSE, io: Tensors) -> SemanticMap:
    """The recorded map with its instances, if the network sees them."""
    instances = io["in/instance_u8"][:, 0].long() if model.config.edges else None
    return SemanticMap(io["in/label_u8"][:, 0].long(), model.label_space, instances)


# --- networks: A, B, E2 -------------------------------------------------------------------------------------------


def run_networks(case: Mapping[str, Any], folder: Path) -> Tensors:
    io = recorded.load(folder / "io.safetensors")
    trainer = CCFPSETrainer(build(case, folder), options_of(case["official_options"]))
    model, seen = trainer.gan, Tensors()
    with recorded.where_held(), torch.no_grad():
        seen["edge_u8"] = model.planes(map_of(model, io))[:, -1:].to(torch.uint8)
    with recorded.where_held():
        run_generator(model, io, seen)
    if model.encoder is not None:
        with recorded.where_held(), torch.no_grad():
            run_encoder(model, io, seen)
    if "sample" in seen and "netD" in family.parts(weights_of(case, folder)):
        with recorded.where_held(), torch.no_grad():
            run_discriminator(trainer, weights_of(case, folder), io, seen)
    return family.chosen(io, seen)


def run_generator(model: CCFPSE, io: Tensors, seen: Tensors) -> None:
    """The picture as in training, where every module is called as a whole, and what the modules put out on the way."""
    planes = model.planes(map_of(model, io))
    inner: Tensors = {}
    with family.outputs_seen(model.generator, inner):
        sample = model.generator(planes, None if model.encoder is None else io["in/z"]).detach()
    names = official.official_names("generator", model.generator.state_dict())
    modules = {k.rpartition(".")[0]: v.rpartition(".")[0] for k, v in names.items()}
    for ours, theirs in modules.items():
        seen |= {f"{theirs}_out": inner[f"{ours}_out"].detach()} if f"{ours}_out" in inner else {}
    for key, value in inner.items():  # modules that stand around layers, and such as have no weights
        name = key.removesuffix("_out")
        if found := re.fullmatch(r"pyramid\.(enc|lat|dec)\w+\.(\d)", name):
            seen[f"label{found[1]}{int(found[2]) + 1}_out"] = value.detach()
        elif found := re.fullmatch(r"(\w+)\.conv_([01])\.(kernels|attention|depthwise)", name):
            kind = {"kernels": "gen_weights", "attention": "gen_se_weights", "depthwise": "conv_"}[found[3]]
            number = 2 * int(found[2]) if found[3] == "depthwise" else int(found[2]) + 1
            seen[f"{found[1]}.{kind}{number}_out"] = value.detach()
        elif re.fullmatch(r"\w+(?:\.norm_s)?", name) and isinstance(value, Tensor):
            seen[key] = value.detach()
    seen["sample"] = sample


def run_encoder(model: CCFPSE, io: Tensors, seen: Tensors) -> None:
    """The encoder's layers and posterior, and a picture from a draw of it."""
    assert model.encoder is not None
    images = spade.unit_images(io["in/image_u8"])
    mu, logvar = model.encode(images)
    seen |= {"enc_mu": mu, "enc_logvar": logvar}
    seen |= {f"enc_layer{i}": layer for i, layer in enumerate(model.encoder.features(images), 1)}
    z = reparameterize(mu, logvar, io["in/eps"])
    seen["posterior_sample"] = model.generator(model.planes(map_of(model, io)), z)


def run_discriminator(trainer: CCFPSETrainer, weights: Path, io: Tensors, seen: Tensors) -> None:
    """Scores and features of the picture and the photo, in one batch."""
    family.load_critics(trainer, weights, official, False)
    planes, images = trainer.gan.planes(map_of(trainer.gan, io)), spade.unit_images(io["in/image_u8"])
    both = torch.cat([seen["sample"], images])
    opinion = trainer.opinion(torch.cat([planes, planes]), both, Outputs(seen["sample"]))
    seen |= {f"D_pred{i}": score for i, score in enumerate(opinion.scores)}
    seen |= {f"D_feat{i}": group[0] for i, group in enumerate(opinion.features)}


# --- losses: C ----------------------------------------------------------------------------------------------------


class Step(spade.Step):
    """Both halves of an iteration on the recorded batch."""

    def noise(self, name: str) -> Tensor | None:
        return super().noise({"D": "in/eps2"}.get(name, name))


def build_trainer(case: Mapping[str, Any], folder: Path, train: bool) -> CCFPSETrainer:
    """Our trainer with the networks of a case."""
    trainer = CCFPSETrainer(build(case, folder).train(train), options_of(case["official_options"]))
    family.load_critics(trainer, weights_of(case, folder), official, train)
    if "vgg" in case:
        stored = load_file(folder / case["vgg"].partition(":")[0])
        trainer.perceptual = VGG19Features.of({"features." + k.split(".", 3)[3]: v for k, v in stored.items()})
    return trainer


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, weights = recorded.load(folder / "io.safetensors"), weights_of(case, folder)
    steps: list[Any] = []

    def step_of(trainer: CCFPSETrainer) -> Any:
        steps.append(Step(trainer, io))
        return steps[-1]

    out = family.run_losses(io, weights, official, lambda train: build_trainer(case, folder, train), step_of)
    names = [(m, half) for m in ("train", "eval") for half in ("G", "D")]
    for (mode, half), step in zip(names, steps, strict=False):
        found = family.parameters(step.trainer, weights, official, "netG netE" if half == "G" else "netD")
        # where nothing reads a parameter its recorded norm is 0
        out |= {f"{mode}/{half}/grad_norm/{k}": torch.zeros(()) for k, p in found.items() if p.grad is None}
        if half == "G":
            out |= family.chosen(io, {"fake": step.fake}, f"{mode}/")
    if len(steps) > len(names):
        trainer = steps[-1].trainer
        out |= family.buffers("iter/buffer_after/", io, family.networks_of(trainer), weights, official)
        rates = out.pop("iter/lr_G_lr_D")
        out |= {"optim/lr_G": rates[0], "optim/lr_D": rates[1], "optim/betas": torch.tensor(trainer.options.betas)}
    out = {re.sub(r"/[GD]/grad_norm/", "/grad_norm/", k).replace("iter/losses/", "iter/"): v for k, v in out.items()}
    out.pop("train/fake", None)
    numbers = json.loads((folder / "values.json").read_text()) if (folder / "values.json").exists() else None
    held = None if numbers is None else {*io, *family.values_of(numbers)}
    return {k: v for k, v in out.items() if held is None or k in held}


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("cc_fpse_units")
    if "info" in case:
        return units.run_preprocess(case, case_dir)
    if "modules" in case:
        return units.run_units(case_dir)
    return run_losses(case, case_dir) if "vgg" in case else run_networks(case, case_dir)
