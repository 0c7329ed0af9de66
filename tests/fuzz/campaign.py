"""A run of cases: workers, deadlines, shares of the time, and what came out."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import TESTS
from .kinds import KINDS
from .patience import Patience
from .verdicts import Outcome


class BrokenFuzzer(Exception):
    """The fuzzer's own code failed; the text has the traceback."""


class Worker:
    """A child process for one kind of case, started when it is needed and again after it died."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, case: int, seed: int) -> Outcome:
        """One case; a process that dies or does not come back is its verdict. Raises BrokenFuzzer."""
        limit = KINDS[self.kind].wall
        if self.process is None:
            self._start()
        try:
            reply = self._ask({"kind": self.kind, "case": case, "seed": seed}, limit)
        except TimeoutError:
            self.close()
            return Outcome(self.kind, case, seed, problems=[("time", f"not done within {limit:.0f} s")], seconds=limit)
        except EOFError:
            assert self.process is not None
            code = self.process.wait()
            self.close()
            return Outcome(self.kind, case, seed, problems=[("crash", f"the process ended with {code}")])
        return Outcome.from_json(reply)

    def close(self) -> None:
        """End the process and remove its folder."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "ZOO_"))}
        env = {**kept, "PYTHONPATH": path, "FUZZ_FOLDER": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        log = (self.folder / "stderr").open("wb")
        command = [sys.executable, "-m", "fuzz.worker"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env, bufsize=0
        )
        log.close()
        try:
            self._ask({"kind": self.kind, "prepare": True}, 300)
        except (EOFError, TimeoutError) as error:
            raise BrokenFuzzer(f"no worker: {(self.folder / 'stderr').read_text(errors='replace')[-3000:]}") from error

    def _ask(self, asked: dict[str, Any], limit: float) -> dict[str, Any]:
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        except BrokenPipeError as error:
            raise EOFError from error
        patience, got = Patience(self.process.pid, limit), b""
        while not got.endswith(b"\n"):
            if not select.select([self.process.stdout], [], [], 1)[0]:
                if patience.over():
                    raise TimeoutError
                continue
            block = os.read(self.process.stdout.fileno(), 1 << 16)
            if not block:
                raise EOFError
            got += block
        reply = json.loads(got)
        if "broken" in reply:
            raise BrokenFuzzer(f"{asked}: {reply['broken']}\n{reply['where']}")
        return reply


@dataclass
class Report:
    """What a campaign found, by kind."""

    seed: int
    command: str = ""
    minutes: float = 0.0
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    bad: list[dict[str, Any]] = field(default_factory=list)

    def take(self, outcome: Outcome) -> None:
        """Count one outcome."""
        values = outcome.to_json()
        count = self.counts.setdefault(outcome.kind, Counter())
        count["cases"] += 1
        count["inputs"] += outcome.tried
        count[values["verdict"]] += 1
        for kind in {kind for kind, _ in outcome.problems}:
            count[kind] += 1
        if values["verdict"] == "bad":
            self.bad.append(values)

    def to_json(self) -> dict[str, Any]:
        """The whole report."""
        return {**vars(self), "counts": {k: dict(c) for k, c in self.counts.items()}}


def run(
    kinds: Sequence[str],
    *,
    seed: int,
    seconds: float | None = None,
    counts: dict[str, int] | None = None,
    first: int = 0,
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> Report:
    """Cases `first`, first + 1, … of every kind until its count (default: full length) is reached or its share of the seconds is over.

    The kinds take turns, so that a run that is stopped has tried all of them in proportion. Raises BrokenFuzzer.
    """
    report, begun = Report(seed), time.monotonic()
    base = Path(tempfile.mkdtemp(prefix="fuzz-"))
    workers = {kind: Worker(kind, base / kind) for kind in kinds}
    try:
        for kind, case in _turns(kinds, counts or {}, first, None if seconds is None else begun + seconds):
            outcome = workers[kind].run(case, seed)
            report.take(outcome)
            told(outcome)
    except KeyboardInterrupt:
        pass  # what was tried counts
    finally:
        for worker in workers.values():
            worker.close()
        shutil.rmtree(base, ignore_errors=True)
    report.minutes = round((time.monotonic() - begun) / 60, 2)
    return report


def _turns(kinds: Sequence[str], counts: dict[str, int], first: int, until: float | None) -> Iterator[tuple[str, int]]:
    """Kind and number of the next case: always the kind that has had the least of its share of time."""
    left = {kind: counts.get(kind, KINDS[kind].full) for kind in kinds}
    total, spent = dict(left), dict.fromkeys(kinds, 0.0)
    while left and (until is None or time.monotonic() < until):
        kind = min(left, key=lambda k: spent[k])
        case, begun = first + total[kind] - left[kind], time.monotonic()
        yield kind, case
        spent[kind] += time.monotonic() - begun
        left[kind] -= 1
        if not left[kind]:
            del left[kind]
