#!/bin/bash
# pycocotools.mask.encode given a map of class numbers instead of a mask of 0 and 1: expected all that is not 0, or an error. Runs end at
# every change of value and are taken in turn as outside and inside, so that [0 1 2 0 3 3] becomes [0 1 0 1 0 0]: class 2 is lost and
# background is in. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install numpy==2.4.6 pycocotools==2.0.11
cd "$place"
"$place/venv/bin/python" - <<'PY'
from importlib.metadata import version
import numpy as np
from pycocotools import mask

print("pycocotools", version("pycocotools"))
classes = np.asfortranarray(np.array([[0, 1, 2, 0, 3, 3]], np.uint8).T)
got = mask.decode(mask.encode(classes)).ravel().tolist()
print("class map:", classes.ravel().tolist(), "encoded and decoded:", got)
assert got == [0, 1, 0, 1, 0, 0], "a class map is now encoded otherwise"
right = mask.decode(mask.encode(np.asfortranarray((classes > 0).astype(np.uint8)))).ravel().tolist()
assert right == [0, 1, 1, 0, 1, 1], "a mask of 0 and 1 is no longer encoded right"
PY
