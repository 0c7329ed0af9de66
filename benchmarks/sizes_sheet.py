"""Draws one face a column, a row for each synthesizer: the pictures of one map and one seed, side by side at the size of the largest.

    python benchmarks/sizes_sheet.py segvae spade-celeba spade-celeba-256 -n 4 --seed 11 --out docs/sizes.png

Maps are drawn by the generator, no photo is shown. Smaller pictures are enlarged (bicubic), as a viewer would.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.nn import functional as F

import zoo
from zoo.data.sheets import grid
from zoo.files.images import save_image, to_pil

GAP = 4


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("generator")
    arguments.add_argument("synthesizers", nargs="+")
    arguments.add_argument("-n", type=int, default=4, help="faces")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--out", type=Path, required=True)
    given = arguments.parse_args(argv)
    pipes = [zoo.compose(f"{given.generator}+{name}", device="cpu") for name in given.synthesizers]
    side = max(max(pipe.resolution) for pipe in pipes)
    with torch.inference_mode():
        rows = [pipe(n=given.n, seed=given.seed).images for pipe in pipes]
    sized = [F.interpolate(row, (side, side), mode="bicubic", antialias=True).clamp(0, 1) for row in rows]
    save_image(to_pil(grid([list(row) for row in sized], gap=GAP, cell=(side, side))), given.out, optimize=True)
    print(given.out)


if __name__ == "__main__":
    main()
