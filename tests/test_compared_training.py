"""The systems that the papers compare with: a toy training of each, whose model paints the maps of both mask generators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_training_cli import zoo as cli

import zoo

COMMON: dict[str, Any] = {
    "steps": 2, "batch_size": 2, "precision": "fp32", "perceptual": "none", "preview_every": 0, "validate_every": 0,
}  # fmt: skip
SYSTEMS: dict[str, dict[str, Any]] = {
    "cimle/celeba-128": {"widths": "8,8,8,8,8,8", "noise": 2, "encoder_width": 4, "candidates": 2, "epoch_items": 4},
    "crn/celeba-128": {"widths": "8,8,8,8,8,8", "outputs": 3},
    "sims/celeba-128": {
        "widths": "4,4,6,8", "transform_widths": "4,4,6,8", "order_widths": "4,4,6,8,12", "channels_last": False,
    },
    "maskgan/celeba-128": {"ngf": 4, "n_blocks_global": 1, "style_width": 2, "ndf": 4},
    "pix2pixhd/celeba-128": {"ngf": 4, "n_blocks_global": 1, "nef": 2, "ndf": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_after_a_toy_training_it_paints_the_maps_of_both_generators(name: str, tmp_path: Path) -> None:
    changes = [x for k, v in (COMMON | SYSTEMS[name]).items() for x in ("--set", f"{k}={v}")]
    assert cli("train", name, "--device", "cpu", "--data", "toy-faces:4", "--out", str(tmp_path), *changes) == 0
    for generator in ("mask-vae-celeba", "segvae-celeba"):
        result = zoo.compose((generator, str(tmp_path / "model")), device="cpu")(n=2, seed=0)
        assert result.images is not None and result.images.shape == (2, 3, 128, 128)
        assert float(result.images.std()) > 1e-3 and float((result.images[0] - result.images[1]).abs().max()) > 1e-3
        assert result.maps is not None and len(result.maps) == 2
