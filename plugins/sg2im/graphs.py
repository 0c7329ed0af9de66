"""Scene graphs as the network takes them: every picture is an object too, in which all its objects are."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from zoo_plugins.sg2im.network import Graphs

IMAGE, IN_IMAGE = 0, 0
"""Numbers of the object `__image__` and of the predicate `__in_image__`."""
Relation = tuple[int, int, int]
"""(subject, predicate, object); the first and last are places among the objects of one graph."""


def encode(graphs: Sequence[tuple[Sequence[int], Sequence[Relation]]]) -> Graphs:
    """Graphs as (numbers of the objects, relations) -> one batch. The picture's object comes behind the others of its graph, and its
    relations, one for each of them, behind the others."""
    objects, triples, images = [], [], []
    for number, (classes, relations) in enumerate(graphs):
        start, count = len(objects), len(classes)
        objects += [*classes, IMAGE]
        images += [number] * (count + 1)
        inside = [(place, IN_IMAGE, count) for place in range(count)]
        triples += [(start + s, p, start + o) for s, p, o in [*relations, *inside]]
    return Graphs(
        torch.tensor(objects, dtype=torch.long),
        torch.tensor(triples, dtype=torch.long).view(-1, 3),
        torch.tensor(images, dtype=torch.long),
        len(graphs),
    )
