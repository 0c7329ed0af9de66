"""Maps the recorded SPADE cases onto our API (DESIGN section 6). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.data.preprocess import Preprocess
from zoo.families.spade.blocks import SPADE as Norm
from zoo.families.spade.blocks import SPADEResnetBlock, resize_planes
from zoo.families.spade.discriminators import MultiscaleDiscriminator, Opinion
from zoo.families.spade.synthesizer import reparameterize
from zoo.families.spade.trainer import Outputs, discriminator_losses
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.nn.labels import instance_edges, one_hot
from zoo.nn.losses import gan_loss, kl_divergence
from zoo.nn.norms import conv_norm
from zoo.nn.perceptual import VGG19Features, perceptual_loss
from zoo_plugins.spade import official
from zoo_plugins.spade.config import SpadeConfig, SpadeOptions
from zoo_plugins.spade.model import SPADE
from zoo_plugins.spade.trainer import SpadeTrainer

Tensors = dict[str, Tensor]
ROLES = {"netG": "generator", "netE": "encoder", "netD": "discriminator"}


def config_of(opt: Mapping[str, Any]) -> SpadeConfig:
    """Our config from the authors' options."""
    return SpadeConfig(
        edges=not opt["no_instance"], resolution=opt["crop_size"], aspect_ratio=opt["aspect_ratio"], ngf=opt["ngf"],
        norm=opt["norm_G"], upsampling=opt["num_upsampling_layers"], use_vae=opt["use_vae"], z_dim=opt["z_dim"],
        encoder_norm=opt["norm_E"],
    )  # fmt: skip


def options_of(opt: Mapping[str, Any]) -> SpadeOptions:
    """Our training options from the authors'."""
    return SpadeOptions(
        lr=opt["lr"], ttur=not opt["no_TTUR"], beta1=opt["beta1"], beta2=opt["beta2"], gan_mode=opt["gan_mode"],
        lambda_feat=opt["lambda_feat"], lambda_perceptual=opt["lambda_vgg"], lambda_kld=opt["lambda_kld"], ndf=opt["ndf"],
        n_layers_d=opt["n_layers_D"], num_d=opt["num_D"], norm_d=opt["norm_D"], perceptual="none",
    )  # fmt: skip


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
    instances = io["in/instance_u8"][:, 0].long() if "in/instance_u8" in io else None
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
    io, opt = load_file(folder / "io.safetensors"), case["official_options"]
    model = build(opt, folder)
    planes = model.planes(map_of(model, io))
    seen: Tensors = {"edge_u8": planes[:, -1:].to(torch.uint8)}
    hooks = [
        module.register_forward_hook(lambda _m, _i, result, name=name: seen.__setitem__(f"{name}_out", result))
        for name, module in model.generator.named_modules()
    ]
    seen["sample"] = model.generator(planes, io.get("in/z"))
    for hook in hooks:
        hook.remove()
    if model.encoder is not None:
        seen |= run_encoder(model, planes, io)
    wanted = {k: re.sub(r"_s\d+$", "", k.removeprefix("out/")) for k in io if k.startswith("out/")}
    out = {k: stride(k, seen[name]) for k, name in wanted.items() if name in seen}
    if "train/sample" in io:
        networks: dict[str, nn.Module] = {"netG": model.train().generator}
        if model.encoder is not None:
            networks["netE"] = model.encoder
            codes = model.encode(unit_images(io["in/image_u8"]))
            out |= {k: v for k, v in zip(("train/enc_mu", "train/enc_logvar"), codes, strict=True) if k in io}
        out["train/sample"] = model.generator(planes, io.get("in/z"))
        out |= buffers("train/buffer/", io, networks, folder)
    return out


def run_encoder(model: SPADE, planes: Tensor, io: Tensors) -> Tensors:
    """The encoder's layers and posterior, and a picture from a draw of it."""
    assert model.encoder is not None
    mu, logvar = model.encode(images := unit_images(io["in/image_u8"]))
    found = {"enc_mu": mu, "enc_logvar": logvar}
    found |= {f"enc_layer{i}": layer for i, layer in enumerate(model.encoder.features(images), 1)}
    if "in/eps" in io:
        found["z_posterior"] = reparameterize(mu, logvar, io["in/eps"])
        found["posterior_sample"] = model.generator(planes, found["z_posterior"])
    return found


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

    def generator(self) -> Tensors:
        outputs = self.trainer.fake(self.planes, self.real, self.io.get("in/eps"))
        self.fake = outputs.fake.detach()
        self.opinions = self.trainer.judge(self.planes, outputs, self.real)
        losses = self.trainer.losses(outputs, self.real, *self.opinions)
        return self._backward(losses)

    def discriminator(self, eps: str) -> Tensors:
        with torch.no_grad():
            outputs = self.trainer.fake(self.planes, self.real, self.io.get(eps))
        self.opinions = self.trainer.judge(self.planes, outputs, self.real)
        return self._backward(discriminator_losses(*self.opinions, self.trainer.options))

    def _backward(self, losses: Tensors) -> Tensors:
        self.trainer.discriminator.zero_grad()
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        return {TERMS[k]: v.detach().view(1) for k, v in losses.items()} | {"total": total.detach().view(1)}


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, opt = load_file(folder / "io.safetensors"), case["official_options"]
    out: Tensors = {}
    for mode in ("train", "eval"):
        trainer = build_trainer(opt, folder, mode == "train")
        step = Step(trainer, io)
        out |= {f"{mode}/G/{k}": v for k, v in step.generator().items()}
        out |= gradients(trainer, io, folder, f"{mode}/grad_norm/", "netG netE")
        if mode == "train":
            out["train/fake"] = step.fake
        else:
            out |= {"eval/fake_s4": stride("_s4", step.fake)} | looks(step, out["train/fake"])
        trainer = build_trainer(opt, folder, mode == "train")
        out |= {f"{mode}/D/{k}": v for k, v in Step(trainer, io).discriminator("in/eps").items()}
        out |= gradients(trainer, io, folder, f"{mode}/grad_norm/", "netD")
    out |= run_iteration(opt, io, folder)
    out |= run_gan_losses(out, io, build_trainer(opt, folder, False))
    return {k: v for k, v in out.items() if k in io}


def gradients(trainer: SpadeTrainer, io: Tensors, folder: Path, prefix: str, networks: str) -> Tensors:
    found = parameters_of(trainer, io, folder, prefix, networks)
    return {k: p.grad.norm().view(1) for k, p in found.items() if p.grad is not None}


@torch.no_grad()
def looks(step: Step, fake: Tensor) -> Tensors:
    """What was recorded beside the losses: the discriminator in evaluation mode and VGG, on the fake of training mode."""
    vgg = step.trainer.perceptual
    assert vgg is not None
    out: Tensors = {}
    opinions = step.trainer.judge(step.planes, Outputs(fake), step.real)
    for side, opinion in zip(("fake", "real"), opinions, strict=True):
        for i, (score, features) in enumerate(zip(opinion.scores, opinion.features, strict=True)):
            out |= {f"eval/D_scale{i}_{side}_logits": score, f"eval/D_scale{i}_{side}_feat1": features[1][:, :2]}
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
    out |= {f"iter/{k}": v for k, v in step.discriminator("in/eps2").items()}
    optimizers["discriminator"].step()
    for k, p in found.items():
        now = p.detach()
        out[k] = torch.stack([now.sum(), now.norm(), (now - before[k]).norm()])
    out |= buffers("iter/buffer_after/", io, networks_of(trainer), folder)
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


# --- blocks and units: B5, E --------------------------------------------------------------------------------------


def _load(module: nn.Module, state: Tensors) -> nn.Module:
    module.load_state_dict({our_name(k): v for k, v in state.items()}, strict=True)
    return module


def our_name(key: str) -> str:
    return key.replace("mlp_shared.0.", "mlp_shared.").replace("weight_orig", "weight")


@torch.no_grad()
def run_block(case: Mapping[str, Any], folder: Path) -> Tensors:
    io = load_file(folder / "io.safetensors")
    found = re.search(r"fin=(\d+),fout=(\d+),semantic_nc=(\d+),(\w+)\)", case["module"])
    assert found is not None
    block = SPADEResnetBlock(int(found[1]), int(found[2]), int(found[3]), norm=found[4])
    _load(block, load_file(folder / "weights.safetensors"))
    block.eval()
    planes = one_hot(io["in/label_u8"][:, 0].long(), int(found[3]))
    out: Tensors = {}
    for name, x in (("128", io["in/x128"]), ("64", io["in/x128"][..., ::2, ::2].contiguous())):
        plan = block.plan(resize_planes(planes, (x.shape[-2], x.shape[-1])))
        out |= {f"out/block{name}": block(x, plan), f"out/norm_0_{name}": block.norm_0(x, plan[0])}
    return {k: v for k, v in out.items() if k in io}


UNITS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "spade_instance": (lambda: Norm(6, 5, norm="instance"), "x6"),
    "spade_syncbatch": (lambda: Norm(6, 5, norm="syncbatch"), "x6"),
    "spade_batch": (lambda: Norm(6, 5, norm="batch"), "x6"),
    "spade_sync5x5": (lambda: Norm(3, 5, norm="syncbatch", kernel=5), "x3"),
    "block_shortcut": (lambda: SPADEResnetBlock(6, 4, 5, norm="spectralspadesyncbatch3x3"), "x6"),
    "block_identity": (lambda: SPADEResnetBlock(4, 4, 5, norm="spectralspadeinstance3x3"), "x4"),
    "D": (lambda: MultiscaleDiscriminator(8, 4), "img"),
    "conv_sn_in": (lambda: conv_norm("spectralinstance", 3, 4, 3, 2, 1), "img"),
    "conv_sn_bn": (lambda: conv_norm("spectralbatch", 3, 4, 3, 2, 1), "img"),
    "conv_sn": (lambda: conv_norm("spectral", 3, 4, 4, 1, 2)[0], "img"),
}


@torch.no_grad()
def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, weights = load_file(folder / "io.safetensors"), load_file(folder / "weights.safetensors")
    out: Tensors = {}
    for name, (make, x) in UNITS.items():
        state = {k.removeprefix(f"{name}."): v for k, v in weights.items() if k.startswith(f"{name}.")}
        if name == "D":
            state = {official.rename("discriminator", k) or k: v for k, v in state.items()}
        for mode in ("eval", "train"):
            module = _load(make(), state).train(mode == "train")
            out |= unit_outputs(f"{mode}/{name}", module, io[f"in/{x}"], io["in/seg_onehot"])
            if mode == "train":
                after = module.state_dict()
                prefix = f"train/buffer/{name}."
                for key in (k for k in io if k.startswith(prefix)):
                    rest = key.removeprefix(prefix)
                    ours = official.rename("discriminator", rest) if name == "D" else our_name(rest)
                    out[key] = after[ours or ""]
    out["unit/kld"] = kl_divergence(io["in/mu"], io["in/logvar"]).view(1)
    out["unit/edges_u8"] = instance_edges(io["in/instance_u8"][:, 0]).to(torch.uint8)
    return out


def unit_outputs(name: str, module: nn.Module, x: Tensor, planes: Tensor) -> Tensors:
    if isinstance(module, MultiscaleDiscriminator):
        scales = module(torch.cat([planes, x], 1))
        return {f"{name}_scale{i}_out{j}": t for i, scale in enumerate(scales) for j, t in enumerate(scale)}
    planes = resize_planes(planes, (x.shape[-2], x.shape[-1]))
    if isinstance(module, Norm):
        return {name: module(x, module.affine(planes))}
    return {name: module(x, module.plan(planes)) if isinstance(module, SPADEResnetBlock) else module(x)}


# --- preprocessing: P ---------------------------------------------------------------------------------------------


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    io = load_file(folder / "io.safetensors")
    out: Tensors = {}
    for name, info in case["info"].items():
        way = Preprocess(name.removesuffix("_flip"), info["load_size"], info["crop_size"], info["aspect_ratio"])
        window = (info["crop_pos"][0], info["crop_pos"][1])
        photo = way.photo(io["in/image_u8_hwc"].numpy(), window, flip=info["flip"])
        labels = way.labels(io["in/label_u8"].numpy(), window, flip=info["flip"])
        out[f"out/{name}/image_u8"] = torch.from_numpy(np.ascontiguousarray(photo.transpose(2, 0, 1)))
        out[f"out/{name}/label_u8"] = torch.from_numpy(labels)[None]
    return out


RUNS = {"info": run_preprocess, "module": run_block, "modules": run_units, "vgg": run_losses}
"""What a case is, by a field of its `case.json`."""


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    return next((run for key, run in RUNS.items() if key in case), run_networks)(case, case_dir)
