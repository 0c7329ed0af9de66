"""A run folder: what was asked for, how far it is, the log, and at the end the model. torch is imported where it is needed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from zoo.environment import versions
from zoo.errors import DataError, UsageError
from zoo.files.folders import whole_folder
from zoo.files.interrupts import interrupts_held
from zoo.files.links import refuse_links
from zoo.files.locks import LOCK, Lock, folder_lock
from zoo.files.writing import append, cannot_write, temporary_of, told, write_atomic, write_text

OPTIONS, STATE, BEST, METRICS, MODEL, TENSORBOARD = (
    "options.json",
    "state.pt",
    "best.pt",
    "metrics.jsonl",
    "model",
    "tensorboard",
)
OTHER = " Or choose another <<out>>."


class RunFolder:
    """Paths and files of one training run; every file is written under a temporary name first, by one process at a time (`lock`).

    `options.json` what was asked for; `state.pt` the last checkpoint; `best.pt` the published weights of the best
    validation; `metrics.jsonl` the learning curve; `tensorboard/`; at the end `model/`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: Lock | None = None

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """The place of a new run, checked now and made when `write_options` is called.

        Raises UsageError if something is there already, DataError if it cannot be written.
        """
        if path.exists() and (not path.is_dir() or not _is_blank(path)):
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

    @property
    def has_options(self) -> bool:
        """Whether a run has begun here."""
        return (self.path / OPTIONS).is_file()

    def write_options(self, options: dict[str, Any]) -> None:
        """The resolved options, with the versions that run them. Makes the folder. Raises DataError."""
        with told(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / OPTIONS, json.dumps({**options, "versions": versions()}, indent=2) + "\n")

    def lock(self) -> None:
        """Keep other processes from writing the run until `release`; makes the folder. Raises DataError if one does, or began it
        meanwhile, UsageError for links where we would write."""
        if self._lock is not None:
            return
        known = self.path.is_dir() and not _is_blank(self.path)
        with told(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._lock = folder_lock(self.path, OTHER)
        try:
            names = (OPTIONS, STATE, BEST, METRICS, f"{MODEL}/", f"{TENSORBOARD}/")
            refuse_links(self.path, names, "remove it, or choose another <<out>>")
            if not known and not _is_blank(self.path):
                raise DataError(f"Another process has begun a run in {self.path} meanwhile: choose another <<out>>.")
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let other processes write the run."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

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

        path = self.path / name
        way_out = f" The checkpoint before it is kept: zoo train --resume {self.path}" if path.is_file() else ""

        def write(part: Path) -> None:
            with part.open("wb") as file:
                stream = _Stream(file, interrupts)
                torch.save(state, cast(Any, stream))
                stream.check()

        # an interrupt raised amid torch.save would leave torch's writer to its destructor, which writes once more: to a file that is
        # closed by then, and what that raises ends the process
        with interrupts_held() as interrupts:
            try:
                write_atomic(path, write, way_out=way_out)
            except RuntimeError as error:
                raise cannot_write(path, error, way_out) from error

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
        """Remove what a killed process left half-written, known by its name; the run's lock must be held. Raises DataError."""
        with told(self.path):
            for entry in os.scandir(self.path):
                if temporary_of(entry.name) not in (OPTIONS, STATE, BEST, METRICS, MODEL):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)

    # --- the learning curve ---------------------------------------------------------------------------------------

    def add_metrics(self, record: dict[str, Any]) -> None:
        """Append a line to the learning curve. Raises DataError."""
        append(self.path / METRICS, json.dumps(record).encode() + b"\n")

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
        """Let `write(folder)` fill a new folder, which then takes the place of `model/`: it is never seen half-written.

        What a user put into the old one moves into the new one. Raises DataError."""
        from zoo.store.vouching import is_model_file

        with whole_folder(self.model, replaces=is_model_file) as part:
            write(part)
        return self.model


def _is_blank(path: Path) -> bool:
    """True for a folder with nothing in it but what a run leaves that was killed before its options were written."""
    return all(name == LOCK or temporary_of(name) == OPTIONS for name in os.listdir(path))


class _Stream:
    """A file for torch.save, which reports a full disk as a RuntimeError of its own, or as a crash: the first error is remembered, and
    nothing more is written; nor after an interrupt, which `check` raises."""

    def __init__(self, file: BinaryIO, interrupts: Sequence[KeyboardInterrupt]) -> None:
        self._file = file
        self._interrupts = interrupts
        self._error: OSError | None = None

    def write(self, content: bytes) -> int:
        if self._error is None and not self._interrupts:
            try:
                return self._file.write(content)
            except OSError as error:
                self._error = error
        return len(content)

    def flush(self) -> None:
        """Nothing: the file is closed before it is used."""

    def check(self) -> None:
        """Raise the error that was met."""
        if self._interrupts:
            raise self._interrupts[0]
        if self._error is not None:
            raise self._error
        self._file.flush()
