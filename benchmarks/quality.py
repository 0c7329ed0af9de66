"""Measures a model on held-out pairs: the figures of the cards.

    python benchmarks/quality.py MODEL --data celebamask-hq:DIR#test [--parser face-parser] [--samples 500] [--limit 64]
    python benchmarks/quality.py clvae-ccp --data ccp:DIR,crop=person,pad=mirror#test --parser ./run/model

A parser: mIoU and accuracy. A synthesizer: L1 on [-1, 1] with the photo's own style (mean code), and how well the parser
(default: the published one for the label space) reads the synthesised and the real photos; one without style: its pictures.
And how near to photos they are: `kid` x 1000 (of MobileNetV2, extra `metrics`), `detail` (energy at 48-64 cycles, share of the
photos'), `odd_colours` (share of pixels of a colour that the class never has in the photos; `odd_skin` of the skin's).
Data and parser may be in other label spaces: they are joined by names. A generator: reconstruction, and how often a requested class appears in `samples`
maps of label sets drawn as in its training data. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch import Tensor

import zoo
from zoo.composition.models import default_parser
from zoo.data import Batch
from zoo.data.specs import parse_spec
from zoo.errors import DataError, UsageError
from zoo.interfaces.capabilities import EncodesStyle, Reconstructs, SamplesStyle
from zoo.interfaces.models import ImageSynthesizer, MaskGenerator, MaskParser
from zoo.maps import SemanticMap
from zoo.metrics import ConfusionMatrix, fine_detail, image_l1, judge_features, kid, odd_colours
from zoo.metrics.agreement import add_agreement
from zoo.metrics.realism import BAND
from zoo.nn.pretrained import mobilenet_v2
from zoo.registry.capabilities import style_sources
from zoo.rng import Rng
from zoo.training.session import open_pairs

BATCH = 8


def parser_scores(parser: MaskParser, data: Any) -> dict[str, Any]:
    matrix = ConfusionMatrix(data.label_space)
    for batch in data.batches(16):
        add_agreement(matrix, parser, batch.images, batch.maps)
    return {**matrix.scores(), "iou": matrix.per_class()}


def judge(reference: str | None, model: ImageSynthesizer) -> MaskParser:
    """The parser that reads the pictures. Raises UsageError for another kind of model, or if no published one knows the classes."""
    parser = zoo.load(reference or default_parser(model.label_space))
    if not isinstance(parser, MaskParser):
        raise UsageError(f"--parser {reference} is a {type(parser).__name__}, no parser.")
    parser.label_space.mapping_to(model.label_space)
    return parser


def pictures(model: ImageSynthesizer, batch: Batch, first: int, seed: int = 0) -> dict[str, Tensor]:
    """The maps of a batch with the photos' own style and with drawn ones (of a model without style: as they come)."""
    layout = model.layout(batch.maps)
    places = style_sources(model.capabilities())
    if not places:
        return {"image": model.synthesize(layout)}
    made = {}
    if "photo" in places:
        assert isinstance(model, EncodesStyle) and batch.images is not None
        made["encoded_style"] = model.synthesize(layout, model.encode_style(batch.images, batch.maps))
    if "prior" in places:
        assert isinstance(model, SamplesStyle)
        rng = Rng(seed, range(first, first + len(batch)))
        made["random_style"] = model.synthesize(layout, model.sample_style(batch.maps, rng))
    return made


def realism_scores(made: dict[str, Tensor], photos: Tensor, maps: SemanticMap) -> dict[str, Any]:
    """By kind of picture: kid x 1000, detail and odd colours beside the photos; kid only where the judge is installed."""
    try:
        network = mobilenet_v2()
        truth = judge_features(network, photos)
    except UsageError as error:
        print(f"no kid: {error}", file=sys.stderr)
        network = truth = None
    report: dict[str, Any] = {}
    for name, images in made.items():
        found = report.setdefault(name, {})
        if network is not None and truth is not None:
            found["kid"] = 1000 * kid(judge_features(network, images), truth)
        if min(images.shape[-2:]) > 2 * BAND[0]:
            found["detail"] = fine_detail(images) / fine_detail(photos)
        odd = odd_colours(images, photos, maps)
        pixels = {n: int((maps.labels == maps.space.names.index(n)).sum()) for n in odd}
        if odd:
            found["odd_colours"] = sum(odd[n] * pixels[n] for n in odd) / sum(pixels.values())
        if "skin" in odd:
            found["odd_skin"] = odd["skin"]
    return report


def synthesizer_scores(
    model: ImageSynthesizer, parser: MaskParser, batches: Iterable[Batch], seed: int = 0
) -> dict[str, Any]:
    """L1 of the pictures that know the photo's style, what the parser reads in all of them, and how near to photos they are."""
    matrices: dict[str, ConfusionMatrix] = {}
    distances, seen = [], 0
    pictured: dict[str, list[Tensor]] = {}
    photos, maps = [], []
    for batch in batches:
        if batch.images is None:
            raise DataError("A synthesizer is judged on photos and their maps, and this data set holds maps alone.")
        made = pictures(model, batch, seen, seed)
        photos.append(batch.images)
        maps.append(batch.maps)
        for name, images in made.items():
            pictured.setdefault(name, []).append(images.cpu())
        seen += len(batch)
        if "encoded_style" in made:
            distances.append(image_l1(made["encoded_style"].cpu(), batch.images))
        for name, images in {"real": batch.images, **made}.items():
            matrix = matrices.setdefault(name, ConfusionMatrix(model.label_space))
            add_agreement(matrix, parser, images, batch.maps)
    report: dict[str, Any] = {"l1": float(torch.cat(distances).mean())} if distances else {}
    whole = SemanticMap(torch.cat([m.labels.cpu() for m in maps]), maps[0].space)
    near = realism_scores({n: torch.cat(parts) for n, parts in pictured.items()}, torch.cat(photos), whole)
    report |= {"pairs": seen} | {f"parser_{name}": matrix.scores() for name, matrix in matrices.items()}
    return report | near


def generator_scores(model: MaskGenerator, data: Any, samples: int) -> dict[str, Any]:
    report: dict[str, Any] = {}
    if "reconstruct" in model.capabilities():
        assert isinstance(model, Reconstructs)
        mean, sampled = ConfusionMatrix(data.label_space), ConfusionMatrix(data.label_space)
        seen = 0
        for batch in data.batches(16):
            rng = Rng(0, range(seen, seen + len(batch)))
            seen += len(batch)
            # mask-vae: the plain network, not told which classes are there; SegVAE sees the map as its canvas
            for matrix, source in ((mean, None), (sampled, rng)):
                codes = model.encode(batch.maps, rng=source)
                decoded = model.decode(codes, label_sets=None, context=batch.maps)  # type: ignore[arg-type]
                matrix.add(decoded, batch.maps)
        report["reconstruction_mean_code"] = mean.scores()
        report["reconstruction_sampled"] = sampled.scores()
    asked: dict[str, int] = {}
    shown: dict[str, int] = {}
    for first in range(0, samples, 25):  # label sets drawn as in the training data
        rng = Rng(0, range(first, min(first + 25, samples)))
        sets = model.sample_label_sets(len(rng.samples), rng)
        maps = model.generate(sets, latents=model.sample_latents(sets, rng))
        for wanted, shown_set in zip(sets, maps.label_sets(), strict=True):
            for name in wanted:
                asked[name] = asked.get(name, 0) + 1
                shown[name] = shown.get(name, 0) + (name in shown_set.names)
    report["requested_classes_that_appear"] = {
        n: {"asked": c, "appeared": shown[n], "share": round(shown[n] / c, 3)} for n, c in asked.items()
    }
    report["share_of_requests_met"] = round(sum(shown.values()) / sum(asked.values()), 4)
    return report


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model")
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--parser", help="model id or folder (default: the published one for the label space)")
    arguments.add_argument("--limit", type=int, help="judge a synthesizer on the first pairs only")
    arguments.add_argument("--samples", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=0, help="of the drawn styles")
    given = arguments.parse_args(argv)
    model = zoo.load(given.model)
    data = open_pairs(parse_spec(given.data), model, model.resolution)
    with torch.inference_mode():
        if isinstance(model, MaskParser):
            report = parser_scores(model, data)
        elif isinstance(model, ImageSynthesizer):
            parser = judge(given.parser, model)
            report = {"parser": given.parser or default_parser(model.label_space)}
            some = data.batches(BATCH) if given.limit is None else islice(data.batches(BATCH), -(-given.limit // BATCH))
            report |= synthesizer_scores(model, parser, some, given.seed)
        else:
            assert isinstance(model, MaskGenerator)
            report = generator_scores(model, data, given.samples)
    pairs = len(data) if given.limit is None else min(len(data), -(-given.limit // BATCH) * BATCH)
    print(json.dumps({"model": given.model, "data": given.data, "pairs": pairs, **report}, indent=2))


if __name__ == "__main__":
    main()
