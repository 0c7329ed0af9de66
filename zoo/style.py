"""Styles: what a synthesizer needs besides the map, as named tensors with named axes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from pathlib import Path

import torch
from torch import Tensor

from zoo.errors import UsageError, WeightsError, ZooError, did_you_mean, few, shown
from zoo.files.headers import header_of, not_finite
from zoo.files.images import write_atomic
from zoo.files.jsonfiles import field, parse_json
from zoo.rng import RngLike, join_rows, take_rows

AXES = ("sample", "class", "instance", "region", "layer", "channel", "height", "width")


@dataclass(frozen=True, eq=False)
class Style:
    """tensors: name to float tensor; axes: name to the axis names of each, "sample" first.

    classes, layers: the names along the "class" and "layer" axes (layers from the coarsest).
    present: bool [samples, classes], which classes have a style (absent entries hold zeros); None: all.
    visible: bool [samples, classes, layers], where a class had pixels at that layer; None: as `present`.
    rng: the source of what the synthesizer draws while it works, one stream per sample, if it draws anything.
    """

    tensors: Mapping[str, Tensor]
    axes: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    present: Tensor | None = None
    visible: Tensor | None = None
    rng: RngLike | None = attribute(default=None, compare=False)

    def __post_init__(self) -> None:
        for name, tensor in self.tensors.items():
            axes = self.axes.get(name, ())
            if len(axes) != tensor.dim() or axes[:1] != ("sample",) or any(a not in AXES for a in axes):
                raise UsageError(
                    f"Style tensor {name!r} of shape {tuple(tensor.shape)} needs as many axes, 'sample' first, got {axes}."
                )
            for axis, names in (("class", self.classes), ("layer", self.layers)):
                if axis in axes and tensor.shape[axes.index(axis)] != len(names):
                    raise UsageError(
                        f"Style tensor {name!r}: axis {axis!r} has {tensor.shape[axes.index(axis)]} entries for {len(names)} names."
                    )

    def __len__(self) -> int:
        return next(iter(self.tensors.values())).shape[0]

    def _map(self, function) -> Style:
        masks = {
            n: None if m is None else function(m) for n, m in (("present", self.present), ("visible", self.visible))
        }
        return replace(self, tensors={n: function(t) for n, t in self.tensors.items()}, **masks)

    def to(self, device: torch.device | str) -> Style:
        """The same style on another device."""
        return self._map(lambda t: t.to(device))

    def __getitem__(self, index: int | slice | Sequence[int]) -> Style:
        rows = [index] if isinstance(index, int) else index
        order = list(range(len(self)))
        return self._rows(lambda t: t[rows], order[rows] if isinstance(rows, slice) else [order[row] for row in rows])

    def _rows(self, function: Callable[[Tensor], Tensor], rows: Sequence[int]) -> Style:
        """`_map` for a function that puts these samples together; their streams go with them."""
        return replace(self._map(function), rng=None if self.rng is None else take_rows(self.rng, rows))

    def repeat_interleave(self, count: int) -> Style:
        """Each sample `count` times in a row."""
        rows = [row for row in range(len(self)) for _ in range(count)]
        return self._rows(lambda t: t.repeat_interleave(count, 0), rows)

    def expand(self, count: int) -> Style:
        """A style of one sample for `count` samples; one of `count` samples stays as it is. Raises UsageError."""
        if len(self) == count:
            return self
        if len(self) != 1:
            raise UsageError(
                f"A style of {len(self)} samples does not fit {count} maps: give one style or one per map."
            )
        return self._rows(lambda t: t.expand(count, *t.shape[1:]).contiguous(), [0] * count)

    @staticmethod
    def cat(styles: Sequence[Style]) -> Style:
        """Styles of the same model as one batch."""
        first = styles[0]
        tensors = {n: torch.cat([s.tensors[n] for s in styles]) for n in first.tensors}
        present = visible = None
        if any(s.present is not None for s in styles):
            present = torch.cat([s._presence() for s in styles])
        if any(s.visible is not None for s in styles):
            visible = torch.cat(
                [
                    s._presence()[:, :, None].expand(-1, -1, len(s.layers)) if s.visible is None else s.visible
                    for s in styles
                ]
            )
        sources = [s.rng for s in styles if s.rng is not None]
        rng = join_rows(sources) if len(sources) == len(styles) else None
        return replace(first, tensors=tensors, present=present, visible=visible, rng=rng)

    def _presence(self) -> Tensor:
        """`present`, spelled out where it is None."""
        device = next(iter(self.tensors.values())).device
        return (
            torch.ones(len(self), len(self.classes), dtype=torch.bool, device=device)
            if self.present is None
            else self.present
        )

    def _visibility(self, layers: Sequence[str]) -> Tensor:
        """`visible` at these layers, spelled out where it is None: [samples, classes, layers]."""
        if self.visible is None:
            return self._presence()[:, :, None].expand(-1, -1, len(layers))
        return self.visible[:, :, [self.layers.index(n) for n in layers]]

    def take(self, other: Style, *, classes: Sequence[str] | None = None, layers: Sequence[str] | None = None) -> Style:
        """This style with the entries of `other` at these classes and layers (None: all of that axis).

        Entries are aligned by name; tensors that lack a named axis stay as they are when that axis is restricted.
        What is drawn while the synthesizer works is `other`'s only if all of it is taken.
        Raises UsageError for a class, layer or tensor that one of the two does not have.
        """
        taken = self._blend(other, 1.0, classes, layers)
        whole = classes is None and layers is None
        return replace(taken, rng=other.expand(len(self)).rng) if whole else taken

    def lerp(
        self, other: Style, t: float, *, classes: Sequence[str] | None = None, layers: Sequence[str] | None = None
    ) -> Style:
        """(1 - t) * self + t * other at these classes and layers, aligned by name as in `take`.

        A class that one of the two lacks stays as it is here (so too where `take` is limited to layers).
        """
        return self._blend(other, t, classes, layers)

    def fill(self, prior: Style) -> Style:
        """The entries of `prior` for classes that are absent here and present there; nothing else changes."""
        if self.present is None or bool(self.present.all()):
            return self
        other = prior.to(self.present.device).expand(len(self))
        index = self._names("class", other, None)[1].to(self.present.device)
        theirs = other._presence()[:, index]
        tensors = dict(self.tensors)
        for name, tensor in self.tensors.items():
            if "class" in self.axes[name]:
                axis = self.axes[name].index("class")
                shape = [1] * tensor.dim()
                shape[0], shape[axis] = self.present.shape
                value = other.tensors[name].index_select(axis, index)
                tensors[name] = torch.where((~self.present & theirs).reshape(shape), value, tensor)
        visible = None
        if self.visible is not None:
            value = theirs[:, :, None] if other.visible is None else other._visibility(self.layers)[:, index]
            visible = torch.where(self.present[:, :, None], self.visible, value)
        return replace(self, tensors=tensors, present=self.present | theirs, visible=visible)

    def _names(self, axis: str, other: Style, wanted: Sequence[str] | None) -> tuple[Tensor, Tensor]:
        """Positions of the wanted names along an axis, here and in `other`."""
        mine, theirs = (self.classes, other.classes) if axis == "class" else (self.layers, other.layers)
        names = mine if wanted is None else tuple(wanted)
        for name in names:
            if name not in mine or name not in theirs:
                raise UsageError(
                    f"No style {axis} {name!r}{did_you_mean(name, mine if name not in mine else theirs)} (here: {', '.join(mine) or 'none'})"
                )
        return torch.tensor([mine.index(n) for n in names]), torch.tensor([theirs.index(n) for n in names])

    def _blend(self, other: Style, t: float, classes: Sequence[str] | None, layers: Sequence[str] | None) -> Style:
        other = other.to(next(iter(self.tensors.values())).device).expand(len(self))
        if set(other.tensors) != set(self.tensors):
            raise UsageError(
                f"Styles of different models do not mix: {sorted(self.tensors)} against {sorted(other.tensors)}."
            )
        chosen = {"class": classes, "layer": layers}
        for axis, names in chosen.items():
            if names is not None and not any(axis in axes for axes in self.axes.values()):
                raise UsageError(
                    f"This style has no {axis} axis: it cannot be changed for single {'classes' if axis == 'class' else 'layers'}."
                )
        # a share of an absent class's zeros would be no style: only classes that both have are changed in part
        partial = t != 1.0 or layers is not None
        tensors = dict(self.tensors)
        for name, tensor in self.tensors.items():
            axes = self.axes[name]
            if any(names is not None and axis not in axes for axis, names in chosen.items()):
                continue
            mine, theirs = _grid(self, other, name, chosen)
            value = other.tensors[name][theirs]
            blended = tensor.clone()
            blended[mine] = value if t == 1.0 else torch.lerp(tensor[mine], value, t)
            if partial and "class" in axes:
                blended = torch.where(self._both_present(other, name), blended, tensor)
            tensors[name] = blended
        visible = self._visible_with(other, t, classes, layers)
        if partial:
            return replace(self, tensors=tensors, visible=visible)
        return replace(self, tensors=tensors, present=self._present_with(other, classes), visible=visible)

    def _both_present(self, other: Style, name: str) -> Tensor:
        """Which classes of a tensor have a style here and in `other` (bool, broadcast over its other axes)."""
        shared = [(i, other.classes.index(c)) for i, c in enumerate(self.classes) if c in other.classes]
        both = torch.ones(len(self), len(self.classes), dtype=torch.bool)
        if self.present is not None:
            both &= self.present.cpu()
        if other.present is not None:
            for i, j in shared:
                both[:, i] &= other.present[:, j].cpu()
        tensor = self.tensors[name]
        shape = [1] * tensor.dim()
        shape[0], shape[self.axes[name].index("class")] = both.shape
        return both.reshape(shape).to(tensor.device)

    def _present_with(self, other: Style, classes: Sequence[str] | None) -> Tensor | None:
        if (self.present is None and other.present is None) or not self.classes:
            return None
        mine, theirs = self._names("class", other, classes)
        present = self._presence().clone()
        present[:, mine] = True if other.present is None else other.present[:, theirs]
        return present

    def _visible_with(
        self, other: Style, t: float, classes: Sequence[str] | None, layers: Sequence[str] | None
    ) -> Tensor | None:
        """`visible` after entries of `other` came in: theirs where they replace ours, either's where the two are mixed."""
        if (self.visible is None and other.visible is None) or not self.classes or not self.layers:
            return None
        mine, theirs = self._names("class", other, classes)
        at, there = self._names("layer", other, layers)
        visible = self._visibility(self.layers).clone()
        chosen = other._visibility(other.layers)[:, theirs][:, :, there]
        here = visible[:, mine][:, :, at]
        if t != 1.0 or layers is not None:
            both = (self._presence()[:, mine] & other._presence()[:, theirs])[:, :, None]
            chosen = torch.where(both, chosen if t == 1.0 else here | chosen, here)
        visible[:, mine[:, None], at] = chosen
        return visible

    def save(self, path: Path | str) -> None:
        """Write a safetensors file (without the rng)."""
        write_atomic(Path(path), lambda part: part.write_bytes(self.to_bytes()))

    def to_bytes(self) -> bytes:
        """The content of the file that `save` writes."""
        from safetensors.torch import save

        head = {
            "axes": {n: list(a) for n, a in self.axes.items()},
            "classes": list(self.classes),
            "layers": list(self.layers),
        }
        # safetensors refuses shared or non-contiguous memory
        tensors = {f"style.{n}": t.detach().cpu().contiguous().clone() for n, t in self.tensors.items()}
        for name, mask in (("present", self.present), ("visible", self.visible)):
            if mask is not None:
                tensors[name] = mask.cpu().contiguous().clone()
        # one key with sorted JSON: several metadata keys are written in random order
        return save(tensors, {"zoo": json.dumps(head, sort_keys=True)})

    @classmethod
    def load(cls, path: Path | str) -> Style:
        """Read a file written by `save`. Raises WeightsError for anything else."""
        path = Path(path)
        if path.is_dir():
            raise WeightsError(f"{path} is a folder, expected a style file (written by Style.save).")
        try:
            if not path.exists():
                raise WeightsError(f"There is no style file {path}.")
            if not path.is_file():
                raise WeightsError(f"{path} is no ordinary file (a device, pipe or socket): it is not opened.")
            if path.stat().st_size > LARGEST:
                raise WeightsError(
                    f"{path} has {path.stat().st_size:,} bytes, more than a style may have ({LARGEST:,})."
                )
            content = path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a path with a NUL
            raise _foreign(path, error) from error
        return cls.from_bytes(content, path)

    @classmethod
    def from_bytes(cls, content: bytes, path: Path | str) -> Style:
        """The style in the bytes of the file `path` (named in messages): finite numbers, as many rows as the style has samples, names of
        classes and layers that occur once. Raises WeightsError for anything else."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        texts: dict[str, str] = {}
        try:
            header = header_of(io.BytesIO(content), len(content), path, metadata=texts)
            head = parse_json(texts.get("zoo", "null"), where="its head")
            if (name := not_finite(content, header)) is not None:
                raise ValueError(f"the tensor {shown(name)} has numbers that are not finite")
            tensors = load(content)
            style = cls(
                {k.removeprefix("style."): t for k, t in tensors.items() if k.startswith("style.")},
                {k: _names(v, "axes") for k, v in field(head, "axes", dict, where="its head").items()},
                _names(head.get("classes"), "classes"),
                _names(head.get("layers"), "layers"),
                tensors.get("present"),
                tensors.get("visible"),
            )
            _check_counts(style, set(tensors))
        except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, ZooError) as error:
            raise _foreign(path, error) from error
        return style


LARGEST = 1 << 30
"""Bytes of a style file."""
_MOST = 1024
"""Most classes, layers or axes of a style."""


def _names(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST or len({*map(str, value)}) != len(value):
        raise ValueError(f"{what} are a list of different names, got {shown(repr(value))}")
    if not all(isinstance(n, str) and 0 < len(n) <= 200 for n in value):
        raise ValueError(f"{what} are names, got {shown(repr(value))}")
    return tuple(value)


def _check_counts(style: Style, names: set[str]) -> None:
    """Raises ValueError where the tensors of a file make no style: none at all, of other types, or of different numbers of samples."""
    odd = names - {f"style.{n}" for n in style.tensors} - {"present", "visible"}
    if odd or not style.tensors or style.axes.keys() != style.tensors.keys():
        raise ValueError(f"it has the tensors {few(sorted(names))}, and the axes of {few(sorted(style.axes))}")
    counts = {t.shape[0] for t in style.tensors.values()}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"its tensors are of {sorted(counts)} samples")
    if not all(t.is_floating_point() for t in style.tensors.values()):
        raise ValueError("its tensors hold whole numbers")
    sizes = (len(style), len(style.classes), len(style.layers))
    for name, mask, shape in (("present", style.present, sizes[:2]), ("visible", style.visible, sizes)):
        if mask is not None and (mask.dtype != torch.bool or tuple(mask.shape) != shape):
            raise ValueError(
                f"{name} has the shape {list(mask.shape)} of {mask.dtype}, expected {list(shape)} of torch.bool"
            )


def _foreign(path: Path | str, error: Exception) -> WeightsError:
    reason = str(getattr(error, "strerror", None) or error).rstrip(".")
    return WeightsError(f"{path} is not a style file of the zoo ({reason}): write one with Style.save.")


def _grid(mine: Style, other: Style, name: str, chosen: Mapping[str, Sequence[str] | None]) -> tuple[tuple, tuple]:
    """Index tuples that pick the chosen names along the named axes of one tensor, in `mine` and in `other`."""
    axes, tensor = mine.axes[name], mine.tensors[name]
    here: list[Tensor] = []
    there: list[Tensor] = []
    for position, axis in enumerate(axes):
        if axis in chosen:
            a, b = mine._names(axis, other, chosen[axis])
        else:
            a = b = torch.arange(tensor.shape[position])
        shape = [1] * len(axes)
        shape[position] = -1
        here.append(a.reshape(shape).to(tensor.device))
        there.append(b.reshape(shape).to(tensor.device))
    return tuple(here), tuple(there)
