"""What a model is asked with: drawn maps, photos and label sets in its own classes. The same at every call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.files.images import save_image, to_pil
from zoo.interfaces.label_sets import only
from zoo.interfaces.models import Model
from zoo.labels import LabelSet, LabelSpace, parse_space
from zoo.maps import SemanticMap

MOST = 6
"""Classes that are shown at once, however many the model has."""


@dataclass(frozen=True)
class Samples:
    """maps [N, H, W] at the model's resolution; photos [N, 3, H, W] of them; sets: the label set of each, of the model's
    channels alone. shown: a class that every map shows; spare: a class of the model that none shows."""

    maps: SemanticMap
    photos: Tensor
    sets: list[LabelSet]
    shown: str
    spare: str | None

    def other(self) -> SemanticMap:
        """The first map in another size, twice as high and wide."""
        height, width = self.maps.size
        return self.maps[0].resize((2 * height, 2 * width))


def make_samples(model: Model, count: int = 3, seed: int = 0) -> Samples:
    """Blocks of a few classes on a grid of four by four, and noisy pictures of them in the classes' colours."""
    space = model.label_space
    parts = [n for n in model.channels if n != space.background]
    spare = parts[-1] if len(parts) > 2 else None
    chosen = [n for n in parts if n != spare][:MOST]
    if space.background is not None:
        chosen.append(space.background)
    values = torch.tensor([space.index(n) for n in chosen])
    generator = torch.Generator().manual_seed(seed)
    grid = values[torch.randint(0, len(values), (count, 4, 4), generator=generator)]
    grid[:, 1, 2], grid[0, 2, 1] = values[0], values[-1]
    labels = F.interpolate(grid[:, None].double(), size=model.resolution, mode="nearest-exact")[:, 0].long()
    maps = SemanticMap(labels, space)
    noise = torch.rand(count, 3, *model.resolution, generator=generator)
    photos = (0.1 + 0.6 * maps.colorize() + 0.3 * noise).clamp(0, 1)
    sets = [only(s, model.channels) for s in maps.label_sets()]
    return Samples(maps, photos, sets, chosen[0], spare)


def foreign_space() -> LabelSpace:
    """A label space that no model speaks."""
    names = ("foreign-ground", "foreign-tree", "foreign-house")
    classes = [{"name": n, "color": [40 * i, 90, 200]} for i, n in enumerate(names)]
    return parse_space({"name": "foreign", "title": "of nobody", "background": names[0], "classes": classes}, "foreign")


def write_pairs(model: Model, folder: Path, train: int = 6, held: int = 2) -> Path:
    """A data set of such samples as files, with the splits train and val; returns the folder."""
    samples = make_samples(model, train + held, seed=1)
    for name in ("images", "maps", "splits"):
        (folder / name).mkdir()
    stems = [f"{i:02d}" for i in range(train + held)]
    for i, stem in enumerate(stems):
        save_image(to_pil(samples.photos[i]), folder / "images" / f"{stem}.png")
        samples.maps.to_png(folder / "maps" / f"{stem}.png", i)
    (folder / "splits/train.txt").write_text("\n".join(stems[:train]))
    (folder / "splits/val.txt").write_text("\n".join(stems[train:]))
    (folder / "space.json").write_text(json.dumps(model.label_space.to_json()))
    return folder


def write_domains(model: Model, folder: Path, train: int = 4, held: int = 2) -> Path:
    """Such photos as files of unpaired domains, `trainA` and so on, with the splits train and val; returns the folder."""
    for number, domain in enumerate(model.channels):
        photos = make_samples(model, train + held, seed=1 + number).photos
        for split, rows in (("train", range(train)), ("val", range(train, train + held))):
            (folder / f"{split}{domain}").mkdir()
            for i in rows:
                save_image(to_pil(photos[i]), folder / f"{split}{domain}" / f"{i:02d}.png")
    return folder
