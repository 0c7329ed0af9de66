"""Graph convolution over triples (section 3 of the paper; docs/papers/sg2im.md, "Graph convolution"). Keys are the authors'."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Pooling = Literal["avg", "sum"]
MlpNorm = Literal["none", "batch"]


def mlp(widths: Sequence[int], norm: MlpNorm = "none") -> nn.Sequential:
    """Linear layers with a ReLU behind each, the last one too (the authors'), and with a batch norm in front of the ReLUs."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers.append(nn.Linear(before, after))
        if norm == "batch":
            layers.append(nn.BatchNorm1d(after))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def init_kaiming(module: nn.Module) -> None:
    """Normal weights of variance 2 / fan-in for the module itself where it is linear or a convolution; the bias stays torch's."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)


class GraphTripleConv(nn.Module):
    """One layer: every triple looks at subject, predicate and object; every object pools what its triples say of it.

    inputs, outputs: numbers of a vector before and after; hidden: of what a triple says of an object. pooling: mean over an object's
    appearances (a self-loop counts twice), or their sum. Not random.
    """

    def __init__(
        self, inputs: int, outputs: int, hidden: int, *, pooling: Pooling = "avg", norm: MlpNorm = "none"
    ) -> None:
        super().__init__()
        self.outputs, self.hidden, self.pooling = outputs, hidden, pooling
        self.net1 = mlp((3 * inputs, hidden, 2 * hidden + outputs), norm)
        self.net1.apply(init_kaiming)
        self.net2 = mlp((hidden, hidden, outputs), norm)
        self.net2.apply(init_kaiming)

    def forward(self, objects: Tensor, predicates: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """objects [O, inputs], predicates [T, inputs], edges int64 [T, 2] (subject, object) -> [O, outputs], [T, outputs]."""
        subject, other = edges.unbind(1)
        said = self.net1(torch.cat([objects[subject], predicates, objects[other]], 1))
        of_subject, new_predicates, of_other = said.split([self.hidden, self.outputs, self.hidden], 1)
        pooled = said.new_zeros(len(objects), self.hidden)
        pooled = pooled.index_add(0, subject, of_subject).index_add(0, other, of_other)
        if self.pooling == "avg":
            counts = torch.bincount(edges.flatten(), minlength=len(objects)).clamp_min(1)
            pooled = pooled / counts.to(pooled)[:, None]
        return self.net2(pooled), new_predicates


class GraphTripleConvNet(nn.Module):
    """`layers` layers of one width."""

    def __init__(
        self, width: int, layers: int, hidden: int, *, pooling: Pooling = "avg", norm: MlpNorm = "none"
    ) -> None:
        super().__init__()
        self.gconvs = nn.ModuleList(
            GraphTripleConv(width, width, hidden, pooling=pooling, norm=norm) for _ in range(layers)
        )

    def forward(self, objects: Tensor, predicates: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """As of one layer."""
        for layer in self.gconvs:
            objects, predicates = layer(objects, predicates, edges)
        return objects, predicates
