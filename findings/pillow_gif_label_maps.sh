#!/bin/bash
# Pillow writes a label map as GIF with other numbers: colours that no pixel has are left out and the rest counted again, so that classes
# 0, 3, 17 come back as 0, 1, 2 from np.array(Image.open(...)). PNG, BMP and TIFF keep them. GIF is lossless for colours, not for numbers;
# optimize=False keeps them. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install pillow==13.0.0 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import numpy as np, PIL, PIL.Image

print("Pillow", PIL.__version__)
labels = np.array([[0, 3, 3], [17, 17, 0]], np.uint8)
grey, palette = PIL.Image.fromarray(labels), PIL.Image.fromarray(labels)
palette.putpalette([v for i in range(256) for v in (i, 255 - i, 7)])
for name, image in (("grey", grey), ("palette", palette)):
    for ending in ("png", "bmp", "tif", "gif"):
        image.save(f"map.{ending}")
        back = np.array(PIL.Image.open(f"map.{ending}"))
        print(f"{name:8} {ending}  {np.unique(back).tolist()}")
        same = np.array_equal(back, labels)
        assert same == (ending != "gif"), f"{ending} keeps the numbers: {same}"
    image.save("plain.gif", optimize=False)
    assert np.array_equal(np.array(PIL.Image.open("plain.gif")), labels), "optimize=False no longer keeps them"
print("the same map, another format: classes 0, 3, 17 became 0, 1, 2")
PY
