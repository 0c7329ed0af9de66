#!/bin/bash
# torchmetrics' SSIM of dark pictures in [0, 1]: expected the range [0, 1] to be meant. Without data_range it takes the range of the pixels that are
# there, so that the same pair scores .002 or .36: scores of a dark and a bright test set are not comparable. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install torch==2.14.1 torchmetrics==1.9.0 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
from importlib.metadata import version
import torch
from torchmetrics.functional.image import structural_similarity_index_measure as ssim

print("torchmetrics", version("torchmetrics"), "torch", version("torch"))
rng = torch.Generator().manual_seed(0)
one, other = (torch.rand(2, 3, 64, 64, generator=rng) * 0.1 for _ in range(2))
plain, said = ssim(one, other).item(), ssim(one, other, data_range=1.0).item()
print(f"dark noise: {plain:.4f}; with data_range=1: {said:.4f}")
assert plain < 0.01 and said > 0.3, "the range is now told otherwise"
PY
