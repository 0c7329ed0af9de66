"""Styles of the prior in training: for half of a batch, and for the batch norms' statistics of the finished weights."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn

from zoo.data import Batch, PairData
from zoo.errors import ConfigError, DataError
from zoo.families.spade.options import GanOptions
from zoo.interfaces.capabilities import EncodesStyle, SamplesStyle
from zoo.interfaces.models import ImageSynthesizer, Model
from zoo.maps import SemanticMap
from zoo.nn.batch_norm import batch_norms, recompute_batch_norm
from zoo.registry.capabilities import style_sources
from zoo.rng import Rng, RngLike
from zoo.style import Style

ASSET = "latent_prior"
STATISTICS_BATCH = 16


class PriorStyles(nn.Module):
    """A model's fitted prior while it trains. Its tensors are buffers, so that a resumed run goes on with the same prior.

    Without parameters it is no network that trains, and it is not stored beside the model.
    """

    def __init__(self, model: Model, options: GanOptions) -> None:
        """Raises ConfigError for a model that has no prior of styles."""
        super().__init__()
        if ASSET not in model.ASSETS or "style:prior" not in model.capabilities():
            raise ConfigError(
                f"prior_half: {type(model).__name__} of this config draws no styles: set prior_half=false."
            )
        self._model = (model,)  # a tuple: no submodule
        self.options = options
        self.every = options.prior_every
        self._data: PairData | None = None

    def prepare(self, data: PairData) -> None:
        """Fit it to the model as it is now."""
        self._data = data
        self.fit()

    def keep_up(self, step: int) -> None:
        """Fit it again every `prior_every` steps."""
        if step and step % self.every == 0:
            self.fit()

    def fit(self) -> None:
        """Fit it to the encoder's codes of the training photos (in evaluation mode), and make it the model's asset."""
        (model,) = self._model
        assert self._data is not None
        modes = {m: m.training for m in model.modules()}
        try:
            model.eval()
            with torch.autocast(model.device.type, enabled=False):
                value = model.fit_asset(ASSET, self._data, self.options)
        finally:
            for module, mode in modes.items():
                module.training = mode
        assert value is not None
        known = dict(self.named_buffers())
        for name, tensor in value.items():
            if name in known:
                known[name].copy_(tensor)
            else:
                self.register_buffer(name, tensor.to(model.device))
        model.assets = {**model.assets, ASSET: dict(self.named_buffers())}

    def draw(self, maps: SemanticMap, rng: RngLike) -> Style:
        """Styles for the second half of the maps (of an odd number the smaller part). Random: as `sample_style`, which draws for
        all, so that a sample's style does not depend on its batch."""
        (model,) = self._model
        style = cast(SamplesStyle, model).sample_style(maps, rng, prior="fitted")
        return style[math.ceil(len(maps) / 2) :]


@torch.no_grad()
def estimate_statistics(model: Model, data: PairData, maps: int, *, seed: int = 0) -> None:
    """The batch norms' running statistics anew, as plain averages over the first `maps` pairs in batches of 16.

    Of each batch the first half is in its photos' styles (mean codes), the rest in styles of the prior; where a model has only one
    of them, all. The model must be in evaluation mode, with its assets. Random: `sample_style` and `synthesize` of `seed`, one stream
    per pair.
    Raises DataError for data without photos where the model encodes them.
    """
    if not batch_norms(model):
        return

    def run() -> None:
        seen = 0
        for batch in data.batches(STATISTICS_BATCH, limit=maps):
            _mixed(cast(ImageSynthesizer, model), batch, Rng(seed, range(seen, seen + len(batch)), ("statistics",)))
            seen += len(batch)

    recompute_batch_norm(model, run)


def _mixed(model: ImageSynthesizer, batch: Batch, rng: RngLike) -> None:
    """A forward with half of the batch in styles of its photos, half in styles of the prior."""
    places = style_sources(model.capabilities())
    if not places:
        model.synthesize(batch.maps)
        return
    own = len(batch) if "prior" not in places else 0 if "photo" not in places else math.ceil(len(batch) / 2)
    parts: list[Style] = []
    if own:
        assert isinstance(model, EncodesStyle)
        if batch.images is None:
            raise DataError("Statistics in the photos' styles need photos, and this data set holds maps alone.")
        parts.append(model.encode_style(batch.images[:own], batch.maps[:own]))
    if own < len(batch):
        assert isinstance(model, SamplesStyle)
        parts.append(model.sample_style(batch.maps, rng)[own:])
    model.synthesize(batch.maps, Style.cat([p.to("cpu") for p in parts]), rng=rng)
