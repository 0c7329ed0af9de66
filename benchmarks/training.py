"""A training step of SPADE beside a plain reading of the authors' code: seconds and memory, crop 128, ngf 32, batch 2, no VGG.

The reading: one-hot planes of all classes by scatter, gamma and beta by two convolutions, a fresh fake for the discriminator's step,
fakes and reals in one batch; the optimizers are the same. Ours is what `zoo train spade/ade20k` runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

import zoo
from benchmarks import readings
from benchmarks.cases.maps import read_maps
from zoo import configs
from zoo.data import Batch
from zoo.families.spade.discriminators import opinion
from zoo.families.spade.losses import Outputs, discriminator_losses, generator_losses
from zoo.registry import registry
from zoo.rng import Rng

SIZES = {"resolution": 128, "ngf": 32}


def steps(
    data: Path | None, changes: dict[str, Any] | None = None, batch_size: int = 2
) -> dict[str, Callable[[], None]]:
    """The two steps, each on networks of its own."""
    calls: dict[str, Callable[[], None]] = {}
    for name in ("plain", "ours", "ours, bf16"):
        torch.manual_seed(0)
        model: Any = zoo.create("spade/ade20k", **{**SIZES, **(changes or {})}).train()
        reg = registry()
        options = configs.override(
            reg.variant("spade/ade20k")[2].training, {"perceptual": "none", "batch_size": batch_size}, where="spade"
        )
        trainer = reg.load(reg.architecture("spade"), "trainer")(model, options)
        maps = read_maps("spade/ade20k", model, data, batch_size)
        images = torch.rand(batch_size, 3, *model.resolution, generator=torch.Generator().manual_seed(0))
        if name == "plain":
            calls[name] = _plain(trainer, maps, images)
        else:
            calls[name] = _ours(trainer, Batch(images, maps, tuple(map(str, range(batch_size)))), bf16="bf16" in name)
    return calls


def _ours(trainer: Any, batch: Batch, *, bf16: bool) -> Callable[[], None]:
    optimizers, state = trainer.optimizers(), {"step": 0}

    def step() -> None:
        updates = trainer.updates(batch, Rng(0, range(len(batch))), state["step"])
        while True:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                update = next(updates, None)
            if update is None:
                break
            groups = [group for name in update.optimizers for group in optimizers[name].param_groups]
            for group in groups:
                for parameter in group["params"]:
                    parameter.grad = None
            # as `zoo.training.updates` does it
            torch.stack(list(update.losses.values())).sum().backward(
                inputs=[p for group in groups for p in group["params"]]
            )
            for name in update.optimizers:
                optimizers[name].step()
        state["step"] += 1

    return step


def _plain(trainer: Any, maps: Any, images: torch.Tensor) -> Callable[[], None]:
    model, optimizers, options = trainer.gan, trainer.optimizers(), trainer.options
    generator, discriminator = model.generator, trainer.discriminator

    def fake(planes: torch.Tensor) -> torch.Tensor:
        x = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
        return readings.painted(generator, x, lambda module, _, x: readings.spade_block(module, x, planes))

    def judge(planes: torch.Tensor, made: torch.Tensor, real: torch.Tensor) -> Any:
        both = torch.cat([torch.cat([planes, made], 1), torch.cat([planes, real], 1)])
        return opinion(discriminator(both)).split()

    def step() -> None:
        planes, real = model.planes(maps), images * 2 - 1
        made = fake(planes)
        losses = generator_losses(Outputs(made), real, *judge(planes, made, real), options, None)
        optimizers["generator"].zero_grad(set_to_none=True)
        sum(losses.values()).backward()  # type: ignore[union-attr]
        optimizers["generator"].step()
        with torch.no_grad():
            made = fake(planes)
        terms = discriminator_losses(*judge(planes, made, real), options)
        optimizers["discriminator"].zero_grad(set_to_none=True)
        sum(terms.values()).backward()  # type: ignore[union-attr]
        optimizers["discriminator"].step()

    return step
