"""The cases of single blocks, of clusters and of pre-processing of pix2pixHD. Loaded by file path, so it imports nothing from its folder."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from zoo.data.preprocess import Preprocess
from zoo.families.pix2pixhd.blocks import smaller
from zoo.families.pix2pixhd.losses import summed_gan_loss
from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.nn.kmeans import kmeans
from zoo.nn.labels import instance_edges
from zoo_plugins.pix2pixhd import official
from zoo_plugins.pix2pixhd.clusters import LEAST, object_rows
from zoo_plugins.pix2pixhd.config import Pix2PixHDConfig
from zoo_plugins.pix2pixhd.encoder import Encoder
from zoo_plugins.pix2pixhd.generator import ResnetBlock
from zoo_plugins.pix2pixhd.model import Pix2PixHD
from zoo_plugins.pix2pixhd.pool import ImagePool
from zoo_plugins.pix2pixhd.regions import number_regions, paint_regions, region_means

Tensors = dict[str, Tensor]
THINGS = 1000
"""Instance numbers from here on are a class times this and an object's own number."""


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def unit_images(values: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return (values.float() / 255 - 0.5) / 0.5


# --- units ------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The units whose weights and input the case holds."""
    io, weights = recorded.load(folder / "io.safetensors"), load_file(folder / "weights.safetensors")
    out: Tensors = {}
    for run in (run_block, run_discriminators, run_encoders, run_losses):
        for part in run(case, io, weights):
            with recorded.where_held():
                out |= part()
    with recorded.where_held():
        out["out/edge_u8"] = instance_edges(io["in/inst_i32"][:, 0]).to(torch.uint8)
    named = ("image_pool/returned", *(f"gan_loss_values/{k}" for k in case.get("gan_loss_values", {})))
    out |= run_pool(case)
    return {k: v for k, v in out.items() if k in io or k in named}


def run_block(case: Mapping[str, Any], io: Tensors, weights: Tensors) -> Any:
    def block() -> Tensors:
        state = recorded.held(weights, "resblock_reflect.")
        module = ResnetBlock(len(state["conv_block.1.weight"]), "instance")
        module.load_state_dict(state, strict=True)
        return {"out/resblock_reflect": module(io["in/x4"])}

    def pooled() -> Tensors:
        return {"out/downsampled_x5": smaller(io["in/x5"])}

    return block, pooled, lambda: {"out/downsampled_odd": smaller(io["in/x4"])}


def run_discriminators(case: Mapping[str, Any], io: Tensors, weights: Tensors) -> Any:
    def outputs(name: str, layers: int, scales: int) -> list[list[Tensor]]:
        state = recorded.held(weights, f"{name}.")
        converted = official.convert({"discriminator": state})
        network = MultiscaleDiscriminator(5, 3, layers, scales, "instance", bias=True)
        network.load_state_dict({k.removeprefix("discriminator."): v for k, v in converted.items()}, strict=True)
        return network(io["in/x5"])

    def inner() -> Tensors:
        layers = outputs("D_interm", 4, 3)
        return {f"out/D_interm_{i}_{j}": v for i, scale in enumerate(layers) for j, v in enumerate(scale)}

    def scores() -> Tensors:  # a sigmoid follows officially; ours is in the loss
        return {f"out/D_sigmoid_{i}_0": v[-1].sigmoid() for i, v in enumerate(outputs("D_sigmoid", 3, 2))}

    return inner, scores


def run_encoders(case: Mapping[str, Any], io: Tensors, weights: Tensors) -> Any:
    def features(name: str, **fields: Any) -> Tensor:
        state = recorded.held(weights, f"{name}.")
        config = Pix2PixHDConfig(resolution=64, n_downsample_global=1, features="instance", nef=2, **fields)
        module = Encoder(config)
        module.load_state_dict(state, strict=True)
        values = module.train()(unit_images(io["in/image_u8"]))
        labels = io["in/inst_i32"][:, 0].long()
        regions = number_regions(torch.zeros_like(labels), labels, 64)
        return paint_regions(region_means(values, regions, 64)[0], regions)

    return (
        lambda: {"out/enc_feat": features("enc", n_downsample_e=2)},
        lambda: {"out/enc5_batchnorm_train_feat": features("enc5", n_downsample_e=1, feat_num=5, norm="batch")},
    )


def run_losses(case: Mapping[str, Any], io: Tensors, weights: Tensors) -> Any:
    def values() -> Tensors:
        scores = [io["in/x4"][:, :1], io["in/x4"][:, 1:2, :5, :5]]
        found: Tensors = {}
        for name in case.get("gan_loss_values", {}):
            mode = "ls" if "_ls_" in name else "original"
            loss = summed_gan_loss(scores, name.endswith("real"), mode, for_discriminator=True)
            found[f"gan_loss_values/{name}"] = loss
        return found

    return (values,)


def run_pool(case: Mapping[str, Any]) -> Tensors:
    """Which images the pool gives back, for the recorded draws."""
    if "image_pool" not in case:
        return {}
    recipe = case["image_pool"]
    pool, draws = ImagePool(recipe["pool_size"], (1,)), list(recipe["draws_in_order"])
    given = []
    for call in range(len(recipe["returned"])):
        images = torch.tensor([[2.0 * call], [2.0 * call + 1]])
        rows = []
        for i in range(2):
            coin, place = 0.0, 0.0
            if 2 * call + i >= recipe["pool_size"]:
                coin = draws.pop(0)[1]
                if draws and draws[0][0] == "randint":
                    place = (draws.pop(0)[1] + 0.5) / recipe["pool_size"]
            rows.append((coin, place))
        given.append(pool.query(images, torch.tensor(rows, dtype=torch.float64))[:, 0])
    return {"image_pool/returned": torch.stack(given)}


# --- clusters ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def run_clusters(case: Mapping[str, Any], folder: Path) -> Tensors:
    """The objects' features, and the centres of those that are large enough."""
    io, opt = recorded.load(folder / "io.safetensors"), case["official_options"]
    height, width = io["in/0/inst_i32"].shape[1:]
    config = Pix2PixHDConfig(
        label_space="numbered", edges=False, features="instance", resolution=width, aspect_ratio=width / height, ngf=1,
        n_downsample_global=1, nef=opt["nef"], n_downsample_e=opt["n_downsample_E"], feat_num=opt["feat_num"],
    )  # fmt: skip
    model = Pix2PixHD(config, numbered_space(opt["label_nc"])).eval()
    assert model.encoder is not None
    model.encoder.load_state_dict(load_file(folder / "weights.safetensors"), strict=True)
    out: Tensors = {}
    large: dict[int, list[Tensor]] = {}
    for image in sorted({k.split("/")[1] for k in io if k.startswith("in/")}):
        numbers = io[f"in/{image}/inst_i32"].long()
        labels = torch.where(numbers < THINGS, numbers, numbers // THINGS)
        maps = SemanticMap(labels, model.label_space, numbers)
        found = object_rows(model, unit_images(io[f"in/{image}/image_u8"])[None], model.regions(maps))
        channel, features, share = (t.double() for t in found)
        out[f"out/{image}/rows"] = torch.cat([channel[:, None], features, share[:, None]], 1)
        for label, row, part in zip(channel.tolist(), features, share, strict=True):
            if part > LEAST * 32:
                large.setdefault(int(label), []).append(row)
    for label, rows in large.items():
        points = torch.stack(rows)
        centres, _ = kmeans(points, min(len(rows), case["n_clusters"]))
        recorded_centres = io.get(f"out/centers/{label}")
        if recorded_centres is not None and len(recorded_centres) == len(centres):  # their order is arbitrary
            order = torch.cdist(recorded_centres, centres).argmin(1)
            out[f"out/centers/{label}"] = centres[order]
        spread = torch.cdist(points, centres).amin(1).square().sum()
        out[f"out/inertia/{label}"] = spread.float().view(1)
    return {k: v for k, v in out.items() if k in io}


# --- pre-processing ---------------------------------------------------------------------------------------------------


def preprocess_of(options: Mapping[str, Any]) -> Preprocess:
    """Our mode from the authors' options."""
    enhancers = options.get("n_local_enhancers", 1) if options.get("netG") == "local" else 0
    return Preprocess(
        options.get("resize_or_crop", "scale_width"),
        load_size=options.get("loadSize", 1024),
        crop_size=options.get("fineSize", 512),
        base=1 << (options.get("n_downsample_global", 4) + enhancers),
    )


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Every recorded pair through our pre-processing, with the recorded draws."""
    io, out = recorded.load(folder / "io.safetensors"), {}
    for name, info in case["info"].items():
        with recorded.where_held():
            out |= {f"out/{name}/{k}": v for k, v in run_pair(info, io).items()}
    return {k: v for k, v in out.items() if k in io}


def run_pair(info: Mapping[str, Any], io: Tensors) -> Tensors:
    mode = preprocess_of(info["options"])
    (_, _, _, across), (_, _, _, down), (_, coin) = info["draws"]
    how: dict[str, Any] = {"window": (across, down), "flip": info["train"] and coin > 0.5}
    source = f"in/{info['index']}"
    photo = io[f"{source}/image_u8"].permute(1, 2, 0).numpy()
    found: dict[str, Any] = {"image_u8": mode.photo(photo, **how).transpose(2, 0, 1)}
    found["label_u8"] = mode.labels(io[f"{source}/label_u8"][0].numpy(), **how)[None]
    # 16-bit files: Pillow takes another pixel for them where two are equally near, and numbers from 32768 on come to the authors'
    # networks as negative ones
    ids: Any = io[f"{source}/inst_i32"][0].numpy().astype(np.uint16)
    numbers = mode.instances(ids, **how)[None]
    found["inst_i32"] = numbers.astype(np.int16).astype(np.int32)
    if not info["options"].get("label_nc"):
        found["label_rgb_u8"] = mode.photo(np.ascontiguousarray(photo[:, ::-1]), **how).transpose(2, 0, 1)
    features = photo // 2 + 40
    found["feat_u8"] = np.stack([mode.labels(np.ascontiguousarray(p), **how) for p in features.transpose(2, 0, 1)])
    return {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in found.items()}
