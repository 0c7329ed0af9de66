"""The cases of MaskGAN's single layers and of its data. Loaded by file path, so it imports nothing from its folder."""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.preprocess import Preprocess
from zoo.families.pix2pixhd.losses import summed_gan_loss
from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.files.lines import draw_path
from zoo_plugins.maskgan import official
from zoo_plugins.maskgan.blocks import ConvBlock, ResnetBlock, SpatialTransform, modulate
from zoo_plugins.maskgan.generator import Blender

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


# --- units ------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def run_units(case: Mapping[str, Any], folder: Path, networks: Any) -> Tensors:
    """The units whose weights and inputs the case holds. networks: the names of the module of whole networks."""
    io, weights = recorded.load(folder / "io.safetensors"), recorded.load(folder / "weights.safetensors")
    out: Tensors = {}
    for run in (run_layers, run_blocks, run_blender, run_discriminators):
        for part in run(case, io, weights):
            with recorded.where_held():
                out |= part()
    with recorded.where_held():
        out |= run_edges(case, folder, io, networks)
    scalars = {f"scalars/{k}" for k in case.get("scalars", {})}
    return {k: v for k, v in out.items() if k in io or k in scalars}


def run_layers(case: Mapping[str, Any], io: Tensors, weights: Tensors) -> Any:
    """Modulation, transform, and convolution blocks of every kind."""

    def adain() -> Tensors:
        norm = torch.nn.functional.instance_norm(io["in/adain_x"])
        params = torch.cat([io["in/adain_shift"], io["in/adain_scale"]], 1)
        return {"out/adain": modulate(norm, params)}

    def transform() -> Tensors:
        state = recorded.held(weights, "sft.")
        ours = {
            str(official.rename("generator", f"enc_style.sft1.{k}"))[len("enc_style.sft1.") :]: v
            for k, v in state.items()
        }
        module = SpatialTransform(io["in/sft_x"].shape[1])
        module.load_state_dict(ours, strict=True)
        return {"out/sft": module(io["in/sft_x"], io["in/sft_cond"])}

    def block(name: str) -> Tensors:
        state = recorded.held(weights, f"{name}.")
        out, inputs, kernel, _ = state["conv.weight"].shape
        text = next(t for k, t in case["modules"].items() if name in k.split("|"))
        stride, padding = (int(re.search(rf"\b{letter}(\d+)", text)[1]) for letter in "sp")  # pyright: ignore
        _, pad, act = name.split("_")
        options: dict[str, Any] = {"activation": act, "norm": pad == "in", "pad": "reflect" if pad == "in" else pad}
        module = ConvBlock(inputs, out, kernel, stride, padding, **options)
        module.load_state_dict(state, strict=True)
        return {f"out/{name}": module(io["in/cb_x"])}

    names = sorted({k.split(".")[0] for k in weights if k.startswith("cb_")})
    return adain, transform, *(lambda name=name: block(name) for name in names)


def run_blocks(case: Mapping[str, Any], io: Tensors, weights: Tensors) -> Any:
    def residual(name: str, modulated: bool) -> Tensors:
        state = {k: v for k, v in recorded.held(weights, f"{name}.").items() if ".running_" not in k}
        module = ResnetBlock(len(state["conv_block.0.conv.weight"]))
        module.load_state_dict(state, strict=True)
        params = io["in/res_adain_params"].flatten(1).unflatten(1, (2, -1)) if modulated else None
        return {f"out/{name}": module(io["in/res_x"], params)}

    return lambda: residual("res_in", False), lambda: residual("res_adain", True)


def run_blender(case: Mapping[str, Any], io: Tensors, weights: Tensors) -> Any:
    def blend() -> Tensors:
        state = recorded.held(weights, "blend.")
        module = Blender(len(state["model.1.weight"]))
        module.load_state_dict(recorded.held(official.convert({"blender": state}), "blender."), strict=True)
        made, alpha = module(io["in/blend_a"], io["in/blend_b"])
        return {"out/blend": made, "out/blend_alpha": alpha}

    return (blend,)


def run_discriminators(case: Mapping[str, Any], io: Tensors, weights: Tensors) -> Any:
    """Every layer with feature matching; the scores without, which a sigmoid follows officially (ours is in the loss)."""

    def judged(name: str) -> list[list[Tensor]]:
        state = recorded.held(weights, f"{name}.")
        layers = {int(m[1]) for k in state if (m := re.fullmatch(r"(?:scale\d+_layer|layer0\.)(\d+)\..*", k))}
        first = state["scale0_layer0.0.weight" if "scale0_layer0.0.weight" in state else "layer0.0.weight"]
        scales = len({re.match(r"scale(\d+)|layer(\d+)", k)[0] for k in state})  # pyright: ignore
        network = MultiscaleDiscriminator(first.shape[1], len(first), len(layers) - 1, scales, "instance", bias=True)
        network.load_state_dict(
            recorded.held(official.convert({"discriminator": state}), "discriminator."), strict=True
        )
        return network(io["in/D_x"])

    def losses(name: str, mode: str, label: str) -> Tensors:
        scores = [scale[-1] for scale in judged(name)]
        return {
            f"scalars/{label}_{name}_{word}": summed_gan_loss(scores, word == "real", mode, for_discriminator=True)
            for word in ("real", "fake")
        }

    def inner() -> Tensors:
        found = {f"out/D_feat_{i}_{j}": v for i, scale in enumerate(judged("D_feat")) for j, v in enumerate(scale)}
        return found | losses("D_feat", "ls", "lsgan")

    def scores() -> Tensors:
        found = {f"out/D_sig_{i}": scale[-1].sigmoid() for i, scale in enumerate(judged("D_sig"))}
        return found | losses("D_sig", "original", "bce")

    return inner, scores


def run_edges(case: Mapping[str, Any], folder: Path, io: Tensors, networks: Any) -> Tensors:
    """Other sizes, a map of one class, references of another size and person."""
    weights = dict(recorded.load(folder.parent / case["edge"]["weights"]))
    model = networks.build({}, weights, (64, 64))
    classes = len(model.channels)

    def made(label: str, label_ref: str, image_ref: str) -> Tensor:
        maps, reference = (networks.planes_of(io, name, classes) for name in (label, label_ref))
        photo = networks.unit_images(io[image_ref])
        count = max(len(maps), len(photo))
        reference, photo = (t.expand(count, -1, -1, -1) for t in (reference, photo))
        return model.generator(maps, reference, photo)

    found = {
        "out/edge_image": made("in/edge_label_u8", "in/edge_label_ref_u8", "in/edge_image_ref_u8"),
        "out/edge72_image": made("in/edge72_label_u8", "in/edge72_label_u8", "in/edge72_image_u8"),
        "out/edge_otherref_image": made("in/edge_label_u8", "in/edge72_label_u8", "in/edge72_image_u8"),
    }
    wanted = {k: re.sub(r"_s\d+$", "", k) for k in io if k.startswith("out/edge")}
    return {k: networks.stride(k, found[name]) for k, name in wanted.items()}


# --- data -------------------------------------------------------------------------------------------------------------


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Every recorded pair through our pre-processing, with the recorded window; files of edited maps and references as the case says."""
    io, out = recorded.load(folder / "io.safetensors"), {}
    for name, record in case["records"].items():
        if "options" in record:
            with recorded.where_held():
                out |= {f"out/{name}/{k}_u8": v for k, v in run_pair(record, io).items()}
    with recorded.where_held():
        out |= run_strokes(case, io)
    return {k: v for k, v in out.items() if k in io}


def run_strokes(case: Mapping[str, Any], io: Tensors) -> Tensors:
    """The brush of the authors' window: strokes in their order, and sorted by class as its button applies them."""
    strokes = case.get("strokes", {}).get("list", [])
    found: Tensors = {}
    for name, ordered in {"chronological": strokes, "official": sorted(strokes, key=lambda s: s["class"])}.items():
        labels = io["in/strokes_base_u8"].numpy().copy()
        for stroke in ordered:
            draw_path(labels, [tuple(p) for p in stroke["pts"]], stroke["size"], stroke["class"])
        found[f"out/strokes_{name}_u8"] = torch.from_numpy(labels)
    return found


def run_pair(record: Mapping[str, Any], io: Tensors) -> Tensors:
    given = record["options"]
    options = dict(zip(given[::2], given[1::2], strict=True))
    mode = Preprocess(
        options.get("--resize_or_crop", "scale_width"),
        load_size=int(options.get("--loadSize", 512)),
        crop_size=int(options.get("--fineSize", 512)),
        base=1 << int(options.get("--n_downsample_global", 4)),
    )
    window = tuple(record["crop_pos_xy_drawn"])
    photo, labels = io[f"in/raw{record['raw']}_image_u8"].numpy(), io[f"in/raw{record['raw']}_label_u8"].numpy()
    mirrored = np.ascontiguousarray(labels[:, ::-1])
    picture = torch.from_numpy(mode.photo(photo, window).transpose(2, 0, 1).copy())
    found: Tensors = {"image": picture, "image_ref": picture}
    reference = (
        mirrored if record["phase"] == "test" else labels
    )  # in training references come from the folder of the labels
    sources = {"label": labels, "inter_label_1": labels, "inter_label_2": mirrored, "label_ref": reference}
    for key, values in sources.items():
        found[key] = torch.from_numpy(mode.labels(values, window)[None].copy())
    return found
