#!/bin/bash
# torchmetrics' segmentation.MeanIoU: expected the mIoU of papers, intersection over union of the pixels of the whole set, as torchmetrics' own
# MulticlassJaccardIndex gives. It is a mean over pictures, per class too: one wrong pixel in a picture without hats takes a perfectly
# found class from .97 to .50. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install torch==2.14.1 torchmetrics==1.9.0
"$place/venv/bin/python" - <<'PY'
from importlib.metadata import version
import torch
from torchmetrics.classification import MulticlassJaccardIndex
from torchmetrics.segmentation import MeanIoU

print("torchmetrics", version("torchmetrics"), "torch", version("torch"))
truth = torch.zeros(2, 8, 8, dtype=torch.long)
truth[0, :4] = 1  # picture 0: 32 pixels of hat; picture 1: none
found = truth.clone()
found[1, 0, 0] = 1  # one wrong pixel
by_picture = MeanIoU(2, per_class=True, input_format="index")(found, truth)
by_pixel = MulticlassJaccardIndex(2, average="none")(found, truth)
print("segmentation.MeanIoU:", by_picture.tolist())
print("MulticlassJaccardIndex:", by_pixel.tolist())
assert abs(float(by_pixel[1]) - 32 / 33) < 1e-6
assert abs(float(by_picture[1]) - (1 + 0) / 2) < 1e-6, "MeanIoU is no longer a mean over pictures"
PY
