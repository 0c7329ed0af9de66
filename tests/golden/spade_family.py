"""What the replays of SPADE's descendants share: stored weights, hooks, buffers, and a case of losses with `values.json`.

Loaded by file path, as all modules of this folder.
"""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.families.spade.trainer import GanTrainer
from zoo.nn.perceptual import VGG19Features

Tensors = dict[str, Tensor]
ROLES = {"netG": "generator", "netE": "encoder", "netIE": "encoder", "netD": "discriminator"}
CHECKPOINTS = {"netG": "G", "netE": "E", "netD": "D"}
TERMS = {
    "gan": "GAN", "gan_feat": "GAN_Feat", "kld": "KLD", "perceptual": "VGG", "d_fake": "D_Fake", "d_real": "D_real",
}  # fmt: skip
"""Our names of the terms -> theirs."""
recorded, formula = (
    SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))
    for name in ("recorded", "weights_recipe")
)


@cache
def parts(folder: Path) -> dict[str, Tensors]:
    """The stored weights by network (netG, netE or netIE, netD, criterionVGG): of one file, else of the authors' checkpoints.

    With a `weights_recipe` also those that it makes, and networks of the case that its note names.
    """
    found: dict[str, Tensors] = {}
    case = json.loads((folder / "case.json").read_text()) if (folder / "case.json").exists() else {}
    stored = load_file(folder / "weights.safetensors") if (folder / "weights.safetensors").exists() else {}
    for key, value in (stored | formula.made(case)).items():
        network, rest = key.split(".", 1)
        found.setdefault(network, {})[rest] = value
    for network, letter in CHECKPOINTS.items():
        file = folder / f"official_checkpoint_latest_net_{letter}.pth"
        if file.exists() and network not in found:
            found[network] = torch.load(file, weights_only=True)
    if "weights_recipe" in case and "cut" not in case:
        for sibling in re.findall(r"\.\./(\w+)", str(case.get("note", ""))):
            found = parts(folder.parent / sibling) | found
    return found


def load_weights(model: Any, folder: Path, official: Any) -> None:
    """The stored generator and encoder, strictly; in a case that was cut, NaN in place of what it lacks."""
    stored = {ROLES[n]: state for n, state in parts(folder).items() if ROLES.get(n) in ("generator", "encoder")}
    if model.encoder is None:
        stored.pop("encoder", None)
    model.load_state_dict(official.convert(stored), strict=True)


def load_critics(trainer: GanTrainer, folder: Path, official: Any, train: bool) -> None:
    """The stored discriminator, and VGG where there is one."""
    stored = parts(folder)
    state = official.convert({"discriminator": stored["netD"]})
    trainer.discriminator.load_state_dict({k.removeprefix("discriminator."): v for k, v in state.items()}, strict=True)
    trainer.discriminator.train(train)
    if "criterionVGG" in stored:
        vgg = {"features." + k.split(".", 2)[2]: v for k, v in stored["criterionVGG"].items()}  # from vgg.sliceK.N.…
        trainer.perceptual = VGG19Features.of(vgg)


@contextmanager
def outputs_seen(network: nn.Module, seen: Tensors, prefix: str = "", suffix: str = "_out") -> Iterator[None]:
    """Inside the block the outputs of all modules go into `seen`, under their names."""
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(f"{prefix}{name}{suffix}", out))
        for name, module in network.named_modules()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def chosen(io: Tensors, seen: Mapping[str, Tensor], prefix: str = "out/") -> Tensors:
    """What was recorded under the prefix of what was seen; `_sK` at a name's end means every K-th row and column."""
    out: Tensors = {}
    for key in (k for k in io if k.startswith(prefix)):
        name, _, step = re.fullmatch(r"(.*?)(_s(\d+))?", key.removeprefix(prefix)).groups()  # pyright: ignore[reportOptionalMemberAccess]
        if name in seen:
            step = int(step or 1)
            out[key] = seen[name][..., ::step, ::step] if step > 1 else seen[name]
    return out


def ours(network: str, key: str, folder: Path, official: Any) -> str:
    """Our name in `network` of an official key of it."""
    return official.rename(ROLES[network], key, parts(folder)[network]) or key


def networks_of(trainer: GanTrainer) -> dict[str, nn.Module]:
    """The networks by their official names."""
    found: dict[str, Any] = {"netG": trainer.gan.generator, "netD": trainer.discriminator}
    encoder = trainer.gan.encoder
    return found if encoder is None else found | {"netE": encoder, "netIE": encoder}


def buffers(prefix: str, io: Tensors, networks: Mapping[str, nn.Module], folder: Path, official: Any) -> Tensors:
    """The buffers that a case names under a prefix, by their official names."""
    out: Tensors = {}
    for key in (k for k in io if k.startswith(prefix)):
        name, rest = key.removeprefix(prefix).split(".", 1)
        if name in networks:
            out[key] = networks[name].state_dict()[ours(name, rest, folder, official)].clone()
    return out


def parameters(trainer: GanTrainer, folder: Path, official: Any, names: str) -> dict[str, nn.Parameter]:
    """The parameters of these networks (`netG netE`) by their official names."""
    found: dict[str, nn.Parameter] = {}
    networks = networks_of(trainer)
    for network in names.split():
        if network in networks and network in parts(folder):
            own = dict(networks[network].named_parameters())
            theirs = {ours(network, k, folder, official): k for k in parts(folder)[network]}
            found |= {f"{network}.{theirs[k]}": p for k, p in own.items()}
    return found


def run_losses(
    io: Tensors, folder: Path, official: Any, make: Callable[[bool], GanTrainer], step_of: Callable[[Any], Any]
) -> Tensors:
    """Losses, gradients and buffers of both halves in both modes, and one iteration.

    make: our trainer in training mode or not. step_of: both halves on the recorded batch, `generator()` and
    `discriminator(name of the noise)`, each of which calculates gradients and gives the losses by their official names.
    """
    out: Tensors = {}
    with recorded.where_held():
        for mode in ("train", "eval"):
            for half, names in (("G", "netG netE netIE"), ("D", "netD")):
                trainer = make(mode == "train")
                step = step_of(trainer)
                losses = step.generator() if half == "G" else step.discriminator("D")
                out |= {f"{mode}/{half}/{k}": v.reshape(()) for k, v in losses.items()}
                found = parameters(trainer, folder, official, names)
                grads = {k: p.grad for k, p in found.items() if p.grad is not None}
                out |= {f"{mode}/{half}/grad_norm/{k}": g.norm() for k, g in grads.items()}
                if mode == "train":
                    out |= {"train/fake": step.fake} if half == "G" else {}
                    out |= {k: grads[n] for k in io if (n := k.removeprefix("train/grad/")) in grads and n != k}
                    prefix = f"train/buffer_after_{half}/"
                    out |= buffers(prefix, io, networks_of(trainer), folder, official)
    with recorded.where_held():
        out |= run_iteration(make(True), folder, official, step_of)
    return out


def run_iteration(trainer: GanTrainer, folder: Path, official: Any, step_of: Callable[[Any], Any]) -> Tensors:
    """One iteration: a generator step, then a discriminator step on a fresh fake of the stepped generator."""
    found = parameters(trainer, folder, official, "netG netE netIE netD")
    before = {k: p.detach().clone() for k, p in found.items()}
    optimizers, step = trainer.optimizers(), step_of(trainer)
    losses = step.generator()
    optimizers["generator"].step()
    losses |= step.discriminator("D")
    optimizers["discriminator"].step()
    out = {f"iter/losses/{k}": v.reshape(()) for k, v in losses.items() if k != "total"}
    for k, p in found.items():
        now = p.detach()
        out[f"iter/param_after/{k}"] = torch.stack([now.sum(), now.norm(), (now - before[k]).norm()])
    rates = trainer.rates(0.0, 0)
    return out | {"iter/lr_G_lr_D": torch.tensor([rates["generator"], rates["discriminator"]])}


def values_of(values: Mapping[str, Any]) -> Tensors:
    """The measured numbers of a `values.json` by their path; lists of numbers as one tensor."""
    out: Tensors = {}

    def walk(tree: Mapping[str, Any], path: str) -> None:
        for key, value in tree.items():
            if isinstance(value, Mapping) and key != "shapes":
                walk(value, f"{path}{key}/")
            elif isinstance(value, float) or (isinstance(value, list) and value and isinstance(value[0], float)):
                out[path + key] = torch.tensor(value)

    walk(values, "")
    return out
