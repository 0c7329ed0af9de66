"""Maps the recorded SEAN cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.losses import discriminator_losses
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.nn.perceptual import VGG19Features
from zoo.plugin import Batch, PairData
from zoo.rng import RngLike
from zoo.style import Style
from zoo_plugins.sean import official
from zoo_plugins.sean.blocks import SEANNorm
from zoo_plugins.sean.config import SEANConfig, SEANOptions
from zoo_plugins.sean.model import SEAN
from zoo_plugins.sean.trainer import SEANTrainer

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")
ROLES = {"netG": "generator", "netD": "discriminator"}
SMALL = {"style": "style_dim", "SPADE": "spade_hidden", "Zencoder": "style_width"}
"""Constants of the authors' code that the cases made small, by their first words -> fields of our config."""


def config_of(case: Mapping[str, Any]) -> SEANConfig:
    """Our config from the authors' options."""
    opt = case["official_options"]
    names = {k: v for k, v in recorded.NETWORK.items() if v not in ("z_dim", "encoder_norm")}
    small = {field: value for name, value in case["constants_patched"].items()
             for word, field in SMALL.items() if name.startswith(word)}  # fmt: skip
    return SEANConfig(edges=not opt["no_instance"], **recorded.options(opt, names), **small)


@cache
def weights(folder: Path, network: str) -> Tensors:
    """The official state dict of a network."""
    single, checkpoint = folder / "weights.safetensors", f"official_checkpoint_latest_net_{network[-1]}.pth"
    if network == "netG" and single.exists():
        return load_file(single)
    beside = [folder / checkpoint, folder.parent / "C_losses" / checkpoint]  # case B's weights lie with case C
    return torch.load(next(f for f in beside if f.exists()), weights_only=True)


def build(case: Mapping[str, Any], folder: Path) -> SEAN:
    """The model of a case with its weights, in evaluation mode."""
    model = SEAN(config_of(case), numbered_space(case["official_options"]["label_nc"]))
    state = official.convert({"generator": weights(folder, "netG")})
    model.load_state_dict(state, strict=True)
    return model.eval()


def map_of(model: SEAN, io: Tensors, name: str = "in/label_u8") -> SemanticMap:
    """A recorded map with its instances, if it has any."""
    instances = io["in/instance_u8"][:, 0].long() if model.config.edges else None
    return SemanticMap(io[name][:, 0].long(), model.label_space, instances)


def unit_images(values: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return (values.float() / 255 - 0.5) / 0.5


def flat_noise(drawn: Mapping[str, Tensor], order: list[str]) -> Tensor:
    """The authors' draws [B, W, H, 1], which stand in columns, in the order of ours."""
    return torch.cat([drawn[name][..., 0].transpose(1, 2).flatten(1) for name in order], 1)


def noise_of(io: Tensors, case: Mapping[str, Any], prefix: str = "in/noise/") -> Tensor:
    """The recorded noise of a forward."""
    return flat_noise({k: io[prefix + k] for k in case["noise_order"]}, case["noise_order"])


class Given:
    """A source of randomness that hands out recorded noise."""

    def __init__(self, noise: Tensor) -> None:
        self.noise = noise
        self.samples = tuple(range(len(noise)))

    def normal(self, *key: str | int, shape: tuple[int, ...]) -> Tensor:
        assert key == ("noise",) and shape == tuple(self.noise.shape[1:])
        return self.noise

    def uniform(self, *key: str | int, shape: tuple[int, ...]) -> Tensor:
        raise AssertionError(key, shape)

    def within(self, *key: str | int) -> RngLike:
        raise AssertionError(key)


def strided(name: str, seen: Tensors) -> Tensor | None:
    """What a name ending in `_cK` (every K-th channel) and `_sK` (every K-th pixel) means."""
    match = re.fullmatch(r"(.+?)(?:_c(\d+))?(?:_s(\d+))?", name)
    assert match is not None
    if match[1] not in seen:
        return None
    value, step = seen[match[1]], int(match[3] or 1)
    return value[:, :: int(match[2] or 1)][..., ::step, ::step] if match[2] or match[3] else value


def due(io: Tensors, seen: Tensors) -> Tensors:
    """The recorded results among what was seen, cut as their names say."""
    found = {k: strided(k, seen) for k in io if not k.startswith("in/")}
    return {k: v for k, v in found.items() if v is not None}


# --- networks: A, B -----------------------------------------------------------------------------------------------


@contextmanager
def watched(model: SEAN) -> Iterator[Tensors]:
    """Inside the block what the modules put out is collected under their official names."""
    seen: Tensors = {}
    hooks: list[Any] = []

    def keep(module: nn.Module, place: str) -> None:
        hooks.append(module.register_forward_hook(lambda _m, _i, out: _see(seen, place, out)))

    keep(model.generator.fc, "out/inter/fc")
    keep(model.generator.conv_img, "out/inter/conv_img")
    for block, step in model.generator.blocks():
        keep(block, f"out/inter/{step.name}")
        for name, norm in block.noisy_norms().items():
            place = f"out/inter/{step.name}.ace_{name[-1]}"
            hooks.append(norm.register_forward_hook(lambda m, i, out, p=place: _see_norm(seen, p, m, i, out)))
            if norm.style is not None:
                hooks.append(norm.style.register_forward_hook(lambda m, i, _out, p=place: _see_style(seen, p, m, i)))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _see(seen: Tensors, place: str, out: Any) -> None:
    seen[place] = out


def _see_norm(seen: Tensors, place: str, norm: SEANNorm, given: Any, out: Tensor) -> None:
    seen[place] = out
    if not norm.training:
        seen[f"{place}.normalized"] = norm.normalized(given[0], given[1].noise)


def _see_style(seen: Tensors, place: str, style: Any, given: Any) -> None:
    """The map that the authors' two style convolutions see: each pixel holds its region's vector."""
    windows, codes = given
    (vectors,) = style.vectors(windows, codes)
    symbols = windows.windows[:, 4][windows.index]  # the middle of each window
    seen[f"{place}.style_map"] = vectors[symbols].permute(0, 3, 1, 2)


def encoder_layers(model: SEAN, images: Tensor) -> Tensors:
    """The style encoder's layers under their numbers in the authors' code."""
    encoder, seen, x = model.encoder, {}, images
    for number, layer in ((1, encoder.first), (4, encoder.down[0]), (7, encoder.down[1]), (10, encoder.up)):
        x = seen[f"out/inter/Zencoder.model.{number}"] = layer(x)
        x = seen[f"out/inter/Zencoder.model.{number + 1}"] = F.instance_norm(x)
        x = F.leaky_relu(x, 0.2)
    seen["out/inter/Zencoder.model.14"] = encoder.last(x)
    return seen


@torch.no_grad()
def run_networks(case: Mapping[str, Any], folder: Path) -> Tensors:
    io = recorded.load(folder / "io.safetensors")
    model, seen = build(case, folder), {}
    with recorded.where_held():
        seen |= run_photos(model, case, io) if "in/photo0_image_u8" in io else run_pair(model, case, io)
    out = due(io, seen)
    with recorded.where_held():
        out |= {k: v for k, v in run_training(model.train(), case, io, folder).items() if k in io}
    return out


def run_pair(model: SEAN, case: Mapping[str, Any], io: Tensors) -> Tensors:
    """A batch through both networks."""
    planes, images = model.planes(map_of(model, io)), unit_images(io["in/image_u8"])
    codes = model.encoder(images, planes).codes
    with watched(model) as seen:
        seen["out/sample"] = model.generator(planes, in_layers(model, codes), noise_of(io, case))
    return seen | {"out/edge_u8": planes[:, -1:].to(torch.uint8), "out/style_codes": codes}


def in_layers(model: SEAN, codes: Tensor) -> Tensor:
    """Codes [B, planes, S], the same for all styled blocks."""
    return codes[:, :, None].expand(-1, -1, len(model.config.layer_names), -1)


def run_photos(model: SEAN, case: Mapping[str, Any], io: Tensors) -> Tensors:
    """The three photos made again, and what the editor does with their codes."""
    seen: Tensors = {}
    noise = noise_of(io, case)
    styles = [
        model.encode_style(io[f"in/photo{i}_image_u8"].float() / 255, map_of(model, io, f"in/photo{i}_label_u8"))
        for i in range(3)
    ]
    for i, style in enumerate(styles):
        with watched(model) as inner:
            image = model.synthesize(map_of(model, io, f"in/photo{i}_label_u8"), style, rng=Given(noise))
        seen |= inner if i == 0 else {}
        seen |= {f"out/photo{i}_style_codes": style.tensors["codes"][:, :, 0], f"out/photo{i}_recon": image * 2 - 1}
    seen |= encoder_layers(model, unit_images(io["in/photo0_image_u8"]))
    seen["out/mean_style_codes"] = fit_mean(model, io)["codes"]
    return seen | run_editor(model, case, io, styles)


def fit_mean(model: SEAN, io: Tensors) -> Tensors:
    """The asset over the three photos, which the model keeps from then on."""

    class Photos:
        def batches(self, count: int) -> Iterator[Batch]:
            del count
            for i in range(3):
                maps = map_of(model, io, f"in/photo{i}_label_u8")
                yield Batch(io[f"in/photo{i}_image_u8"].float() / 255, maps, (str(i),))

    made = cast(Tensors, model.fit_asset("mean_style", cast(PairData, Photos()), SEANOptions()))
    model.assets = {**model.assets, "mean_style": made}
    return made


def run_editor(model: SEAN, case: Mapping[str, Any], io: Tensors, styles: list[Style]) -> Tensors:
    """The styles of the authors' editor, by its own rules, and their pictures."""
    names = model.channels
    mean = model.sample_style(map_of(model, io, "in/ui_label_u8"), 0)
    own = styles[0].fill(mean)

    def shown(style: Style) -> set[str]:
        assert style.present is not None
        return {n for n, p in zip(names, style.present[0].tolist(), strict=True) if p}

    def transferred(other: Style) -> Style:
        return own.take(other, classes=sorted(shown(styles[0]) & shown(other)))

    hair = (names[case["transfer_class"]],)
    every = transferred(styles[1])
    made = {
        "own": own,
        "own_seed0": own,
        "transfer_class": own.take(styles[1], classes=hair),
        "transfer_class_alpha035": own.lerp(styles[1], 0.35, classes=hair),
        "transfer_all": every,
        "reset_to_mean": every.take(mean, classes=[names[i] for i in case["reset_classes"]]),
        "missing_class_filled_by_mean": own,
    }
    for a, b in ((0, 1), (1, 2)):
        for share in (25, 50, 100):
            name = f"interp_{a}to{b}_alpha{share:03d}"
            made[name] = transferred(styles[a]).lerp(transferred(styles[b]), share / 100)
    order = case["noise_order"]
    torch.manual_seed(0)
    drawn = {name: torch.randn(io[f"in/noise/{name}"].shape) for name in order}
    seeded, stored = flat_noise(drawn, order), noise_of(io, case)
    seen: Tensors = {}
    for name, style in made.items():
        maps = map_of(model, io, "in/ui_painted_label_u8" if name.startswith("missing") else "in/ui_label_u8")
        noise = seeded if name == "own_seed0" else stored
        seen[f"out/ui/{name}_codes"] = style.tensors["codes"][0, :, 0]
        seen[f"out/ui/{name}"] = model.synthesize(maps, style, rng=Given(noise)) * 2 - 1
    return seen


def run_training(model: SEAN, case: Mapping[str, Any], io: Tensors, folder: Path) -> Tensors:
    """One forward in training mode, and the buffers after it."""
    photo, label = (
        ("in/image_u8", "in/label_u8") if "in/image_u8" in io else ("in/photo0_image_u8", "in/photo0_label_u8")
    )
    planes = model.planes(map_of(model, io, label))
    codes = model.encoder(unit_images(io[photo]), planes).codes
    image = model.generator(planes, in_layers(model, codes), noise_of(io, case))
    out = {k: v for k in io if k.startswith("train/sample") and (v := strided(k, {"train/sample": image})) is not None}
    state = model.state_dict()
    for key in (k for k in io if k.startswith("train/buffer/")):
        out[key] = state[official.rename("generator", key.removeprefix("train/buffer/")) or ""].clone()
    return out


# --- losses: C ----------------------------------------------------------------------------------------------------


TERMS = {"gan": "GAN", "gan_feat": "GAN_Feat", "perceptual": "VGG", "d_fake": "D_Fake", "d_real": "D_real"}


def build_trainer(case: Mapping[str, Any], folder: Path, train: bool) -> SEANTrainer:
    """Our trainer with the networks of a case."""
    opt = case["official_options"]
    names = {
        k: v for k, v in recorded.TRAINING.items() if v not in ("beta1", "beta2", "lambda_kld")
    }  # TTUR sets the betas
    more = {"niter": opt["niter"], "niter_decay": opt["niter_decay"]}
    options = SEANOptions(ttur=not opt["no_TTUR"], perceptual="none", **recorded.options(opt, names), **more)
    trainer = SEANTrainer(build(case, folder).train(train), options)
    state = official.convert({"discriminator": weights(folder, "netD")})
    trainer.discriminator.load_state_dict({k.removeprefix("discriminator."): v for k, v in state.items()}, strict=True)
    trainer.discriminator.train(train)
    vgg = load_file(folder / "weights_vgg.safetensors")
    trainer.perceptual = VGG19Features.of({"features." + k.split(".", 3)[3]: v for k, v in vgg.items()})
    return trainer


def parameters_of(trainer: SEANTrainer) -> dict[str, nn.Parameter]:
    """All parameters by their official names (`netG.…`, `netD.…`)."""
    model, discriminator = trainer.synthesizer, trainer.discriminator
    found: dict[str, nn.Parameter] = {}
    for prefix, module, role in (("netG", model, "generator"), ("netD", discriminator, "discriminator")):
        theirs = official.official_names(role, module.state_dict())
        found |= {f"{prefix}.{theirs[k]}": p for k, p in module.named_parameters()}
    return found


class Step:
    """Both halves of an iteration on the recorded batch."""

    def __init__(self, trainer: SEANTrainer, case: Mapping[str, Any], io: Tensors) -> None:
        self.trainer, self.case, self.io = trainer, case, io
        self.planes = trainer.synthesizer.planes(map_of(trainer.synthesizer, io))
        self.real = unit_images(io["in/image_u8"])
        self.fake = self.real

    def generator(self) -> Tensors:
        outputs = self.trainer.fake(self.planes, self.real, noise_of(self.io, self.case, "in/noise_G/"))
        self.fake = outputs.fake.detach()
        opinions = self.trainer.judge(self.planes, outputs, self.real, real_grad=False)
        return self._backward(self.trainer.losses(outputs, self.real, *opinions))

    def discriminator(self) -> Tensors:
        with torch.no_grad():
            outputs = self.trainer.fake(self.planes, self.real, noise_of(self.io, self.case, "in/noise_D/"))
        opinions = self.trainer.judge(self.planes, outputs, self.real)
        return self._backward(discriminator_losses(*opinions, self.trainer.options))

    def _backward(self, losses: Tensors) -> Tensors:
        self.trainer.discriminator.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        return {TERMS[k]: v.detach() for k, v in losses.items()}


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Losses, gradients, an iteration and the schedule; numbers of `case.json` and `values.json` by their paths."""
    io = recorded.load(folder / "io.safetensors")
    trainer = build_trainer(case, folder, True)
    step = Step(trainer, case, io)
    out = {f"G_losses/{k}": v for k, v in step.generator().items()}
    named = json.loads((folder / "values.json").read_text())
    out |= gradients(trainer, io, "G", named["G_grad_norms"]) | {"train/fake": step.fake}
    fake = step.fake
    trainer = build_trainer(case, folder, True)
    step = Step(trainer, case, io)
    out |= {f"D_losses/{k}": v for k, v in step.discriminator().items()}
    out |= gradients(trainer, io, "D", named["D_grad_norms"]) | run_discriminator(
        build_trainer(case, folder, False), step, fake
    )
    out |= run_iteration(case, folder, io) | run_rates(trainer, case)
    for network in "GD":
        out[f"{network}_total"] = torch.stack([v for k, v in out.items() if k.startswith(f"{network}_losses/")]).sum()
    kept = {k: v for k, v in out.items() if not k.startswith(("train/", "eval/")) or k in io}
    return kept | due(io, {k: v for k, v in out.items() if k == "train/fake"})


def gradients(trainer: SEANTrainer, io: Tensors, network: str, named: Mapping[str, float]) -> Tensors:
    """named: the parameters that have a gradient officially. A layer whose region lies under another everywhere has zeros there, and is
    not called here."""
    out: Tensors = {f"{network}_grad_norms/{key}": torch.zeros(()) for key in named}
    for name, p in parameters_of(trainer).items():
        prefix, key = name.split(".", 1)
        if prefix == f"net{network}" and p.grad is not None:
            out[f"{network}_grad_norms/{key}"] = p.grad.norm()
            if f"train/{network}_grad/{key}" in io:
                out[f"train/{network}_grad/{key}"] = p.grad.clone()
    return out


@torch.no_grad()
def run_discriminator(trainer: SEANTrainer, step: Step, fake: Tensor) -> Tensors:
    """The discriminator's layers in evaluation mode, on the fake of training mode."""
    both = torch.cat([torch.cat([step.planes, x], 1) for x in (fake, step.real)])
    scales = trainer.discriminator(both)
    return {f"eval/D_scale{i}_fake_out{j}": t[: len(fake)] for i, s in enumerate(scales) for j, t in enumerate(s)}


def run_iteration(case: Mapping[str, Any], folder: Path, io: Tensors) -> Tensors:
    """A generator step, then a discriminator step on a fresh fake of the stepped generator."""
    trainer = build_trainer(case, folder, True)
    found = parameters_of(trainer)
    before = {k: p.detach().clone() for k, p in found.items()}
    optimizers, step = trainer.optimizers(), Step(trainer, case, io)
    losses = step.generator()
    optimizers["generator"].step()
    losses |= step.discriminator()
    optimizers["discriminator"].step()
    out = {f"iter_losses/{k}": v for k, v in losses.items()}
    for name, p in found.items():
        now = p.detach()
        after = now.norm(), (now - before[name]).norm()
        out |= {f"iter_param_after_norm_changenorm/{name}/{i}": v for i, v in enumerate(after)}
    states = {"netG": trainer.synthesizer.state_dict(), "netD": trainer.discriminator.state_dict()}
    for key in (k for k in io if k.startswith("iter/buffer_after/")):
        network, rest = key.removeprefix("iter/buffer_after/").split(".", 1)
        ours = official.rename(ROLES[network], rest) or ""
        out[key] = states[network][ours.removeprefix("discriminator.")].clone()
    return out


def run_rates(trainer: SEANTrainer, case: Mapping[str, Any]) -> Tensors:
    """Both rates after each epoch that the case names, which are those of the next."""
    out: Tensors = {}
    name = "lr_after_epoch_(epoch,lr_G,lr_D)"
    for row, (epoch, *_) in enumerate(case[name]):
        rates = trainer.rates(float(epoch), 0)
        out |= {f"{name}/{row}/{i}": torch.tensor(rates[k]) for i, k in ((1, "generator"), (2, "discriminator"))}
    return out


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    if "info" in case:
        return _beside("sean_units").run_preprocess(case, case_dir)
    if "modules" in case:
        return _beside("sean_units").run_units(case, case_dir)
    return run_losses(case, case_dir) if "slim_vgg" in case else run_networks(case, case_dir)
