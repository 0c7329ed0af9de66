"""The recorded sampling loops of SDM, with the U-Net and with an analytic function in its place. Loaded by file path, so it imports nothing
from its own folder."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from zoo_plugins.sdm.config import SDMSampling
from zoo_plugins.sdm.diffusion import Process
from zoo_plugins.sdm.sampling import process_of, steps_backwards

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


def options_of(run: str, spacing: str) -> tuple[SDMSampling, bool]:
    """(the options that a run's name tells, whether its variances are fixed). spacing: where the name tells none."""
    sampler, *parts = run.split("_")
    fields: dict[str, Any] = {"sampler": sampler, "spacing": spacing}
    for part in parts:
        if found := re.fullmatch(r"s([\d.]+)", part):
            fields["guidance"] = float(found[1])
        elif found := re.fullmatch(r"eta([\d.]+)", part):
            fields["eta"] = float(found[1])
        elif found := re.fullmatch(r"(?:linspace)?([\d,]+)|(ddim\d+)", part):
            fields["spacing"] = found[1] or found[2]
        elif part == "noclip":
            fields["clip"] = False
    return SDMSampling(**fields), "fixedlarge" in parts


class Draws:
    """Recorded noise: the i-th step of a process takes the i-th draw."""

    def __init__(self, noise: Tensor, process: Process) -> None:
        self.noise, self.places = noise, {step: i for i, step in enumerate(reversed(process.kept))}

    def __call__(self, step: int) -> Tensor:
        return self.noise[self.places[step]]


class Analytic:
    """The stated function of x, the time and the map; without the map k is 0."""

    def __init__(self, full: Process, k: Tensor, fixed: bool) -> None:
        self.full, self.k, self.fixed = full, k, fixed

    def output(self, x: Tensor, a: Tensor, k: Tensor) -> Tensor:
        eps = torch.sqrt(1 - a) / (0.25 * a + 1 - a) * x + 0.1 * torch.sin(3 * x + k)
        return eps if self.fixed else torch.cat([eps, 0.5 * torch.cos(2 * x + k)], 1)

    def __call__(self, x: Tensor, times: Tensor, guided: bool) -> tuple[Tensor, Tensor | None]:
        a = self.full.look_up("alphas_cumprod", times)
        return self.output(x, a, self.k), self.output(x, a, torch.zeros_like(self.k)) if guided else None


def to_bytes(images: Tensor) -> Tensor:
    """[-1, 1] -> uint8 [H, W, 3] as torchvision's `save_image` writes it."""
    return ((images + 1) / 2 * 255 + 0.5).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


@torch.no_grad()
def run(case: Mapping[str, Any], folder: Path) -> Tensors:
    sdm = _beside("sdm")
    io = sdm.recorded.load(folder / "io.safetensors")
    home = folder.parent / case["weights_from"].split()[0]
    base = json.loads((home / "case.json").read_text()) if (home / "case.json").exists() else {}
    case = {**case, "patched_constants": base.get("patched_constants", case.get("patched_constants", {}))}
    out: Tensors = {}
    with sdm.recorded.where_held():
        run_unet(sdm, case, folder, io, out)
    with sdm.recorded.where_held():
        run_toy(sdm, case, io, out)
    return {k: v for k, v in out.items() if k in io}


def run_unet(sdm: Any, case: Mapping[str, Any], folder: Path, io: Tensors, out: Tensors) -> None:
    """The loops with the U-Net, step by step."""
    noise, size = io["in/x_T"], sdm.side(io["in/x_T"])
    model = sdm.build(case, sdm.weights_of(case, folder, size), size)
    layout = model.layout(sdm.maps_of(model, io))
    for name in sorted({k.split("/")[1] for k in io if re.fullmatch(r"out/(?!toy/)[^/]+/sample", k)}):
        options, _ = options_of(name, str(len(io["in/step_noise"])))
        process = process_of(model.config, options)
        draws, x = Draws(io["in/step_noise"], process), noise
        for i, stepped in enumerate(
            steps_backwards(process, model.denoiser(layout, len(noise)), noise, draws, options), 1
        ):
            x = stepped.x
            out[f"out/{name}/x_after_step{i:02d}_s2"] = x[..., ::2, ::2]
            out[f"out/{name}/pred_xstart_step{i:02d}_s2"] = stepped.found.xstart[..., ::2, ::2]
        out[f"out/{name}/sample"] = x
        out[f"out/{name}/timestep_map"] = torch.tensor(process.kept)
        # theirs draws in every step; ours leaves out what would be multiplied by 0, and keeps the places of the others
        out[f"out/{name}/draws_used"] = torch.tensor(1 + len(process))
        if options.sampler == "ddpm" and options.guidance > 1 and options.clip:
            out |= {f"out/png_u8/{i}": picture for i, picture in enumerate(to_bytes(x))}


def run_toy(sdm: Any, case: Mapping[str, Any], io: Tensors, out: Tensors) -> None:
    """The loops with the stated function of x, the time and the map."""
    noise, size = io["in/toy_x_T"], sdm.side(io["in/toy_x_T"])
    # no network works here: a small one of one level has the planes
    one_level = {
        **case,
        "official_options": {**case["official_options"], "channel_mult": "1"},
        "patched_constants": {"GroupNorm": 1},
    }
    config = sdm.config_of(one_level, size)
    model = sdm.SDM(config, sdm.numbered_space(case["official_options"]["num_classes"]))
    planes = model.planes(sdm.maps_of(model, io, "in/toy_"))
    steps = torch.arange(planes.shape[1], dtype=torch.float32)[:, None, None]
    shown = (steps * planes).sum(1, keepdim=True) / (planes.shape[1] - 1)
    for name in sorted({k.split("/")[2] for k in io if re.fullmatch(r"out/toy/[^/]+/sample", k)}):
        options, fixed = options_of(name, str(len(io["in/toy_step_noise"])))
        config = replace(model.config, learn_sigma=not fixed)
        process = process_of(config, options)

        network = Analytic(Process(config), shown, fixed)
        draws = Draws(io["in/toy_step_noise"], process)
        seen = [s.x for s in steps_backwards(process, network, noise, draws, options)]
        out[f"out/toy/{name}/sample"] = seen[-1]
        out[f"out/toy/{name}/x_every"] = torch.stack(seen[:: max(1, len(seen) // 8)])
        out[f"out/toy/{name}/timestep_map"] = torch.tensor(process.kept, dtype=torch.int32)
