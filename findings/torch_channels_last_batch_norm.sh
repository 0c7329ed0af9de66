#!/bin/bash
# torch's batch norm on a CPU: expected the same statistics whatever the memory format, to the last bits. In channels last the sums of a channel
# are kept in one float32 each, so that a mean of 8 x 256 x 256 values around 3 is off by 9e-5 where the contiguous one is off by 1e-7:
# running statistics of trainings in channels last are those sums'. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install torch==2.14.1
"$place/venv/bin/python" - <<'PY'
from importlib.metadata import version
import torch

print("torch", version("torch"))
torch.set_num_threads(1)
x = torch.randn(8, 32, 256, 256, generator=torch.Generator().manual_seed(0)) + 3
mean, var = x.double().mean((0, 2, 3)), x.double().var((0, 2, 3))
off = {}
for name, layout in (("contiguous", torch.contiguous_format), ("channels last", torch.channels_last)):
    norm = torch.nn.BatchNorm2d(32, momentum=1.0)  # keeps the statistics of this batch
    norm(x.contiguous(memory_format=layout))
    off[name] = float((norm.running_mean - mean).abs().max())
    print(f"{name}: mean off by at most {off[name]:.1e}, variance by {float((norm.running_var - var).abs().max()):.1e}")
assert off["contiguous"] < 1e-6, off
assert off["channels last"] > 20 * off["contiguous"], "batch norm is as exact in channels last now"
PY
