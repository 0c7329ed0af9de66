"""The networks in a checkpoint: wrappers taken off, optimizers and counters set aside and named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from zoo.errors import WeightsError

PARALLEL = ("module", "_orig_mod")
"""What DataParallel and torch.compile put in front of a network's keys."""
EMA = re.compile(r"(^|[._])(ema|shadow|averaged?|g_ema|gema|polyak)\w*", re.IGNORECASE)
"""Names of entries that hold averaged weights: ema, params_ema, model_ema, ema_state_dict, shadow, G_ema …"""
_DEPTH = 8
_MOST = 200_000
"""More entries than any checkpoint has: a few shared dicts can stand for billions."""

Tensors = dict[str, Tensor]


@dataclass
class Contents:
    """tensors: by their full names, nesting joined with dots; ignored: name of an entry and what it is."""

    tensors: Tensors = field(default_factory=dict)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    seen: int = 0


def contents(value: Any) -> Contents:
    """All named tensors of a checkpoint's content, and what was left out. Raises WeightsError for one without end."""
    entries = Contents()
    _collect(value, (), entries, set())
    return entries


def _collect(value: Any, path: tuple[str, ...], entries: Contents, above: set[int]) -> None:
    name = ".".join(path) or "the file"
    entries.seen += 1
    if entries.seen > _MOST:
        raise WeightsError(f"The file names more than {_MOST:,} entries: no checkpoint of a network.")
    if isinstance(value, Tensor):
        entries.tensors[name] = value
    elif isinstance(value, Mapping):
        if is_optimizer(value):
            entries.ignored.append((name, "optimizer state"))
        elif len(path) >= _DEPTH or id(value) in above:
            entries.ignored.append((name, "nested too deeply"))
        else:
            for key, inner in value.items():
                _collect(inner, (*path, str(key)), entries, above | {id(value)})
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        _collect_list(value, name, path, entries, above)
    else:
        entries.ignored.append((name, _kind(value)))


def _collect_list(value: Sequence[Any], name: str, path: tuple[str, ...], entries: Contents, above: set[int]) -> None:
    """A list of state dicts counts as such; a list of bare tensors has no names to go by."""
    if any(isinstance(v, Tensor) for v in value):
        entries.ignored.append((name, f"a list of {len(value)} tensors without names"))
    elif value and all(isinstance(v, Mapping) for v in value) and len(path) < _DEPTH and id(value) not in above:
        for i, inner in enumerate(value):
            _collect(inner, (*path, str(i)), entries, above | {id(value)})
    else:
        entries.ignored.append((name, "a list"))


def is_optimizer(value: Mapping[Any, Any]) -> bool:
    """True for the state dict of an optimizer (or several by name: no network has `param_groups`)."""
    return "param_groups" in value or (
        "state" in value and isinstance(value["state"], Mapping) and all(isinstance(k, int) for k in value["state"])
    )


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "a number" if isinstance(value, int | float) else type(value).__name__


def groups(tensors: Mapping[str, Tensor]) -> dict[str, Tensors]:
    """Tensors by the first part of their names (up to a dot or slash), which is taken off; names of one part are left out."""
    by_prefix: dict[str, Tensors] = {}
    for key, tensor in tensors.items():
        match = re.match(r"([^./]+)[./](.+)", key)
        if match:
            by_prefix.setdefault(match[1], {})[match[2]] = tensor
    return by_prefix


def without_parallel(tensors: Tensors, depth: int = 3) -> Tensors:
    """The same tensors without `module.` and `_orig_mod.` wherever all of a network's keys have it."""
    parts = groups(tensors)
    whole = sum(map(len, parts.values())) == len(tensors)
    if whole and len(parts) == 1 and (name := next(iter(parts))) in PARALLEL:
        return without_parallel(parts[name], depth)
    if depth == 0 or not any(f"{p}." in k for k in tensors for p in PARALLEL):
        return tensors
    cut: Tensors = {k: v for k, v in tensors.items() if not re.search(r"[./]", k)}
    for name, inner in parts.items():
        cut |= {f"{name}.{k}": v for k, v in without_parallel(inner, depth - 1).items()}
    return cut


def is_ema(path: str) -> bool:
    """Does an entry of this name hold averaged weights?"""
    return bool(EMA.search(path))


def with_buffers_of(average: Tensors, raw: Mapping[str, Tensor]) -> Tensors | None:
    """Averaged weights that lack the buffers, completed from the raw network beside them; None if they do not belong together."""
    if not average or not set(average) < set(raw) or any(raw[k].shape != v.shape for k, v in average.items()):
        return None
    return {k: average.get(k, v) for k, v in raw.items()}


def walk(tensors: Tensors, *, least: int = 8) -> Iterator[tuple[str, Tensors]]:
    """Groups of a level that are large enough for a network."""
    return ((name, inner) for name, inner in groups(tensors).items() if len(inner) >= least)
