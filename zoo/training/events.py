"""TensorBoard's event file, written in the caller's thread: the usual writer has its own, whose errors nobody can catch."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import IO

from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import Tensor
from torch.utils.tensorboard.summary import image, scalar


class Events:
    """One event file in `folder`, made at the first record. All methods raise OSError (a full disk)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: IO[bytes] | None = None

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Numbers by tag."""
        self._add(Summary(value=[v for tag, number in values.items() for v in scalar(tag, number).value]), step)

    def picture(self, tag: str, picture: Tensor, step: int) -> None:
        """picture: float32 [3, H, W] in [0, 1]."""
        self._add(image(tag, picture, dataformats="CHW"), step)

    def close(self) -> None:
        """Nothing is left to write: every record is flushed at once."""
        if self._file is not None:
            self._file.close()

    def _add(self, summary: Summary, step: int) -> None:
        if self._file is None:
            self._file = self._open()
            self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def _open(self) -> IO[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names
        name = f"events.out.tfevents.{time.time_ns() // 1000:016d}.{socket.gethostname()}.{os.getpid()}"
        return (self.folder / name).open("xb", buffering=0)

    def _write(self, event: Event) -> None:
        RecordWriter(self._file).write(event.SerializeToString())
