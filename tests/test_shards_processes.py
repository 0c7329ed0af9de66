"""Shards by several processes: the bytes of one, also when workers or the driver are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from shard_deaths import ONCE, dies, dies_in_a_shard
from shard_tools import Notes, digests, made, tiny_job

import zoo
from zoo.errors import DataError, UsageError, WeightsError
from zoo.sharding import processes
from zoo.sharding.job import Job
from zoo.sharding.plan import Plan
from zoo.sharding.processes import ATTEMPTS, make_in_processes
from zoo.sharding.store import Folder, open_store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def make(job: Job, place: Path, watch: Notes, workers: int = 2) -> Folder:
    store, plan = Folder(str(place)), Plan.of(job.manifest)
    with store.locked():
        make_in_processes(job, plan, range(plan.shards), store, watch, workers=workers, processors=2)
    return store


def test_a_worker_that_is_killed_changes_nothing(
    pipe: zoo.Composition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tiny_job(pipe)
    whole = digests(made(job, tmp_path / "one"))
    monkeypatch.setattr(processes, "_work", dies_in_a_shard)
    monkeypatch.setenv(ONCE, str(tmp_path / "once"))
    watch = Notes()
    store = make(job, tmp_path / "killed", watch)
    assert digests(store) == whole and watch.made == 10 and sorted(watch.facts) == [0, 1, 2]
    assert len(watch.notes) == 1
    assert watch.notes[0].startswith("A worker was lost (killed by SIGKILL): shard ")
    assert sorted(p.name for p in store.path.iterdir()) == sorted(whole)  # nothing is left half-written


def test_a_shard_that_kills_its_workers_ends_the_run(
    pipe: zoo.Composition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_work", dies)
    with pytest.raises(DataError, match=f"was lost {ATTEMPTS} times with its worker .killed by SIGKILL.") as raised:
        make(tiny_job(pipe), tmp_path / "out", Notes(), workers=1)
    assert "<<workers>>" in raised.value.args[0]
    assert list((tmp_path / "out").iterdir()) == []
    assert not [p for p in multiprocessing.active_children() if p.name.startswith("zoo-shards")]


def test_errors_of_workers_are_those_of_one_process(pipe: zoo.Composition, tmp_path: Path) -> None:
    job = tiny_job(pipe)
    job.manifest["models"]["generator"]["sha256"]["model.safetensors"] = "0" * 64
    with pytest.raises(WeightsError, match="is not the one that made this run") as raised:
        make(job, tmp_path / "out", Notes(), workers=1)
    assert "Traceback" in raised.value.__notes__[0]
    pytest.importorskip("fsspec")
    store = open_store("memory://shards-of-one-process")
    with pytest.raises(UsageError, match="seen by one process alone"):
        make_in_processes(job, Plan.of(job.manifest), [0], store, Notes(), workers=2, processors=2)


def command(pair: tuple[str, str], out: Path) -> list[str]:
    asked = ["-n", "24", "--seed", "7", "--batch-size", "2", "--per-shard", "4", "--device", "cpu"]
    return [sys.executable, "-W", "ignore", "-m", "zoo", "compose", "+".join(pair), *asked, "--shards", str(out)]


def until_two(driver: subprocess.Popen[str]) -> None:
    """Wait until two shards are told of."""
    assert driver.stderr is not None
    assert any(line.startswith("2 of 6 shards") for line in driver.stderr)


@pytest.mark.slow
def test_a_driver_that_is_killed_or_interrupted_loses_nothing(pair: tuple[str, str], tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    subprocess.run(command(pair, whole), check=True, capture_output=True)
    killed = subprocess.Popen([*command(pair, out), "--workers", "2"], stderr=subprocess.PIPE, text=True)
    until_two(killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    first = len(list(out.glob("shard-*.json")))
    assert first >= 2 and not (out / "index.json").exists()
    interrupted = subprocess.Popen(
        [*command(pair, out), "--workers", "2"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert interrupted.stderr is not None
    assert any("of 6 shards, " in line for line in interrupted.stderr)
    os.killpg(interrupted.pid, signal.SIGINT)  # as Ctrl-C does: the workers get it too
    rest = interrupted.stderr.read()
    assert interrupted.wait() in (130, 0), rest
    assert "Traceback" not in rest and (interrupted.returncode == 0 or "are finished and stay" in rest)
    assert not list(out.glob(".*.part"))
    ended = subprocess.run([*command(pair, out), "--workers", "2"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert digests(Folder(str(out))) == digests(Folder(str(whole)))
