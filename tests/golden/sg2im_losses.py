"""The recorded losses of sg2im, their gradients, and one iteration. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from zoo_plugins.sg2im.config import GEOMETRIC, Sg2imTraining
from zoo_plugins.sg2im.drawn import Drawn
from zoo_plugins.sg2im.model import Sg2im
from zoo_plugins.sg2im.network import Outputs
from zoo_plugins.sg2im.trainer import Sg2imTrainer, Step

Tensors = dict[str, Tensor]
WEIGHTS = {
    "l1_pixel_loss_weight": "lambda_pixel", "bbox_pred_loss_weight": "lambda_box", "mask_loss_weight": "lambda_mask",
    "predicate_pred_loss_weight": "lambda_predicate", "discriminator_loss_weight": "lambda_gan", "d_obj_weight": "lambda_object",
    "d_img_weight": "lambda_picture", "ac_loss_weight": "lambda_class", "gan_loss_type": "gan_mode", "learning_rate": "lr",
}  # fmt: skip
"""The authors' options -> ours."""
TERMS = {
    "L1_pixel_loss": "pixel", "bbox_pred": "box", "mask_loss": "mask", "predicate_pred": "predicate", "ac_loss": "class",
    "g_gan_obj_loss": "gan_object", "g_gan_img_loss": "gan_picture", "d_obj_gan_loss": "d_object", "d_ac_loss_real": "d_class_real",
    "d_ac_loss_fake": "d_class_fake", "d_img_gan_loss": "d_picture",
}  # fmt: skip
NETWORKS = {"G": "model", "D_obj": "objects", "D_img": "pictures"}


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, system = _beside("recorded"), _beside("sg2im")


class Variant:
    """One recorded variant: our trainer with the weights of the case, and the batch."""

    def __init__(self, case: Mapping[str, Any], folder: Path, io: Tensors, options: Mapping[str, Any]) -> None:
        space, names = system.space_of(case["vocab"])
        config = system.config_of(
            case["model_kwargs"], align_corners=bool(options.get("align_corners", True)), channels=names
        )
        predicates = tuple(case["vocab"]["pred_idx_to_name"][1:])
        config = replace(config, predicates=predicates)
        objects, pictures = case["d_obj_kwargs"], case["d_img_kwargs"]
        ours = Sg2imTraining(
            masks="map" if options.get("masks_gt_given", True) else "predicted",
            d_object=objects["arch"],
            d_picture=pictures["arch"],
            d_norm=objects["normalization"],
            d_padding=objects["padding"],
            d_slope=system.slope_of(objects["activation"]),
            crop_size=objects["object_size"],
            relations=predicates == GEOMETRIC,
            **recorded.options(options, WEIGHTS),
        )
        self.trainer = Sg2imTrainer(Sg2im(config, space), ours)
        for name, file in (("model", "weights"), ("objects", "weights_D_obj"), ("pictures", "weights_D_img")):
            if name not in self.trainer.networks:  # of weight 0
                continue
            network = self.trainer.networks[name]
            network = self.trainer.model.generator if name == "model" else network
            network.load_state_dict(recorded.load(folder / f"{file}.safetensors"), strict=True)
            network.train(name != "model" or options.get("generator_mode", "train") == "train")
        drawn = Drawn(system.graphs_of(io), io["in/boxes"], io["in/masks_u8"].float())
        self.step = Step(drawn, io["in/image"], io["in/layout_noise"] if config.noise_dim else None)

    @property
    def names(self) -> list[str]:
        """The networks that there are, by their recorded names."""
        return [short for short, ours in NETWORKS.items() if ours in self.trainer.networks]

    def network(self, name: str) -> torch.nn.Module:
        """A network by its recorded name."""
        return self.trainer.model.generator if name == "G" else self.trainer.networks[NETWORKS[name]]

    def gradients(self, name: str, losses: Mapping[str, Tensor]) -> Tensors:
        """The gradients of the sum of these losses, which the optimizer then takes."""
        network = self.network(name)
        named = dict(network.named_parameters())
        found = torch.autograd.grad(torch.stack(list(losses.values())).sum(), list(named.values()), allow_unused=True)  # pyright: ignore[reportArgumentType]
        for parameter, gradient in zip(named.values(), found, strict=True):
            parameter.grad = gradient
        return {k: g for k, g in zip(named, found, strict=True) if g is not None}


def run_variant(name: str, variant: Variant, about: Mapping[str, Any]) -> tuple[Tensors, Tensors]:
    """(tensors, numbers), both by their recorded names."""
    trainer, seen, found = variant.trainer, {}, {}
    scores: dict[str, list[Any]] = {"obj": [], "img": []}
    for key, network in (("obj", "objects"), ("img", "pictures")):
        if network in trainer.networks:
            trainer.networks[network].register_forward_hook(lambda _m, _i, r, key=key: scores[key].append(r))
    made: Outputs = trainer.forward(variant.step)
    losses = trainer.generator_losses(variant.step, made)
    seen |= {"img": made.images, "boxes_pred": made.boxes, "masks_pred": made.masks, "rel_scores": made.relations}
    seen |= {f"scores_fake_{key}": _scores(r[0]) for key, r in scores.items() if r}
    gradients = variant.gradients("G", losses)
    seen |= {f"grad/{k}": g for k, g in gradients.items()}
    found |= {f"G/{theirs}": losses[ours] for theirs, ours in TERMS.items() if ours in losses}
    found["G/total_loss"] = torch.stack(list(losses.values())).sum()
    norms = {f"grad_norm_G/{k}": g.norm() for k, g in gradients.items()}
    fake = made.images.detach()
    for short, run, total in (
        ("D_obj", trainer.object_losses, "d_obj_total"),
        ("D_img", trainer.picture_losses, "d_img_total"),
    ):
        if short not in variant.names:
            continue
        judged = run(variant.step, fake)
        found |= {f"D/{theirs}": judged[ours] for theirs, ours in TERMS.items() if ours in judged}
        found[f"D/{total}"] = torch.stack(list(judged.values())).sum()
        norms |= {f"grad_norm_{short}/{k}": g.norm() for k, g in variant.gradients(short, judged).items()}
    seen |= {f"D/scores_real_{key}": _scores(r[-1]) for key, r in scores.items() if r}
    found |= {k: v for k, v in norms.items() if k.split("/")[0] in about}
    for short in variant.names:
        seen |= {f"buffer_after/{short}/{k}": v for k, v in variant.network(short).named_buffers()}
    tensors = {f"{name}/{k}": v.detach() for k, v in seen.items() if v is not None}
    return tensors, {f"{name}/{k}": v.detach() for k, v in found.items()}


def _scores(judged: Any) -> Tensor:
    """The scores of what a discriminator gives, without those of classes."""
    return judged[0] if isinstance(judged, tuple) else judged


def run_iteration(variant: Variant, found: Tensors) -> Tensors:
    """One iteration of the authors' program, by the numbers of the variant it equals; parameters as [sum, norm, norm of the change]."""
    out = {f"official_iteration/losses/{k.split('/')[2]}": v for k, v in found.items() if k.startswith("train/G/")}
    out |= {
        f"official_iteration/d_losses/{k.split('/')[2]}": v
        for k, v in found.items()
        if k.startswith("train/D/") and not k.endswith("total")
    }
    for short in variant.names:
        network = variant.network(short)
        before = {k: p.detach().clone() for k, p in network.named_parameters()}
        variant.trainer.optimizers()["generator" if short == "G" else NETWORKS[short]].step()
        for key, parameter in network.named_parameters():
            after = parameter.detach()
            numbers = (after.double().sum(), after.double().norm(), (after - before[key]).double().norm())
            out |= {f"official_iteration/param_after_{short}/{key}/{i}": n for i, n in enumerate(numbers)}
    return out


def run_losses(case: Mapping[str, Any], folder: Path) -> Tensors:
    """All variants of the case."""
    io = recorded.load(folder / "io.safetensors")
    values = json.loads((folder / "values.json").read_text()) if (folder / "values.json").exists() else {}
    out: Tensors = {}
    for name in case["variants"]:
        about = values.get(name, {})
        variant = Variant(case, folder, io, about.get("options", {}))
        tensors, numbers = run_variant(name, variant, about)
        out |= {k: v for k, v in tensors.items() if k in io}
        out |= numbers
        if name == "train" and "official_iteration" in values:
            out |= run_iteration(variant, numbers)
    due = set(_paths("", values))
    return {k: v for k, v in out.items() if k in io or k in due}


def _paths(path: str, value: Any) -> list[str]:
    if not isinstance(value, dict | list):
        return [path]
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    return [found for key, inner in parts for found in _paths(f"{path}/{key}".strip("/"), inner)]
