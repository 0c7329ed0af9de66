#!/bin/bash
# Pillow's NEAREST of a 16-bit map (instances) and of an 8-bit map (classes) of the same picture: expected the same pixels. Where a sample falls
# between two rows they differ: 54 rows made 43 differ in one, 256 made 100 in one, so that instance and class maps disagree there. 32-bit
# maps are as 8-bit ones. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install pillow==12.3.0 numpy==2.4.6
"$place/venv/bin/python" - <<'PY'
import numpy as np, PIL, PIL.Image

print("Pillow", PIL.__version__)
for before, after in ((54, 43), (256, 100)):
    rows = np.arange(before)[:, None].repeat(2, 1)
    kinds = {"L": np.uint8, "I;16": np.uint16, "I": np.int32}
    seen = {}
    for mode, kind in kinds.items():
        picture = PIL.Image.fromarray(rows.astype(kind))
        assert picture.mode == mode
        seen[mode] = np.asarray(picture.resize((2, after), PIL.Image.Resampling.NEAREST))[:, 0].astype(int)
    differ = {mode: int((values != seen["L"]).sum()) for mode, values in seen.items()}
    print(f"{before} rows to {after}: rows other than those of L: {differ}")
    assert differ == {"L": 0, "I;16": 1, "I": 0}, "16-bit maps are now resized otherwise"
PY
