"""Replay of the golden cases of mask-vae: recorded weights through `official.py`, recorded noise, our networks and losses.

Loaded by file path (see `replay.py`), so it imports nothing from its own folder. Whatever differs between cases is read from the case.
"""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from zoo.families.spade.discriminators import MultiscaleDiscriminator, split_pair
from zoo.labels import numbered_space
from zoo.nn.latents import reparameterize
from zoo.nn.losses import feature_matching, gan_loss
from zoo_plugins.mask_vae import losses, official
from zoo_plugins.mask_vae.config import CLASS_WEIGHTS, MaskVaeConfig
from zoo_plugins.mask_vae.model import SemanticVAE
from zoo_plugins.mask_vae.networks import own_weights, with_background

KL_WEIGHT = 0.0005
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # eq. 4's alpha; the code counts its own weight down
Result = dict[str, Tensor]
Values = dict[str, Any]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def replay(case_dir: Path) -> Result:
    """Results of one case under their stored names; {} where a case stores no tensors."""
    case = json.loads((case_dir / "case.json").read_text())
    if not (case_dir / "io.safetensors").exists():
        return {}
    io = recorded.load(case_dir / "io.safetensors")
    bundled = _beside("ca2sis")
    if bundled.holds(io):
        return bundled.replay(case_dir)
    if (case_dir / "values.json").exists():
        return _training(case_dir, case, io, json.loads((case_dir / "values.json").read_text()))
    found = _inference(_model(case_dir, case), _model(case_dir, case, swap_first_parts=True), case, io)
    return {k: v for k, v in _select(found, io).items() if k not in recorded.stand_ins(case)}


def config_of(case: dict[str, Any], **changes: Any) -> MaskVaeConfig:
    """The case's config in our fields; official defaults where the case says nothing."""
    c = case.get("config")
    if not isinstance(c, dict) or "latent" not in c:
        return MaskVaeConfig(label_space="numbered", channels=tuple(f"label_{i}" for i in range(1, 19)), **changes)
    widths = c["decoder_channels"]
    return MaskVaeConfig(
        label_space="numbered",
        channels=tuple(f"label_{i}" for i in range(1, c["parts"] + 1)),
        latent=c["latent"],
        encoder_side=c["enc_size"],
        encoder_widths=tuple(c["enc_hidden"][:-1]),
        lstm_layers=c["lstm_layers"],
        bidirectional=c["bidirectional"],
        groups=c["group_norm_groups"],
        decoder_width=widths[0],
        decoder_widths=tuple(widths[1:]),
        **changes,
    )


def _model(case_dir: Path, case: dict[str, Any], **changes: Any) -> SemanticVAE:
    config = config_of(case, **changes)
    model = SemanticVAE(config, numbered_space(len(config.channels) + 1, background=True))
    model.load_state_dict(official.convert({"generator": _weights(case_dir, case, model)}, config), strict=True)
    return model.eval()


def _weights(case_dir: Path, case: dict[str, Any], model: SemanticVAE) -> dict[str, Tensor]:
    """Stored weights, those of a sibling folder, or the case's formula (E and the full-size case: no file)."""
    folder = case_dir
    if "weights_from" in case:
        folder = case_dir.parent / re.split(r"[\s/]", str(case["weights_from"]).strip())[0]
    if (folder / "weights.safetensors").exists():
        stored = load_file(folder / "weights.safetensors")
        return recorded.complete(case, stored, model.state_dict(), official.official_name)
    formula = _beside("ca2sis").formula  # one for both systems of the paper
    return {
        k: formula(k, tuple(v.shape))
        for k, v in ((official.official_name(n), p) for n, p in model.state_dict().items())
    }


def _select(results: Result, io: Result) -> Result:
    """Those results that the case stores, strided as the end of their name says."""
    chosen = {}
    for name in io:
        match = re.fullmatch(r"(.+)_s(\d+)", name)
        full, stride = (match[1], int(match[2])) if match else (name, 1)
        if full in results:
            value = results[full][..., ::stride, ::stride]
            chosen[name] = value.to(io[name].dtype) if not io[name].is_floating_point() else value
    return chosen


# --- inference modes -------------------------------------------------------------------------------------------------


def _inference(model: SemanticVAE, swapped: SemanticVAE, case: dict[str, Any], io: Result) -> Result:
    """Every mode of the case: a mode is a prefix with a recorded `eps` (or an interpolation's `eps`)."""
    results: Result = {}
    onehot = _onehot(io, len(model.channels) + 1) if {"label", "onehot"} & set(io) else torch.zeros(0)
    given = recorded.stand_ins(case)
    for mode in sorted({k.split(".")[0] for k in io if k.endswith(".eps")}):
        text = next((str(t) for k, t in case.get("tensors", {}).items() if k.split(".")[0] == mode), "")
        entry, ids = re.search(r"'(\w+)'", text), re.search(r"\[([\d,\s]+)\]", text)
        parts = [int(p) for p in ids[1].split(",")] if ids else []
        noise = recorded.Recorded({k.removeprefix(mode + "."): v for k, v in io.items() if k.startswith(mode + ".")})
        noise |= {f"given.{k.removeprefix(mode + '.')}": io[k] for k in given if k.startswith(mode + ".")}
        net = swapped if "part-order" in text or mode == "perm" else model
        run = _MODES.get(entry[1] if entry else "reconstruct", _reconstruct)
        if not len(onehot) and "given.z" not in noise:
            continue
        with torch.no_grad(), recorded.where_held():
            results |= {f"{mode}.{k}": v for k, v in run(net, onehot, noise, parts).items()}
    return results


def _onehot(io: Result, classes: int) -> Tensor:
    if "onehot" in io:
        return io["onehot"].float()
    label = io["label"].long()
    return torch.zeros(len(label), classes, *label.shape[-2:]).scatter_(1, label, 1.0)


def _encode(model: SemanticVAE, onehot: Tensor, eps: Tensor) -> Tensor:
    mu, log_var = model.encoder(onehot[:, 1:])
    return reparameterize(mu, log_var, eps)


def _decode(model: SemanticVAE, z: Tensor, h0: Tensor, c0: Tensor) -> Tensor:
    """Recorded states have the layer first; ours have the sample first."""
    return with_background(model.generator(z, h0.transpose(0, 1), c0.transpose(0, 1)), model.config.background)


def _outputs(out: Tensor) -> Result:
    return {"out": out, "out18": out[:, 1:], "labels": out.argmax(1)}


def _reconstruct(model: SemanticVAE, onehot: Tensor, noise: Result, parts: list[int]) -> Result:
    seen: Result = {}
    generator = model.generator

    def keep(name: str, pick: Callable[[Any, Any], Tensor]) -> Callable[..., None]:
        return lambda _module, inputs, output: seen.__setitem__(name, pick(inputs, output))

    handles = [
        generator.convs.blocks[0].register_forward_hook(keep("up1", lambda _i, out: out)),
        generator.convs.in_conv.register_forward_hook(keep("tokens", lambda i, _out: i[0].flatten(2))),
    ]
    if generator.lstm is not None:
        handles.append(generator.lstm.register_forward_hook(keep("lstm_out", lambda _i, out: out[0])))
    if len(onehot):
        seen["mu"], seen["logvar"] = model.encoder(onehot[:, 1:])
        seen["z"] = reparameterize(seen["mu"], seen["logvar"], noise["eps"])
    z = noise["given.z"] if "given.z" in noise else seen["z"]
    if "given.up1" in noise:
        handles.append(generator.convs.blocks[0].register_forward_hook(lambda _m, _i, _out: noise["given.up1"]))
    with recorded.where_held():
        seen |= _outputs(_decode(model, z, noise["h0"], noise["c0"]))
    for handle in handles:
        handle.remove()
    return seen


def _generate_parts(model: SemanticVAE, onehot: Tensor, noise: Result, parts: list[int]) -> Result:
    z = _encode(model, onehot, noise["eps"])
    if not parts:
        z = noise["rnd"]
    else:
        indices = [p - 1 for p in parts]  # parity quirk: 0, the background, becomes -1, the last part
        z[:, indices] = noise["rnd"][:, indices]
    return _outputs(_decode(model, z, noise["h0"], noise["c0"]))


def _perturbations(model: SemanticVAE, onehot: Tensor, noise: Result, parts: list[int]) -> Result:
    z = _encode(model, onehot, noise["eps"])
    indices = [p - 1 for p in parts]
    z[:, indices] += noise["rnd"][:, indices]
    return _outputs(_decode(model, z, noise["h0"], noise["c0"]))


def _parts_int(model: SemanticVAE, onehot: Tensor, noise: Result, parts: list[int]) -> Result:
    other = torch.cat(onehot.chunk(2)[::-1])
    own, theirs = _encode(model, onehot, noise["eps"]), _encode(model, other, noise["eps_sw"])
    indices, results = [p - 1 for p in parts], {}
    for k, weight in enumerate(own_weights(STEPS, cumulative=True)):
        z = own.clone()
        z[:, indices] = weight * own[:, indices] + (1 - weight) * theirs[:, indices]
        with recorded.where_held():
            out = _decode(model, z, noise[f"h0_{k}"], noise[f"c0_{k}"])
            results |= {f"{name}{k}": value for name, value in _outputs(out).items()}
    return results | {"ret_m": with_background(onehot[:, 1:]), "ret_m_sw": with_background(other[:, 1:])}


def _swap_part(model: SemanticVAE, onehot: Tensor, noise: Result, parts: list[int]) -> Result:
    half = min(len(onehot), 16) // 2
    swapped = onehot[: 2 * half].clone()
    for channel in parts:
        for a in range(half):
            b = a + half
            if onehot[a, channel].any() and onehot[b, channel].any():
                swapped[a, channel], swapped[b, channel] = onehot[b, channel], onehot[a, channel]
    results: Result = {"onehot": swapped}
    with recorded.where_held():
        first = _outputs(_decode(model, _encode(model, swapped, noise["sw_eps"]), noise["sw_h0"], noise["sw_c0"]))
        results |= {f"{k}_sw": v for k, v in first.items()}
    with recorded.where_held():
        own = _encode(model, onehot[: 2 * half], noise["eps"])
        results |= _outputs(_decode(model, own, noise["h0"], noise["c0"]))
    return results


_MODES: dict[str, Callable[[SemanticVAE, Tensor, Result, list[int]], Result]] = {
    "reconstruct": _reconstruct,
    "inference": _reconstruct,
    "generate_parts": _generate_parts,
    "perturbations": _perturbations,
    "parts_int": _parts_int,
    "swap_part": _swap_part,
}


# --- losses and one optimiser step -----------------------------------------------------------------------------------


def _training(case_dir: Path, case: dict[str, Any], io: Result, values: dict[str, Any]) -> Result:
    weights = torch.tensor(values.get("class_weights", CLASS_WEIGHTS))
    results: Result = {}
    with recorded.where_held():
        results |= _fixed_kl(io)
    if not {"label", "onehot"} & set(io):
        return _select(results, io) | results
    onehot, label = _onehot(io, len(config_of(case).channels) + 1), _label(io)
    with recorded.where_held():
        results |= _fixed(io, label, weights)
        results |= _discriminator_outputs(case_dir, case, io, onehot)
    with recorded.where_held():
        results |= _plain(case_dir, case, io, onehot, label, weights, values)
    with recorded.where_held():
        results |= _adversarial(case_dir, case, io, onehot, label, weights, values)
    with recorded.where_held():
        results |= _discriminator_step(case_dir, case, io, onehot, values)
    return _select(results, io) | {k: v for k, v in results.items() if "/" in k or k in _scalars(values)}


def _scalars(values: dict[str, Any]) -> set[str]:
    return {k for k, v in values.items() if isinstance(v, float)}


def _label(io: Result) -> Tensor:
    return io["onehot"].argmax(1) if "label" not in io and "onehot" in io else io["label"][:, 0].long()


def _fixed_kl(io: Result) -> Result:
    kl = losses.mean_kl_divergence(io["fixed.mu"], io["fixed.logvar"])
    return {"fixed.KL_raw": kl, "fixed.KL_weighted": KL_WEIGHT * kl}


def _fixed(io: Result, label: Tensor, weights: Tensor) -> Result:
    logits = with_background(io["fixed.logits18"])
    return {
        "fixed.CE_weighted": losses.weighted_cross_entropy(logits, label, weights),
        "fixed.CE_unweighted": losses.weighted_cross_entropy(logits, label),
        "fixed.bg_fraction": logits[:, 0].mean(),
        "fixed.FOCAL_gamma0.7_unused": _focal(logits, label, 0.7),
    }


def _focal(logits: Tensor, label: Tensor, gamma: float) -> Tensor:
    """The focal loss that upstream builds and never adds: the mean of (1 - p_y)^gamma * nll."""
    nll = torch.nn.functional.cross_entropy(logits, label, reduction="none")
    return ((1 - torch.exp(-nll)) ** gamma * nll).mean()


def _discriminator(case_dir: Path, case: dict[str, Any]) -> MultiscaleDiscriminator:
    if "discriminator" not in case["config"]:
        raise recorded.Lacking("discriminator")
    d = case["config"]["discriminator"]
    net = MultiscaleDiscriminator(d["input_channels"], d["ndf"], d["n_layers_D"], d["num_D"], last_stride=2)
    net.load_state_dict(official.convert_discriminator(recorded.load(case_dir / "weights_D.safetensors")), strict=True)
    return net.train()


def _judge(net: MultiscaleDiscriminator, fake: Tensor, real: Tensor) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    return split_pair(net(torch.cat([fake, real])))


def _discriminator_outputs(case_dir: Path, case: dict[str, Any], io: Result, onehot: Tensor) -> Result:
    with torch.no_grad():
        fake, real = _judge(_discriminator(case_dir, case), with_background(io["fixed.logits18"]), onehot)
    results: Result = {}
    for name, outputs in (("fake", fake), ("real", real)):
        for i, scale in enumerate(outputs):
            results[f"disc.{name}_pred{i}"] = scale[-1]
            results |= {f"disc.{name}_feat{i}_{j}": feature for j, feature in enumerate(scale[:-1])}
    return results


def _forward(model: SemanticVAE, onehot: Tensor, io: Result, mode: str) -> tuple[Tensor, Tensor, Tensor]:
    mu, log_var = model.encoder(onehot[:, 1:])
    z = reparameterize(mu, log_var, io[f"{mode}.eps"])
    return _decode(model, z, io[f"{mode}.h0"], io[f"{mode}.c0"]), mu, log_var


def _norms(model: torch.nn.Module, names: dict[str, float], key: str, grads: dict[str, Tensor]) -> Result:
    zero = torch.zeros(())
    return {f"{key}/{name}": grads[name].norm() if name in grads else zero for name in names}


def _grads(model: SemanticVAE, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    loss.backward(retain_graph=True)
    return {official.official_name(n): p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def _plain(
    case_dir: Path, case: Values, io: Result, onehot: Tensor, label: Tensor, weights: Tensor, values: Values
) -> Result:
    model = _model(case_dir, case).train()
    out, mu, log_var = _forward(model, onehot, io, "plain")
    kl, ce = KL_WEIGHT * losses.mean_kl_divergence(mu, log_var), losses.weighted_cross_entropy(out, label, weights)
    results: Result = {"plain.out": out, "plain.losses/KL": kl, "plain.losses/CE": ce, "plain.total": kl + ce}
    for key, loss in (("plain.grad_norm_KL_only", kl), ("plain.grad_norm_CE_only", ce), ("plain.grad_norm", kl + ce)):
        results |= _norms(model, values.get(key, {}), key, _grads(model, loss))
    before = {official.official_name(n): p.detach().clone() for n, p in model.named_parameters()}
    g = values.get("optim", {}).get("G", {"lr": 1e-4, "betas": [0.0, 0.9], "eps": 1e-8})
    torch.optim.Adam(model.parameters(), lr=g["lr"], betas=tuple(g["betas"]), eps=g["eps"]).step()
    delta = {
        official.official_name(n): p.detach() - before[official.official_name(n)] for n, p in model.named_parameters()
    }
    name = "plain.after_adam_step_delta_norm"
    return results | _norms(model, values.get(name, {}), name, delta)


def _adversarial(
    case_dir: Path, case: Values, io: Result, onehot: Tensor, label: Tensor, weights: Tensor, values: Values
) -> Result:
    model = _model(case_dir, case).train()
    out, mu, log_var = _forward(model, onehot, io, "gan")
    fake, real = _judge(_discriminator(case_dir, case), out, onehot)
    terms = {
        "KL": KL_WEIGHT * losses.mean_kl_divergence(mu, log_var),
        "CE": losses.weighted_cross_entropy(out, label, weights),
        "GAN": gan_loss(fake, True, for_discriminator=False),
        "GAN_Feat": 10.0 * feature_matching(fake, real),
    }
    total = torch.stack(list(terms.values())).sum()
    results: Result = {"gan.out": out, "gan.total": total} | {f"gan.losses/{k}": v for k, v in terms.items()}
    return results | _norms(model, values.get("gan.grad_norm", {}), "gan.grad_norm", _grads(model, total))


def _discriminator_step(
    case_dir: Path, case: dict[str, Any], io: Result, onehot: Tensor, values: dict[str, Any]
) -> Result:
    model, net = _model(case_dir, case).train(), _discriminator(case_dir, case)
    with torch.no_grad():
        made = _forward(model, onehot, io, "dstep")[0]
    fake, real = _judge(net, made, onehot)
    on_fake = gan_loss(fake, False, for_discriminator=True)
    on_real = gan_loss(real, True, for_discriminator=True)
    results: Result = {"dstep.losses/D_Fake": on_fake, "dstep.losses/D_real": on_real}
    (on_fake + on_real).backward()
    names = values.get("dstep.grad_norm", {})
    ours = {name: next(iter(official.convert_discriminator({name: torch.zeros(())}))) for name in names}
    parameters = dict(net.named_parameters())
    for name, key in ours.items():
        grad = parameters[key].grad
        results[f"dstep.grad_norm/{name}"] = torch.zeros(()) if grad is None else grad.norm()
    return results
