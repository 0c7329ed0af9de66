"""SIGKILL at random times: the same command afterwards ends with the bytes of a run that nobody killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_outputs import tree

KILLS = {"drawn": 22, "with an input": 6}

# one process that has everything imported forks the runs, so that a kill meets the work and not the imports
HARNESS = """
import os, random, signal, sys, time
import torch
from pathlib import Path
import zoo.composition.chain, zoo.composition.folder.outputs, zoo.data.sheets, yaml, PIL.PngImagePlugin, rich.progress
from zoo.cli import main

torch.set_num_threads(1)
folder, kills, arguments = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]

def start(out):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(folder / "errors", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        try:
            main([*arguments, "--out", str(out)])
        except SystemExit as left:
            os._exit(int(left.code or 0))
    return child

def reached(out):
    # -2: no folder, -1: a folder, else the lines of finished samples
    lines = out / "metadata.jsonl"
    return lines.read_bytes().count(b"\\n") if lines.exists() else -1 if out.exists() else -2

assert os.waitpid(start(folder / "expected"), 0)[1] == 0
draw, done, stages = random.Random(3), 0, set()
for number in range(10 * kills):
    out = folder / f"killed-{number // 4}"
    until, child = reached(out) + draw.choice((1, 1, 2, 3, 6)), start(out)
    while reached(out) < until and os.waitpid(child, os.WNOHANG)[0] == 0:
        time.sleep(0.0005)
    time.sleep(draw.uniform(0, 0.02))
    try:
        os.kill(child, signal.SIGKILL)
        killed = os.waitpid(child, 0)[1] == signal.SIGKILL
    except (ProcessLookupError, ChildProcessError):
        killed = False  # it had ended by then
    done += killed
    if killed:
        stages.add(reached(out))
    if done == kills:
        break
for out in sorted(folder.glob("killed-*")):
    assert os.waitpid(start(out), 0)[1] == 0, (folder / "errors").read_text()
print(done, len(stages))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize("kind", KILLS)
def test_killed_runs_end_with_the_same_bytes(pair: tuple[str, str], inputs: Path, tmp_path: Path, kind: str) -> None:
    edit = () if kind == "drawn" else ("--mask", str(inputs / "face.png"), "--edit", "redraw:hair")
    arguments = ["compose", "+".join(pair), *edit, "-n", "24", "--batch-size", "5", "--seed", "7", "--device", "cpu"]
    command = [sys.executable, "-W", "ignore", "-c", HARNESS, str(tmp_path), str(KILLS[kind]), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ran.returncode == 0, ran.stderr
    done, stages = map(int, ran.stdout.split())
    assert done == KILLS[kind] and stages >= 4  # at different points of the work
    expected = tree(tmp_path / "expected")
    killed = sorted(tmp_path.glob("killed-*"))
    assert killed and all(tree(out) == expected for out in killed)
