"""Semantic maps: a class number per pixel, always with the label space that says what the numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F

from zoo.errors import LabelError
from zoo.files.images import save_image
from zoo.files.mapfiles import check_instances, read_map_file, to_values
from zoo.files.mapformats import MAP_FORMATS
from zoo.labels import IGNORE, LabelSet, LabelSpace, Mapping

PACKED_COLORS = 16
"""Pillow writes palettes of so many colours with fewer than 8 bits per pixel."""
MAX_PACKED = 62
"""Classes that the bits of an int64 hold (`LayeredMap.bits`), its sign left alone."""

SPLINE = torch.tensor([1.0, 6.0, 1.0])[None, None] / 8
"""Weights of a pixel and its neighbours by which outlines lose their steps, and lines of one pixel stay."""


@dataclass(frozen=True, eq=False)
class SemanticMap:
    """labels: int64 [B, H, W], values of `space` (255 where the space allows "unlabeled").

    instances: int64 [B, H, W] instance numbers, or None. Raises LabelError for values outside the space.
    """

    labels: torch.Tensor
    space: LabelSpace
    instances: torch.Tensor | None = None

    def __post_init__(self) -> None:
        labels = self.labels
        if labels.dim() != 3 or labels.is_floating_point():
            raise LabelError(
                f"A semantic map is an integer tensor [B, H, W], got {labels.dtype} {tuple(labels.shape)}."
            )
        object.__setattr__(self, "labels", labels.long())
        legal = (self.labels >= 0) & (self.labels < len(self.space))
        if self.space.ignore:
            legal |= self.labels == IGNORE
        if not bool(legal.all()):
            strange = sorted(set(self.labels[~legal].unique().tolist()))[:10]
            raise LabelError(
                f"Values {strange} are no classes of {self.space.name!r} (valid: 0..{len(self.space) - 1})."
            )
        if self.instances is not None and self.instances.shape != labels.shape:
            raise LabelError(
                f"Instances have shape {tuple(self.instances.shape)}, the labels {tuple(labels.shape)}: they must agree."
            )

    def __len__(self) -> int:
        return self.labels.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.labels.shape[1], self.labels.shape[2]

    def __getitem__(self, index: int | slice | Sequence[int]) -> SemanticMap:
        if isinstance(index, int):
            index = [index]
        instances = None if self.instances is None else self.instances[index]
        return SemanticMap(self.labels[index], self.space, instances)

    def to(self, device: torch.device | str) -> SemanticMap:
        """The same map on another device."""
        instances = None if self.instances is None else self.instances.to(device)
        return SemanticMap(self.labels.to(device), self.space, instances)

    def repeat_interleave(self, count: int) -> SemanticMap:
        """Each map `count` times in a row."""
        instances = None if self.instances is None else self.instances.repeat_interleave(count, 0)
        return SemanticMap(self.labels.repeat_interleave(count, 0), self.space, instances)

    @staticmethod
    def cat(maps: Sequence[SemanticMap]) -> SemanticMap:
        """Maps of one space and size as one batch."""
        spaces, sizes = {m.space.name for m in maps}, {m.size for m in maps}
        if len(spaces) > 1 or len(sizes) > 1:
            raise LabelError(
                f"Maps of different label spaces or sizes cannot form a batch: {sorted(spaces)}, {sorted(sizes)}."
            )
        instances = [m.instances for m in maps if m.instances is not None]
        joined = torch.cat(instances) if len(instances) == len(maps) else None
        return SemanticMap(torch.cat([m.labels for m in maps]), maps[0].space, joined)

    @classmethod
    def from_png(cls, path: Path | str, space: LabelSpace, *, instances: Path | str | None = None) -> SemanticMap:
        """Read one map [1, H, W]: palette and grey files hold class numbers, RGB files the space's colours.

        instances: a second file of the same size whose values number the objects.
        Raises DataError for unreadable files, LabelError (histogram, valid range, likely fix) for unknown values.
        """
        labels = to_values(read_map_file(path), space)
        if instances is None:
            return cls.from_arrays(labels, space)
        file = read_map_file(instances)
        check_instances(file.path, file.mode, file.values is not None, file.size, (labels.shape[0], labels.shape[1]))
        return cls.from_arrays(labels, space, file.values)

    @classmethod
    def from_arrays(cls, labels: np.ndarray, space: LabelSpace, instances: np.ndarray | None = None) -> SemanticMap:
        """One map [1, H, W] from integer arrays [H, W], which it copies."""
        numbers = None if instances is None else torch.from_numpy(instances.astype(np.int64))[None]
        return cls(torch.from_numpy(labels.astype(np.int64))[None], space, numbers)

    def to_pil(self, index: int = 0, map_format: str = "palette") -> PIL.Image.Image:
        """One map as a picture whose pixel value is the class: `palette` shows it in the space's colours (mode P), `grey` has
        no colours (mode L). Saved as PNG, both have 8 bits per pixel. Raises LabelError for another `map_format`."""
        if map_format not in MAP_FORMATS:
            raise LabelError(f"A map is written as {' or '.join(MAP_FORMATS)}, not as {map_format!r}.")
        image = PIL.Image.fromarray(self.labels[index].cpu().numpy().astype(np.uint8))
        if map_format == "palette":
            colors = [c for color in self.space.palette for c in color]
            # Pillow packs the values of a short palette into 4 bits or fewer, which cannot hold 255 ("unlabeled") and which
            # some readers take for other numbers
            short = self.space.ignore or len(self.space) <= PACKED_COLORS
            image.putpalette(colors + [0] * (3 * (IGNORE + 1) - len(colors)) if short else colors)
        return image

    def to_png(self, path: Path | str, index: int = 0, map_format: str = "palette") -> None:
        """Write one map as an 8-bit PNG (under a temporary name first), as `to_pil` makes it."""
        save_image(self.to_pil(index, map_format), path)

    def resize(self, size: tuple[int, int]) -> SemanticMap:
        """Nearest-neighbour resize to (height, width), pixel centres aligned; a centre between two pixels takes the later.

        Pillow's NEAREST is the same except at such ties, where its rounding errors decide (1024 to 224; not 1024 to 128).
        """
        if size == self.size:
            return self

        rows, columns = (places.to(self.labels.device) for places in nearest(self.size, size))

        def scaled(values: torch.Tensor) -> torch.Tensor:
            return values[:, rows[:, None], columns[None]]

        return SemanticMap(scaled(self.labels), self.space, None if self.instances is None else scaled(self.instances))

    def enlarge(self, size: tuple[int, int]) -> SemanticMap:
        """As `resize`; but where both sides grow to half as much again or more, each pixel takes the class with the largest share of its place
        (a quadratic B-spline, then bilinear), so that outlines stay smooth instead of showing steps. Maps with instances are resized."""
        if self.instances is not None or any(2 * new < 3 * old for new, old in zip(size, self.size, strict=True)):
            return self.resize(size)
        grown = []
        for labels in self.labels:
            shown = labels.unique()
            shares = F.pad((labels == shown[:, None, None]).float()[:, None], (1, 1, 1, 1), mode="replicate")
            spline = SPLINE.to(shares.device)
            shares = F.conv2d(F.conv2d(shares, spline[..., None]), spline[:, :, None])
            shares = F.interpolate(shares, size, mode="bilinear", align_corners=False)
            grown.append(shown[shares[:, 0].argmax(0)])
        return SemanticMap(torch.stack(grown) if grown else self.resize(size).labels, self.space)

    def to_space(self, other: LabelSpace) -> SemanticMap:
        """The same map in another label space, joined by names and aliases.

        Classes without a counterpart become the other space's background. Raises LabelError if pixels of such a class
        occur and there is no background, or if the spaces have no class in common.
        """
        return self.mapped(self.space.mapping_to(other))

    def mapped(self, mapping: Mapping) -> SemanticMap:
        """Apply a mapping made by `LabelSpace.mapping_to`."""
        if mapping.identity and (mapping.target.ignore or not mapping.source.ignore):
            return SemanticMap(self.labels, mapping.target, self.instances)
        table = torch.full((IGNORE + 1,), IGNORE, dtype=torch.long)
        table[: len(mapping.table)] = torch.tensor(mapping.table)
        if not mapping.target.ignore:
            table[IGNORE] = -1 if mapping.target.background_index is None else mapping.target.background_index
        labels = table.to(self.labels.device)[self.labels]
        if bool((labels < 0).any()):
            lost = [self.space.names[v] for v in self.labels[labels < 0].unique().tolist() if v < len(self.space)]
            raise LabelError(
                f"The map shows {', '.join(lost) or 'unlabeled pixels'}, which {mapping.target.name!r} lacks, and it has no background to put there:"
                " repaint these parts or choose another model."
            )
        return SemanticMap(labels, mapping.target, self.instances)

    def mirrored(self) -> SemanticMap:
        """Flipped left to right, left and right classes exchanged; unlabeled pixels stay so, instance numbers are dropped."""
        table = torch.arange(256)
        table[: len(self.space)] = torch.tensor(self.space.mirror_table)
        return SemanticMap(table.to(self.labels.device)[self.labels.flip(-1)], self.space)

    def present(self) -> torch.Tensor:
        """Which classes occur: bool [B, C]."""
        counts = torch.zeros(len(self), IGNORE + 1, dtype=torch.bool, device=self.labels.device)
        counts.scatter_(1, self.labels.flatten(1), True)
        return counts[:, : len(self.space)]

    def label_sets(self) -> list[LabelSet]:
        """The classes that occur in each map."""
        return [
            LabelSet(self.space, tuple(n for n, p in zip(self.space.names, row, strict=True) if p))
            for row in self.present().tolist()
        ]

    def label_set(self, index: int = 0) -> LabelSet:
        """The classes that occur in one map."""
        return self[index].label_sets()[0]

    def colorize(self) -> torch.Tensor:
        """The maps in the space's colours: float32 [B, 3, H, W] in [0, 1]; unlabeled pixels are black."""
        palette = torch.zeros(IGNORE + 1, 3)
        palette[: len(self.space)] = torch.tensor(self.space.palette, dtype=torch.float32) / 255
        return palette.to(self.labels.device)[self.labels].permute(0, 3, 1, 2).contiguous()

    def same_as(self, other: SemanticMap) -> torch.Tensor:
        """Where two maps of one space and size agree: bool [B, H, W]."""
        if self.space.name != other.space.name:
            raise LabelError(f"Maps of {self.space.name!r} and {other.space.name!r} cannot be compared pixel by pixel.")
        return self.labels == other.labels


@dataclass(frozen=True, eq=False)
class LayeredMap:
    """Soft parts that may overlap (skin lies under the nose). layers: float [B, C, H, W] in [0, 1], one per class."""

    layers: torch.Tensor
    space: LabelSpace

    def __post_init__(self) -> None:
        if self.layers.dim() != 4 or self.layers.shape[1] != len(self.space):
            raise LabelError(
                f"Layers of {self.space.name!r} have shape [B, {len(self.space)}, H, W], got {tuple(self.layers.shape)}."
            )
        if not self.layers.is_floating_point():
            raise LabelError(f"Layers are floats in [0, 1], got {self.layers.dtype}: use layers.float().")

    def __len__(self) -> int:
        return self.layers.shape[0]

    @classmethod
    def from_map(cls, semantic_map: SemanticMap, fill: bool = False) -> LayeredMap:
        """The layers of a flat map: each pixel is 1 in its class's layer. Unlabeled pixels are in none.

        fill: what a class lies on (`LabelClass.on`, and what that lies on) is 1 there too, so that the skin goes on under
        the nose. Painted in `space.paint_order` the filled layers give the flat map back exactly (without unlabeled pixels).
        """
        labels, space = semantic_map.labels, semantic_map.space
        planes = torch.zeros(len(labels), len(space) + 1, *semantic_map.size, device=labels.device)
        layers = planes.scatter_(1, labels.clamp(max=len(space))[:, None], 1.0)[
            :, :-1
        ]  # the last plane takes "unlabeled"
        if fill:
            for value, lower in enumerate(space.under):
                for under in lower:
                    layers[:, under] = torch.where(labels == value, 1.0, layers[:, under])
        return cls(layers, space)

    @classmethod
    def from_bits(cls, bits: torch.Tensor, space: LabelSpace) -> LayeredMap:
        """The layers of packed maps: int64 [B, H, W], bit c set where class c lies. Raises LabelError as `bits` does."""
        _check_bits(space)
        if bits.dim() != 3 or bits.dtype != torch.int64:
            raise LabelError(f"Packed layers are int64 [B, H, W], got {bits.dtype} {tuple(bits.shape)}.")
        if bool(((bits >> len(space)) != 0).any()):
            raise LabelError(f"Packed layers have bits beyond the {len(space)} classes of {space.name!r}.")
        return cls(torch.stack([((bits >> c) & 1).float() for c in range(len(space))], 1), space)

    def to(self, device: torch.device | str) -> LayeredMap:
        """The same layers on another device."""
        return LayeredMap(self.layers.to(device), self.space)

    def resize(self, size: tuple[int, int]) -> LayeredMap:
        """Nearest-neighbour resize to (height, width), the pixels that `SemanticMap.resize` takes."""
        if size == tuple(self.layers.shape[2:]):
            return self
        return LayeredMap(F.interpolate(self.layers, size=size, mode="nearest-exact"), self.space)

    def bits(self) -> torch.Tensor:
        """The layers packed: int64 [B, H, W], bit c set where layer c is > 0.5. Raises LabelError for more than 62 classes."""
        _check_bits(self.space)
        packed = torch.zeros_like(self.layers[:, 0], dtype=torch.int64)
        for value in range(len(self.space)):
            packed |= (self.layers[:, value] > 0.5).long() << value
        return packed

    def flatten(
        self,
        order: Sequence[str] | None = None,
        rule: Literal["painter", "argmax"] = "painter",
        *,
        threshold: float = 0.4,
    ) -> SemanticMap:
        """One class per pixel. Layers of classes that `order` leaves out are not looked at; the background's never is.

        painter: shapes > 0.5 are painted in `order` (class names, last on top; default `space.paint_order`); other
        foreground (sum of the parts > `threshold`) takes the strongest part; the rest is background.
        argmax: the strongest part (of equal ones the first in `order`) where the sum of the parts is > `threshold`, else
        background (in a space without background the strongest part everywhere).
        """
        background = self.space.background_index
        values = [self.space.index(n) for n in (self.space.paint_order if order is None else order)]
        parts = [v for v in values if v != background]
        weights = self.layers[:, parts]
        numbers = torch.tensor(parts, device=weights.device)
        labels = numbers[weights.argmax(1)]
        if background is not None:
            labels = torch.where(weights.sum(1) > threshold, labels, background)
        if rule == "painter":
            for position, value in enumerate(parts):
                labels = torch.where(weights[:, position] > 0.5, value, labels)
        elif rule != "argmax":
            raise LabelError(f"Unknown flattening rule {rule!r}: expected 'painter' or 'argmax'.")
        return SemanticMap(labels, self.space)


def nearest(size: tuple[int, int], target: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Which rows and columns of a map of (height, width) `size` a nearest-neighbour resize to `target` takes, int64 each.

    Asked of torch itself, with the target's own size: torch rounds otherwise where height and width sum to 128 or less.
    """
    rows = torch.arange(size[0], dtype=torch.float64)[None, None, :, None]
    columns = torch.arange(size[1], dtype=torch.float64)[None, None, None]
    taken = [F.interpolate(line, size=target, mode="nearest-exact")[0, 0].long() for line in (rows, columns)]
    return taken[0][:, 0], taken[1][0]


def _check_bits(space: LabelSpace) -> None:
    if len(space) > MAX_PACKED:
        raise LabelError(f"{space.name!r} has {len(space)} classes; packed layers hold at most {MAX_PACKED}.")
