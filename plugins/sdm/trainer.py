"""Training of SDM: one network, one loss, steps of the process drawn evenly (docs/papers/sdm.md, "Training")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from zoo.plugin import Batch, DataError, Model, PairData, Rng, RngLike, Trainer, Update
from zoo_plugins.sdm.config import SDMOptions, SDMSampling
from zoo_plugins.sdm.diffusion import Process
from zoo_plugins.sdm.losses import diffusion_losses
from zoo_plugins.sdm.model import SDM

VALIDATION_BATCH = 4
VALIDATED = 4
"""Steps of the process, spread over it, at which each held-out pair is looked at."""


class SDMTrainer(Trainer):
    """Per batch one step.

    Random: the step of the process, `uniform("t", step)`, the noise, `normal("noise", step)`, and whether a map is left out,
    `uniform("drop", step)`: kept where the draw is above `drop_rate`.
    """

    lower_is_better: ClassVar[frozenset[str]] = frozenset({"mse"})
    options: SDMOptions

    def __init__(self, model: Model, options: SDMOptions) -> None:
        """Raises UsageError for a `spacing` that means nothing."""
        super().__init__(model, options)
        self.sdm = cast(SDM, model)
        self.process = Process.spaced(self.sdm.config, options.spacing)
        self.sdm.unet.checkpointing = options.checkpointing
        self._optimizer: AdamW | None = None

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.sdm}

    def optimizers(self) -> dict[str, Optimizer]:
        """Names: unet. AdamW, betas 0.9 and 0.999."""
        if self._optimizer is None:
            o = self.options
            self._optimizer = AdamW(self.sdm.parameters(), lr=o.lr, weight_decay=o.weight_decay)
        return {"unet": self._optimizer}

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Constant."""
        return {"unet": self.options.lr}

    def prepare(self, data: PairData) -> None:
        """Raises DataError for maps without photos, before anything is written."""
        if not data.has_images:
            raise DataError(f"{SDM.title} learns from photos with their maps, and this data set holds maps alone.")

    # --- one batch ------------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        planes, real = self.inputs(batch)
        count = len(self.process)
        t = (rng.uniform("t", step, shape=(1,))[:, 0] * count).long().clamp_max(count - 1).to(real.device)
        noise = rng.normal("noise", step, shape=tuple(real.shape[1:])).to(real)
        if self.options.drop_rate:
            planes = self.dropped(planes, rng.uniform("drop", step, shape=(1, 1, 1)))
        terms = self.losses(planes, real, t, noise)
        yield Update({name: term.mean() for name, term in terms.items()}, ("unet",))

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Planes, and photos in [-1, 1]."""
        assert batch.images is not None  # `prepare` has seen to it
        planes, real = self.sdm.planes(batch.maps), self.sdm.fit_image(batch.images) * 2 - 1
        if self.options.channels_last:
            planes, real = (x.contiguous(memory_format=torch.channels_last) for x in (planes, real))
        return planes, real

    def dropped(self, planes: Tensor, draws: Tensor) -> Tensor:
        """The planes, all zero where a sample's draw in (0, 1) is not above `drop_rate`; draws: [B, 1, 1, 1]."""
        return planes * (draws > self.options.drop_rate).to(planes)

    def losses(self, planes: Tensor, real: Tensor, t: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Terms per sample, each [B]. t: steps of `process`, int64 [B]."""
        return diffusion_losses(
            self.process, lambda x, times: self.sdm.unet(x, times, planes), real, t, noise, self.options.objective
        )

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, and two pictures in `preview_steps` steps, the second with guidance where maps are left out."""
        assert batch.images is not None
        model, o = self.sdm, self.options
        steps = min(o.preview_steps, model.config.diffusion_steps)
        layout = model.layout(batch.maps)
        rows = {"map": layout.semantic_map.colorize(), "photo": model.fit_image(batch.images)}
        for i, guidance in enumerate((1.0, 1.5 if o.drop_rate else 1.0)):
            options = SDMSampling(steps=steps, guidance=guidance)
            rows[f"image {i + 1}"] = model.synthesize(layout, rng=rng.within("preview", i), options=options)
        return rows

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """mse: mean squared error of the noise over all pairs, at a few steps of the process with the same noise every time (lower is
        better)."""
        total, count, n = 0.0, 0, len(self.process)
        for batch in data.batches(VALIDATION_BATCH):
            if batch.images is None:
                raise DataError(f"Validation of {SDM.title} needs photos, and this data set holds maps alone.")
            planes, real = self.inputs(batch)
            for i in range(VALIDATED):
                t = torch.full((len(real),), (2 * i + 1) * n // (2 * VALIDATED), device=real.device)
                samples = range(count, count + len(real))
                noise = Rng(0, samples).normal("validation", i, shape=tuple(real.shape[1:])).to(real)
                terms = diffusion_losses(
                    self.process, lambda x, times, p=planes: self.sdm.unet(x, times, p), real, t, noise
                )
                total += float(terms["mse"].sum()) / VALIDATED
            count += len(real)
        return {"mse": total / max(count, 1)}
