"""From what a user calls a model to a folder on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from zoo import cards
from zoo.errors import UsageError, WeightsError, did_you_mean
from zoo.registry import registry


@dataclass(frozen=True)
class Resolved:
    """Where a model lies. `name`: how reports call it (its id, or the folder's name); `source`: what the user wrote."""

    name: str
    folder: Path
    source: str


def is_path(text: str) -> bool:
    """A folder is recognised by a path separator (or is `.` or `..`)."""
    return os.sep in text or "/" in text or text in (".", "..")


def _folder(reference: str) -> Resolved:
    """A model folder, or a training run, which holds its model in `model/`."""
    path = Path(reference)
    name = path.resolve().name
    finished = path / "model" / "config.json"
    return Resolved(
        name, finished.parent if finished.is_file() and not (path / "config.json").is_file() else path, reference
    )


def resolve(reference: str) -> Resolved:
    """A model id, an architecture (then its default model), or a folder (a model's, or a finished training run's).

    Raises UsageError for an unknown name (near misses, and the folder spelling if one of that name exists), WeightsError
    for a model without weights here.
    """
    if not reference:
        raise UsageError("The name of a model is empty (see: zoo list).")
    if reference.startswith("hf:"):
        raise UsageError(
            f"{reference}: models are not fetched from the Hub by this version; download the repository and give its folder (./FOLDER)."
        )
    if is_path(reference):
        return _folder(reference)
    known = cards.all_cards()
    reg = registry()
    model_id = reference
    if reference not in known and reference in reg.architectures:
        default = reg.architectures[reference].default
        if default is None or default not in known:
            raise WeightsError(
                f"{reference!r} has no published model yet: train one (zoo train {reference} --data …) and give its folder."
            )
        model_id = default
    if model_id not in known:
        folder = f"; if you mean the folder, write ./{reference}" if Path(reference).is_dir() else ""
        raise UsageError(
            f"No model {reference!r}{did_you_mean(reference, [*known, *reg.architectures])}{folder} (see: zoo list){reg.broken_hint()}"
        )
    card = known[model_id]
    if not card.embedded:
        hidden = " (ZOO_EMBEDDED=0 hides the embedded weights)" if (card.folder / "model.safetensors").is_file() else ""
        raise WeightsError(
            f"{model_id} has no weights here{hidden}: train it (zoo card {model_id} shows the recipe) and give the folder."
        )
    return Resolved(model_id, card.folder, reference)
