"""The mean of finished runs' weights (`benchmarks/average.py`): a model folder that loads, between those that it was made of."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import zoo
from zoo.errors import UsageError, WeightsError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.average import average, mean_tensors
from zoo.cli import main

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(path: Path, start: Path | None, seed: int) -> Path:
    sizes = [
        "resolution=32",
        "ngf=2",
        "nef=2",
        "spade_hidden=4",
        "z_dim=4",
        "max_width=8",
        "encoder_size=32",
        "steps=2",
        "ndf=4",
        "batch_size=2",
        "perceptual=none",
    ]
    options = [word for size in (*sizes, f"seed={seed}", "dtype=float32") for word in ("--set", size)]
    begun = ["--init", str(start / "model")] if start else []
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "train",
                "spade/celeba-128",
                "--data",
                "toy-faces:4",
                "--out",
                str(path),
                "--device",
                "cpu",
                *begun,
                *options,
            ]
        )
    assert not ended.value.code
    return path


def test_two_runs(tmp_path: Path) -> None:
    one = trained(tmp_path / "one", None, 0)
    two = trained(tmp_path / "two", one, 1)
    average(tmp_path / "mean", [one, two])
    first, second, mean = (load_file(p / "model/model.safetensors") for p in (one, two, tmp_path / "mean"))
    moved = 0
    for name, tensor in mean.items():
        if name.endswith(("_u", "_v")):
            assert float(tensor.norm()) == pytest.approx(1, abs=1e-3), name
        elif tensor.is_floating_point():
            torch.testing.assert_close(tensor, (first[name] + second[name]) / 2)
            moved += not torch.equal(first[name], second[name])
    assert moved > 20
    found = zoo.load(str(tmp_path / "mean/model"))  # its card vouches for it
    assert found.resolution == (32, 32) and not (tmp_path / "mean/state.pt").exists()
    with pytest.raises(UsageError, match="not there yet"):
        average(tmp_path / "mean", [one, two])
    with pytest.raises(UsageError, match="two runs or more"):
        average(tmp_path / "other", [one])
    shutil.copyfile(one / "model/model.safetensors", tmp_path / "mean/model/model.safetensors")
    with pytest.raises(WeightsError, match="does not match its card"):
        zoo.load(str(tmp_path / "mean/model"))


def test_other_networks() -> None:
    with pytest.raises(UsageError, match="different networks"):
        mean_tensors([{"a": torch.zeros(2)}, {"a": torch.zeros(3)}])
    whole = mean_tensors([{"n": torch.tensor(3)}, {"n": torch.tensor(5)}])
    assert int(whole["n"]) == 3
