"""Training of cIMLE: for an epoch each image keeps the noise whose picture was nearest to it, and the picture is drawn towards it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.api import load
from zoo.data.rarity import Rarity
from zoo.families.crn.losses import weighted_terms
from zoo.families.crn.trainer import CascadeTrainer
from zoo.plugin import Batch, Model, PairData, Rng, RngLike, Update, UsageError
from zoo_plugins.cimle.config import CIMLEOptions
from zoo_plugins.cimle.model import CIMLE
from zoo_plugins.cimle.official import from_crn


class Choices(nn.Module):
    """Which candidate each pair keeps, and in which epoch it was chosen. Buffers, so that a resumed run goes on with them."""

    epoch: Tensor
    candidate: Tensor
    restarted: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("epoch", "candidate"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int64))
        self.register_buffer("restarted", torch.zeros((), dtype=torch.bool))

    def fit(self, pairs: int) -> None:
        """Room for so many pairs, where there is none yet."""
        if len(self.epoch) != pairs:
            self.epoch = torch.full((pairs,), -1, dtype=torch.int64, device=self.restarted.device)
            self.candidate = torch.zeros_like(self.epoch)


class CIMLETrainer(CascadeTrainer):
    """Per batch one step (docs/papers/cimle.md, "Training"). Random, all by the options' seed: the images of an epoch, the candidates'
    noise by epoch, pair and candidate, the restarted encoder, and the start from a CRN."""

    options: CIMLEOptions
    synthesizer: CIMLE

    def __init__(self, model: Model, options: CIMLEOptions) -> None:
        """Raises DataError if `rarity` names a folder without the rebalancing files, UsageError for a `load_crn` that does not fit."""
        super().__init__(model, options)
        self.choices = Choices()
        self.rarity = Rarity.open(options.rarity) if options.rarity else None
        self._rows: dict[str, int] = {}
        if options.load_crn:
            self._start_from(load(options.load_crn))

    def _start_from(self, crn: Any) -> None:
        rng, generator = Rng(self.options.seed), self.synthesizer.generator
        state = {k.removeprefix("generator."): v for k, v in crn.state_dict().items() if k.startswith("generator.g_")}
        made = from_crn(
            state, self.synthesizer.config.noise, lambda key, shape: rng.normal("from-crn", key, shape=shape)[0]
        )
        own = generator.state_dict()
        odd = [k for k in own if not k.startswith("g_noise") and (k not in made or made[k].shape != own[k].shape)]
        if odd or any(k not in own for k in made):
            raise UsageError(
                f'<<changes={{"load_crn": "{self.options.load_crn}"}}>>: its cascade is another one ({len(odd)} tensors do not fit,'
                f" the first {(odd or [k for k in made if k not in own])[0]}): take one of the same widths and size."
            )
        generator.load_state_dict(own | {k: v.to(own[k]) for k, v in made.items()})

    # --- the loop's side ------------------------------------------------------------------------------------------

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {**super().networks, "choices": self.choices}

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """A tenth from `restart_epoch` on."""
        return {"generator": self.options.lr / (10 if self._late(math.floor(epoch)) else 1)}

    def _late(self, epoch: int) -> bool:
        return 0 < self.options.restart_epoch <= epoch

    def prepare(self, data: PairData) -> None:
        """Raises DataError for maps without photos, and for rebalancing files of another number of images."""
        super().prepare(data)
        self._rows = {name: row for row, name in enumerate(data.names)}
        self.choices.fit(len(data))
        if self.rarity is not None:
            self.rarity.fit(data.names)

    def epoch_order(self, epoch: int, data: PairData) -> Sequence[int] | None:
        """Pairs of an epoch: random ones of its images, which are drawn evenly or, with `rarity`, by rare colours."""
        o = self.options
        if self.rarity is not None:
            return self.rarity.order(o.seed, epoch, o.epoch_images, o.epoch_items)
        rng = Rng(o.seed)
        images = (rng.uniform("images", epoch, shape=(o.epoch_images,))[0] * len(data)).long().clamp_max(len(data) - 1)
        picks = (
            (rng.uniform("items", epoch, shape=(o.epoch_items,))[0] * o.epoch_images)
            .long()
            .clamp_max(o.epoch_images - 1)
        )
        return images[picks].tolist()

    # --- one batch ------------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        epoch = step * self.options.batch_size * self.options.accumulate // self.options.epoch_items
        if self._late(epoch) and not bool(self.choices.restarted):
            self.restart()
        planes, real = self.inputs(batch)
        mask = self.mask(batch)
        noise = self.kept_noise(planes, real, mask, [self._rows[name] for name in batch.names], epoch)
        yield Update({"perceptual": self.distances(planes, real, noise, mask).mean()}, ("generator",))

    def restart(self) -> None:
        """The noise encoder as it starts, drawn anew, and Adam's moments at zero."""
        device = self.synthesizer.device
        seed = int(Rng(self.options.seed).uniform("restart", shape=(1,))[0, 0] * 2**31)
        with torch.no_grad():
            self.synthesizer.generator.start_encoder(torch.Generator(device).manual_seed(seed))
        self.optimizers()["generator"].state.clear()
        self.choices.restarted.fill_(True)

    def mask(self, batch: Batch) -> Tensor | None:
        """With `rarity`: weights of the pixels [B, 1, H, W]. Quirk: not mirrored with the photo."""
        if self.rarity is None:
            return None
        assert batch.images is not None
        return torch.from_numpy(self.rarity.masks(batch.names)).to(batch.images.device)

    def distances(self, planes: Tensor, real: Tensor, noise: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss of each picture [B]: the weighted levels' sum, which chooses the nearest one and trains it. planes, real: [B or 1, …]."""
        pictures = self.synthesizer.generator(planes, noise)[:, 0]
        levels = self.differences(pictures, real)
        return torch.stack(weighted_terms(levels, self.divisors, mask)).sum(0)

    def candidate(self, row: int, epoch: int, number: int) -> Tensor:
        """The noise of a pair's candidate [1, noise, H, W], on the CPU."""
        shape = self.synthesizer.noise_shape
        return Rng(self.options.seed, [row]).normal("candidate", epoch, number, shape=shape)

    def kept_noise(self, planes: Tensor, real: Tensor, mask: Tensor | None, rows: Sequence[int], epoch: int) -> Tensor:
        """The noise [B, noise, H, W] of each pair's nearest candidate, chosen when the epoch first shows the pair."""
        kept = []
        for i, row in enumerate(rows):
            if int(self.choices.epoch[row]) != epoch:
                one = slice(i, i + 1)
                weights = None if mask is None else mask[one]
                self.choices.candidate[row] = self.nearest(planes[one], real[one], weights, row, epoch)
                self.choices.epoch[row] = epoch
            kept.append(self.candidate(row, epoch, int(self.choices.candidate[row])))
        return torch.cat(kept).to(real)

    @torch.no_grad()
    def nearest(self, planes: Tensor, real: Tensor, mask: Tensor | None, row: int, epoch: int) -> int:
        """The number of the candidate with the smallest distance, of equal ones the first. One forward each."""
        found = []
        for number in range(self.options.candidates):
            noise = self.candidate(row, epoch, number).to(real)
            found.append(float(self.distances(planes, real, noise, mask)[0]))
        return min(range(len(found)), key=found.__getitem__)
