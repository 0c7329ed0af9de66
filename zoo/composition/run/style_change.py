"""How far a style given to single classes reaches: the change inside these classes, and away from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.composition.request.requests import Request
from zoo.composition.summary import ratio
from zoo.interfaces.pictures import finished
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo.style import Style

if TYPE_CHECKING:
    from zoo.composition.run.inputs import Loader
    from zoo.interfaces.models import Layout

REACH, AT = 16, 128
"""Pixels around the classes that count neither as inside nor as outside, in a picture whose shorter side has `AT` pixels."""


def styled_classes(request: Request) -> tuple[str, ...]:
    """The classes that have a style of their own, as the user wrote them."""
    return tuple(dict.fromkeys(c for s in request.styles for c in s.classes or ()))


def reach(size: tuple[int, int]) -> int:
    """`REACH`, scaled to pictures of (height, width)."""
    return round(REACH * min(size) / AT)


def dilate(mask: Tensor, pixels: int) -> Tensor:
    """bool [B, H, W]: True within a square of `pixels` pixels to each side of a True one."""
    side = 2 * pixels + 1
    rows = F.max_pool2d(mask[:, None].float(), (side, 1), 1, (pixels, 0))
    return F.max_pool2d(rows, (1, side), 1, (0, pixels))[:, 0] > 0


def measure(maps: SemanticMap, images: Tensor, base: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
    """For each sample, how its picture differs from the one with the base style (the same request without classes' own).

    images, base: float [B, 3, H, W] in [0, 1] at the size of the maps. inside: mean absolute difference (0 to 1, over colours)
    in the pixels of these classes; outside: in those farther than `reach` from them; ratio: outside / inside. None where
    there is no such pixel, or nothing changed inside.
    """
    numbers = sorted({maps.space.index(c) for c in classes})
    chosen = torch.zeros(256, dtype=torch.bool)
    chosen[numbers] = True
    inside = chosen[maps.labels.cpu()]
    margin = reach(maps.size)
    outside = ~dilate(inside, margin) & inside.flatten(1).any(1)[:, None, None]
    change = (images - base).abs().mean(1).double()
    names = [maps.space.names[i] for i in numbers]
    reports = []
    for row in range(len(maps)):
        a, b = _mean(change[row][inside[row]]), _mean(change[row][outside[row]])
        numbers_of = {"inside": a, "outside": b, "ratio": ratio(a, b)}
        reports.append({"classes": names, "reach": margin, **numbers_of})
    return reports


def _mean(values: Tensor) -> float | None:
    return round(float(values.mean()), 5) if len(values) else None


def record_change(
    records: Sequence[dict[str, Any]],
    loader: Loader,
    layout: Layout,
    maps: SemanticMap,
    images: Tensor,
    base: Style | None,
    rng: Rng,
) -> None:
    """Put the reports of `measure` into the records of these samples. base: their styles without the classes' own (None: the
    request has none, and there is nothing to measure); rng: what made `images`. Renders once for each map and base style."""
    if base is None:
        return
    plain = loader.base_images.render(loader, layout, maps, base, rng)
    reports = measure(maps, images, plain, styled_classes(loader.request))
    for record, report in zip(records, reports, strict=True):
        record["style_change"] = report


class BaseImages:
    """Pictures with the base style: one render for each map and base style, kept while batches need it."""

    def __init__(self) -> None:
        self._kept: dict[bytes, Tensor] = {}

    @torch.inference_mode()
    def render(self, loader: Loader, layout: Layout, maps: SemanticMap, style: Style, rng: Rng) -> Tensor:
        """float32 [B, 3, H, W] on the CPU. layout: of these maps, or of the one that all samples show; style: a row per sample."""
        synthesizer = loader.models.synthesizer
        assert synthesizer is not None
        style = style.to("cpu")
        noisy = synthesizer.draws_noise and style.rng is None
        keys = [_digest(maps, style, row, rng.samples[row] if noisy else None) for row in range(len(maps))]
        kept = {k: self._kept[k] for k in keys if k in self._kept}
        rows = [row for row, key in enumerate(keys) if key not in kept and keys.index(key) == row]
        if rows:
            whole = len(layout.semantic_map) == 1 or len(rows) == len(maps)
            fitting = layout if whole else synthesizer.layout(maps[rows].to(loader.models.device))
            options = loader.models.options(loader.request)["synthesizer"]
            streams = rng.take([rng.samples[r] for r in rows])
            made = finished(synthesizer.synthesize(fitting, style[rows], rng=streams, **options), synthesizer)
            kept |= {keys[row]: made[i] for i, row in enumerate(rows)}
        self._kept = kept
        return torch.stack([kept[key] for key in keys])


def _digest(maps: SemanticMap, style: Style, row: int, sample: int | None = None) -> bytes:
    """What decides a picture: map, object numbers, style, and for a synthesizer that draws noise the sample that it is drawn for."""
    digest = hashlib.blake2b(maps.labels[row].cpu().numpy().tobytes(), digest_size=16)
    if maps.instances is not None:
        digest.update(maps.instances[row].cpu().numpy().tobytes())
    for name in sorted(style.tensors):
        digest.update(style.tensors[name][row].contiguous().float().numpy().tobytes())
    if style.rng is not None:  # what the synthesizer draws while it works
        sample = style.rng.samples[row]
    if sample is not None:
        digest.update(str(sample).encode())
    return digest.digest()
