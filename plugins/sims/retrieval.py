"""Retrieval: for each segment of a map the segments of the bank that lie best on it (docs/papers/sims.md, "Retrieval")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo_plugins.sims.bank import Bank

PIXELS = 1 << 23
"""Pixels of the bank that are compared at once."""


class Candidates(NamedTuple):
    """scores: float32 [Q, K], 0 where there is none. rows: int64 [Q, K], segments of the bank, -1 where there is none."""

    scores: Tensor
    rows: Tensor

    def best_first(self) -> Candidates:
        """The same, the highest score first; of equal ones the earlier slot."""
        scores, order = self.scores.sort(dim=1, descending=True, stable=True)
        return Candidates(scores, self.rows.gather(1, order))


def overlaps(queries: Tensor, classes: Tensor, pixels: Tensor, bank: Bank, photos: Tensor | None = None) -> Tensor:
    """Intersection over union of segments of a map with those of the bank, in place, unscaled: float32 [Q, S]; 0 between classes.

    queries: int64 [h, w], the segment of each pixel from 1 to Q, 0 for none. classes, pixels: int64 [Q]. photos: int64, those that are
    looked at, ascending (None: all), 0 for the segments of others. Exact: the pixels that two segments share are counted for all pairs at once.
    """
    count, total = len(classes), len(bank.table)
    scores = torch.zeros(count, total, device=queries.device)
    photos = torch.arange(len(bank)) if photos is None else photos
    places = queries.flatten().nonzero()[:, 0]
    if not count or not total or not len(photos):
        return scores
    query = (queries.flatten()[places] - 1).int()
    for some in photos.split(max(1, min(PIXELS // len(places), PIXELS // (count * bank.most + count)))):
        rows = bank.rows_of(some)
        shared = _shared(query, count, bank.local(some, places), bank.most)
        inside = shared[torch.searchsorted(some.to(rows.device), bank.photo_of[rows]), :, bank.place_of(rows)].T
        union = pixels[:, None] + bank.table[rows, 3] - inside
        same = classes[:, None] == bank.table[rows, 1]
        scores[:, rows] = torch.where(same, inside.double() / union, 0.0).float()
    return scores


def _shared(query: Tensor, count: int, found: Tensor, most: int) -> Tensor:
    """Pixels that queries and segments share: int64 [photos, queries, most + 1].

    query: int32 [P] below `count`. found: int16 [photos, P], a photo's segment from 1 to `most`, 0 for none.
    """
    codes = torch.arange(len(found), device=query.device, dtype=torch.int32)[:, None] * (count * (most + 1))
    codes = codes + query * (most + 1) + found
    return torch.bincount(codes.flatten(), minlength=len(found) * count * (most + 1)).view(-1, count, most + 1)


def best(scores: Tensor, slots: int) -> Candidates:
    """The best of all segments: at most so many for each query."""
    found, rows = scores.topk(min(slots, scores.shape[1]), 1)
    return _of_width(Candidates(found, torch.where(found > 0, rows, -1)), slots)


def official(scores: Tensor, photos: Tensor, slots: int) -> Candidates:
    """As the authors search: photo by photo, in slots that stay where they are.

    Quirk: the lowest slot is looked up once per photo, and each of its segments that beats what lay there takes that slot, so that the
    last of them stays and not the best; no photo has two slots. photos: int64 [S], the photo of each segment, ascending.
    """
    kept = Candidates(scores.new_zeros(len(scores), slots), photos.new_full((len(scores), slots), -1))
    if not scores.numel():
        return kept
    query = torch.arange(len(scores), device=scores.device)
    counts = torch.bincount(photos)
    ends = counts.cumsum(0)
    meets = torch.zeros(len(counts), dtype=torch.bool, device=scores.device)
    meets[photos[(scores > 0).any(0)]] = True
    for photo in meets.nonzero()[:, 0].tolist():
        end = int(ends[photo])
        own = scores[:, end - int(counts[photo]) : end]
        lowest, slot = kept.scores.min(1)
        places = torch.arange(1, own.shape[1] + 1, device=scores.device)
        last = torch.where(own > lowest[:, None], places, 0).amax(1) - 1
        changed = query[last >= 0]
        kept.scores[changed, slot[changed]] = own[changed, last[changed]]
        kept.rows[changed, slot[changed]] = end - own.shape[1] + last[changed]
    return kept


def _of_width(found: Candidates, slots: int) -> Candidates:
    short = slots - found.scores.shape[1]
    if short <= 0:
        return found
    scores = torch.nn.functional.pad(found.scores, (0, short))
    return Candidates(scores, torch.nn.functional.pad(found.rows, (0, short), value=-1))
