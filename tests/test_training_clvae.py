"""`zoo train clvae` on toy faces: trained, resumed, and its style used."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from test_training_cli import zoo

from zoo import load
from zoo.data.specs import open_source, parse_spec
from zoo.maps import SemanticMap
from zoo.training.runs import RunFolder
from zoo_plugins.clvae.model import CLVAE


@pytest.mark.slow
def test_clvae_from_the_command_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = {
        "ngf": 2, "nef": 2, "spade_hidden": 4, "z_dim": 8, "z_dim_local": 4, "resolution": 32, "ndf": 4, "batch_size": 2,
        "precision": "fp32", "preview_every": 0, "validate_every": 0, "perceptual": "none", "steps": 2,
    }  # fmt: skip
    changes = [x for k, v in small.items() for x in ("--set", f"{k}={v}")]
    assert (
        zoo("train", "clvae/celeba-128", "--device", "cpu", "--data", "toy-faces:8", "--out", str(run), *changes) == 0
    )
    assert zoo("train", "--resume", run, "--set", "steps=3") == 0
    state = RunFolder(run).load_state()
    assert state is not None and state["step"] == 3

    model = cast(CLVAE, load(str(run / "model")))
    assert set(model.assets) == {"latent_prior"}
    source = open_source(parse_spec("toy-faces:8"))
    labels = torch.from_numpy(source.read(0, (32, 32))[1].copy()).long()[None]
    maps = SemanticMap(labels, source.label_space)
    style = model.sample_style(maps, 0)
    images = model.synthesize(maps, model.resample(style, maps, classes=["hair"], layers=["1/2"], rng=1))
    assert images.shape == (1, 3, 32, 32) and bool(images.isfinite().all())
