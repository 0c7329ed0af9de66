"""Averaged weights (EMA) that were saved without the names of their network: found out from the raw weights beside them.

torch_ema (0.3) saves a list, `shadow_params`: one tensor per parameter, in the order of `parameters()`, which is that of the
state dict without its buffers. LitEma (latent diffusion) keeps each parameter as a buffer whose name is the parameter's without
dots (`model_ema.diffusion_modelout0weight` for `model.diffusion_model.out.0.weight`), and `decay` and `num_updates` beside them.
Names are given only where every tensor finds its place and has its shape; buffers are those of the raw weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from zoo.checkpoints.networks import Contents, Tensors, groups, is_ema, unwrapped

_BUFFER = re.compile(r"(^|\.)(running_mean|running_var|num_batches_tracked|weight_u|\d+\._[uv])$")
_COUNTERS = ("decay", "num_updates")
_COPY = "collected_params"
"""Where torch_ema puts the raw weights while the averages are in use."""
_SPELLINGS: tuple[Callable[[str], str], ...] = (str, "module.{}".format, "_orig_mod.{}".format, unwrapped)
"""How a raw name may have read when the averages were named."""
_DEPTH = 4
RAW_ALONE = "only raw weights are taken"


def name_averages(entries: Contents) -> None:
    """Give the averaged weights of a file their names, under the entry that they have; what finds none is left out and said so."""
    raw = {k: v for k, v in entries.tensors.items() if not is_ema(k)}
    for path, values in entries.unnamed:
        if path.endswith(_COPY):
            entries.ignored.append((path, "a copy of the raw weights"))
        elif is_ema(path):
            _name_list(path, values, raw, entries)
        else:
            entries.ignored.append((path, f"a list of {len(values)} tensors without names"))
    for path in _dotless(entries.tensors):
        _name_dotless(path, raw, entries)


def parameters(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of a state dict without the buffers of norms and spectral norms, in order."""
    return [
        k
        for k in tensors
        if not _BUFFER.search(k) and not (k.endswith("weight_v") and f"{k.removesuffix('v')}u" in tensors)
    ]


# --- lists (torch_ema) --------------------------------------------------------------------------------------------------


def _name_list(path: str, values: Sequence[Tensor], raw: Tensors, entries: Contents) -> None:
    found = _by_order(values, raw)
    if found is None:
        entries.unmatched.append(path)
        why = f"{len(values)} averaged weights without names, which no raw weights of this file match"
        entries.ignored.append((path, f"{why}: {RAW_ALONE}"))
        return
    where, network = found
    average = network | dict(zip(parameters(network), values, strict=True))
    entries.tensors |= {f"{path}.{k}": v for k, v in average.items()}
    outer = list(groups(network))
    entry = where or (outer[0] if len(outer) == 1 else "the file")
    entries.ignored.append((path, f"has no names: those of {entry} are given by order, with its buffers"))


def _by_order(values: Sequence[Tensor], raw: Tensors) -> tuple[str, Tensors] | None:
    """The entry whose parameters have the shapes of this list, one by one; None where none has, or two with other names."""
    shapes = [v.shape for v in values]
    fitting = [(p, t) for p, t in _levels("", raw, _DEPTH) if [t[k].shape for k in parameters(t)] == shapes]
    if not fitting:
        return None
    path, network = fitting[0]  # the outermost: those below it have its names, cut short
    names = list(network)
    for _, other in fitting[1:]:
        if any(a != b and not a.endswith(f".{b}") for a, b in zip(names, other, strict=False)):
            return None
    return path, network


def _levels(path: str, tensors: Tensors, depth: int) -> Iterator[tuple[str, Tensors]]:
    """All entries of a file that hold tensors, from the outside."""
    yield path, tensors
    if depth:
        for name, inner in groups(tensors).items():
            yield from _levels(f"{path}.{name}" if path else name, inner, depth - 1)


# --- names without dots (LitEma) ----------------------------------------------------------------------------------------


def _dotless(tensors: Tensors) -> list[str]:
    """Entries with averaged weights whose names have no dots."""
    found: dict[str, list[str]] = {}
    for key in tensors:
        path, _, name = key.rpartition(".")
        if is_ema(path.rpartition(".")[2]):
            found.setdefault(path, []).append(name)
    return [p for p, names in found.items() if set(_COUNTERS) <= set(names)]


def _name_dotless(path: str, raw: Tensors, entries: Contents) -> None:
    """Put the dots back into one entry's names, by those of an entry beside it."""
    average: Tensors = {}
    for key in [k for k in entries.tensors if k.rpartition(".")[0] == path]:
        name = key.rpartition(".")[2]
        tensor = entries.tensors.pop(key)
        if name in _COUNTERS:
            entries.ignored.append((key, "a counter of averaged weights"))
        else:
            average[name] = tensor
    above = path.rpartition(".")[0]
    beside = {k[len(above) + 1 :] if above else k: v for k, v in raw.items() if not above or k.startswith(f"{above}.")}
    for where, network in groups(beside).items():
        for spelling in _SPELLINGS:
            named = _with_dots(average, network, spelling)
            if named:
                entries.tensors |= {f"{path}.{k}": v for k, v in (network | named).items()}
                source = f"{above}.{where}" if above else where
                note = f"has names without dots: matched to {source}, whose buffers it takes"
                entries.ignored.append((path, note))
                return
    entries.unmatched.append(path)
    why = f"{len(average)} averaged weights with names without dots, which no raw weights beside them match"
    entries.ignored.append((path, f"{why}: {RAW_ALONE}"))


def _with_dots(average: Tensors, network: Tensors, spelling: Callable[[str], str]) -> Tensors | None:
    """Averaged weights by the names of a network; None if one has no place there, or two."""
    names: dict[str, list[str]] = {}
    for key in network:
        names.setdefault(spelling(key).replace(".", ""), []).append(key)
    named: Tensors = {}
    for name, tensor in average.items():
        keys = names.get(name, [])
        if len(keys) != 1 or network[keys[0]].shape != tensor.shape:
            return None
        named[keys[0]] = tensor
    return named if set(parameters(network)) & set(named) else None
