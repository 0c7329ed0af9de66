"""How long looking at a map takes, and how much memory beyond the decoded picture: python benchmarks/looking.py [MEGAPIXELS]

Each kind of map is made, then looked at as `zoo mask inspect` does in a process of its own. Decoding alone is measured in another
one, whose memory is taken off. The reduction to a model's size is measured in the same way.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image

SIZE = 256
"""Height and width that maps are reduced to."""


def make(folder: Path, megapixels: float) -> dict[str, tuple[Path, int]]:
    """Maps by what they are, with the bytes of their pixels."""
    side = round((megapixels * 1e6) ** 0.5)
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 19, (16, 16)), np.ones((side // 16 + 1,) * 2, int))[:side, :side].astype(np.uint8)
    palette = rng.integers(0, 256, (256, 3)).astype(np.uint8)
    coded = np.arange(side * side, dtype=np.int64).reshape(side, side)
    arrays = {
        "19 numbers": blocks,
        "19 colours": palette[blocks],
        "3,000 colours": rng.integers(0, 256, (3000, 3)).astype(np.uint8)[rng.integers(0, 3000, (side, side))],
        "colours by chance": rng.integers(0, 256, (side, side, 3)).astype(np.uint8),
        "every pixel another": np.stack([coded >> 16 & 255, coded >> 8 & 255, coded & 255], -1).astype(np.uint8),
        "16-bit numbers": rng.integers(0, 1 << 16, (side, side)).astype(np.uint16),
    }
    made = {}
    for index, (name, array) in enumerate(arrays.items()):
        path = folder / f"{index}.png"
        PIL.Image.fromarray(array).save(path, compress_level=1)
        made[name] = (path, array.nbytes)
    return made


def measure(what: str, path: Path) -> dict[str, float]:
    """Run this script as a child that does one thing; its seconds and its highest memory in bytes."""
    done = subprocess.run([sys.executable, __file__, what, str(path)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def child(what: str, path: Path) -> dict[str, float]:
    """The thing itself: `decode`, `look` or `reduce`, after each has been done to a tiny map, which loads what they need."""
    import io

    from zoo.composition.run.inputs import fit_file
    from zoo.files.decoding import decode_image, open_image
    from zoo.files.mapfiles import map_file, read_map_file
    from zoo.files.mapreport import describe
    from zoo.files.opened import OpenedFiles
    from zoo.registry import registry

    known = registry().working_spaces()[0]
    space = next(s for s in known if s.name == "celebamask-hq")
    tiny = path.with_name("tiny.png")
    describe(read_map_file(tiny), known)
    fit_file(OpenedFiles().map(tiny), space, space.mapping_to(space), (SIZE, SIZE))
    start = time.process_time()
    if what == "decode":
        decode_image(path, io.BytesIO(path.read_bytes())).load()
    elif what == "look":
        describe(map_file(path, open_image(path, exact=True)), known)
    else:
        fit_file(OpenedFiles().map(path), space, space.mapping_to(space), (SIZE, SIZE))
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    return {"seconds": time.process_time() - start, "bytes": highest}


def main(megapixels: float) -> None:
    """Print a table: processor seconds, and highest memory beyond that of the decoder alone in bytes of the pixels."""
    with tempfile.TemporaryDirectory() as folder:
        PIL.Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) % 19).save(Path(folder, "tiny.png"))
        print(
            "| map | decode, s | look, s | memory / pixels | reduce, s | memory / pixels |\n|---|---:|---:|---:|---:|---:|"
        )
        for name, (path, size) in make(Path(folder), megapixels).items():
            base = measure("decode", path)
            line = f"| {name} | {base['seconds']:.2f} |"
            for what in ("look", "reduce") if name == "19 numbers" else ("look",):
                found = measure(what, path)
                line += f" {found['seconds']:.2f} | {max(0.0, found['bytes'] - base['bytes']) / size:.1f} |"
            print(line if name == "19 numbers" else line + " | |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(child(sys.argv[1], Path(sys.argv[2]))))
    else:
        main(float(sys.argv[1]) if len(sys.argv) == 2 else 4.0)
