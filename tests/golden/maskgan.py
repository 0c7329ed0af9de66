"""Maps the recorded MaskGAN cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.families.pix2pixhd.losses import discriminator_losses
from zoo.labels import LabelSpace, numbered_space
from zoo.maps import SemanticMap
from zoo.nn.labels import one_hot
from zoo.nn.perceptual import VGG19Features
from zoo_plugins.maskgan import official, vae_official
from zoo_plugins.maskgan.blocks import ResnetBlock
from zoo_plugins.maskgan.config import MaskGANConfig, MaskGANOptions
from zoo_plugins.maskgan.generator import Blender, Generator
from zoo_plugins.maskgan.model import MaskGAN
from zoo_plugins.maskgan.trainer import MaskGANTrainer
from zoo_plugins.maskgan.vae_config import MaskVAEConfig
from zoo_plugins.maskgan.vae_editing import mixed
from zoo_plugins.maskgan.vae_model import MaskVAE

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")
_TRAINING = {
    "lr": "lr",
    "beta1": "beta1",
    "ndf": "ndf",
    "num_D": "num_d",
    "niter": "niter",
    "niter_decay": "niter_decay",
}


def unit_images(values: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return (values.float() / 255 - 0.5) / 0.5


def stride(name: str, value: Tensor) -> Tensor:
    """The pixels that a name ending in `_sK` means (or in `_sK_u8`)."""
    found = re.search(r"_s(\d+)(?:_u8)?$", name)
    return value[..., :: int(found[1]), :: int(found[1])] if found else value


def space_of(classes: int) -> LabelSpace:
    """Classes by number, 0 the background."""
    return numbered_space(classes, background=True)


def planes_of(io: Tensors, name: str, classes: int) -> Tensor:
    """A recorded map's one-hot planes."""
    return one_hot(io[name][:, 0].long(), classes)


def config_of(weights: Tensors, size: tuple[int, int]) -> MaskGANConfig:
    """The config that official weights have, for pictures of (height, width) = size."""
    match = official.detect({k: tuple(v.shape) for k, v in weights.items()})
    assert match is not None and match.role == "generator"
    read = {k: v for k, v in match.config.items() if k not in ("label_space", "channels")}
    return MaskGANConfig(label_space="numbered", resolution=size[1], aspect_ratio=size[1] / size[0], **read)


def build(case: Mapping[str, Any], weights: Tensors, size: tuple[int, int]) -> MaskGAN:
    """The model of official weights, in evaluation mode."""
    classes = weights["model.1.weight"].shape[1]
    opt = case.get("official_options", {})
    config = config_of(weights, size)
    assert all(
        opt.get(k, getattr(config, k)) == getattr(config, k) for k in ("ngf", "n_downsample_global", "n_blocks_global")
    )
    model = MaskGAN(config, space_of(classes))
    names = official.official_names("generator", list(model.generator.state_dict()))
    whole = recorded.complete(case, weights, model.generator.state_dict(), lambda key: names[key])
    model.load_state_dict(official.convert({"generator": whole}), strict=True)
    return model.eval()


def networks_of(case: Mapping[str, Any], folder: Path) -> dict[str, Tensors]:
    """The stored weights by network (netG, netB, netD, criterionVGG), those of other cases included."""
    found: dict[str, Tensors] = {}
    stored = dict(recorded.load(folder / "weights.safetensors"))
    for pattern, where in case.get("weights_from", {}).items():
        file = folder.parent / where.split(" ")[0]
        stored |= {pattern.removesuffix("*") + k: v for k, v in recorded.load(file).items()}
    for key, value in stored.items():
        network, rest = key.split(".", 1)
        found.setdefault(network, {})[rest] = value
    return found


# --- the dense mapping network ----------------------------------------------------------------------------------------


class Watched:
    """What the modules of a generator put out in one call, under the recorded names."""

    def __init__(self, generator: Generator) -> None:
        self.seen: Tensors = {}
        kinds = nn.Conv2d | nn.ConvTranspose2d | ResnetBlock
        modules = {f"model_{i}_{type(m).__name__}": m for i, m in enumerate(generator.model) if isinstance(m, kinds)}
        style = generator.enc_style
        modules |= {
            "enc_style_model": style.model,
            "enc_style_sft1": style.sft1,
            "enc_style_middle": style.model_middle,
        }
        modules |= {"enc_style_sft2": style.sft2, "enc_label": generator.enc_label}
        self._hooks = [m.register_forward_hook(self._keep(name)) for name, m in modules.items()]

    def _keep(self, name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _inputs: Any, result: Any) -> None:
            if name == "enc_label":
                self.seen |= {"enc_label_fea1": result[0].clone(), "enc_label_fea2": result[1].clone()}
            else:
                self.seen[name] = result.clone()

        return keep

    def close(self) -> Tensors:
        for hook in self._hooks:
            hook.remove()
        return self.seen


@torch.no_grad()
def run_network(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Reconstruction with all that lies on the way, style copy, a mismatched reference, the demo's bytes."""
    io, seen = recorded.load(folder / "io.safetensors"), {}
    if "in/label_u8" not in io:
        return {}
    weights = recorded.load(folder / "weights.safetensors")
    model = build(case, dict(weights), tuple(io["in/label_u8"].shape[2:]))
    generator, planes = model.generator, planes_of(io, "in/label_u8", len(model.channels))
    watched = Watched(generator)
    plan = generator.plan(planes)
    with recorded.where_held():
        photo = unit_images(io["in/image_u8"])
        style = generator.style(photo, planes)
        flat = style.flatten(1)[:, :, None, None]
        seen["adain_params"] = flat
        seen["image"] = generator.render(plan, style)
        seen["demo_uint8_0"] = ((seen["image"][0] + 1) * 127.5).to(torch.uint8).permute(1, 2, 0)
    seen |= watched.close()
    with recorded.where_held():
        seen["stylecopy_image"] = generator(planes.flip(0), planes, unit_images(io["in/image_u8"]))
        seen["mismatched_ref_image"] = generator(planes, planes, unit_images(io["in/image_u8"]).flip(0))
    wanted = {k: re.sub(r"_s\d+$", "", k.removeprefix("out/")) for k in io if k.startswith("out/")}
    return {k: stride(k, seen[name]) for k, name in wanted.items() if name in seen}


# --- MaskVAE ----------------------------------------------------------------------------------------------------------


def build_vae(weights: Tensors) -> MaskVAE:
    """The model of official weights."""
    match = vae_official.detect({k: tuple(v.shape) for k, v in weights.items()})
    assert match is not None and match.complete
    config = MaskVAEConfig(
        label_space="numbered", **{k: v for k, v in match.config.items() if k not in ("label_space", "channels")}
    )
    model = MaskVAE(config, space_of(weights["e1.weight"].shape[1]))
    model.load_state_dict(vae_official.convert({"generator": weights}), strict=True)
    return model


@torch.no_grad()
def run_vae(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Evaluation, the paper's edited maps, and one forward in training mode with its buffers."""
    io, weights = recorded.load(folder / "io.safetensors"), dict(recorded.load(folder / "weights.safetensors"))
    seen: Tensors = {}
    small = next((v for k, v in io.items() if re.fullmatch(r"in/label(?:_\d+)?_u8", k)), None)
    for mode in ("out", "train"):
        if small is None:
            break
        model = build_vae(weights).train(mode == "train")
        maps = SemanticMap(small[:, 0].long(), model.label_space).resize(model.resolution)
        planes = model.planes(maps)
        if "in/eps" not in io:
            mu, log_var = model.encoder(planes)
            seen |= {f"{mode}/mu": mu, f"{mode}/logvar": log_var}
            continue
        logits, z, mu, log_var = model(planes, io["in/eps"])
        seen |= {f"{mode}/{k}": v for k, v in {"logits": logits, "z": z, "mu": mu, "logvar": log_var}.items()}
        if mode == "out":
            seen["out/argmax"] = logits.argmax(1, keepdim=True).to(torch.uint8)
            other = mu.flip(0)
            seen["out/decode_interp_logits"] = model.decoder(mixed(mu, other, 1 / 2.5))
            seen["out/decode_extrap_logits"] = model.decoder(mixed(mu, other, -1 / 4))
        else:
            names = vae_official.official_names(list(model.state_dict()))
            seen |= {f"train/buffer/{names[k]}": v for k, v in model.named_buffers() if k in names}
    wanted = {k: re.sub(r"_s\d+(?:_u8)?$", "", k) for k in io if not k.startswith("in/")}
    return {k: stride(k, seen[name]) for k, name in wanted.items() if name in seen}


# --- losses -----------------------------------------------------------------------------------------------------------

TERMS = {"gan": "GAN", "gan_feat": "GAN_Feat", "perceptual": "VGG"}


def build_trainer(case: Mapping[str, Any], folder: Path, size: tuple[int, int]) -> MaskGANTrainer:
    """Our trainer with the networks of a case, in training mode; the blender is there, no maps are drawn."""
    opt, nets = case["official_options"], networks_of(case, folder)
    options = MaskGANOptions(
        n_layers_d=opt["n_layers_D"] + 1,
        lambda_feat=0.0 if opt["no_ganFeat_loss"] else opt["lambda_feat"],
        lambda_perceptual=opt["lambda_feat"],
        gan_mode="original" if opt["no_lsgan"] else "ls",
        perceptual="none",
        **recorded.options(opt, _TRAINING),
    )
    trainer = MaskGANTrainer(build(case, nets["netG"], size).train(), options)
    converted = official.convert({"discriminator": nets["netD"], "blender": nets["netB"]})
    trainer.discriminator.load_state_dict(recorded.held(converted, "discriminator."), strict=True)
    trainer.blender = Blender(len(nets["netB"]["model.1.weight"]))
    trainer.blender.load_state_dict(recorded.held(converted, "blender."), strict=True)
    if "criterionVGG" in nets and not opt["no_vgg_loss"]:
        vgg = {k.split(".", 2)[2]: v for k, v in nets["criterionVGG"].items()}
        trainer.perceptual = VGG19Features.of({f"features.{k}": v for k, v in vgg.items()})
    return trainer


def parameters_of(trainer: MaskGANTrainer) -> dict[str, nn.Parameter]:
    """All trained parameters by their official names."""
    assert trainer.blender is not None
    networks = {
        "netG": ("generator", trainer.synthesizer.generator),
        "netB": ("blender", trainer.blender),
        "netD": ("discriminator", trainer.discriminator),
    }
    found: dict[str, nn.Parameter] = {}
    for prefix, (role, network) in networks.items():
        names = official.official_names(role, list(network.state_dict()))
        found |= {f"{prefix}.{names[k]}": p for k, p in network.named_parameters()}
    return found


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The nine terms from one forward of everything, gradient norms by term, full gradients, one step of each optimizer."""
    io, values = recorded.load(folder / "io.safetensors"), json.loads((folder / "values.json").read_text())
    if not {"in/label_u8", "in/image_u8"} <= set(io):
        return {}
    trainer = build_trainer(case, folder, tuple(io["in/label_u8"].shape[2:]))
    classes, real = len(trainer.synthesizer.channels), unit_images(io["in/image_u8"])
    planes, pictures, seen = planes_of(io, "in/label_u8", classes), {}, {}
    for name in ("in/label_u8", "in/inter_label_1_u8", "in/inter_label_2_u8"):
        with recorded.where_held():
            (made,) = trainer.paint([planes_of(io, name, classes)], planes, real)
            seen["fake_image" if name == "in/label_u8" else f"fake_{name[3:].replace('label_', '')[:-3]}"] = made
    pictures["fake"] = seen["fake_image"]
    if {"fake_inter_1", "fake_inter_2"} <= set(seen):
        assert trainer.blender is not None
        pictures["blend"], seen["alpha"] = trainer.blender(seen["fake_inter_1"], seen["fake_inter_2"])
        seen["blend_image"] = pictures["blend"]
    maps = SemanticMap(planes.argmax(1), trainer.synthesizer.label_space)
    losses: Tensors = {}
    for name, picture in pictures.items():
        prefix = {"fake": "G", "blend": "GB"}[name]
        losses |= {f"{prefix}_{TERMS[k]}": v for k, v in trainer.losses_of(planes, maps, picture, real, None).items()}
        losses |= _judged(trainer, planes, name, picture, real, seen)
    named = parameters_of(trainer)
    out: Tensors = {f"losses/{k}": v.detach() for k, v in losses.items()}
    for term in (t for t in values["grad_norm"] if t in losses):
        for key, grad in _gradients(losses[term], named).items():
            out[f"grad_norm/{term}/{key}"] = grad.norm()
    parts = {total: [v for n, v in losses.items() if n.startswith(f"{total}_")] for total in ("G", "GB")}
    totals = {f"{total}_total": torch.stack(terms).sum() for total, terms in parts.items() if terms}
    totals["D_real_plus_D_fake"] = losses["D_real"] + losses["D_fake"]
    for total, loss in totals.items():
        out |= {f"grad/{total}/{k}": g for k, g in _gradients(loss, named).items() if f"grad/{total}/{k}" in io}
    # all gradients before the first step, which changes what the graphs hold
    labels = [label for label in values["adam"] if "blend" in pictures or "GB" not in label]
    due = {label: _due(label, losses, named) for label in labels}
    for label, (chosen, grads) in due.items():
        out |= {f"adam/{label}/{k}": v for k, v in _stepped(trainer, chosen, grads).items()}
    wanted = {k: re.sub(r"_s\d+$", "", k.removeprefix("out/")) for k in io if k.startswith("out/")}
    return out | {k: stride(k, seen[name].detach()) for k, name in wanted.items() if name in seen}


def _judged(
    trainer: MaskGANTrainer, planes: Tensor, name: str, picture: Tensor, real: Tensor, seen: Tensors
) -> Tensors:
    """The discriminator's terms of a fake, each whole (ours are halves), and what it says on the way."""
    on_fake, on_real = trainer.opinions(planes, picture, real, None, learning=True)
    halves = discriminator_losses(on_fake, on_real, trainer.options)
    for of, opinion in ((name, on_fake), ("real", on_real)):
        for i, (score, features) in enumerate(zip(opinion.scores, opinion.features, strict=True)):
            seen[f"D_{of}_scale{i}_last"] = score
            seen |= {f"D_{of}_scale{i}_feat{j}": f for j, f in enumerate(features)}
    return {f"D_{name}": 2 * halves["d_fake"], "D_real": 2 * halves["d_real"]}


def _gradients(loss: Tensor, named: Mapping[str, nn.Parameter]) -> Tensors:
    """By official name, of the parameters that the loss reaches."""
    grads = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
    return {k: g for k, g in zip(named, grads, strict=True) if g is not None}


def _due(label: str, losses: Tensors, named: Mapping[str, nn.Parameter]) -> tuple[dict[str, nn.Parameter], Tensors]:
    """What a label (`optimizer_X on …`) says: its parameters and their gradients."""
    which, _, formula = label.partition(" on ")
    terms = [n for n in losses if re.search(rf"\b{n}\b", formula)]
    total = torch.stack([losses[n] for n in terms]).sum() * (0.5 if formula.startswith("0.5*") else 1)
    owned = {"optimizer_G": ("netG.",), "optimizer_GB": ("netG.", "netB."), "optimizer_D": ("netD.",)}[which]
    chosen = {k: p for k, p in named.items() if k.startswith(owned)}
    return chosen, _gradients(total, chosen)


@torch.no_grad()
def _stepped(trainer: MaskGANTrainer, chosen: Mapping[str, nn.Parameter], grads: Tensors) -> Tensors:
    """One Adam step, then undone: sum, norm and norm of the change of each parameter."""
    optimizer = torch.optim.Adam(list(chosen.values()), lr=trainer.options.lr, betas=trainer.options.betas)
    before = {k: p.detach().clone() for k, p in chosen.items()}
    for key, parameter in chosen.items():
        parameter.grad = grads.get(key)
    optimizer.step()
    found = {k: torch.stack([p.sum(), p.norm(), (p - before[k]).norm()]) for k, p in chosen.items()}
    for key, parameter in chosen.items():
        parameter.copy_(before[key])
        parameter.grad = None
    return found


def replay(case_dir: Path) -> Tensors:
    """The results of a case under their stored names and shapes; numbers of values.json as `SECTION/NAME…`."""
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("maskgan_units")
    if "records" in case:
        return units.run_preprocess(case, case_dir)
    if "modules" in case:
        return units.run_units(case, case_dir, SimpleNamespace(**globals()))
    if not (case_dir / "io.safetensors").exists():
        return {}
    if (case_dir / "values.json").exists():
        return run_losses(case, case_dir)
    return run_vae(case, case_dir) if "official_arguments" in case else run_network(case, case_dir)
