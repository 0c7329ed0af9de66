"""Two domains of faces, A with dark and B with light hair, as `domains:DIR` takes them; for an unpaired task (DIR: a folder of CelebAMask-HQ).

    python benchmarks/hair_domains.py DIR OUT --side 64

Hair is measured by the mean luma (BT.601) of its pixels, in faces of which it covers 5% or more; the darkest and the lightest third of
the training photos are the domains, and photos of val and test are held out by the same two limits (testA, testB). The photos are
resized (Lanczos) and written as PNG. CelebAMask-HQ forbids redistribution: OUT is not for publishing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import PIL.Image

HAIR = 13
"""Its value in CelebAMask-HQ."""
LEAST = 0.05
"""Share of a picture below which its hair is not judged."""
LUMA = np.array([0.299, 0.587, 0.114])


def hair_luma(photo: Path, labels: Path) -> float | None:
    """Mean luma of the hair in 0..255; None where there is too little."""
    hair = np.asarray(PIL.Image.open(labels)) == HAIR
    if hair.mean() < LEAST:
        return None
    return float((np.asarray(PIL.Image.open(photo).convert("RGB"))[hair] @ LUMA).mean())


def measured(root: Path, split: str) -> dict[str, float]:
    """Stem -> luma of the photos of a split whose hair can be judged."""
    stems = (root / "splits" / f"{split}.txt").read_text().split()
    found = {s: hair_luma(root / "CelebA-HQ-img" / f"{s}.jpg", root / "labels" / f"{s}.png") for s in stems}
    return {stem: value for stem, value in found.items() if value is not None}


def build(root: Path, out: Path, side: int) -> dict[str, int]:
    """Write trainA, trainB, testA and testB; how many photos each holds."""
    train = measured(root, "train")
    dark, light = np.quantile(list(train.values()), [1 / 3, 2 / 3])
    held = measured(root, "val") | measured(root, "test")
    counts = {}
    for part, lumas in (("train", train), ("test", held)):
        domains = {"A": [s for s, v in lumas.items() if v <= dark], "B": [s for s, v in lumas.items() if v >= light]}
        for domain, stems in domains.items():
            folder = out / f"{part}{domain}"
            folder.mkdir(parents=True)
            for stem in stems:
                photo = PIL.Image.open(root / "CelebA-HQ-img" / f"{stem}.jpg").convert("RGB")
                photo.resize((side, side), PIL.Image.Resampling.LANCZOS).save(folder / f"{stem}.png")
            counts[folder.name] = len(stems)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=64)
    given = parser.parse_args()
    print(build(given.root, given.out, given.side))
