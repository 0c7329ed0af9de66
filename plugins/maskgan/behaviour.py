"""Editing behaviour for the second stage of training (paper section 3.3): each map in two edited versions, made by a mask generator."""

from __future__ import annotations

from typing import cast

import torch

from zoo.interfaces.capabilities import Reconstructs
from zoo.plugin import ConfigError, LabelSet, Latents, MaskGenerator, Model, PairData, RngLike, SemanticMap
from zoo_plugins.maskgan.vae_editing import mixed
from zoo_plugins.maskgan.vae_model import MaskVAE


class EditedMaps:
    """Two maps for each map, on the ways to and away from another face of the training data.

    The inner one is decoded from z + (other - z) / inter, the outer one from z - (other - z) / outer, z and other mean codes. The
    generator is fixed. Random: which face the other is, `rng.uniform("other")`; it may be the same one, whose edits change nothing.
    """

    def __init__(self, generator: Model, where: str, inter: float, outer: float) -> None:
        """where: how the user named the generator. Raises ConfigError for a model that does not reconstruct maps."""
        if not isinstance(generator, MaskGenerator) or not isinstance(generator, Reconstructs):
            raise ConfigError(
                f"mask_vae={where} edits the maps and has to be a mask generator that reconstructs them, got {type(generator).__name__}:"
                " name a maskgan-vae."
            )
        self.generator: MaskGenerator = generator.eval().requires_grad_(False)
        self.steps = (1 / inter, -1 / outer)
        self._data: PairData | None = None

    def prepare(self, data: PairData) -> None:
        """Where the other faces come from."""
        self._data = data

    def others(self, rng: RngLike) -> SemanticMap:
        """A map of the training data for each sample."""
        assert self._data is not None
        drawn = rng.uniform("other", shape=(1,))[:, 0]
        return self._data.batch([min(int(u * len(self._data)), len(self._data) - 1) for u in drawn.tolist()]).maps

    @torch.no_grad()
    def draw(self, maps: SemanticMap, rng: RngLike) -> tuple[SemanticMap, SemanticMap]:
        """(inner, outer) of each map, in the maps' label space and at the generator's size."""
        return self.between(maps, self.others(rng))

    @torch.no_grad()
    def between(self, maps: SemanticMap, others: SemanticMap) -> tuple[SemanticMap, SemanticMap]:
        """The same for these other maps, one for each."""
        space, coder = self.generator.label_space, cast(Reconstructs, self.generator)
        own, theirs = (m if m.space.names == space.names else m.to_space(space) for m in (maps, others))
        z, other = coder.encode(own), coder.encode(theirs)
        made = [self._decoded({k: mixed(z[k], other[k], t) for k in z}, own, theirs) for t in self.steps]
        inner, outer = (m.to(maps.labels.device).to_space(maps.space) for m in made)
        return inner, outer

    def _decoded(self, latents: Latents, own: SemanticMap, theirs: SemanticMap) -> SemanticMap:
        """MaskVAE decides alone which classes there are; generators of label sets are told those of both maps."""
        if isinstance(self.generator, MaskVAE):
            return self.generator.decode(latents)
        pairs = zip(own.label_sets(), theirs.label_sets(), strict=True)
        sets = [LabelSet(a.space, (*a.names, *(n for n in b.names if n not in a.names))) for a, b in pairs]
        return cast(Reconstructs, self.generator).decode(latents, label_sets=sets)
