#!/bin/bash
# datasets' "webdataset": expected every sample of a tar to load, whatever its JSON holds. The types are those of the first five samples: a list
# that is empty, or a field that is null, in all of these makes any later one that is not end the load with an error. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install datasets==5.2.0
cd "$place"
"$place/venv/bin/python" - <<'PY'
import io
import json
import tarfile
from importlib.metadata import version

from datasets import Features, Json, Value, load_dataset
from datasets.exceptions import DatasetGenerationError

print("datasets", version("datasets"))
with tarfile.open("samples.tar", "w") as tar:
    for index in range(8):
        content = json.dumps({"index": index, "edits": ["smile"] if index == 7 else []}).encode()
        member = tarfile.TarInfo(f"{index:06d}.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
place = {"path": "webdataset", "data_files": {"train": "samples.tar"}, "split": "train", "cache_dir": "cache"}
try:
    load_dataset(**place)
    raise SystemExit("a list that is empty in the first five samples now has the type of later ones")
except DatasetGenerationError as error:
    print("as it is:", type(error).__name__, "because of", error.__cause__)
features = Features({"__key__": Value("string"), "__url__": Value("string"), "json": Json()})
loaded = load_dataset(**place, features=features)
print("with features:", len(loaded), "samples, the last", loaded[7]["json"])
assert len(loaded) == 8 and loaded[7]["json"]["edits"] == ["smile"]
PY
