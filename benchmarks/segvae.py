"""Speed of SegVAE's inference form at the official size (CelebA, 128 px, 40.1 M parameters) on one CPU thread, batch 1 and 8.

    python benchmarks/segvae.py [--pairs 9] [--batches 1,8]

The yardstick is the plain model, which follows docs/papers/segvae.md ("Steps") line by line: spectral norm at every call, all planes of the canvas
through the first convolution at every step, absent classes included. It decodes present samples only, which the authors'
code does not, so it is the faster of the two. Both forms run in turn in this process on the same label sets and noise; the
ratio is taken pair by pair, in wall and in CPU seconds. Weights are random, with a
decoder that is not as flat as the official start. The differences are given beside what float32 itself does to the plain
form: random networks amplify last bits from step to step.

Label sets: batch 1 the fourteen classes of a usual portrait (no hat, glasses, earring, necklace), larger batches drawn with the
frequencies of the training faces (from the card mask-vae-celeba).
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from pathlib import Path

import torch

import zoo
from zoo.interfaces.capabilities import Latents
from zoo.labels import LabelSet
from zoo_plugins.segvae.model import SegVAE

SETS = Path(__file__).parents[1] / "cards" / "mask-vae-celeba" / "assets" / "label_sets.json"
RARE = ("hat", "eye_g", "ear_r", "neck_l")
LIMITS = {1: 0.55, 8: 0.85}


@torch.no_grad()
def random_model() -> SegVAE:
    """The official config with random weights whose shapes are neither constant nor hard."""
    torch.manual_seed(0)
    model = zoo.create("segvae/celeba").eval()
    assert isinstance(model, SegVAE)
    for parameter in model.decoder.parameters():
        parameter.mul_(50)  # from gain .02 to 1
    model.assets["label_sets"] = json.loads(SETS.read_text())
    return model


def label_sets(model: SegVAE, batch: int) -> list[LabelSet]:
    """What a batch asks for."""
    if batch == 1:
        return [model.label_space.label_set([c for c in model.channels if c not in RARE])]
    return model.sample_label_sets(batch, 0)


def timed(model: SegVAE, sets: list[LabelSet], latents: Latents) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    model.generate(sets, latents=latents)
    return time.perf_counter() - wall, time.process_time() - cpu


def deviations(plain: SegVAE, fast: SegVAE, sets: list[LabelSet], latents: Latents) -> str:
    """How far the outputs of the two forms lie apart. A tie: a pixel where a shape, or their sum, is within 1e-5 of a threshold."""
    a, b = (m.generate_layers(sets, latents=latents).layers for m in (plain, fast))
    exact = copy.deepcopy(plain).double().generate_layers(sets, latents=latents).layers
    parts, threshold = a[:, plain.values[1:]], plain.config.background
    off = plain.generate(sets, latents=latents).labels != fast.generate(sets, latents=latents).labels
    edges = [(parts - 0.5).abs().amin(1), (parts - threshold).abs().amin(1), (parts.sum(1) - threshold).abs()]
    wrong = off & (torch.stack(edges).amin(0) > 1e-5)
    return (
        f"soft shapes (deviation {float(parts[parts > 0].std()):.2f}) differ by at most {float((a - b).abs().max()):.1e}"
        f" (from double precision: plain {float((a - exact).abs().max()):.1e}, inference form"
        f" {float((b - exact).abs().max()):.1e}); classes of {int(off.sum())} pixels, {int(wrong.sum())} of them at no tie"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--batches", default="1,8")
    args = parser.parse_args()
    torch.set_num_threads(1)
    plain = random_model()
    fast = plain.optimized()
    for batch in map(int, args.batches.split(",")):
        sets = label_sets(plain, batch)
        latents = plain.sample_latents(sets, 0)
        difference = deviations(plain, fast, sets, latents)  # both forms are warm after this
        pairs = [(timed(plain, sets, latents), timed(fast, sets, latents)) for _ in range(args.pairs)]
        classes = sum(len(s.names) for s in sets) / len(sets)
        print(f"batch {batch}, {classes:.1f} classes a map, {args.pairs} pairs:")
        for name, clock in (("wall", 0), ("CPU", 1)):
            seconds = [statistics.median(p[form][clock] for p in pairs) for form in (0, 1)]
            ratios = sorted(p[1][clock] / p[0][clock] for p in pairs)
            print(
                f"  {name}: plain {seconds[0]:.3f} s, inference form {seconds[1]:.3f} s; ratio {statistics.median(ratios):.3f}"
                f" ({ratios[0]:.3f} to {ratios[-1]:.3f}); asked: at most {LIMITS.get(batch, 1.0)}"
            )
        print(f"  {difference}")


if __name__ == "__main__":
    main()
