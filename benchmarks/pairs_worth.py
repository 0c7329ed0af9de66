"""What generated pairs are worth: a face parser trained on them alone, on real faces and on both, scored on real test faces.

    zoo compose mask-vae+scgan -n 10000 --seed 1 --split 1,0,0 --shards pairs
    python benchmarks/pairs_worth.py pairs celebamask-hq:DIR --steps 1300 --out worth > worth.md

The same network, steps, batch and augmentation each time; nothing is chosen by validation, the last step counts. "both" shows every real
pair `--copies` times for each time that it shows a generated one (1: as often). Killed and started again it goes on with the step that was
saved last; what is finished is not done again. OUT holds real faces (CelebAMask-HQ forbids redistribution): it is not for publishing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import Source, open_source, parse_spec
from zoo.data.formats.base import png
from zoo.data.formats.convert import picture_of
from zoo.files.shardfiles import FORMAT, MANIFEST, compact, facts_name, key_of, readable, tar_name
from zoo.files.tars import TarWriter
from zoo.files.writing import write_atomic

RUNS = ("generated", "real", "both")
PER_SHARD = 1000


def write_real(source: Source, out: Path, copies: int) -> Path:
    """The pairs of a data set as shards, each `copies` times, so that they can be joined with generated ones."""
    out.mkdir(parents=True, exist_ok=True)
    order = [index for _ in range(copies) for index in range(len(source.names))]
    manifest = {"format": FORMAT, "kind": "pairs", "label_space": source.label_space.to_json(), "samples": len(order)}
    (out / MANIFEST).write_bytes(readable({**manifest, "per_shard": PER_SHARD, "models": {}, "request": {}}))
    for start in range(0, len(order), PER_SHARD):
        number = start // PER_SHARD
        if not (out / facts_name(number)).is_file():
            _shard(source, out, number, dict(enumerate(order[start : start + PER_SHARD], start)))
    return out


def _shard(source: Source, out: Path, number: int, pairs: dict[int, int]) -> None:
    def write(part: Path) -> None:
        with part.open("wb") as file:
            tar = TarWriter(file)
            for key, index in pairs.items():
                photo, labels = source.read(index)
                assert photo is not None
                content, ending = picture_of(source, index, photo)
                tar.add(f"{key_of(key)}.image{ending}", content)
                tar.add(f"{key_of(key)}.map.png", png(labels))
                told = {
                    "index": key,
                    "label_space": source.label_space.name,
                    "split": "train",
                    "name": source.names[index],
                }
                tar.add(f"{key_of(key)}.json", compact(told))
            tar.finish()

    path = out / tar_name(number)
    write_atomic(path, write)
    content = path.read_bytes()
    told = {"shard": number, "start": min(pairs), "stop": max(pairs) + 1, "samples": len(pairs)}
    told |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    write_atomic(out / facts_name(number), lambda part: part.write_bytes(compact(told)))


def zoo(*arguments: object) -> None:
    """A command of the zoo; its talk goes to stderr."""
    command = [sys.executable, "-m", "zoo", *map(str, arguments)]
    print("zoo", *arguments, file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=sys.stderr)


def trained(name: str, data: str, given: argparse.Namespace) -> Path:
    """The model of a run, begun, resumed or finished already."""
    run = given.out / name
    if (run / "model/model.safetensors").is_file():
        return run / "model"
    if (run / "options.json").is_file():
        zoo("train", "--resume", run)
        return run / "model"
    options = {"steps": given.steps, "batch_size": given.batch, "seed": given.seed, "validate_every": 0}
    options |= {"preview_every": 0, "save_every": given.save_every}
    sets = [f"{key}={value}" for key, value in options.items()] + given.set
    flags = [flag for change in sets for flag in ("--set", change)]
    zoo("train", given.arch, "--data", data, "--out", run, "--device", given.device, *flags)
    return run / "model"


def scored(name: str, model: Path, given: argparse.Namespace) -> dict[str, Any]:
    """What `zoo eval` says of a model on the test faces."""
    path, test = given.out / f"{name}.json", parse_spec(given.data).with_split("test")
    zoo("eval", model, "--data", test, "--metrics", "segmentation", "--device", given.device, "--out", path)
    return json.loads(path.read_text())["metrics"]["segmentation"]["scores"]


def faces_with(source: Source) -> np.ndarray:
    """In how many maps each class is."""
    counts = np.zeros(256, np.int64)
    for index in range(len(source.names)):
        counts[np.unique(source.read(index)[1])] += 1
    return counts


def table(scores: dict[str, dict[str, Any]], runs: dict[str, dict[str, Any]], test: Source) -> str:
    """Markdown: IoU of each class, and the means, by what was trained on."""
    names = list(scores)
    pairs = {name: runs[name]["trained_on"]["pairs"] for name in names}
    lines = [
        "| IoU on real test faces | faces with it | " + " | ".join(f"{n} ({pairs[n]:,} pairs)" for n in names) + " |"
    ]
    lines.append("|---|---:|" + "---:|" * len(names))
    counts = faces_with(test)
    for value, cls in enumerate(test.label_space.names):
        if counts[value]:
            cells = [f"{scores[n]['iou'].get(cls, float('nan')):.3f}" for n in names]
            lines.append(f"| {cls} | {counts[value]} | " + " | ".join(cells) + " |")
    told = {"miou": "mIoU, classes of 10 faces or more", "miou_all": "mIoU, all classes", "accuracy": "pixels right"}
    for key, title in told.items():
        cells = [
            f"**{scores[n][key]:.3f}** ({' to '.join(f'{x:.3f}' for x in scores[n]['intervals'][key])})" for n in names
        ]
        lines.append(f"| {title} | {len(test.names)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("shards", type=Path, help="folder of generated pairs (zoo compose … --shards)")
    parser.add_argument("data", help="real faces with the splits train and test (celebamask-hq:DIR)")
    parser.add_argument("--steps", type=int, default=1300)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path("worth"), help="runs and results (default worth)")
    parser.add_argument("--runs", default=",".join(RUNS), help=f"which (default {','.join(RUNS)})")
    parser.add_argument("--copies", type=int, default=1, help="of each real pair beside the generated ones (default 1)")
    parser.add_argument(
        "--arch", default="face-parser/celeba-128", help="what is trained (default face-parser/celeba-128)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="as of zoo train; repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=50, help="steps that a kill may cost (default 50)")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments)
    chosen = given.runs.split(",")
    if unknown := set(chosen) - set(RUNS):
        parser.error(f"--runs knows {', '.join(RUNS)}, not {', '.join(sorted(unknown))}")
    given.out.mkdir(parents=True, exist_ok=True)
    data = {"generated": f"shards:{given.shards.absolute()}", "real": str(given.data)}
    if "both" in chosen:
        faces = open_source(parse_spec(given.data).with_split("train"))
        real = write_real(faces, given.out / f"real-{given.copies}", given.copies)
        data["both"] = f"shards:{given.shards.absolute()}+{real.absolute()}"
    scores = {name: scored(name, trained(name, data[name], given), given) for name in chosen}
    runs = {name: json.loads((given.out / name / "options.json").read_text()) for name in chosen}
    settings = f"{given.arch}, {given.steps} steps of {given.batch}, seed {given.seed}"
    print("\n".join([f"{settings}{''.join(f', {s}' for s in given.set)}\n", table(scores, runs, open_source(parse_spec(given.data).with_split("test")))]))  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
