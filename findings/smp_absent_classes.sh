#!/bin/bash
# segmentation-models-pytorch's iou_score with reduction="macro": expected the mean over the classes that occur, as papers take their mIoU. A
# class that is neither in the labels nor in the prediction counts as IoU 1 (zero_division=1.0), so that with 19 classes of which 2 occur a
# prediction without one right pixel of the second scores .92 instead of .25. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install torch==2.14.1 segmentation-models-pytorch==0.6.0
"$place/venv/bin/python" - <<'PY'
from importlib.metadata import version
import torch
from segmentation_models_pytorch.metrics import get_stats, iou_score

print("segmentation-models-pytorch", version("segmentation-models-pytorch"), "torch", version("torch"))
labels = torch.zeros(2, 8, 8, dtype=torch.long)
labels[:, :4] = 1  # half of each picture is hair, nothing else of 19 classes occurs
found = torch.zeros_like(labels)  # all background
counts = get_stats(found, labels, mode="multiclass", num_classes=19)
score = float(iou_score(*counts, reduction="macro"))
two = get_stats(found, labels, mode="multiclass", num_classes=2)
of_two = float(iou_score(*two, reduction="macro"))
print("macro IoU of 19 classes:", score, "- of the two that occur:", of_two)
assert abs(of_two - (0.5 + 0) / 2) < 1e-6
assert abs(score - (17 * 1 + 0.5 + 0) / 19) < 1e-6, "absent classes no longer count as found"
PY
