"""Maps the recorded sg2im cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from zoo.labels import LabelClass, LabelSpace, voc_color
from zoo_plugins.sg2im.config import Sg2imConfig
from zoo_plugins.sg2im.flatten import recipe
from zoo_plugins.sg2im.graphs import encode
from zoo_plugins.sg2im.network import Graphs, Sg2imNetwork
from zoo_plugins.sg2im.pictures import shown
from zoo_plugins.sg2im.placing import compose, spread

Tensors = dict[str, Tensor]
UNUSED = "NONE"
OPTIONS = {
    "embedding_dim": "embedding_dim", "gconv_dim": "gconv_dim", "gconv_hidden_dim": "gconv_hidden_dim", "gconv_num_layers": "gconv_layers",
    "gconv_pooling": "gconv_pooling", "mlp_normalization": "mlp_norm", "mask_size": "mask_size", "refinement_dims": "refinement_dims",
    "normalization": "norm", "layout_noise_dim": "noise_dim",
}  # fmt: skip
"""Arguments of the authors' model -> fields of our config."""
READINGS = {"ac1": True, "ac0": False}
RECIPES = {"threshold_argmax": "argmax", "painter": "painter", "segvae_background": "sum"}


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def slope_of(activation: str) -> float:
    """What the authors' code makes of the name of an activation."""
    _, _, slope = activation.partition("leakyrelu-")
    return float(slope) if slope else 0.01


def config_of(kwargs: Mapping[str, Any], **more: Any) -> Sg2imConfig:
    """Our config from the arguments of the authors' model; those that a case does not tell keep its defaults (no noise)."""
    values = {"noise_dim": 0} | recorded.options(kwargs, OPTIONS)
    values["refinement_dims"] = tuple(values.get("refinement_dims", Sg2imConfig.refinement_dims))
    height, width = kwargs.get("image_size", (64, 64))
    if "activation" in kwargs:
        values["slope"] = slope_of(kwargs["activation"])
    return Sg2imConfig(height=height, width=width, **values, **more)


def space_of(vocab: Mapping[str, Any]) -> tuple[LabelSpace, tuple[str, ...]]:
    """A label space of a vocabulary's objects, with a background, and their names in the network's order."""
    names = [n if n != UNUSED else f"unused {i}" for i, n in enumerate(vocab["object_idx_to_name"])]
    names[0] = "background"
    classes = tuple(LabelClass(n, voc_color(i)) for i, n in enumerate(names))
    return LabelSpace("recorded", classes, background="background"), tuple(names[1:])


def build(case: Mapping[str, Any], weights: Tensors, *, align_corners: bool = True) -> Sg2imNetwork:
    """The network of a case with its weights, in evaluation mode."""
    kwargs, vocab = case["model_kwargs"], case.get("vocab") or case["model_kwargs"]["vocab"]
    config = config_of(kwargs, align_corners=align_corners)
    network = Sg2imNetwork(config, len(vocab["object_idx_to_name"]), len(vocab["pred_idx_to_name"]))
    network.load_state_dict(recorded.complete(case, weights, network.state_dict(), lambda key: key), strict=True)
    return network.eval()


def graphs_of(io: Tensors, prefix: str = "in/", triples: str = "triples") -> Graphs:
    """The recorded graphs."""
    images = io[f"{prefix}obj_to_img"].long()
    return Graphs(io[f"{prefix}objs"].long(), io[f"{prefix}{triples}"].long(), images, int(images.max()) + 1)


def from_json(vocab: Mapping[str, Any], graphs: Iterable[Mapping[str, Any]]) -> Graphs:
    """Scene graphs of the paper's form."""
    objects, predicates = vocab["object_idx_to_name"], vocab["pred_idx_to_name"]
    return encode(
        [
            (
                [objects.index(n) for n in graph["objects"]],
                [(s, predicates.index(p), o) for s, p, o in graph["relationships"]],
            )
            for graph in graphs
        ]
    )


def strided(name: str, value: Tensor) -> Tensor:
    """The part that a name's end means: every K-th pixel (`_sK`), the first K objects (`_oK`)."""
    if found := re.search(r"_s(\d+)$", name):
        return value[..., :: int(found[1]), :: int(found[1])]
    found = re.search(r"_o(\d+)$", name)
    return value[: int(found[1])] if found else value


def thinned(value: Tensor, like: Tensor) -> Tensor:
    """The pixels of a picture in bytes that were recorded: as many as there are, their name does not say it."""
    step = value.shape[-1] // like.shape[-1]
    return value[..., ::step, ::step]


def chosen(io: Mapping[str, Tensor], seen: Tensors, prefix: str = "out/") -> Tensors:
    """Of what was seen, that which the case records, in its form."""
    out: Tensors = {}
    for name in io:
        plain = re.sub(r"_[so]\d+$", "", name)
        for full in (name, plain):
            if full.startswith(prefix) and (value := seen.get(full.removeprefix(prefix))) is not None:
                value = strided(name, value) if full == plain else value
                out[name] = thinned(value, io[name]) if full.endswith("img_u8") else value
                break
    return out


def watch(network: Sg2imNetwork, seen: Tensors) -> list[Any]:
    """Hooks that keep what the layers of the graph network, the mask network and the cascade put out."""
    hooks = []

    def keep(name: str, module: torch.nn.Module, pair: bool = False) -> None:
        def hook(_m: Any, _i: Any, result: Any) -> None:
            if pair:
                seen[f"{name}_obj"], seen[f"{name}_pred"] = (r.detach() for r in result)
            else:
                seen[name] = result.detach()

        hooks.append(module.register_forward_hook(hook))

    layers = [network.gconv, *(network.gconv_net.gconvs if network.gconv_net is not None else ())]
    for number, layer in enumerate(layers):
        keep(f"gconv{number}", layer, network.config.gconv_layers > 0)
    for number, layer in enumerate(network.mask_net or ()):
        keep(f"mask_net.{number}", layer)
    for number, layer in enumerate(network.refinement_net.refinement_modules):
        keep(f"refine{number}", layer)
    return hooks


@torch.no_grad()
def run_network(case: Mapping[str, Any], folder: Path) -> Tensors:
    """What the graph network reads, pictures in three ways and two readings, and graphs given as JSON."""
    io, weights = recorded.load(folder / "io.safetensors"), recorded.load(folder / "weights.safetensors")
    out: Tensors = {}
    with recorded.where_held():
        out |= run_graphs(case, io, weights)
    if case.get("json_scene_graphs"):
        out |= run_json(case, io, build(case, weights))
    return out


def run_graphs(case: Mapping[str, Any], io: Tensors, weights: Tensors) -> Tensors:
    graphs, network, seen = graphs_of(io), build(case, weights), {}
    hooks = watch(network, seen)
    read = network.read(graphs)
    seen |= {"boxes_pred": read.boxes, "rel_scores": network.relations(graphs, read.boxes)}
    seen |= {} if read.masks is None else {"masks_pred": read.masks}
    for hook in hooks:
        hook.remove()
    out = chosen(io, seen)
    ways = {
        "gt_box_gt_mask": lambda: (io["in/boxes"], io["in/masks_u8"].float()),
        "gt_box_pred_mask": lambda: (io["in/boxes"], read.masks),
        "pred_box_pred_mask": lambda: (read.boxes, read.masks),
    }
    for reading, align in READINGS.items():
        network = build(case, weights, align_corners=align)
        for mode, given in ways.items():
            with recorded.where_held():
                inner: Tensors = {}
                boxes, masks = given()
                inner["layout"] = network.layout(graphs, read.vectors, boxes, masks)
                out |= chosen(io, inner, f"out/{reading}/{mode}/")
                hooks = watch(network, inner)
                image = network.paint(inner["layout"], io["in/layout_noise"] if network.config.noise_dim else None)
                for hook in hooks:
                    hook.remove()
                inner |= {"img": image, "img_u8": in_bytes(image)}
                out |= chosen(io, inner, f"out/{reading}/{mode}/")
    return out


def in_bytes(image: Tensor, *, rescale: bool = True) -> Tensor:
    """The authors' pictures, truncated to bytes."""
    return (shown(image, rescale=rescale, empty=float("nan")) * 255).clamp(0, 255).nan_to_num(0).to(torch.uint8)


@torch.no_grad()
def run_json(case: Mapping[str, Any], io: Tensors, network: Sg2imNetwork) -> Tensors:
    graphs = from_json(case["vocab"], case["json_scene_graphs"])
    read = network.read(graphs)
    seen = {
        "objs": graphs.objects, "triples": graphs.triples, "obj_to_img": graphs.images, "boxes_pred": read.boxes,
        "masks_pred": read.masks, "rel_scores": network.relations(graphs, read.boxes),
    }  # fmt: skip
    return chosen(io, {k: v for k, v in seen.items() if v is not None}, "json/")


@torch.no_grad()
def run_label_sets(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Masks of label sets, their soft maps in given boxes, the recipes for one class per pixel, and how many pixels each class has."""
    io, out = recorded.load(folder / "io.safetensors"), Tensors()
    network = build(case, recorded.load(folder / "weights.safetensors"))
    for triples, prefix in (("triples", "out/"), ("triples_with_relations", "out/with_relations/")):
        with recorded.where_held():
            read = network.read(graphs_of(io, triples=triples))
            seen = {"boxes_pred": read.boxes, "masks_pred": read.masks, "obj_vecs": read.vectors}
            out |= chosen(io, {k: v for k, v in seen.items() if v is not None}, prefix)
    with recorded.where_held():
        out |= run_recipes(case, io, network, graphs_of(io))
    return out


def run_recipes(case: Mapping[str, Any], io: Tensors, network: Sg2imNetwork, graphs: Graphs) -> Tensors:
    objects, masks = (graphs.objects > 0).nonzero()[:, 0], network.read(graphs).masks
    assert masks is not None
    boxes, values, images = io["in/boxes"][objects], graphs.objects[objects], graphs.images[objects]
    classes = len(case["vocab"]["object_idx_to_name"])
    sizes = {(m[1], m[2]) for k in io if (m := re.search(r"(ac[01])/[a-z_]+_(\d+x\d+)", k))}
    sizes |= {tuple(k.split("/")[:2]) for k in case.get("label_counts", {})}
    out: Tensors = {}
    for reading, size in sorted(sizes):
        height, width = map(int, size.split("x"))
        placed = spread(masks[objects], boxes, (height, width), align_corners=READINGS[reading])
        soft = compose(torch.nn.functional.one_hot(values, classes).float(), placed, images, graphs.count)
        out |= chosen(io, {f"{reading}/soft_{size}": soft})
        for theirs, ours in RECIPES.items():
            labels = recipe(ours, placed, values, boxes, images, graphs.count, classes, 0)
            found = chosen(io, {f"{reading}/label_{theirs}_{size}": labels})
            out |= {k: v.to(io[k].dtype) for k, v in found.items()}
            name = f"{reading}/{size}/{theirs}"
            counts = case.get("label_counts", {}).get(name, {})
            out |= {f"label_counts/{name}/{v}": (labels == int(v)).sum() for v in counts}
    return out


@torch.no_grad()
def run_checkpoint(case: Mapping[str, Any], folder: Path) -> Tensors:
    """From the authors' file and JSON to pictures."""
    from zoo.checkpoints.reading import read_checkpoint

    io, out = recorded.load(folder / "io.safetensors"), Tensors()
    (file,) = folder.glob("*.pt")
    content = read_checkpoint(file).content
    held = {"model_kwargs": content["model_kwargs"], "vocab": content["model_kwargs"]["vocab"]}
    graphs = from_json(held["vocab"], case["scene_graphs"])
    out |= chosen(io, {"objs": graphs.objects, "triples": graphs.triples, "obj_to_img": graphs.images})
    for reading, align in READINGS.items():
        network = build(held, dict(content["model_state"]), align_corners=align)
        read = network.read(graphs)
        out |= chosen(io, {"boxes_pred": read.boxes, "masks_pred": read.masks})  # pyright: ignore[reportArgumentType]
        with recorded.where_held():
            noise = io["in/layout_noise"]
            image = network(graphs, noise).images
            out |= chosen(io, {f"{reading}/img": image, f"{reading}/img_u8": in_bytes(image)})
            out |= chosen(io, {f"{reading}/img_boxes_given": network(graphs, noise, boxes=io["in/boxes_given"]).images})
    return out


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    if "scene_graphs" in case:
        return run_checkpoint(case, case_dir)
    if "groups" in case:
        return _beside("sg2im_units").run_units(case, case_dir)
    if "d_obj_kwargs" in case:
        return _beside("sg2im_losses").run_losses(case, case_dir)
    if "model_kwargs" not in case:
        return _beside("sg2im_data").run_data(case, case_dir)
    if "label_counts" in case:
        return run_label_sets(case, case_dir)
    return run_network(case, case_dir)
