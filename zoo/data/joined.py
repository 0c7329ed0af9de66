"""Several folders as one data set: `folder:A+B`."""

from __future__ import annotations

from zoo.data.files import InstanceArray, LabelArray, PhotoArray
from zoo.data.folder import Folder
from zoo.data.pairs import Source
from zoo.data.places import folders_of, labels_of
from zoo.data.relabelled import Relabelled
from zoo.data.splits import ordered
from zoo.errors import DataError, LabelError, UsageError, did_you_mean
from zoo.labels import LabelSpace


def open_folder(path: str | None, split: str | None = None, space: LabelSpace | None = None) -> Source:
    """`folder:DIR`, or `folder:A+B` joined. Raises as `Folder` does."""
    if path is None:
        raise UsageError("The data set folder needs its place: folder:DIR.")
    folders = folders_of(path)
    return Folder(folders[0], split, space) if len(folders) == 1 else Joined(folders, split, space)


class Joined(Source):
    """The pairs of all folders, named FOLDER/NAME. A split is made of the splits of that name that the folders have, so that no pair is
    in another split than alone; a folder without splits is all in `train`.

    The label space is the first folder's. The maps of the others are joined to it by the names of classes (`LabelSpace.mapping_to`):
    classes that it lacks become its background, else unlabeled; `notes` says which. Raises DataError for folders with and without photos,
    LabelError for one that has no class in common with the first.
    """

    def __init__(self, folders: list[str], split: str | None = None, space: LabelSpace | None = None) -> None:
        labels = labels_of(folders)
        wholes = [Folder(folder, None, space) for folder in folders]
        self.label_space = wholes[0].label_space
        splits = [whole.splits or ("train",) for whole in wholes]
        self.splits = ordered({s for own in splits for s in own}) if any(w.splits for w in wholes) else ()
        if split is not None and split not in self.splits:
            raise DataError(
                f"{'+'.join(folders)} has no split {split!r}{did_you_mean(split, self.splits)}"
                f" (splits: {', '.join(self.splits) or 'none'})."
            )
        self._notes: list[str] = []
        self.parts: list[Source] = []
        self.labels: list[str] = []
        for folder, label, whole, own in zip(folders, labels, wholes, splits, strict=True):
            if split is not None and split not in own:
                self._notes.append(f"{label} has no pairs in the split {split}")
                continue
            part = whole if split is None or not whole.splits else Folder(folder, split, space)
            self.parts.append(self._joined(part, label))
            self.labels.append(label)
        with_photos = {part.has_images for part in self.parts}
        if len(with_photos) > 1:
            raise DataError(
                f"{'+'.join(folders)}: some of these folders have photos, others maps alone: join like with like."
            )
        self.has_images = all(with_photos)
        self.has_instances = all(part.has_instances for part in self.parts)
        self.location = " + ".join(part.location for part in self.parts)
        self._rows = [(part, i) for part in self.parts for i in range(len(part.names))]
        self.names = tuple(f"{label}/{n}" for label, p in zip(self.labels, self.parts, strict=True) for n in p.names)

    def _joined(self, part: Source, label: str) -> Source:
        self._notes += [f"{label}: {note}" for note in part.notes()]
        if part.label_space.names == self.label_space.names:
            return part
        try:
            mapping = part.label_space.mapping_to(self.label_space)
        except LabelError as error:
            raise LabelError(f"{label} cannot be joined: {error.args[0]}") from error
        self._notes.append(f"{label} is joined by the names of classes: {mapping.describe()}")
        return Relabelled(part, mapping)

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        part, row = self._rows[index]
        return part.read(row, size)

    def read_instances(self, index: int, size: tuple[int, int] | None = None) -> InstanceArray:
        part, row = self._rows[index]
        return part.read_instances(row, size)

    def files(self, index: int) -> dict[str, str]:
        part, row = self._rows[index]
        return part.files(row)

    def places(self) -> list[str]:
        return [place for part in self.parts for place in part.places()]

    def leftovers(self) -> list[str]:
        return [line for part in self.parts for line in part.leftovers()]

    def notes(self) -> list[str]:
        return list(self._notes)
