"""Maps the recorded pix2pixHD cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

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

from zoo.families.pix2pixhd.blocks import smaller
from zoo.families.pix2pixhd.losses import discriminator_losses
from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.families.spade.losses import Outputs
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.nn.labels import instance_edges
from zoo.nn.perceptual import VGG19Features
from zoo_plugins.pix2pixhd import official
from zoo_plugins.pix2pixhd.config import Pix2PixHDConfig, Pix2PixHDOptions
from zoo_plugins.pix2pixhd.model import Pix2PixHD
from zoo_plugins.pix2pixhd.regions import paint_regions
from zoo_plugins.pix2pixhd.trainer import Pix2PixHDTrainer

Tensors = dict[str, Tensor]
ROLES = {"netG": "generator", "netE": "encoder", "netD": "discriminator"}


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")
_NETWORK: dict[str, str] = {
    "ngf": "ngf", "norm": "norm", "netG": "generator", "n_downsample_global": "n_downsample_global", "n_blocks_global": "n_blocks_global",
    "n_local_enhancers": "n_local_enhancers", "n_blocks_local": "n_blocks_local", "feat_num": "feat_num", "nef": "nef",
    "n_downsample_E": "n_downsample_e",
}  # fmt: skip
_TRAINING = {"lr": "lr", "beta1": "beta1", "ndf": "ndf", "num_D": "num_d", "norm": "norm_d", "pool_size": "pool_size"}


def config_of(opt: Mapping[str, Any], size: tuple[int, int]) -> Pix2PixHDConfig:
    """Our config from the authors' options, for maps of (height, width) = size."""
    features: dict[str, Any] = (
        {"features": "label" if opt["label_feat"] else "instance"} if opt["instance_feat"] else {}
    )
    return Pix2PixHDConfig(
        label_space="numbered",
        input="classes" if opt["label_nc"] else "colours",
        edges=not opt["no_instance"],
        resolution=size[1],
        aspect_ratio=size[1] / size[0],
        **recorded.options(opt, _NETWORK),
        **features,
    )


def options_of(opt: Mapping[str, Any]) -> Pix2PixHDOptions:
    """Our training options from the authors'."""
    return Pix2PixHDOptions(
        n_layers_d=opt["n_layers_D"] + 1,
        gan_mode="original" if opt["no_lsgan"] else "ls",
        lambda_feat=0.0 if opt["no_ganFeat_loss"] else opt["lambda_feat"],
        lambda_perceptual=opt["lambda_feat"],
        perceptual="none",
        niter_fix_global=opt["niter_fix_global"],
        load_features=opt["load_features"],
        **recorded.options(opt, _TRAINING),
    )


def file_of(case: Mapping[str, Any], folder: Path) -> Path:
    """The file of a case's weights."""
    return folder / case.get("weights", "weights.safetensors")


def weights_of(case: Mapping[str, Any], folder: Path) -> dict[str, Tensors]:
    """The stored weights by network (netG, netE, netD)."""
    found: dict[str, Tensors] = {}
    for key, value in recorded.load(file_of(case, folder)).items():
        network, rest = key.split(".", 1)
        found.setdefault(network, {})[rest] = value
    return found


def build(case: Mapping[str, Any], folder: Path, size: tuple[int, int]) -> Pix2PixHD:
    """The model of a case with its weights, in evaluation mode. Where features come from files there is no encoder to load."""
    opt, weights = case["official_options"], weights_of(case, folder)
    model = Pix2PixHD(config_of(opt, size), numbered_space(max(opt["label_nc"], 1)))
    for network in ("netG", "netE"):
        module = getattr(model, ROLES[network])
        if module is None or (network == "netE" and network not in weights):
            continue
        state = recorded.complete(case, weights.get(network, {}), module.state_dict(), lambda key: key)
        converted = official.convert({ROLES[network]: state})
        module.load_state_dict({k.partition(".")[2]: v for k, v in converted.items()}, strict=True)
    return model.eval()


def discriminator_of(state: Tensors, opt: Mapping[str, Any]) -> MultiscaleDiscriminator:
    """The discriminator of official weights."""
    first = next(v for k, v in state.items() if re.fullmatch(r"(?:scale\d_layer0|layer0)\.0\.weight", k))
    network = MultiscaleDiscriminator(
        first.shape[1], len(first), opt["n_layers_D"] + 1, opt["num_D"], opt["norm"], bias=True
    )
    converted = official.convert({"discriminator": state})
    network.load_state_dict({k.removeprefix("discriminator."): v for k, v in converted.items()}, strict=True)
    return network


def unit_images(values: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return (values.float() / 255 - 0.5) / 0.5


def stride(name: str, value: Tensor) -> Tensor:
    """The pixels that a name ending in `_sK` means."""
    found = re.search(r"_s(\d+)$", name)
    return value[..., :: int(found[1]), :: int(found[1])] if found else value


def map_of(model: Pix2PixHD, io: Tensors) -> SemanticMap:
    """The recorded map with its instances, if the network sees any."""
    seen = model.config.edges or model.config.features == "instance"
    instances = io["in/inst_i32"][:, 0].long() if seen else None
    return SemanticMap(io["in/label_u8"][:, 0].long(), model.label_space, instances)


def planes_of(model: Pix2PixHD, io: Tensors) -> Tensor:
    """The network's input without features: planes of the map, or the picture that stands in for it."""
    return unit_images(io["in/label_rgb_u8"]) if model.config.input == "colours" else model.planes(map_of(model, io))


def size_of(io: Tensors) -> tuple[int, int]:
    """(height, width) of a case's maps."""
    one = io["in/label_rgb_u8"] if "in/label_rgb_u8" in io else io["in/label_u8"]
    return one.shape[2], one.shape[3]


# --- networks ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def run_networks(case: Mapping[str, Any], folder: Path) -> Tensors:
    io = recorded.load(folder / "io.safetensors")
    wanted = {k: re.sub(r"_s\d+$", "", k.removeprefix("out/")) for k in io if k.startswith("out/")}
    seen: Tensors = {}
    with recorded.where_held():
        seen["edge_u8"] = instance_edges(io["in/inst_i32"][:, 0]).to(torch.uint8)
    with recorded.where_held():
        run_generator(case, folder, io, seen)
    return {k: stride(k, seen[name]) for k, name in wanted.items() if name in seen}


def run_generator(case: Mapping[str, Any], folder: Path, io: Tensors, seen: Tensors) -> None:
    """Features, the picture with what the modules put out on the way, and what the discriminator says of it."""
    model = build(case, folder, size_of(io))
    maps, style = map_of(model, io), None
    planes = model.planes(maps)
    if model.encoder is not None:
        photo, regions = unit_images(io["in/image_u8"]), model.regions(maps)
        seen["enc_raw"] = model.encoder(photo)
        seen["feat_map"] = style = paint_regions(model.pooled(photo, regions)[0], regions)
        seen["sampled_feat_map"] = paint_regions(drawn_rows(case, model, maps), regions)
        seen["image_sampled"] = model.generator(torch.cat([planes, seen["sampled_feat_map"]], 1))
    inputs = planes if style is None else torch.cat([planes, style], 1)
    hooks = [
        module.register_forward_hook(lambda _m, _i, result, name=name: seen.__setitem__(f"netG.{name}", result.clone()))
        for name, module in model.generator.named_modules()
        if re.fullmatch(r"model\w*\.\d+", name)
    ]
    seen["image"] = model.generator(inputs)
    for hook in hooks:
        hook.remove()
    for _ in range(model.config.enhancers):
        inputs = smaller(inputs)
    seen["netG.downsample_ch0_3"] = inputs[:, :4]
    discriminator = discriminator_of(
        recorded.held(recorded.load(file_of(case, folder)), "netD."), case["official_options"]
    ).eval()
    for i, layers in enumerate(discriminator(torch.cat([planes, seen["image"]], 1))):
        seen |= {f"netD_result{i}_{j}": value for j, value in enumerate(layers)}


def drawn_rows(case: Mapping[str, Any], model: Pix2PixHD, maps: SemanticMap) -> Tensor:
    """The recorded draw of a centre for each object, as rows of a style: all maps share an instance number's."""
    assert maps.instances is not None
    regions, rows = model.regions(maps), torch.zeros(len(maps), model.style_count, model.config.feat_num)
    for number, drawn in case["drawn_cluster_index_by_instance_id"].items():
        label = int(number) if int(number) < 1000 else int(number) // 1000
        for sample, index in enumerate(regions):
            for region in index[maps.instances[sample] == int(number)].unique().tolist():
                rows[sample, region] = torch.tensor(case["clusters"][str(label)][drawn])
    return rows


# --- losses -----------------------------------------------------------------------------------------------------------

TERMS = {"gan": "G_GAN", "gan_feat": "G_GAN_Feat", "perceptual": "G_VGG"}


def build_trainer(case: Mapping[str, Any], folder: Path, io: Tensors) -> Pix2PixHDTrainer:
    """Our trainer with the networks of a case, in training mode."""
    trainer = Pix2PixHDTrainer(build(case, folder, size_of(io)).train(), options_of(case["official_options"]))
    state = official.convert({"discriminator": weights_of(case, folder)["netD"]})
    trainer.discriminator.load_state_dict({k.removeprefix("discriminator."): v for k, v in state.items()}, strict=True)
    trainer.discriminator.train()
    file = case.get("vgg", "").split(" ")[0]
    if file:
        stored = load_file(folder / file)
        trainer.perceptual = VGG19Features.of({"features." + k.split(".", 3)[3]: v for k, v in stored.items()})
    return trainer


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Losses, gradients and one iteration: the generator's step, then the discriminator's on the same fake."""
    io = recorded.load(folder / "io.safetensors")
    trainer = build_trainer(case, folder, io)
    model, optimizers = trainer.synthesizer, trainer.optimizers()
    planes, real = planes_of(model, io), unit_images(io["in/image_u8"])
    outputs = forward(trainer, planes, real, io)
    on_old, on_real, on_fake = trainer.opinions(planes, outputs, real, None, None)
    losses = trainer.losses(outputs, real, on_fake, on_real)
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    named = parameters_of(trainer, weights_of(case, folder)["netD"])
    out: Tensors = {"out/fake": outputs.fake.detach(), "loss/G_total": total.detach()}
    out |= {f"loss/{TERMS[k]}": v.detach() for k, v in losses.items()} | gradients(named, ("netG", "netE"))
    before = {k: p.detach().clone() for k, p in named.items()}
    for name in (n for n in optimizers if n != "discriminator"):
        optimizers[name].step()
    trainer.discriminator.zero_grad()
    halves = discriminator_losses(on_old, on_real, trainer.options)
    total = torch.stack(list(halves.values())).sum()
    total.backward()
    out |= {"loss/D_total": total.detach()}
    out |= {f"loss/{name}": 2 * halves[key].detach() for name, key in (("D_fake", "d_fake"), ("D_real", "d_real"))}
    out |= gradients(named, ("netD",))
    optimizers["discriminator"].step()
    for key, parameter in named.items():
        now = parameter.detach()
        out[f"iter/param_after/{key}"] = torch.stack([now.sum(), now.norm(), (now - before[key]).norm()])
    adam = optimizers["generator"].param_groups[0]
    out["optim/G_lr_beta1_beta2_nparams"] = torch.tensor([adam["lr"], *adam["betas"], float(len(adam["params"]))])
    out |= buffers(trainer, weights_of(case, folder)["netD"])
    values = json.loads((folder / "values.json").read_text()) if (folder / "values.json").exists() else {}
    strided = {k: stride(k, out[re.sub(r"_s\d+$", "", k)]) for k in io if re.sub(r"_s\d+$", "", k) in out}
    return strided | {k: v for k, v in out.items() if k in values}


def forward(trainer: Pix2PixHDTrainer, planes: Tensor, real: Tensor, io: Tensors) -> Outputs:
    """A fake with the encoder's features, or with recorded ones."""
    if "in/feat_u8" in io:
        return Outputs(trainer.synthesizer.generator(torch.cat([planes, unit_images(io["in/feat_u8"])], 1)))
    if trainer.synthesizer.encoder is None:
        return trainer.paint(planes, real, torch.zeros(0))
    return trainer.paint(planes, real, trainer.synthesizer.regions(map_of(trainer.synthesizer, io)))


def parameters_of(trainer: Pix2PixHDTrainer, state: Tensors) -> dict[str, nn.Parameter]:
    """All trained parameters by their official names."""
    model = trainer.synthesizer
    found = {f"netG.{k}": p for k, p in model.generator.named_parameters()}
    if model.encoder is not None and not trainer.options.load_features:
        found |= {f"netE.{k}": p for k, p in model.encoder.named_parameters()}
    own = dict(trainer.discriminator.named_parameters())
    return found | {
        f"netD.{k}": own[name] for k in state if (name := official.rename("discriminator", k, state)) in own
    }


def gradients(named: Mapping[str, nn.Parameter], networks: tuple[str, ...]) -> Tensors:
    """Gradients and their norms, by official names."""
    out: Tensors = {}
    for key, parameter in named.items():
        if key.startswith(networks) and parameter.grad is not None:
            out |= {f"grad/{key}": parameter.grad.clone(), f"grad_norm/{key}": parameter.grad.norm()}
    return out


def buffers(trainer: Pix2PixHDTrainer, state: Tensors) -> Tensors:
    """Running statistics after the iteration, by their official names."""
    own = dict(trainer.discriminator.named_buffers())
    found = {f"netG.{k}": v for k, v in trainer.synthesizer.generator.named_buffers()}
    found |= {f"netD.{k}": own[n] for k in state if (n := official.rename("discriminator", k, state)) in own}
    return {f"iter/buffer_after/{k}": v.clone() for k, v in found.items()}


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("pix2pixhd_units")
    if "info" in case:
        return units.run_preprocess(case, case_dir)
    if "modules" in case:
        return units.run_units(case, case_dir)
    if "n_clusters" in case:
        return units.run_clusters(case, case_dir)
    return run_losses(case, case_dir) if "fp32_vs_fp64" in case else run_networks(case, case_dir)
