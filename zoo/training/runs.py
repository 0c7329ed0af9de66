"""A run folder: what was asked for, how far it is, the log, and at the end the model."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from zoo.errors import DataError, UsageError
from zoo.images import write_atomic, write_text
from zoo.version import __version__

OPTIONS, STATE, BEST, METRICS, MODEL = "options.json", "state.pt", "best.pt", "metrics.jsonl", "model"


class RunFolder:
    """Paths and files of one training run; every file is written under a temporary name first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, options: dict[str, Any]) -> RunFolder:
        """A new run. Raises UsageError for a folder that is not empty, DataError for one that cannot be written."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path} exists and is not empty: choose another --out, or continue that run with --resume {path}.")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"Cannot make the folder {path}: {error.strerror or error}.") from error
        run = cls(path)
        run.write_options(options)
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run. Raises UsageError if there is none."""
        if not (path / OPTIONS).is_file():
            raise UsageError(f"{path} is no training run: it has no {OPTIONS}.")
        return cls(path)

    def write_options(self, options: dict[str, Any]) -> None:
        """The resolved options, with the versions that run them."""
        write_text(self.path / OPTIONS, json.dumps({**options, "versions": versions()}, indent=2) + "\n")

    def options(self) -> dict[str, Any]:
        """What `write_options` wrote. Raises DataError if the file is damaged."""
        try:
            return json.loads((self.path / OPTIONS).read_text("utf-8"))
        except ValueError as error:
            raise DataError(f"{self.path / OPTIONS} is damaged: {error}.") from error

    def save_state(self, state: dict[str, Any], name: str = STATE) -> None:
        """Write a checkpoint; a crash leaves the one before."""
        write_atomic(self.path / name, lambda part: torch.save(state, part))

    def load_state(self, name: str = STATE) -> dict[str, Any] | None:
        """The checkpoint, or None if there is none yet. Only tensors and plain values are read. Raises DataError if damaged."""
        path = self.path / name
        if not path.is_file():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            raise DataError(f"{path} is damaged ({type(error).__name__}: {error}).") from error

    def add_metrics(self, record: dict[str, Any]) -> None:
        """Append a line to the learning curve."""
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def metrics(self, *, until: int | None = None) -> list[dict[str, Any]]:
        """The learning curve, up to a step; when a run goes back to its checkpoint, the later line of a step counts."""
        path = self.path / METRICS
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        records = {r["step"]: r for r in map(json.loads, lines)}
        return [records[s] for s in sorted(records) if until is None or s <= until]

    @property
    def model(self) -> Path:
        """The finished model's folder."""
        return self.path / MODEL


def versions() -> dict[str, str]:
    """Versions that decide numbers."""
    import numpy
    import PIL

    return {"zoo": __version__, "torch": torch.__version__, "numpy": numpy.__version__, "pillow": PIL.__version__, "python": platform.python_version(), "platform": sys.platform}
