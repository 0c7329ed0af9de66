#!/bin/bash
# datumaro's yolo_ultralytics given masks: expected polygons (YOLO-seg), boxes, or an error. It writes empty label files and says nothing.
# Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install datumaro==1.13.12 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
from importlib.metadata import version
from pathlib import Path
import numpy as np
from datumaro.components.annotation import Mask
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image

print("datumaro", version("datumaro"))
face = np.zeros((64, 64), bool)
face[20:44, 20:44] = True
items = [
    DatasetItem(id=s, subset=s, media=Image.from_numpy(np.zeros((64, 64, 3), np.uint8)), annotations=[Mask(face, label=0)])
    for s in ("train", "val")
]
Dataset.from_iterable(items, categories=["face"]).export("out", "yolo_ultralytics", save_media=True)
labels = {p.name: p.read_text() for p in sorted(Path("out/labels").rglob("*.txt"))}
print("label files:", labels)
assert labels == {"train.txt": "", "val.txt": ""}, "masks are now written"
PY
