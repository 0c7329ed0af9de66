"""Maps the recorded SIMS cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.families.crn.perceptual import CAFFE_MEAN, AverageVGG
from zoo.nn.labels import one_hot
from zoo_plugins.sims import official
from zoo_plugins.sims.blocks import Stage, Trunk, pool
from zoo_plugins.sims.config import SIMSOptions
from zoo_plugins.sims.losses import levels, synthesis_terms
from zoo_plugins.sims.order import OrderNetwork, order_loss
from zoo_plugins.sims.synthesis import SynthesisNetwork, given_of
from zoo_plugins.sims.transform import TransformNetwork, composite, placed, transform_loss
from zoo_plugins.sims.warp import warp

Tensors = dict[str, Tensor]
CLASSES = 20


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


# --- networks ---------------------------------------------------------------------------------------------------------


def widths(case: Mapping[str, Any], *names: str) -> tuple[int, ...]:
    """What the case has in place of the official widths."""
    return tuple(case["config"]["width_map"][name] for name in names or ("64", "128", "256", "512"))


def with_weights(case: Mapping[str, Any], role: str, network: nn.Module, folder: Path) -> Any:
    """The network with the weights of the case, brought in as a checkpoint's, in evaluation mode."""
    weights = recorded.load(folder / "weights.safetensors")
    assert all(official.rename(official.official_name(k)) == k for k in weights)
    state = recorded.complete(case, weights, network.state_dict(), lambda key: key)
    if "cut" not in case:  # as TensorFlow has them
        state = {official.official_name(k): in_tensorflow(k, v) for k, v in state.items()}
    found = official.convert({role: state})
    network.load_state_dict({k.removeprefix(f"{role}."): v for k, v in found.items()}, strict=True)
    return network.eval()


def in_tensorflow(key: str, value: Tensor) -> Tensor:
    """A tensor as the authors' file has it."""
    if key == "g_transform_param":
        return value.T.contiguous()
    return value.permute(2, 3, 1, 0).contiguous() if value.dim() == 4 else value


def stride(name: str, value: Tensor) -> Tensor:
    """The pixels that a name ending in `_sK` means."""
    found = re.search(r"_s(\d+)$", name)
    return value[..., :: int(found[1]), :: int(found[1])] if found else value


def plain(name: str) -> str:
    """A recorded name without its folders and stride."""
    return re.sub(r"_s\d+$", "", name.rpartition("/")[2])


class Watched:
    """What the stages of a network put out while it runs, under the authors' names of stages and poolings."""

    def __init__(self, network: nn.Module) -> None:
        self.seen: Tensors = {}
        self._hooks = [
            module.register_forward_hook(lambda _m, _i, out, name=name: self._note(name, out))
            for name, module in network.named_children()
            if isinstance(module, Stage) or name == "g_selection_conv6"
        ]
        self.kinds: Any = network.POOLS if isinstance(network, Trunk) else ("mean",) * 6

    def _note(self, name: str, out: Any) -> None:
        self.seen[name] = out.detach()
        found = re.fullmatch(r"(g_(?:encoder|transform|transfrom|selection)_)conv(\d)", name)
        if found and name != "g_selection_conv6":
            scope = found[1].replace("transfrom", "transform")
            self.seen[f"{scope}pool{found[2]}"] = pool(out.detach(), self.kinds[int(found[2]) - 1])

    def close(self) -> Tensors:
        """Stop watching; what was seen."""
        for hook in self._hooks:
            hook.remove()
        return self.seen


def results(io: Tensors, seen: Tensors, prefix: str = "out/") -> Tensors:
    """What the case recorded under a prefix, of what was seen."""
    return {
        k: stride(k, seen[plain(k)])
        for k in io
        if k.startswith(prefix) and "/" not in k.removeprefix(prefix) and plain(k) in seen
    }


def gradients(network: nn.Module, io: Tensors, values: Mapping[str, Any]) -> Tensors:
    """Gradients that the case recorded, and their norms."""
    found = {k: p.grad for k, p in network.named_parameters() if p.grad is not None}
    out = {k: found[k.removeprefix("out/grad/")] for k in io if k.startswith("out/grad/")}
    return out | {f"grad_norm/{k}": found[k].norm() for k in values.get("grad_norm", {})}


def values_of(folder: Path) -> dict[str, Any]:
    """The measured numbers of a case; {} where there are none."""
    path = folder / "values.json"
    return json.loads(path.read_text()) if path.exists() else {}


# --- synthesis --------------------------------------------------------------------------------------------------------


def full(io: Tensors, name: str) -> Tensor:
    """An input at full size (some are stored at half)."""
    if name in io:
        return io[name]
    return io[f"{name}_x2"].repeat_interleave(2, 2).repeat_interleave(2, 3)


def run_synthesis(case: Mapping[str, Any], folder: Path) -> Iterator[Tensors]:
    """Pictures, features; with `mode` loss the terms, gradients and a step of Adam."""
    io, values, config = recorded.load(folder / "io.safetensors"), values_of(folder), case["config"]
    scale = {"synthesis_256_512.py": 0, "synthesis_512_1024.py": 1, "synthesis_1024_2048.py": 2}[case["script"]]
    size = (config["image_hw"][0], config["image_hw"][1])
    planes = config.get("classes", CLASSES)
    network: SynthesisNetwork = with_weights(
        case, "synthesis", SynthesisNetwork(planes, widths(case), size, scale), folder
    )
    watched = Watched(network)
    given = given_of(one_hot(full(io, "in/label_u8")[:, 0].long(), planes), full(io, "in/canvas_u8").float() / 255)
    with torch.set_grad_enabled(case["mode"] == "loss"):
        made = network(given)
    seen = watched.close()
    # officially the picture is BGR, 0..255
    seen |= {"image": (made.picture.detach().flip(1) + 1) / 2 * 255, "semantic": made.labels.detach()}
    yield results(io, seen)
    if case["mode"] != "loss":
        return
    terms = losses(network, made, io, folder)
    total = torch.stack([*terms[:-1], 10 * terms[-1]]).sum()
    total.backward()
    numbers = {f"p{i}": t for i, t in enumerate(terms[:-1])} | {"p_semantic": terms[-1], "G_loss": total}
    yield gradients(network, io, values)
    if "G_loss_after_step" in values:
        torch.optim.Adam(network.parameters(), lr=values["adam_lr"]).step()
        with torch.no_grad():
            after = losses(network, network(given), io, folder)
            numbers |= {"G_loss_after_step": sum(after[:-1]) + 10 * after[-1]}
        numbers |= {"adam_lr": torch.tensor(values["adam_lr"])}
    yield {k: v.detach() for k, v in numbers.items() if k in values}


def losses(network: SynthesisNetwork, made: Any, io: Tensors, folder: Path) -> list[Tensor]:
    """The terms of the synthesis loss."""
    features = AverageVGG(recorded.load(folder / "weights_vgg.safetensors"), CAFFE_MEAN, (1.0, 1.0, 1.0))
    real = full(io, "in/real_bgr_u8").flip(1).float() / 127.5 - 1
    truth = one_hot(full(io, "in/label_gt_u8")[:, 0].long(), network.planes)
    differing = levels(features, made.picture, real, halved=network.doublings == 2)
    return synthesis_terms(made, differing, truth, SIMSOptions().divisors)


# --- transformation and order -----------------------------------------------------------------------------------------


def run_transform(case: Mapping[str, Any], folder: Path) -> Iterator[Tensors]:
    """Affine maps in training and in tests, warped proposals, the composite, loss and gradients."""
    io, values = recorded.load(folder / "io.safetensors"), values_of(folder)
    size = tuple(32 * side for side in case["config"]["pool6_window"])  # where it looks
    planes = case["config"].get("classes", CLASSES)
    network: TransformNetwork = with_weights(case, "transform", TransformNetwork(planes, widths(case), size), folder)
    proposals, masks = io["in/proposal_u8"].float() / 255, io["in/mask_u8"].float()
    watched = Watched(network)
    theta = network(proposals, masks, one_hot(io["in/label_u8"][:, 0].long(), planes))
    seen = watched.close()
    warped = warp(proposals, theta)
    made = composite(warped, masks)
    seen |= {"theta": theta, "warped": warped, "composite": made[None]}
    seen["g_transform_pool6"] = seen["g_transform_pool5"].mean((2, 3), keepdim=True)
    yield results(io, {k: v.detach() for k, v in seen.items()}, "out/train/")
    moved = placed(proposals, theta.detach())
    tested = {"theta": theta.detach().round(), "warped": moved, "composite": composite(moved, masks)[None]}
    yield results(io, tested, "out/test_rounded/")
    loss = transform_loss(made, io["in/real_bgr_u8"][0].flip(0).float() / 255, masks)
    loss.backward()
    yield {k: v for k, v in {"G_loss": loss.detach()}.items() if k in values} | gradients(network, io, values)


def run_order(case: Mapping[str, Any], folder: Path) -> Iterator[Tensors]:
    """Scores, features, the loss over the batch's places and its gradients."""
    io, values, config = recorded.load(folder / "io.safetensors"), values_of(folder), case["config"]
    columns = config["pool6_window"][1] / (config["image_hw"][1] / 32)
    stages = widths(case, "64", "128", "256", "512", "1024")
    network: OrderNetwork = with_weights(
        case, "order", OrderNetwork(config.get("classes", CLASSES) - 1, stages, columns), folder
    )
    pictures = io["in/data_u8"].float() / 255
    watched = Watched(network)
    scores = network(pictures)
    seen = watched.close() | {"scores": scores.detach()}
    seen["g_selection_pool6"] = network.pooled(seen["g_selection_pool5"])
    yield results(io, seen) | {f"argmax/{i}": n for i, n in enumerate(scores.argmax(1)) if "argmax" in values}
    empty = io["in/target"] == 0
    blank = network(torch.zeros_like(pictures[:1]))
    loss = order_loss(torch.cat([scores[~empty], blank]), io["in/target"][~empty], len(empty))
    loss.backward()
    yield {k: v for k, v in {"G_loss": loss.detach()}.items() if k in values} | gradients(network, io, values)


def run_warp(folder: Path) -> Tensors:
    """The spatial transformer and its gradients."""
    io, out = recorded.load(folder / "io.safetensors"), {}
    for name in sorted({k.split("/")[0] for k in io}):
        with recorded.where_held():
            x, theta = (io[f"{name}/in/{k}"].clone().requires_grad_() for k in ("x", "theta"))
            y = warp(x, theta)
            y.square().sum().backward()
            found = {"y": y.detach(), "grad_x": x.grad, "grad_theta": theta.grad}
            out |= {f"{name}/out/{k}": v for k, v in found.items() if f"{name}/out/{k}" in io and v is not None}
    return out


# --- memory bank and canvas: in `sims_canvas.py` ----------------------------------------------------------------------


def replay(case_dir: Path) -> Tensors:
    """All results of a case that its tensors allow, under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case = json.loads((case_dir / "case.json").read_text())
    script = case.get("script", "")
    if "scripts" in case:
        with recorded.where_held():
            return _beside("sims_canvas").run_canvas(case, recorded.load(case_dir / "io.safetensors"))
        return {}
    if script == "spatial_transformer.py":
        return run_warp(case_dir)
    stages = {"order": run_order, "transformation": run_transform, "synthesis": run_synthesis}
    run = next(stage for name, stage in stages.items() if script.startswith(name))
    out: Tensors = {}
    with recorded.where_held():
        for found in run(case, case_dir):
            out |= found
    return out
