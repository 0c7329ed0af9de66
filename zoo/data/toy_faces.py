"""toy-faces: drawn faces with exact label maps, without any file. Face i depends on (seed, i) alone."""

from __future__ import annotations

from zoo.data.files import LabelArray, PhotoArray
from zoo.data.pairs import Source
from zoo.data.toy_drawing import draw_face
from zoo.errors import DataError, UsageError, did_you_mean
from zoo.labels import LabelSpace
from zoo.registry import label_space

NATIVE = (256, 256)
COUNT = 512
FIRST = {"train": 0, "val": 1_000_000, "test": 2_000_000}
"""The number of the first face of each split, so that splits share no face, however many there are."""


class ToyFaces(Source):
    """Cartoon faces in the label space celebamask-hq: skins, hair, glasses, hats, earrings, tilted and turned heads.

    path: COUNT or COUNT,SEED (default 512,0): the number of training faces; val and test have an eighth of it, at least 8.
    split: train, val, test, or None for all of them.
    """

    def __init__(self, path: str | None = None, split: str | None = None, space: LabelSpace | None = None) -> None:
        del space  # the faces are drawn in one label space
        self.label_space = label_space("celebamask-hq")
        count, self.seed = _parse(path)
        self.splits = tuple(FIRST)
        self.location = f"drawn, seed {self.seed}"
        if split is not None and split not in FIRST:
            raise DataError(
                f"toy-faces has no split {split!r}{did_you_mean(split, FIRST)} (splits: {', '.join(FIRST)})."
            )
        sizes = {"train": count, "val": max(8, count // 8), "test": max(8, count // 8)}
        chosen = [split] if split else list(FIRST)
        self._numbers = tuple(FIRST[s] + i for s in chosen for i in range(sizes[s]))
        self.names = tuple(f"toy-{number:07d}" for number in self._numbers)

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        """Drawn afresh at this size; the same face at any size."""
        return draw_face(self.seed, self._numbers[index], size or NATIVE, self.label_space)


def _parse(path: str | None) -> tuple[int, int]:
    if path is None:
        return COUNT, 0
    head, _, tail = path.partition(",")
    try:
        count, seed = int(head), int(tail or "0")
    except ValueError as error:
        raise UsageError(
            f"toy-faces:{path}: expected toy-faces:COUNT or toy-faces:COUNT,SEED, for example toy-faces:200,7."
        ) from error
    if count < 1 or seed < 0:
        raise UsageError(f"toy-faces:{path}: the count must be at least 1 and the seed at least 0.")
    return count, seed
