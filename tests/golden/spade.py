"""Maps the recorded SPADE cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.families.spade.discriminators import Opinion
from zoo.families.spade.losses import Outputs, discriminator_losses
from zoo.families.spade.synthesizer import reparameterize
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.nn.losses import gan_loss
from zoo.nn.perceptual import VGG19Features, perceptual_loss
from zoo_plugins.spade import official
from zoo_plugins.spade.config import SpadeConfig, SpadeOptions
from zoo_plugins.spade.model import SPADE
from zoo_plugins.spade.trainer import SpadeTrainer

Tensors = dict[str, Tensor]
ROLES = {"netG": "generator", "netE": "encoder", "netD": "discriminator"}


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")
_OPTIONS = recorded.NETWORK | {"use_vae": "use_vae"}


def config_of(opt: Mapping[str, Any]) -> SpadeConfig:
    """Our config from the authors' options."""
    return SpadeConfig(edges=not opt["no_instance"], **recorded.options(opt, _OPTIONS))


def options_of(opt: Mapping[str, Any]) -> SpadeOptions:
    """Our training options from the authors'."""
    return SpadeOptions(
        ttur=not opt.get("no_TTUR", False), perceptual="none", **recorded.options(opt, recorded.TRAINING)
    )


@cache
def parts(folder: Path) -> dict[str, Tensors]:
    """The stored weights by network (netG, netE, netD, criterionVGG)."""
    found: dict[str, Tensors] = {}
    for key, value in load_file(folder / "weights.safetensors").items():
        network, rest = key.split(".", 1)
        found.setdefault(network, {})[rest] = value
    return found


def build(opt: Mapping[str, Any], folder: Path) -> SPADE:
    """The model of a case with its weights, in evaluation mode."""
    model = SPADE(config_of(opt), numbered_space(opt["label_nc"] + bool(opt["contain_dontcare_label"])))
    stored = {ROLES[n]: state for n, state in parts(folder).items() if n in ("netG", "netE")}
    model.load_state_dict(official.convert(stored), strict=True)
    return model.eval()


def map_of(model: SPADE, io: Tensors) -> SemanticMap:
    """The recorded map with its instances, if it has any."""
    instances = io["in/instance_u8"][:, 0].long() if model.config.edges else None
    return SemanticMap(io["in/label_u8"][:, 0].long(), model.label_space, instances)


def unit_images(values: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return (values.float() / 255 - 0.5) / 0.5


def stride(name: str, value: Tensor) -> Tensor:
    """The pixels that a name ending in `_sK` means."""
    found = re.search(r"_s(\d+)$", name)
    return value[..., :: int(found[1]), :: int(found[1])] if found else value


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
            run_encoder(model, io, seen)
    wanted = {k: re.sub(r"_s\d+$", "", k.removeprefix("out/")) for k in io if k.startswith("out/")}
    out = {k: stride(k, seen[name]) for k, name in wanted.items() if name in seen}
    if any(k.startswith("train/") for k in io):
        out |= {k: v for k, v in run_training(model.train(), io, folder).items() if k in io}
    return out


def latents(model: SPADE, io: Tensors) -> Tensor | None:
    """The recorded latents, where the generator reads any."""
    return None if model.encoder is None else io["in/z"]


def run_generator(model: SPADE, io: Tensors, seen: Tensors) -> None:
    """The picture, and what the modules put out on the way, by the name of the module."""
    planes = model.planes(map_of(model, io))
    seen["edge_u8"] = planes[:, -1:].to(torch.uint8)
    z = latents(model, io)
    hooks = [
        module.register_forward_hook(lambda _m, _i, result, name=name: seen.__setitem__(f"{name}_out", result))
        for name, module in model.generator.named_modules()
    ]
    seen["sample"] = model.generator(planes, z)
    for hook in hooks:
        hook.remove()


def run_training(model: SPADE, io: Tensors, folder: Path) -> Tensors:
    """One forward of each network in training mode, and the buffers of those that ran."""
    out: Tensors = {}
    ran: dict[str, nn.Module] = {}
    if model.encoder is not None:
        with recorded.where_held():
            out |= zip(("train/enc_mu", "train/enc_logvar"), model.encode(unit_images(io["in/image_u8"])), strict=True)
            ran["netE"] = model.encoder
    with recorded.where_held():
        out["train/sample"] = model.generator(model.planes(map_of(model, io)), latents(model, io))
        ran["netG"] = model.generator
    return out | buffers("train/buffer/", io, ran, folder)


def run_encoder(model: SPADE, io: Tensors, seen: Tensors) -> None:
    """The encoder's layers and posterior, and a picture from a draw of it."""
    assert model.encoder is not None
    mu, logvar = model.encode(images := unit_images(io["in/image_u8"]))
    seen |= {"enc_mu": mu, "enc_logvar": logvar}
    seen |= {f"enc_layer{i}": layer for i, layer in enumerate(model.encoder.features(images), 1)}
    seen["z_posterior"] = reparameterize(mu, logvar, io["in/eps"])
    seen["posterior_sample"] = model.generator(model.planes(map_of(model, io)), seen["z_posterior"])


def ours(network: str, key: str, folder: Path) -> str:
    """Our name in `network` (netG, netE, netD) of an official key of it."""
    return official.rename(ROLES[network], key, parts(folder)[network]) or key


def buffers(prefix: str, io: Tensors, networks: Mapping[str, nn.Module], folder: Path) -> Tensors:
    """The buffers that a case names, by their official names."""
    out: Tensors = {}
    for key in (k for k in io if k.startswith(prefix)):
        name, rest = key.removeprefix(prefix).split(".", 1)
        if name in networks:
            out[key] = networks[name].state_dict()[ours(name, rest, folder)].clone()
    return out


# --- losses: C ----------------------------------------------------------------------------------------------------


def build_trainer(opt: Mapping[str, Any], folder: Path, train: bool) -> SpadeTrainer:
    """Our trainer with the networks of a case."""
    stored = parts(folder)
    trainer = SpadeTrainer(build(opt, folder).train(train), options_of(opt))
    state = official.convert({"discriminator": stored["netD"]})
    trainer.discriminator.load_state_dict({k.removeprefix("discriminator."): v for k, v in state.items()}, strict=True)
    trainer.discriminator.train(train)
    if "criterionVGG" in stored:
        vgg = {"features." + k.split(".", 2)[2]: v for k, v in stored["criterionVGG"].items()}  # from vgg.sliceK.N.…
        trainer.perceptual = VGG19Features.of(vgg)
    return trainer


TERMS = {
    "gan": "GAN", "gan_feat": "GAN_Feat", "kld": "KLD", "perceptual": "VGG", "d_fake": "D_Fake", "d_real": "D_real",
}  # fmt: skip


def networks_of(trainer: SpadeTrainer) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {"netG": trainer.gan.generator, "netD": trainer.discriminator}
    return found if trainer.gan.encoder is None else found | {"netE": trainer.gan.encoder}


def parameters_of(trainer: SpadeTrainer, io: Tensors, folder: Path, prefix: str, networks: str) -> Tensors:
    """The parameters that a case names under a prefix, by those names."""
    found: Tensors = {}
    for key in (k for k in io if k.startswith(prefix)):
        name, rest = key.removeprefix(prefix).split(".", 1)
        if name in networks.split():
            found[key] = networks_of(trainer)[name].get_parameter(ours(name, rest, folder))
    return found


class Step:
    """Both halves of an iteration on the recorded batch."""

    def __init__(self, trainer: SpadeTrainer, io: Tensors) -> None:
        self.trainer, self.io = trainer, io
        self.planes = trainer.gan.planes(map_of(trainer.gan, io))
        self.real = unit_images(io["in/image_u8"])
        self.fake = self.real
        self.opinions: tuple[Opinion, Opinion] | None = None

    def noise(self, name: str) -> Tensor | None:
        return None if self.trainer.gan.encoder is None else self.io[name]

    def generator(self) -> Tensors:
        outputs = self.trainer.fake(self.planes, self.real, self.noise("in/eps"))
        self.fake = outputs.fake.detach()
        self.opinions = self.trainer.judge(self.planes, outputs, self.real, real_grad=False)
        losses = self.trainer.losses(outputs, self.real, *self.opinions)
        return self._backward(losses)

    def discriminator(self, eps: str) -> Tensors:
        with torch.no_grad():
            outputs = self.trainer.fake(self.planes, self.real, self.noise(eps))
        self.opinions = self.trainer.judge(self.planes, outputs, self.real)
        return self._backward(discriminator_losses(*self.opinions, self.trainer.options))

    def _backward(self, losses: Tensors) -> Tensors:
        self.trainer.discriminator.zero_grad()
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        return {TERMS[k]: v.detach().view(1) for k, v in losses.items()} | {"total": total.detach().view(1)}


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, opt = recorded.load(folder / "io.safetensors"), case["official_options"]
    out: Tensors = {}
    with recorded.where_held():
        for mode in ("train", "eval"):
            out |= run_mode(mode, opt, io, folder, out)
        out |= run_gan_losses(out, io, build_trainer(opt, folder, False))
    with recorded.where_held():
        out |= run_iteration(opt, io, folder)
    return {k: v for k, v in out.items() if k in io}


def run_mode(mode: str, opt: Mapping[str, Any], io: Tensors, folder: Path, before: Tensors) -> Tensors:
    """Both halves' losses and gradients in a mode. before: the results of training mode, which evaluation looks at."""
    trainer = build_trainer(opt, folder, mode == "train")
    step = Step(trainer, io)
    out = {f"{mode}/G/{k}": v for k, v in step.generator().items()}
    out |= gradients(trainer, io, folder, f"{mode}/grad_norm/", "netG netE")
    if mode == "train":
        out["train/fake"] = step.fake
    else:
        out |= {"eval/fake_s4": stride("_s4", step.fake)} | looks(step, before["train/fake"])
    trainer = build_trainer(opt, folder, mode == "train")
    out |= {f"{mode}/D/{k}": v for k, v in Step(trainer, io).discriminator("in/eps").items()}
    return out | gradients(trainer, io, folder, f"{mode}/grad_norm/", "netD")


def gradients(trainer: SpadeTrainer, io: Tensors, folder: Path, prefix: str, networks: str) -> Tensors:
    found = parameters_of(trainer, io, folder, prefix, networks)
    return {k: p.grad.norm().view(1) for k, p in found.items() if p.grad is not None}


@torch.no_grad()
def looks(step: Step, fake: Tensor) -> Tensors:
    """What was recorded beside the losses: the discriminator in evaluation mode and VGG, on the fake of training mode."""
    vgg = step.trainer.perceptual
    out: Tensors = {}
    opinions = step.trainer.judge(step.planes, Outputs(fake), step.real)
    for side, opinion in zip(("fake", "real"), opinions, strict=True):
        for i, (score, features) in enumerate(zip(opinion.scores, opinion.features, strict=True)):
            out |= {f"eval/D_scale{i}_{side}_logits": score, f"eval/D_scale{i}_{side}_feat1": features[1][:, :2]}
    if vgg is not None:
        features = vgg(step.real)
        out |= {"eval/vgg_feat1_s8": stride("_s8", features[0]), "eval/vgg_feat5": features[4]}
        out["eval/VGG_unweighted"] = perceptual_loss(vgg, fake, step.real).view(1)
    return out


def run_iteration(opt: Mapping[str, Any], io: Tensors, folder: Path) -> Tensors:
    """One iteration: a generator step, then a discriminator step on a fresh fake of the stepped generator."""
    trainer = build_trainer(opt, folder, True)
    found = parameters_of(trainer, io, folder, "iter/param_after/", "netG netE netD")
    before = {k: p.detach().clone() for k, p in found.items()}
    optimizers, step = trainer.optimizers(), Step(trainer, io)
    out = {f"iter/{k}": v for k, v in step.generator().items()}
    optimizers["generator"].step()
    done = ["netG", "netE"]
    with recorded.where_held():
        out |= {f"iter/{k}": v for k, v in step.discriminator("in/eps2").items()}
        optimizers["discriminator"].step()
        done.append("netD")
        out |= buffers("iter/buffer_after/", io, networks_of(trainer), folder)
    for k, p in found.items():
        if k.removeprefix("iter/param_after/").startswith(tuple(done)):
            now = p.detach()
            out[k] = torch.stack([now.sum(), now.norm(), (now - before[k]).norm()])
    rates = trainer.rates(0.0, 0)
    return out | {"optim/lr_G_lr_D": torch.tensor([rates["generator"], rates["discriminator"]])}


def run_gan_losses(out: Tensors, io: Tensors, trainer: SpadeTrainer) -> Tensors:
    """The adversarial objectives on the scores of both scales in `looks`."""
    scores = {s: [out[f"eval/D_scale{i}_{s}_logits"] for i in range(trainer.options.num_d)] for s in ("fake", "real")}
    found: Tensors = {}
    for key in (k for k in io if k.startswith("unit/gan_")):
        mode, what = key.removeprefix("unit/gan_").split("_", 1)
        real, on = (what != "D_fake"), ("real" if what == "D_real" else "fake")
        found[key] = gan_loss(scores[on], real, for_discriminator=what != "G", mode=mode).view(1)
    return found


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("spade_units")
    if "info" in case:
        return units.run_preprocess(case, case_dir)
    if "module" in case:
        return units.run_block(case, case_dir)
    if "modules" in case:
        return units.run_units(case_dir)
    return run_losses(case, case_dir) if "vgg" in case else run_networks(case, case_dir)
