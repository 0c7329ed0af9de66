"""Measures a model on held-out pairs: the figures of the cards.

    python benchmarks/quality.py MODEL --data celebamask-hq:DIR#test [--parser face-parser] [--samples 500]

A parser: mIoU and accuracy. A synthesizer: L1 on [-1, 1] with the photo's own style (mean code), and how well the parser
reads the synthesised and the real photos. A generator: reconstruction, and how often a requested class appears in `samples`
maps of label sets drawn as in its training data. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import torch

import zoo
from zoo.data import parse_spec
from zoo.interfaces import EncodesStyle, ImageSynthesizer, MaskGenerator, MaskParser, Reconstructs
from zoo.metrics import ConfusionMatrix, image_l1
from zoo.metrics.agreement import add_agreement
from zoo.rng import Rng
from zoo.training.session import open_pairs


def parser_scores(parser: MaskParser, data: Any) -> dict[str, Any]:
    matrix = ConfusionMatrix(data.label_space)
    for batch in data.batches(16):
        add_agreement(matrix, parser, batch.images, batch.maps)
    return {**matrix.scores(), "iou": matrix.per_class()}


def synthesizer_scores(model: ImageSynthesizer, parser: MaskParser, data: Any) -> dict[str, Any]:
    assert isinstance(model, EncodesStyle)
    real, encoded, drawn = (ConfusionMatrix(data.label_space) for _ in range(3))
    distances, seen = [], 0
    for batch in data.batches(8):
        layout = model.layout(batch.maps)
        own = model.synthesize(layout, model.encode_style(batch.images, batch.maps))
        rng = Rng(0, range(seen, seen + len(batch)))
        seen += len(batch)
        random = model.synthesize(layout, model.sample_style(batch.maps, rng))  # type: ignore[attr-defined]
        distances.append(image_l1(own, batch.images))
        add_agreement(real, parser, batch.images, batch.maps)
        add_agreement(encoded, parser, own, batch.maps)
        add_agreement(drawn, parser, random, batch.maps)
    report: dict[str, Any] = {"l1": float(torch.cat(distances).mean())}
    for name, matrix in (("real", real), ("encoded_style", encoded), ("random_style", drawn)):
        report[f"parser_{name}"] = matrix.scores()
    return report


def generator_scores(model: MaskGenerator, data: Any, samples: int) -> dict[str, Any]:
    report: dict[str, Any] = {}
    if isinstance(model, Reconstructs):
        mean, sampled = ConfusionMatrix(data.label_space), ConfusionMatrix(data.label_space)
        seen = 0
        for batch in data.batches(16):
            rng = Rng(0, range(seen, seen + len(batch)))
            seen += len(batch)
            # mask-vae: the plain network, not told which classes are there; SegVAE sees the map as its canvas
            for matrix, source in ((mean, None), (sampled, rng)):
                codes = model.encode(batch.maps, rng=source)
                found = model.decode(codes, label_sets=None, context=batch.maps)  # type: ignore[arg-type]
                matrix.add(found, batch.maps)
        report["reconstruction_mean_code"] = mean.scores()
        report["reconstruction_sampled"] = sampled.scores()
    asked: dict[str, int] = {}
    shown: dict[str, int] = {}
    for first in range(0, samples, 25):  # label sets drawn as in the training data
        rng = Rng(0, range(first, min(first + 25, samples)))
        sets = model.sample_label_sets(len(rng.samples), rng)
        maps = model.generate(sets, latents=model.sample_latents(sets, rng))
        for wanted, found in zip(sets, maps.label_sets(), strict=True):
            for name in wanted:
                asked[name] = asked.get(name, 0) + 1
                shown[name] = shown.get(name, 0) + (name in found.names)
    report["requested_classes_that_appear"] = {
        n: {"asked": c, "appeared": shown[n], "share": round(shown[n] / c, 3)} for n, c in asked.items()
    }
    report["share_of_requests_met"] = round(sum(shown.values()) / sum(asked.values()), 4)
    return report


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model")
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--parser", default="face-parser")
    arguments.add_argument("--samples", type=int, default=500)
    given = arguments.parse_args()
    model = zoo.load(given.model)
    data = open_pairs(parse_spec(given.data), model, model.resolution)
    with torch.inference_mode():
        if isinstance(model, MaskParser):
            report = parser_scores(model, data)
        elif isinstance(model, ImageSynthesizer):
            report = synthesizer_scores(model, zoo.load(given.parser), data)  # type: ignore[arg-type]
        else:
            assert isinstance(model, MaskGenerator)
            report = generator_scores(model, data, given.samples)
    print(json.dumps({"model": given.model, "data": given.data, "pairs": len(data), **report}, indent=2))


if __name__ == "__main__":
    main()
