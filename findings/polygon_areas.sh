#!/bin/bash
# One square polygon (2,2)-(12,12) made a mask by five libraries that annotation tools and data sets use: expected 100 pixels from all. COCO's
# own code gives 100, OpenCV, Pillow, scikit-image and supervision 121 (both edges), matplotlib's test of pixel centres 110 (one edge
# of two). Small parts (eyes, earrings) differ most. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install numpy==2.4.6 pycocotools==2.0.11 opencv-python-headless==4.14.0.94 pillow==12.3.0 scikit-image==0.26.0 matplotlib==3.11.2 supervision==0.31.2
cd "$place"
"$place/venv/bin/python" - <<'PY'
from importlib.metadata import version
import cv2, numpy as np, PIL.Image, PIL.ImageDraw, supervision
from matplotlib.path import Path
from pycocotools import mask
from skimage.draw import polygon2mask

square = [(2, 2), (12, 2), (12, 12), (2, 12)]
side = 20
drawn = {"pycocotools": mask.decode(mask.merge(mask.frPyObjects([[float(v) for p in square for v in p]], side, side)))}
drawn["opencv-python-headless"] = cv2.fillPoly(np.zeros((side, side), np.uint8), [np.array(square, np.int32)], 1)
picture = PIL.Image.new("L", (side, side))
PIL.ImageDraw.Draw(picture).polygon(square, fill=1)
drawn["pillow"] = np.asarray(picture)
drawn["scikit-image"] = polygon2mask((side, side), [(y, x) for x, y in square])
drawn["supervision"] = supervision.polygon_to_mask(np.array(square), (side, side))
rows, columns = np.mgrid[:side, :side]
drawn["matplotlib"] = Path(square).contains_points(np.c_[columns.ravel(), rows.ravel()])
areas = {name: int((np.asarray(m) > 0).sum()) for name, m in drawn.items()}
for name, area in areas.items():
    print(f"{name} {version(name)}: {area} pixels")
expected = {"pycocotools": 100, "matplotlib": 110} | dict.fromkeys(("opencv-python-headless", "pillow", "scikit-image", "supervision"), 121)
assert areas == expected, areas
PY
