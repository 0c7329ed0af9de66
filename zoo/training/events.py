"""TensorBoard's event file through its own writer, with errors in the caller's hands: the writer works in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Events:
    """One event file in `folder`, made at the first record. All methods raise OSError where it cannot be written (a full disk, or a
    TensorBoard that cannot be imported).

    Each record is on the disk when its method returns.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Numbers by tag."""
        with self._open() as writer:
            for tag, number in values.items():
                writer.add_scalar(tag, number, step)

    def picture(self, tag: str, picture: Tensor, step: int) -> None:
        """picture: float32 [3, H, W] in [0, 1]."""
        with self._open() as writer:
            writer.add_image(tag, picture, step, dataformats="CHW")

    def close(self) -> None:
        """End the file, if there is one."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            with _told():
                writer.close()

    @contextmanager
    def _open(self) -> Iterator[SummaryWriter]:
        """The writer, for one record."""
        with _told():
            if self._writer is None:
                # here: TensorBoard reads the entry points of all distributions, and one broken one would end the training
                from torch.utils.tensorboard import SummaryWriter

                if not isinstance(threading.excepthook, _Hook):
                    threading.excepthook = _Hook(threading.excepthook)
                # a later file of the same folder has a later name, which is the order in which TensorBoard reads them
                self._writer = SummaryWriter(str(self.folder))
            writer = self._writer
            yield writer
            writer.flush()


class _Hook:
    """`threading.excepthook` without tracebacks of TensorBoard's writers: they keep their error and raise it in our thread."""

    def __init__(self, usual: Callable[[Any], Any]) -> None:
        self.usual = usual

    def __call__(self, failure: Any) -> None:
        if not type(failure.thread).__module__.startswith("tensorboard."):
            self.usual(failure)


@contextmanager
def _told() -> Iterator[None]:
    """Every failure as an OSError: where TensorFlow is installed the writer has other kinds of its own."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
