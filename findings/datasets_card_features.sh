#!/bin/bash
# `dataset_info.features` in the card (README.md) of an image folder: `datasets` parses them and then infers its own, so that a column
# that is null in every line has type null although the card says float64. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install datasets==5.2.0 pillow==13.0.0
mkdir "$place/data"; cd "$place"
HF_HUB_OFFLINE=1 HF_HOME="$place/home" "$place/venv/bin/python" - <<'PY'
import json, PIL.Image, datasets

print("datasets", datasets.__version__)
for i in range(2):
    PIL.Image.new("RGB", (8, 8), (i, 0, 0)).save(f"data/{i}.png")
with open("data/metadata.jsonl", "w") as file:
    for i in range(2):
        file.write(json.dumps({"file_name": f"{i}.png", "index": i, "score": None}) + "\n")
with open("data/README.md", "w") as file:
    file.write("""---
configs:
- config_name: default
  data_files:
  - split: train
    path: ['*.png', metadata.jsonl]
dataset_info:
  features:
  - name: image
    dtype: image
  - name: index
    dtype: int64
  - name: score
    dtype: float64
---
""")
builder = datasets.load_dataset_builder("data")
print("builder before loading:", builder.info.features)
found = datasets.load_dataset("data", split="train").features
print("loaded:                ", found)
assert str(builder.info.features["score"]) == "Value('float64')", "the card is no longer parsed"
assert str(found["score"]) == "Value('null')", "the card's type is now kept"
print("the card's float64 became null")
PY
