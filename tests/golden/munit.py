"""Maps the recorded MUNIT cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.registry import label_space
from zoo_plugins.munit import official
from zoo_plugins.munit.config import MunitConfig, MunitOptions
from zoo_plugins.munit.generator import Generator
from zoo_plugins.munit.model import MUNIT, NAMES
from zoo_plugins.munit.perceptual import VGG16Features
from zoo_plugins.munit.trainer import MunitTrainer

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")
_NETWORK = {
    "dim": "dim",
    "mlp_dim": "mlp_dim",
    "style_dim": "style_dim",
    "activ": "activ",
    "n_downsample": "n_downsample",
}
_NETWORK |= {"n_res": "n_res", "pad_type": "pad_type"}
_DISCRIMINATOR = {"dim": "ndf", "norm": "norm_d", "activ": "activ_d", "n_layer": "n_layer", "gan_type": "gan_type"}
_DISCRIMINATOR |= {"num_scales": "num_scales", "pad_type": "pad_type_d"}
_TRAINING = {
    "lr": "lr", "beta1": "beta1", "beta2": "beta2", "weight_decay": "weight_decay", "step_size": "step_size", "gamma": "gamma",
    "lr_policy": "lr_policy", "init": "init", "gan_w": "gan_w", "recon_x_w": "recon_x_w", "recon_s_w": "recon_s_w",
    "recon_c_w": "recon_c_w", "recon_x_cyc_w": "recon_x_cyc_w", "vgg_w": "vgg_w",
}  # fmt: skip


def options_in(case: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The authors' options of a case; "as NAME" means those of the case beside it."""
    opt = dict(case["official_options"])
    match = re.search(r"as (\w+)", str(opt.get("rest", "")))
    if match:
        other = json.loads((folder.parent / match[1] / "case.json").read_text())
        opt = {**other["official_options"], **opt}
    return opt


def config_of(opt: Mapping[str, Any]) -> MunitConfig:
    """Our config from the authors' options; pictures have sizes of their own, which no network depends on."""
    return MunitConfig(resolution=256, **recorded.options(opt["gen"], _NETWORK))


def options_of(opt: Mapping[str, Any]) -> MunitOptions:
    """Our training options from the authors'."""
    training = recorded.options(opt, _TRAINING) | recorded.options(opt["dis"], _DISCRIMINATOR)
    return MunitOptions(**{**training, "vgg_w": 0.0})


def build(opt: Mapping[str, Any], weights: Mapping[str, Tensor]) -> MUNIT:
    """The model of a case in evaluation mode. weights: `gen_a.…`, `gen_b.…`."""
    model = MUNIT(config_of(opt), label_space("domains"))
    state = {k.removeprefix("gen_"): v for k, v in weights.items() if k.startswith("gen_")}
    model.load_state_dict(official.convert({"generator": state}), strict=True)
    return model.eval()


def trainer_of(
    opt: Mapping[str, Any], model: MUNIT, weights: Mapping[str, Tensor], vgg: Path | None = None
) -> MunitTrainer:
    """The trainer of a case. weights: `dis_a.…`, `dis_b.…`. Its pictures may be smaller than the config's."""
    trainer = MunitTrainer(model, options_of(opt))
    prefixed = official.convert(
        {"discriminator": {k.removeprefix("dis_"): v for k, v in weights.items() if k.startswith("dis_")}}
    )
    trainer.discriminator.load_state_dict({k.removeprefix("discriminator."): v for k, v in prefixed.items()})
    if opt.get("vgg_w", 0) > 0 and vgg is not None:
        trainer.perceptual = VGG16Features(recorded.load(vgg))
        object.__setattr__(trainer.options, "vgg_w", float(opt["vgg_w"]))
    return trainer


def file_in(text: str, name: str, folder: Path) -> Path:
    """The file of this name that a case's words point to (`../OTHER/NAME`), else the one in the case."""
    match = re.search(rf"\.\./(\w+)/{re.escape(name)}", text)
    return folder.parent / match[1] / name if match else folder / name


def weights_in(case: Mapping[str, Any], folder: Path) -> Tensors:
    """All weights that a case names: its own and those of the case beside it; its own discriminators where it has them."""
    found = dict(recorded.load(file_in(str(case.get("weights", "")), "weights.safetensors", folder)))
    if (folder / "weights_dis.safetensors").exists():
        own = recorded.load(folder / "weights_dis.safetensors")
        found = {k: v for k, v in found.items() if not k.startswith("dis_")} | dict(own)
    return found


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


def due(io: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Tensors:
    """What the case recorded, of results by their plain names."""
    names = {k: k if k in found else plain(k) for k in io if "in/" not in k[:3]}
    return {k: stride(k if n != k else "", found[n]).detach() for k, n in names.items() if n in found}


# --- the networks: A ----------------------------------------------------------------------------------------------


@torch.no_grad()
def run_networks(case: Mapping[str, Any], folder: Path) -> Tensors:
    opt, io = options_in(case, folder), recorded.load(folder / "io.safetensors")
    weights = weights_in(case, folder)
    model = build(opt, weights)
    gens: dict[str, Generator] = {name: model.generators[name] for name in NAMES}  # type: ignore[misc]
    seen: Tensors = {}
    photos = {name: unit_images(io[f"in/x_{name}_u8"]) for name in NAMES if f"in/x_{name}_u8" in io}
    codes: dict[str, tuple[Tensor, Tensor]] = {}
    for name, generator in gens.items():
        if name not in photos:
            continue
        hooks = watch(generator, f"out/inter/gen_{name}.encode(x_{name})/", seen)
        codes[name] = generator.encode(photos[name])
        for hook in hooks:
            hook.remove()
        seen[f"out/c_{name}"], seen[f"out/s_{name}_enc"] = codes[name][0], codes[name][1][:, :, None, None]
        seen[f"out/x_{name}_recon"] = generator.decode(*codes[name])
    for source, target in (("a", "b"), ("b", "a")):
        if source not in codes:
            continue
        generator, content = gens[target], codes[source][0]
        if f"in/s_{target}" in io:
            hooks = watch(generator, f"out/inter/gen_{target}.decode(c_{source},s_{target})/", seen)
            seen[f"out/x_{source}{target}"] = generator.decode(content, io[f"in/s_{target}"].flatten(1))
            for hook in hooks:
                hook.remove()
        if target in codes:
            seen[f"out/x_{source}{target}_guided"] = generator.decode(content, codes[target][1])
    with recorded.where_held():
        recorded.held(weights, "dis_")
        trainer = trainer_of(opt, model, weights)
        for name in NAMES:
            other = NAMES[1 - NAMES.index(name)]
            pictures = {f"x_{n}": photo for n, photo in photos.items()}
            pictures |= {k.removeprefix("out/"): v for k, v in seen.items() if k == f"out/x_{other}{name}"}
            for label, picture in pictures.items():
                scores = trainer.discriminator[name](picture)
                seen |= {f"out/dis_{name}({label})/{i}": s for i, s in enumerate(scores)}
    return due(io, seen)


def watch(network: nn.Module, prefix: str, seen: Tensors) -> list[Any]:
    """Keeps what the modules put out, under their names."""

    def hook(name: str) -> Any:
        return lambda _m, _i, result: seen.__setitem__(prefix + name, result) if isinstance(result, Tensor) else None

    return [module.register_forward_hook(hook(name)) for name, module in network.named_modules() if name]


# --- losses: C ----------------------------------------------------------------------------------------------------

_TERMS = {
    "recon_x": "recon_x",
    "recon_s": "recon_s",
    "recon_c": "recon_c",
    "adv": "adv",
    "cyc": "cycrecon_x",
    "vgg": "vgg",
}


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    """One iteration: the discriminators' step, then the generators' with the stepped discriminators."""
    opt, io = options_in(case, folder), recorded.load(folder / "io.safetensors")
    weights = weights_in(case, folder)
    model = build(opt, weights)
    named = file_in(str(case.get("vgg", "")), "weights_vgg.safetensors", folder)
    trainer = trainer_of(opt, model, weights, named)
    model.train()
    trainer.discriminator.train()
    photos = unit_images(io["in/x_a_u8"]), unit_images(io["in/x_b_u8"])
    out: Tensors = {"lr": torch.tensor(trainer.rates(0.0, 0)["generator"])}
    before = {k: p.detach().clone() for k, p in parameters(trainer).items()}
    optimizers = trainer.optimizers()
    for name, rate in trainer.rates(0.0, 0).items():
        for group in optimizers[name].param_groups:
            group["lr"] = rate

    update = trainer.discriminator_update(photos, styles_of(io, "dis"))
    weight = trainer.options.gan_w
    total = torch.stack(list(update.losses.values())).sum()
    out |= {f"dis/loss_dis_{k.removeprefix('dis_')}": v / weight for k, v in update.losses.items()}
    out["dis/loss_dis_total"] = total
    step(trainer, "discriminator", total, "dis", out)

    terms, fakes = trainer.terms(photos, styles_of(io, "gen"))
    losses = {k: trainer.weights[k.rpartition("_")[0]] * v for k, v in terms.items()}
    total = torch.stack(list(losses.values())).sum()
    for ours, theirs in _TERMS.items():
        for name in NAMES:
            out[f"gen/loss_gen_{theirs}_{name}"] = terms.get(f"{ours}_{name}", torch.tensor(0.0))
    out |= {"gen/loss_gen_total": total, "gen/x_ba": fakes[0], "gen/x_ab": fakes[1]}
    step(trainer, "generator", total, "gen", out)
    for key, parameter in parameters(trainer).items():
        now = parameter.detach()
        out[f"iter/param/{key}"] = now
        out[f"iter/param_after/{key}"] = torch.stack([now.norm(), (now - before[key]).norm()])
    return due(io, out) | {k: out[k].detach().float() for k in numbers_in(folder) if k in out}


def styles_of(io: Tensors, step: str) -> tuple[Tensor, Tensor]:
    """The recorded styles of a step, of a and of b."""
    return io[f"in/{step}_s_a"].flatten(1), io[f"in/{step}_s_b"].flatten(1)


def parameters(trainer: MunitTrainer) -> Tensors:
    """By official name, the network's in front; the vectors of spectral norm, which theirs counts among them, too."""
    found: Tensors = {f"gen_{k.removeprefix('generators.')}": p for k, p in trainer.model.named_parameters()}
    found |= {f"dis_{k}": p for k, p in trainer.discriminator.named_parameters()}
    return found | {f"dis_{k}": v for k, v in trainer.discriminator.named_buffers() if k.endswith(("_u", "_v"))}


def step(trainer: MunitTrainer, name: str, total: Tensor, short: str, out: Tensors) -> None:
    """Gradients of this network alone, and its optimizer's step."""
    optimizer = trainer.optimizers()[name]
    chosen = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.zero_grad()
    total.backward(inputs=chosen)
    own = {id(p) for p in chosen}
    for key, parameter in parameters(trainer).items():
        if id(parameter) in own and parameter.grad is not None:
            out[f"{short}/grad/{key}"] = parameter.grad.clone()
            out[f"{short}/grad_norm/{key}"] = parameter.grad.norm()
    optimizer.step()


def numbers_in(folder: Path) -> dict[str, Any]:
    """The measured numbers of a case by name."""
    file = folder / "values.json"
    return json.loads(file.read_text()) if file.exists() else {}


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    io = recorded.load(case_dir / "io.safetensors")
    names = set(io)
    if any(name.startswith(("gen/", "dis/", "iter/")) for name in names):
        found: Tensors = {}
        with recorded.where_held():
            found = run_losses(case, case_dir)
        return found
    if names & {"in/x_a_u8", "in/x_b_u8"}:
        return run_networks(case, case_dir)
    units = _beside("munit_units")
    if "info" in case:
        return units.run_pictures(case, case_dir)
    return units.run_units(case, case_dir)
