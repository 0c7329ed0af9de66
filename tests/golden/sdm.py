"""Maps the recorded SDM cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.training.ema import Ema
from zoo_plugins.sdm import official
from zoo_plugins.sdm.config import SDMConfig, SDMOptions
from zoo_plugins.sdm.diffusion import Process
from zoo_plugins.sdm.model import SDM
from zoo_plugins.sdm.sampling import guide
from zoo_plugins.sdm.trainer import SDMTrainer

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")
MULTIPLES = {512: "0.5,1,1,2,2,4,4", 256: "1,1,2,2,4,4", 128: "1,1,2,3,4", 64: "1,2,3,4"}
_FIELDS = {
    "num_channels": "width", "num_res_blocks": "res_blocks", "num_heads": "heads", "dropout": "dropout",
    "use_scale_shift_norm": "scale_shift", "resblock_updown": "resblock_updown", "use_new_attention_order": "new_attention_order",
    "learn_sigma": "learn_sigma", "diffusion_steps": "diffusion_steps", "noise_schedule": "noise_schedule",
    "predict_xstart": "predict_xstart", "rescale_timesteps": "rescale_timesteps",
}  # fmt: skip
_TRAINING = {"lr": "lr", "weight_decay": "weight_decay", "drop_rate": "drop_rate"}


def constants(case: Mapping[str, Any]) -> dict[str, int]:
    """What a case patched: groups of norms, hidden channels of SPADE."""
    patched = case.get("patched_constants", {})
    names = {"GroupNorm": "groups", "SPADE": "spade_hidden"}
    return {names[text.split()[0]]: value for text, value in patched.items()}


def config_of(case: Mapping[str, Any], size: tuple[int, int]) -> SDMConfig:
    """Our config from the authors' options, for pictures of this (height, width)."""
    opt = case["official_options"]
    multiples = opt.get("channel_mult") or MULTIPLES[opt["image_size"]]
    attention = sorted({opt["image_size"] // int(side) for side in opt["attention_resolutions"].split(",")})
    return SDMConfig(
        edges="none" if opt["no_instance"] else "instances",
        resolution=size[1],
        aspect_ratio=size[1] / size[0],
        channel_mult=tuple(map(float, multiples.split(","))),
        attention=tuple(attention),
        head_channels=max(0, opt["num_head_channels"]),
        heads_up=max(0, opt["num_heads_upsample"]),
        **constants(case),
        **recorded.options(opt, _FIELDS),
    )


def build(case: Mapping[str, Any], weights: Mapping[str, Tensor], size: tuple[int, int]) -> SDM:
    """The model of a case in evaluation mode. weights: under official keys."""
    model = SDM(config_of(case, size), numbered_space(case["official_options"]["num_classes"]))
    state = recorded.complete(
        case, weights, model.unet.state_dict(), lambda key: key.replace("mlp_shared.", "mlp_shared.0.")
    )
    model.load_state_dict(official.convert({"unet": state}), strict=True)
    return model.eval()


def maps_of(model: SDM, io: Tensors, prefix: str = "in/") -> SemanticMap:
    """The recorded maps with the instances whose borders the network sees."""
    numbers = io.get(f"{prefix}instance_u8")
    labels = io[f"{prefix}label_u8"][:, 0].long()
    return SemanticMap(labels, model.label_space, None if numbers is None else numbers[:, 0].long())


def side(tensor: Tensor) -> tuple[int, int]:
    """(height, width)."""
    return tensor.shape[-2], tensor.shape[-1]


def by_recipe(names: Mapping[str, tuple[int, ...]]) -> Tensors:
    """Weights of the stated recipe: SplitMix64 seeded by the CRC of each key."""
    found = {}
    for key, shape in names.items():
        count = int(np.prod(shape))
        with np.errstate(over="ignore"):
            steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            z = steps + (np.uint64(zlib.crc32(key.encode())) << np.uint64(32))
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
        v = 2 * ((z >> np.uint64(40)).astype(np.float64) / 2**24) - 1
        if len(shape) > 1:
            v = v * np.sqrt(3 / np.prod(shape[1:]))
        else:
            v = 1 + 0.1 * v if key.endswith(".weight") else 0.1 * v
        found[key] = torch.from_numpy(v.astype(np.float32)).reshape(shape)
    return found


def weights_of(case: Mapping[str, Any], folder: Path, size: tuple[int, int]) -> Tensors:
    """The weights of a case under official keys: its own file, another case's, or those of a recipe."""
    if "weights_recipe" in case:
        with torch.device("meta"):
            model = SDM(config_of(case, size), numbered_space(case["official_options"]["num_classes"]))
        state = model.unet.state_dict()
        names = official.official_names("unet", list(state))
        return by_recipe({names[k]: tuple(v.shape) for k, v in state.items()})
    home = folder.parent / case["weights_from"].split()[0] if "weights_from" in case else folder
    return recorded.load(home / "weights.safetensors")


def fit(name: str, value: Tensor, like: Tensor) -> Tensor:
    """What of a tensor a case recorded: `_sK` every K-th pixel, where that is not said every 4th of wide ones, the first channels."""
    if value.dim() == 4:
        value = value[:, : like.shape[1]]
        found = re.search(r"_s(\d+)$", name)
        step = int(found[1]) if found else 1 if value.shape == like.shape else 4
        value = value[..., ::step, ::step]
    return value


# --- the network: A, B --------------------------------------------------------------------------------------------


@torch.no_grad()
def run_network(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, seen = recorded.load(folder / "io.safetensors"), {}
    with recorded.where_held():
        x, t = io["in/x"], io["in/t"]
        model = build(case, weights_of(case, folder, side(x)), side(x))
        planes = model.planes(maps_of(model, io))
        if model.label_input.edges:
            seen["edge_u8"] = planes[:, -1:].to(torch.uint8)
        hooks = [
            module.register_forward_hook(lambda _m, _i, result, name=name: seen.__setitem__(f"h/{name}", result))
            for name, module in model.unet.named_modules()
            if name
        ]
        output = seen["model"] = model.unet(x, t, planes)
        for hook in hooks:
            hook.remove()
        empty = seen["model_null"] = model.unet(x, t, torch.zeros_like(planes))
        process = Process.spaced(model.config, case["official_options"].get("timestep_respacing", ""))
        if not torch.equal(times := process.times(t), t):  # t counts the steps that are kept
            output, empty = (model.unet(x, times, p) for p in (planes, torch.zeros_like(planes)))
        for name in {k.split("/")[2] for k in io if k.startswith("out/pmv/")}:
            scale, clip = name.split("_")
            strength = 0.0 if scale == "sNone" else float(scale[1:])
            guided = guide(output, empty if strength > 1 else None, strength)
            found = process.predict(guided, x, t, clip=clip == "clip")
            seen |= {f"pmv/{name}/mean": found.mean, f"pmv/{name}/pred_xstart": found.xstart}
            seen[f"pmv/{name}/log_variance"] = found.log_variance
    return {
        key: fit(key, seen[plain], io[key])
        for key in io
        if (plain := re.sub(r"_s\d+$", "", key.removeprefix("out/"))) in seen and key.startswith("out/")
    }


# --- training: C --------------------------------------------------------------------------------------------------


def changes_of(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(fields of the config, training options) that the description of a kind of loss names."""
    options: dict[str, Any] = {}
    if found := re.search(r"timestep_respacing (\S+)", text):
        options["spacing"] = found[1]
    if "rescale_learned_sigmas" in text:
        options["objective"] = "rescaled_mse"
    if "use_kl" in text:
        options["objective"] = "kl"
    return {"predict_xstart": True} if "predict_xstart" in text else {}, options


def trainer_of(case: Mapping[str, Any], folder: Path, io: Tensors, text: str = "") -> SDMTrainer:
    """The trainer of a kind of loss, from the stored weights."""
    size = side(io["in/image_u8"])
    model = build(case, weights_of(case, folder, size), size)
    config, changes = changes_of(text)
    model.config = model.unet.config = replace(model.config, **config)
    options = SDMOptions(**(recorded.options(case.get("train_options", {}), _TRAINING) | changes))
    return SDMTrainer(model.train(), options)


def pair_of(trainer: SDMTrainer, io: Tensors) -> tuple[Tensor, Tensor]:
    """Planes, and photos in [-1, 1]."""
    return trainer.sdm.planes(maps_of(trainer.sdm, io)), io["in/image_u8"].float() / 127.5 - 1


def named(trainer: SDMTrainer) -> Tensors:
    """The parameters by official names."""
    parameters = dict(trainer.sdm.unet.named_parameters())
    names = official.official_names("unet", list(parameters))
    return {names[k]: p for k, p in parameters.items()}


def run_training(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, out = recorded.load(folder / "io.safetensors"), {}
    file = folder / "values.json"
    values = json.loads(file.read_text()) if file.exists() else {}
    blocks = {k.split("/")[1] for k in io if re.fullmatch(r"out/(?!loop/)\w+/loss", k)}
    for block in sorted(blocks):
        with recorded.where_held():
            out |= run_block(case, folder, io, block)
    with recorded.where_held():
        out |= run_loop(case, folder, io)
    due = {*io, *paths(values)}
    return {k: v.detach() for k, v in out.items() if k in due}


def paths(value: Any, path: str = "") -> set[str]:
    """The paths of all numbers, and of lists of them, in a nested value."""
    if not isinstance(value, dict):
        return {path}
    return {p for key, inner in value.items() for p in paths(inner, f"{path}/{key}".strip("/"))}


def run_block(case: Mapping[str, Any], folder: Path, io: Tensors, block: str) -> Tensors:
    """Losses and gradients of one kind of loss."""
    trainer = trainer_of(case, folder, io, case["blocks"][block])
    planes, real = pair_of(trainer, io)
    t = io["in/t"]
    if trainer.options.spacing:
        told = re.search(r"indices ([\d,]+)", case["tensors"]["in/t"])
        t = torch.tensor([int(n) for n in told[1].split(",")]) if told else t
    terms = trainer.losses(planes, real, t, io["in/noise"])
    loss = torch.stack(list(terms.values())).sum(0)
    loss.mean().backward()
    out = {f"out/{block}/{k}": v for k, v in terms.items()} | {f"out/{block}/loss": loss}
    out[f"{block}/loss_mean"] = loss.mean()
    for name, parameter in named(trainer).items():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        out |= {f"out/{block}/grad/{name}": gradient, f"{block}/grad_norm/{name}": gradient.norm()}
    return out


def run_loop(case: Mapping[str, Any], folder: Path, io: Tensors) -> Tensors:
    """The authors' loop: gradients of micro-batches are summed, the average is updated after every step."""
    out: Tensors = {}
    trainer, train = trainer_of(case, folder, io), case["train_options"]
    ema = Ema(trainer.sdm, float(train["ema_rate"]), warmup=trainer.options.ema_warmup)
    before = {k: p.detach().clone() for k, p in named(trainer).items()}
    planes, real = pair_of(trainer, io)
    optimizer, rows = trainer.optimizers()["unet"], train["microbatch"]
    rows = rows if rows > 0 else len(real)
    for step in range(train["steps"]):
        kept = trainer.dropped(planes, io["in/loop_u"][step])
        out[f"out/loop/kept_step{step}"] = kept.flatten(1).any(1).to(torch.uint8)
        optimizer.zero_grad()
        for micro in range(len(real) // rows):
            chosen = slice(micro * rows, (micro + 1) * rows)
            t, noise = io["in/loop_t"][step, micro], io["in/loop_noise"][step, micro]
            terms = trainer.losses(kept[chosen], real[chosen], t, noise)
            loss = torch.stack(list(terms.values())).sum(0)
            loss.mean().backward()
            number = step * (len(real) // rows) + micro
            out |= {f"out/loop/{k}_micro{number}": v for k, v in (terms | {"loss": loss}).items()}
        optimizer.step()
        ema.update()
    after = named(trainer)
    average = {
        official.official_names("unet", [k])[k]: v
        for k, v in ((k.removeprefix("unet."), v) for k, v in ema.average.items())
    }
    for kind, state in (("param", after), ("ema", average)):
        for name, value in state.items():
            change = (value - before[name]).norm()
            out[f"out/loop/{kind}/{name}"] = value
            out[f"loop/{kind}_after [sum, norm, norm of change]/{name}"] = torch.stack(
                [value.sum(), value.norm(), change]
            )
    return out


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("sdm_units")
    if case["mode"] == "data":
        return units.run_preprocess(case, case_dir)
    if case["mode"] == "train":
        return run_training(case, case_dir)
    if "modules" in case:
        return units.run_units(case, case_dir)
    return _beside("sdm_sampling").run(case, case_dir) if "runs" in case else run_network(case, case_dir)
