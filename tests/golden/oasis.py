"""Maps the recorded OASIS cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.losses import Outputs
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.nn.perceptual import VGG19Features
from zoo.training.ema import blend
from zoo_plugins.oasis import official, styles
from zoo_plugins.oasis.config import OasisConfig, OasisOptions
from zoo_plugins.oasis.losses import SegmentationObjective, fake_loss, labelmix_mask, mixed, real_loss
from zoo_plugins.oasis.model import OASIS
from zoo_plugins.oasis.trainer import OasisTrainer

Tensors = dict[str, Tensor]
ROLES = {"netG": "generator", "netEMA": "generator", "netD": "discriminator"}


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")
_NETWORK = {"crop_size": "resolution", "aspect_ratio": "aspect_ratio", "channels_G": "ngf", "z_dim": "z_dim"}
_TRAINING = {
    "lr_g": "lr", "lr_d": "lr_d", "beta1": "beta1", "beta2": "beta2", "lambda_labelmix": "lambda_labelmix",
    "lambda_vgg": "lambda_perceptual",
}  # fmt: skip


def config_of(opt: Mapping[str, Any]) -> OasisConfig:
    """Our config from the authors' options."""
    kernel, spectral = opt.get("spade_ks", 3), "" if opt.get("no_spectral_norm") else "spectral"
    norm = f"{spectral}spade{opt.get('param_free_norm', 'syncbatch')}{kernel}x{kernel}"
    return OasisConfig(norm=norm, use_noise=not opt.get("no_3dnoise", False), **recorded.options(opt, _NETWORK))


def options_of(opt: Mapping[str, Any]) -> OasisOptions:
    """Our training options from the authors'."""
    options = recorded.options(opt, _TRAINING)
    if opt.get("no_labelmix"):
        options["lambda_labelmix"] = 0.0
    unlabeled = numbered_space(1).names[0] if opt.get("contain_dontcare_label") else "none"
    return OasisOptions(balance=not opt.get("no_balancing_inloss", False), unlabeled=unlabeled, **options)


def build(opt: Mapping[str, Any], weights: Mapping[str, Tensor]) -> OASIS:
    """The model of a case in evaluation mode. weights: of the generator, under official keys."""
    model = OASIS(config_of(opt), numbered_space(opt["semantic_nc"]))
    model.load_state_dict(official.convert({"generator": weights}), strict=True)
    return model.eval()


def map_of(model: OASIS, io: Tensors) -> SemanticMap:
    """The recorded map."""
    return SemanticMap(io["in/label_u8"][:, 0].long(), model.label_space)


def unit_images(values: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return (values.float() / 255 - 0.5) / 0.5


def stride(name: str, value: Tensor) -> Tensor:
    """The pixels that a name ending in `_sK` means."""
    found = re.search(r"_s(\d+)$", name)
    return value[..., :: int(found[1]), :: int(found[1])] if found else value


def plain(name: str) -> str:
    """Without `_sK`."""
    return re.sub(r"_s\d+$", "", name)


# --- the generator: A, B ------------------------------------------------------------------------------------------


@torch.no_grad()
def run_networks(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, opt = recorded.load(folder / "io.safetensors"), case["official_options"]
    weights = load_file(folder / "weights.safetensors")
    model, seen = build(opt, weights), {}
    channels = model.label_input.read(map_of(model, io))
    for name, style in styles_of(model, io).items():
        hooks = watch(model.generator, seen) if name == "sample" else []
        with recorded.where_held():
            seen[name] = model.generator.render(model.noisy(channels, style()))
        for hook in hooks:
            hook.remove()
    for name in [n for n in seen if re.fullmatch(r"body_\d_norm_[01]_out", n)]:
        seen[name] = F.leaky_relu(seen[name], 0.2)  # theirs works in place, on what had been recorded
    out = {k: stride(k, seen[n]) for k in io if (n := plain(k.removeprefix("out/"))) in seen and k.startswith("out/")}
    if any(k.startswith("train/") for k in io):
        model.train()
        seen["train"] = model.generator.render(model.noisy(channels, styles_of(model, io)["sample"]()))
        out |= {k: stride(k, seen["train"]) for k in io if plain(k) == "train/sample"}
        out |= entries("train/buffer/", io, lambda _: ("generator", model.generator), named=False)
    return out


def styles_of(model: OASIS, io: Tensors) -> dict[str, Callable[[], Any]]:
    """What makes the noise of each recorded picture."""
    if not model.config.use_noise:
        return {"sample": lambda: None}
    size = (io["in/label_u8"].shape[-2], io["in/label_u8"].shape[-1])

    def classes(chosen: Tensor, z: Tensor, base: Tensor) -> Any:
        """One vector for every class, others for some of them."""
        every = base[:, None].repeat(1, len(model.channels), 1)
        every[:, chosen] = z
        return model.image_style(base).take(styles.of_classes(model, every))

    def blocks() -> Any:
        z = io["in/z_blocks"]
        rows, columns = z.shape[-2:]
        places = torch.arange(rows * columns).view(1, rows, columns).expand(len(z), -1, -1)
        return model.region_style(z.flatten(2).transpose(1, 2), places)

    def halves() -> Any:
        return model.region_style(
            torch.stack([io["in/z"], io["in/z2"]], 1), io["in/edit_mask_u8"][:, 0].view(-1, *size)
        )

    return {
        "sample": lambda: model.image_style(io["in/z"]),
        "sample_z2": lambda: model.image_style(io["in/z2"]),
        "interp_half": lambda: model.image_style(io["in/z"]).lerp(model.image_style(io["in/z2"]), 0.5),
        "local_class": lambda: model.image_style(io["in/z"]).take(
            model.image_style(io["in/z2"]), classes=[model.channels[int(io["in/edit_class"])]]
        ),
        "per_class": lambda: classes(io["in/classes"], io["in/z_classes"].transpose(0, 1), io["in/z"]),
        "local_region": halves,
        "block_noise": blocks,
    }


def watch(generator: nn.Module, seen: Tensors) -> list[Any]:
    """Keeps what the modules put out, under their names with underscores."""
    return [
        module.register_forward_hook(
            lambda _m, _i, result, name=name: seen.__setitem__(f"{name.replace('.', '_')}_out", result)
        )
        for name, module in generator.named_modules()
        if name
    ]


def entries(prefix: str, io: Tensors, network: Callable[[str], Any], *, named: bool = True) -> Tensors:
    """Entries of networks that a case names under a prefix. network: the name in the key -> (role, module)."""
    out: Tensors = {}
    for key in (k for k in io if k.startswith(prefix)):
        name, _, rest = key.removeprefix(prefix).partition(".") if named else ("", "", key.removeprefix(prefix))
        if (found := network(name)) is not None:
            out[key] = found[1].state_dict()[official.rename(found[0], rest) or rest].clone()
    return out


# --- losses: C ----------------------------------------------------------------------------------------------------


class Step:
    """Both halves of an iteration on the recorded batch, from the stored weights."""

    def __init__(self, case: Mapping[str, Any], folder: Path, *, train: bool, vgg: bool = False) -> None:
        opt = case["official_options"]
        self.io = recorded.load(folder / "io.safetensors")
        stored = folder.parent / str(case.get("weights_from", "")).split(": ")[1].split()[0] / "weights.safetensors"
        state = recorded.held(recorded.load(folder / "weights.safetensors"), "netD.")
        options = options_of(opt)
        # the widths are read off the weights
        options = OasisOptions(**{**vars(options), "ndf": max(1, len(state["body_down.0.conv1.0.bias"]) // 2)})
        self.trainer = OasisTrainer(build(opt, recorded.load(stored)).train(train), options)
        self.discriminator = self.trainer.discriminator
        prefixed = official.convert({"discriminator": state})
        self.discriminator.load_state_dict({k.removeprefix("discriminator."): v for k, v in prefixed.items()})
        self.discriminator.train(train)
        if vgg:
            features = recorded.load(folder / "weights_vgg.safetensors")
            self.trainer.perceptual = VGG19Features.of(
                {f"features.{k.split('.', 1)[1]}": v for k, v in features.items()}
            )
        gan = self.trainer.gan
        self.planes = gan.planes(map_of(gan, self.io))
        self.labels = self.planes.argmax(1)
        self.real = unit_images(self.io["in/image_u8"])
        assert isinstance(self.trainer.objective, SegmentationObjective)
        self.objective = self.trainer.objective

    @property
    def networks(self) -> dict[str, tuple[str, nn.Module]]:
        return {"netG": ("generator", self.trainer.gan.generator), "netD": ("discriminator", self.discriminator)}

    def fake(self, name: str) -> Outputs:
        """A forward of the generator with recorded noise of the picture."""
        noise = self.io[name][:, None].expand(-1, self.planes.shape[1], -1)
        return self.trainer.fake(self.planes, self.real, noise)

    def coins(self) -> Tensor:
        """The recorded draws by channel."""
        coins = torch.zeros(self.planes.shape[1], dtype=torch.int64)
        coins[self.io["in/labelmix_classes"]] = self.io["in/labelmix_bits"]
        return coins

    def generator(self) -> tuple[Tensors, Tensor]:
        """(weighted terms, the fakes)."""
        outputs = self.fake("in/z_G")
        opinions = self.trainer.judge(self.planes, outputs, self.real, real_grad=False)
        losses = self.trainer.losses(outputs, self.real, *opinions)
        torch.stack(list(losses.values())).sum().backward()
        return {k: v.detach() for k, v in losses.items()}, outputs.fake.detach()

    def discriminate(self) -> Tensors:
        """The weighted terms of the other step."""
        with torch.no_grad():
            fake = self.fake("in/z_D").fake
        self.discriminator.zero_grad()
        losses, _ = self.objective.discriminator_losses(fake, self.real, self.labels, self.coins())
        torch.stack(list(losses.values())).sum().backward()
        return {k: v.detach() for k, v in losses.items()}

    def gradients(self, network: str) -> Tensors:
        """By official name with the network's in front."""
        role, module = self.networks[network]
        names = official.official_names(role, list(module.state_dict()))
        return {f"{network}.{names[k]}": p.grad for k, p in module.named_parameters() if p.grad is not None}


_G_TERMS = {"gan": "adv", "perceptual": "vgg_x10"}
_D_TERMS = {"d_fake": "fake", "d_real": "real", "labelmix": "labelmix"}


def scalars(prefix: str, losses: Tensors, terms: Mapping[str, str]) -> Tensors:
    """The terms under the authors' names, and their sum."""
    total = torch.stack(list(losses.values())).sum()
    return {f"{prefix}/{terms[k]}": v for k, v in losses.items()} | {f"{prefix}/total": total}


def norms(prefix: str, gradients: Tensors) -> Tensors:
    return {f"{prefix}/{k}": v.norm() for k, v in gradients.items()}


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Results among the tensors of the case, and its scalars by their path."""
    io, values = recorded.load(folder / "io.safetensors"), scalar_paths(folder)
    out: Tensors = {}
    for run in (run_train, run_eval, run_vgg, run_iteration):
        with recorded.where_held():
            out |= run(case, folder)
    return {k: v for k, v in out.items() if k in io or k in values}


def scalar_paths(folder: Path) -> set[str]:
    """The JSON paths of the measured numbers of a case."""
    found: set[str] = set()

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{path}/{key}" if path else key)
        else:
            found.add(path)

    file = folder / "values.json"
    walk(json.loads(file.read_text()) if file.exists() else {}, "")
    return found


def run_train(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Both steps in training mode, each from the stored weights."""
    step = Step(case, folder, train=True)
    losses, fake = step.generator()
    out = scalars("train/G", losses, _G_TERMS) | {k: stride(k, fake) for k in step.io if plain(k) == "train/fake_G"}
    gradients = step.gradients("netG")
    out |= norms("train/grad_norm_G", gradients) | norms("train/grad_norm_D_from_G_step", step.gradients("netD"))
    out |= entries("train/buffer_after_G_step/", step.io, step.networks.get)
    step = Step(case, folder, train=True)
    out |= scalars("train/D", step.discriminate(), _D_TERMS)
    gradients |= step.gradients("netD")
    out |= norms("train/grad_norm_D", step.gradients("netD"))
    out |= entries("train/buffer_after_D_step/", step.io, step.networks.get)
    return out | {f"train/grad/{k}": v for k, v in gradients.items()}


def run_eval(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The same in evaluation mode, and what the discriminator says block by block."""
    step = Step(case, folder, train=False)
    out = scalars("eval/G", step.generator()[0], _G_TERMS) | scalars("eval/D", step.discriminate(), _D_TERMS)
    with torch.no_grad():
        fake = step.fake("in/z_D").fake
        mask = labelmix_mask(step.labels, step.coins(), overwrite=step.trainer.options.labelmix_overwrite)
        mix = mixed(step.real, fake, mask)
        logits = {"fake": step.discriminator(fake), "mixed": step.discriminator(mix)}
        seen: Tensors = {}
        hooks = watch(step.discriminator, seen)
        logits["real"] = step.discriminator(step.real)
        for hook in hooks:
            hook.remove()
        out["eval/labelmix_mask_u8"] = mask[:, None].to(torch.uint8)
        named = {f"D_{k}": v for k, v in logits.items()} | {"mixed": mix}
        named |= {f"D_real_body_{k.removesuffix('_out')}": v[:1] for k, v in seen.items()}
        out |= {k: stride(k, named[n]) for k in step.io if (n := plain(k.removeprefix("eval/"))) in named}
        for care in (True, False):
            for off in (True, False):
                opt = case["official_options"] | {"contain_dontcare_label": care, "no_balancing_inloss": off}
                objective = SegmentationObjective(step.discriminator, step.trainer.gan.label_input, options_of(opt))
                name = f"variants_on_eval_D_real/dontcare={care},no_balancing={off}"
                weights = objective.weights(step.labels)
                out[f"{name}/real"] = real_loss(logits["real"], step.labels, weights)
                out[f"{name}/fake"] = fake_loss(logits["real"])
    return out


def run_vgg(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The generator's step with the perceptual loss."""
    step = Step(case, folder, train=True, vgg=True)
    losses, _ = step.generator()
    total = torch.stack([g.norm() for g in step.gradients("netG").values()]).norm()
    return scalars("train_vgg/G", losses, _G_TERMS) | {"train_vgg/grad_norm_total_G": total}


def run_iteration(case: Mapping[str, Any], folder: Path) -> Tensors:
    """A step of the generator, one of the discriminator on a fresh fake of the stepped generator, and the average."""
    step = Step(case, folder, train=True)
    states = {name: module.state_dict() for name, (_, module) in step.networks.items()}
    states["netEMA"] = {k: v.clone() for k, v in states["netG"].items()}
    before = {name: {k: v.clone() for k, v in state.items()} for name, state in states.items()}
    optimizers = step.trainer.optimizers()
    out = scalars("iter/G", step.generator()[0], _G_TERMS)
    optimizers["generator"].step()
    out |= scalars("iter/D", step.discriminate(), _D_TERMS)
    optimizers["discriminator"].step()
    blend(states["netEMA"], states["netG"], case["official_options"]["EMA_decay"])
    for name, state in states.items():
        names = official.official_names(ROLES[name], list(state))
        for key, value in state.items():
            now = value.detach().float()
            change = (now - before[name][key].float()).norm()
            out[f"iter/{name}.{names[key]}"] = value.detach()
            out[f"iter/param_after/{name}.{names[key]}"] = torch.stack([now.sum(), now.norm(), change])
    return out


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("oasis_units")
    if case["mode"] == "data":
        return units.run_preprocess(case, case_dir)
    if case["mode"] == "metric":
        return units.run_fid(case_dir)
    if case["mode"] == "unit":
        due = units.due(case_dir) | scalar_paths(case_dir)
        return {k: v for k, v in units.run_units(case, case_dir).items() if k in due}
    return run_losses(case, case_dir) if "weights_from" in case else run_networks(case, case_dir)
