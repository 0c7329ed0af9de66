"""Maps the recorded DMIT cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

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
from torch.optim import Adam

from zoo.nn.latents import reparameterize
from zoo_plugins.dmit import official, text
from zoo_plugins.dmit.config import DMITConfig, DMITOptions
from zoo_plugins.dmit.discriminators import PictureDiscriminator, StyleDiscriminator
from zoo_plugins.dmit.losses import partners
from zoo_plugins.dmit.networks import ContentEncoder, Decoder, StyleEncoder, content_widths
from zoo_plugins.dmit.steps import Draws, Made, Networks, forward, steps

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")
_NETWORK = {
    "fine_size": "resolution", "nef": "width", "n_style": "style_dim", "n_ds_blocks": "halvings", "n_content_resblocks": "content_blocks",
    "n_style_blocks": "style_blocks", "n_dec_resblocks": "decoder_blocks", "norm_type": "norm", "up_type": "upsampling",
    "use_dropout": "dropout",
}  # fmt: skip
_TRAINING = {
    "lr": "lr", "niter": "niter", "niter_decay": "niter_decay", "ndf": "ndf", "n_content_disblocks": "content_disblocks",
    "n_image_disblocks": "image_disblocks", "use_same_dis": "same_discriminator", "rec_mode": "rec_mode", "lambda_rec": "lambda_rec",
    "lambda_cyc": "lambda_cyc", "lambda_kl": "lambda_kl", "lambda_style": "lambda_style", "lambda_content": "lambda_content",
    "lambda_div": "lambda_div",
}  # fmt: skip
_MODES = {"lsgan": "ls", "dcgan": "original", "hinge": "hinge"}


def config_of(opt: Mapping[str, Any]) -> DMITConfig:
    """Our config from the authors' options."""
    fields: dict[str, Any] = recorded.options(opt, _NETWORK)
    step = 2 ** fields.get("halvings", 2)
    return DMITConfig(channels=(), **{**fields, "resolution": max(step, fields.get("resolution", 256) // step * step)})


def options_of(opt: Mapping[str, Any]) -> DMITOptions:
    """Our training options from the authors'."""
    modes: dict[str, Any] = {
        f"{k}_gan_mode": _MODES[opt[f"{k}_gan_mode"]] for k in ("content", "image") if f"{k}_gan_mode" in opt
    }
    return DMITOptions(**recorded.options(opt, _TRAINING), **modes)


def network_of(name: str, opt: Mapping[str, Any]) -> nn.Module:
    """A fresh network under the authors' name."""
    config, options, attributes = config_of(opt), options_of(opt), opt["n_attribute"]
    if name == "dis_content":
        width = content_widths(config)[-1]
        return StyleDiscriminator(width, width, options.content_disblocks, attributes, config.norm)
    if name.startswith("dis_rand"):
        return PictureDiscriminator(options.ndf, options.image_disblocks, attributes, config.norm)
    return {"dec": Decoder, "enc_style": StyleEncoder, "enc_content": ContentEncoder}[name](
        config, *([attributes] if name == "dec" else [])
    )


def load(network: nn.Module, name: str, weights: Mapping[str, Tensor]) -> nn.Module:
    """Official weights into our network, every key of both sides."""
    role = official.FILES[name]
    state = {official.rename(role, k): v for k, v in weights.items()}
    assert None not in state and len(state) == len(weights)
    network.load_state_dict(state, strict=True)  # type: ignore[arg-type]
    return network


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


# --- translation: A -----------------------------------------------------------------------------------------------


def watch(network: nn.Module, name: str, seen: Tensors, count: Any) -> list[Any]:
    """Keeps what the modules put out under the authors' names. count: of a call, None for one whose results are not kept."""
    rules = {"dec": "decode", "enc_content": "encode", "enc_style": "encode"}

    def keep(key: str) -> Any:
        return lambda _m, _i, result: seen.__setitem__(f"inter/{name}/{key}", result) if count() else None

    handles = []
    for key, module in network.named_modules():
        theirs = re.sub(r"^layers\.", f"{rules[name]}.", key)
        theirs = re.sub(r"\.norm_([01])$", lambda m: f".n{int(m[1]) + 1}", theirs)
        handles.append(module.register_forward_hook(keep(theirs)))
    return handles


@torch.no_grad()
def run_translation(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Both directions in encoded and in drawn styles, and what the layers say on the way."""
    io, opt = recorded.load(folder / "io.safetensors"), case["official_options"]
    weights, seen = recorded.load(folder / "weights.safetensors"), recorded.Recorded()
    nets = {}
    for name in ("dec", "enc_style", "enc_content"):
        with recorded.where_held():
            nets[name] = load(network_of(name, opt), name, completed(case, weights, name, opt)).eval()
    watched: dict[str, bool] = {"on": True}
    for name, network in nets.items():
        watch(network, name, seen, lambda: watched["on"])
    with recorded.where_held():
        images = unit_images(io["in/img_u8"])
        seen["content"] = nets["enc_content"](images)
        seen["mu"], seen["logvar"] = nets["enc_style"](images)
        seen["style_enc"] = reparameterize(seen["mu"], seen["logvar"], io["in/eps_style"])
    given = recorded.stand_ins(case)
    seen |= {plain(k.removeprefix("out/")): v for k, v in io.items() if k in given}
    with recorded.where_held():
        own = io["in/attr_source"]
        chosen = [int(i) % len(own) for i in io["in/index_target"]]
        target, content, style = own[chosen], seen["content"], seen["style_enc"]
        seen["fake_enc"] = nets["dec"](content, torch.cat([target, style[chosen]], 1))
        watched["on"] = False
        seen["fake_rand"] = nets["dec"](content, torch.cat([target, io["in/style_rand"]], 1))
        seen["rec"] = nets["dec"](content, torch.cat([own, style], 1))
        pictures = {"enc": seen["fake_enc"], "rand_1": seen["fake_rand"]}
        for row, way in enumerate(("s2w", "w2s")):
            seen |= {f"official/{way}_{name}_u8": to_uint8(x[row]) for name, x in pictures.items() if row < len(x)}
    return {
        k: stride(k, seen[n])
        for k in io
        if k not in given and (n := plain(k.removeprefix("out/"))) in seen and k.startswith("out/")
    }


def to_uint8(image: Tensor) -> Tensor:
    """[-1, 1] -> uint8, cut off and not rounded."""
    return ((image + 1) / 2 * 255).to(torch.uint8)


def completed(case: Mapping[str, Any], weights: Mapping[str, Tensor], name: str, opt: Mapping[str, Any]) -> Tensors:
    """The official weights of one network; of a travelling case with NaN where they were cut."""
    network = network_of(name, opt)
    names = official_names(name, network, opt)
    return recorded.complete(case, recorded.held(weights, f"{name}."), network.state_dict(), lambda k: names[k])


# --- an iteration: C ----------------------------------------------------------------------------------------------

_OPTIMIZERS = {
    "decoder": "dec", "style_encoder": "enc_style", "content_encoder": "enc_content", "content": "dis_content", "drawn": "dis_rand_prior",
    "encoded": "dis_rand_enc",
}  # fmt: skip
"""Fields of `Networks` -> the authors' names."""
_LOSSES = {
    "d_content": "D_content", "d_drawn": "D_rand_prior", "d_encoded": "D_rand_enc", "g_content": "G_content", "g_drawn": "G_rand_prior",
    "g_encoded": "G_rand_enc", "rec": "errRec", "kl": "errKl", "style": "errStyle", "content": "errContent", "cyc": "errCyc", "div": "errDiv",
}  # fmt: skip


def stored_weights(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The weights that an iteration starts from, which lie in the files that the case names."""
    found: Tensors = {}
    for file in re.findall(r"[\w./]*\w\.safetensors", case["weights"]):
        found |= recorded.load(folder / file)
    return found


def run_iteration(case: Mapping[str, Any], folder: Path) -> Tensors:
    """One iteration in training mode on the recorded images and draws, as our trainer yields it."""
    io, opt = recorded.load(folder / "io.safetensors"), case["official_options"]
    values = json.loads((folder / "values.json").read_text()) if (folder / "values.json").exists() else {}
    out: Tensors = {"lr": torch.tensor(options_of(opt).rate(1), dtype=torch.float64)}
    with recorded.where_held():
        iterate(io, opt, stored_weights(case, folder), out, values.get("optimizer_order"))
    if (chosen := out.pop("chosen", None)) is not None:
        negative = sum(i < 0 for i in values.get("index_target", []))  # theirs count from behind first
        out["index_target"] = chosen - len(chosen) * (torch.arange(len(chosen)) < negative)
    return {k: stride(k, out[plain(k)]) for k in [*io, *values] if plain(k) in out}


def iterate(io: Tensors, opt: Mapping[str, Any], weights: Tensors, out: Tensors, expected: list[str] | None) -> None:
    """Fills `out`. expected: the networks in the order of their steps, where the case tells it."""
    options = options_of(opt)
    shared = {"encoded": "dis_rand_prior"} if options.same_discriminator else {}
    names = _OPTIMIZERS | shared
    nets = {
        n: load(network_of(n, opt), n, recorded.held(weights, f"{n}.")).train() for n in dict.fromkeys(names.values())
    }
    before = {n: {k: v.clone() for k, v in net.state_dict().items()} for n, net in nets.items()}
    optimizers = {n: Adam(net.parameters(), lr=options.rate(1), betas=options.betas) for n, net in nets.items()}
    parts = Networks(**{field: nets[name] for field, name in names.items()})
    images, own = unit_images(io["in/real_u8"]), io["in/attr_source"]
    rule = text.partners if opt.get("model_name") == "semantic_image_synthesis" else partners
    draws = Draws(io["in/eps_style"], io["in/prior1"], io["in/prior2"] if options.lambda_div else None)
    out["chosen"] = torch.tensor(rule(len(images)))
    made = forward(parts, images, own, rule(len(images)), draws, options)
    out |= made_tensors(made)
    stage, seen, order = "", set(), []
    for update in steps(parts, made, options, names):
        stage = next_stage(update.optimizers, stage, seen)
        inputs = [p for name in update.optimizers for p in nets[name].parameters()]
        for p in inputs:
            p.grad = None
        torch.stack(list(update.losses.values())).sum().backward(inputs=inputs)
        out |= {f"loss/{_LOSSES[k]}": v.detach() for k, v in update.losses.items()}
        for name in update.optimizers:
            out |= gradients(stage, name, nets[name], opt)
            optimizers[name].step()
            order.append(name)
    assert order == (expected or order)
    for name, net in nets.items():
        theirs = official_names(name, net, opt)
        for key, value in net.state_dict().items():
            kind = "buffer" if key.endswith(("_u", "_v")) else "param"
            out[f"iter/{kind}/{name}.{theirs[key]}"] = value.detach().clone()
            if kind == "param":
                change = (value.detach() - before[name][key]).float().norm()
                out[f"iter/param_after/{name}.{theirs[key]}"] = torch.stack([value.detach().float().norm(), change])


def official_names(name: str, network: nn.Module, opt: Mapping[str, Any]) -> dict[str, str]:
    """Our keys of a network -> the authors'."""
    kind = opt.get("up_type", "transpose")
    return official.official_names(official.FILES[name], list(network.state_dict()), upsampling=kind)


def next_stage(names: tuple[str, ...], stage: str, seen: set[str]) -> str:
    """How the authors' log calls a step: dis (dis2: a discriminator that had one), gen, style, content."""
    if names[0].startswith("dis_"):
        again = names[0] in seen
        seen.add(names[0])
        return "dis2" if again else "dis"
    return {"dis": "gen", "dis2": "gen", "gen": "style", "style": "content"}[stage]


def gradients(stage: str, name: str, network: nn.Module, opt: Mapping[str, Any]) -> Tensors:
    """Under official names, and their norms."""
    theirs = official_names(name, network, opt)
    grads = {theirs[k]: p.grad for k, p in network.named_parameters() if p.grad is not None}
    return {f"{stage}/grad/{name}.{k}": g.clone() for k, g in grads.items()} | {
        f"{stage}/grad_norm/{name}.{k}": g.norm() for k, g in grads.items()
    }


def made_tensors(made: Made) -> Tensors:
    """Under the authors' names."""
    named = {
        "content": made.content, "mu": made.posterior.mean, "logvar": made.posterior.logvar, "style_enc": made.style, "fake_rec": made.rec,
        "fake_rand_enc": made.encoded, "fake_rand_prior": made.drawn, "fake_rand_prior2": made.other, "mu_rec": made.style_again,
        "content_rec": made.content_again, "cyc": made.cycle,
    }  # fmt: skip
    return {f"out/{k}": v.detach() for k, v in named.items() if v is not None}


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("dmit_units")
    if case["mode"] == "data loading":
        return units.run_preprocess(case, case_dir)
    if "modules" in case:
        return units.run_units(case, case_dir)
    return run_iteration(case, case_dir) if "iteration" in case["mode"] else run_translation(case, case_dir)
