"""Scenes with drawn relations as a batch of graphs, with the true box and mask of every object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.plugin import RngLike
from zoo_plugins.sg2im.graphs import encode
from zoo_plugins.sg2im.network import Graphs
from zoo_plugins.sg2im.scenes import WHOLE, Scene, relations
from zoo_plugins.sg2im.vocabulary import Vocabulary

BLOCK = 64
"""So many objects of a scene share a draw, so that a draw has one size."""


class Drawn(NamedTuple):
    """graphs; boxes: [O, 4]; masks: [O, M, M] of 0 and 1. The picture's own object fills it."""

    graphs: Graphs
    boxes: Tensor
    masks: Tensor

    def to(self, device: torch.device | str) -> Drawn:
        """The same on another device."""
        return Drawn(self.graphs.to(device), self.boxes.to(device), self.masks.to(device))


def scene_graphs(scenes: Sequence[Scene], vocabulary: Vocabulary, rng: RngLike, *, relations: bool = True) -> Drawn:
    """One graph for each scene, with a relation for each object, or none.

    Random: `rng.uniform("partner", block)` and `rng.uniform("subject", block)`, of each scene its own stream.
    """
    most = max((len(s) for s in scenes), default=0)
    blocks = range(-(-most // BLOCK)) if relations else range(0)
    partners, subjects = (
        torch.cat([rng.uniform(key, block, shape=(BLOCK,)) for block in blocks], 1).tolist() if blocks else []
        for key in ("partner", "subject")
    )
    graphs, boxes, masks = [], [], []
    for row, scene in enumerate(scenes):
        related = _related(scene, partners[row], subjects[row]) if blocks else []
        graphs.append(([vocabulary.numbers[v] for v in scene.values], related))
        boxes += [scene.boxes, torch.tensor([WHOLE])]
        masks += [scene.masks, torch.ones(1, *scene.masks.shape[1:])]
    return Drawn(encode(graphs), torch.cat(boxes), torch.cat(masks))


def _related(scene: Scene, partners: Sequence[float], subjects: Sequence[float]) -> list[tuple[int, int, int]]:
    return relations(scene, partners[: len(scene)], subjects[: len(scene)])
