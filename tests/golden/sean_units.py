"""The cases of SEAN's single layers and of its pre-processing. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import math
import runpy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.data.files import resize_labels
from zoo.data.parts import merge_parts
from zoo.data.preprocess import Preprocess
from zoo.families.spade.blocks import resize_planes
from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.nn.labels import one_hot
from zoo_plugins.sean import official
from zoo_plugins.sean.blocks import BlockInput, NormInput, SEANBlock, SEANNorm
from zoo_plugins.sean.config import SEANConfig
from zoo_plugins.sean.regions import RegionWindows, region_numbers, region_windows
from zoo_plugins.sean.style_encoder import StyleEncoder

Tensors = dict[str, Tensor]
NORMS = ("ace_rgb", "ace_plain", "ace_spade5x5inst")
BLOCKS = ("block_shortcut", "block_identity", "block_plain_nospectral")


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def loaded(module: nn.Module, state: Tensors, theirs: str, ours: str) -> Any:
    """The module with an official state dict; theirs, ours: where such a module stands in the two generators."""
    renamed = {official.rename("generator", f"{theirs}{k}") or k: v for k, v in state.items()}
    module.load_state_dict({k.removeprefix(ours): v for k, v in renamed.items()}, strict=True)
    return module


def norm_unit(state: Tensors) -> SEANNorm:
    """A norm of the size of its weights."""
    shared = state["Spade.mlp_shared.0.weight"].shape  # [hidden, planes, kernel, kernel]
    kind = "syncbatch" if "Spade.param_free_norm.running_mean" in state else "instance"
    styled = "conv_gamma.weight" in state
    made = SEANNorm(
        len(state["noise_var"]), shared[1], norm=kind, kernel=shared[-1], hidden=shared[0],
        style_dim=state["conv_gamma.weight"].shape[1] if styled else 0,
        regions=sum(k.startswith("fc_mu") and k.endswith("bias") for k in state),
    )  # fmt: skip
    return loaded(made, state, "head_0.ace_0.", "generator.head_0.norm_0.")


def block_unit(state: Tensors) -> SEANBlock:
    """A residual block of the size of its weights."""
    spectral = "conv_0.weight_orig" in state
    shared = state["ace_0.Spade.mlp_shared.0.weight"].shape
    styled = "ace_0.conv_gamma.weight" in state
    made = SEANBlock(
        len(state["ace_0.noise_var"]), len(state["conv_1.bias"]), shared[1],
        norm=f"{'spectral' if spectral else ''}spadesyncbatch3x3", hidden=shared[0],
        style_dim=state["ace_0.conv_gamma.weight"].shape[1] if styled else 0,
        regions=sum(k.startswith("ace_0.fc_mu") and k.endswith("bias") for k in state),
    )  # fmt: skip
    return loaded(made, state, "head_0.", "generator.head_0.")


def encoder_unit(state: Tensors) -> StyleEncoder:
    """A style encoder of the size of its weights."""
    config = SEANConfig(style_width=len(state["model.1.bias"]), style_dim=len(state["model.14.bias"]))
    return loaded(StyleEncoder(config), state, "Zencoder.", "encoder.")


def discriminator_unit(state: Tensors) -> MultiscaleDiscriminator:
    """A discriminator of the size of its weights; all its strided layers have stride 2."""
    renamed = {official.rename("discriminator", k, state) or k: v for k, v in state.items()}
    renamed = {k.removeprefix("discriminator."): v for k, v in renamed.items()}
    width, channels = renamed["discriminators.0.layers.0.0.weight"].shape[:2]
    scales, layers = ({k.split(".")[i] for k in renamed} for i in (1, 3))
    made = MultiscaleDiscriminator(channels, width, len(layers) - 1, len(scales), last_stride=2)
    made.load_state_dict(renamed, strict=True)
    return made


def site(planes: Tensor, x: Tensor) -> tuple[Tensor, RegionWindows]:
    """Planes at the size of x, and their windows."""
    small = resize_planes(planes, (x.shape[-2], x.shape[-1]))
    return small, region_windows(region_numbers(small), planes.shape[1])


def given(norm: SEANNorm, planes: Tensor, windows: RegionWindows, codes: Tensor, noise: Tensor) -> NormInput:
    style = None if norm.style is None else norm.style(windows, codes)
    return NormInput(norm.affine(planes), noise[..., 0].transpose(1, 2)[:, None], style)


def run_norm(norm: SEANNorm, x: Tensor, planes: Tensor, codes: Tensor, noise: Tensor) -> Tensor:
    small, windows = site(planes, x)
    return norm(x, given(norm, small, windows, codes, noise))


def run_block(block: SEANBlock, x: Tensor, planes: Tensor, codes: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
    """noise: by the last letter of the norm's name."""
    small, windows = site(planes, x)
    norms = block.noisy_norms()
    styles = {name: None if norm.style is None else norm.style(windows, codes) for name, norm in norms.items()}
    drawn = {name: noise[name[-1]][..., 0].transpose(1, 2)[:, None] for name in norms}
    return block(x, BlockInput(block.plan(small), drawn, styles))


@torch.no_grad()
def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The units whose weights and input the case holds, in both modes; in training mode their buffers too."""
    io, weights, out = recorded.load(folder / "io.safetensors"), load_file(folder / "weights.safetensors"), {}
    for name in (*NORMS, *BLOCKS, "D_layers3", "D_layers4"):
        for mode in ("eval", "train"):
            with recorded.where_held():
                out |= run_unit(name, mode == "train", case, io, recorded.held(weights, f"{name}/"))
    with recorded.where_held():
        norm = norm_unit(recorded.held(weights, "ace_rgb/")).eval()
        out |= run_regions(norm, io)
    with recorded.where_held():
        out |= run_encoder(encoder_unit(recorded.held(weights, "zencoder/")), io)
    with recorded.where_held():
        out |= run_full(case, io)
    return {k: v for k, v in out.items() if k in io or k.startswith("full_codes_checks/")}


def planes_of(io: Tensors) -> Tensor:
    return one_hot(io["in/label_u8"][:, 0].long(), io["in/style_codes"].shape[1])


def run_unit(name: str, train: bool, case: Mapping[str, Any], io: Tensors, state: Tensors) -> Tensors:
    place = f"{'train' if train else 'eval'}/{name}"
    if name.startswith("D_"):
        images = torch.cat([one_hot(io["in/label_u8"][:, 0].long(), 7), io["in/img"]], 1)
        scales = discriminator_unit(state).train(train)(images)
        return {f"{place}_scale{i}_out{j}": t for i, scale in enumerate(scales) for j, t in enumerate(scale)}
    planes, codes = planes_of(io), io["in/style_codes"]
    order = case["noise_order"][name]
    if name in NORMS:
        module, prefix = norm_unit(state).train(train), "head_0.ace_0."
        out = {place: run_norm(module, io["in/x4"], planes, codes, io[f"in/noise/{order[0]}"])}
    else:
        module, prefix = block_unit(state).train(train), "head_0."
        noise = {drawn[-1]: io[f"in/noise/{drawn}"] for drawn in order}
        x = io["in/x4"] if name == "block_identity" else io["in/x6"]
        out = {place: run_block(module, x, planes, codes, noise)}
    if train:
        after, start = module.state_dict(), f"train/buffer/{name}."
        ours = "generator.head_0.norm_0." if name in NORMS else "generator.head_0."
        for key in (k for k in io if k.startswith(start)):
            renamed = official.rename("generator", prefix + key.removeprefix(start)) or ""
            out[key] = after[renamed.removeprefix(ours)]
    return out


def run_regions(norm: SEANNorm, io: Tensors) -> Tensors:
    """Overlapping planes; and the editor's way, which gives styles to the first sample of a batch alone."""
    x, codes, noise = io["in/x4"], io["in/style_codes"], io["in/noise/ace_rgb"]
    out = {"eval/ace_rgb_overlap": run_norm(norm, x, io["in/overlap_u8"].float(), codes, noise)}
    small = resize_planes(planes_of(io), (x.shape[-2], x.shape[-1]))
    numbers = region_numbers(small)
    numbers[1] = small.shape[1]  # no region
    windows = region_windows(numbers, small.shape[1])
    out["eval/ace_rgb_ui_mode"] = norm(x, given(norm, small, windows, codes[:1].expand(2, -1, -1), noise))
    return out


def run_encoder(encoder: StyleEncoder, io: Tensors) -> Tensors:
    odd = one_hot(io["in/odd_label_u8"][:, 0].long(), 7)
    return {
        "eval/zencoder": encoder(io["in/img"], planes_of(io)).codes,
        "eval/zencoder_overlap": encoder(io["in/img"], io["in/overlap_u8"].float()).codes,
        "eval/zencoder_odd_codes": encoder(io["in/odd_img"], odd).codes,
        "eval/zencoder_odd_features": encoder.features(io["in/odd_img"]),
    }


def run_full(case: Mapping[str, Any], io: Tensors) -> Tensors:
    """Both networks' layers at the official widths, with weights by formula (`full_weights_rule`)."""
    image = (io["in/full_image_u8"].float() / 255 - 0.5) / 0.5
    planes = one_hot(io["in/full_label_u8"][:, 0].long(), 19)
    config = SEANConfig()
    encoder = StyleEncoder(config)
    shapes = {official.rename("generator", f"Zencoder.{k}") or "": k for k in case["full_zencoder_keys"]}
    _fill(encoder, shapes, "encoder.", 0.3)
    codes = encoder(image, planes).codes
    norm = SEANNorm(8, 19, norm="syncbatch", kernel=3, hidden=128, style_dim=config.style_dim, regions=19).eval()
    shapes = {official.rename("generator", f"head_0.ace_0.{k}") or "": k for k in case["full_ace_keys"]}
    _fill(norm, shapes, "generator.head_0.norm_0.", 0.9)
    x = torch.sin(0.37 * torch.arange(8 * 16 * 16, dtype=torch.float64)).float().view(1, 8, 16, 16)
    out = {
        "full/zencoder_codes_s8": codes[..., ::8],
        "full/ace": run_norm(norm, x, planes, codes, io["in/full_ace_noise"]),
    }
    sums = {"sum": codes.double().sum(), "abs_sum": codes.double().abs().sum()}
    return out | {f"full_codes_checks/{k}": v for k, v in sums.items()}


def _fill(module: nn.Module, names: Mapping[str, str], prefix: str, shift: float) -> None:
    """The formula by the number of each key in the authors' order. names: our names in that order -> theirs."""
    state = module.state_dict()
    assert {prefix + k for k in state} == set(names)
    for i, name in enumerate(names):
        target = state[name.removeprefix(prefix)]
        if name.endswith("num_batches_tracked"):
            continue
        wave = torch.sin(0.7391 * (torch.arange(target.numel(), dtype=torch.float64) + 1) + 1.7 * i + shift)
        if name.endswith("running_var"):
            value = 1 + 0.5 * wave
        else:
            value = wave * 1.5 / math.sqrt(target[0].numel() if target.dim() > 1 else 100)
        target.copy_(value.float().view(target.shape))


# --- pre-processing -----------------------------------------------------------------------------------------------


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Pairs as the loader makes them, and a map from part masks as the authors put it together."""
    io, out = recorded.load(folder / "io.safetensors"), {}
    for name, info in case["info"].items():
        if "crop_pos" not in info:
            continue
        way = Preprocess(info["preprocess_mode"], info["load_size"], info["crop_size"])
        window = (info["crop_pos"][0], info["crop_pos"][1])
        photo = way.photo(io["in/image_u8_hwc"].numpy(), window, flip=info["flip_applied"])
        labels = way.labels(io["in/label_u8"].numpy(), window, flip=info["flip_applied"])
        out[f"out/{name}/image_u8"] = torch.from_numpy(np.ascontiguousarray(photo.transpose(2, 0, 1)))
        out[f"out/{name}/label_u8"] = torch.from_numpy(np.ascontiguousarray(labels))[None]
    merged = from_boxes(case["info"]["g_mask_overlap"]["boxes_x0_y0_x1_y1"])
    out["out/g_mask_overlap_s4_u8"] = torch.from_numpy(merged[::4, ::4].copy())
    edited = resize_labels(merged, (256, 256))
    out["out/ui_512_to_256_label_s2_u8"] = torch.from_numpy(edited[::2, ::2].copy())
    return {k: v for k, v in out.items() if k in io}


def from_boxes(boxes: Mapping[str, list[int]]) -> np.ndarray:
    """The map of part masks that are boxes, uint8 [512, 512]."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "0").mkdir()
        for name, (left, top, right, bottom) in boxes.items():
            mask = np.zeros((512, 512), np.uint8)
            mask[top:bottom, left:right] = 255
            PIL.Image.fromarray(mask).save(Path(folder) / "0" / f"00000_{name}.png")
        return merge_parts(Path(folder), 0)
