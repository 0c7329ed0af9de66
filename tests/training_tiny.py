"""A small system for the training tests: a model with spectral norm, batch norm and dropout, a discriminator, data without files.

As a program it trains in a process of its own: `python training_tiny.py RUN FIELD=VALUE …`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from zoo import configs
from zoo.data import Batch, PairData, Source
from zoo.errors import ZooError
from zoo.interfaces.models import Model
from zoo.interfaces.trainers import Trainer, Update
from zoo.interfaces.training_options import TrainingOptions
from zoo.labels import numbered_space
from zoo.nn.spectral import conv2d
from zoo.rng import RngLike
from zoo.training.log import Log
from zoo.training.loop import Loop
from zoo.training.runs import RunFolder

SIZE = 8


@dataclass(frozen=True)
class TinyOptions(TrainingOptions):
    """Training of the tiny system."""

    lr: float = 0.01
    plain: bool = False
    """SGD, and no layer with a state per forward (batch norm, spectral norm, dropout), so that gradients add up over samples."""
    term_at: int = -1
    """Send SIGTERM to this process during that step."""
    nan_loss_at: int = -1
    inf_gradient_at: int = -1
    uneven: bool = False
    """Break the contract: the second micro-batch has one update fewer."""


class Explode(torch.autograd.Function):
    """Identity with an infinite gradient."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad * float("inf")


class Tiny(Model):
    """Photo in, photo out."""

    def __init__(self, plain: bool = False) -> None:
        super().__init__(None, numbered_space(3))
        middle = [] if plain else [nn.BatchNorm2d(4), nn.Dropout(0.2)]
        self.net = nn.Sequential(conv2d(not plain, 3, 4, 3, padding=1), *middle, nn.Tanh(), nn.Conv2d(4, 3, 1))

    channels = property(lambda self: self.label_space.names)  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    resolution = property(lambda self: (SIZE, SIZE))  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TinyTrainer(Trainer):
    """A generator step, then a discriminator step on a fresh fake. `seen` records what a step meets."""

    lower_is_better = frozenset({"l1"})

    def __init__(self, options: TinyOptions) -> None:
        torch.manual_seed(options.seed + 100 * int(os.environ.get("RANK", "0")))  # rank 0 decides where all start
        super().__init__(Tiny(options.plain), options)
        self.options: TinyOptions = options
        self.discriminator = nn.Sequential(conv2d(not options.plain, 3, 4, 3), nn.Tanh(), nn.Conv2d(4, 1, 1))
        self.made: dict[str, Optimizer] = {}
        self.seen: list[dict[str, object]] = []

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.model, "discriminator": self.discriminator}

    def optimizers(self) -> dict[str, Optimizer]:
        if not self.made:
            kind = SGD if self.options.plain else Adam
            self.made = {
                n: kind(net.parameters(), lr=self.options.lr)
                for n, net in (("g", self.model), ("d", self.discriminator))
            }
        return self.made

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        return {"g": self.options.lr / (1 + epoch), "d": 2 * self.options.lr}

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        before = self.model.net[0].weight.detach().clone()
        yield self._generator(batch, rng, step)
        found = {"stepped": not torch.equal(before, self.model.net[0].weight)}
        self.seen.append(
            found | {"grads": [n for n, net in self.networks.items() for p in net.parameters() if p.grad is not None]}
        )
        if not (self.options.uneven and len(self.seen) % 2 == 0):
            yield self._discriminator(batch, rng)

    def _generator(self, batch: Batch, rng: RngLike, step: int) -> Update:
        if step == self.options.term_at:
            os.kill(os.getpid(), signal.SIGTERM)
        assert batch.images is not None
        noise = rng.normal("noise", shape=(3, SIZE, SIZE)).to(batch.images)
        fake = self.model(batch.images + 0.1 * noise)
        if step == self.options.inf_gradient_at:
            fake = Explode.apply(fake)
        l1 = (fake - batch.images).abs().mean()
        if step == self.options.nan_loss_at:
            l1 = l1 * float("nan")
        return Update({"l1": l1, "adv": -self.discriminator(fake).mean()}, ("g",), {"noise": noise.std()})

    def _discriminator(self, batch: Batch, rng: RngLike) -> Update:
        assert batch.images is not None
        with torch.no_grad():
            fake = self.model(batch.images + rng.normal("noise-d", shape=(3, SIZE, SIZE)))
        on_fake, on_real = self.discriminator(fake), self.discriminator(batch.images)
        return Update({"fake": (1 + on_fake).relu().mean(), "real": (1 - on_real).relu().mean()}, ("d",))

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        self.model(batch.images)

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        assert batch.images is not None
        return {"photo": batch.images, "fake": self.model(batch.images).clamp(0, 1)}

    def validate(self, data: PairData) -> dict[str, float]:
        parts = [(self.model(b.images) - b.images).abs().mean() for b in data.batches(4) if b.images is not None]
        return {"l1": float(torch.stack(parts).mean())}


class TinySource(Source):
    """Pictures of a formula."""

    def __init__(self, count: int = 7, first: int = 0) -> None:
        self.label_space = numbered_space(3)
        self.names = tuple(f"tiny-{first + i}" for i in range(count))

    def read(self, index: int, size: tuple[int, int] | None = None):
        number = int(self.names[index].split("-")[1])
        height, width = size or (SIZE, SIZE)
        y, x = np.mgrid[:height, :width]
        photo = np.stack([x * 20 + number, y * 25, (x + y) * 7 + 3 * number], -1) % 256
        return photo.astype(np.uint8), ((x + y + number) % 3).astype(np.uint8)


def tiny_data(count: int = 7, first: int = 0) -> PairData:
    return PairData(TinySource(count, first), SIZE, load_size=10)


def start(path: Path, **options: object) -> Loop:
    """A loop on the tiny system, resumed if `path` holds a state; 7 pairs in batches of 2 are 3 steps an epoch."""
    values: dict[str, object] = {"steps": 10, "batch_size": 2, "flip": True, "zoom": 0.2, "ema": 0.9}
    values |= {"save_every": 2, "validate_every": 3, "preview_every": 4, "log_every": 2, **options}
    count = int(values.pop("count", 7))  # type: ignore[call-overload]
    trainer = TinyTrainer(configs.from_dict(TinyOptions, values))
    run = RunFolder(path)
    run.write_options({})
    return Loop(trainer, tiny_data(count), tiny_data(4, 100), run, Log(path, trainer.options.steps, quiet=True))


def differences(a: object, b: object, where: str = "") -> list[str]:
    """Where two nested states differ, bit for bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return [f"{where}: {a.keys() ^ b.keys()}"]
        return [d for k in a for d in differences(a[k], b[k], f"{where}/{k}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{where}/{i}")]
    same = torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b
    return [] if same else [where]


def trained(path: Path, **options: object) -> tuple[Loop, dict]:
    """A finished loop and its state without the time that it took."""
    loop = start(path, **options)
    loop.run()
    state = loop.run_folder.load_state()
    assert state is not None and state.pop("seconds") > 0
    return loop, state


if __name__ == "__main__":
    with contextlib.suppress(KeyError):
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    try:
        loop = start(Path(sys.argv[1]), **dict(a.split("=") for a in sys.argv[2:]))
        print("started", flush=True)
        try:
            loop.run()
            loop.processes.wait()
        finally:
            loop.processes.close()
    except ZooError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
