#!/bin/bash
# pytorch_msssim.ssim of pictures in [0, 1], the range of torch's pictures: expected about 0 for two of unrelated noise. Its data_range is 255 unless
# said, so that it gives .996. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install torch==2.14.1 pytorch-msssim==1.0.0 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
from importlib.metadata import version
import torch
from pytorch_msssim import ssim

print("pytorch-msssim", version("pytorch-msssim"), "torch", version("torch"))
rng = torch.Generator().manual_seed(0)
one, other = (torch.rand(2, 3, 64, 64, generator=rng) for _ in range(2))
plain, said = ssim(one, other).item(), ssim(one, other, data_range=1).item()
print(f"unrelated noise in [0, 1]: {plain:.4f}; with data_range=1: {said:.4f}")
assert plain > 0.99, "the range is now told otherwise"
assert abs(said) < 0.05
PY
