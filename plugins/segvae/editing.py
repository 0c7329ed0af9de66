"""Edits of SegVAE: what a list of edits asks for, the pass that draws the new shapes, and what uncovered pixels become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.labels import IGNORE
from zoo.plugin import Add, Edit, LabelSpace, Latents, LayeredMap, Redraw, Remove, RngLike, SemanticMap, UsageError
from zoo_plugins.segvae.config import SegVAEOptions
from zoo_plugins.segvae.steps import unroll

if TYPE_CHECKING:
    from zoo_plugins.segvae.model import SegVAE

CHUNK = 1024


@dataclass
class EditPlan:
    """What a list of edits comes to, per sample and channel: bool [B, C] and, for the drawn ones, noise eps [B, C, Z].

    present: the classes afterwards; drawn: those that get a new shape; removed: those that lose theirs.
    """

    present: Tensor
    drawn: Tensor
    removed: Tensor
    eps: Tensor

    @property
    def touched(self) -> Tensor:
        """Classes that are drawn or removed: bool [B, C]."""
        return self.drawn | self.removed


def edit_map(
    model: SegVAE,
    semantic_map: SemanticMap | LayeredMap,
    edits: Sequence[Edit],
    latents: Latents | None,
    rng: RngLike,
    options: SegVAEOptions,
) -> SemanticMap:
    """What `SegVAE.edit` does."""
    given = model.layered(semantic_map)
    flat = isinstance(semantic_map, SemanticMap)
    shown = semantic_map.present() if flat else semantic_map.layers.flatten(2).amax(2) > 0
    drawn = model.values[1:].cpu()
    plan = plan_edits(model, model.shown(model.planes(given)).cpu(), shown.cpu()[:, drawn], edits, rng)
    latents = {"eps": plan.eps} if latents is None else latents
    if options.regenerate:
        return model.flatten(model.layers(model.shapes(model.vector(plan.present), latents)), options)
    before, after = model.flatten(given).labels, model.flatten(edit_layers(model, given, plan, latents)).labels
    if options.uncovered == "nearest":
        edited = torch.zeros(len(after), len(model.label_space), dtype=torch.bool)
        edited[:, drawn] = plan.touched
        after = fill_nearest(before, after, edited.to(after.device), model.label_space)
    if flat and model.label_space.ignore:
        # unlabeled pixels belong to no layer; they stay unlabeled where no part was drawn on them
        old = semantic_map.to(after.device).resize(model.resolution).labels
        after = torch.where((old == IGNORE) & (after == model.values[0]), IGNORE, after)
    return SemanticMap(after, model.label_space)


def plan_edits(model: SegVAE, present: Tensor, shown: Tensor, edits: Sequence[Edit], rng: RngLike) -> EditPlan:
    """The plan of edits in their order, for maps with the classes `present` (bool [B, C]) at the model's resolution.

    shown: the classes at the maps' own size; a part too small for the model's pixels can still be redrawn.

    The n-th edit of a kind on the same classes has random numbers of its own, whatever other edits stand around it. Samples
    that lack a class to redraw, or have one to add, are left alone. Raises UsageError for classes that are not drawn, kinds
    that SegVAE has not, and a redraw of what no map shows.
    """
    start, drawn = present, torch.zeros_like(present)
    eps = model.normals(rng)
    seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for edit in edits:
        kind = type(edit).__name__.lower()
        if not isinstance(edit, Add | Remove | Redraw):
            raise UsageError(f"SegVAE has no edit {kind!r} (it has: {', '.join(sorted(model.edits))}).")
        indices = [_class(model, name) for name in edit.classes]
        names = tuple(model.channels[i] for i in indices)
        source = rng.within(kind, *names, seen[kind, names])
        seen[kind, names] += 1
        named = torch.zeros(len(model.channels), dtype=torch.bool)
        named[indices] = True
        if isinstance(edit, Remove):
            present, drawn, shown = present & ~named, drawn & ~named, shown & ~named
            continue
        if isinstance(edit, Redraw):
            present = present | (named & shown)
        if isinstance(edit, Redraw) and not bool((present & named).any()):
            raise UsageError(
                f"Nothing to {kind}: no map shows {' or '.join(names)}. To put a part there use add:{','.join(names)}."
            )
        wanted = named & (present if isinstance(edit, Redraw) else ~present)
        eps = torch.where(wanted[..., None], model.normals(source), eps)
        present, drawn = present | wanted, drawn | wanted
    return EditPlan(present, drawn, start & ~present, eps)


def _class(model: SegVAE, name: str) -> int:
    value = model.label_space.index(name)
    values = model.values[1:].tolist()
    if value not in values:
        raise UsageError(f"{name!r} is no part that SegVAE edits; its parts are {', '.join(model.channels)}.")
    return values.index(value)


def edit_layers(model: SegVAE, given: LayeredMap, plan: EditPlan, latents: Latents) -> LayeredMap:
    """The given layers [B, K, R, R] with the plan's classes emptied or written anew (0 or 1), every other layer untouched.

    One teacher-forced pass: the canvas shows the given layers, and the new ones as they come.
    """
    values = model.values[1:].tolist()
    drawn, removed = plan.drawn.to(given.layers.device), plan.removed.to(given.layers.device)
    layers = given.layers.clone()
    for index in plan.removed.any(0).nonzero().flatten().tolist():
        layers[removed[:, index], values[index]] = 0.0
    targets = {index + 1 for index in plan.drawn.any(0).nonzero().flatten().tolist()}
    if not targets:
        return LayeredMap(layers, given.space)
    label_set = model.vector(plan.present)
    truth = model.planes(LayeredMap(layers, given.space)).to(label_set.dtype)
    for step in unroll(
        model, label_set, truth=truth, forced=True, decode=frozenset(targets), **model.noise(latents, len(truth))
    ):
        if step.channel not in targets:
            continue
        shape = step.shape(step.drawn)
        assert shape is not None
        rows = drawn[:, step.channel - 1]
        new = (shape[:, 0] > 0.5)[rows]
        truth[rows, step.channel] = new.to(truth)  # the steps that follow see it
        layers[rows, values[step.channel - 1]] = new.to(layers)
        targets.discard(step.channel)
        if not targets:
            break
    return LayeredMap(layers, given.space)


def fill_nearest(before: Tensor, after: Tensor, edited: Tensor, space: LabelSpace) -> Tensor:
    """Pixels that showed an edited class and now show nothing take the class of the nearest pixel that shows another one.

    before, after: labels [B, H, W]; edited: bool [B, K] by label value. Sources are all other pixels, background included, of
    classes that were not edited; at equal distance the first in reading order wins. A class that lies on another passes on
    that one (beside a brow the forehead goes on as skin). Without a source nothing changes.
    """
    filled = after.clone()
    ground = torch.tensor([lower[-1] if lower else v for v, lower in enumerate(space.under)], device=after.device)
    for sample, classes in enumerate(edited):
        open_ = classes[before[sample]] & (after[sample] == space.background_index)
        source = ~open_ & ~classes[after[sample]]
        if bool(open_.any()) and bool(source.any()):
            nearest = _nearest(after[sample], open_, source)
            filled[sample][open_] = torch.where(classes[ground[nearest]], nearest, ground[nearest])
    return filled


def _nearest(labels: Tensor, open_: Tensor, source: Tensor) -> Tensor:
    """Labels of the sources nearest to the open pixels, in reading order."""
    # the nearest source borders on something that is none, so the others need not be looked at
    rim = source & (F.max_pool2d((~source)[None, None].float(), 3, 1, 1)[0, 0] > 0)
    wanted, sources = open_.nonzero(), rim.nonzero()
    number = torch.arange(len(sources), device=labels.device)
    numbers = []
    for part in wanted.split(CHUNK):
        distance = (part[:, None] - sources).square().sum(2)  # integers: the same on every machine
        numbers.append((distance * len(sources) + number).argmin(1))
    return labels[tuple(sources[torch.cat(numbers)].T)]
