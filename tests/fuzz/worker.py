"""The process that runs cases: one line of JSON in, one out. It may die or hang; the parent starts another and says so.

python -m fuzz.worker          (with tests/ on PYTHONPATH)
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from .kinds import KINDS
from .place import Place, bound_memory, own_home
from .verdicts import Outcome


class Cases:
    """Runs cases, with what each kind shares made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ready: dict[str, Callable[[Place], None]] = {}

    def run(self, kind: str, case: int, seed: int) -> Outcome:
        """One case in a folder of its own, which is gone afterwards."""
        ready = self._prepared(kind)
        outcome, begun = Outcome(kind, case, seed), time.monotonic()
        root = self.folder / f"{kind}-{case}"
        shutil.rmtree(root, ignore_errors=True)  # of a worker that died
        facts = KINDS[kind]
        place = Place(root, outcome, seconds=facts.seconds, reads=facts.reads)
        try:
            with own_home(root):
                ready(place)
        finally:
            place.close()
        outcome.seconds = round(time.monotonic() - begun, 3)
        return outcome

    def _prepared(self, kind: str) -> Callable[[Place], None]:
        if kind not in self._ready:
            shared = self.folder / f"shared-{kind}"
            shutil.rmtree(shared, ignore_errors=True)
            shared.mkdir(parents=True)
            self._ready[kind] = KINDS[kind].prepare(shared)
        return self._ready[kind]


def answer(cases: Cases, asked: dict[str, Any]) -> dict[str, Any]:
    """What the parent gets for a line: an outcome, or how the fuzzer itself failed."""
    try:
        if asked.get("prepare"):
            cases._prepared(asked["kind"])
            bound_memory(KINDS[asked["kind"]].growth)
            return {"ready": True}
        return cases.run(asked["kind"], asked["case"], asked["seed"]).to_json()
    except Exception as error:  # of the fuzzer's own code: told, so that it is mended
        import traceback

        return {"broken": f"{type(error).__name__}: {error}", "where": traceback.format_exc()}


def main(lines: IO[str], replies: IO[str]) -> None:
    """Answer until the parent closes the pipe."""
    import torch

    torch.set_num_threads(1)
    base = Path(os.environ.get("FUZZ_FOLDER") or tempfile.mkdtemp(prefix="fuzz-"))
    cases = Cases(base)
    for line in lines:
        replies.write(json.dumps(answer(cases, json.loads(line))) + "\n")
        replies.flush()


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    faulthandler.enable()
    private = os.fdopen(os.dup(1), "w")  # what libraries print on the real stdout must not be taken for an answer
    os.dup2(2, 1)
    main(sys.stdin, private)
