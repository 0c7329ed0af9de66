"""From a model's name or folder to its export: what is said of it, and what is refused before it is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.api import load
from zoo.errors import UsageError
from zoo.export.files import export_model
from zoo.export.tracing import require_onnx
from zoo.hub import Resolved, resolve
from zoo.interfaces.exports import MAIN
from zoo.registry import registry
from zoo.store.models import digests, read_config


def facts_of(resolved: Resolved) -> dict[str, Any]:
    """Name, architecture, kind and digest of a model. The digest is that of its files' digests.

    Raises UsageError for a kind that has no graphs.
    """
    config = read_config(resolved.folder)
    arch = registry().architecture(config["architecture"])
    if arch.kind not in MAIN:
        raise UsageError(
            f"{resolved.name} is of the kind {arch.kind}, and only generators of maps, synthesizers and parsers"
            f" ({', '.join(MAIN)}) are exported."
        )
    return {
        "model": resolved.name,
        "architecture": config["architecture"],
        "variant": config["variant"],
        "kind": arch.kind,
        "digest": model_digest(resolved.folder),
    }


def model_digest(folder: Path) -> str:
    """One sha256 for all files of a model folder."""
    return hashlib.sha256(json.dumps(digests(folder), sort_keys=True).encode()).hexdigest()


def export_reference(
    reference: str,
    target: Path,
    *,
    half: bool = False,
    overwrite: bool = False,
    name: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """`export_model` of a model id, architecture or folder. name: what the JSON calls it. Raises as that, and as `zoo.load`."""
    require_onnx()
    resolved = resolve(reference)
    facts = facts_of(resolved) | ({} if name is None else {"model": name})
    return export_model(load(resolved.folder), target, facts, half=half, overwrite=overwrite, say=say)
