"""`zoo train spade` on drawn faces: trained, stored in half precision, resumed, and used."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from test_training_cli import zoo

from zoo import load
from zoo.data.specs import open_source, parse_spec
from zoo.interfaces.models import ImageSynthesizer
from zoo.maps import SemanticMap
from zoo.training.runs import RunFolder


@pytest.mark.parametrize("vae", [True, False])
def test_spade_from_the_command_line(tmp_path: Path, vae: bool) -> None:
    run = tmp_path / "run"
    small = {
        "resolution": 32, "encoder_size": 32, "ngf": 4, "max_width": 16, "spade_hidden": 8, "nef": 4, "z_dim": 8, "ndf": 4, "batch_size": 2,
        "precision": "fp32", "preview_every": 0, "validate_every": 0, "perceptual": "none", "steps": 2, "use_vae": vae,
        "edges": not vae,
    }  # fmt: skip
    changes = [x for k, v in small.items() for x in ("--set", f"{k}={v}")]
    assert (
        zoo("train", "spade/celeba-128", "--device", "cpu", "--data", "toy-faces:6", "--out", str(run), *changes) == 0
    )
    assert zoo("train", "--resume", str(run), "--set", "steps=3") == 0
    state = RunFolder(run).load_state()
    assert state is not None and state["step"] == 3

    model = cast(ImageSynthesizer, load(str(run / "model")))
    assert ("latent_prior" in model.assets) == vae
    source = open_source(parse_spec("toy-faces:6"))
    labels = torch.from_numpy(source.read(0, (32, 32))[1].copy()).long()[None]
    images = model.synthesize(SemanticMap(labels, source.label_space), rng=0)
    assert images.shape == (1, 3, 32, 32) and bool(images.isfinite().all())
