"""Parsers on turned and narrowed pairs, as heads that lean or look away: mIoU and milliseconds of processor time a photo.

    python benchmarks/poses.py face-parser-celeba ./run/model --data celebamask-hq:DIR#test [--limit 50]

Every pair is read at 256 px, changed (photo and map alike; beyond the border lies the mirrored picture), and parsed by each model. Prints
one JSON document: by model and change the mIoU over classes in 10 maps or more, over all, and the accuracy; and the time of `parse`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any, cast

import torch

import zoo
from zoo.data.specs import open_data
from zoo.data.warp import Warp
from zoo.interfaces.models import MaskParser
from zoo.maps import SemanticMap
from zoo.metrics.segmentation import ConfusionMatrix

SIDE = 256
CHANGES = {
    "upright": Warp(0, 1, 0),
    **{f"turned {d}": Warp(math.radians(d), 1, 0) for d in (-30, -15, 15, 30)},
    "narrowed 1.6": Warp(0, 1.6, 0),
}


def scores(parser: MaskParser, data: Any, warp: Warp, count: int) -> dict[str, float]:
    """The figures of a parser on the changed pairs, and its time."""
    matrix, spent = ConfusionMatrix(parser.label_space), 0.0
    for i in range(count):
        photo, labels = data.pair(i, (SIDE, SIDE))
        changed = warp.photo(photo, 0)
        assert changed is not None
        images = torch.from_numpy(changed.copy()).permute(2, 0, 1)[None].float() / 255
        start = time.process_time()
        with torch.inference_mode():
            parsed = parser.parse(images)
        spent += time.process_time() - start
        truth = SemanticMap(torch.from_numpy(warp.cells(labels).copy())[None].long(), data.label_space)
        matrix.add(parsed, truth.to_space(parser.label_space))
    found = matrix.scores()
    named = {name: round(float(found[name]), 4) for name in ("miou", "miou_all", "accuracy")}
    return {**named, "ms": round(1000 * spent / count, 1)}


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="+")
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--limit", type=int, help="the first pairs only")
    given = arguments.parse_args(argv)
    data = open_data(given.data, resolution=SIDE)
    count = len(data) if given.limit is None else min(given.limit, len(data))
    report = {}
    for name in given.models:
        parser = cast(MaskParser, zoo.optimize(zoo.load(Path(name) if Path(name).is_dir() else name, device="cpu")))
        report[name] = {change: scores(parser, data, warp, count) for change, warp in CHANGES.items()}
    print(json.dumps({"data": given.data, "pairs": count, "side": SIDE, "models": report}, indent=2))


if __name__ == "__main__":
    main()
