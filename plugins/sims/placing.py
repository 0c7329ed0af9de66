"""What the two smaller networks say of a canvas: where proposals are put, and which lie in front (docs/papers/sims.md, "Canvas")."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from zoo.nn.labels import one_hot
from zoo_plugins.sims.canvas import InFront, Pieces, chosen, supports
from zoo_plugins.sims.finding import Found, places_of
from zoo_plugins.sims.order import OrderNetwork
from zoo_plugins.sims.pairs import Pair, coloured, fronts, meeting, pair_pictures
from zoo_plugins.sims.transform import TransformNetwork, placed

CHUNK = 10
"""Proposals, or pairs, that a network sees at once, as the authors have it."""


def moved(network: TransformNetwork, pieces: Pieces, found: Found, planes: int) -> Pieces:
    """The pieces with their proposals transformed. planes: of the network's map."""
    if not len(pieces.unmoved):
        return pieces
    shown, dtype, made = one_hot(found.labels[None], planes), network.g_b_fc1.dtype, []
    for proposals, masks in zip(pieces.unmoved.split(CHUNK), places_of(pieces).split(CHUNK), strict=True):
        made.append(placed(proposals, network(proposals.to(dtype), masks, shown)))
    return replace(pieces, moved=torch.cat(made))


def in_front(network: OrderNetwork, pieces: Pieces, found: Found, palette: Tensor, *, parity: bool) -> InFront:
    """What the ordering network says of the pieces that meet. palette: the classes' colours, int64 [classes, 3]."""
    looked = partners(pieces, found, parity=parity)
    pairs = sorted(set(looked.values()))
    known = fronts(order_scores(network, found, pairs, palette), pairs, found.segments.table) if pairs else {}
    return lambda earlier, later: known.get(looked.get((earlier, later), (-1, -1)))


def partners(pieces: Pieces, found: Found, *, parity: bool) -> dict[Pair, Pair]:
    """(earlier piece, later piece), of those that meet -> the rows of the pair of segments that is asked about.

    Quirk (parity): the authors look up the later piece's place among the proposals where its number within its class should stand, so
    that another segment is asked about, or none.
    """
    numbered = (pieces.proposal >= 0).nonzero()[:, 0].tolist()
    meet = meeting(supports(chosen(pieces)), [int(pieces.classes[i]) for i in numbered])
    rows = found.order.tolist()
    if not parity:
        return {(numbered[a], numbered[b]): (rows[numbered[a]], rows[numbered[b]]) for a, b in meet}
    table = found.segments.table.tolist()
    by_number = {(table[row][1], table[row][2]): row for row in found.asked.tolist()}
    looked = {}
    for a, b in meet:
        other = by_number.get((int(pieces.classes[numbered[b]]), b + 1))
        if other is not None:
            looked[numbered[a], numbered[b]] = (rows[numbered[a]], other)
    return looked


def order_scores(network: OrderNetwork, found: Found, pairs: list[Pair], palette: Tensor) -> Tensor:
    """The ordering network's scores [P, classes + 1] of pairs of segments of a map, at least one."""
    shown, dtype = coloured(found.small, palette), next(network.parameters()).dtype
    parts = [pairs[i : i + CHUNK] for i in range(0, len(pairs), CHUNK)]
    return torch.cat([network(pair_pictures(found.segments, part, palette, shown).to(dtype)) for part in parts])
