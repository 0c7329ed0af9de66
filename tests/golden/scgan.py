"""Maps the recorded SC-GAN cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.families.spade.discriminators import Opinion, opinion
from zoo.families.spade.losses import discriminator_losses
from zoo.families.spade.synthesizer import reparameterize
from zoo.labels import numbered_space
from zoo.nn.labels import instance_edges, one_hot
from zoo.nn.losses import gan_loss, kl_divergence
from zoo.nn.perceptual import VGG19Features
from zoo_plugins.scgan import discriminators, official
from zoo_plugins.scgan.config import SCGANConfig, SCGANOptions
from zoo_plugins.scgan.losses import GeneratorOutputs
from zoo_plugins.scgan.model import SCGAN
from zoo_plugins.scgan.trainer import SCGANTrainer

Tensors = dict[str, Tensor]
_OPTIONS = {
    "ngf": "ngf", "nff": "nff", "nrf": "nrf", "num_experts_conv": "n_conv", "num_experts_norm": "n_norm",
    "temperature": "temperature", "weight_type": "weight_type", "position": "position", "pyr_pos": "pyr_pos",
    "pyr_rng": "pyr_rng", "ig_sz": "blur_size", "ig_sigma": "blur_sigma", "ig_iter": "blur_iterations",
    "ig_relative": "blur_relative", "routing_detach": "routing_detach", "norm_G": "norm", "use_vae": "use_vae",
    "z_dim": "z_dim", "norm_E": "encoder_norm", "num_upsampling_layers": "upsampling", "crop_size": "resolution", "aspect_ratio": "aspect_ratio",
}  # fmt: skip


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def config_of(opt: Mapping[str, Any]) -> SCGANConfig:
    """Our config from the authors' options."""
    values = recorded.options(opt, _OPTIONS)
    values["edges"] = not opt["no_instance"]
    values["svg_spectral"] = not opt["no_spectral_on_routing"]
    values["nef"] = opt["nef"] if opt.get("nef", -1) > 0 else opt["ngf"]
    return SCGANConfig(**values)


def build(opt: Mapping[str, Any], folder: Path) -> SCGAN:
    """The model of a case with the weights in `folder`, in evaluation mode."""
    count = opt["label_nc"] + bool(opt["contain_dontcare_label"])
    model = SCGAN(config_of(opt), numbered_space(count))
    parts = {"generator": load_file(folder / "weights.safetensors")}
    if opt["use_vae"]:
        parts["encoder"] = load_file(folder / "weights_E.safetensors")
    model.load_state_dict(official.convert(parts, model.config), strict=True)
    return model.eval()


def build_discriminator(opt: Mapping[str, Any], config: SCGANConfig, weights: Mapping[str, Tensor]) -> nn.Module:
    """The discriminator of a case with these weights."""
    options = SCGANOptions(
        discriminator=opt["netD"], smooth_d=opt["smooth"], ndf=opt["ndf"], n_layers_d=opt["n_layers_D"], num_d=opt["num_D"],
        norm_d=opt["norm_D"],
    )  # fmt: skip
    network = discriminators.build_discriminator(config, options, opt["semantic_nc"])
    state = official.convert({"discriminator": weights})
    network.load_state_dict({k.removeprefix("discriminator."): v for k, v in state.items()}, strict=True)
    return network


def planes_of(model: SCGAN, io: Mapping[str, Tensor], opt: Mapping[str, Any]) -> Tensor:
    """The network's input planes from the recorded map (255 takes the last channel)."""
    labels = io["label"][:, 0].long()
    planes = one_hot(model.label_input.indices(labels), model.label_input.classes)
    if opt["no_instance"]:
        return planes
    return torch.cat([planes, instance_edges(io["instance"][:, 0])], 1)


def official_keys(role: str, keys: Mapping[str, Any]) -> dict[str, str]:
    """Ours (without prefix) -> official, for official keys."""
    return {official.rename(role, k, keys): k for k in keys}


# --- networks: A, B -----------------------------------------------------------------------------------------------


def run_networks(case: Mapping[str, Any], folder: Path) -> Tensors:
    opt, io = case["opt"], recorded.load(folder / "io.safetensors")
    model = build(opt, folder)
    out: Tensors = {}
    with recorded.where_held():
        out["onehot"] = planes_of(model, io, opt).to(io["onehot"].dtype)
    with recorded.where_held(), torch.no_grad():
        if model.encoder is not None:
            mu, logvar = model.encode(io["real_image"])
            out |= {"enc_mu": mu, "enc_logvar": logvar}
            out["enc_z"] = reparameterize(mu, logvar, io["eps"])
            out["enc_image"] = model.generator(planes_of(model, io, opt), out["enc_z"])[0]
    with recorded.where_held():
        planes = planes_of(model, io, opt)
        z = None if model.encoder is None else io["z"]
        out |= run_generator(model, planes, z, "eval_")
        out |= run_generator(model.train(), planes, z, "train_")
        out |= post_train(model, folder)
    return {k: v for k, v in out.items() if k in io or k.startswith("post_train/")}


@torch.no_grad()
def run_generator(model: SCGAN, planes: Tensor, z: Tensor | None, prefix: str) -> Tensors:
    """One forward; intermediate results come from hooks on the modules of the same name."""
    seen: dict[str, Any] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, result, name=name: seen.__setitem__(prefix + name, result))
        for name, module in model.generator.named_children()
    ]
    image, plan = model.generator(planes, z)
    for hook in hooks:
        hook.remove()
    out: Tensors = {k: v for k, v in seen.items() if isinstance(v, Tensor)}
    out |= {prefix + "image": image, prefix + "svg_image": plan.svg_image}
    for i, (conv, norm) in enumerate(zip(plan.logits, plan.norm_logits, strict=True)):
        out |= {f"{prefix}svg_conv_logits_{i}": conv, f"{prefix}svg_norm_logits_{i}": norm}
    return out


def post_train(model: SCGAN, folder: Path) -> Tensors:
    path = folder / "post_train.safetensors"
    if not path.exists():
        return {}
    state = model.generator.state_dict()
    return {f"post_train/{k}": state[official.rename("generator", k)] for k in load_file(path)}


# --- losses: C1, C3 -----------------------------------------------------------------------------------------------


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    opt, io = case["opt"], recorded.load(folder / "io.safetensors")
    weights = folder.parent / case["weights_from"].split()[0] if "weights_from" in case else folder
    file_d = next(f for d in (folder, weights) if (f := d / "weights_D.safetensors").exists())
    options = SCGANOptions(
        gan_mode=opt["gan_mode"], lambda_feat=0.0 if opt["no_ganFeat_loss"] else opt["lambda_feat"],
        lambda_perceptual=0.0 if opt["no_vgg_loss"] else opt["lambda_vgg"], lambda_recon=opt["lambda_w_recon"],
        lambda_kld=opt["lambda_kld"], recon_loss=opt["rw_loss"], discriminator=opt["netD"], perceptual="none",
    )  # fmt: skip
    stored = recorded.load(folder / "weights_vgg.safetensors")  # keys sliceK.N.…
    vgg = VGG19Features.of({"features." + k.split(".", 1)[1]: v for k, v in stored.items()})
    out: Tensors = {}
    with recorded.where_held():
        out |= generator_step(opt, io, weights, file_d, options, vgg)
        out |= discriminator_step(opt, io, weights, file_d, options)
    return {k: v for k, v in out.items() if k in io or "/" in k or k.endswith("_total")}


def build_trainer(opt: Mapping[str, Any], weights: Path, file_d: Path, options: SCGANOptions) -> SCGANTrainer:
    """Our trainer with the networks of a case, in training mode."""
    model = build(opt, weights).train()
    trainer = SCGANTrainer(model, options)
    trainer.discriminator = build_discriminator(opt, model.config, load_file(file_d)).train()
    return trainer


def generator_step(
    opt: Mapping[str, Any], io: Tensors, weights: Path, file_d: Path, options: SCGANOptions, vgg: VGG19Features
) -> Tensors:
    trainer = build_trainer(opt, weights, file_d, options)
    trainer.perceptual = vgg
    planes, real = planes_of(trainer.gan, io, opt), io["real_image"]
    eps = None if trainer.gan.encoder is None else io["eps"]
    outputs = cast(GeneratorOutputs, trainer.fake(planes, real, eps))
    on_fake, on_real = trainer.judge(planes, outputs, real, real_grad=False)
    losses = trainer.losses(outputs, real, on_fake, on_real)
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    names = {
        "kld": "KLD", "gan_feat": "GAN_Feat", "gan": "GAN", "w_recon": f"W_Recon_{options.recon_loss}", "perceptual": "VGG",
    }  # fmt: skip
    out = {f"generator_losses/{names[k]}": v.detach() for k, v in losses.items()}
    assert outputs.svg_image is not None
    out |= {"train_fake_image": outputs.fake.detach(), "train_svg_image": outputs.svg_image.detach()}
    out["generator_total"] = total.detach()
    out |= opinion_tensors(opt, on_fake, on_real)
    for i, (f, r) in enumerate(zip(vgg(outputs.fake.detach()), vgg(real), strict=True)):
        out |= {f"vgg_fake_{i}": f, f"vgg_real_{i}": r}
    grads = {n: p.grad.norm() for n, p in trainer.gan.named_parameters() if p.grad is not None}
    for letter, role, name in (("G", "generator", "weights"), ("E", "encoder", "weights_E")):
        out |= _grad_norms("generator", letter, role, grads, weights / f"{name}.safetensors", f"{role}.")
    return out


def opinion_tensors(opt: Mapping[str, Any], on_fake: Opinion, on_real: Opinion) -> Tensors:
    """The discriminator's outputs under the recorded names."""
    out: Tensors = {}
    for side, seen in (("fake", on_fake), ("real", on_real)):
        if opt["netD"] == "multiscale":
            for d, (features, score) in enumerate(zip(seen.features, seen.scores, strict=True)):
                out |= {f"d{d}_layer{i}_{side}": t.detach() for i, t in enumerate([*features, score])}
        else:
            out |= {f"feat_{side}_{i}": group[0].detach() for i, group in enumerate(seen.features)}
            out |= {f"pred_{side}_{i}": score.detach() for i, score in enumerate(seen.scores)}
    return out


def discriminator_step(
    opt: Mapping[str, Any], io: Tensors, weights: Path, file_d: Path, options: SCGANOptions
) -> Tensors:
    trainer = build_trainer(opt, weights, file_d, options)
    planes, real = planes_of(trainer.gan, io, opt), io["real_image"]
    with torch.no_grad():
        outputs = trainer.fake(planes, real, None if trainer.gan.encoder is None else io["eps"])
    losses = discriminator_losses(*trainer.judge(planes, outputs, real), options)
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    out = {f"discriminator_losses/{n}": losses[k].detach() for n, k in (("D_Fake", "d_fake"), ("D_real", "d_real"))}
    out["discriminator_total"] = total.detach()
    grads = {n: p.grad.norm() for n, p in trainer.discriminator.named_parameters() if p.grad is not None}
    return out | _grad_norms("discriminator", "D", "discriminator", grads, file_d, "")


def _grad_norms(step: str, letter: str, role: str, grads: Tensors, file: Path, prefix: str) -> Tensors:
    names = official_keys(role, load_file(file)) if file.exists() else {}
    return {
        f"{step}_grad_norms/{letter}.{k}": grads[prefix + ours] for ours, k in names.items() if prefix + ours in grads
    }


def run_loss_values(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, out = recorded.load(folder / "io.safetensors"), {}
    for name in case["values"]:
        with recorded.where_held():
            out |= {f"values/{name}": v for v in loss_value(name, io)}
    return out


def loss_value(name: str, io: Tensors) -> list[Tensor]:
    """What a value's name says, on the recorded scores; nothing for a name that has no known formula."""
    mode, *rest = name.split("|")
    if len(rest) == 3:
        flags = dict(part.split("=") for part in rest[:2])
        scores = [io["p0"], io["p1"]] if rest[2] == "list" else io["p0"]
        real, for_d = flags["real"] == "True", flags["for_discriminator"] == "True"
        return [gan_loss(scores, real, for_discriminator=for_d, mode=mode)]
    if rest:  # inner layers before the score map must not count
        nested = [[torch.zeros(1), s] for s in (io["p0"], io["p1"])]
        return [gan_loss(nested, True, for_discriminator=False, mode=mode)]
    return [kl_divergence(io["mu"], io["logvar"])] if name == "KLD" else []


# --- discriminators: E --------------------------------------------------------------------------------------------


@torch.no_grad()
def run_discriminators(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Every variant in evaluation mode on cat(fake, real); its options are read off its name and its note."""
    io, weights = recorded.load(folder / "io.safetensors"), load_file(folder / "weights.safetensors")
    out: Tensors = {}
    for name, note in case["variants"].items():
        with recorded.where_held():
            out |= run_variant(case, io, weights, name, note)
    return {k: v for k, v in out.items() if k in io and v.shape == io[k].shape}


def run_variant(case: Mapping[str, Any], io: Tensors, weights: Tensors, name: str, note: str) -> Tensors:
    config = config_of(case["opt"])
    held = [io["fake"], *(io[k] for k in ("real",) if k in io)]
    images = torch.cat(held)
    planes = one_hot(io["label"][:, 0].long(), case["opt"]["semantic_nc"]).repeat(len(held), 1, 1, 1)
    opt = {**case["opt"], "netD": name.removesuffix("_smooth"), "smooth": "smooth=True" in note, "ndf": case["ndf"]}
    if "norm_D 'spectral'" in note:
        opt["norm_D"] = "spectral"
    state = recorded.held(weights, f"{name}/")
    network = build_discriminator(opt, config, state).eval()
    if name == "multiscale":
        seen = opinion(network(torch.cat([planes, images], 1)))
        features = {f"{d}_{i}": f for d, group in enumerate(seen.features) for i, f in enumerate(group)}
    else:
        logits = [] if name.startswith("fpse") else [io[f"conv_logits_{i}"] for i in range(config.doublings + 1)]
        seen = network(images, planes, logits)
        features = {str(i): group[0] for i, group in enumerate(seen.features)}
    out = {f"{name}_feat_{k}": f for k, f in features.items()}
    return out | {f"{name}_pred_{i}": score for i, score in enumerate(seen.scores)}


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    if "slim_vgg" in case:
        return run_losses(case, case_dir)
    if "values" in case:
        return run_loss_values(case, case_dir)
    if "variants" in case:
        return run_discriminators(case, case_dir)
    if any(name.startswith("frechet(") for name in case):
        return _beside("scgan_metrics").run_metrics(case, recorded.load(case_dir / "io.safetensors"))
    if "records" in case:
        return _beside("scgan_preprocess").run_preprocess(case, recorded.load(case_dir / "io.safetensors"))
    if not (case_dir / "weights.safetensors").exists():
        return {}  # of metrics that we do not compute
    blocks = any("|" in name for name in load_file(case_dir / "io.safetensors"))
    return _beside("scgan_blocks").run_blocks(case, case_dir) if blocks else run_networks(case, case_dir)
