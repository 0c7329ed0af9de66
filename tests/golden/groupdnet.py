"""Maps the recorded GroupDNet cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.nn.latents import reparameterize
from zoo.nn.losses import kl_divergence
from zoo_plugins.groupdnet import official
from zoo_plugins.groupdnet.config import GroupDNetConfig, GroupDNetOptions
from zoo_plugins.groupdnet.encoder import class_crops
from zoo_plugins.groupdnet.model import GroupDNet
from zoo_plugins.groupdnet.trainer import GroupDNetTrainer

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, spade, family = _beside("recorded"), _beside("spade"), _beside("spade_family")
_OPTIONS = {k: v for k, v in recorded.NETWORK.items() if k != "z_dim"} | {
    "enc_width": "encoder_width", "dataset_mode": "network",
}  # fmt: skip


def config_of(opt: Mapping[str, Any]) -> GroupDNetConfig:
    """Our config from the authors' options."""
    return GroupDNetConfig(**recorded.options(opt, _OPTIONS))


def options_of(opt: Mapping[str, Any]) -> GroupDNetOptions:
    """Our training options from the authors'; with two time scales theirs fixes the betas, whatever the options say."""
    fields, ttur = recorded.options(opt, recorded.TRAINING), not opt.get("no_TTUR", False)
    if ttur:
        fields = {k: v for k, v in fields.items() if k not in ("beta1", "beta2")}
    return GroupDNetOptions(ttur=ttur, perceptual="none", **fields)


def build(case: Mapping[str, Any], folder: Path) -> GroupDNet:
    """The model of a case with its weights, in evaluation mode."""
    opt = case["official_options"]
    model = GroupDNet(config_of(opt), numbered_space(opt["label_nc"] + bool(opt["contain_dontcare_label"])))
    stored = {family.ROLES[n]: state for n, state in family.parts(folder).items() if n in ("netG", "netE")}
    network = {role: official.official_names(role, net.state_dict()) for role, net in _networks(model).items()}
    for role, names in network.items():  # a case may hold one network alone, or be cut
        if role not in stored or "cut" in case:
            state = {names[k]: v for k, v in _networks(model)[role].state_dict().items()}
            stored[role] = recorded.complete({"cut": {}}, stored.get(role, {}), state, lambda key: key)
    model.load_state_dict(official.convert(stored), strict=True)
    return model.eval()


def _networks(model: GroupDNet) -> dict[str, Any]:
    return {"generator": model.generator, "encoder": model.encoder}


def whole(io: Tensors, name: str) -> Tensor:
    """A recorded picture or map; one of half size has every pixel four times."""
    full = name.removesuffix("_u8")
    if name in io:
        return io[name]
    return io[f"{full}_half_u8"].repeat_interleave(2, -1).repeat_interleave(2, -2)


def map_of(model: GroupDNet, io: Tensors, prefix: str = "in/") -> SemanticMap:
    """The recorded map with its instances, if the network sees any (a style's has none)."""
    labels = whole(io, f"{prefix}label_u8")[:, 0].long()
    instances = None
    if model.config.edges:
        instances = whole(io, "in/instance_u8")[:, 0].long() if prefix == "in/" else torch.zeros_like(labels)
    return SemanticMap(labels, model.label_space, instances)


def photos(io: Tensors, prefix: str = "in/") -> Tensor:
    return spade.unit_images(whole(io, f"{prefix}image_u8"))


# --- networks: A, B -----------------------------------------------------------------------------------------------


def run_networks(case: Mapping[str, Any], folder: Path) -> Tensors:
    io = recorded.load(folder / "io.safetensors")
    model, seen = build(case, folder), Tensors()
    with torch.no_grad():
        with recorded.where_held():
            run_encoder(model, io, seen)
        with recorded.where_held():
            run_generator(model, io, seen)
        with recorded.where_held():
            run_sampling(case, model, io, seen)
        with recorded.where_held():
            run_styles(case, model, io, seen)
        out = chosen(io, seen)
        if any(k.startswith("train/") for k in io):
            with recorded.where_held():
                out |= run_training(model.train(), io, folder)
    return out


def chosen(io: Tensors, seen: Mapping[str, Tensor], prefix: str = "out/") -> Tensors:
    """What was recorded under the prefix of what was seen; `_cC_sK`: every C-th channel, every K-th row and column."""
    out: Tensors = {}
    for key in (k for k in io if k.startswith(prefix)):
        found = re.fullmatch(r"(.*?)(?:_c(\d+))?(?:_s(\d+))?", key.removeprefix(prefix))
        if found is not None and found[1] in seen:
            channels, step = int(found[2] or 1), int(found[3] or 1)
            out[key] = seen[found[1]][:, ::channels, ::step, ::step] if found[2] or found[3] else seen[found[1]]
    return out


def crops(model: GroupDNet, io: Tensors, prefix: str = "in/") -> Tensor:
    """Close-ups of all classes."""
    planes = model.planes(map_of(model, io, prefix))[:, : len(model.channels)]
    return class_crops(photos(io, prefix), planes)


def encoded(model: GroupDNet, io: Tensors, prefix: str = "in/") -> tuple[Tensor, Tensor]:
    """The posterior as the model reads it: of the classes that are there."""
    return model.encode(photos(io, prefix), model.planes(map_of(model, io, prefix))[:, : len(model.channels)])


def run_encoder(model: GroupDNet, io: Tensors, seen: Tensors) -> None:
    seen["split"] = crops(model, io)
    seen |= {f"enc_layer{i}": layer for i, layer in enumerate(model.encoder.features(seen["split"]), 1)}
    seen |= zip(("enc_mu", "enc_logvar"), encoded(model, io), strict=True)


def codes(model: GroupDNet, noise: Tensor) -> Tensor:
    """Their draws [B, classes, 8, h * w] as the generator reads them."""
    return noise.reshape(len(noise), -1, *model.config.grid)


def run_generator(model: GroupDNet, io: Tensors, seen: Tensors) -> None:
    """The picture of recorded codes, and what the modules put out on the way."""
    planes, z = model.planes(map_of(model, io)), codes(model, io["in/infer_noise1"])
    with family.outputs_seen(model.generator, seen):
        seen["sample"] = model.generator(planes, z)


def run_sampling(case: Mapping[str, Any], model: GroupDNet, io: Tensors, seen: Tensors) -> None:
    """The authors' inference: all codes anew for every sample, and those of one class anew."""
    plan = model.generator.plan(model.planes(map_of(model, io)))
    with recorded.where_held():
        for i in range(2):
            seen[f"infer_all_{i}"] = model.generator.render(plan, codes(model, io[f"in/infer_noise{i + 1}"]))
    for i in range(2):
        noise = io["in/infer_noise0"].clone()
        noise[:, case["test_mask"]] = io[f"in/class_noise{i}"]
        seen[f"infer_class_{i}"] = model.generator.render(plan, codes(model, noise))


def run_styles(case: Mapping[str, Any], model: GroupDNet, io: Tensors, seen: Tensors) -> None:
    """Reconstruction, one class in another photo's style, a quarter of the way to that photo's codes."""
    plan = model.generator.plan(model.planes(map_of(model, io)))
    mu, _ = encoded(model, io)
    seen["recon"] = model.generator.render(plan, mu)
    style, _ = encoded(model, io, "in/style_")
    seen["style_mu"] = style
    width, place = model.config.code_width, case["test_mask"]
    mixed = mu.clone()
    mixed[:, width * place : width * (place + 1)] = style[:, width * place : width * (place + 1)]
    seen["mix_class"] = model.generator.render(plan, mixed)
    seen["morph_0.25"] = model.generator.render(plan, 0.75 * mu + 0.25 * style)


def run_training(model: GroupDNet, io: Tensors, folder: Path) -> Tensors:
    """One forward of both networks in training mode, the divergence, and the buffers that changed."""
    mu, logvar = encoded(model, io)
    fake = model.generator(model.planes(map_of(model, io)), reparameterize(mu, logvar, io["in/eps"]))
    kld = GroupDNetOptions.lambda_kld * kl_divergence(mu, logvar)
    out = chosen(io, {"fake": fake, "KLD": kld.view(1)}, "train/")
    networks = {"netG": model.generator, "netE": model.encoder}
    return out | family.buffers("train/buffer/", io, networks, folder, official)


# --- losses: C ----------------------------------------------------------------------------------------------------


class Step(spade.Step):
    """Both halves of an iteration on the recorded batch."""

    def __init__(self, trainer: GroupDNetTrainer, io: Tensors, maps: SemanticMap, real: Tensor) -> None:
        self.trainer, self.io = trainer, io
        self.planes, self.real, self.fake = trainer.gan.planes(maps), real, real

    def noise(self, name: str) -> Tensor:
        return self.io["in/eps_G" if name == "in/eps" else "in/eps_D"]


def batch_of(case: Mapping[str, Any], folder: Path, model: GroupDNet, io: Tensors) -> tuple[SemanticMap, Tensor]:
    """The pair of the case that `source_samples` names, and behind it that case's style pair where there are two."""
    source = json.dumps(case["source_samples"])
    name = re.search(r"\.\./(\w+)", source)
    assert name is not None
    pairs = recorded.load(folder.parent / name[1] / "io.safetensors")
    count = len(io["in/eps_G"])
    prefixes = ("in/", "in/style_")[:count]
    maps = [map_of(model, pairs, prefix) for prefix in prefixes]
    labels = torch.cat([m.labels for m in maps])
    if changed := re.search(r"second label map class (\d+) is changed to (\d+)", source):
        labels[1][labels[1] == int(changed[1])] = int(changed[2])
    instances = [m.instances for m in maps if m.instances is not None]
    numbers = torch.cat(instances) if instances else None
    return SemanticMap(labels, model.label_space, numbers), torch.cat([photos(pairs, p) for p in prefixes])


def build_trainer(case: Mapping[str, Any], folder: Path, train: bool) -> GroupDNetTrainer:
    """Our trainer with the networks of a case."""
    trainer = GroupDNetTrainer(build(case, folder).train(train), options_of(case["official_options"]))
    family.load_critics(trainer, folder, official, train)
    return trainer


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, steps = recorded.load(folder / "io.safetensors"), []

    def step_of(trainer: GroupDNetTrainer) -> Any:
        steps.append(Step(trainer, io, *batch_of(case, folder, trainer.gan, io)))
        return steps[-1]

    out = family.run_losses(io, folder, official, lambda train: build_trainer(case, folder, train), step_of)
    fake = out.pop("train/fake", None)
    if fake is not None:
        out |= chosen(io, {"fake": fake}, "train/")
    if "iter/lr_G_lr_D" in out:
        rates, options = out.pop("iter/lr_G_lr_D"), steps[-1].trainer.options
        adam = steps[-1].trainer.optimizers()["generator"].defaults
        out |= {"adam/lr_G": rates[0], "adam/lr_D": rates[1], "adam/betas": torch.tensor(options.betas)}
        out["adam/eps"] = torch.tensor(adam["eps"])
    out = {re.sub(r"/([GD])/grad_norm/", r"/\1_grad_norm/", k): v for k, v in out.items()}
    out = {k.replace("iter/losses/D_", "iter/D/D_"): v for k, v in out.items() if not re.match("iter/losses/[^D]", k)}
    return {k: v for k, v in out.items() if not k.startswith(("train/grad/", "train/buffer")) or k in io}


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("groupdnet_units")
    if "info" in case:
        return units.run_preprocess(case, case_dir)
    if "modules" in case:
        return units.run_units(case, case_dir)
    return run_losses(case, case_dir) if "vgg_width_divisor" in case else run_networks(case, case_dir)
