"""What is compared before a file is left behind: the runtime's outputs with torch's, for several inputs of batch 1 and 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.errors import DataError, LabelError
from zoo.interfaces.exports import Graph, Port
from zoo.labels import IGNORE, LabelSpace
from zoo.rng import Rng

TOLERANCE = 1e-4
"""How far an output may lie from torch's, where its numbers are about 1; of a map: the share of its pixels."""
HALF_TOLERANCE = 4e-3
"""The same for weights in float16: half a grey level of 255, twice."""
BATCHES = (1, 3, 1)


def example(port: Port, space: LabelSpace, rng: Rng) -> Tensor:
    """A random input, [samples, *shape]: maps of blotches and single pixels, label sets that are not empty."""
    key, shape = f"example {port.name}", port.shape
    if port.content == "labels":
        return _maps(port, space, rng.within(key))
    if port.content in ("label-set", "mask"):
        chosen = (rng.uniform(key, shape=shape) < 0.7).float()
        if port.content == "label-set":
            chosen.flatten(1)[:, 0] = 1.0
        return chosen
    if port.content in ("image", "scale"):
        return rng.uniform(key, shape=shape).float()
    return rng.normal(key, shape=shape)


def _maps(port: Port, space: LabelSpace, rng: Rng) -> Tensor:
    height, width = port.shape
    cells = (rng.uniform("cells", shape=(-(-height // 8), -(-width // 8))) * len(space)).int()
    labels = cells.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :height, :width].contiguous()
    noise = rng.uniform("pixels", shape=(height, width))
    single = (rng.uniform("classes", shape=(height, width)) * len(space)).int()
    labels = torch.where(noise < 0.1, single, labels)
    return torch.where(noise > 0.98, IGNORE, labels) if space.ignore else labels


def examples(graph: Graph, space: LabelSpace, rng: Rng) -> tuple[Tensor, ...]:
    """All inputs of a graph. Only classes that remain are drawn or removed by masks (they are consistent enough for any graph)."""
    return tuple(example(port, space, rng) for port in graph.inputs)


def check_labels(labels: Tensor, space: LabelSpace) -> None:
    """Raise LabelError for numbers that the space lacks: a graph takes them without a word, so callers look at them before."""
    bad = (labels < 0) | (labels >= len(space))
    if space.ignore:
        bad &= labels != IGNORE
    if bool(bad.any()):
        values = sorted(set(labels[bad].tolist()))
        raise LabelError(
            f"The map holds values {values[:8]} that label space {space.name!r} (0..{len(space) - 1}) lacks."
        )


def session(content: bytes) -> Any:
    """onnxruntime's session of one graph, on one thread of the CPU."""
    import onnxruntime  # pyright: ignore[reportMissingImports]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@torch.no_grad()
def differences(graph: Graph, content: bytes, space: LabelSpace, *, seed: int = 0) -> dict[str, float]:
    """By output the largest difference between the file and torch, over `BATCHES` random inputs: between the file and the traced
    module, and between the file and what the model's own calls give.

    Of maps the share of pixels that differ beyond one, of all else the largest difference over max(1, the largest number).
    """
    runner = session(content)
    worst = {port.name: 0.0 for port in graph.outputs}
    for number, batch in enumerate(BATCHES):
        inputs = examples(graph, space, Rng(seed, range(100 * number, 100 * number + batch)))
        for port, given in zip(graph.inputs, inputs, strict=True):
            if port.content == "labels":
                check_labels(given, space)
        made = runner.run(None, {p.name: x.numpy() for p, x in zip(graph.inputs, inputs, strict=True)})
        for wanted in (graph.module, graph.reference):
            if wanted is None:
                continue
            for port, ours, theirs in zip(graph.outputs, made, _tuple(wanted(*inputs)), strict=True):
                worst[port.name] = max(worst[port.name], _difference(port, torch.from_numpy(ours), theirs))
    return worst


def _tuple(value: Tensor | tuple[Tensor, ...]) -> Sequence[Tensor]:
    return (value,) if isinstance(value, Tensor) else value


def _difference(port: Port, ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape:
        raise DataError(f"The output {port.name!r} has the shape {list(ours.shape)}, torch gives {list(theirs.shape)}.")
    if port.content == "labels":
        apart = (ours != theirs).flatten(1).sum(1)
        return float(
            (apart - 1).clamp_min(0).sum() / ours.numel()
        )  # one pixel may lie on a tie, which rounding decides
    if not bool(torch.isfinite(ours).all()):
        return float("inf")
    scale = max(1.0, float(theirs.abs().max()))
    return float((ours.double() - theirs.double()).abs().max()) / scale
