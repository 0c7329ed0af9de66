"""What several processes of one run do together, on Accelerate's process state; with one process all of it is a no-op."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, broadcast_object_list, reduce
from torch import Tensor, nn


class Processes:
    """Rank, world size and device of this process, and the few exchanges that the loop needs.

    Accelerate's `PartialState` finds out how the process was started (`accelerate launch`, `torchrun` or plainly).
    """

    def __init__(self, device: str = "cpu") -> None:
        """device: cpu, cuda or mps; with several processes on cuda each has its own."""
        self._state = PartialState(cpu=device == "cpu")
        self.rank: int = self._state.process_index
        self.world: int = self._state.num_processes
        self.device = torch.device(device if self.world == 1 else self._state.device or device)

    @property
    def main(self) -> bool:
        """True in the process that writes files."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all have come here."""
        self._state.wait_for_everyone()

    def close(self) -> None:
        """Leave the group of processes. Without it gloo's threads can abort the interpreter while it shuts down."""
        if self.world > 1:
            self._state.destroy_process_group()

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set in any process: all then decide alike."""
        if self.world == 1:
            return list(flags)
        summed = reduce(torch.tensor(flags, dtype=torch.float32, device=self.device), "sum")
        return [bool(count) for count in summed.tolist()]  # pyright: ignore[reportAttributeAccessIssue]

    def from_main(self, value: Any) -> Any:
        """The main process's value (picklable) everywhere."""
        return value if self.world == 1 else broadcast_object_list([value])[0]

    @torch.no_grad()
    def share(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors with those of the main process."""
        if self.world > 1:
            for tensor in tensors:
                tensor.copy_(broadcast(tensor.contiguous()))  # pyright: ignore[reportArgumentType]

    @torch.no_grad()
    def average(self, parameters: Sequence[nn.Parameter], faulty: bool) -> bool:
        """Average the gradients over processes; one that is None everywhere stays None, None on some counts as zero.

        faulty: whether this process met a loss that is not finite; returns whether any did.
        """
        if self.world == 1:
            return faulty
        *used, faulty = self.any(*(p.grad is not None for p in parameters), faulty)
        taking_part = [p for p, flag in zip(parameters, used, strict=True) if flag]
        if not taking_part:
            return faulty
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in taking_part]
        # one exchange for all of them
        mean = reduce(torch.cat([g.flatten() for g in gradients]), "mean")
        for parameter, part in zip(taking_part, mean.split([g.numel() for g in gradients]), strict=True):  # pyright: ignore[reportAttributeAccessIssue]
            grad = torch.empty_like(parameter)
            parameter.grad = grad.copy_(part.view(parameter.shape))
        return faulty
