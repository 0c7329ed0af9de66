"""The recorded stages of SIMS that no network makes: bank, retrieval, pairs, canvas. Loaded by `sims.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zoo.registry import label_space
from zoo_plugins.sims import retrieval
from zoo_plugins.sims.bank import Bank, bank_tensors, enlarged
from zoo_plugins.sims.borders import no_edge, sobel
from zoo_plugins.sims.canvas import Pieces, Rules, paint
from zoo_plugins.sims.config import SIMSConfig
from zoo_plugins.sims.pairs import all_pairs, coloured, pair_pictures
from zoo_plugins.sims.roles import Roles, roles_of
from zoo_plugins.sims.segments import Segments, find_segments, is_any, with_thin

Tensors = dict[str, Tensor]
Entry = tuple[int, int, int]
"""Class, number within the class, row of the table of segments or -1."""
SPACE = label_space("gta5")
PALETTE = torch.tensor(SPACE.palette[:-1])


def octave_labels(mask: Tensor) -> Tensor:
    """Connected parts of bool [h, w] as GNU Octave's `bwlabel` numbers them: int64 [h, w].

    It goes through the columns; where parts meet, all take the number of the first labelled neighbour of (above, before, above before,
    below before), and what is left is numbered anew.
    """
    height, width = mask.shape
    found = torch.zeros(height, width, dtype=torch.int64)
    parent = [0]

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for column in range(width):
        for row in range(height):
            if not mask[row, column]:
                continue
            near = [(row - 1, column), (row, column - 1), (row - 1, column - 1), (row + 1, column - 1)]
            held = [root(int(found[r, c])) for r, c in near if 0 <= r < height and c >= 0 and found[r, c]]
            if not held:
                parent.append(len(parent))
                held = [len(parent) - 1]
            found[row, column] = held[0]
            for other in held[1:]:
                parent[root(other)] = root(held[0])
    roots = torch.tensor([root(i) for i in range(len(parent))])[found]
    return roots.unique(return_inverse=True)[1].view(roots.shape) + (0 if bool((roots == 0).any()) else 1)


def as_octave(segments: Segments, labels: Tensor, thin: tuple[int, ...]) -> Segments:
    """The same segments, numbered as Octave does; of thin classes from 2 on, since the first is the (empty) background."""
    table = segments.table.clone()
    thin_at = is_any(labels, thin)
    for index in range(len(labels)):
        rows = segments.of(index)
        for value in table[rows, 1].unique().tolist():
            own = rows[table[rows, 1] == value]
            parts = octave_labels((labels[index] == value) | (thin_at[index] & (value not in thin)))
            masks = segments.masks(own)
            order = torch.tensor([int(parts[mask][0]) for mask in masks]).argsort().argsort()
            table[own, 2] = order + (2 if value in thin else 1)
    place = torch.tensor(sorted(range(len(table)), key=lambda i: table[i, :3].tolist()), dtype=torch.int64)
    where = torch.zeros(len(table) + 1, dtype=torch.int64)
    where[place + 1] = torch.arange(1, len(table) + 1)
    return Segments(where[segments.numbers], table[place])


def run_canvas(case: Mapping[str, Any], io: Tensors) -> Tensors:
    """All results of the case. io: its tensors."""
    config = case["config"]
    low, high = config["low resolution (H,W)"], config["high resolution"]
    scale = (high[0] // low[0]).bit_length() - 1
    roles = replace(
        roles_of(SIMSConfig(), SPACE, SPACE.names), order=tuple(value - 1 for value in config["coarse order"])
    )
    labels, least = io["in/label_u8"].long(), config["area threshold"]
    own = as_octave(find_segments(labels[None], roles.classes, roles.thin), labels[None], roles.thin)
    trained = io["in/train_label_u8"].long()
    found = as_octave(find_segments(trained, roles.classes, roles.thin), trained, roles.thin)
    photos = io["in/train_image_2x_u8"].float() / 255, io["in/train_image_u8"].float() / 255
    names = [f"{i + 1:08d}" for i in range(len(trained))]
    bank = Bank(bank_tensors(found, io["in/train_label_2x_u8"].long(), *photos, names))
    rows = (own.table[:, 3] > least).nonzero()[:, 0]
    asked_for = {int(row): i for i, row in enumerate(rows)}
    scores = retrieval.overlaps(*queries(own, rows), bank)
    slots = retrieval.official(scores, bank.photo_of, config["top_k"])
    listed = with_empty(own, roles)
    out = segments_out(own, listed, labels, roles) | slots_out(listed, asked_for, slots, bank)
    out["out/train_segments_per_class"] = per_class(found, trained, roles)
    best = slots.best_first()
    ordered = in_order(listed, roles)
    pieces = pieces_of(own, ordered, asked_for, best, bank, roles, scale, io["in/transferred_u8"].float() / 255)
    out |= lists_out(ordered, asked_for, pieces, best, bank)
    pairs = all_pairs(own.table, rows, roles.order)
    shown = coloured(labels, PALETTE)
    out["out/order_pair_image_first3_u8"] = (
        (pair_pictures(own, pairs[:3], PALETTE, shown)[:, :3] * 255).round().to(torch.uint8)
    )
    table = own.table[torch.tensor(pairs)]
    out["out/order_pairs"] = torch.stack([table[:, 0, 2], table[:, 1, 2], table[:, 0, 1] + 1, table[:, 1, 1] + 1], 1)
    forced = io["in/forced_order_pairs"], io["in/forced_order_prediction"]
    plain = out["out/order_pairs"], io["in/order_prediction"]
    bands = config["se"], config["se_road"], config["se_tree"], config["se_outer"]
    for name, pairs_, edge, inner in (
        ("core", plain, no_edge, 0.0), ("forced", forced, no_edge, 0.0), ("e0", plain, sobel, 0.0), ("e1", plain, sobel, 1.0),
    ):  # fmt: skip
        rules = Rules(bands, inner, parity=True, edge=edge, elide=edge is not no_edge)
        canvas = paint(
            pieces, enlarged(labels[None], scale)[0], roles, rules, asked(pieces, *pairs_), torch.full(tuple(high), 0.5)
        )
        out[f"out/{name}/canvas_u8"] = (canvas.picture * 255).round().to(torch.uint8)
        out[f"out/{name}/label_u8"] = canvas.labels.to(torch.uint8)
    return out


def queries(own: Segments, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What `overlaps` asks with."""
    place = torch.zeros(len(own.table) + 1, dtype=torch.int64)
    place[rows + 1] = torch.arange(1, len(rows) + 1)
    return place[own.numbers[0]], own.table[rows, 1], own.table[rows, 3]


def with_empty(own: Segments, roles: Roles) -> list[Entry]:
    """(class, number, row) of the authors' list, in which a thin class begins with its empty background: row -1."""
    listed = [(c, n, row) for row, (_, c, n, _) in enumerate(own.table.tolist())]
    listed += [(c, 1, -1) for c in roles.thin]
    return sorted(listed)


def masks_of(own: Segments, rows: list[int]) -> Tensor:
    """bool [N, h, w], empty where a row is -1."""
    masks = own.masks(torch.tensor(rows).clamp_min(0))
    return masks & (torch.tensor(rows) >= 0)[:, None, None]


def segments_out(own: Segments, listed: list[Entry], labels: Tensor, roles: Roles) -> Tensors:
    """Segments with and without thin parts."""
    masks = masks_of(own, [row for *_, row in listed])
    classes = torch.tensor([c for c, *_ in listed])
    thin_at = is_any(labels, roles.thin) & ~is_any(classes, roles.thin)[:, None, None]
    return {
        "out/segment_class_and_number": torch.tensor([(c + 1, n) for c, n, _ in listed]),
        "out/segment_mask_u8": masks.to(torch.uint8),
        "out/segment_mask_with_thin_u8": with_thin(masks, thin_at).to(torch.uint8),
    }


def slots_out(listed: list[Entry], asked_for: Mapping[int, int], slots: retrieval.Candidates, bank: Bank) -> Tensors:
    """Scores and photos by slot; zeros for segments that are not asked for."""
    scores = torch.zeros(len(listed), slots.scores.shape[1])
    photos = torch.zeros(len(listed), slots.scores.shape[1], dtype=torch.int64)
    for i, (*_, row) in enumerate(listed):
        if row in asked_for:
            scores[i] = slots.scores[asked_for[row]]
            found = slots.rows[asked_for[row]]
            photos[i] = torch.where(found >= 0, bank.table[found.clamp_min(0), 0] + 1, 0)
    top = f"out/top{scores.shape[1]}"
    return {f"{top}_iou": scores, f"{top}_train_image": photos}


def per_class(found: Segments, labels: Tensor, roles: Roles) -> Tensor:
    """Segments of each photo and class, with the empty ones of thin classes."""
    counts = torch.zeros(len(labels), roles.classes, dtype=torch.int64)
    for photo, value, *_ in found.table.tolist():
        counts[photo, value] += 1
    counts[:, list(roles.thin)] += 1
    return counts


def in_order(listed: list[Entry], roles: Roles) -> list[Entry]:
    """The list in the order of painting."""
    rank = {value: i for i, value in enumerate(roles.order)}
    return sorted(listed, key=lambda entry: (rank[entry[0]], entry[1]))


def pieces_of(
    own: Segments, ordered: list[Entry], asked_for: Mapping[int, int], best: retrieval.Candidates, bank: Bank, roles: Roles,
    scale: int, moved: Tensor,
) -> Pieces:  # fmt: skip
    """What is painted."""
    chosen = [int(best.rows[asked_for[row], 0]) if row in asked_for else -1 for *_, row in ordered]
    taken = torch.tensor([row for row in chosen if row >= 0])
    place = iter(range(len(taken)))
    return Pieces(
        classes=torch.tensor([c for c, *_ in ordered]),
        numbers=torch.tensor([n for _, n, _ in ordered]),
        where=enlarged(where_of(own, ordered)[None], scale)[0],
        proposal=torch.tensor([next(place) if row >= 0 else -1 for row in chosen]),
        moved=moved,
        unmoved=bank.cut_out(taken, scale),
        around=enlarged(bank.around(taken, roles.thin), scale),
        sources=bank.maps(taken),
    )


def where_of(own: Segments, ordered: list[Entry]) -> Tensor:
    """The entry that each pixel belongs to, -1 for none."""
    place = torch.full((len(own.table) + 1,), -1, dtype=torch.int64)
    for i, (*_, row) in enumerate(ordered):
        if row >= 0:
            place[row + 1] = i
    return place[own.numbers[0]]


def asked(pieces: Pieces, pairs: Tensor, scores: Tensor) -> Callable[[int, int], bool | None]:
    """The authors' look-up: with the proposal's place where the table has the segment's number."""
    rows = {tuple(pair): int(best) for pair, best in zip(pairs.tolist(), scores.argmax(1), strict=True)}

    def in_front(earlier: int, later: int) -> bool | None:
        first, second = int(pieces.classes[earlier]) + 1, int(pieces.classes[later]) + 1
        found = rows.get((int(pieces.numbers[earlier]), int(pieces.proposal[later]) + 1, first, second))
        return None if found is None else found == first

    return in_front


def lists_out(
    ordered: list[Entry], asked_for: Mapping[int, int], pieces: Pieces, best: retrieval.Candidates, bank: Bank
) -> Tensors:
    """Proposals and the remaining segments in the order of painting."""
    with_one = (pieces.proposal >= 0).tolist()
    kept = [entry for entry, one in zip(ordered, with_one, strict=True) if one]
    rest = [entry for entry, one in zip(ordered, with_one, strict=True) if not one]
    flags, left = [], 0
    for place in pieces.proposal.tolist():
        left += place < 0
        flags.append((1, place + 1) if place >= 0 else (2, left))
    places = [asked_for[row] for *_, row in kept]
    return {
        "out/class_flag": torch.tensor(flags),
        "out/proposal_class": torch.tensor([c + 1 for c, *_ in kept]),
        "out/proposal_original_index": torch.tensor([n for _, n, _ in kept]),
        "out/proposal_iou": best.scores[places, 0].double(),
        "out/proposal_train_image": bank.table[best.rows[places, 0], 0] + 1,
        "out/proposal_u8": (pieces.unmoved * 255).round().to(torch.uint8),
        "out/remained_class": torch.tensor([c + 1 for c, *_ in rest]),
        "out/remained_original_index": torch.tensor([n for _, n, _ in rest]),
    }
