"""The cases of single layers, losses, averages, pre-processing and FID of OASIS. Loaded by file path, so it imports nothing from its own
folder."""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.data.preprocess import Preprocess
from zoo.families.spade.blocks import SPADENorm, SPADEResnetBlock, resize_planes
from zoo.families.spade.official_pictures import label_colormap, to_uint8
from zoo.metrics.frechet import frechet_distance
from zoo.nn.labels import one_hot
from zoo.training.ema import blend
from zoo_plugins.oasis import official
from zoo_plugins.oasis.discriminator import DownBlock, UpBlock
from zoo_plugins.oasis.losses import class_weights, fake_loss, labelmix_loss, labelmix_mask, real_loss, weight_map

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def due(folder: Path) -> set[str]:
    """The tensors of a case that are results."""
    return {
        k for k in recorded.load(folder / "io.safetensors") if "/in/" not in k and not k.endswith(("/bits", "/classes"))
    }


def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, out = recorded.load(folder / "io.safetensors"), {}
    weights = load_file(folder / "weights.safetensors") if (folder / "weights.safetensors").exists() else {}
    for run in (run_spade, run_block, run_discriminator, run_losses, run_labelmix, run_ema, run_pictures):
        with recorded.where_held():
            run(io, weights, out)
    return out


# --- layers -------------------------------------------------------------------------------------------------------


def ours(key: str) -> str:
    """Our name of a key of a SPADE layer or block."""
    key = key.replace("mlp_shared.0.", "mlp_shared.").replace("first_norm.", "param_free_norm.")
    return key.replace("weight_orig", "weight")


def both_modes(name: str, module: nn.Module, io: Tensors, out: Tensors, call: Any, naming: Any = ours) -> None:
    """Evaluation, then training, and the buffers after that."""
    for mode in ("eval", "train"):
        module.train(mode == "train")
        with torch.no_grad():
            out[f"{name}/{mode}"] = call(module)
    state, prefix = module.state_dict(), f"{name}/train_buffer/"
    out |= {k: state[naming(k.removeprefix(prefix))] for k in io if k.startswith(prefix)}


def run_spade(io: Tensors, weights: Tensors, out: Tensors) -> None:
    """The layer with each kind of norm; noise planes in front of the map's."""
    state = recorded.held(weights, "spade.")
    shared = state["mlp_shared.0.weight"].shape
    z, labels = io["spade/in/z"], io["spade/in/label_u8"][:, 0].long()
    noise = z[:, :, None, None].expand(-1, -1, *labels.shape[1:])
    planes = torch.cat([noise, one_hot(labels, shared[1] - z.shape[1])], 1)
    x = io["spade/in/x"]
    size = (x.shape[-2], x.shape[-1])
    for kind in ("syncbatch", "batch", "instance"):
        layer = SPADENorm(x.shape[1], shared[1], norm=kind, kernel=shared[-1], hidden=shared[0])
        known = layer.state_dict()
        layer.load_state_dict({n: v for k, v in state.items() if (n := ours(k)) in known}, strict=True)
        both_modes(f"spade/{kind}", layer, io, out, lambda m: m(x, m.affine(resize_planes(planes, size))))


def run_block(io: Tensors, weights: Tensors, out: Tensors) -> None:
    """The generator's residual block."""
    state = recorded.held(weights, "gblock.")
    shared = state["norm_0.mlp_shared.0.weight"].shape
    c_in, c_out = state["conv_0.weight_orig"].shape[1], len(state["conv_1.weight_orig"])
    norm = f"spectralspadesyncbatch{shared[-1]}x{shared[-1]}"
    block = SPADEResnetBlock(c_in, c_out, shared[1], norm=norm, hidden=shared[0])
    block.load_state_dict({ours(k): v for k, v in state.items()}, strict=True)
    x = io["gblock/in/x"]
    size = (x.shape[-2], x.shape[-1])
    both_modes("gblock", block, io, out, lambda m: m(x, m.plan(resize_planes(io["gblock/in/seg"], size))))


def run_discriminator(io: Tensors, weights: Tensors, out: Tensors) -> None:
    """The discriminator's blocks, whichever weights there are."""
    for name in sorted({k.split(".")[0] for k in weights if k.startswith("dblock_")}):
        with recorded.where_held():
            x, state, way = io[f"{name}/in/x"], recorded.held(weights, f"{name}."), name.split("_")[1]
            up = way == "up"

            def naming(key: str, up: bool = up) -> str:
                part = "up" if up else "down"
                return str(official.rename("discriminator", f"body_{part}.0.{key}")).removeprefix(f"{part}.0.")

            first = next(v for k, v in state.items() if re.fullmatch(r"conv1\.\d\.weight_orig", k))
            c_out, c_in = first.shape[:2]
            block = UpBlock(c_in, c_out) if up else DownBlock(c_in, c_out, first=way == "first")
            block.load_state_dict({naming(k): v for k, v in state.items()}, strict=True)
            both_modes(name, block, io, out, lambda m, x=x: m(x), naming)


# --- losses -------------------------------------------------------------------------------------------------------


def run_losses(io: Tensors, weights: Tensors, out: Tensors) -> None:
    """Weights, targets, losses and their gradients on crafted maps."""
    logits = io["loss/in/logits"]
    classes = logits.shape[1] - 1
    for key in [k for k in io if k.startswith("loss/in/label_")]:
        name = key.removeprefix("loss/in/label_").removesuffix("_u8")
        labels = io[key][:, 0].long()
        out[f"loss/{name}/target_real_u8"] = (labels + 1).to(torch.uint8)
        out[f"loss/{name}/target_fake_u8"] = torch.zeros_like(labels, dtype=torch.uint8)
        for care in (True, False):
            balance = class_weights(labels, classes, 0 if care else None)
            out[f"loss/{name}/dontcare={care}/weight_map"] = weight_map(labels, balance)[:, None]
            for off in (True, False):
                case = f"loss/{name}/dontcare={care}/no_balancing={off}"
                for side in ("real", "fake"):
                    leaf = logits.clone().requires_grad_()
                    loss = real_loss(leaf, labels, None if off else balance) if side == "real" else fake_loss(leaf)
                    (gradient,) = torch.autograd.grad(loss, leaf)
                    out |= {f"{case}/{side}": loss.detach(), f"{case}/{side}/grad_norm": gradient.norm()}
                    if side == "real" and not off:
                        out[f"loss/{name}/dontcare={care}/grad_logits_real"] = gradient


def run_labelmix(io: Tensors, weights: Tensors, out: Tensors) -> None:
    """Masks for rows of draws, and the loss with the gradients of all three opinions."""
    for key in [k for k in io if re.fullmatch(r"labelmix/\w+/bits", k)]:
        name = key.split("/")[1]
        labels, known = io[f"loss/in/label_{name}_u8"][:, 0].long(), io[f"labelmix/{name}/classes"]
        masks = []
        for row in io[key]:
            coins = torch.zeros(int(labels.max()) + 2, dtype=torch.int64)
            coins[known] = row
            masks.append(labelmix_mask(labels, coins, overwrite=True)[:, None])
        out[f"labelmix/{name}/mask_u8"] = torch.stack(masks).to(torch.uint8)
    leaves = [io[f"labelmix_loss/in/D_{k}"].clone().requires_grad_() for k in ("mixed", "real", "fake")]
    loss = labelmix_loss(leaves[0], leaves[1], leaves[2], io["labelmix_loss/in/mask_u8"][:, 0].long())
    for name, gradient in zip(("mixed", "real", "fake"), torch.autograd.grad(loss, leaves), strict=True):
        out[f"labelmix_loss/grad_D_{name}"] = gradient
    out["labelmix_loss"] = loss.detach()


# --- averages, bytes, colours -------------------------------------------------------------------------------------


def run_ema(io: Tensors, weights: Tensors, out: Tensors) -> None:
    """Three updates with each decay that the case names."""
    average, state = (recorded.held(io, f"ema/in/{k}/") for k in ("ema", "G"))
    average = {k: v for k, v in average.items() if k in state}  # what a case lacks is not due
    for decay in {k.split("/")[1].removeprefix("after3_") for k in io if k.startswith("ema/after3_")}:
        blended = {k: v.clone() for k, v in average.items()}
        for _ in range(3):
            blend(blended, state, float(decay))
        out |= {f"ema/after3_{decay}/{k}": v for k, v in blended.items()}


def run_pictures(io: Tensors, weights: Tensors, out: Tensors) -> None:
    out |= {k: label_colormap(int(k.split("/")[1].removesuffix("_u8"))) for k in io if k.startswith("colormap/")}
    out["to_uint8/out_u8"] = to_uint8(io["to_uint8/in"][None])[0, ..., 0]


# --- data and FID -------------------------------------------------------------------------------------------------


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Pairs of the shared samples as the authors' data sets give them; those whose files are not there are not due."""
    samples, out = folder.parents[2] / "data" / "samples", {}
    for tag, info in case["info"].items():
        photo, label = (samples / name for name in info["source"])
        if not (photo.exists() and label.exists()):
            continue
        size, aspect = info["options"]["crop_size"], info["options"]["aspect_ratio"]
        mode = "resize_and_crop" if aspect == 1 else "fixed"
        way = Preprocess(mode, info["load_size"], size, aspect)
        window = (0, 0) if isinstance(info["crop_draw"], str) else tuple(info["crop_draw"])
        stored = np.array(Image.open(label))
        if tag.startswith("coco"):  # unlabelled first
            stored = np.where(stored == 255, 0, stored + 1).astype(np.uint8)
        pixels = way.photo(np.array(Image.open(photo).convert("RGB")), window, flip=info["flip"])
        labels = torch.from_numpy(np.ascontiguousarray(way.labels(stored, window, flip=info["flip"])))
        image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
        out[f"out/{tag}/label_u8_s2"] = labels[None, ::2, ::2]
        out[f"out/{tag}/image_u8_s4"] = image[:, ::4, ::4]
        out[f"info/{tag}/label_sum"] = labels.long().sum()
        out[f"info/{tag}/image_mean"] = ((image.float() / 255 - 0.5) / 0.5).mean()
        for channel in info["onehot_channel_pixels"]:
            out[f"info/{tag}/onehot_channel_pixels/{channel}"] = (labels == int(channel)).sum()
    return out


def run_fid(folder: Path) -> Tensors:
    """The covariance of the photos' features, and the distance."""
    io, out = recorded.load(folder / "io.safetensors"), {}
    for name in {k.split("/")[0] for k in io}:
        with recorded.where_held():
            real, fake = io[f"{name}/real"], io[f"{name}/fake"]
            out[f"{name}/cov_real"] = torch.cov(real.T)
            out[f"values/{name}"] = torch.tensor(frechet_distance(real, fake))
    return out
