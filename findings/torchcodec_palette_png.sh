#!/bin/bash
# torchvision's decode_image is deprecated in favour of TorchCodec's. Of a palette PNG (VOC's, Cityscapes', most label maps) both have
# a mode called UNCHANGED: torchvision's gives the numbers in the file [1, H, W], TorchCodec's the colours [3, H, W].
# Whoever follows the deprecation notice word by word trains on colours. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install torch==2.14.1 torchvision==0.29.1 torchcodec==0.17.0 pillow==13.0.0 numpy
cd "$place"
"$place/venv/bin/python" - <<'PY'
import warnings

warnings.filterwarnings("ignore")
import numpy as np, PIL, PIL.Image, torch, torchcodec, torchvision
from torchcodec.decoders import ImageReadMode, decode_image

print("torch", torch.__version__, "torchvision", torchvision.__version__, "torchcodec", torchcodec.__version__, "Pillow", PIL.__version__)
numbers = np.arange(64, dtype=np.uint8).reshape(8, 8) % 20
image = PIL.Image.fromarray(numbers)
image.putpalette([v for i in range(20) for v in (12 * i, 255 - 12 * i, 90)] + [0] * (768 - 60))
image.save("map.png")
assert image.mode == "P" and np.array_equal(np.array(PIL.Image.open("map.png")), numbers)

old = torchvision.io.decode_image("map.png", torchvision.io.ImageReadMode.UNCHANGED)
new = decode_image("map.png", mode=ImageReadMode.UNCHANGED)
print("torchvision UNCHANGED", tuple(old.shape), old.unique().tolist()[:6])
print("TorchCodec  UNCHANGED", tuple(new.shape), new.unique().tolist()[:6])
assert np.array_equal(old[0].numpy(), numbers), "torchvision no longer gives the numbers"
assert new.shape == (3, 8, 8), "TorchCodec no longer gives the colours"
print("the same file, the same mode: numbers in one, colours in the other")
PY
