"""Workers that are killed, for the tests of shards: a new process imports this and little else."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ONCE = "ZOO_TEST_KILLED_ONCE"
"""The variable that names the file of `dies_in_a_shard`."""


def dies_in_a_shard(*arguments: Any) -> None:
    """A worker that is killed in the midst of a shard, unless another was before."""
    from zoo.sharding.make import Tally
    from zoo.sharding.processes import _work

    add = Tally.add

    def killed(tally: Tally, sample: Any) -> None:
        add(tally, sample)
        if tally.samples == 3:
            try:
                Path(os.environ[ONCE]).touch(exist_ok=False)
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)

    Tally.add = killed  # type: ignore[method-assign]
    _work(*arguments)


def dies(connection: Connection, *_: Any) -> None:
    """A worker that is killed by every shard."""
    connection.recv()
    os.kill(os.getpid(), signal.SIGKILL)
