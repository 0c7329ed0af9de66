"""SegVAE's folder layouts: what our data sets read is what the authors' loaders returned, to the last bit."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file


@pytest.fixture(scope="module")
def golden() -> ModuleType:
    return golden_module("segvae_preprocess")


def test_preprocessing(shared: Path, golden: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    folder = shared / "golden" / "segvae" / "P_preprocess"
    stored = load_file(folder / "io.safetensors")
    for _ in range(2):  # the second time from the cache
        found = golden.replay_preprocess(folder)
        assert set(found) == set(stored) and len(stored) >= 9
        for name, value in stored.items():
            assert found[name].shape == value.shape and found[name].dtype == value.dtype, name
            assert torch.equal(found[name], value), name
    assert len(list(tmp_path.rglob("*.png"))) == 2
