"""The generators of SPADE's family beside a plain reading of the papers' code: time and memory of a picture, at equal outputs.

    python benchmarks/windows.py spade/ade20k clvae/ade20k --samples /path/to/samples --rounds 7

The plain reading computes what the authors' code does: one-hot planes of all classes at every norm, gamma and beta by two
convolutions, every kernel divided by its spectral norm at every call. Both have the same random weights, and the same maps: crops of
the samples (folders `ade20k`, `coco_stuff`, `gta5`), or scenes of random shapes without them. One thread; thread CPU time of interleaved
rounds, a fresh map and a layout that is kept; the memory is what the peak of the process grows by. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from torch.nn import functional as F

import zoo
from zoo.families.spade.blocks import SPADENorm, SPADEResnetBlock
from zoo.maps import SemanticMap
from zoo.nn.labels import one_hot
from zoo.nn.spectral import recompute_spectral

SAMPLES = {"ade20k": "ade20k/annotations", "coco": "coco_stuff/*_label", "gta5": "gta5/LabelgrayFull20"}


# --- the plain reading ------------------------------------------------------------------------------------------------


def plain_norm(norm: SPADENorm, x: Tensor, planes: Tensor) -> Tensor:
    """SPADE as written in the paper: the planes are resized here, gamma and beta are two convolutions."""
    normalized = norm.param_free_norm(x)
    hidden = F.relu(norm.mlp_shared(F.interpolate(planes, size=x.shape[2:], mode="nearest")))
    return normalized * (1 + norm.mlp_gamma(hidden)) + norm.mlp_beta(hidden)


def plain_block(block: SPADEResnetBlock, x: Tensor, planes: Tensor) -> Tensor:
    """The residual block; the layers normalise their kernels at every call."""
    shortcut = block.conv_s(plain_norm(block.norm_s, x, planes)) if block.learned else x
    dx = block.conv_0(F.leaky_relu(plain_norm(block.norm_0, x, planes), 0.2))
    return shortcut + block.conv_1(F.leaky_relu(plain_norm(block.norm_1, dx, planes), 0.2))


def plain_picture(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """Images [B, 3, H, W] in [0, 1]."""
    generator = model.generator
    if model.title == "CLVAE":
        numbers = model.channel_map(maps)
        planes, codes = one_hot(numbers, len(model.channels)), style.tensors["codes"]
        x = generator.start(style.tensors["z"])
    else:
        planes = model.planes(maps)
        x = generator.start(style.tensors["z"]) if style is not None else generator.start_from_map(planes)
    scale = 0
    for block, step in generator.blocks():
        if step.scale > scale:
            x, scale = F.interpolate(x, scale_factor=2.0, mode="nearest"), step.scale
        seen, level = planes, generator.level(step) if model.title == "CLVAE" else 0
        if level:
            side = (numbers.shape[1] >> level, numbers.shape[2] >> level)
            small = F.interpolate(numbers[:, None].float(), size=side, mode="nearest")[:, 0].long()
            rows = torch.arange(len(small))[:, None, None]
            code = codes[:, :, generator.layer_of(level)][rows, small]
            seen = (generator.cse.embedding(small) + code).permute(0, 3, 1, 2).contiguous()
        x = plain_block(block, x, seen)
    return (torch.tanh(generator.conv_img(F.leaky_relu(x, 0.2))) + 1) / 2


# --- maps and models --------------------------------------------------------------------------------------------------


def scene(size: tuple[int, int], classes: int, seed: int) -> np.ndarray:
    """A made-up map [H, W] of some twelve regions with curved borders."""
    rng = np.random.default_rng(seed)
    centres = rng.random((24, 2)) * size
    y, x = np.mgrid[: size[0], : size[1]]
    wave = 6 * np.sin(x / 17.0 + seed) + 4 * np.cos(y / 11.0)
    distance = np.stack([np.hypot(y - a + wave, x - b + wave) for a, b in centres])
    return rng.integers(0, classes, 24)[distance.argmin(0)]


def read_maps(name: str, model: Any, samples: Path | None, count: int) -> SemanticMap:
    """Maps of the model's size; sample values beyond its classes become the last one."""
    height, width = model.resolution
    classes = len(model.channels)
    kind = next((folder for key, folder in SAMPLES.items() if key in name), None)
    files = sorted(samples.glob(f"{kind}/**/*.png")) if samples and kind else []
    labels = []
    for i in range(count):
        if i < len(files):
            picture = PIL.Image.open(files[i])
            labels.append(np.array(picture.resize((width, height), PIL.Image.Resampling.NEAREST)).astype(np.int64))
        else:
            labels.append(scene((height, width), classes, i))
    return SemanticMap(torch.from_numpy(np.stack(labels)).clamp(0, classes - 1), model.label_space)


def build(name: str) -> Any:
    """A model with random weights whose norms have statistics of their own."""
    torch.manual_seed(0)
    model: Any = zoo.create(name).eval()
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):  # so that every input moves the picture
            part.weight.data.normal_(0, part.weight[0].numel() ** -0.5)
    recompute_spectral(model)
    return model.requires_grad_(False)


# --- measuring --------------------------------------------------------------------------------------------------------


def _status(key: str) -> float:
    """A line of /proc/self/status in MiB (Linux)."""
    text = Path("/proc/self/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(key)).split()[1]) / 1024


def added(call: Callable[[], object]) -> float:
    """MiB by which the peak of the process grows in one call."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    return max(0.0, _status("VmHWM") - before)


def seconds(call: Callable[[], object]) -> float:
    """Thread CPU time of one call."""
    began = time.thread_time()
    call()
    return time.thread_time() - began


def spread(values: Sequence[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


@torch.inference_mode()
def measure(model: Any, fast: Any, maps: SemanticMap, rounds: int) -> list[str]:
    """Cells of a row for one map."""
    style = model.sample_style(maps, 0) if model.styles else None
    height, width = model.resolution
    stroke = maps.labels.clone()  # about 1 % of the pixels
    side = round((height * width) ** 0.5 / 10)
    stroke[:, height // 3 : height // 3 + side, width // 2 : width // 2 + side] = int(maps.labels[0, -1, 0])
    edited, layout = SemanticMap(stroke, model.label_space), fast.layout(maps)
    calls: dict[str, Callable[[], Any]] = {
        "plain": lambda: plain_picture(model, maps, style),
        "form": lambda: fast.synthesize(maps, style),
        "layout": lambda: fast.layout(maps),
        "stroke": lambda: fast.layout(edited, reuse=layout),
        "kept": lambda: fast.synthesize(layout, style),
    }
    first = {key: call() for key, call in calls.items()}
    difference = float((first["plain"] - first["form"]).abs().max())
    times: dict[str, list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            times[key].append(seconds(call))
    memory = {key: added(calls[key]) for key in ("plain", "form", "kept")}
    ratio = {key: spread([p / t for p, t in zip(times["plain"], times[key], strict=True)]) for key in ("form", "kept")}
    share = spread([a / b for a, b in zip(times["stroke"], times["layout"], strict=True)])
    middle = {key: f"{statistics.median(values):.2f}" for key, values in times.items()}
    cells = [middle["plain"], middle["form"], ratio["form"], middle["kept"], ratio["kept"], middle["layout"], share]
    return [*cells, *(f"{memory[key]:.0f}" for key in memory), f"{difference:.1e}"]


def main(given: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", help="architecture/variant, such as spade/ade20k")
    parser.add_argument("--samples", type=Path, help="folder with real maps")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds")
    parser.add_argument("--maps", type=int, default=1, help="maps per model")
    a = parser.parse_args(given)
    torch.set_num_threads(1)
    head = ("model, map", "plain, s", "form, s", "ratio", "kept, s", "ratio", "layout, s", "stroke / layout")
    head += ("plain, MiB", "form, MiB", "kept, MiB", "difference")
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for name in a.models:
        model = build(name)
        fast = model.optimized()
        maps = read_maps(name, model, a.samples, a.maps)
        for index in range(a.maps):
            row = measure(model, fast, maps[index], a.rounds)
            print(f"| {name} {index} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
