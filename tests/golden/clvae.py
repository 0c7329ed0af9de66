"""Maps the recorded CLVAE cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

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
from torch import Tensor, nn

from zoo.families.spade.losses import discriminator_losses
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


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")
_OPTIONS = recorded.NETWORK | {"z_dim_local": "z_dim_local"}


def config_of(opt: Mapping[str, Any]) -> CLVAEConfig:
    """Our config from the authors' options."""
    return CLVAEConfig(label_space="numbered", **recorded.options(opt, _OPTIONS))


def parts_of(weights: Mapping[str, Tensor]) -> dict[str, Tensors]:
    """The official state dicts by role."""
    return {role: {k.removeprefix(p): v for k, v in weights.items() if k.startswith(p)} for p, role in PREFIXES.items()}


def build(case: Mapping[str, Any], weights: Mapping[str, Tensor]) -> CLVAE:
    """The model of a case, in evaluation mode."""
    opt = case["official_options"]
    model = CLVAE(config_of(opt), numbered_space(opt["semantic_nc"]))
    parts = {r: parts_of(weights)[r] for r in ("generator", "encoder")}
    for role, part in parts.items():
        state = getattr(model, role).state_dict()
        parts[role] = recorded.complete(case, part, state, official.official_names(role, state).__getitem__)
    model.load_state_dict(official.convert(parts), strict=True)
    return model.eval()


def labels_of(io: Mapping[str, Tensor], prefix: str = "in/") -> Tensor:
    if f"{prefix}label_u8" not in io and f"{prefix}onehot_u8" in io:
        return io[f"{prefix}onehot_u8"].argmax(1)
    return io[f"{prefix}label_u8"][:, 0].long()


def image_of(io: Mapping[str, Tensor], prefix: str = "in/") -> Tensor:
    if f"{prefix}image_u8" not in io and f"{prefix}image_f32" in io:
        return io[f"{prefix}image_f32"]
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
    io, weights = recorded.load(folder / "io.safetensors"), load_file(folder / "weights.safetensors")
    model = build(case, weights)
    found: Tensors = {}
    encoded: Codes | None = None
    with recorded.where_held():
        encoded = run_encoder(case, model, io, found)
    with recorded.where_held():
        run_generator(model, io, found)
    with recorded.where_held():
        run_edits(model, io, encoded, found)
    if any(name.startswith("train/") for name in io):
        run_training(model, io, weights, found)
    return {k: v for k, v in chosen(io, found).items() if k not in recorded.stand_ins(case)}


def codes_out(prefix: str, encoded: Codes) -> Tensors:
    local = {"mu_local": to_recorded(encoded.class_mu), "logvar_local": to_recorded(encoded.class_logvar)}
    layers = {f"{prefix}{k}_layer{i + 1}": v[:, :, i] for k, v in local.items() for i in range(v.shape[2])}
    return layers | {
        f"{prefix}classes": encoded.classes,
        f"{prefix}mu_global": encoded.mu,
        f"{prefix}logvar_global": encoded.logvar,
        **{f"{prefix}{k}": v for k, v in local.items()},
        f"{prefix}present": to_recorded(encoded.visible).to(torch.uint8),
    }


def run_encoder(case: Mapping[str, Any], model: CLVAE, io: Tensors, found: Tensors) -> Codes:
    """From the photo, or from the recorded output of a layer whose weights were cut."""
    seen: Tensors = {}
    labels, given = labels_of(io), [k for k in recorded.stand_ins(case) if k.startswith("out/enc_layer")]
    images = torch.zeros(len(labels), 3, *labels.shape[1:]) if given else image_of(io)
    hooks = [
        model.encoder.get_submodule(f"layers.{int(k[-1]) - 1}").register_forward_hook(lambda _m, _i, _o, k=k: io[k])
        for k in given
    ]
    hooks += watch(model.encoder, r"layers\.\d", seen)
    encoded = model.encoder(images, labels)
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


def run_edits(model: CLVAE, io: Tensors, encoded: Codes | None, found: Tensors) -> None:
    """Reconstruction, object and material editing, interpolation, style of another photo: each where its inputs are recorded."""
    regions = find_regions(labels_of(io))

    def latents(name: str) -> tuple[Tensor, Tensor]:
        return to_dense(io[f"in/{name}_local"], io["in/classes"], len(model.channels)), io[f"in/{name}_global"]

    if encoded is not None:
        found["out/recon_mu"] = model.generator(regions, model.dense(encoded.class_mu, encoded.classes), encoded.mu)
    with recorded.where_held():
        edited, (codes, z), codes2 = int(io["in/edit_class"]), latents("z"), latents("z2")[0]
        for name, layers in (("object_edit", range(5)), ("material_edit_global_side", (0, 1)), ("material_edit_local_side", (3, 4))):  # fmt: skip
            mixed = codes.clone()
            for layer in layers:  # 0 the coarsest
                mixed[:, edited, layer] = codes2[:, edited, layer]
            found[f"out/{name}"] = model.generator(regions, mixed, z)
    with recorded.where_held():
        (codes, z), (codes2, z2) = latents("z"), latents("z2")
        found["out/interp_half"] = model.generator(regions, 0.5 * codes + 0.5 * codes2, 0.5 * z + 0.5 * z2)
    with recorded.where_held():
        other = model.encoder(image_of(io, "in/style_"), labels_of(io, "in/style_"))
        missing = [c for c in regions.classes.tolist() if c not in other.classes.tolist()]
        found |= {"out/style_classes": other.classes, "out/style_missing_classes": torch.tensor(missing)}
        if len(other.mu) == len(regions.pyramid[0]):  # the authors' code takes as many style photos as maps
            mixed, (codes, _) = model.dense(other.class_mu, other.classes).clone(), latents("z")
            mixed[:, missing] = codes[:, missing]
            found["out/style"] = model.generator(regions, mixed, other.mu)


def run_training(model: CLVAE, io: Tensors, weights: Tensors, found: Tensors) -> None:
    """One forward of each network in training mode, and the buffers after it."""
    model.train()
    prefix, ran = "train/buffer/", []
    with recorded.where_held():
        found |= codes_out("train/enc_", model.encoder(image_of(io), labels_of(io)))
        ran.append(f"{prefix}netE.")
    with recorded.where_held():
        codes = to_dense(io["in/z_local"], io["in/classes"], len(model.channels))
        found["train/sample"] = model.generator(find_regions(labels_of(io)), codes, io["in/z_global"])
        ran.append(f"{prefix}netG.")
    state = model.state_dict()
    found |= {k: state[ours(k.removeprefix(prefix), weights)] for k in io if k.startswith(tuple(ran))}


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

    def __init__(self, case: Mapping[str, Any], weights: Tensors, io: Tensors, *, train: bool) -> None:
        opt = case["official_options"]
        options = CLVAEOptions(
            ttur=not opt.get("no_TTUR", False), perceptual="none", **recorded.options(opt, recorded.TRAINING)
        )
        self.model = build(case, weights).train(train)
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
        opinions = self.trainer.judge(self.planes, outputs, self.real, real_grad=False)
        return outputs, self.trainer.losses(outputs, self.real, *opinions)

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
    io, weights = recorded.load(folder / "io.safetensors"), load_file(folder / "weights.safetensors")
    found: Tensors = {}
    with recorded.where_held():
        for mode in ("train", "eval"):
            found |= run_step(Step(case, weights, io, train=mode == "train"), mode, "G")
            found |= run_step(Step(case, weights, io, train=mode == "train"), mode, "D")
        found |= run_values(Step(case, weights, io, train=False), found["train/fake"])
    with recorded.where_held():
        found |= run_iteration(Step(case, weights, io, train=True))
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
    with recorded.where_held():
        found["eval/VGG_masked"] = perceptual_loss(step.vgg, fake, step.real, step.io["in/loss_mask"])
    found |= {f"eval/vgg_feat{i}": f for i, f in enumerate(step.vgg(step.real), 1)}
    return found


def run_iteration(step: Step) -> Tensors:
    """One official iteration: Adam steps of generator with encoder, then of the discriminator on a fresh fake."""
    before = {n: p.detach().clone() for n, p in step.parameters().items()}
    optimizers = step.trainer.optimizers()
    rates = [optimizers[n].param_groups[0]["lr"] for n in ("generator", "discriminator")]
    found: Tensors = {"optim/lr_G_lr_D": torch.tensor(rates)}
    done: set[str] = set()
    with recorded.where_held():
        for name, optimizer in optimizers.items():
            losses = step.generator()[1] if name == "generator" else step.discriminate("eps2")
            optimizer.zero_grad()
            total(losses).backward(inputs=[p for g in optimizer.param_groups for p in g["params"]])
            optimizer.step()
            found |= {f"iter/{NAMES[k]}": v for k, v in losses.items()}
            done.add(name)
    after, state = step.parameters(), step.state()
    for name in step.io:
        key = name.split("/")[-1]
        if (
            name.startswith("iter/param_after/")
            and ("discriminator" if key.startswith("netD.") else "generator") in done
        ):
            value = after[ours(key, step.weights)].detach()
            change = value - before[ours(key, step.weights)]
            found[name] = torch.stack([value.sum(), value.norm(), change.norm()])
        elif (
            name.startswith("iter/buffer_after/") and "discriminator" in done
        ):  # both halves move the buffers of G and E
            found[name] = state[ours(key, step.weights)]
    return found


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    if "info" in case:
        return _beside("clvae_preprocess").run_preprocess(case, recorded.load(case_dir / "io.safetensors"))
    if "in/eps_local" in load_file(case_dir / "io.safetensors"):
        return run_losses(case, case_dir)
    return run_networks(case, case_dir)
