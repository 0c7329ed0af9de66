"""What a map gives the tiled generator: semantic vectors at every scale, and for the norms that see labels their rows by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.families.spade.blocks import resize_numbers
from zoo.families.spade.window_norms import WindowNorm
from zoo.families.spade.window_plans import Site, make_site
from zoo.inference.columns import Content, LabelConv
from zoo.inference.windows import shown_values
from zoo.nn.labels import one_hot
from zoo_plugins.scgan.tiled_norms import TiledSite

Vectors = tuple[tuple[Tensor, Tensor], ...]


@dataclass(frozen=True, eq=False)
class TiledPlan:
    """All that depends on the map alone. blocks: what each residual block reads. start: the first features where there is no latent.

    values: int64 [B, H, W], what a pixel holds. vectors: (v_conv, v_norm) by scale. sites: windows and rows of the norms that see labels, by
    scale.
    """

    blocks: tuple[TiledSite, ...]
    start: Tensor | None
    values: Tensor
    vectors: Vectors
    sites: dict[int, Site]


def plan_map(generator: Any, values: Tensor, edges: bool, content: Content, old: TiledPlan | None = None) -> TiledPlan:
    """The plan of the values that `LabelInput.values` gives for a map, int64 [B, H, W]; content: `LabelInput.content`.

    old: the plan of another map of this model, from which is taken what did not change; itself where nothing did.
    """
    changed = None
    if old is not None and old.values.shape == values.shape:
        changed = (old.values != values).flatten(1).any(1)
        if not bool(changed.any()):
            return old

    def vectors(rows: Tensor) -> Vectors:
        shown, numbers = shown_values(rows // 2 if edges else rows)
        planes = one_hot(numbers, len(shown))
        if edges:
            planes = torch.cat([planes, (rows % 2)[:, None].to(planes)], 1)
            shown = torch.cat([shown, shown.new_tensor([generator.planes - 1])])
        return tuple(generator.svg(planes, shown))

    if old is None or changed is None or bool(changed.all()):
        made = vectors(values)
    else:
        made = tuple(
            (_spliced(a, c, changed), _spliced(b, d, changed))
            for (a, b), (c, d) in zip(old.vectors, vectors(values[changed]), strict=True)
        )
    return _assembled(generator, values, content, made, old)


def plan_planes(generator: Any, planes: Tensor) -> TiledPlan:
    """The plan of planes [B, planes, H, W] of any content; equal pixels are one value. It is of no use as `old`."""
    pixels = planes.permute(0, 2, 3, 1)
    holds, numbers = torch.unique(pixels.flatten(0, 2), dim=0, return_inverse=True)
    values = numbers.view(pixels.shape[:3])
    return _assembled(
        generator, values, lambda chosen: holds.index_select(0, chosen), tuple(generator.svg(planes, None)), None
    )


def _assembled(generator: Any, values: Tensor, content: Content, vectors: Vectors, old: TiledPlan | None) -> TiledPlan:
    norms: dict[int, dict[str, WindowNorm]] = {}
    for block, step in generator.blocks():
        seeing = {f"{step.name}.{name}": norm for name, norm in block.label_norms().items()}
        if seeing:
            norms.setdefault(step.scale, {}).update(seeing)
    sites = {
        scale: make_site(
            resize_numbers(values, generator.size(scale)), among, content, None if old is None else old.sites[scale]
        )
        for scale, among in norms.items()
    }
    blocks = []
    for block, step in generator.blocks():
        site = sites.get(step.scale)
        rows = {} if site is None else {n: site.tables.rows[f"{step.name}.{n}"] for n in block.label_norms()}
        v_conv, v_norm = vectors[step.scale]
        blocks.append(TiledSite(v_conv, v_norm, None if site is None else site.index, rows))
    start = None
    if isinstance(generator.fc, LabelConv):
        start = generator.fc(resize_numbers(values, generator.grid), content)
    return TiledPlan(tuple(blocks), start, values, vectors, sites)


def _spliced(before: Tensor, after: Tensor, rows: Tensor) -> Tensor:
    out = before.clone()
    out[rows] = after
    return out
