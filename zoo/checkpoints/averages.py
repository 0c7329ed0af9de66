"""Averaged weights (EMA) that were saved without the names of their network: found out from the raw weights beside them.

torch_ema (0.3) saves a list, `shadow_params`: one tensor per parameter, in the order of `parameters()`, which is that of the
state dict without its buffers. LitEma (latent diffusion) keeps each parameter as a buffer whose name is the parameter's without
dots (`model_ema.diffusion_modelout0weight` for `model.diffusion_model.out.0.weight`), and `decay` and `num_updates` beside them.
Names are given only where every tensor finds its place and has its shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from zoo.checkpoints.networks import Contents, Tensors, groups, is_ema

_BUFFER = re.compile(r"(^|\.)(running_mean|running_var|num_batches_tracked|weight_u|\d+\._[uv])$")
_COUNTERS = ("decay", "num_updates")
_WRAPPERS = ("", "module", "_orig_mod")
_DEPTH = 4


def name_averages(entries: Contents) -> None:
    """Give the averaged weights of a file their names, under the entry that they have; what finds none is left out and said so."""
    for path, values in entries.unnamed:
        found = _by_order(values, entries.tensors)
        if found:
            names, raw = found
            entries.tensors |= {f"{path}.{k}": v for k, v in zip(names, values, strict=True)}
            note = f"averaged weights without names: matched to {raw or 'the file'} by order"
        elif is_ema(path):
            note = f"{len(values)} averaged weights without names, which no raw weights of this file match: only raw weights are taken"
            entries.unmatched.append(path)
        else:
            note = f"a list of {len(values)} tensors without names"
        entries.ignored.append((path, note))
    for path in _dotless(entries.tensors):
        _name_dotless(path, entries)


def parameters(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of a state dict without the buffers of norms and spectral norms, in order."""
    return [
        k
        for k in tensors
        if not _BUFFER.search(k) and not (k.endswith("weight_v") and f"{k.removesuffix('v')}u" in tensors)
    ]


def _by_order(values: Sequence[Tensor], tensors: Tensors) -> tuple[list[str], str] | None:
    """The names of a list of parameters and the entry that tells them; None where none does, or several that differ."""
    found: dict[tuple[str, ...], str] = {}
    for path, raw in _levels("", tensors, _DEPTH):
        names = parameters(raw)
        if not is_ema(path) and len(names) == len(values):
            if all(raw[k].shape == v.shape for k, v in zip(names, values, strict=True)):
                found.setdefault(tuple(names), path)
    deepest = max(found, key=lambda names: found[names].count("."), default=None)
    if deepest is None or any(not _ends(names, deepest) for names in found):
        return None
    return list(deepest), found[deepest]


def _ends(names: Sequence[str], deepest: Sequence[str]) -> bool:
    """Are these the same names, perhaps with more in front (the entry above)?"""
    return all(a == b or a.endswith(f".{b}") for a, b in zip(names, deepest, strict=True))


def _levels(path: str, tensors: Tensors, depth: int) -> Iterator[tuple[str, Tensors]]:
    """All entries of a file that hold tensors, from the outside."""
    yield path, tensors
    if depth:
        for name, inner in groups(tensors).items():
            yield from _levels(f"{path}.{name}" if path else name, inner, depth - 1)


def _dotless(tensors: Tensors) -> list[str]:
    """Entries with averaged weights whose names have no dots."""
    found: dict[str, list[str]] = {}
    for key in tensors:
        path, _, name = key.rpartition(".")
        if is_ema(path.rpartition(".")[2]):
            found.setdefault(path, []).append(name)
    nested = {k.rpartition(".")[0].rpartition(".")[0] for k in tensors}
    return [p for p, names in found.items() if set(_COUNTERS) & set(names) and len(names) > 2 and p not in nested]


def _name_dotless(path: str, entries: Contents) -> None:
    """Put dots back into one entry's names, by those of an entry beside it."""
    ema = {k.rpartition(".")[2]: v for k, v in entries.tensors.items() if k.rpartition(".")[0] == path}
    above = path.rpartition(".")[0]
    beside = {
        k.removeprefix(f"{above}."): v for k, v in entries.tensors.items() if k.startswith(f"{above}." if above else "")
    }
    for name in _COUNTERS:
        if name in ema:
            entries.ignored.append((f"{path}.{name}", "a counter of averaged weights"))
            del ema[name], entries.tensors[f"{path}.{name}"]
    for raw, inner in groups(
        {k: v for k, v in beside.items() if not k.startswith(f"{path.rpartition('.')[2]}.")}
    ).items():
        for wrapper in _WRAPPERS:
            names: dict[str, list[str]] = {}
            for key in inner:
                names.setdefault(wrapper + key.replace(".", ""), []).append(key)
            fits = all(len(names.get(k, ())) == 1 and inner[names[k][0]].shape == v.shape for k, v in ema.items())
            if fits:
                for name, value in ema.items():
                    del entries.tensors[f"{path}.{name}"]
                    entries.tensors[f"{path}.{names[name][0]}"] = value
                note = f"averaged weights without dots in their names: matched to {f'{above}.' if above else ''}{raw}"
                entries.ignored.append((path, note))
                return
    for name in ema:
        del entries.tensors[f"{path}.{name}"]
    entries.unmatched.append(path)
    note = "averaged weights without dots in their names, which no raw weights beside them match: only raw weights are taken"
    entries.ignored.append((path, note))
