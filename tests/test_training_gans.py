"""SPADE and CLVAE on several processes and with accumulated gradients: the same step as one process with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_gans import train

from zoo.training.runs import RunFolder

HERE = Path(__file__).parent
pytestmark = pytest.mark.usefixtures("one_thread")
Gradients = dict[str, list[Tensor | None]]


def check_equal(found: Gradients, expected: Gradients) -> None:
    """Against each network's largest gradient: that of a bias in front of a norm is noise, at any size."""
    assert found.keys() == expected.keys() == {"generator", "discriminator"}
    for name, gradients in expected.items():
        taken = [g for g in gradients if g is not None]
        scale = max(float(g.abs().max()) for g in taken)
        assert scale > 0 and len(taken) > 10
        for a, b in zip(found[name], gradients, strict=True):
            assert (a is None) == (b is None)
            if a is not None and b is not None:
                torch.testing.assert_close(a / scale, b / scale, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("name", ["spade", "clvae"])
def test_four_times_two_is_eight(name: str, tmp_path: Path) -> None:
    once = train(name, tmp_path / "once", norms="plain", batch_size=8)
    often = train(name, tmp_path / "often", norms="plain", batch_size=2, accumulate=4)
    check_equal(often, once)


@pytest.mark.slow
@pytest.mark.parametrize("norms", ["official", "plain"])
@pytest.mark.parametrize("name", ["spade", "clvae"])
def test_two_processes_are_one(name: str, norms: str, tmp_path: Path) -> None:
    """Through `torchrun`: gloo, two micro-batches each. With the official norms there is one: batch norm reads a micro-batch."""
    micro = 2 if norms == "plain" else 1
    expected = train(name, tmp_path / "one", norms=norms, batch_size=4 * micro)
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", "--no-python", sys.executable]
    options = [f"norms={norms}", "batch_size=4", f"accumulate={micro}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), environment.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *launcher, str(HERE / "training_gans.py"), name, str(tmp_path / "two"), *options],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    check_equal(torch.load(tmp_path / "two/gradients.pt"), expected)
    state = RunFolder(tmp_path / "two").load_state()
    whole = RunFolder(tmp_path / "one").load_state()
    assert state is not None and whole is not None and state["step"] == whole["step"] == 2
    for key, value in whole["networks"]["model"].items():
        if key.endswith(
            "running_mean"
        ):  # of the first step's whole batch, and of a second that Adam's noise has touched
            torch.testing.assert_close(state["networks"]["model"][key], value, rtol=0.1, atol=2e-2, msg=key)
