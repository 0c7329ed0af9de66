"""compose, train, pull and fit, interrupted: killed at some change of a file or some moment, ended by a signal, or on a full disk. The
same command again must end with the bytes of one that nobody interrupted."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from . import forks
from .guard import files_of
from .place import Place, call

JOBS = ("compose", "compose", "train", "pull", "fit", "fit in place")
FAULTS = ("KILL", "KILL", "KILL", "TERM", "INT", "ENOSPC", "EIO", "EROFS")
SETS = {
    "latent": 16, "encoder_side": 16, "encoder_widths": 32, "lstm_layers": 1, "decoder_width": 16, "decoder_widths": "16,8,8", "groups": 4,
    "steps": 3, "batch_size": 4, "log_every": 1, "save_every": 1, "validate_every": 2, "preview_every": 2, "precision": "fp32",
}  # fmt: skip
TIMED = ("README.md", "log.jsonl", "metrics.jsonl", "options.json", "manifest.json", "state.pt")
"""Files that hold times, or the command's own words."""
MINE = b"the user's own"


class Jobs:
    """The four commands, what they give undisturbed, and in how many changes of files; measured at a job's first case."""

    def __init__(self, folder: Path) -> None:
        import fixtures_models
        from tiny_folder import tiny_folder

        self.models = folder / "models"
        fixtures_models.build(self.models)
        self.tiny = tiny_folder(folder / "tiny")
        self.url = ""
        self.measured: dict[str, tuple[dict[str, bytes], int, float]] = {}

    def command(self, job: str, work: Path) -> tuple[tuple[Any, ...], Path]:
        """Arguments, and the folder that they make."""
        out = work / "out"
        if job == "compose":
            pair = f"{self.models / 'mask-vae-celeba'}+{self.models / 'scgan-celeba'}"
            return ("compose", pair, "-n", 6, "--batch-size", 2, "--seed", 3, "--device", "cpu", "--out", out), out
        if job == "train":
            sets = [x for k, v in SETS.items() for x in ("--set", f"{k}={v}")]
            return (
                "train",
                "mask-vae/celeba-128",
                "--data",
                "toy-faces:8",
                *sets,
                "--device",
                "cpu",
                "--out",
                out,
            ), out
        if job == "pull":
            return ("pull", "hf:me/tiny", "--to", out), out
        asked = ("label_sets", "--data", "toy-faces:6", "--device", "cpu")
        if job == "fit":
            return ("fit", self.models / "mask-vae-celeba", *asked, "--out", out), out
        return ("fit", out, *asked), out

    def begin(self, job: str, work: Path) -> None:
        """What lies there before: for a fit in place the model, for all of them files of the user beside the target."""
        if job == "fit in place":
            shutil.copytree(self.models / "mask-vae-celeba", work / "out")
        if job == "pull" and not self.url:
            self._serve()
        for name in ("out.part", "out.tmp", ".out.part", "out.old"):
            (work / name).write_bytes(MINE)

    def environment(self) -> None:
        """In the child: the Hub of the loopback."""
        if self.url:
            os.environ.update(HF_ENDPOINT=self.url, HF_HUB_OFFLINE="0", NO_PROXY="127.0.0.1")

    def _serve(self) -> None:
        server = subprocess.Popen(
            [sys.executable, "-m", "fuzz.hub", str(self.tiny)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(server.kill)
        assert server.stdout is not None
        self.url = server.stdout.readline().strip()


def prepare(folder: Path) -> Callable[[Place], None]:
    """Models and, at the first pull, a Hub."""
    jobs = Jobs(folder)
    return lambda place: case(place, jobs)


def case(place: Place, jobs: Jobs) -> None:
    """One command interrupted one to three times, then left alone."""
    rng = place.rng
    job = rng.choice(JOBS)
    if job not in jobs.measured:
        jobs.measured[job] = _undisturbed(place, jobs, job)
    expected, steps, seconds = jobs.measured[job]
    jobs.begin(job, place.work)
    command, out = jobs.command(job, place.work)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if _interrupt(place, jobs, job, _again(job, command, out), steps, seconds, rng):
            break
    last = forks.command(place, *_again(job, command, out), before=jobs.environment, wall=90)
    forks.judge(place, f"{job} again", _as_python(last))
    _compare(place, job, last, out, expected)
    for name in ("out.part", "out.tmp", ".out.part", "out.old"):
        if not (place.work / name).is_file() or (place.work / name).read_bytes() != MINE:
            place.outcome.add("lost", f"{job}: the user's {name} is gone")


def _undisturbed(place: Place, jobs: Jobs, job: str) -> tuple[dict[str, bytes], int, float]:
    work = place.work / "undisturbed"
    work.mkdir()
    jobs.begin(job, work)
    command, out = jobs.command(job, work)
    # once in this process, so that what it imports is there for all children
    first = call([str(a) for a in command]) if job != "pull" else None
    assert first is None or (first[0].taken and not first[1]), f"{job} does not work undisturbed: {first}"
    shutil.rmtree(work)
    work.mkdir()
    jobs.begin(job, work)
    ended = forks.command(place, *command, before=jobs.environment, wall=120)
    assert ended.ran is not None and ended.ran.taken, f"{job} does not work undisturbed: {ended}"
    result = made(job, out)
    shutil.rmtree(work)
    return result, ended.steps, ended.seconds


def made(job: str, out: Path) -> dict[str, bytes]:
    """The files that count: samples, weights, assets, what was pulled. Not what a killed process had begun to write beside them."""
    folder = out / "model" if job == "train" else out
    files = files_of(folder, () if job == "pull" else TIMED) if folder.is_dir() else {}
    return {name: content for name, content in files.items() if not name.endswith(".part")}


def _again(job: str, command: tuple[Any, ...], out: Path) -> tuple[Any, ...]:
    """The same command; of a training that has begun, the way that it says itself."""
    if job == "train" and (out / "options.json").is_file():
        return ("train", "--resume", out, "--device", "cpu")
    return command


def _interrupt(
    place: Place, jobs: Jobs, job: str, command: tuple[Any, ...], steps: int, seconds: float, rng: Random
) -> bool:
    """Run it with one fault. True if it was done before that happened."""
    if rng.random() < 0.3:
        after = rng.uniform(0.05, 1.0) * seconds
        place.did(f"{job} killed after {after / seconds:.0%} of its time")
        ended = forks.command(place, *command, before=jobs.environment, after=after, wall=90)
        fault = "KILL"
    else:
        fault, at = rng.choice(FAULTS), rng.randrange(1, max(steps, 1) + 1)
        place.did(f"{job}: {fault} at change {at} of {steps}")
        ended = forks.command(place, *command, before=jobs.environment, stop_at=at, fault=fault, wall=90)
    if ended.hung:
        place.outcome.add("time", f"{job}: hangs after {fault}")
    if ended.ran is None:
        return False
    forks.judge(place, f"{job} with {fault}", _as_python(ended))
    if (
        fault == "ENOSPC"
        and not ended.ran.taken
        and "No space left" not in ended.ran.err
        and "disk is full" not in ended.ran.err
        and "exists and is not empty" not in ended.ran.err  # it was done before it was killed
    ):
        said = " ".join(ended.ran.err.strip().splitlines()[-1:]).replace(str(place.work), "WORK")
        place.outcome.add("garbled", f"{job}: a full disk is not called one: {said[:200]}")
    return ended.ran.taken


def _as_python(ended: forks.Ended) -> forks.Ended:
    """Without the programs that are Python itself: `zoo pull` runs the client as a process."""
    left = [p for p in ended.watched.get("programs", []) if sys.executable not in p]
    return forks.Ended(**{**vars(ended), "watched": {**ended.watched, "programs": left}}) if ended.watched else ended


def _compare(place: Place, job: str, last: forks.Ended, out: Path, expected: dict[str, bytes]) -> None:
    now = made(job, out)
    if now == expected:  # also where it was all done before it was killed, and a new folder is asked for
        place.outcome.verdict = "right"
    elif last.ran is None or not last.ran.taken:
        told = last.ran.err.strip().splitlines()[-1:] if last.ran else [f"signal {last.signal}"]
        place.outcome.add("lost", f"{job} cannot be finished: {' '.join(told).replace(str(place.work), 'WORK')[:160]}")
    else:
        differ = sorted(n for n in {*now, *expected} if now.get(n) != expected.get(n))
        place.outcome.add("lost", f"{job} ended well with other files than an undisturbed one: {', '.join(differ[:3])}")
