"""A model as ONNX files: traced, compared, and only then put where the user wants them, all or none."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from zoo.errors import DataError, UsageError
from zoo.export.checking import HALF_TOLERANCE, TOLERANCE, differences, examples
from zoo.export.describing import describe
from zoo.export.tracing import exports_of, folded, halve, require_onnx, trace
from zoo.files.names import one_line
from zoo.files.writing import cannot_write, temporary_beside
from zoo.interfaces.exports import MAIN, Exports
from zoo.interfaces.models import Model
from zoo.rng import Rng

SUFFIX = ".onnx"
Told = Callable[[str], None]


def names_of(target: Path, graphs: tuple[str, ...], main: str, tensors: bool) -> dict[str, Path]:
    """Where everything goes: the main graph to `target`, another to STEM.NAME.onnx, the JSON to STEM.json ("json"), what recipes
    compute with to STEM.safetensors ("tensors")."""
    stem = target.name.removesuffix(SUFFIX)
    names = {n: target if n == main else target.with_name(f"{stem}.{n}{SUFFIX}") for n in graphs}
    names["json"] = target.with_name(f"{stem}.json")
    if tensors:
        names["tensors"] = target.with_name(f"{stem}.safetensors")
    return names


def export_model(
    model: Model,
    target: Path,
    facts: Mapping[str, Any],
    *,
    half: bool = False,
    overwrite: bool = False,
    say: Told = lambda text: None,
) -> dict[str, Any]:
    """Write a model as ONNX; returns what the JSON beside it holds. facts: name, architecture, kind, digest.

    half: weights in float16, half the bytes; computing stays in float32. Every graph is compared with torch (`checking.differences`)
    before any file appears. Raises UsageError for a model that cannot be exported, missing libraries, and files that are there already;
    DataError for a graph whose outputs differ by more than 1e-4 (half: 4e-3), and where a file cannot be written.
    """
    require_onnx()
    if target.suffix != SUFFIX:
        raise UsageError(f"{target} is no name for an ONNX file: let it end in {SUFFIX}.")
    name = str(facts.get("model", type(model).__name__))
    ready = folded(model)
    exports = exports_of(ready, name)
    main = MAIN.get(str(facts.get("kind")), exports.graphs[0].name)
    graphs = tuple(g.name for g in exports.graphs)
    if main not in graphs:
        main = graphs[0]
    paths = names_of(target, graphs, main, bool(exports.tensors))
    _refuse_existing(paths, overwrite)
    contents, files = _traced(ready, exports, paths, name, half, say)
    if exports.tensors:
        contents["tensors"] = _tensor_bytes(exports)
        files_of_tensors = {"tensors": {"file": paths["tensors"].name, "sha256": _digest(contents["tensors"])}}
    else:
        files_of_tensors = {}
    described = {**describe(ready, exports, {**facts, "half": half}, files), **files_of_tensors}
    contents["json"] = (json.dumps(described, indent=1, ensure_ascii=False) + "\n").encode()
    _write_all({paths[n]: content for n, content in contents.items()})
    return described


def _refuse_existing(paths: Mapping[str, Path], overwrite: bool) -> None:
    for path in paths.values():
        if path.is_dir():
            raise UsageError(f"{path} is a folder: choose another name.")
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists: choose another name, or <<overwrite>>.")
        if not path.parent.is_dir():
            raise UsageError(f"There is no folder {path.parent}: make it first.")


def _traced(
    model: Model, exports: Exports, paths: Mapping[str, Path], name: str, half: bool, say: Told
) -> tuple[dict[str, bytes], dict[str, dict[str, Any]]]:
    """The content of every graph's file, compared, and what the JSON says of it."""
    contents: dict[str, bytes] = {}
    files: dict[str, dict[str, Any]] = {}
    limit = HALF_TOLERANCE if half else TOLERANCE
    for graph in exports.graphs:
        proto = trace(graph, examples(graph, model.label_space, Rng(0, range(2))))
        content = (halve(proto) if half else proto).SerializeToString()
        found = differences(graph, content, model.label_space)
        worst = max(found.values())
        if not worst <= limit:
            told = ", ".join(f"{n} by {d:.3g}" for n, d in found.items())
            raise DataError(
                f"{one_line(name)}: the graph {graph.name!r} differs from torch ({told}; at most {limit:g} is allowed): no file is left."
            )
        say(f"{graph.name}: {len(content):,} bytes, differs from torch by {worst:.2g} at most")
        contents[graph.name] = content
        files[graph.name] = {"file": paths[graph.name].name, "sha256": _digest(content), "differs": worst}
    return contents, files


def _tensor_bytes(exports: Exports) -> bytes:
    from safetensors.torch import save

    made = {n: t.detach().cpu().contiguous().clone() for n, t in exports.tensors.items()}
    return save({n: t.float() if t.is_floating_point() else t.to(torch.int32) for n, t in made.items()})


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write_all(contents: Mapping[Path, bytes]) -> None:
    """All files or none that was not there before: they are renamed once every one of them is written."""
    parts: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            parts[path] = temporary_beside(path)
            try:
                parts[path].write_bytes(content)
            except OSError as error:
                raise cannot_write(path, error) from error
        for path, part in parts.items():
            try:
                os.replace(part, path)
            except OSError as error:
                raise cannot_write(path, error) from error
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)
