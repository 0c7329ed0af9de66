"""The cases of single layers of sg2im. Loaded by file path, so it imports nothing from its own folder."""

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
from torch.nn import functional as F

from zoo_plugins.sg2im.graph_net import GraphTripleConv, GraphTripleConvNet
from zoo_plugins.sg2im.layers import build_layers
from zoo_plugins.sg2im.losses import discriminator_loss, generator_loss, gradient_penalty
from zoo_plugins.sg2im.network import Graphs, Sg2imNetwork
from zoo_plugins.sg2im.placing import compose, crop, flat_masks, spread
from zoo_plugins.sg2im.refinement import RefinementNetwork

Tensors = dict[str, Tensor]
READINGS = {"ac1": True, "ac0": False}


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, system = _beside("recorded"), _beside("sg2im")


def loaded(module: nn.Module, state: Tensors) -> nn.Module:
    module.load_state_dict(state, strict=True)
    return module


def both_modes(name: str, module: nn.Module, run: Any, io: Tensors) -> Tensors:
    """What it gives in both modes, and its buffers after one call in training."""
    out: Tensors = {}
    with torch.no_grad():
        for mode in ("eval", "train"):
            module.train(mode == "train")
            out |= {f"{name}/{mode}/{k}": v for k, v in run(module).items()}
    out |= {f"{name}/train/buffer/{k}": v.clone() for k, v in module.named_buffers()}
    return {k: v for k, v in out.items() if k in io}


def norm_of(state: Tensors) -> Any:
    """Batch norm where there are such buffers."""
    return "batch" if any(k.endswith("running_mean") for k in state) else "none"


def gconv_of(state: Tensors, pooling: Any = "avg") -> GraphTripleConv:
    """A layer of the sizes of these weights."""
    norm = norm_of(state)
    last = state[f"net2.{3 if norm == 'batch' else 2}.weight"]
    hidden, inputs = len(state["net1.0.weight"]), state["net1.0.weight"].shape[1] // 3
    return GraphTripleConv(inputs, len(last), hidden, pooling=pooling, norm=norm)


def run_gconv(io: Tensors, weights: Tensors) -> Tensors:
    objects, predicates, edges = io["gconv/obj_vecs"], io["gconv/pred_vecs"], io["gconv/edges"].long()
    out: Tensors = {}
    names = sorted({k.split("/")[1] for k in weights if k.startswith("gconv/")})
    for name in names:
        state = recorded.held(weights, f"gconv/{name}/")
        if any(k.startswith("gconvs.") for k in state):
            layers = len({k.split(".")[1] for k in state})
            first = state["gconvs.0.net1.0.weight"]
            net = GraphTripleConvNet(first.shape[1] // 3, layers, len(first))
            made = loaded(net, state).eval()(objects, predicates, edges)
            out |= {f"gconv/{name}/obj": made[0], f"gconv/{name}/pred": made[1]}
            continue
        if name == "noedges":
            layer = loaded(gconv_of(state), state).eval()
            out["gconv/noedges/obj"] = layer(objects, predicates[:0], edges[:0])[0]
            continue
        pooling = "sum" if name.startswith("sum") else "avg"
        layer = gconv_of(state, pooling)
        out |= both_modes(f"gconv/{name}", loaded(layer, state), lambda m: dict(zip(("obj", "pred"), m(objects, predicates, edges), strict=True)), io)  # fmt: skip
    return {k: v.detach() for k, v in out.items() if k in io}


def run_layout(io: Tensors) -> Tensors:
    """Layouts and their gradients, whose sizes are read off the recorded ones."""
    out: Tensors = {}
    boxes, images = io["layout/boxes"], io["layout/obj_to_img"].long()
    with recorded.where_held():
        out["layout/grid"] = grid(boxes[:2], *io["layout/grid"].shape[1:3])
    given = {"vecs": io["layout/vecs"], "boxes": boxes, "masks": io["layout/masks"]}
    kinds = {"boxes": flat_masks(boxes), "masks": given["masks"], "masks_avg": given["masks"]}
    with recorded.where_held():
        kinds["masks01"] = io["layout/masks01"].float()
    for reading, align in READINGS.items():
        for name, masks in kinds.items():
            with recorded.where_held():
                size = tuple(io[f"layout/{reading}/{name}"].shape[-2:])
                placed = spread(masks, boxes, size, align_corners=align)  # pyright: ignore[reportArgumentType]
                pooling = "avg" if name.endswith("avg") else "sum"
                count = int(images.max()) + 1
                out[f"layout/{reading}/{name}"] = compose(given["vecs"], placed, images, count, pooling=pooling)
        with recorded.where_held():
            rows, weight = len(io[f"layout/{reading}/grad_vecs"]), io["layout/grad_weight"]
            leaves = {k: v[:rows].clone().requires_grad_(True) for k, v in given.items()}
            placed = spread(leaves["masks"], leaves["boxes"], tuple(weight.shape[-2:]), align_corners=align)  # pyright: ignore[reportArgumentType]
            (compose(leaves["vecs"], placed, images[:rows], len(weight)) * weight).sum().backward()
            out |= {f"layout/{reading}/grad_{k}": v.grad for k, v in leaves.items() if v.grad is not None}
    return out


def grid(boxes: Tensor, height: int, width: int) -> Tensor:
    """Where `grid_sample` would look for each pixel in a mask, from -1 to 1; ours has the bilinear weights of it (`spread`)."""
    x0, y0, x1, y1 = (c[:, None] for c in boxes.unbind(1))
    across = (torch.linspace(0, 1, width) - x0) / (x1 - x0)
    down = (torch.linspace(0, 1, height) - y0) / (y1 - y0)
    x, y = across[:, None].expand(-1, height, -1), down[:, :, None].expand(-1, -1, width)
    return 2 * torch.stack([x, y], 3) - 1


def run_crop(io: Tensors) -> Tensors:
    feats, boxes, images = io["crop/feats"], io["crop/boxes"], io["crop/box_to_feats"].long()
    out = {
        name: crop(feats, boxes, images, tuple(map(int, found.groups())), align_corners=READINGS[name.split("/")[1]])  # pyright: ignore[reportArgumentType]
        for name in io
        if (found := re.fullmatch(r"crop/ac[01]/batch_(\d+)x(\d+)", name))
    }
    steps = io["crop/linspace"].shape[1]
    start, end = boxes[:, 0], boxes[:, 2]
    share = torch.linspace(0, 1, steps)
    out["crop/linspace"] = (1 - share) * start[:, None] + share * end[:, None]
    out["crop/jj"] = crop_by_pixels(feats[images], boxes, io["crop/jj"].shape[-2], io["crop/jj"].shape[-1])
    return out


def crop_by_pixels(feats: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
    """The authors' second way to crop, which nothing of theirs uses and ours has not: a box's 1 is one pixel behind the last one,
    neighbours are clamped at the border and weighted by the unclamped distance."""
    share_x, share_y = torch.linspace(0, 1, width), torch.linspace(0, 1, height)
    x = ((1 - share_x) * boxes[:, :1] + share_x * boxes[:, 2:3]) * feats.shape[-1]
    y = ((1 - share_y) * boxes[:, 1:2] + share_y * boxes[:, 3:4]) * feats.shape[-2]
    rows = []
    for picture, across, down in zip(feats, x, y, strict=True):
        x0, y0 = across.floor().clamp(0, feats.shape[-1] - 1), down.floor().clamp(0, feats.shape[-2] - 1)
        x1, y1 = (x0 + 1).clamp(0, feats.shape[-1] - 1), (y0 + 1).clamp(0, feats.shape[-2] - 1)
        left, right, above, below = x1 - across, across - x0, y1 - down, down - y0
        at = lambda r, c: picture[:, r.long()][:, :, c.long()]  # noqa: B023, E731
        rows.append(
            at(y0, x0) * above[:, None] * left + at(y1, x0) * below[:, None] * left
            + at(y0, x1) * above[:, None] * right + at(y1, x1) * below[:, None] * right
        )  # fmt: skip
    return torch.stack(rows)


def run_refine(io: Tensors, weights: Tensors) -> Tensors:
    out: Tensors = {}
    for norm in ("batch", "instance", "none"):
        with recorded.where_held():
            state, layout = recorded.held(weights, f"refine/{norm}/"), io[f"refine/{norm}/layout"]
            modules = len({k.split(".")[1] for k in state if k.startswith("refinement_modules")})
            widths = [len(state[f"refinement_modules.{i}.net.0.weight"]) for i in range(modules)]
            net = loaded(RefinementNetwork(layout.shape[1], widths, norm=norm, slope=0.2), state)
            out |= both_modes(f"refine/{norm}", net, lambda m: {"out": m(layout)}, io)  # noqa: B023
    return out


def run_cnn(io: Tensors, weights: Tensors, values: Mapping[str, Any]) -> Tensors:
    out: Tensors = {}
    for name, about in values.items():
        if not name.startswith("cnn/"):
            continue
        options = dict(about["kwargs"])
        slope = system.slope_of(options.pop("activation", "relu"))
        options["norm"] = options.pop("normalization", "batch")
        net, width = build_layers(about["arch"], slope=slope, **options)
        out[f"{name}/out_channels"] = torch.tensor(width)
        state = recorded.held(weights, f"{name}/")
        assert {k: list(v.shape) for k, v in net.state_dict().items()} == about["keys"]
        out |= both_modes(name, loaded(net, state), lambda m: {"out": m(io[f"{name}/x"])}, io)  # noqa: B023
    return out


def run_losses(io: Tensors, values: Mapping[str, Any]) -> Tensors:
    out: Tensors = {}
    real, fake = io["loss/scores_real"], io["loss/scores_fake"]
    for mode in ("gan", "lsgan", "wgan"):
        out[f"loss/{mode}/g"] = generator_loss(fake, mode)
        out[f"loss/{mode}/d"] = discriminator_loss(real, fake, mode)
    with recorded.where_held():
        kernel = io["loss/gp_conv"]
        penalty = gradient_penalty(
            lambda x: F.conv2d(x, kernel).tanh(), io["loss/gp_real"], io["loss/gp_fake"], io["loss/gp_eps"]
        )
        for name in values.get("loss/gradient_penalty", {}):
            out[f"loss/gradient_penalty/{name}"] = penalty.detach()
    a, b = io["loss/iou_pred"], io["loss/iou_gt"]
    sides = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp_min(0)
    out["loss/intersection"] = sides.prod(1)
    areas = [(x[:, 2:] - x[:, :2]).prod(1) for x in (a, b)]
    out["loss/jaccard_sum"] = (sides.prod(1) / (areas[0] + areas[1] - sides.prod(1))).sum()
    return out


def run_model(io: Tensors, weights: Tensors, values: Mapping[str, Any]) -> Tensors:
    """Whole generators with other options."""
    out: Tensors = {}
    images = io["model/obj_to_img"].long()
    graphs = Graphs(io["model/objs"].long(), io["model/triples"].long(), images, int(images.max()) + 1)
    for name, kwargs in values.items():
        if not name.startswith("model/"):
            continue
        state = recorded.held(weights, f"{name}/")
        defaults = {"normalization": "batch", "activation": "leakyrelu-0.2"}
        config = system.config_of(defaults | kwargs)
        objects, predicates = len(state["obj_embeddings.weight"]) - 1, len(state["pred_embeddings.weight"])
        network = loaded(Sg2imNetwork(config, objects, predicates), state)
        assert isinstance(network, Sg2imNetwork)
        noise = io[f"{name}/noise"] if config.noise_dim else None
        for mode in ("eval", "train"):
            network.load_state_dict(state)
            network.train(mode == "train")
            with torch.no_grad():
                given = network(graphs, noise, boxes=io["model/boxes"])
                seen = {"gt_box/img": given.images, "boxes_pred": given.boxes, "rel_scores": given.relations}
                seen |= {} if given.masks is None else {"masks_pred": given.masks}
                if mode == "eval":
                    seen["pred_box/img"] = network(graphs, noise).images
            out |= {f"{name}/{mode}/{k}": v for k, v in seen.items()}
    return {k: v for k, v in out.items() if k in io}


def run_boxes(io: Tensors) -> Tensors:
    """Boxes as centres and sides, and changes of anchors: the authors' helpers, which their model does not use and ours has not."""
    anchors, transforms = io["box/anchors"], io["box/transforms"]
    extents = torch.cat([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], 1)
    out = {"box/extents": extents, "box/centers": torch.cat([(extents[:, :2] + extents[:, 2:]) / 2, extents[:, 2:] - extents[:, :2]], 1)}  # fmt: skip
    moved = anchors[:, :2] + transforms[:, :2] * anchors[:, 2:]
    out["box/apply"] = torch.cat([moved, anchors[:, 2:] * transforms[:, 2:].exp()], 1)
    back = (out["box/apply"][:, :2] - anchors[:, :2]) / anchors[:, 2:]
    out["box/invert"] = torch.cat([back, (out["box/apply"][:, 2:] / anchors[:, 2:]).log()], 1)
    return out


def run_degenerate(values: Mapping[str, Any]) -> Tensors:
    """Boxes without width or height, whose maps are NaN."""
    out: Tensors = {}
    for reading, align in READINGS.items():
        about = values.get(f"degenerate_boxes_{reading}")
        if about is None:
            continue
        boxes = torch.tensor(about["boxes"])
        placed = spread(torch.ones(len(boxes), 8, 8), boxes, tuple(about["size"]), align_corners=align)
        for place, plane in enumerate(placed):
            finite = plane[plane.isfinite()]
            prefix = f"degenerate_boxes_{reading}"
            out[f"{prefix}/per box: nan pixels/{place}"] = plane.isnan().sum()
            out[f"{prefix}/nonzero pixels/{place}"] = (finite != 0).sum()
            out[f"{prefix}/sum of finite/{place}"] = finite.sum()
    return out


def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    """All groups of the case."""
    del case
    io, weights = recorded.load(folder / "io.safetensors"), recorded.load(folder / "weights.safetensors")
    values = json.loads((folder / "values.json").read_text()) if (folder / "values.json").exists() else {}
    out: Tensors = run_degenerate(values)
    groups = {
        "gconv": lambda: run_gconv(io, weights), "layout": lambda: run_layout(io), "crop": lambda: run_crop(io),
        "refine": lambda: run_refine(io, weights), "cnn": lambda: run_cnn(io, weights, values), "loss": lambda: run_losses(io, values),
        "model": lambda: run_model(io, weights, values), "box": lambda: run_boxes(io),
    }  # fmt: skip
    for run in groups.values():
        with recorded.where_held():
            out |= run()
    with recorded.where_held():
        pictures = io["deprocess/in"]
        for name, rescale in (("rescale", True), ("norescale", False)):
            out[f"deprocess/{name}"] = system.in_bytes(pictures, rescale=rescale)
    return {k: v.detach() for k, v in out.items()}
