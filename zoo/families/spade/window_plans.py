"""What a map gives a generator whose SPADEs go by window: at each scale the windows of its pixels and the norms' rows for them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from zoo.families.spade.blocks import resize_numbers
from zoo.families.spade.generator import SkeletonGenerator
from zoo.families.spade.window_blocks import BlockTables
from zoo.families.spade.window_norms import WindowNorm
from zoo.inference.columns import Content, LabelConv
from zoo.inference.memory import Scratch
from zoo.inference.windows import number_tuples, shown_values, touched, windows_at, windows_of

ROOM = 0.5
"""Rows that later strokes may add, as a share of those that a map needs."""
AFRESH = 0.5
"""Where more pixels than this share see a change, everything is made afresh."""
_APPENDING = threading.Lock()


class Tables:
    """Rows of all norms of one scale. Rows are appended, never changed, so layouts made from one another share one object."""

    def __init__(self, rows: dict[str, Tensor], used: int) -> None:
        """rows: by norm, [used and unwritten ones, 2 * channels]."""
        self.rows, self.used = rows, used

    def append(self, rows: Mapping[str, Tensor]) -> int | None:
        """The number of the first of these rows; None if there is no room."""
        many = len(next(iter(rows.values())))
        with _APPENDING:
            first = self.used
            if first + many > len(next(iter(self.rows.values()))):
                return None
            self.used += many
        for name, made in rows.items():
            self.rows[name][first : first + many] = made
        return first


@dataclass(frozen=True, eq=False)
class Site:
    """One scale of a map. values: int16 [B, h, w], with the same meaning in all layouts of a model. index: int32 [B, h, w], the row
    of each pixel in `tables`."""

    values: Tensor
    index: Tensor
    tables: Tables

    def block(self, name: str) -> BlockTables:
        """What the block `name` reads."""
        rows = self.tables.rows
        return BlockTables(self.index, rows[f"{name}.norm_0"], rows[f"{name}.norm_1"], rows.get(f"{name}.norm_s"))


def make_site(values: Tensor, norms: Mapping[str, WindowNorm], content: Content, old: Site | None = None) -> Site:
    """The windows of values int64 [B, h, w] >= 0 and the rows of `norms`.

    old: a site of the same model and size; itself where nothing differs, and else its rows serve all pixels that see no change.
    """
    kernel = next(iter(norms.values())).kernel
    if old is not None and old.values.shape == values.shape:
        changed = old.values != values
        if not bool(changed.any()):
            return old
        made = _amended(old, values, changed, kernel, norms, content)
        if made is not None:
            return made
    shown, numbers = shown_values(values)
    windows, known = windows_of(numbers, len(shown), kernel), content(shown)
    used = len(windows.outer)
    spare = int(ROOM * max(512, used))
    scratch = Scratch()
    rows = {name: norm.rows(windows, known, spare, scratch) for name, norm in norms.items()}
    return Site(values.short(), windows.index, Tables(rows, used))


def _amended(
    old: Site, values: Tensor, changed: Tensor, kernel: int, norms: Mapping[str, WindowNorm], content: Content
) -> Site | None:
    """`old` with new rows for the pixels that see a change; None where that is no gain."""
    seen = touched(changed, kernel)
    if len(seen.places) > AFRESH * values.numel():
        return None
    shown, numbers = shown_values(seen.of(values))
    windows, known = windows_at(numbers, len(shown), kernel, seen.places), content(shown)
    scratch = Scratch()
    first = old.tables.append({name: norm.rows(windows, known, 0, scratch) for name, norm in norms.items()})
    if first is None:
        return None
    return Site(values.short(), seen.replaced(old.index, windows.index + first), old.tables)


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """All that depends on the map alone. sites: by doublings of the start grid. start: the first features where the map gives them."""

    sites: dict[int, Site]
    start: Tensor | None

    def tables(self, generator: SkeletonGenerator) -> list[BlockTables]:
        """What each block of the generator reads, in order."""
        return [self.sites[step.scale].block(step.name) for step in generator.steps]


def plan_windows(
    generator: SkeletonGenerator, values: Tensor, content: Content, old: WindowPlan | None = None
) -> WindowPlan:
    """The plan of values int64 >= 0 [B, H, W] for a generator of `WindowBlock`s; content: see `zoo.inference.columns`.

    old: the plan of a map of the same size (values mean the same in both), from which is taken what did not change; itself where
    nothing did.
    """
    sites: dict[int, Site] = {}
    for scale, norms in norms_by_scale(generator).items():
        small = resize_numbers(values, generator.size(scale))
        sites[scale] = make_site(small, norms, content, None if old is None else old.sites[scale])
    if old is not None and all(site is old.sites[scale] for scale, site in sites.items()):
        return old
    start = None
    if isinstance(generator.fc, LabelConv):
        start = generator.fc(resize_numbers(values, generator.grid), content)
    return WindowPlan(sites, start)


def norms_by_scale(generator: SkeletonGenerator) -> dict[int, dict[str, WindowNorm]]:
    """The norms of all blocks, by scale and by name."""
    norms: dict[int, dict[str, WindowNorm]] = {}
    for block, step in generator.blocks():
        norms.setdefault(step.scale, {}).update({f"{step.name}.{name}": norm for name, norm in block.norms().items()})
    return norms


def plan_planes(generator: SkeletonGenerator, planes: Tensor) -> WindowPlan:
    """The plan of planes [B, planes, H, W] of 0 and 1, whatever they mean: equal pixels are one value. It is of no use as `old`."""
    bits = planes.long()
    values, _ = number_tuples(bits.unbind(1), 2)
    shown, numbers = shown_values(values)
    content = planes.new_empty(len(shown), planes.shape[1])
    content[numbers.flatten()] = planes.permute(0, 2, 3, 1).flatten(0, 2)
    return plan_windows(generator, numbers, lambda chosen: content.index_select(0, chosen))
