"""The asset `bank`: photos with their maps and the segments in them (docs/papers/sims.md, "Bank")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.nn.resample import fit_photos
from zoo.plugin import DataError, PairData, shape_fault
from zoo_plugins.sims.segments import Segments, find_segments, is_any, with_thin

if TYPE_CHECKING:
    from zoo_plugins.sims.model import SIMS

BATCH = 8
LONGEST_NAME = 64


class Bank:
    """What the asset's tensors say. Photos stay where the tensors lie (on the CPU); what is taken of them goes to the asker's device.

    photos: uint8 [N, 3, H, W]. labels: uint8 [N, H, W], channels of the network. segments: int16 [N, h, w], for each pixel at the size
    of retrieval its segment within the photo from 1, 0 for none; below 0 where the photo at that size is black, which is the colour of
    holes. table: int64 [S, 4], photo, class, number within photo and class, pixels. names: uint8 [N, 64], UTF-8, of the pairs.
    """

    def __init__(self, tensors: Mapping[str, Tensor], device: torch.device | str = "cpu") -> None:
        self.photos, self.labels = tensors["photos"], tensors["labels"]
        self._segments, self._names = tensors["segments"], tensors["names"]
        counts = torch.bincount(tensors["table"][:, 0], minlength=len(self.photos))
        self.table, self._first = tensors["table"].to(device), (counts.cumsum(0) - counts).to(device)
        self._most = int(counts.max()) if len(counts) else 0
        self.device = torch.device(device)

    def __len__(self) -> int:
        return len(self.photos)

    def name(self, photo: int) -> str:
        """The name of a photo's pair (its first 64 bytes)."""
        return bytes(self._names[photo].tolist()).rstrip(b"\0").decode(errors="replace")

    @property
    def photo_of(self) -> Tensor:
        """The photo of each segment, int64 [S], ascending."""
        return self.table[:, 0]

    @property
    def most(self) -> int:
        """Segments of the photo that has most."""
        return self._most

    def rows_of(self, photos: Tensor) -> Tensor:
        """The table's rows of photos int64 [n]: int64, in the order of the table."""
        wanted = torch.zeros(len(self), dtype=torch.bool, device=self.device)
        wanted[photos.to(self.device)] = True
        return wanted[self.photo_of].nonzero()[:, 0]

    def place_of(self, rows: Tensor) -> Tensor:
        """The number of segments within their photos, from 1: int64, as `local` has them."""
        return rows - self._first[self.photo_of[rows]] + 1

    def local(self, photos: Tensor, places: Tensor) -> Tensor:
        """The segment within its photo of the pixels at these places of the flattened map, from 1, 0 for none: int16 [n, len(places)]."""
        return self._segments[photos.cpu()].flatten(1)[:, places.cpu()].to(self.device).abs()

    def segments(self, photos: Tensor) -> Tensor:
        """The row of the table that each pixel belongs to, -1 for none: int64 [n, h, w]. photos: int64 [n]."""
        own = self._segments[photos.cpu()].to(self.device).long().abs()
        return torch.where(own > 0, own + self._first[photos.to(self.device)][:, None, None] - 1, -1)

    def masks(self, rows: Tensor) -> Tensor:
        """Segments at the size of retrieval: bool [P, h, w]."""
        return self.segments(self.photo_of[rows]) == rows[:, None, None]

    def around(self, rows: Tensor, thin: Sequence[int]) -> Tensor:
        """The same with the thin parts that they were connected over, inside their bounding boxes."""
        masks, found = self.masks(rows), self.segments(self.photo_of[rows])
        thin_at = is_any(self.table[found.clamp_min(0), 1], thin) & (found >= 0)
        thin_at &= ~is_any(self.table[rows, 1], thin)[:, None, None]
        return with_thin(masks, thin_at)

    def cut_out(self, rows: Tensor, scale: int) -> Tensor:
        """Segments as pictures RGB [P, 3, H, W] in [0, 1] on black. scale: doublings from the size of retrieval to the photos'."""
        photos = self.photo_of[rows].cpu()
        dark = (self._segments[photos] < 0).to(self.device)
        support = enlarged(self.masks(rows) & ~dark, scale)
        return self.photos[photos].to(self.device).float() / 255 * support[:, None]

    def maps(self, rows: Tensor) -> Tensor:
        """The maps of the segments' photos: int64 [P, H, W]."""
        return self.labels[self.photo_of[rows].cpu()].to(self.device).long()


def enlarged(masks: Tensor, scale: int) -> Tensor:
    """[N, h, w] with every pixel repeated 2**scale times to both sides."""
    return masks.repeat_interleave(1 << scale, -2).repeat_interleave(1 << scale, -1) if scale else masks


def bank_tensors(
    segments: Segments, labels: Tensor, photos: Tensor, small: Tensor, names: Sequence[str]
) -> dict[str, Tensor]:
    """The asset's tensors. segments: at the size of retrieval; labels: int64 [N, H, W]; photos: [N, 3, H, W] and at the size of retrieval
    `small`, in [0, 1]. Raises DataError for a map of more segments than a bank can number."""
    counts = torch.bincount(segments.table[:, 0], minlength=len(labels))
    if int(counts.max()) > torch.iinfo(torch.int16).max:
        raise DataError(
            f"{names[int(counts.argmax())]} has {int(counts.max())} segments: a bank numbers 32767 of a photo."
        )
    first = (counts.cumsum(0) - counts)[:, None, None]
    own = torch.where(segments.numbers > 0, segments.numbers - first, 0)
    dark = (small * 255).round().sum(1) == 0
    encoded = [name.encode()[:LONGEST_NAME].ljust(LONGEST_NAME, b"\0") for name in names]
    return {
        "photos": (photos * 255).round().to(torch.uint8),
        "labels": labels.to(torch.uint8),
        "segments": torch.where(dark, -own, own).to(torch.int16),
        "table": segments.table,
        "names": torch.tensor([list(name) for name in encoded], dtype=torch.uint8),
    }


@torch.no_grad()
def fit_bank(model: SIMS, data: PairData, most: int = 0) -> dict[str, Tensor]:
    """The bank of a data set's photos, or of `most` of them spread evenly over it (0: all). Not random.

    Raises DataError for data without photos, and where no map shows a segment.
    """
    count = len(data) if not most else min(most, len(data))
    chosen = [i * len(data) // count for i in range(count)]
    made: dict[str, Tensor] = {}
    tables: list[Tensor] = []
    for start in range(0, count, BATCH):
        batch = data.batch(chosen[start : start + BATCH])
        if batch.images is None:
            raise DataError("The bank of SIMS is one of photos, and this data set holds maps alone.")
        photos = fit_photos(batch.images, model.resolution)
        high = batch.maps.resize(model.resolution)
        low = model.indices(high.resize(model.config.low)).cpu()
        segments = find_segments(low, model.roles.classes, model.roles.thin)
        small = fit_photos(photos, model.config.low)
        part = bank_tensors(segments, model.indices(high).cpu(), photos.cpu(), small.cpu(), batch.names)
        tables.append(part.pop("table") + torch.tensor([start, 0, 0, 0]))
        for name, tensor in part.items():  # in place: a bank is large
            if name not in made:
                made[name] = tensor.new_empty(count, *tensor.shape[1:])
            made[name][start : start + len(tensor)] = tensor
    table = torch.cat(tables) if tables else torch.zeros(0, 4, dtype=torch.int64)
    if not len(table):
        raise DataError("No map shows a class that SIMS takes segments of: there is nothing to put into a bank.")
    return made | {"table": table}


def bank_fault(model: SIMS, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be one of `fit_bank`, or ""."""
    n, s = (len(tensors[k]) if k in tensors and tensors[k].dim() else 0 for k in ("photos", "table"))
    low, high = model.config.low, model.resolution
    shapes = {
        "photos": (n, 3, *high), "labels": (n, *high), "segments": (n, *low), "table": (s, 4), "names": (n, LONGEST_NAME),
    }  # fmt: skip
    fault = shape_fault(tensors, shapes, counts=tuple(shapes))
    types = {
        "photos": torch.uint8,
        "labels": torch.uint8,
        "segments": torch.int16,
        "table": torch.int64,
        "names": torch.uint8,
    }
    if fault or (fault := next((f"{k} is not of {t}" for k, t in types.items() if tensors[k].dtype != t), "")):
        return fault
    table = tensors["table"]
    if not n or not s:
        return "it has no photos or no segments"
    if bool((table < 0).any()) or int(table[:, 0].max()) >= n or int(table[:, 1].max()) >= model.roles.classes:
        return "its table names photos or classes that are not there"
    if bool((table[1:, 0] < table[:-1, 0]).any()):
        return "its table is not in the order of the photos"
    counts = torch.bincount(table[:, 0], minlength=n)
    if bool((tensors["segments"].long().abs().amax((1, 2)) > counts).any()):
        return "its photos have segments that its table lacks"
    if int(tensors["labels"].max()) > model.roles.classes:
        return f"its maps have classes beyond {model.roles.classes}"
    return ""


def drawn_bank(model: SIMS) -> dict[str, Tensor]:
    """A bank of one drawn picture, all classes side by side, with which a model without its own can be tried (`Asset.stand_in`)."""
    (height, width), classes = model.config.low, model.roles.classes
    small = (torch.arange(width) * classes // width).expand(1, height, width).contiguous()
    labels = enlarged(small, model.config.scale)
    shades = (1 + torch.arange(classes)).float() / (classes + 1)
    photos = shades[labels][:, None].expand(-1, 3, -1, -1)
    segments = find_segments(small, classes, model.roles.thin)
    return bank_tensors(segments, labels, photos, shades[small][:, None].expand(-1, 3, -1, -1), ["drawn"])
