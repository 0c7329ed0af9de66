"""Trains the zoo's image translators on one unpaired task, equally long, and scores A -> B: the order of SC-GAN's Table 7, or that it does
not show.

    python benchmarks/translators.py domains:OUT --steps 1000 --runs RUNS

FID and KID are between the translations of all photos of testA, each in the style of one photo of testB, and testB, by the features of
MobileNetV2 at 224 px, which no training sees (not Inception's: the numbers compare with nothing elsewhere); IS needs that network's
classifier, which is not there. `input` are the photos of testA themselves, untranslated. luma: mean of the picture's upper third, where the hair
is, in 0..255. change: mean |translation - source|, in 0..255. diversity: mean |difference| of two translations of a source in drawn styles, in
0..255. Of the networks' sizes and the batches see VARIANTS and SETTINGS.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import zoo
from zoo.data.specs import parse_spec
from zoo.interfaces.translators import ImageTranslator
from zoo.metrics.frechet import frechet_distance
from zoo.metrics.realism import judge_features, kid
from zoo.nn.pretrained import mobilenet_v2
from zoo.rng import Rng
from zoo.training.plan import make_plan
from zoo.training.runs import RunFolder
from zoo.training.session import open_pairs, run_training

VARIANTS = ("munit/small-64", "dmit/photos-64", "scgan-unpaired/photos-64")
SETTINGS: dict[str, Any] = {
    "batch_size": 4, "flip": True, "preprocess": "shorter_side_and_crop", "load_size": 72, "resample": "bicubic", "precision": "fp32",
    "preview_every": 0, "validate_every": 0, "save_every": 100_000, "log_every": 100, "publish": "last", "seed": 0,
}  # fmt: skip
"""The same for all of them; losses, rates and optimizers are each system's own."""
LUMA = torch.tensor([0.299, 0.587, 0.114])


def photos_of(model: ImageTranslator, data: str, domain: str) -> Tensor:
    """All held-out photos of a domain, [N, 3, H, W] in [0, 1]."""
    pairs = open_pairs(parse_spec(data).with_split("test"), model, model.resolution)
    rows = [i for i, name in enumerate(pairs.names) if name.startswith(f"{domain}/")]
    images = pairs.batch(rows).images
    assert images is not None
    return images


def train(name: str, data: str, steps: int, run: Path) -> tuple[ImageTranslator, float]:
    """The trained model in its inference form, and the minutes of this process's time that it took."""
    plan = make_plan(name, data, {f"trainer.{k}": v for k, v in {**SETTINGS, "steps": steps}.items()}, device="cpu")
    began = time.process_time()
    run_training(plan, RunFolder.create(run), quiet=True)
    minutes = (time.process_time() - began) / 60
    model = zoo.load(run)
    assert isinstance(model, ImageTranslator)
    return model, minutes


@torch.no_grad()
def score(made: Tensor, sources: Tensor, truth: Tensor, judge: Any) -> dict[str, float]:
    """Of pictures of the sources, against photos of the target."""
    found, right = judge_features(judge, made), judge_features(judge, truth)
    third = made.shape[-2] // 3
    return {
        "fid": frechet_distance(found, right),
        "kid": 1000 * kid(found, right),
        "luma": 255 * float((made[:, :, :third].mean((0, 2, 3)) * LUMA).sum()),
        "change": 255 * float((made - sources).abs().mean()),
    }


@torch.no_grad()
def translations(model: ImageTranslator, sources: Tensor, references: Tensor) -> tuple[Tensor, float]:
    """Each source in the style of a reference, and how far two drawn styles of a source lie apart."""
    guides = references[[i % len(references) for i in range(len(sources))]]
    target = model.targets[-1]
    made, apart = [], []
    for i in range(0, len(sources), 8):
        part, guide = sources[i : i + 8], guides[i : i + 8]
        made.append(model.translate(part, to=target, style=model.encode_style(guide, target)))
        drawn = [model.translate(part, to=target, rng=Rng(seed, range(i, i + len(part)))) for seed in (0, 1)]
        apart.append((drawn[0] - drawn[1]).abs().mean((1, 2, 3)))
    return torch.cat(made), 255 * float(torch.cat(apart).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=VARIANTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    judge = mobilenet_v2()
    rows: list[dict[str, Any]] = []
    for name in given.only:
        model, minutes = train(name, given.data, given.steps, given.runs / name.replace("/", "-"))
        sources, truth = (photos_of(model, given.data, domain) for domain in model.channels)
        if not rows:
            rows.append({"system": "input", **score(sources, sources, truth, judge)})
        made, diversity = translations(model.optimized(), sources, truth)
        parameters = sum(p.numel() for p in model.parameters())
        row = {"system": name, **score(made, sources, truth, judge), "diversity": diversity}
        rows.append({**row, "parameters": parameters, "minutes": minutes})
        print(json.dumps(rows[-1]), flush=True)
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
