"""SPADE and CLVAE at toy sizes in a run of their own: `python training_gans.py NAME RUN FIELD=VALUE …`, for several processes too.

Writes `gradients.pt` beside the run: by optimizer, what its first step took, averaged over micro-batches and processes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import zoo
from zoo import configs
from zoo.data import PairData
from zoo.data.specs import open_source, parse_spec
from zoo.registry import registry
from zoo.training.log import Log
from zoo.training.loop import Loop
from zoo.training.runs import RunFolder

SIDE = 64
SIZES: dict[str, dict[str, Any]] = {
    "spade": {"max_width": 16, "encoder_size": SIDE},
    "clvae": {"max_width": 16, "encoder_size": 2 * SIDE, "z_dim_local": 4},
}
PLAIN: dict[str, Any] = {"norm": "spadeinstance3x3", "encoder_norm": "instance"}
COMMON: dict[str, Any] = {"resolution": SIDE, "ngf": 4, "nef": 4, "spade_hidden": 8, "z_dim": 8}
OPTIONS = {
    "steps": 2, "ndf": 4, "perceptual": "none", "precision": "fp32", "channels_last": False, "ema": 0.0, "flip": True, "diffaugment": True,
    "share_fake": True, "kld_mean": True, "preview_every": 0, "validate_every": 0, "log_every": 1, "save_every": 100, "dtype": "float32",
}  # fmt: skip


def start(name: str, path: Path, *, norms: str, batch_size: int, accumulate: int = 1) -> Loop:
    """A loop on drawn faces. norms: "official" (spectral, batch norm over all processes) or "plain" (instance norms, and nothing
    that changes from one forward to the next, so that gradients add up over samples)."""
    torch.manual_seed(100 * int(os.environ.get("RANK", "0")))  # the main process decides where all start
    reg = registry()
    _, _, variant = reg.variant(f"{name}/celeba-128")
    plain = norms == "plain"
    model = zoo.create(f"{name}/celeba-128", **COMMON, **SIZES[name], **(PLAIN if plain else {}))
    changed = {
        **OPTIONS,
        "batch_size": batch_size,
        "accumulate": accumulate,
        **({"norm_d": "instance"} if plain else {}),
    }
    options = configs.override(variant.training, changed, where=name)
    trainer = reg.load(reg.architecture(name), "trainer")(model, options)
    data = PairData(open_source(parse_spec("toy-faces:8")), (SIDE, SIDE))
    run = RunFolder(path)
    run.write_options({})
    return Loop(trainer, data, None, run, Log(path, options.steps, quiet=True))


def record_gradients(loop: Loop, path: Path) -> None:
    """Write the gradients of each optimizer's first step."""
    taken: dict[str, list[Tensor | None]] = {}
    for name, optimizer in loop.optimizers.items():

        def step(name: str = name, optimizer=optimizer, real=optimizer.step) -> None:
            parameters = [p for g in optimizer.param_groups for p in g["params"]]
            if name not in taken:
                taken[name] = [None if p.grad is None else p.grad.clone() for p in parameters]
                if loop.processes.main:
                    torch.save(taken, path)
            real()

        optimizer.step = step  # type: ignore[method-assign, assignment]


def train(name: str, path: Path, **options: object) -> dict[str, list[Tensor | None]]:
    """Run the loop to its end; the gradients of the first step."""
    loop = start(name, path, **options)  # type: ignore[arg-type]
    record_gradients(loop, path / "gradients.pt")
    try:
        loop.run()
        loop.processes.wait()
    finally:
        loop.processes.close()
    return torch.load(path / "gradients.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = dict(a.split("=") for a in sys.argv[3:])
    numbers = {k: int(v) for k, v in given.items() if k != "norms"}
    train(sys.argv[1], Path(sys.argv[2]), norms=given["norms"], **numbers)
