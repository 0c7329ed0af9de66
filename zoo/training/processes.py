"""What several processes of one run do together, started by `torchrun`; with one process all of it is a no-op."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous

from zoo import errors
from zoo.errors import DataError, ToldElsewhere, UsageError, ZooError
from zoo.files.names import one_line
from zoo.nn.one_batch import AsOneBatch, Share, exchanging

T = TypeVar("T")
JOIN = timedelta(minutes=2)
"""How long a process waits for the others to come; torch tries a second time, after up to half a minute."""
PATIENCE = timedelta(minutes=30)
"""How long an exchange waits for a process that gives no sign of life; one that has ended is noticed at once."""
BEAT = 5.0
"""Seconds between the signs of life of a main process that works alone."""
WORKING, DONE, FAILED = range(3)


class Processes:
    """Rank, world size and device of this process, and the few exchanges that the loop needs.

    Every exchange must be made by all processes in the same order. Numbers and errors go through gloo, tensors of GPUs through
    NCCL. Raises `zoo.nn.one_batch.Lost` where another process has ended.
    """

    def __init__(self, device: str = "cpu") -> None:
        """device: cpu, cuda or mps; with several processes on cuda each has its own. Raises DataError if the others cannot be met."""
        self._ours = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized()
        if self._ours:
            _join()
        self._state = PartialState(cpu=device == "cpu")
        self.rank: int = self._state.process_index
        self.world: int = self._state.num_processes
        self.device = torch.device(device if self.world == 1 else self._state.device or device)
        self._nccl: Any = None

    @property
    def main(self) -> bool:
        """True in the process that writes files."""
        return self.rank == 0

    def close(self) -> None:
        """Leave the group of processes. Without it gloo's threads can abort the interpreter while it shuts down."""
        if self.world > 1 and distributed.is_initialized():
            self._state.destroy_process_group()

    # --- numbers and values ---------------------------------------------------------------------------------------

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set in any process: all then decide alike."""
        if self.world == 1:
            return list(flags)
        summed = torch.tensor(flags, dtype=torch.int32)
        with exchanging():
            distributed.all_reduce(summed)
        return [bool(count) for count in summed.tolist()]

    def from_main(self, value: T) -> T:
        """The main process's value (picklable) everywhere."""
        if self.world == 1:
            return value
        values = [value if self.main else None]
        with exchanging():
            distributed.broadcast_object_list(values, src=0)
        return values[0]  # type: ignore[return-value]

    def each(self, value: T) -> list[T]:
        """The value of each process (picklable), by rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        with exchanging():
            distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Go on when all have come here."""
        self.any(False)

    # --- work and its errors --------------------------------------------------------------------------------------

    def together(self, work: Callable[[], T]) -> T:
        """`work()` in every process (without exchanges in it). If it fails anywhere all stop: the main process says where and why, the
        others raise ToldElsewhere."""
        if self.world == 1:
            return work()
        error: Exception | None = None
        value: Any = None
        try:
            value = work()
        except Exception as raised:
            error = raised
        if not self.any(error is not None)[0]:
            return value
        faults = self.each(None if error is None else _packed(error))
        failed = [rank for rank, fault in enumerate(faults) if fault is not None]
        if error is not None and (self.main or not isinstance(error, ZooError)):
            raise error
        kind, text, place = faults[failed[0]]  # type: ignore[misc]
        if not self.main:
            raise ToldElsewhere(getattr(errors, kind, ZooError).exit_code)
        others = f" (and {len(failed) - 1} more of the {self.world})" if len(failed) > 1 else ""
        raise getattr(errors, kind, ZooError)(f"Process {failed[0]} of {self.world} on {place}{others}: {text}")

    def by_main(self, work: Callable[[], T]) -> T | None:
        """`work()` in the main process (without exchanges in it) while the others wait, however long it takes: None there.

        If it fails the main process raises that, and the others ToldElsewhere."""
        if self.world == 1:
            return work()
        if not self.main:
            while (state := self._state_of_main(WORKING)) == WORKING:
                pass
            if state == FAILED:
                raise ToldElsewhere
            return None
        finished = threading.Event()
        signs = threading.Thread(target=self._beat, args=(finished,), daemon=True)
        signs.start()
        try:
            value = work()
        except BaseException:
            finished.set()
            signs.join()
            with contextlib.suppress(ZooError):
                self._state_of_main(FAILED)
            raise
        finished.set()
        signs.join()
        self._state_of_main(DONE)
        return value

    def _beat(self, finished: threading.Event) -> None:
        try:
            while not finished.wait(BEAT):
                self._state_of_main(WORKING)
        except ZooError:  # the work is worth finishing; the next exchange tells
            return

    def _state_of_main(self, state: int) -> int:
        told = torch.tensor(state)
        with exchanging():
            distributed.broadcast(told, src=0)
        return int(told)

    def alike(self, facts: dict[str, object]) -> None:
        """Hold facts of this start (what one is called: its value) against those of the others. Raises UsageError where one differs, in
        the main process, and ToldElsewhere in the others."""
        places = self.each((platform.node(), facts))
        for rank, (place, theirs) in enumerate(places):
            first = places[0][1]
            name = next((n for n in first if theirs.get(n) != first[n]), None)
            if name is None:
                continue
            if not self.main:
                raise ToldElsewhere(UsageError.exit_code)
            raise UsageError(
                f"Process {rank} of {self.world} on {place} was started with another {name}: {_short(theirs.get(name))} there,"
                f" {_short(first[name])} in process 0. Give every process the same command, and the same data."
            )

    # --- tensors --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def share(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors with those of the main process."""
        if self.world > 1:
            for tensor in tensors:
                whole = tensor.contiguous()
                with exchanging():
                    distributed.broadcast(whole, src=0, group=self._group(whole.device))
                tensor.copy_(whole)

    @torch.no_grad()
    def average(self, parameters: Sequence[nn.Parameter], faulty: bool) -> bool:
        """Sum the gradients of all processes, each of them weighted by its loss; one that is None everywhere stays None, None on some
        counts as zero.

        faulty: whether this process met a loss that is not finite; returns whether any did.
        """
        if self.world == 1:
            return faulty
        *used, faulty = self.any(*(p.grad is not None for p in parameters), faulty)
        taking_part = [p for p, flag in zip(parameters, used, strict=True) if flag]
        if not taking_part or faulty:
            return faulty
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in taking_part]
        # one exchange for all of them
        total = torch.cat([g.flatten() for g in gradients])
        with exchanging():
            distributed.all_reduce(total, group=self._group(total.device))
        for parameter, part in zip(taking_part, total.split([g.numel() for g in gradients]), strict=True):
            grad = torch.empty_like(parameter)
            parameter.grad = grad.copy_(part.view(parameter.shape))
        return faulty

    def same(self, tensors: Iterable[Tensor]) -> bool:
        """Whether these tensors are the main process's, bit for bit, everywhere."""
        if self.world == 1:
            return True
        sums = torch.stack([_checksum(t) for t in tensors] or [torch.zeros((), dtype=torch.int64)])
        return not any(self.any(not torch.equal(self.from_main(sums), sums)))

    def as_one_batch(self, share: Share) -> AsOneBatch:
        """The context of forward passes in which the processes' rows count as one batch."""
        return AsOneBatch(share, self._group(self.device))

    def _group(self, device: torch.device) -> Any:
        """The processes as they exchange tensors of a device: None, gloo's, but for GPUs. All of them ask for the first time together."""
        if device.type != "cuda":
            return None
        if self._nccl is None:
            self._nccl = distributed.new_group(backend="nccl", timeout=PATIENCE)
        return self._nccl


def _join() -> None:
    """Meet the other processes at the address that the launcher gave. Raises DataError."""
    rank, world = os.environ.get("RANK", "?"), os.environ["WORLD_SIZE"]
    place = f"{os.environ.get('MASTER_ADDR', '?')}:{os.environ.get('MASTER_PORT', '?')}"
    try:
        store, number, count = next(rendezvous("env://", timeout=JOIN))
        # gloo alone, whatever the devices are: that they differ is told by it
        distributed.init_process_group("gloo", store=store, rank=number, world_size=count, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:  # a port that is taken, a host with nobody, half an environment
        raise DataError(
            f"Process {rank} of {world} on {platform.node()} could not meet the others at {place}"
            f" ({one_line(str(error), 200)}): MASTER_ADDR and MASTER_PORT must be a free port of the machine of process 0,"
            " the same for all."
        ) from error


def _checksum(tensor: Tensor) -> Tensor:
    """The sum of a tensor's bytes, by their places: other bits give another one."""
    data = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).to(torch.int64)
    return (data * (torch.arange(len(data)) % 8191 + 1)).sum()


def _packed(error: Exception) -> tuple[str, str, str]:
    """The class, text and place of an error, for another process."""
    text = error.args[0] if isinstance(error, ZooError) and error.args else f"{type(error).__name__}: {error}"
    return type(error).__name__, str(text), platform.node()


def _short(value: object) -> str:
    return one_line(str(value), 200)
