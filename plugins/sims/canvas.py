"""The canvas: proposals pasted from far to near, with the map that becomes of it (docs/papers/sims.md, "Canvas")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from zoo_plugins.sims.borders import Edge, sobel, widened
from zoo_plugins.sims.roles import Roles
from zoo_plugins.sims.segments import is_any, numbered

InFront = Callable[[int, int], bool | None]
"""(an earlier piece, a later one) -> whether the earlier one lies in front; None where nobody knows."""


class Canvas(NamedTuple):
    """picture: RGB [3, H, W] in [0, 1], black in holes. labels: the adjusted map int64 [H, W], `Roles.classes` in holes."""

    picture: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class Pieces:
    """What is painted, in the order of painting; n pieces, of which P have a proposal.

    classes, numbers: int64 [n], class and number within the class. where: int64 [H, W], the piece that each pixel belongs to, -1 for
    none. proposal: int64 [n], its place among the proposals, -1 where there is none; they are numbered in the same order. moved, unmoved:
    proposals RGB [P, 3, H, W] on black, after and before the transformation. around: bool [P, H, W], the segment's own place in its photo
    with thin parts. sources: int64 [P, H, W], the maps of the photos.
    """

    classes: Tensor
    numbers: Tensor
    where: Tensor
    proposal: Tensor
    moved: Tensor
    unmoved: Tensor
    around: Tensor
    sources: Tensor

    def __len__(self) -> int:
        return len(self.classes)

    def masks(self) -> Tensor:
        """Where the pieces with a proposal belong: bool [P, H, W]."""
        return masks_of(self.where, self.proposal)


def masks_of(where: Tensor, proposal: Tensor) -> Tensor:
    """As `Pieces.masks`."""
    return where == (proposal >= 0).nonzero()[:, :, None]


@dataclass(frozen=True)
class Rules:
    """How a canvas is made. bands: sides as in the config. inner: share of the inner band that becomes white. parity: the authors' slip in
    what an earlier piece in front keeps; edge: what draws borders. elide: leave ground around objects to the network."""

    bands: tuple[int, ...]
    inner: float
    parity: bool
    edge: Edge = sobel
    elide: bool = True


def supports(proposals: Tensor) -> Tensor:
    """Where proposals [P, 3, H, W] are not black: bool [P, H, W]."""
    return proposals.sum(1) > 0


def chosen(pieces: Pieces) -> Tensor:
    """Of each proposal the moved form, or the unmoved one where that covers as much of its mask: [P, 3, H, W]."""
    masks = pieces.masks()
    better = (supports(pieces.moved) & masks).sum((1, 2)) > (supports(pieces.unmoved) & masks).sum((1, 2))
    return torch.where(better[:, None, None, None], pieces.moved, pieces.unmoved)


def paint(pieces: Pieces, labels: Tensor, roles: Roles, rules: Rules, in_front: InFront, noise: Tensor) -> Canvas:
    """labels: the map int64 [H, W]. in_front: asked for pieces that meet. noise: [H, W] in (0, 1); the white share is below `inner`."""
    hole, size = roles.classes, labels.shape
    picture = torch.zeros(3, *size, device=labels.device)
    made, filled = labels.clone(), torch.full(size, -1, dtype=torch.int64, device=labels.device)
    pictures, masks, done = chosen(pieces), pieces.masks(), 0
    for place, i in enumerate((pieces.proposal >= 0).nonzero()[:, 0].tolist()):
        left_out(picture, made, pieces, done, i)
        value, done = int(pieces.classes[i]), i + 1
        made[masks[place] | pieces.around[place]] = hole
        piece = pictures[place]
        shown = piece.sum(0) > 0
        covered = behind(i, shown, filled, in_front, rules.parity)
        shown, piece = shown & ~covered, piece * ~covered
        made[shown], filled[shown] = value, i
        taken = dropped(piece, value, pieces.sources[place], roles, rules)
        piece = piece * ~taken
        support = piece.sum(0) > 0
        white = rules.edge(support[None])
        white = widened(white, rules.bands[0])[0] & support & (noise < rules.inner)
        piece = torch.where(white, 1.0, piece)
        picture = torch.where(support | shown, piece, picture)
    left_out(picture, made, pieces, done, len(pieces))
    return Canvas(*finished(picture, made, filled, labels, roles, rules))


def left_out(picture: Tensor, made: Tensor, pieces: Pieces, start: int, stop: int) -> None:
    """Pieces start..stop - 1, none of which has a proposal, in place: their class, and nothing on the canvas."""
    mask = (pieces.where >= start) & (pieces.where < stop)
    made[mask] = pieces.classes[pieces.where[mask]]
    picture[:, mask] = 0


def behind(index: int, shown: Tensor, filled: Tensor, in_front: InFront, parity: bool) -> Tensor:
    """Pixels of a piece that lie behind earlier ones: bool [H, W]. filled: the piece painted last, -1 where none is.

    Quirk (parity): of the overlap the authors keep what the piece in front covers, and remove what others cover.
    """
    overlap = shown & (filled >= 0)
    covered = torch.zeros_like(shown)
    for earlier in filled[overlap].unique().tolist():
        if in_front(earlier, index):
            own = filled == earlier
            covered |= overlap & (~own if parity else own)
    return covered


def dropped(piece: Tensor, value: int, source: Tensor, roles: Roles, rules: Rules) -> Tensor:
    """Pixels that are taken out of a piece [3, H, W] of a class: old shadows on the ground, ragged borders: bool [H, W]."""
    nothing = torch.zeros_like(source, dtype=torch.bool)
    if value in roles.ground:
        return widened(rules.edge(is_any(source, roles.vehicles)[None]), rules.bands[1])[0]
    if value in roles.ragged:
        return widened(rules.edge((piece.sum(0) > 0)[None]), rules.bands[2])[0]
    return nothing


def finished(
    picture: Tensor, made: Tensor, filled: Tensor, labels: Tensor, roles: Roles, rules: Rules
) -> tuple[Tensor, Tensor]:
    """Holes of context classes get their class back; the ground around objects is blackened."""
    made = torch.where((made == roles.classes) & is_any(labels, roles.context), labels, made)
    if not rules.elide:
        return picture, made
    ground = is_any(made, (*roles.ground, roles.classes))
    return picture * ~(shadowed(made, roles.objects, rules) & ground), made


def shadowed(made: Tensor, objects: Sequence[int], rules: Rules) -> Tensor:
    """Around each connected part of objects in a map int64 [H, W], where shadows may fall: bool [H, W].

    Its band, inside its box and an eighth of the width more to the left, and (quirk) of the height to the right and below. Sides are
    counted from pixel to pixel, and halves are rounded up.
    """
    near, shown = torch.zeros_like(made, dtype=torch.bool), is_any(made, objects)[None]
    parts, first, _ = numbered(made[None], shown)
    reach = rules.bands[3] + 2
    for number, (top, bottom, left, right) in enumerate(part_boxes(parts[0], shown[0], len(first)).tolist()):
        # a window with room for the band: borders depend on nothing farther away
        window = slice(max(0, top - reach), bottom + reach + 1), slice(max(0, left - reach), right + reach + 1)
        mask = (parts[0][window] == number) & shown[0][window]
        band = widened(rules.edge(mask[None]), rules.bands[3])[0]
        below, beside = (bottom - top + 4) // 8, (right - left + 4) // 8
        allowed = torch.zeros_like(near)
        allowed[top : bottom + below + 1, max(0, left - beside) : right + below + 1] = True
        near[window] |= band & allowed[window]
    return near


def part_boxes(parts: Tensor, shown: Tensor, count: int) -> Tensor:
    """First row, last row, first column and last column of each part of a map int64 [H, W], where `shown`: int64 [count, 4]."""
    rows, columns = shown.nonzero(as_tuple=True)
    found = parts[shown]
    ends = []
    for places, side in ((rows, shown.shape[0]), (columns, shown.shape[1])):
        ends.append(torch.full((count,), side, device=parts.device).scatter_reduce(0, found, places, "amin"))
        ends.append(torch.zeros(count, dtype=torch.int64, device=parts.device).scatter_reduce(0, found, places, "amax"))
    return torch.stack(ends, 1)
