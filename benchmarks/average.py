"""Averages the weights of finished runs of one config, for publishing: what swings about its aim in each of them is nearer to it in the mean.

    python benchmarks/average.py OUT RUN RUN …

After "Model soups" (Wortsman et al., ICML 2022). OUT is a copy of the last run without its state (the discriminator is the last run's), with the
means of all floating-point tensors of the model and its assets; the vectors of spectral norms are brought back to length 1. Runs must have grown from
the same weights: a mean of networks that know nothing of each other is none.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from zoo.errors import UsageError
from zoo.files.digests import sha256

VECTORS = ("_u", "_v")


def mean_tensors(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The means of floating-point tensors of the same names and shapes, in their dtype; others are the first's. Raises UsageError where names or
    shapes differ."""
    first = parts[0]
    shapes = {name: t.shape for name, t in first.items()}
    if any({name: t.shape for name, t in part.items()} != shapes for part in parts):
        raise UsageError("These runs hold different networks: only runs of one config can be averaged.")
    found = {}
    for name, tensor in first.items():
        if not tensor.is_floating_point():
            found[name] = tensor
            continue
        mean = torch.stack([part[name].double() for part in parts]).mean(0)
        if name.endswith(VECTORS):
            mean = mean / mean.norm()
        found[name] = mean.to(tensor.dtype).contiguous()
    return found


def average(out: Path, runs: Sequence[Path]) -> None:
    """Write OUT. Raises UsageError for fewer than two runs, or an OUT that exists."""
    if len(runs) < 2 or out.exists():
        raise UsageError(
            f"Averaging takes a folder that is not there yet and two runs or more, got {out} and {len(runs)}."
        )
    files = sorted(
        p.relative_to(runs[-1]) for p in (runs[-1] / "model").rglob("*.safetensors") if p.stem != "discriminator"
    )
    means = {file: mean_tensors([load_file(run / file) for run in runs]) for file in files}
    shutil.copytree(runs[-1], out, ignore=shutil.ignore_patterns("state.pt", "best.pt", "tensorboard"))
    card = out / "model/README.md"
    text = card.read_text("utf-8")
    for file, tensors in means.items():
        with safe_open(runs[-1] / file, "pt") as opened:
            metadata = opened.metadata()
        save_file(tensors, out / file, metadata=metadata)
        name = re.escape(file.relative_to("model").as_posix())
        text = re.sub(rf"(?m)^(\s+{name}: )[0-9a-f]+$", rf"\g<1>{sha256(out / file)}", text)
    card.write_text(text, "utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    try:
        average(Path(sys.argv[1]), [Path(run) for run in sys.argv[2:]])
    except (UsageError, OSError) as error:
        sys.exit(f"Error: {error}")
