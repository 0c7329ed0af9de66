"""Run folders as `zoo compose` writes them, made without models."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from zoo.composition.folder.manifest import Inputs, request_to_json
from zoo.composition.request.requests import Request
from zoo.files.digests import sha256
from zoo.files.runfiles import file_of, line_of
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.registry import label_space

MODEL = {"id": "toy", "source": "toy", "sha256": {"config.json": "0" * 64, "model.safetensors": "1" * 64}}


def write_run(folder: Path, samples: int = 4, *, seed: int = 0, space: str = "celebamask-hq", side: int = 8) -> Path:
    """A finished run of pictures and maps that differ from one another."""
    rng, known = np.random.default_rng(seed), label_space(space)
    lines = []
    for name in ("maps", "images"):
        (folder / name).mkdir(parents=True)
    for index in range(samples):
        labels = rng.integers(0, len(known), (side, side), dtype=np.uint8)
        found = SemanticMap.from_arrays(labels, known)
        found.to_png(folder / file_of("map", index))
        photo = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        PIL.Image.fromarray(photo).save(folder / file_of("image", index))
        digests = {kind: sha256(folder / file_of(kind, index)) for kind in ("image", "map")}
        lines.append(line_of({"index": index, "seed": seed, "labels": list(found.label_set().names)}, digests))
    write_lines(folder, lines)
    write_manifest(folder, manifest_of(samples, seed, known, side))
    return folder


def manifest_of(samples: int, seed: int, space: LabelSpace, side: int) -> dict[str, Any]:
    return {
        "format": 1, "composition": "toy+toy", "models": {"generator": MODEL, "synthesizer": MODEL}, "label_space": space.name,
        "mappings": [], "size": [side, side], "maps": True, "images": True, "samples": samples,
        "request": request_to_json(Request(n=samples, seed=seed), Inputs()), "versions": {"zoo": "0"}, "threads": 1,
        "device": "cpu", "finished": True, "summary": {},
    }  # fmt: skip


def write_lines(folder: Path, lines: Iterable[Any]) -> None:
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_manifest(folder: Path, manifest: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest))


def lines_of(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below, by its relative name."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
