"""`zoo train scgan`: two networks, stored in half precision, resumed, and taken up again by another run."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from test_training_cli import zoo

from zoo import load
from zoo.data.specs import open_source, parse_spec
from zoo.files.tensors import read_tensors
from zoo.interfaces.models import ImageSynthesizer
from zoo.maps import SemanticMap
from zoo.training.runs import RunFolder


def scgan(run: Path, *more: object, **sets: object) -> int:
    """A small one on toy faces, into the folder `run`."""
    small = {
        "ngf": 8,
        "nff": 8,
        "ndf": 8,
        "batch_size": 2,
        "precision": "fp32",
        "preview_every": 0,
        "validate_every": 0,
    }
    sets = {**small, "perceptual": "none", "dtype": "float16", **sets}
    changes = [x for k, v in sets.items() for x in ("--set", f"{k}={v}")]
    command = ["train", "scgan/celeba-128", "--device", "cpu", "--data", "toy-faces:8", "--out", str(run), *changes]
    return zoo(*command, *map(str, more))


@pytest.mark.slow
def test_scgan_from_the_command_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert scgan(run, steps=2) == 0
    assert zoo("train", "--resume", run, "--set", "steps=3") == 0
    state = RunFolder(run).load_state()
    assert state is not None and state["step"] == 3

    stored = read_tensors(run / "model" / "model.safetensors")
    model = cast(ImageSynthesizer, load(str(run / "model")))
    parameters = {n for n, _ in model.named_parameters()}
    buffers = {k for k, v in stored.items() if k not in parameters and v.is_floating_point()}
    assert buffers and {stored[k].dtype for k in buffers} == {torch.float32}
    assert {stored[k].dtype for k in parameters} == {torch.float16}

    source = open_source(parse_spec("toy-faces:8"))
    labels = torch.from_numpy(source.read(0, (128, 128))[1].copy()).long()[None]
    images = model.synthesize(SemanticMap(labels, source.label_space), rng=0)
    assert images.shape == (1, 3, 128, 128) and bool(images.isfinite().all())

    # a second run starts from the first one's generator and discriminator
    second = tmp_path / "second"
    assert scgan(second, "--init", run / "model", steps=1, lr=0, ema=0, publish="last") == 0
    for file in ("model", "discriminator"):
        before, after = (read_tensors(r / "model" / f"{file}.safetensors") for r in (run, second))
        learned = [k for k, v in before.items() if v.dtype == torch.float16]
        assert learned and all(torch.equal(before[k], after[k]) for k in learned)
