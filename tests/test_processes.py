"""Commands as real processes: exit codes, streams, Ctrl-C, a closed pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def process(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """`python -m zoo` with these arguments."""
    command = [sys.executable, "-m", "zoo", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}, **options
    )


def test_processes(model_root: Path, inputs: Path, tmp_path: Path) -> None:
    """Each command once as a user runs it."""
    models = f"{model_root / 'mask-vae-celeba'}+{model_root / 'scgan-celeba'}"
    out = tmp_path / "out"
    made = process("compose", models, "-n", 1, "--seed", 0, "--out", out, "--device", "cpu")
    assert (made.returncode, made.stdout) == (0, f"{out}\n"), made.stderr
    replayed = process("replay", out / "manifest.json")
    assert (replayed.returncode, replayed.stdout) == (0, "2 of 2 files are equal\n"), replayed.stderr
    parsed = process(
        "parse",
        inputs / "photo.png",
        "--parser",
        model_root / "face-parser-celeba",
        "--out",
        tmp_path / "maps",
        "--device",
        "cpu",
    )
    assert parsed.returncode == 0, parsed.stderr
    for command in (("list",), ("labels",), ("plugins",), ("mask", "inspect", inputs / "face.png")):
        quick = process(*command)
        assert quick.returncode == 0 and "Traceback" not in quick.stderr
    wrong = process("labels", "nosuch", "--debug")
    assert wrong.returncode == 1 and "Traceback" in wrong.stderr  # asked for


def test_ctrl_c(model_root: Path, tmp_path: Path) -> None:
    models = f"{model_root / 'mask-vae-celeba'}+{model_root / 'scgan-celeba'}"
    command = [
        sys.executable,
        "-m",
        "zoo",
        "compose",
        models,
        "-n",
        "100000",
        "--seed",
        "0",
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (tmp_path / "out/metadata.jsonl").exists() and time.monotonic() < until:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130 and out == "" and "continues" in err and "Traceback" not in err
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m zoo labels celebamask-hq --json | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
