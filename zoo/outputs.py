"""The output folder of a composition: written so that a crash loses nothing and the same command goes on.

`manifest.json` first, then per sample a map and a picture (each written under a temporary name and renamed), then its line
in `metadata.jsonl` in one write. Continuing keeps the lines that end in a newline and parse.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from zoo.errors import DataError, UsageError
from zoo.images import save_image, to_pil, write_text
from zoo.weights import sha256

MANIFEST, METADATA, GRID = "manifest.json", "metadata.jsonl", "grid.png"
MAPS, IMAGES, INPUTS, STYLES = "maps", "images", "inputs", "styles"
GRID_SAMPLES = 64
VOLATILE = ("versions", "threads", "device", "finished", "summary")


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest by its path or its folder's. Raises UsageError if there is none, DataError if it is damaged."""
    path = path / MANIFEST if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"There is no manifest {path} (a folder made by zoo compose has one).")
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not a manifest: {error}.") from error
    if not isinstance(manifest, dict) or "request" not in manifest or "models" not in manifest:
        raise DataError(f"{path} is not a manifest of the zoo: it lacks 'request' or 'models'.")
    return manifest


def existing_seed(folder: Path) -> int | None:
    """The seed of the run that lies in a folder, or None."""
    try:
        return int(read_manifest(folder)["request"]["seed"])
    except (UsageError, DataError, KeyError, TypeError, ValueError):
        return None


class OutputFolder:
    """`done` samples are finished; `write` adds those that are missing."""

    def __init__(self, path: Path, manifest: dict[str, Any], *, overwrite: bool = False) -> None:
        """Raises UsageError if the folder holds anything but this very run, DataError if it cannot be written."""
        self.path, self.manifest = path, manifest
        self.done = 0
        self.records: list[dict[str, Any]] = []
        if path.is_file():
            raise UsageError(f"--out {path} is a file: name a folder.")
        if path.is_dir() and any(path.iterdir()):
            if overwrite:
                self._clear()
            else:
                self._continue()
        try:
            for name in (MAPS, *([IMAGES] if manifest["images"] else [])):
                (path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"Cannot make the folder {path}: {error.strerror or error}.") from error
        if not self.done:
            self._write_manifest()

    def _write_manifest(self) -> None:
        write_text(self.path / MANIFEST, json.dumps(self.manifest, indent=2) + "\n")

    def _clear(self) -> None:
        """Remove what an earlier run of the zoo wrote, and only that."""
        if not (self.path / MANIFEST).is_file():
            raise UsageError(f"{self.path} is not empty and was not made by the zoo: --overwrite removes earlier runs only. Choose another --out.")
        for name in (MAPS, IMAGES, STYLES):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in (MANIFEST, METADATA, GRID):
            (self.path / name).unlink(missing_ok=True)

    def _continue(self) -> None:
        try:
            old = read_manifest(self.path)
        except (UsageError, DataError) as error:
            raise UsageError(f"{self.path} is not empty and holds no run to continue: choose another --out.") from error
        differing = differences(old, self.manifest)
        if differing:
            raise UsageError(f"{self.path} holds another run (it differs in {', '.join(differing)}): choose another --out, or --overwrite it.")
        self.manifest = {**self.manifest, **{k: old[k] for k in ("finished", "summary") if k in old}}
        self._read_records()
        for part in self.path.rglob("*.part"):
            part.unlink(missing_ok=True)

    def _read_records(self) -> None:
        """Keep the whole lines that parse and whose files are there; cut the rest off."""
        path = self.path / METADATA
        if not path.is_file():
            return
        kept = 0
        with path.open("rb") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    break
                if not line.endswith(b"\n") or record.get("index") != len(self.records) or not all((self.path / f).is_file() for f in record["sha256"]):
                    break
                self.records.append(record)
                kept += len(line)
        os.truncate(path, kept)
        self.done = len(self.records)

    @property
    def finished(self) -> bool:
        """True if every sample of the run is there and the grid too."""
        return bool(self.manifest.get("finished")) and self.done == self.manifest["samples"] and (self.path / GRID).is_file()

    def write(self, part: Any) -> None:
        """Add the samples of a batch (a `composition.Part`) that are not there yet."""
        for row, record in enumerate(part.records):
            if record["index"] < self.done:
                continue
            files = {f"{MAPS}/{record['index']:06d}.png": lambda path, row=row: part.maps.to_png(path, row)}
            if part.images is not None:
                files[f"{IMAGES}/{record['index']:06d}.png"] = lambda path, row=row: save_image(to_pil(part.images[row]), path)
            for name, save in files.items():
                save(self.path / name)
            picture = list(files)[-1]
            # file_name is the column that Hugging Face's imagefolder reads
            line = {"file_name": picture, **record, "sha256": {n: sha256(self.path / n) for n in files}}
            self._append(line)

    def _append(self, record: dict[str, Any]) -> None:
        try:
            with (self.path / METADATA).open("ab") as file:
                file.write(json.dumps(record).encode() + b"\n")
        except OSError as error:
            raise DataError(f"Cannot write {self.path / METADATA}: {error.strerror or error}.") from error
        self.records.append(record)
        self.done += 1

    def finish(self) -> None:
        """Write the grid of the first samples and the summary."""
        self._write_grid()
        self.manifest = {**self.manifest, "finished": True, "summary": summarize(self.records)}
        self._write_manifest()

    def _write_grid(self) -> None:
        from PIL import Image

        shown = self.records[:GRID_SAMPLES]
        columns = min(8, len(shown))
        rows = [MAPS, IMAGES] if self.manifest["images"] else [MAPS]
        height, width = self.manifest["size"]
        lines = -(-len(shown) // columns)
        sheet = Image.new("RGB", (columns * width, lines * len(rows) * height), "white")
        for i, record in enumerate(shown):
            line, column = divmod(i, columns)
            for k, kind in enumerate(rows):
                with Image.open(self.path / f"{kind}/{record['index']:06d}.png") as picture:
                    sheet.paste(picture.convert("RGB"), (column * width, (line * len(rows) + k) * height))
        save_image(sheet, self.path / GRID)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What decides the output and differs between two manifests."""
    names = []
    for key in sorted({*old, *new} - set(VOLATILE)):
        a, b = old.get(key), new.get(key)
        if a != b:
            inner = [k for k in sorted({*a, *b}) if a.get(k) != b.get(k)] if isinstance(a, dict) and isinstance(b, dict) else []
            names.append(f"{key} ({', '.join(inner)})" if inner else key)
    return names


def summarize(records: list[dict[str, Any]]) -> dict[str, Any]:
    """How often each requested class appeared, and how often a class was dropped."""
    asked: dict[str, int] = {}
    empty: dict[str, int] = {}
    dropped: dict[str, int] = {}
    for record in records:
        for name in record.get("requested", ()):
            asked[name] = asked.get(name, 0) + 1
        for name in record.get("empty", ()):
            empty[name] = empty.get(name, 0) + 1
        for name in record.get("dropped", ()):
            dropped[name] = dropped.get(name, 0) + 1
    summary: dict[str, Any] = {}
    if asked:
        summary["requested"] = {n: {"asked": c, "appeared": c - empty.get(n, 0)} for n, c in asked.items()}
    if dropped:
        summary["dropped"] = dropped
    changed = [r["changed_outside_edits"] for r in records if "changed_outside_edits" in r]
    if changed:
        summary["changed_outside_edits"] = round(sum(changed) / len(changed), 6)
    return summary
