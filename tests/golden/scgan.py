"""Maps the recorded SC-GAN cases onto our API (DESIGN section 6). What differs between cases is read from the case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.families.spade.blocks import SPADEResnetBlock, resize_planes
from zoo.families.spade.discriminators import Opinion, opinion
from zoo.families.spade.synthesizer import reparameterize
from zoo.families.spade.trainer import discriminator_losses
from zoo.labels import numbered_space
from zoo.nn.labels import instance_edges, one_hot
from zoo.nn.losses import gan_loss, kl_divergence
from zoo.nn.perceptual import VGG19Features
from zoo.nn.resample import binomial_blur
from zoo_plugins.scgan import discriminators, official, preprocess
from zoo_plugins.scgan.blocks import SCC, SCN, SCResnetBlock, Site
from zoo_plugins.scgan.config import SCGANConfig, SCGANOptions
from zoo_plugins.scgan.losses import GeneratorOutputs
from zoo_plugins.scgan.model import SCGAN
from zoo_plugins.scgan.svg import gaussian_window, iterative_gaussian, pool_channels
from zoo_plugins.scgan.trainer import SCGANTrainer

Tensors = dict[str, Tensor]
_OPTIONS = {
    "ngf": "ngf", "nff": "nff", "nrf": "nrf", "num_experts_conv": "n_conv", "num_experts_norm": "n_norm",
    "temperature": "temperature", "weight_type": "weight_type", "position": "position", "pyr_pos": "pyr_pos",
    "pyr_rng": "pyr_rng", "ig_sz": "blur_size", "ig_sigma": "blur_sigma", "ig_iter": "blur_iterations",
    "ig_relative": "blur_relative", "routing_detach": "routing_detach", "norm_G": "norm", "use_vae": "use_vae",
    "z_dim": "z_dim", "norm_E": "encoder_norm", "num_upsampling_layers": "upsampling", "crop_size": "resolution", "aspect_ratio": "aspect_ratio",
}  # fmt: skip


def config_of(opt: Mapping[str, Any]) -> SCGANConfig:
    """Our config from the authors' options."""
    values = {ours: opt[theirs] for theirs, ours in _OPTIONS.items() if theirs in opt}
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
    opt, io = case["opt"], load_file(folder / "io.safetensors")
    model = build(opt, folder)
    planes = planes_of(model, io, opt)
    z = io.get("z")
    out: Tensors = {}
    if "onehot" in io:
        out["onehot"] = planes.to(io["onehot"].dtype)
    out |= run_generator(model, planes, z, "eval_")
    if "real_image" in io and model.encoder is not None:
        with torch.no_grad():
            mu, logvar = model.encode(io["real_image"])
            z_encoded = reparameterize(mu, logvar, io["eps"])
            out |= {"enc_mu": mu, "enc_logvar": logvar, "enc_z": z_encoded}
            out["enc_image"] = model.generator(planes, z_encoded)[0]
    model.train()
    out |= run_generator(model, planes, z, "train_")
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
    opt, io = case["opt"], load_file(folder / "io.safetensors")
    weights = folder.parent / case["weights_from"].split()[0]
    file_d = next(f for d in (folder, weights) if (f := d / "weights_D.safetensors").exists())
    options = SCGANOptions(
        gan_mode=opt["gan_mode"], lambda_feat=0.0 if opt["no_ganFeat_loss"] else opt["lambda_feat"],
        lambda_perceptual=0.0 if opt["no_vgg_loss"] else opt["lambda_vgg"], lambda_recon=opt["lambda_w_recon"],
        lambda_kld=opt["lambda_kld"], recon_loss=opt["rw_loss"], discriminator=opt["netD"], perceptual="none",
    )  # fmt: skip
    stored = load_file(folder / "weights_vgg.safetensors")  # keys sliceK.N.…
    vgg = VGG19Features.of({"features." + k.split(".", 1)[1]: v for k, v in stored.items()})
    out = generator_step(opt, io, weights, file_d, options, vgg)
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
    outputs = cast(GeneratorOutputs, trainer.fake(planes, real, io.get("eps")))
    on_fake, on_real = trainer.judge(planes, outputs, real)
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
        outputs = trainer.fake(planes, real, io.get("eps"))
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
    io = load_file(folder / "io.safetensors")
    scales = [io["p0"], io["p1"]]
    out: Tensors = {}
    for name in case["values"]:
        mode, *rest = name.split("|")
        if len(rest) == 3:
            flags = dict(part.split("=") for part in rest[:2])
            scores = scales if rest[2] == "list" else io["p0"]
            out[f"values/{name}"] = gan_loss(
                scores, flags["real"] == "True", for_discriminator=flags["for_discriminator"] == "True", mode=mode
            )
        elif rest:  # inner layers before the score map must not count
            nested = [[torch.zeros(1), s] for s in scales]
            out[f"values/{name}"] = gan_loss(nested, True, for_discriminator=False, mode=mode)
        elif name == "KLD":
            out["values/KLD"] = kl_divergence(io["mu"], io["logvar"])
    return out


# --- discriminators: E --------------------------------------------------------------------------------------------


@torch.no_grad()
def run_discriminators(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Every variant in evaluation mode on cat(fake, real); its options are read off its name and its note."""
    io, weights = load_file(folder / "io.safetensors"), load_file(folder / "weights.safetensors")
    config = config_of(case["opt"])
    planes = one_hot(io["label"][:, 0].long(), case["opt"]["semantic_nc"]).repeat(2, 1, 1, 1)
    images = torch.cat([io["fake"], io["real"]])
    logits = [io[f"conv_logits_{i}"] for i in range(config.upsamplings + 1)]
    out: Tensors = {}
    for name, note in case["variants"].items():
        opt = {**case["opt"], "netD": name.removesuffix("_smooth"), "smooth": "smooth=True" in note, "ndf": case["ndf"]}
        if "norm_D 'spectral'" in note:
            opt["norm_D"] = "spectral"
        state = {k.removeprefix(f"{name}/"): v for k, v in weights.items() if k.startswith(f"{name}/")}
        network = build_discriminator(opt, config, state).eval()
        if name == "multiscale":
            seen = opinion(network(torch.cat([planes, images], 1)))
            features = {f"{d}_{i}": f for d, group in enumerate(seen.features) for i, f in enumerate(group)}
        else:
            seen = network(images, planes, logits)
            features = {str(i): group[0] for i, group in enumerate(seen.features)}
        out |= {f"{name}_feat_{k}": f for k, f in features.items()}
        out |= {f"{name}_pred_{i}": score for i, score in enumerate(seen.scores)}
    return {k: v for k, v in out.items() if k in io}


# --- blocks and operators: F --------------------------------------------------------------------------------------


@torch.no_grad()
def run_blocks(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, weights = load_file(folder / "io.safetensors"), load_file(folder / "weights.safetensors")
    out: Tensors = {}
    for name in io:
        kind, *rest = name.split("|")
        if kind == "SCResnetBlock":
            out[name] = run_block(case["opt"], io, weights, *rest)
        elif kind == "SPADEResnetBlock":
            out[name] = run_spade_block(case["opt"], io, weights, *rest)
        elif kind == "IterativeGaussian":
            out[name] = run_gaussian(io, rest)
        elif kind == "pool" and rest[0] == "out":
            out[name] = pool_channels(io[f"pool|in|{rest[1]}"], int(rest[1].split("->")[1]))
    return out | run_operators(io, weights)


def _state(weights: Tensors, prefix: str) -> Tensors:
    found = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    return {official.rename("generator", f".{k}").removeprefix("."): v for k, v in found.items()}


def run_block(opt: Mapping[str, Any], io: Tensors, weights: Tensors, norm: str, widths: str, mode: str) -> Tensor:
    c_in, c_out = map(int, widths.split("-"))
    block = SCResnetBlock(
        c_in, c_out, planes=opt["semantic_nc"], n=opt["num_experts_conv"], m=opt["num_experts_norm"], norm=norm
    )
    block.load_state_dict(_state(weights, f"SCResnetBlock|{norm}|{widths}/"), strict=True)
    block.train(mode == "train")
    planes = resize_planes(io["seg"], tuple(io["x"].shape[-2:]))  # type: ignore[arg-type]
    return block(io["x"], block.plan(Site(io["v_conv"], io["v_norm"], planes)))


def run_spade_block(opt: Mapping[str, Any], io: Tensors, weights: Tensors, norm: str, widths: str, mode: str) -> Tensor:
    c_in, c_out = map(int, widths.split("-"))
    block = SPADEResnetBlock(c_in, c_out, opt["semantic_nc"], norm=norm)
    block.load_state_dict(_state(weights, f"SPADEResnetBlock|{norm}|{widths}/"), strict=True)
    block.train(mode == "train")
    return block(io["x"], block.plan(resize_planes(io["seg"], tuple(io["x"].shape[-2:]))))  # type: ignore[arg-type]


def run_gaussian(io: Tensors, rest: list[str]) -> Tensor:
    if rest[0].startswith("window"):
        size, sigma = rest[0].removeprefix("window").split("_")
        window = gaussian_window(int(size), float(sigma))
        return torch.outer(window, window)[None, None]
    options = dict(part.split("=") for part in rest)
    return iterative_gaussian(io["seg"], gaussian_window(7, 1.5), int(options["iters"]), options["relative"] == "True")


def run_operators(io: Tensors, weights: Tensors) -> Tensors:
    state = _state(weights, "SCC/")
    kernels = [v for k, v in sorted(state.items())]
    scc = SCC(kernels[0].shape[1], kernels[0].shape[0], len(kernels), spectral=False)
    scc.load_state_dict(state, strict=True)
    x = io["x"]
    pooled = io["v_conv"].mean((2, 3), keepdim=True)
    out = {
        "SCC|out": scc(x, io["v_conv"]),
        "SCC|out_global_routing": scc(x, pooled),
        "SCC|out_per_channel": scc(x, io["SCC|v_per_channel"]),
    }
    state = _state(weights, "SCN/")
    scn = SCN(x.shape[1], len(state["table"]), "instance")  # no buffers are stored: it has none
    scn.load_state_dict(state, strict=False)
    out["SCN|out"] = scn.eval()(x, io["v_norm"])
    out["Blur|out"] = binomial_blur(io["Blur|in"])
    return out


# --- preprocessing: J ---------------------------------------------------------------------------------------------


_CHANNELS = {"coco": preprocess.coco_channels, "ade": preprocess.ade_channels}


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    io = load_file(folder / "io.safetensors")
    out: Tensors = {"to_uint8_out": preprocess.to_uint8(io["to_uint8_in"])}
    out |= {k: preprocess.label_colormap(int(k.split("_")[1])) for k in io if k.startswith("colormap_")}
    for name, record in case["records"].items():
        source, phase = name.split("_")[0], name.split("_")[-1]
        channels = _CHANNELS.get(source, preprocess.celeba_channels)
        image, labels = preprocess.prepare_pair(
            io[f"{source}_raw_image"].numpy(), channels(io[f"{source}_raw_label"].numpy()),
            mode=record.get("preprocess_mode", "resize_and_crop"), load_size=record["load_size"],
            crop_size=record["crop_size"], crop=tuple(record["crop_pos_xy"]),
            flip=record["flip"] and phase != "eval",  # drawn in both phases, applied in training only
        )  # fmt: skip
        out |= {f"{name}_image": image, f"{name}_label": labels}
    return out


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`. A field of `case.json`, or the
    weights after a training step, tell what the case is."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    runs = {
        "slim_vgg": run_losses,
        "values": run_loss_values,
        "variants": run_discriminators,
        "records": run_preprocess,
    }
    networks = run_networks if (case_dir / "post_train.safetensors").exists() else run_blocks
    case = json.loads((case_dir / "case.json").read_text())
    return next((run for key, run in runs.items() if key in case), networks)(case, case_dir)
