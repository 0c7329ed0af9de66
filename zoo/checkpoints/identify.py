"""Whose networks a checkpoint holds: every architecture's `official.detect` is asked, by keys and shapes alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.checkpoints.averages import name_averages
from zoo.checkpoints.networks import (
    Tensors,
    contents,
    groups,
    is_ema,
    walk,
    with_buffers_of,
    without_parallel,
    without_wrappers,
)
from zoo.checkpoints.reading import read_checkpoint
from zoo.checkpoints.variants import Nearest, nearest_variants
from zoo.errors import ZooError
from zoo.registry import FIRST_PARTY, Match, registry, told
from zoo.registry.border import detected

_LEVELS = 4
"""How deep below the top of a file a network may lie."""
SHOWN = 5
"""Keys and rejected candidates that a report shows."""


@dataclass(frozen=True)
class Candidate:
    """An architecture that recognised a network, and what it read off it."""

    architecture: str
    match: Match
    variants: tuple[Nearest, ...] = ()

    @property
    def expected(self) -> int:
        """Keys that such a network has."""
        return self.match.matched + len(self.match.missing) + len(self.match.misfit)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        m = self.match
        keys = {"missing": m.missing, "unknown": m.unknown, "misfit": m.misfit}
        return {
            "architecture": self.architecture,
            "role": m.role,
            "matched": m.matched,
            "expected": self.expected,
            **{k: {"count": len(v), "first": list(v[:SHOWN])} for k, v in keys.items()},
            "config": dict(m.config),
            "ambiguous": list(m.ambiguous),
            "variants": [v.to_json() for v in self.variants],
        }


@dataclass(frozen=True)
class Network:
    """One network of a file. path: its entry's name, empty for the whole file; tensors: by their official keys, wrappers off.

    candidates: all systems that have it to the last key (several: a tie); rejected: near misses, the nearest first.
    """

    path: str
    tensors: Tensors
    candidates: tuple[Candidate, ...] = ()
    rejected: tuple[Candidate, ...] = ()

    @property
    def averaged(self) -> bool:
        """True for averaged weights (EMA), by the entry's name."""
        return is_ema(self.path)

    @property
    def parameters(self) -> int:
        """Numbers in it, buffers included."""
        return sum(t.numel() for t in self.tensors.values())

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "entry": self.path,
            "tensors": len(self.tensors),
            "numbers": self.parameters,
            "averaged": self.averaged,
            "tie": len(self.candidates) > 1,
            "candidates": [c.to_json() for c in self.candidates],
            "rejected": [c.to_json() for c in self.rejected],
        }


@dataclass
class Report:
    """What a file holds. files: all that were read (of shards, the index first); ignored: entries that are no networks; unmatched:
    averaged weights whose names nothing tells; faults: detectors that failed on it; content: all that the file holds, if it was read with
    its data."""

    file: Path
    form: str
    networks: list[Network]
    ignored: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    files: tuple[Path, ...] = ()
    unmatched: list[str] = field(default_factory=list)
    content: Any = field(default=None, repr=False)

    @property
    def named(self) -> list[Network]:
        """Networks that somebody owns."""
        return [n for n in self.networks if n.candidates]

    def nearest(self) -> str:
        """A sentence on the nearest rejected candidates of networks that nobody has, or an empty string."""
        nobodys = [n for n in self.networks if not n.candidates]
        near = _best((c for n in nobodys for c in n.rejected), max((len(n.tensors) for n in nobodys), default=0))
        return ", ".join(
            f"{c.architecture} {c.match.role} ({c.match.matched} of {c.expected} keys fit)" for c in near[:3]
        )

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "file": str(self.file),
            "format": self.form,
            "recognised": bool(self.named),
            "networks": [n.to_json() for n in self.networks],
            "ignored": [{"entry": name, "what": what} for name, what in self.ignored],
            "faults": self.faults,
        }


def identify(path: Path, *, data: bool = False, only: Iterable[str] | None = None) -> Report:
    """Read a file and recognise its networks.

    data: False reads shapes alone (the tensors are on the meta device). only: the architectures to ask; None: all. Raises
    WeightsError for what is no checkpoint or would run code.
    """
    checkpoint = read_checkpoint(path, data=data)
    entries = contents(checkpoint.content)
    name_averages(entries)
    report = Report(path, checkpoint.form, [], entries.ignored, files=checkpoint.files, unmatched=entries.unmatched)
    report.content = checkpoint.content if data else None
    detectors = _detectors(report.faults, only)
    report.networks = _visit("", without_wrappers(entries.tensors), detectors, report, 0)
    report.networks += _averages(report, detectors)
    return report


def identify_shapes(shapes: Mapping[str, tuple[int, ...]]) -> Report:
    """The same for bare keys and shapes."""
    import torch

    tensors = {k: torch.empty(s, device="meta") for k, s in shapes.items()}
    report = Report(Path(), "shapes", [])
    report.networks = _visit("", without_wrappers(tensors), _detectors(report.faults, None), report, 0)
    return report


def _detectors(faults: list[str], only: Iterable[str] | None) -> dict[str, Any]:
    """`detect` of every architecture that has one; a plugin that cannot be imported is a fault, not the end."""
    reg = registry()
    detectors: dict[str, Any] = {}
    # by name, first-party plugins first, whatever order they were registered in: ties are told in this order
    for name, arch in sorted(
        reg.architectures.items(), key=lambda a: (reg.owner(a[0]).distribution != FIRST_PARTY, a[0])
    ):
        alias = reg.architectures.get(name.partition(":")[2]) is arch  # the plain name is nobody else's
        if arch.official is None or (alias if only is None else name not in only):
            continue
        try:
            detectors[name] = reg.load(arch, "official").detect
        except (ZooError, AttributeError) as error:
            faults.append(f"{name}: {error}")
    return detectors


def _visit(path: str, tensors: Tensors, detectors: Mapping[str, Any], report: Report, level: int) -> list[Network]:
    """The networks at this level or below; a level that is none is reported with the nearest candidates."""
    whole, rejected, used = _ask(tensors, detectors, report)
    if whole:
        return [Network(path, used, whole, rejected)]
    below: list[Network] = []
    if level < _LEVELS:
        for name, inner in walk(tensors):
            below += _visit(f"{path}.{name}" if path else name, inner, detectors, report, level + 1)
    if any(n.candidates for n in below) or (len(groups(tensors)) == 1 and below):
        return below
    near = _best([*rejected, *(c for n in below for c in n.rejected)], len(tensors))
    return [Network(path, tensors, (), near)] if tensors else []


def _ask(
    tensors: Tensors, detectors: Mapping[str, Any], report: Report
) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...], Tensors]:
    """Complete matches, near misses, and the tensors under the keys that were recognised."""
    plain = without_parallel(tensors)
    for used in (tensors,) if plain.keys() == tensors.keys() else (plain, tensors):
        shapes = {k: tuple(v.shape) for k, v in used.items()}
        matches = [
            (name, match) for name, detect in detectors.items() if (match := _detect(name, detect, shapes, report))
        ]
        if matches:
            whole = tuple(Candidate(n, m, nearest_variants(n, m)) for n, m in matches if m.complete)
            return whole, _best([Candidate(n, m) for n, m in matches if not m.complete], len(used)), used
    return (), (), tensors


def _detect(name: str, detect: Any, shapes: dict[str, tuple[int, ...]], report: Report) -> Match | None:
    try:
        return detected(detect, shapes, limited=registry().owner(name).distribution != FIRST_PARTY)
    except ZooError as error:  # a plugin's detector met a network it did not think of: that is no match
        fault = f"{name}: {told(error)}"
        if fault not in report.faults:
            report.faults.append(fault)
        return None


def _averages(report: Report, detectors: Mapping[str, Any]) -> list[Network]:
    """Averaged weights without buffers, which the raw network beside them lends; they replace the unnamed entry."""
    averages: list[Network] = []
    for entry in [n for n in report.networks if n.averaged and not n.candidates]:
        for raw in report.named:
            tensors = with_buffers_of(without_parallel(entry.tensors), raw.tensors)
            if tensors is not None:
                whole, rejected, used = _ask(tensors, detectors, report)
                averages.append(Network(entry.path, used, whole, rejected))
                report.networks.remove(entry)
                report.ignored.append((entry.path, f"lacks buffers, which are taken from {raw.path or 'the file'}"))
                break
    return averages


def _nearness(candidate: Candidate, size: int) -> float:
    """Share of the keys of either side, file and network, that fit; size: keys of the file."""
    matched = candidate.match.matched
    union = candidate.expected + max(size - matched, 0)
    return matched / union if union else 0.0


def _once(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The best of each architecture and role."""
    best: dict[tuple[str, str], Candidate] = {}
    for c in candidates:
        best.setdefault((c.architecture, c.match.role), c)
    return list(best.values())


def _best(candidates: Iterable[Candidate], size: int) -> tuple[Candidate, ...]:
    """The nearest first, each architecture and role once."""
    return tuple(_once(sorted(candidates, key=lambda c: _nearness(c, size), reverse=True))[:SHOWN])
