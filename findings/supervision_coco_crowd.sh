#!/bin/bash
# supervision's as_coco: expected a mask with a hole (hair around a face) to be an ordinary object as RLE. It is written with iscrowd 1, and
# COCO's own evaluation leaves crowds out: the class has no score at all, whatever is detected. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install numpy==2.4.6 pycocotools==2.0.11 opencv-python-headless==4.14.0.94 supervision==0.31.2
cd "$place"
"$place/venv/bin/python" - <<'PY'
import contextlib, io, json
from importlib.metadata import version
import cv2, numpy as np, supervision as sv
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

print("supervision", version("supervision"), "pycocotools", version("pycocotools"))
hair = np.zeros((64, 64), bool)
hair[8:56, 8:56], hair[20:44, 20:44] = True, False
face = np.zeros((64, 64), bool)
face[20:44, 20:44] = True
cv2.imwrite("a.png", np.zeros((64, 64, 3), np.uint8))
masks = np.stack([hair, face])
objects = sv.Detections(xyxy=sv.mask_to_xyxy(masks), mask=masks, class_id=np.array([0, 1]))
sv.DetectionDataset(["hair", "face"], ["a.png"], {"a.png": objects}).as_coco("images", "a.json")
written = json.load(open("a.json"))
names = {c["id"]: c["name"] for c in written["categories"]}
crowd = {names[a["category_id"]]: a["iscrowd"] for a in written["annotations"]}
print("iscrowd:", crowd)
from pycocotools import mask as coder
with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO("a.json")
    perfect = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "score": 1.0, "segmentation": truth.annToRLE(a)}
        for a in written["annotations"]
    ]
    judge = COCOeval(truth, truth.loadRes(perfect), "segm")
    judge.evaluate()
    judge.accumulate()
scores = {names[c]: float(judge.eval["precision"][:, :, k, 0, -1].mean()) for k, c in enumerate(judge.params.catIds)}
print("average precision of the very same masks:", scores)
assert crowd == {"hair": 1, "face": 0}, "masks with holes are no longer crowds"
assert scores["hair"] == -1 and scores["face"] > 0.99, scores
PY
