"""What a form of another tool is: pairs go in one by one, lists and class files come at the end."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from zoo.data.files import InstanceArray, LabelArray, PhotoArray
from zoo.files.images import RLE
from zoo.labels import LabelSpace


@dataclass(frozen=True)
class Pair:
    """split and stem: of its files' names. content, ending: of a picture's file, b"" and ".png" for maps alone. instances: numbers of objects,
    None where nothing numbers them."""

    split: str
    stem: str
    photo: PhotoArray | None
    content: bytes
    ending: str
    labels: LabelArray
    instances: InstanceArray | None


class Form(ABC):
    """Writes into a folder that is its own. root: the folder, which is there. space: of the maps."""

    def __init__(self, root: Path, space: LabelSpace) -> None:
        self.root, self.space = root, space
        self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Prepare lists and tables. Raises LabelError for a label space that the form cannot hold."""

    @abstractmethod
    def add(self, pair: Pair) -> None:
        """Write the files of a pair."""

    @abstractmethod
    def finish(self) -> list[str]:
        """Write lists and classes; what was changed or left out on the way, one line each."""

    def write(self, name: str, content: bytes | str) -> None:
        """A file of the folder, in sub-folders that are made."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def png(array: np.ndarray) -> bytes:
    """uint8 [H, W], uint16 [H, W] or uint8 [H, W, 3] as a PNG."""
    return saved(PIL.Image.fromarray(array), **({} if array.ndim == 2 else {"compress_type": RLE}))


def saved(image: PIL.Image.Image, **options: Any) -> bytes:
    """A picture as a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue()


def colored(labels: LabelArray, space: LabelSpace) -> np.ndarray:
    """uint8 [H, W, 3] in the colours of the space; black where nobody labelled."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(space)] = space.palette
    return table[labels]
