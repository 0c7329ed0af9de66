#!/bin/bash
# Ray Data's write_webdataset: expected that the same rows written again, as after a killed driver, replace the tars that are there, or
# give the same bytes. The tars get random names and the time of writing: no digest ever agrees, and a second run into the same folder adds to
# the first, so that read_webdataset gives every pair twice, without a word. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install "ray[data]==2.60.0" pillow==12.3.0
"$place/venv/bin/python" -c "import ray.data"  # the first import is the slowest
cd "$place"
RAY_AUTH_MODE=disabled RAY_TMPDIR="$place" "$place/venv/bin/python" - <<'PY'
import glob
import hashlib
import logging
import os
from collections import Counter
from importlib.metadata import version

import numpy as np
import ray

print("ray", version("ray"), "pillow", version("pillow"))
for _ in range(3):  # a start may take longer than the 30 s that Ray waits, where the machine is busy
    try:
        ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        break
    except Exception as error:
        print(error)
        ray.shutdown()
ray.data.DataContext.get_current().enable_progress_bars = False
rows = [{"__key__": f"{i:03d}", "map.png": np.full((8, 8), i, np.uint8), "json": {"number": i}} for i in range(4)]


def written(folder):
    ray.data.from_items(rows).write_webdataset(folder)
    return {hashlib.sha256(open(name, "rb").read()).hexdigest() for name in glob.glob(f"{folder}/*.tar")}


once = written(f"{os.getcwd()}/one")
other = written(f"{os.getcwd()}/other")
print("digests of two folders of the same rows in common:", len(once & other), "of", len(once))
assert not once & other, "the same rows give the same bytes now"
written(f"{os.getcwd()}/one")
keys = Counter(row["__key__"] for row in ray.data.read_webdataset(f"{os.getcwd()}/one").take_all())
print("written twice into one folder, read back:", dict(keys))
assert set(keys.values()) == {2}, "a second run no longer adds to the first"
PY
