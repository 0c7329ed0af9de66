"""Training of SIMS: three networks that do not see each other, one step of each per batch (docs/papers/sims.md, "Training")."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.families.crn.trainer import CascadeTrainer
from zoo.nn.labels import one_hot
from zoo.plugin import Batch, DataError, Model, PairData, RngLike, Update
from zoo.rng import Rng, take_rows
from zoo_plugins.sims.bank import Bank
from zoo_plugins.sims.canvas import Canvas
from zoo_plugins.sims.config import SIMSOptions
from zoo_plugins.sims.lessons import asked, moving_loss, ordering_loss
from zoo_plugins.sims.losses import levels, synthesis_terms
from zoo_plugins.sims.model import SIMS
from zoo_plugins.sims.ordering import check_disparities
from zoo_plugins.sims.pasting import training_canvas
from zoo_plugins.sims.segments import Segments, find_segments
from zoo_plugins.sims.synthesis import given_of

VALIDATION_BATCH = 4
GROWTH = 1.1


class SIMSTrainer(CascadeTrainer):
    """Per batch a step of each network that `train` names. The bank is made of the training photos before the first step.

    Random, by pair and step: ("move", step), ("order", step) for the ordering network's dropout, ("paste", step).
    """

    options: SIMSOptions
    synthesizer: SIMS

    def __init__(self, model: Model, options: SIMSOptions) -> None:
        """As `CascadeTrainer`."""
        super().__init__(model, options)
        self._optimizers: dict[str, Optimizer] = {}
        self._photos: dict[str, int] = {}
        for name in ("transform", "order", "synthesis"):
            self.synthesizer.get_submodule(name).requires_grad_(name in options.train)

    # --- the loop's side ------------------------------------------------------------------------------------------

    def optimizers(self) -> dict[str, Optimizer]:
        """Names: those of `train`, in the order transform, order, synthesis. Adam with torch's eps."""
        if not self._optimizers:
            rates = self.rates(0.0, 0)
            for name in rates:
                parameters = self.synthesizer.get_submodule(name).parameters()
                self._optimizers[name] = Adam(parameters, lr=rates[name])
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """Those of `growth` begin with 1e-6 and grow by a tenth in every epoch up to their own; the synthesis network's may settle."""
        o, grown = self.options, 1e-6 * GROWTH ** min(int(epoch), 1000)
        own = {"transform": o.transform_lr, "order": o.order_lr, "synthesis": o.lr}
        if o.settle_epoch and int(epoch) >= o.settle_epoch:
            own["synthesis"] = o.settle_lr
        return {n: min(rate, grown) if n in o.growth else rate for n, rate in own.items() if n in o.train}

    def prepare(self, data: PairData) -> None:
        """Make the bank. Raises DataError for maps without photos or segments, and where a pair has no disparity."""
        super().prepare(data)
        if self.options.disparity:
            check_disparities(Path(self.options.disparity), data.names)
        self.synthesizer.assets["bank"] = self.synthesizer.fit_asset("bank", data, self.options)
        bank = self.synthesizer.bank()
        self._photos = {bank.name(i): i for i in range(len(bank))}

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        model, train = self.synthesizer, self.options.train
        labels, photos, segments = self.read(batch)
        if "transform" in train:
            yield Update(
                {"transform": moving_loss(model, self.options, labels, photos, segments, rng.within("move", step))},
                ("transform",),
            )
        if "order" in train:
            loss = ordering_loss(model, self.options, batch, segments, rng.within("order", step))
            yield Update({"order": loss}, ("order",))
        if "synthesis" in train:
            canvases = self.canvases(batch, labels, photos, segments, rng.within("paste", step))
            truth = one_hot(labels, model.planes)
            terms = self.synthesis_terms(canvases, photos, truth)
            losses = {"perceptual": torch.stack(terms[:-1]).sum(), "semantic": self.options.semantic * terms[-1]}
            yield Update(losses, ("synthesis",))

    def read(self, batch: Batch) -> tuple[Tensor, Tensor, list[Segments]]:
        """(channels int64 [B, H, W], photos RGB [B, 3, H, W] in [0, 1], each map's segments at the size of retrieval)."""
        assert batch.images is not None  # `prepare` has seen to it
        model = self.synthesizer
        maps = model.small(batch.maps)
        low = model.indices(maps.resize(model.config.low))
        photos = model.fit_image(batch.images)
        self.features.to(photos.device)
        segments = find_segments(low, model.roles.classes, model.roles.thin)
        return model.indices(maps), photos, [segments.alone(i) for i in range(len(low))]

    # --- synthesis ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def canvases(
        self, batch: Batch, labels: Tensor, photos: Tensor, segments: list[Segments], rng: RngLike
    ) -> list[Canvas]:
        """A canvas of each photo's own pixels, cut by the shapes of others."""
        model, bank = self.synthesizer, self.synthesizer.bank()
        made = []
        for i, photo in enumerate(photos):
            own = take_rows(rng, [i])
            sources = self.sources(bank, batch.names[i], own)
            one = segments[i]
            made.append(
                training_canvas(
                    photo,
                    labels[i],
                    one,
                    asked(model, one),
                    bank,
                    sources,
                    model.roles,
                    model.config,
                    self.options,
                    own,
                )
            )
        return made

    def sources(self, bank: Bank, name: str, rng: RngLike) -> Tensor:
        """Photos of the bank among which shapes are looked for, int64, ascending: `sources` of them, drawn, but not the pair's own."""
        order = rng.uniform("sources", shape=(len(bank),))[0].argsort()
        order = order[order != self._photos.get(name, -1)]
        return order[: self.options.sources].sort().values

    def synthesis_terms(self, canvases: list[Canvas], photos: Tensor, truth: Tensor) -> list[Tensor]:
        """As `losses.synthesis_terms`. Raises ConfigError if `divisors` are of another number than the features' levels."""
        model = self.synthesizer
        given = given_of(
            one_hot(torch.stack([c.labels for c in canvases]), model.planes), torch.stack([c.picture for c in canvases])
        )
        made = model.synthesis(given)
        differing = levels(self.features, made.picture, photos * 2 - 1, halved=model.config.scale == 2)
        self.check(len(differing))
        return synthesis_terms(made, differing, truth, self.divisors)

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, a training canvas with the picture of it, and what the bank makes of the map."""
        labels, photos, segments = self.read(batch)
        canvases = self.canvases(batch, labels, photos, segments, rng)
        model = self.synthesizer
        shown = {"map": model.small(batch.maps).colorize(), "photo": photos}
        shown |= {"canvas": torch.stack([c.picture for c in canvases]), "image": model.pictures(canvases)}
        return shown | {"retrieved": model.synthesize(batch.maps, rng=rng.within("preview"))}

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """l1: mean |image - photo| on [-1, 1] over all pairs, of canvases as in training, the same at every call (lower is better)."""
        total, count = 0.0, 0
        for batch in data.batches(VALIDATION_BATCH):
            if batch.images is None:
                raise DataError("Validation of SIMS needs photos, and this data set holds maps alone.")
            batch = batch.to(self.synthesizer.device)
            rng = Rng(0, range(count, count + len(batch)))
            labels, photos, segments = self.read(batch)
            images = self.synthesizer.pictures(self.canvases(batch, labels, photos, segments, rng))
            total += 2 * F.l1_loss(images, photos).item() * len(photos)
            count += len(photos)
        return {"l1": total / max(count, 1)}
