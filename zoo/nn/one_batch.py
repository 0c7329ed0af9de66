"""Several processes that each hold a part of one batch: what looks across samples, computed as if one process held all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, distributed
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from zoo.errors import ZooError
from zoo.files.names import one_line

__all__ = [
    "AsOneBatch",
    "Lost",
    "Share",
    "batch_mean",
    "batch_rows",
    "batch_sum",
    "batch_total",
    "exchanging",
    "first_of_batch",
    "for_checkpoint",
]

_BATCH_NORM = inspect.signature(F.batch_norm)
_DROPOUT = {f: inspect.signature(f) for f in (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)}


class Lost(ZooError):
    """Another process of this run has ended, or cannot be reached any more."""


@contextmanager
def exchanging() -> Iterator[None]:
    """Around an exchange between processes: what torch raises when one of them is gone becomes Lost."""
    try:
        yield
    except RuntimeError as error:
        rank, world = distributed.get_rank(), distributed.get_world_size()
        raise Lost(
            f"Process {rank} of {world} stops: another process of this run has ended or cannot be reached"
            f" ({one_line(str(error), 160)})."
        ) from error


@dataclass(frozen=True)
class Share:
    """Rows `rank`, `rank + world`, … of a batch of `whole` samples: every process then has rows of its first and of its second half.

    together: consecutive rows that stay together (a photo of each domain).
    """

    rank: int = 0
    world: int = 1
    whole: int = 1
    together: int = 1

    @property
    def rows(self) -> list[int]:
        """The rows of this process."""
        return [row for row in range(self.whole) if row // self.together % self.world == self.rank]

    @property
    def weight(self) -> float:
        """What part of the batch lies here: the weight of a mean over the rows in the mean over all."""
        return len(self.rows) / self.whole


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; each of them takes part in the gradient too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return _summed(x, group)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, None]:
        return _Sum.apply(grads[0], ctx.group), None  # itself, so that penalties on gradients are right too


def _summed(x: Tensor, group: Any) -> Tensor:
    total = x.clone()
    with exchanging():
        distributed.all_reduce(total, group=group)
    return total


class AsOneBatch(TorchFunctionMode):
    """Inside, batch norms in training take mean and variance over the samples of all processes, forward and backward, and update their
    running statistics by them (torch's SyncBatchNorm does so on GPUs alone, and only where modules were exchanged for it). On the CPU
    dropout takes this process's rows of the mask that one process would draw for the whole batch, from torch's own generator, which
    must be in the same state everywhere.

    Every process must call the same batch norms in the same order. Networks are left as they are.
    """

    _inside: ClassVar[list[AsOneBatch]] = []

    def __init__(self, share: Share, group: Any = None) -> None:
        """group: the processes that exchange (None: all)."""
        super().__init__()
        self.share, self.group = share, group

    def __enter__(self) -> AsOneBatch:
        self._inside.append(self)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        self._inside.pop()
        super().__exit__(*error)

    @classmethod
    def current(cls) -> AsOneBatch | None:
        """The one that we are inside of."""
        return cls._inside[-1] if cls._inside else None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        if func in _DROPOUT:
            return self._dropout(func, *args, **kwargs)
        return func(*args, **kwargs)

    # --- batch norm -----------------------------------------------------------------------------------------------

    def _batch_norm(self, *args: Any, **kwargs: Any) -> Tensor:
        bound = _BATCH_NORM.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        if not given["training"]:
            return F.batch_norm(*args, **kwargs)
        mean, variance, count, centred = self._moments(given["input"])
        if given["running_mean"] is not None:
            with torch.no_grad():
                unbiased = variance * count / (count - 1).clamp_min(1)
                given["running_mean"].lerp_(mean.to(given["running_mean"].dtype), given["momentum"])
                given["running_var"].lerp_(unbiased.to(given["running_var"].dtype), given["momentum"])
        wide = [1, -1] + [1] * (centred.dim() - 2)
        out = centred * (variance + given["eps"]).rsqrt().view(wide)
        if given["weight"] is not None:
            out = out * given["weight"].to(out.dtype).view(wide)
        if given["bias"] is not None:
            out = out + given["bias"].to(out.dtype).view(wide)
        return out.to(given["input"].dtype)

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean, variance [C] and number of the values of each channel over all processes, and the values less the mean."""
        if not x.is_floating_point() or x.dtype in (torch.bfloat16, torch.float16):
            x = x.float()
        others = [d for d in range(x.dim()) if d != 1]
        number = x.new_full((1,), x.numel() / x.shape[1])
        total = _Sum.apply(torch.cat([x.sum(others), number]), self.group)
        assert isinstance(total, Tensor)
        count = total[-1].detach()
        mean = total[:-1] / count
        centred = x - mean.view([1, -1] + [1] * (x.dim() - 2))
        squares = _Sum.apply(centred.square().sum(others), self.group)
        assert isinstance(squares, Tensor)
        return mean, squares / count, count, centred

    # --- dropout --------------------------------------------------------------------------------------------------

    def _dropout(self, func: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        bound = _DROPOUT[func].bind(*args, **kwargs)
        bound.apply_defaults()
        x, p = bound.arguments["input"], bound.arguments["p"]
        rows = self.share.rows
        if not bound.arguments["training"] or not 0 < p < 1 or x.device.type != "cpu" or not x.numel():
            return func(*args, **kwargs)  # GPUs draw with kernels of their own, seeded by rank
        # what is no stack of batches cannot be told apart by sample: then a mask of this process's own
        whole, stacked = (1, x.shape[0]) if x.shape[0] % len(rows) else (self.share.whole, x.shape[0] // len(rows))
        shape = (whole * stacked, *x.shape[1:])
        if func is not F.dropout:
            shape = (*shape[:2], *(1 for _ in shape[2:]))
        noise = torch.empty(shape, dtype=x.dtype, memory_format=_format(x))
        if whole == 1:
            own = torch.Generator().manual_seed(int(torch.randint(2**62, ())) + self.share.rank)
            noise = noise.bernoulli_(1 - p, generator=own).div_(1 - p)
        else:
            noise = noise.bernoulli_(1 - p).div_(1 - p)[[s * whole + row for s in range(stacked) for row in rows]]
        return x.mul_(noise) if bound.arguments["inplace"] else x * noise


def _format(x: Tensor) -> torch.memory_format:
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def for_checkpoint() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """`context_fn` of torch's `checkpoint`: what it computes again in backward passes is of one batch, too (torch leaves contexts of this
    kind there)."""
    inside = AsOneBatch.current()
    return nullcontext(), nullcontext() if inside is None else AsOneBatch(inside.share, inside.group)


# --- for losses that are no means over samples --------------------------------------------------------------------


def batch_sum(loss: Tensor) -> Tensor:
    """A sum over the own samples, such that the mean over processes that the loop takes is the sum over the whole batch."""
    inside = AsOneBatch.current()
    return loss if inside is None else loss / inside.share.weight


def batch_mean(loss: Tensor, count: Tensor | float | Callable[[], Tensor]) -> Tensor:
    """A mean over `count` things of the own samples (labelled pixels, objects; or their summed weights), such that what the loop takes is
    the mean over those of the whole batch. Both may have entries, one for each class. All processes must call it."""
    inside = AsOneBatch.current()
    if inside is None:
        return loss
    count = count() if callable(count) else count
    own = torch.as_tensor(count, dtype=torch.float32, device=loss.device).detach()
    factor = own / (_summed(own, inside.group) * inside.share.weight).clamp_min(1e-12)
    return torch.where(own > 0, loss, torch.zeros_like(loss)) * factor


def batch_total(counts: Tensor) -> Tensor:
    """The sum of a tensor over the processes that share a batch, without gradient. All of them must call it."""
    inside = AsOneBatch.current()
    return counts if inside is None else _summed(counts.detach(), inside.group)


def batch_rows(own: Tensor) -> Tensor:
    """The rows of the whole batch [whole, ...], in their order, from those of this process, without gradient. All processes must call it."""
    inside = AsOneBatch.current()
    if inside is None:
        return own.detach()
    rows = own.new_zeros((inside.share.whole, *own.shape[1:]))
    rows[inside.share.rows] = own.detach()
    return _summed(rows, inside.group)


def first_of_batch(value: Tensor) -> Tensor:
    """A tensor as the process with the batch's first sample has it. All processes must call it."""
    inside = AsOneBatch.current()
    return (
        value if inside is None else _summed(value if inside.share.rank == 0 else torch.zeros_like(value), inside.group)
    )
