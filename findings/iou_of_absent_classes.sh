#!/bin/bash
# Mean IoU of one map of two classes out of four by three libraries: expected the mean over the classes that are there (.583), or nan. kornia and
# segmentation-models-pytorch (macro) give a class that is in neither map a perfect 1, so that .792 comes out; torchmetrics leaves it out.
# Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install torch==2.14.1 kornia==0.9.0 segmentation-models-pytorch==0.6.0 torchmetrics==1.9.0 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
from importlib.metadata import version
import kornia, torch
from segmentation_models_pytorch import metrics
from torchmetrics.functional.classification import multiclass_jaccard_index

truth, guess = torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 1]])
counts = metrics.get_stats(guess, truth, mode="multiclass", num_classes=4)
scores = {
    "kornia": kornia.metrics.mean_iou(guess, truth, 4).mean().item(),
    "segmentation-models-pytorch": metrics.iou_score(*counts, reduction="macro").item(),
    "torchmetrics": multiclass_jaccard_index(guess, truth, num_classes=4).item(),
}
for name, score in scores.items():
    print(f"{name} {version(name)}: {score:.4f}")
expected = {"kornia": 0.7917, "segmentation-models-pytorch": 0.7917, "torchmetrics": 0.5833}
assert {n: round(s, 4) for n, s in scores.items()} == expected
PY
