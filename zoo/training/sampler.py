"""Which pairs make a batch: a function of the seed and the step alone, so that a resumed run needs no sampler state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from zoo.data import Augment, Batch, PairData
from zoo.data.preprocess import Preprocess
from zoo.errors import DataError, UsageError
from zoo.interfaces.training_options import TrainingOptions
from zoo.nn.one_batch import Share
from zoo.rng import Rng


def augment_of(options: TrainingOptions, data: PairData) -> Augment:
    """How the options change a pair on its way to the resolution of `data`."""
    preprocess = None
    if options.preprocess != "resize":
        # the SPADE family's crop_size is the width of its pictures
        height, width = (data.resolution,) * 2 if isinstance(data.resolution, int) else data.resolution
        preprocess = Preprocess(options.preprocess, options.load_size, width, width / height, resample=options.resample)
    return Augment(
        options.flip,
        options.zoom,
        options.color,
        preprocess,
        turn=options.turn,
        squeeze=options.squeeze,
        soften=options.soften,
    )


class Sampler:
    """Seeded permutations, one per epoch, the last incomplete batch dropped.

    Micro-batch m is rows [m * batch_size, (m + 1) * batch_size) of the step's samples, of which rank r takes each `world`th from
    the r-th on (`Share`): a step has the same samples whatever the number of processes. A pair's augmentation and noise are keyed
    by (seed, epoch, index). order: epoch -> the pairs of that epoch, of one length and possibly repeated, or None for the
    permutation (`Trainer.epoch_order`); noise is then keyed by (seed, epoch, position).
    """

    def __init__(
        self,
        data: PairData,
        *,
        batch_size: int,
        seed: int,
        augment: Augment,
        micro: int = 1,
        rank: int = 0,
        world: int = 1,
        together: int = 1,
        order: Callable[[int], Sequence[int] | None] | None = None,
    ) -> None:
        self.data, self.augment, self.seed = data, augment, seed
        if batch_size // together < world:
            raise UsageError(
                f"{world} processes cannot share batches of {batch_size}: start {max(1, batch_size // together)}, or take larger batches"
                f' (<<changes={{"batch_size": {world * together}}}>>).'
            )
        self.batch_size, self.micro = batch_size, micro
        self.share = Share(rank, world, batch_size, together)
        self.per_step = batch_size * micro
        if len(data) < self.per_step:
            raise DataError(
                f'{len(data)} training pairs are fewer than one batch of {self.per_step}: lower it (<<changes={{"batch_size": {max(1, len(data))}}}>>).'
            )
        self._given = order
        own = None if order is None else order(0)
        self._length = None if own is None else len(own)
        self.steps_per_epoch = max(1, len(data) if self._length is None else self._length) // self.per_step
        if not self.steps_per_epoch:
            raise DataError(
                f"An epoch of {self._length} pairs is less than one batch of {self.per_step}: lower batch_size."
            )
        self._order = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> Sequence[int]:
        given = None if self._given is None else self._given(epoch)
        if given is not None:
            return given
        keys = Rng(self.seed).uniform("epoch", epoch, shape=(len(self.data),))[0]
        return keys.argsort(stable=True).tolist()

    def batches(self, step: int) -> list[tuple[Batch, Rng]]:
        """This rank's part of a step's micro-batches, each with the rng of its samples."""
        epoch, position = divmod(step, self.steps_per_epoch)
        rows = self._order(epoch)[position * self.per_step : (position + 1) * self.per_step]
        made = []
        for first in range(0, self.per_step, self.batch_size):
            own = [first + row for row in self.share.rows]
            indices = [rows[row] for row in own]
            samples = indices if self._length is None else [position * self.per_step + row for row in own]
            rng = Rng(self.seed, [epoch * (self._length or len(self.data)) + i for i in samples])
            made.append((self.data.batch(indices, self.augment, rng), rng))
        return made

    def stream(self, start: int, stop: int) -> Iterator[tuple[int, list[tuple[Batch, Rng]]]]:
        """(step, micro-batches) from `start` to `stop`; the next one is read in a thread meanwhile."""
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self.batches, start) if start < stop else None
            for step in range(start, stop):
                assert ahead is not None
                ready = ahead.result()
                ahead = pool.submit(self.batches, step + 1) if step + 1 < stop else None
                yield step, ready
