"""Golden cases of face_parser on our API. Loaded by path (see replay.py), so no relative imports."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import torch
from safetensors.torch import load_file
from torch import Tensor

from zoo.data.celebamask import merge_parts
from zoo.labels import LabelSpace, numbered_space
from zoo.registry import label_space
from zoo_plugins.face_parser import official
from zoo_plugins.face_parser.config import FaceParserConfig, FaceParserTraining
from zoo_plugins.face_parser.losses import cross_entropy
from zoo_plugins.face_parser.model import FaceParser
from zoo_plugins.face_parser.trainer import FaceParserTrainer
from zoo_plugins.face_parser.unet import STAGES

FILTERS = {"nearest": PIL.Image.Resampling.NEAREST, "bilinear": PIL.Image.Resampling.BILINEAR}


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


def replay(case_dir: Path) -> dict[str, Tensor]:
    """The results of one case under their stored names (docs/design.md, "Replay")."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    stored = recorded.load(case_dir / "io.safetensors")
    if case["mode"] == "data":
        return _data(stored)
    model = build(case, _weights(case, case_dir))
    with recorded.where_held():
        return _train(model, case, stored) if case["mode"].startswith("train") else _evaluate(model, case, stored)
    return {}


def build(case: dict[str, Any], weights: dict[str, Tensor]) -> FaceParser:
    """The case's network with its weights, brought through `official.convert`, strictly."""
    options = case["official_options"]
    classes = int(options.get("n_classes", weights["final.weight"].shape[0]))
    space = label_space("celebamask-hq") if classes == 19 else numbered_space(classes)
    config = FaceParserConfig(
        feature_scale=int(options["feature_scale"]), batch_norm=bool(options.get("is_batchnorm", True))
    )
    model = FaceParser(config, space).eval()
    weights = recorded.complete(case, weights, model.state_dict(), lambda key: key.removeprefix("unet."))
    model.load_state_dict(official.convert({"parser": weights}), strict=True)
    return model


def _weights(case: dict[str, Any], case_dir: Path) -> dict[str, Tensor]:
    if "weights_from" in case:
        case_dir = case_dir.parent / re.split(r"[\s:,/]", case["weights_from"])[0]
    return load_file(case_dir / "weights.safetensors")


def _evaluate(model: FaceParser, case: dict[str, Any], stored: dict[str, Tensor]) -> dict[str, Tensor]:
    given = recorded.stand_ins(case)
    if given:
        return _from_stages(model, stored, given)
    images = stored["in/image_u8"].float() / 255
    with torch.no_grad():
        stages = dict(zip(STAGES, model.unet.stages((images - 0.5) / 0.5), strict=True))
        logits = model.logits(images)
    values = logits.argmax(1, keepdim=True)
    found = {"argmax_u8": values.to(torch.uint8), "color_u8": _colors(model.label_space, values[:1, 0])}
    results: dict[str, Tensor] = {}
    for name in stored:
        if name.startswith("out/"):
            plain, stride = _stride(name.removeprefix("out/"))
            value = {**stages, "logits": logits, **found}.get(plain)
            if value is not None:
                results[name] = value[..., ::stride, ::stride]
    return results


@torch.no_grad()
def _from_stages(model: FaceParser, stored: dict[str, Tensor], given: set[str]) -> dict[str, Tensor]:
    """Without the photo: the stages behind the given outputs of `conv3` and of `up_concat1` (every 4th pixel: `final` is pointwise)."""
    depth, first = STAGES.index("conv3"), stored["out/conv3"]
    photo = torch.full((len(first), 3, first.shape[-2] << depth, first.shape[-1] << depth), float("nan"))
    hook = model.unet.conv3.register_forward_hook(lambda _m, _i, _out: first)
    found = {f"out/{k}": v for k, v in zip(STAGES, model.unet.stages(photo), strict=True)}
    hook.remove()
    if "out/up_concat1_s4" in given:
        found["out/logits_s4"] = model.unet.final(stored["out/up_concat1_s4"])
    return {k: v for k, v in found.items() if k in stored and k not in given}


def _colors(space: LabelSpace, values: Tensor) -> Tensor:
    table = torch.tensor(official.tester_colors(space), dtype=torch.uint8)
    return table[values].permute(0, 3, 1, 2)


def _train(model: FaceParser, case: dict[str, Any], stored: dict[str, Tensor]) -> dict[str, Tensor]:
    options = case["official_options"]
    default = FaceParserTraining()
    betas = (options.get("beta1", default.betas[0]), options.get("beta2", default.betas[1]))
    training = FaceParserTraining(lr=options.get("g_lr", default.lr), betas=betas)
    optimizer = FaceParserTrainer(model, training).optimizers()["model"]
    model.train()
    before = {name: p.detach().clone() for name, p in model.unet.named_parameters()}
    logits = model.logits(stored["in/image_u8"].float() / 255)
    loss = cross_entropy(logits, stored["in/label_u8"][:, 0].long())
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.unet.named_parameters() if p.grad is not None}
    optimizer.step()
    buffers = dict(model.unet.named_buffers())
    results = {"loss": loss.detach()}
    results |= {f"grad_norm/{name}": gradients[name].norm() for name in case.get("grad_norm", {})}
    for name in case.get("adam", {}):
        after = model.unet.get_parameter(name).detach()
        measured = (after.sum(), after.norm(), (after - before[name]).norm())
        results |= {f"adam/{name}/{i}": value for i, value in enumerate(measured)}
    for key in stored:
        group, _, name = key.partition("/")
        if group == "grad":
            results[key] = gradients[name]
        elif key.startswith("train/buffer/"):
            results[key] = buffers[key.removeprefix("train/buffer/")].clone()
        elif group == "train":
            results[key] = logits.detach()[..., :: _stride(key)[1], :: _stride(key)[1]]
    return results


def _stride(name: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.+)_s(\d+)", name)
    return (match[1], int(match[2])) if match else (name, 1)


def _data(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official transforms (the training label is resized bilinear, too: a quirk that our data sets do not share)."""
    how = {"train_image": "bilinear", "train_label": "bilinear", "test_image": "nearest"}
    results = {}
    for name in stored:
        match = re.fullmatch(r"out/(\w+?)(\d+)_u8", name)
        source_name = "in/raw_label_u8" if match and match[1].endswith("label") else "in/raw_image_u8"
        if match and source_name in stored:
            source = stored[source_name].numpy()
            side = int(match[2])
            array = np.array(PIL.Image.fromarray(source).resize((side, side), FILTERS[how[match[1]]]))
            results[name] = (
                torch.from_numpy(array if array.ndim == 3 else array[..., None]).permute(2, 0, 1).contiguous()
            )
    return results


def merged(case_dir: Path, number: int) -> Tensor:
    """P_merge: the label map of one made-up face number, uint8 [512, 512]."""
    return torch.from_numpy(merge_parts(case_dir / "anno", number))
