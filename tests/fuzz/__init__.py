"""Fuzzers: seeded, counted inputs from strangers and interruptions, tried on the real commands.

    python -m tests.fuzz --minutes 30                                  # all kinds, their time shared
    python -m tests.fuzz --only models --case 1234 --seed 7            # one case again
    python -m tests.fuzz --table FILE.json                             # the table of docs/trust.md

A case is made by `random.Random` of its seed, kind and number alone, in a folder of its own beside a guarded one; a worker
process runs it and the verdicts are listed in `verdicts`. Nothing is stored: every input is made by code, and all of them
test guards of the zoo. The payloads of checkpoints only leave a mark.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
if str(TESTS) not in sys.path:  # the tiny models and the Hub of the tests
    sys.path.insert(0, str(TESTS))
for name, value in (("HF_HUB_OFFLINE", "1"), ("HF_HUB_DISABLE_TELEMETRY", "1"), ("OMP_NUM_THREADS", "1")):
    os.environ.setdefault(name, value)
