"""sg2im against vectors recorded from the authors' code: networks, label sets, losses, one iteration, units, loaders, checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file
from torch import Tensor

import zoo
from zoo.checkpoints.convert import convert
from zoo.graphs import scene_graph
from zoo.labels import numbered_space
from zoo.registry import label_space, registry
from zoo_plugins.sg2im import official
from zoo_plugins.sg2im.config import Sg2imConfig
from zoo_plugins.sg2im.discriminators import ObjectDiscriminator, PatchDiscriminator
from zoo_plugins.sg2im.model import Sg2im

pytestmark = pytest.mark.usefixtures("one_thread")
GIVEN = (
    "gconv/edges", "gconv/obj_vecs", "gconv/pred_vecs", "layout/boxes", "layout/masks", "layout/masks01", "layout/obj_to_img",
    "layout/vecs", "layout/grad_weight", "model/obj", "model/triples", "model/boxes", "box/anchors", "box/transforms", "crop/box", "crop/feats",
    "deprocess/in", "loss/gp_", "loss/iou_", "loss/scores_", "vg/h5/", "in/",
)  # fmt: skip
"""Beginnings of the names that are no results."""


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden/sg2im"


def results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(ours, recorded tensors and those recorded numbers that we have), after a look that every recorded result is there."""
    found = golden_module("replay").replay("sg2im", folder)
    io = {k: v for k, v in load_file(folder / "io.safetensors").items() if not k.startswith(GIVEN)}
    io = {k: v for k, v in io.items() if not k.endswith(("/x", "/layout", "/noise")) or k.startswith("out/")}
    numbers: dict[str, Any] = {}
    for file in ("values.json", "case.json"):
        if (folder / file).exists():
            numbers |= paths("", json.loads((folder / file).read_text()))
    assert not {k for k in io if k not in found}
    assert not {k for k in found if k not in io and k not in numbers}
    recorded = io | {k: torch.tensor(numbers[k]) for k in found if k not in io}
    assert all(found[k].shape == v.shape for k, v in recorded.items())
    return found, recorded


def paths(path: str, value: Any) -> dict[str, Any]:
    """The leaves of a nested value by their paths."""
    if not isinstance(value, dict | list):
        return {path: value}
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, inner in parts for k, v in paths(f"{path}/{key}".strip("/"), inner).items()}


@pytest.mark.parametrize(
    ("name", "atol"),
    [("A_coco64", 1e-4), ("B_labelset_celeba", 1e-5), ("E_units", 2e-5), ("F_official_checkpoint", 3e-5), ("P_preprocess", 1e-6)],
)  # fmt: skip
def test_cases(golden: Path, name: str, atol: float) -> None:
    """Integers and label maps are the same, bytes of pictures but for what rounding turns over; the authors' tolerances."""
    found, recorded = results(golden / name)
    assert len(recorded) > 9
    for key, value in recorded.items():
        if key.endswith("img_u8"):
            apart = (found[key].int() - value.int()).abs()
            assert int(apart.max()) <= 1 and float(apart.float().mean()) < 1e-3, key
            continue
        exact = not value.is_floating_point()
        torch.testing.assert_close(
            found[key], value, atol=0 if exact else atol, rtol=0 if exact else 1e-4, msg=key, equal_nan=True, check_dtype=key.count("/") < 1
        )  # fmt: skip


def test_losses_gradients_and_an_iteration(golden: Path) -> None:
    found, recorded = results(golden / "C_losses")
    assert sum(k.startswith("official_iteration/param_after") for k in found) > 400
    for key, value in recorded.items():
        if "param_after" in key:
            # sum, norm, norm of the change: Adam's first step is lr times a sign, in biases before norms that of rounding
            limits = {"atol": 3e-3 if key.endswith("/0") else 1e-4, "rtol": 2e-2 if key.endswith("/2") else 1e-3}
        elif "grad_norm" in key:
            limits = {"atol": 1e-6, "rtol": 2e-3}
        else:
            limits = {"atol": 2e-5, "rtol": 2e-4}
        torch.testing.assert_close(found[key], value, msg=key, check_dtype=False, **limits)  # pyright: ignore[reportArgumentType]


def test_pixels_of_each_recipe(golden: Path) -> None:
    """All counts that the case has, but for the margins, which are no result."""
    found, _ = results(golden / "B_labelset_celeba")
    counts = paths("label_counts", json.loads((golden / "B_labelset_celeba/case.json").read_text())["label_counts"])
    due = {k: v for k, v in counts.items() if "margin_pixels" not in k}
    assert len(due) > 100 and {k: int(found[k]) for k in due} == due


def test_key_lists_and_counts(golden: Path) -> None:
    folder = golden / "D_official_keys"
    assert golden_module("replay").replay("sg2im", folder) == {}
    lists = json.loads((folder / "official_keys.json").read_text())
    counts = json.loads((folder / "official_options.json").read_text())["counts"]
    for (name, states), numbers in zip(lists.items(), counts.values(), strict=True):
        shapes = {part: {k: tuple(v[0]) for k, v in keys.items()} for part, keys in states.items()}
        match = official.detect(shapes["model_state"])
        assert match is not None and match.complete and match.role == "generator", name
        config = Sg2imConfig(**match.config)
        space = (
            label_space("coco-stuff") if config.label_space == "coco-stuff" else numbered_space(len(config.channels))
        )
        with torch.device("meta"):
            model = Sg2im(config, space)
            objects = ObjectDiscriminator(model.vocabulary.objects, "C4-64-2,C4-128-2,C4-256-2")
            pictures = PatchDiscriminator("C4-64-2,C4-128-2,C4-256-2")
        networks = (("model_state", model.generator), ("d_obj_state", objects), ("d_img_state", pictures))
        for (part, network), count in zip(networks, ("generator", "d_obj", "d_img"), strict=True):
            assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == shapes[part], (name, part)
            assert list(network.state_dict()) == list(shapes[part]), (name, part)
            assert sum(p.numel() for p in network.parameters()) == numbers[count], (name, part)


def test_defaults_are_the_authors(golden: Path) -> None:
    theirs = json.loads((golden / "D_official_keys/official_options.json").read_text())["train_defaults"]
    _, _, chosen = registry().variant("sg2im/coco64")
    losses = golden_module("sg2im_losses")
    config, training = chosen.config, chosen.training
    for name, ours in losses.WEIGHTS.items():
        assert getattr(training, ours) == theirs.get(name, getattr(training, ours)), name
    same = {
        "batch_size": training.batch_size, "num_iterations": training.steps, "eval_mode_after": training.eval_mode_after,
        "min_object_size": training.min_object_size, "min_objects_per_image": training.min_objects, "crop_size": training.crop_size,
        "d_obj_arch": training.d_object, "d_img_arch": training.d_picture, "d_normalization": training.d_norm, "d_padding": training.d_padding,
        "include_relationships": training.relations, "mask_size": config.mask_size, "embedding_dim": config.embedding_dim,
        "gconv_dim": config.gconv_dim, "gconv_hidden_dim": config.gconv_hidden_dim, "gconv_num_layers": config.gconv_layers,
        "mlp_normalization": config.mlp_norm, "normalization": config.norm, "layout_noise_dim": config.noise_dim,
    }  # fmt: skip
    assert same == {k: theirs[k] for k in same}
    assert (
        list(config.refinement_dims) == theirs["refinement_network_dims"] and list(config.size) == theirs["image_size"]
    )
    assert (
        official.slope_of(theirs["activation"]) == config.slope
        and official.slope_of(theirs["d_activation"]) == training.d_slope
    )


def test_a_file_of_the_authors_is_converted_with_its_vocabulary(golden: Path, tmp_path: Path) -> None:
    """The folder draws what the authors' program draws of the same JSON; its discriminators are kept on demand."""
    folder = golden / "F_official_checkpoint"
    case, io = json.loads((folder / "case.json").read_text()), load_file(folder / "io.safetensors")
    (file,) = folder.glob("*.pt")
    convert([file], tmp_path / "model", discriminator=True)
    judges = load_file(tmp_path / "model/discriminator.safetensors")
    assert {k.split(".")[0] for k in judges} == {"objects", "pictures"} and len(judges) == 40
    model = zoo.load(tmp_path / "model")
    assert isinstance(model, Sg2im)
    graphs = [scene_graph(model.label_space, g["objects"], g["relationships"]) for g in case["scene_graphs"]]
    encoded, _ = model.vocabulary.encode(graphs)
    assert torch.equal(encoded.objects, io["out/objs"]) and torch.equal(encoded.triples, io["out/triples"])
    made = model.generator(encoded, io["in/layout_noise"], boxes=io["in/boxes_given"])
    torch.testing.assert_close(made.boxes, io["out/boxes_pred"], atol=3e-5, rtol=1e-4)
    torch.testing.assert_close(made.images, io["out/ac1/img_boxes_given"], atol=3e-5, rtol=1e-4)
