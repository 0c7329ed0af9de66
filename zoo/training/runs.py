"""A run folder: what was asked for, how far it is, the log, and at the end the model. torch is imported where it is needed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.environment import versions
from zoo.errors import DataError, UsageError
from zoo.files.images import write_atomic, write_text

OPTIONS, STATE, BEST, METRICS, MODEL = "options.json", "state.pt", "best.pt", "metrics.jsonl", "model"


class RunFolder:
    """Paths and files of one training run; every file is written under a temporary name first.

    `options.json` what was asked for; `state.pt` the last checkpoint; `best.pt` the published weights of the best
    validation; `metrics.jsonl` the learning curve; `tensorboard/`; at the end `model/`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """The place of a new run, checked now and made when `write_options` is called.

        Raises UsageError if something is there already, DataError if it cannot be written.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(
                f"{path} exists and is not empty: choose another <<out>>, or continue that run: zoo train --resume {path}"
            )
        parent = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise DataError(f"Cannot make the folder {path}: {parent} is not a folder that can be written to.")
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run. Raises UsageError if there is none."""
        if not (path / OPTIONS).is_file():
            raise UsageError(f"{path} is no training run: it has no {OPTIONS}.")
        return cls(path)

    def write_options(self, options: dict[str, Any]) -> None:
        """The resolved options, with the versions that run them. Makes the folder. Raises DataError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"Cannot make the folder {self.path}: {error.strerror or error}.") from error
        write_text(self.path / OPTIONS, json.dumps({**options, "versions": versions()}, indent=2) + "\n")

    def options(self) -> dict[str, Any]:
        """What `write_options` wrote, {} for a new run. Raises DataError if the file is damaged."""
        path = self.path / OPTIONS
        if not path.is_file():
            return {}
        try:
            return json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise DataError(f"{path} is damaged: {error}.") from error

    # --- checkpoints ----------------------------------------------------------------------------------------------

    def save_state(self, state: dict[str, Any], name: str = STATE) -> None:
        """Write a checkpoint; a crash leaves the one before. Raises DataError (no room, no permission)."""
        import torch

        try:
            write_atomic(self.path / name, lambda part: torch.save(state, part))
        except RuntimeError as error:  # torch's way of reporting a full disk
            raise DataError(f"Cannot write {self.path / name}: {error}. The checkpoint before it is kept.") from error

    def remove(self, name: str) -> None:
        """Delete a checkpoint, if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def load_state(self, name: str = STATE) -> dict[str, Any] | None:
        """The checkpoint, or None if there is none yet. Only tensors and plain values are read. Raises DataError if damaged."""
        import torch

        path = self.path / name
        if not path.is_file():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            raise DataError(f"{path} is damaged ({type(error).__name__}: {error}).") from error

    @property
    def has_state(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return (self.path / STATE).is_file()

    def clean(self) -> None:
        """Remove what a killed process left half-written."""
        for part in self.path.glob("*.part"):
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)

    # --- the learning curve ---------------------------------------------------------------------------------------

    def add_metrics(self, record: dict[str, Any]) -> None:
        """Append a line to the learning curve. Raises DataError."""
        path = self.path / METRICS
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise DataError(f"Cannot write {path}: {error.strerror or error}.") from error

    def metrics(self) -> list[dict[str, Any]]:
        """The learning curve in order of steps; the later line of a step counts, a torn last line does not."""
        path = self.path / METRICS
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        records: dict[int, dict[str, Any]] = {}
        for line in lines:
            try:
                record = json.loads(line)
                records[record["step"]] = record
            except (ValueError, KeyError, TypeError):
                continue
        return [records[s] for s in sorted(records)]

    def cut_metrics(self, step: int) -> None:
        """Forget the curve after `step`: the run goes on from there and will measure it again."""
        if (self.path / METRICS).is_file():
            kept = [json.dumps(r) + "\n" for r in self.metrics() if r["step"] <= step]
            write_text(self.path / METRICS, "".join(kept))

    # --- the finished model ---------------------------------------------------------------------------------------

    @property
    def model(self) -> Path:
        """The finished model's folder."""
        return self.path / MODEL

    def replace_model(self, write: Callable[[Path], object]) -> Path:
        """Let `write(folder)` fill a new folder, which then takes the place of `model/`: it is never seen half-written."""
        part, old = self.path / f"{MODEL}.part", self.path / f"{MODEL}.old.part"
        for folder in (part, old):
            shutil.rmtree(folder, ignore_errors=True)
        write(part)
        if self.model.exists():
            self.model.rename(old)
        part.rename(self.model)
        shutil.rmtree(old, ignore_errors=True)
        return self.model
