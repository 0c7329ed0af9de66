"""SIMS: segments looked for in a bank of photos, one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zoo.maps import SemanticMap
from zoo.nn.labels import one_hot
from zoo_plugins.sims.canvas import Rules, paint
from zoo_plugins.sims.finding import Found, pieces_of, places_of, taken
from zoo_plugins.sims.pairs import all_pairs, coloured, fronts, pair_pictures
from zoo_plugins.sims.placing import partners
from zoo_plugins.sims.retrieval import Candidates
from zoo_plugins.sims.segments import find_segments
from zoo_plugins.sims.styles import read_style
from zoo_plugins.sims.synthesis import given_of
from zoo_plugins.sims.transform import placed


def sims(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """SIMS: each segment's mask against every one of the bank, a proposal and a pair at a time, all pairs of segments."""
    config, roles, bank = model.config, model.roles, model.bank()
    small = maps.resize(model.resolution)
    labels, low = model.indices(small), model.indices(small.resize(config.low))
    kept = bank.masks(torch.arange(len(bank.table)))
    ranks, left, noise = read_style(config, model.classes, style)
    canvases = []
    for i in range(len(low)):
        segments = find_segments(low[i : i + 1], roles.classes, roles.thin)
        table = segments.table
        order = torch.tensor(sorted(range(len(table)), key=lambda r: (roles.order.index(int(table[r, 1])), r)))
        asked = order[table[order, 3] > config.segment_pixels]
        slots = Candidates(torch.zeros(len(asked), config.slots), torch.full((len(asked), config.slots), -1))
        for q, mask in enumerate(segments.masks(asked)):
            for photo in range(len(bank)):
                lowest, slot = slots.scores[q].min(0)
                for row in bank.rows_of(torch.tensor([photo])).tolist():
                    if bank.table[row, 1] != table[asked[q], 1]:
                        continue
                    score = (mask & kept[row]).sum().double() / (mask | kept[row]).sum()
                    if score.float() > lowest:
                        slots.scores[q, slot], slots.rows[q, slot] = score, row
        found = Found(labels[i], low[i], segments, order, asked, slots.best_first())
        pieces = pieces_of(found, taken(found, ranks[i], left[i]), bank, roles, config.scale)
        planes, moved = one_hot(labels[i : i + 1], model.planes), []
        for proposal, mask in zip(pieces.unmoved, places_of(pieces), strict=True):
            moved.append(placed(proposal[None], model.transform(proposal[None], mask[None], planes))[0])
        pieces = replace(pieces, moved=torch.stack(moved)) if moved else pieces
        pairs, shown = all_pairs(table, asked, roles.order), coloured(low[i], model.palette)
        scores = [model.order(pair_pictures(segments, [pair], model.palette, shown)) for pair in pairs]
        known = fronts(torch.cat(scores), pairs, table) if pairs else {}
        looked = partners(pieces, found, parity=config.parity)
        rules = Rules(config.bands, config.inner, config.parity)
        front = lambda a, b, known=known, looked=looked: known.get(looked.get((a, b), (-1, -1)))  # noqa: E731
        canvases.append(paint(pieces, labels[i], roles, rules, front, noise[i]))
    given = given_of(
        one_hot(torch.stack([c.labels for c in canvases]), model.planes), torch.stack([c.picture for c in canvases])
    )
    return ((model.synthesis(given).picture + 1) / 2).clamp(0, 1)
