#!/bin/bash
# datumaro's kitti_segmentation: expected two masks to come back as two. The pixels of no mask are written as 0, which is also the first
# class, and come back as a third mask of that class. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install datumaro==1.13.12 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import logging
from importlib.metadata import version
import numpy as np
from datumaro.components.annotation import AnnotationType, Mask
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image

logging.disable(logging.WARNING)
print("datumaro", version("datumaro"))
hair = np.zeros((64, 64), bool)
hair[8:56, 8:56], hair[20:44, 20:44] = True, False
face = np.zeros((64, 64), bool)
face[20:44, 20:44] = True
item = DatasetItem(
    id="a", subset="train", media=Image.from_numpy(np.zeros((64, 64, 3), np.uint8)),
    annotations=[Mask(hair, label=0, id=1, group=1), Mask(face, label=1, id=2, group=2)],
)
Dataset.from_iterable([item], categories=["hair", "face"]).export("out", "kitti_segmentation", save_media=True)
back = Dataset.import_from("out", "kitti_segmentation")
names = [label.name for label in back.categories()[AnnotationType.label].items]
areas = sorted((names[a.label], int(a.get_area())) for i in back for a in i.annotations)
print("written: hair 1728, face 576; read:", areas)
assert areas == [("face", 576), ("hair", 1728), ("hair", 1792)], "what has no mask is no longer the first class"
PY
