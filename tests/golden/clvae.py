"""Maps the recorded CLVAE cases onto our API (DESIGN section 6). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.data.preprocess import Preprocess
from zoo.families.spade.trainer import discriminator_losses
from zoo.labels import numbered_space
from zoo.nn.labels import one_hot
from zoo.nn.losses import kl_divergence
from zoo.nn.perceptual import VGG19Features, perceptual_loss
from zoo_plugins.clvae import official
from zoo_plugins.clvae.config import CLVAEConfig, CLVAEOptions
from zoo_plugins.clvae.encoder import Codes
from zoo_plugins.clvae.model import CLVAE
from zoo_plugins.clvae.regions import find_regions
from zoo_plugins.clvae.trainer import ClassOutputs, CLVAETrainer

Tensors = dict[str, Tensor]
PREFIXES = {"netG.": "generator", "netE.": "encoder", "netD.": "discriminator"}
BLOCK_OUTPUTS = r"head_0|G_middle_\d|up_\d|conv_img|fc"


def config_of(opt: Mapping[str, Any]) -> CLVAEConfig:
    """Our config from the authors' options."""
    return CLVAEConfig(
        label_space="numbered", resolution=opt["crop_size"], aspect_ratio=opt["aspect_ratio"], ngf=opt["ngf"],
        z_dim=opt["z_dim"], z_dim_local=opt["z_dim_local"], upsampling=opt["num_upsampling_layers"], norm=opt["norm_G"],
        encoder_norm=opt["norm_E"],
    )  # fmt: skip


def parts_of(weights: Mapping[str, Tensor]) -> dict[str, Tensors]:
    """The official state dicts by role."""
    return {role: {k.removeprefix(p): v for k, v in weights.items() if k.startswith(p)} for p, role in PREFIXES.items()}


def build(opt: Mapping[str, Any], weights: Mapping[str, Tensor]) -> CLVAE:
    """The model of a case, in evaluation mode."""
    model = CLVAE(config_of(opt), numbered_space(opt["semantic_nc"]))
    parts = parts_of(weights)
    model.load_state_dict(official.convert({r: parts[r] for r in ("generator", "encoder")}), strict=True)
    return model.eval()


def labels_of(io: Mapping[str, Tensor], prefix: str = "in/") -> Tensor:
    return io[f"{prefix}label_u8"][:, 0].long()


def image_of(io: Mapping[str, Tensor], prefix: str = "in/") -> Tensor:
    return (io[f"{prefix}image_u8"].float() / 255 - 0.5) / 0.5


def to_dense(local: Tensor, classes: Tensor, channels: int) -> Tensor:
    """Recorded [n, B, 5, N], finest layer first -> ours [B, C, 5, N], coarsest first; zeros for other classes."""
    codes = local.transpose(0, 1).flip(2)
    return codes.new_zeros(len(codes), channels, *codes.shape[2:]).index_copy(1, classes, codes)


def to_recorded(codes: Tensor) -> Tensor:
    """Ours [B, K, 5, …] -> recorded [K, B, 5, …], finest layer first."""
    return codes.flip(2).transpose(0, 1)


def watch(network: nn.Module, pattern: str, seen: Tensors) -> list[Any]:
    """Forward hooks that keep the outputs of the children of these names."""
    return [
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
        for name, module in network.named_modules()
        if re.fullmatch(pattern, name)
    ]


def strided(name: str, value: Tensor) -> Tensor:
    found = re.search(r"_s(\d+)$", name)
    return value[..., :: int(found[1]), :: int(found[1])] if found else value


def chosen(io: Mapping[str, Tensor], found: Tensors) -> Tensors:
    """The results that the case records, strided where its name says so, in the stored shape and type."""
    out: Tensors = {}
    for name, stored in io.items():
        value = found.get(re.sub(r"_s\d+$", "", name))
        if value is not None:
            value = strided(name, value.detach())
            if re.search(r"_feat\d+$", name):  # inner layers of the discriminator are recorded by their first channels
                value = value[:, : stored.shape[1]]
            out[name] = value.reshape(stored.shape).to(stored.dtype)
    return out


# --- networks: A, B -----------------------------------------------------------------------------------------------


@torch.no_grad()
def run_networks(case: Mapping[str, Any], folder: Path) -> Tensors:
    opt, io = case["official_options"], load_file(folder / "io.safetensors")
    weights = load_file(folder / "weights.safetensors")
    model = build(opt, weights)
    found: Tensors = {}
    encoded = run_encoder(model, io, found)
    run_generator(model, io, found)
    run_edits(model, io, encoded, found)
    if any(name.startswith("train/") for name in io):
        run_training(model, io, weights, found)
    return chosen(io, found)


def codes_out(prefix: str, encoded: Codes) -> Tensors:
    return {
        f"{prefix}classes": encoded.classes,
        f"{prefix}mu_global": encoded.mu,
        f"{prefix}logvar_global": encoded.logvar,
        f"{prefix}mu_local": to_recorded(encoded.class_mu),
        f"{prefix}logvar_local": to_recorded(encoded.class_logvar),
        f"{prefix}present": to_recorded(encoded.visible).to(torch.uint8),
    }


def run_encoder(model: CLVAE, io: Tensors, found: Tensors) -> Codes:
    seen: Tensors = {}
    hooks = watch(model.encoder, r"layers\.\d", seen)
    encoded = model.encoder(image_of(io), labels_of(io))
    for hook in hooks:
        hook.remove()
    found |= {f"out/enc_layer{int(k.split('.')[1]) + 1}": v for k, v in seen.items()}
    found |= codes_out("out/enc_", encoded)
    return encoded


def run_generator(model: CLVAE, io: Tensors, found: Tensors) -> None:
    """From the recorded latents; CSE maps are the calls of the CSE block in order."""
    seen: Tensors = {}
    maps: list[Any] = []
    hooks = watch(model.generator, BLOCK_OUTPUTS, seen)
    hooks.append(model.generator.cse.register_forward_hook(lambda _m, _i, out: maps.append(out)))
    regions = find_regions(labels_of(io))
    codes = to_dense(io["in/z_local"], io["in/classes"], len(model.channels))
    found["out/sample"] = model.generator(regions, codes, io["in/z_global"])
    for hook in hooks:
        hook.remove()
    found |= {f"out/{k}_out": v for k, v in seen.items()} | {f"out/cse_{i}": m for i, m in enumerate(maps)}


def run_edits(model: CLVAE, io: Tensors, encoded: Codes, found: Tensors) -> None:
    """Reconstruction, style of another photo, object and material editing, interpolation."""
    count, classes = len(model.channels), io["in/classes"]
    regions = find_regions(labels_of(io))
    z, z2 = io["in/z_global"], io["in/z2_global"]
    codes, codes2 = (to_dense(io[f"in/{n}_local"], classes, count) for n in ("z", "z2"))
    found["out/recon_mu"] = model.generator(regions, model.dense(encoded.class_mu, encoded.classes), encoded.mu)
    edited = int(io["in/edit_class"])
    for name, layers in (("object_edit", range(5)), ("material_edit_global_side", (0, 1)), ("material_edit_local_side", (3, 4))):  # fmt: skip
        mixed = codes.clone()
        for layer in layers:  # 0 the coarsest
            mixed[:, edited, layer] = codes2[:, edited, layer]
        found[f"out/{name}"] = model.generator(regions, mixed, z)
    found["out/interp_half"] = model.generator(regions, 0.5 * codes + 0.5 * codes2, 0.5 * z + 0.5 * z2)
    if "in/style_label_u8" in io:
        other = model.encoder(image_of(io, "in/style_"), labels_of(io, "in/style_"))
        own = [int(c) for c in other.classes]
        missing = [int(c) for c in classes if int(c) not in own]
        mixed = model.dense(other.class_mu, other.classes).clone()
        mixed[:, missing] = codes[:, missing]
        found["out/style"] = model.generator(regions, mixed, other.mu)
        found |= {"out/style_classes": other.classes, "out/style_missing_classes": torch.tensor(missing)}


def run_training(model: CLVAE, io: Tensors, weights: Tensors, found: Tensors) -> None:
    """One forward of each network in training mode, and the buffers after it."""
    model.train()
    encoded = model.encoder(image_of(io), labels_of(io))
    found |= codes_out("train/enc_", encoded)
    codes = to_dense(io["in/z_local"], io["in/classes"], len(model.channels))
    found["train/sample"] = model.generator(find_regions(labels_of(io)), codes, io["in/z_global"])
    state = model.state_dict()
    prefix = "train/buffer/"
    found |= {name: state[ours(name.removeprefix(prefix), weights)] for name in io if name.startswith(prefix)}


def ours(key: str, weights: Mapping[str, Tensor]) -> str:
    """The name in our state dict of an official key with its netG./netE./netD. in front (the discriminator: without prefix).

    weights: all of the case, since a discriminator's names depend on how many layers it has.
    """
    prefix = next(p for p in PREFIXES if key.startswith(p))
    role = PREFIXES[prefix]
    name = official.rename(role, key.removeprefix(prefix), parts_of(weights)[role])
    assert name is not None, key
    return name if role == "discriminator" else f"{role}.{name}"


# --- losses: C ----------------------------------------------------------------------------------------------------


class Step:
    """Networks of a case from its saved weights, trained as `CLVAETrainer` does; noise as recorded."""

    def __init__(self, opt: Mapping[str, Any], weights: Tensors, io: Tensors, *, train: bool) -> None:
        options = CLVAEOptions(
            lr=opt["lr"], ttur=not opt["no_TTUR"], beta1=opt["beta1"], beta2=opt["beta2"], gan_mode=opt["gan_mode"],
            lambda_feat=opt["lambda_feat"], lambda_kld=opt["lambda_kld"], lambda_perceptual=opt["lambda_vgg"],
            perceptual="none", ndf=opt["ndf"], n_layers_d=opt["n_layers_D"], num_d=opt["num_D"], norm_d=opt["norm_D"],
        )  # fmt: skip
        self.model = build(opt, weights).train(train)
        self.trainer = CLVAETrainer(self.model, options)
        state = official.convert({"discriminator": parts_of(weights)["discriminator"]})
        self.discriminator = self.trainer.discriminator.train(train)
        self.discriminator.load_state_dict({k.removeprefix("discriminator."): v for k, v in state.items()}, strict=True)
        prefix = r"^criterionVGG\.vgg\.slice\d+\."
        vgg = {re.sub(prefix, "features.", k): v for k, v in weights.items() if k.startswith("criterionVGG.")}
        self.vgg = self.trainer.perceptual = VGG19Features.of(vgg)
        self.io, self.weights, self.options, self.real = io, weights, options, image_of(io)
        self.planes = one_hot(labels_of(io), opt["semantic_nc"])

    def fake(self, noise: str) -> ClassOutputs:
        eps = to_dense(self.io[f"in/{noise}_local"], self.io["in/classes"], len(self.model.channels))
        return self.trainer.fake(self.planes, self.real, torch.cat([eps.flatten(1), self.io[f"in/{noise}_global"]], 1))

    def generator(self) -> tuple[ClassOutputs, dict[str, Tensor]]:
        outputs = self.fake("eps")
        return outputs, self.trainer.losses(outputs, self.real, *self.trainer.judge(self.planes, outputs, self.real))

    def discriminate(self, noise: str) -> dict[str, Tensor]:
        with torch.no_grad():
            outputs = self.fake(noise)
        return discriminator_losses(*self.trainer.judge(self.planes, outputs, self.real), self.options)

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.model.named_parameters()) | dict(self.discriminator.named_parameters())

    def state(self) -> Tensors:
        return self.model.state_dict() | self.discriminator.state_dict()


NAMES = {
    "gan": "GAN", "gan_feat": "GAN_Feat", "perceptual": "VGG", "kld": "KLD", "d_fake": "D_Fake", "d_real": "D_real",
}  # fmt: skip


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    """On one thread, as recorded: this case amplifies the rounding of sums, which are split by threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _run_losses(case, folder)
    finally:
        torch.set_num_threads(threads)


def _run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    opt, io = case["official_options"], load_file(folder / "io.safetensors")
    weights = load_file(folder / "weights.safetensors")
    found: Tensors = {}
    for mode in ("train", "eval"):
        found |= run_step(Step(opt, weights, io, train=mode == "train"), mode, "G")
        found |= run_step(Step(opt, weights, io, train=mode == "train"), mode, "D")
    found |= run_values(Step(opt, weights, io, train=False), found["train/fake"])
    found |= run_iteration(Step(opt, weights, io, train=True))
    return chosen(io, found)


def run_step(step: Step, mode: str, half: str) -> Tensors:
    """The losses of a half and the gradient norms after it."""
    found: Tensors = {}
    if half == "G":
        outputs, losses = step.generator()
        found[f"{mode}/fake"] = outputs.fake
    else:
        losses = step.discriminate("eps")
    total(losses).backward()
    found |= {f"{mode}/{half}/{NAMES[k]}": v for k, v in losses.items()} | {f"{mode}/{half}/total": total(losses)}
    grads = {n: p.grad.norm() for n, p in step.parameters().items() if p.grad is not None}
    for name in step.io:
        if name.startswith(f"{mode}/grad_norm/"):
            key = name.removeprefix(f"{mode}/grad_norm/")
            if (half == "D") == key.startswith("netD."):
                found[name] = grads[ours(key, step.weights)]
    return found


@torch.no_grad()
def run_values(step: Step, fake: Tensor) -> Tensors:
    """Single values of evaluation mode, on the fake of training mode."""
    codes = step.fake("eps").codes
    assert codes is not None
    found: Tensors = {"eval/KLD_global": step.options.lambda_kld * kl_divergence(codes.mu, codes.logvar)}
    for name, image in (("fake", fake), ("real", step.real)):
        for scale, outputs in enumerate(step.discriminator(torch.cat([step.planes, image], 1))):
            found |= {f"eval/D_scale{scale}_{name}_feat{i}": o for i, o in enumerate(outputs[:-1])}
            found[f"eval/D_scale{scale}_{name}_logits"] = outputs[-1]
    found["eval/VGG_plain"] = perceptual_loss(step.vgg, fake, step.real)
    found["eval/VGG_masked"] = perceptual_loss(step.vgg, fake, step.real, step.io["in/loss_mask"])
    found |= {f"eval/vgg_feat{i}": f for i, f in enumerate(step.vgg(step.real), 1)}
    return found


def run_iteration(step: Step) -> Tensors:
    """One official iteration: Adam steps of generator with encoder, then of the discriminator on a fresh fake."""
    before = {n: p.detach().clone() for n, p in step.parameters().items()}
    optimizers = step.trainer.optimizers()
    rates = [optimizers[n].param_groups[0]["lr"] for n in ("generator", "discriminator")]
    found: Tensors = {"optim/lr_G_lr_D": torch.tensor(rates)}
    for name, optimizer in optimizers.items():
        losses = step.generator()[1] if name == "generator" else step.discriminate("eps2")
        optimizer.zero_grad()
        total(losses).backward(inputs=[p for g in optimizer.param_groups for p in g["params"]])
        optimizer.step()
        found |= {f"iter/{NAMES[k]}": v for k, v in losses.items()}
    after, state = step.parameters(), step.state()
    for name in step.io:
        if name.startswith("iter/param_after/"):
            key = ours(name.removeprefix("iter/param_after/"), step.weights)
            value = after[key].detach()
            found[name] = torch.stack([value.sum(), value.norm(), (value - before[key]).norm()])
        elif name.startswith("iter/buffer_after/"):
            found[name] = state[ours(name.removeprefix("iter/buffer_after/"), step.weights)]
    return found


# --- data: P ------------------------------------------------------------------------------------------------------


READINGS = {
    ("ade20k", True): Preprocess("resize_and_crop", 286, 256),
    ("ade20k", False): Preprocess("resize_and_crop", 256, 256),
    ("deepfashion", False): Preprocess("fixed", 256, 256, 1.0),
    ("gta5", False): Preprocess("fixed", 512, 512, 2.0),
}
"""Data set, training or test: how its pairs are read (dossier section 1)."""


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Labels stay as they are stored: on ADE20K 0 is "unknown"."""
    io = load_file(folder / "io.safetensors")
    out: Tensors = {}
    for tag, info in case["info"].items():
        name = info["argv"][info["argv"].index("--dataset_mode") + 1]
        reading = READINGS[name, info["train"]]
        image, labels = (io[f"in/{info['source']}/{k}"].numpy() for k in ("image_u8_hwc", "label_u8"))
        window, flip = tuple(info["crop"] or (0, 0)), bool(info["flip"])
        photo = reading.photo(image, window, flip=flip)  # type: ignore[arg-type]
        out[f"out/{tag}/image_u8"] = torch.from_numpy(photo).permute(2, 0, 1)
        out[f"out/{tag}/label_u8"] = torch.from_numpy(reading.labels(labels, window, flip=flip))[None]  # type: ignore[arg-type]
    return out


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    stored = case_dir / "io.safetensors"
    if not stored.exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    networks = run_losses if "in/eps_local" in load_file(stored) else run_networks
    return (run_preprocess if "info" in case else networks)(case, case_dir)
