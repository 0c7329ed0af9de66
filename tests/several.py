"""A run of the tiny system in several processes: `torchrun … several.py FOLDER` does every job of FOLDER/jobs.json in turn, all in one group.

A job is the options of `training_tiny.start`; its run lies in FOLDER/NAME, and `gradients.pt` beside it holds what the first step took.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from training_tiny import start

from zoo.environment import leave
from zoo.errors import ToldElsewhere, ZooError
from zoo.training.loop import Loop


def record(loop: Loop) -> dict[str, list[torch.Tensor]]:
    """The gradients of each optimizer's first step, filled in while the loop runs."""
    taken: dict[str, list[torch.Tensor]] = {}
    for name, optimizer in loop.optimizers.items():

        def step(name: str = name, optimizer=optimizer, real=optimizer.step) -> None:
            taken.setdefault(
                name, [p.grad.clone() for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
            )
            real()

        optimizer.step = step  # type: ignore[method-assign, assignment]
    return taken


def do(folder: Path, options: dict[str, Any]) -> None:
    """One job: train, and keep the gradients, the logged losses of the last step and the published weights."""
    loop = start(folder, **options)
    taken, told = record(loop), {}
    loop.log.step = lambda step, seconds, logs: told.update(logs or {})  # type: ignore[method-assign]
    loop.run()
    digest = float(
        sum(p.double().abs().sum() for net in loop.trainer.networks.values() for p in net.state_dict().values())
    )
    assert len(set(loop.processes.each(digest))) == 1, "the processes end with other networks"
    loop.finish()
    if loop.processes.main:
        kept = {"gradients": taken, "logs": told, "published": loop.trainer.model.state_dict()}
        torch.save(kept, folder / "kept.pt")


def run(folder: Path, faults: dict[str, Any]) -> None:
    """All jobs; with faults, what rank 1 does in a step of its own: kill, raise."""
    jobs = json.loads((folder / "jobs.json").read_text())
    if faults and os.environ["RANK"] == "1":
        from zoo.training.updates import Stepper

        real = Stepper.step

        def step(self: Stepper, number: int, batches: Any) -> Any:
            if number == faults["step"]:
                if faults["what"] == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise RuntimeError("a fault of this process alone")
            return real(self, number, batches)

        Stepper.step = step  # type: ignore[method-assign]
    for name, options in jobs.items():
        do(folder / name, options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    code = 0
    try:
        run(Path(sys.argv[1]), dict(json.loads(os.environ.get("SEVERAL_FAULTS", "{}"))))
    except ToldElsewhere as error:
        code = error.exit_code
    except ZooError as error:
        print(f"Error: {error}", file=sys.stderr)
        code = error.exit_code
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    leave(code)
