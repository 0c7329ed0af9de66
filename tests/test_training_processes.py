"""A run in several processes, by torchrun over gloo on loopback: the same as in one, whatever number goes on with it, whoever dies."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import several
import torch
from fixtures_models import MASK_VAE
from torch import nn
from torch.nn import functional as F

from zoo.nn.one_batch import AsOneBatch, Share, batch_mean, batch_sum
from zoo.training.runs import RunFolder

HERE = Path(__file__).parent
pytestmark = pytest.mark.usefixtures("one_thread")

COMMON: dict[str, Any] = {
    "steps": 3,
    "count": 20,
    "save_every": 100,
    "preview_every": 2,
    "validate_every": 2,
    "log_every": 1,
}
PLAIN: dict[str, Any] = {**COMMON, "plain": True, "lr": 0.1, "ema": 0.5}
JOBS: dict[str, dict[str, Any]] = {
    "plain": {**PLAIN, "batch_size": 4},
    "accumulated": {**PLAIN, "batch_size": 4, "accumulate": 2},
    "uneven": {**PLAIN, "batch_size": 7},
    "layers": {
        **COMMON,
        "steps": 2,
        "batch_size": 4,
        "ema": 0.9,
        "lr": 1e-4,
    },  # batch norm, spectral norm, dropout, Adam
    "layers_uneven": {**COMMON, "steps": 1, "batch_size": 5, "ema": 0.9, "accumulate": 2},
}


def launch(
    processes: int, *program: object, faults: dict[str, Any] | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """`torchrun --standalone` with a program, on a free port of its own choice."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SEVERAL_FAULTS": json.dumps(faults or {}), **more}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), environment.get("PYTHONPATH", "")])
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc_per_node={processes}",
        *map(str, program),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)


def jobs_in(folder: Path, jobs: dict[str, dict[str, Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "jobs.json").write_text(json.dumps(jobs))
    return folder


def kept(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "kept.pt")


def state_of(folder: Path) -> dict[str, Any]:
    state = RunFolder(folder).load_state()
    assert state is not None
    return state


def check_close(found: Any, expected: Any, *, atol: float, where: str = "") -> None:
    """Nested values, tensor by tensor, against the largest number of each tensor."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key in expected:
            check_close(found[key], expected[key], atol=atol, where=f"{where}/{key}")
    elif isinstance(expected, list | tuple):
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            check_close(a, b, atol=atol, where=f"{where}/{i}")
    else:
        a, b = torch.as_tensor(found).float(), torch.as_tensor(expected).float()
        scale = max(1.0, float(b.abs().max())) if b.numel() else 1.0
        torch.testing.assert_close(a, b, rtol=0, atol=atol * scale, msg=lambda text: f"{where}: {text}")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of the jobs."""
    folder = jobs_in(tmp_path_factory.mktemp("alone"), JOBS)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    several.run(folder, {})
    torch.set_num_threads(threads)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_several_processes_are_one(processes: int, alone: Path, tmp_path: Path) -> None:
    """Gradients, weights, averages, running statistics, losses in the log and scores, for even and uneven shares.

    The bias in front of the batch norm has no gradient but rounding, which Adam makes a step of full size: with Adam the limit is that.
    """
    folder = jobs_in(tmp_path / "several", JOBS)
    done = launch(processes, HERE / "several.py", folder)
    assert done.returncode == 0, done.stderr
    for name, options in JOBS.items():
        found, expected = kept(folder / name), kept(alone / name)
        check_close(found["gradients"], expected["gradients"], atol=1e-5, where=f"{name}: gradients")
        # one step of Adam has the size of its rate, whatever the gradient's is
        limit = 1e-5 if options.get("plain") else 2.5 * options.get("lr", 0.01) * options["steps"]
        a, b = state_of(folder / name), state_of(alone / name)
        assert a["step"] == b["step"] == options["steps"]
        check_close(a["networks"], b["networks"], atol=limit, where=f"{name}: networks")
        check_close(a["ema"], b["ema"], atol=limit, where=f"{name}: ema")
        check_close(found["published"], expected["published"], atol=4 * limit, where=f"{name}: published")
        for logs in (found["logs"], expected["logs"]):
            del logs["noise"]  # a deviation over the batch, no mean over samples
        check_close(found["logs"], expected["logs"], atol=max(1e-4, limit), where=f"{name}: logs")
        curves = [
            [{k: v for k, v in line.items() if k != "minutes"} for line in RunFolder(f / name).metrics()]
            for f in (folder, alone)
        ]
        check_close(*curves, atol=max(1e-4, 4 * limit), where=f"{name}: curve")
        assert sorted(p.name for p in (folder / name).iterdir()) == sorted(p.name for p in (alone / name).iterdir())
        assert len(list((folder / name / "tensorboard").iterdir())) == 1  # the first process alone writes


@pytest.mark.slow
def test_another_number_of_processes_goes_on(tmp_path: Path) -> None:
    """1 -> 2 -> 4 -> 1: the steps, samples and weights of one process all the way."""
    options = {**PLAIN, "batch_size": 4, "validate_every": 1}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    several.run(jobs_in(whole, {"run": {**options, "steps": 8}}), {})
    for processes, steps in ((1, 2), (2, 4), (4, 6), (1, 8)):
        jobs_in(cut, {"run": {**options, "steps": steps}})
        if processes == 1:
            several.run(cut, {})
        else:
            done = launch(processes, HERE / "several.py", cut)
            assert done.returncode == 0, done.stderr
        assert state_of(cut / "run")["step"] == steps
    check_close(state_of(cut / "run")["networks"], state_of(whole / "run")["networks"], atol=1e-5)
    lines = [[(line["step"], line["samples"]) for line in RunFolder(f / "run").metrics()] for f in (cut, whole)]
    assert lines[0] == lines[1] == [(s, 4 * s) for s in range(1, 9)]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["kill", "raise"])
def test_a_process_that_dies_ends_the_run_with_its_state(what: str, tmp_path: Path) -> None:
    options = {**PLAIN, "batch_size": 4, "steps": 6, "save_every": 2}
    folder = jobs_in(tmp_path / "run", {"run": options})
    done = launch(2, HERE / "several.py", folder, faults={"step": 5, "what": what})
    assert done.returncode != 0
    assert "another process of this run has ended" in done.stderr and "zoo train --resume" in done.stderr
    assert state_of(folder / "run")["step"] == 4
    several.run(folder, {})  # goes on
    several.run(jobs_in(tmp_path / "whole", {"run": options}), {})
    check_close(state_of(folder / "run")["networks"], state_of(tmp_path / "whole/run")["networks"], atol=1e-5)


@pytest.mark.slow
def test_what_is_wrong_is_told_once(tmp_path: Path) -> None:
    """Options and data that differ between processes, and what no process can begin with: one line, and no folder."""
    out = tmp_path / "out"
    zoo = "import os, sys; from zoo.cli import main; r = os.environ['RANK']; main(eval(sys.argv[1])[int(r)])"
    (tmp_path / "each.py").write_text(zoo)

    def command(data: str, *more: str) -> list[str]:
        small = (*(f"network.{k}={v}" for k, v in MASK_VAE.items()), "batch_size=2", "steps=2", "validate_every=0")
        sets = [part for field in (*small, *more) for part in ("--set", field)]
        return ["train", "mask-vae/celeba-128", "--data", data, *sets, "--out", str(out), "--device", "cpu"]

    right = command("toy-faces:8")
    for other, told in (
        (
            command("toy-faces:9"),
            r"Process 1 of 2 on \S+ was started with another number of training pairs: 9 there, 8 in process 0",
        ),
        (command("toy-faces:8", "lr=0.5"), r"another value of trainer.lr: 0.5 there"),
        (command("folder:/nowhere"), r"Process 1 of 2 on \S+: .*/nowhere"),
    ):
        done = launch(2, tmp_path / "each.py", repr([right, other]))
        lines = [line for line in done.stderr.splitlines() if "Error: " in line and "torch" not in line]
        assert done.returncode != 0 and len(lines) == 1 and re.search(told, lines[0]), done.stderr
        assert (
            "Traceback"
            not in done.stderr.split("torch/distributed/run.py")[0].split("ChildFailedError")[0].partition("Error: ")[0]
        )
        assert not (out / "options.json").exists()


# --- one batch in parts, without processes ------------------------------------------------------------------------


def test_shares_hold_every_row_once() -> None:
    for world, whole, together in ((1, 5, 1), (2, 5, 1), (3, 8, 2), (4, 4, 1)):
        shares = [Share(rank, world, whole, together) for rank in range(world)]
        assert sorted(row for share in shares for row in share.rows) == list(range(whole))
        assert sum(share.weight for share in shares) == pytest.approx(1)
        assert all(row + 1 in share.rows for share in shares for row in share.rows if together == 2 and row % 2 == 0)


@pytest.mark.parametrize("layer", [nn.Dropout(0.3), nn.Dropout2d(0.3), nn.Dropout(0.3, inplace=True)])
def test_dropout_takes_the_rows_of_the_whole_batch_s_mask(layer: nn.Module) -> None:
    x = torch.ones(5, 6, 8, 8)
    for form in (x, x.contiguous(memory_format=torch.channels_last)):
        torch.manual_seed(3)
        whole = layer(form.clone()) if not isinstance(layer, nn.Dropout2d) else None
        parts = torch.zeros_like(x)
        for rank in range(2):
            share = Share(rank, 2, 5)
            torch.manual_seed(3)
            with AsOneBatch(share):
                parts[share.rows] = layer(form[share.rows].clone())
        if whole is not None:
            assert torch.equal(parts, whole)
        assert parts.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]


def test_outside_nothing_changes() -> None:
    loss = torch.tensor(3.0)
    assert batch_sum(loss) is loss and batch_mean(loss, 7) is loss and AsOneBatch.current() is None
    norm, x = nn.BatchNorm2d(2).eval(), torch.rand(2, 2, 3, 3)
    with AsOneBatch(Share(0, 2, 4)):
        assert AsOneBatch.current() is not None
        assert torch.equal(norm(x), F.batch_norm(x, torch.zeros(2), torch.ones(2), norm.weight, norm.bias))
        assert torch.equal(F.dropout(x, 0.5, training=False), x)
    assert AsOneBatch.current() is None
