"""What a map alone decides: its segments, and the candidates of the bank for each (docs/papers/sims.md, "Retrieval")."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_plugins.sims import retrieval
from zoo_plugins.sims.bank import Bank, enlarged
from zoo_plugins.sims.canvas import Pieces, masks_of
from zoo_plugins.sims.config import SIMSConfig
from zoo_plugins.sims.roles import Roles
from zoo_plugins.sims.segments import Segments, find_segments


@dataclass(frozen=True, eq=False)
class Found:
    """One map. labels: its channels at the picture's size, int64 [H, W]; small: at the size of retrieval. segments: of `small`.

    order: int64 [n], rows of the table in the order of painting. asked: int64 [Q], those of them that are retrieved. candidates: of
    `asked`, the best first.
    """

    labels: Tensor
    small: Tensor
    segments: Segments
    order: Tensor
    asked: Tensor
    candidates: retrieval.Candidates


def find(labels: Tensor, small: Tensor, bank: Bank, roles: Roles, config: SIMSConfig) -> Found:
    """labels, small: one map at both sizes, int64 [H, W] and [h, w], on the bank's device. Not random."""
    segments = find_segments(small[None], roles.classes, roles.thin)
    rank = torch.zeros(roles.classes, dtype=torch.int64, device=labels.device)
    rank[list(roles.order)] = torch.arange(roles.classes, device=labels.device)
    table = segments.table
    order = torch.argsort(rank[table[:, 1]], stable=True)  # the table is sorted by class and number
    asked = order[table[order, 3] > config.segment_pixels]
    scores = overlaps_of(segments, asked, bank)
    kept = (
        retrieval.official(scores, bank.photo_of, config.slots)
        if config.parity
        else retrieval.best(scores, config.slots)
    )
    return Found(labels, small, segments, order, asked, kept.best_first())


def overlaps_of(segments: Segments, asked: Tensor, bank: Bank, photos: Tensor | None = None) -> Tensor:
    """`retrieval.overlaps` of these rows of one map's segments: float32 [len(asked), S]."""
    place = torch.zeros(len(segments.table) + 1, dtype=torch.int64, device=asked.device)
    place[asked + 1] = torch.arange(1, len(asked) + 1, device=asked.device)
    table = segments.table[asked]
    return retrieval.overlaps(place[segments.numbers[0]], table[:, 1], table[:, 3], bank, photos)


def taken(found: Found, rank: Tensor, left: Tensor) -> Tensor:
    """The segment of the bank for each of `asked`, -1 where there is none or a style leaves its class to the network: int64 [Q].

    rank: [classes], from 0 (the best candidate) to 1 (the last). left: bool [classes].
    """
    classes = found.segments.table[found.asked, 1]
    count = (found.candidates.rows >= 0).sum(1)
    place = (rank[classes] * count).long().clamp_max(count - 1).clamp_min(0)
    rows = found.candidates.rows.gather(1, place[:, None])[:, 0]
    return torch.where(left[classes], -1, rows)


def pieces_of(found: Found, rows: Tensor, bank: Bank, roles: Roles, scale: int) -> Pieces:
    """What is painted, proposals not moved yet. rows: of `taken`; a segment that is black throughout is no proposal."""
    table = found.segments.table
    unmoved = bank.cut_out(rows[rows >= 0], scale)
    rows = rows.clone()
    seen = (unmoved.sum(1) > 0).flatten(1).any(1)
    rows[(rows >= 0).nonzero()[~seen, 0]] = -1
    unmoved = unmoved[seen]
    where = torch.full((len(table) + 1,), -1, dtype=torch.int64, device=rows.device)
    where[found.order + 1] = torch.arange(len(table), device=rows.device)
    proposal = torch.full((len(table),), -1, dtype=torch.int64, device=rows.device)
    proposal[where[found.asked[rows >= 0] + 1]] = torch.arange(len(unmoved), device=rows.device)
    kept = rows[rows >= 0]
    return Pieces(
        classes=table[found.order, 1],
        numbers=table[found.order, 2],
        where=enlarged(where[found.segments.numbers], scale)[0],
        proposal=proposal,
        moved=unmoved,
        unmoved=unmoved,
        around=enlarged(bank.around(kept, roles.thin), scale),
        sources=bank.maps(kept),
    )


def places_of(pieces: Pieces) -> Tensor:
    """Where proposals belong: float32 [P, 1, H, W]."""
    return masks_of(pieces.where, pieces.proposal)[:, None].float()
