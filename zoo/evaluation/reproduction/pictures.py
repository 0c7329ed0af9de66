"""Pictures of a row's model in a folder, so that they are measured as those of any other system: painted from the maps that a generator
draws of the held-out label sets, or made of label sets directly; of real data the real maps are painted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from zoo.api import load
from zoo.data.pairs import Batch, PairData
from zoo.data.specs import DataSpec
from zoo.errors import DataError, UsageError
from zoo.evaluation.evidence import Watch, unwatched
from zoo.evaluation.shapes import NamedGenerator, draw, drawn_classes
from zoo.evaluation.subjects import bare
from zoo.files.folders import whole_folder
from zoo.files.images import save_image, to_pil
from zoo.inference.optimize import optimize
from zoo.interfaces.capabilities import PaintsItself
from zoo.interfaces.label_sets import only
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, MaskGenerator, Model
from zoo.interfaces.translators import ImageTranslator
from zoo.labels import LabelSet, LabelSpace
from zoo.maps import SemanticMap
from zoo.registry.capabilities import style_sources
from zoo.rng import Rng
from zoo.training.session import open_pairs

AT_ONCE = 8


@dataclass(frozen=True)
class Pictures:
    """What is measured and on which pairs."""

    subject: Path
    pairs: DataSpec


def painted_folder(
    folder: Path,
    model: Path | None,
    split: DataSpec,
    *,
    painter: str | None,
    own: bool = False,
    limit: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    watch: Watch = unwatched,
) -> Pictures:
    """The folder of pictures, made unless it is there already: one for each held-out pair (the first `limit`), under the pair's name;
    none for a pair that shows nothing that the model can be asked for.

    model: None for the real maps. painter: the synthesizer that maps go through. own: the pictures are the generator's, not the
    painter's. Sample i of all that is drawn is stream i of `seed`. Synthesizers and translators are measured as the models that they
    are: their own folder comes back. Raises UsageError for a painter that is missing or none, and for a generator that gives no pictures
    where they are asked for.
    """
    made = None if model is None else load(model, device=device)
    if isinstance(made, ImageSynthesizer | ImageTranslator) and model is not None:
        return Pictures(model, split)
    if folder.is_dir():
        return Pictures(folder, split)
    if own and "pictures" not in (made.capabilities() if made else ()):
        raise UsageError(f"{type(made).__name__} gives no pictures of its own")
    if isinstance(made, ImageGenerator) or (own and isinstance(made, MaskGenerator)):
        data = open_pairs(split, made, made.resolution)
        pictures = _of_label_sets(made, data, limit, seed)
    elif made is None or isinstance(made, MaskGenerator):
        pictures, data = _of_maps(made, split, _painter(painter, device), limit, seed)
    else:
        raise UsageError(f"{type(made).__name__} makes no pictures")
    total = min(len(data), limit or len(data))
    with whole_folder(folder) as part:
        _write(((tuple(bare(n) for n in names), images) for names, images in pictures), part, total, watch)
    return Pictures(folder, split)


def _write(pictures: Iterator[tuple[tuple[str, ...], Tensor]], folder: Path, total: int, watch: Watch) -> None:
    done = 0
    for names, images in pictures:
        for name, image in zip(names, images, strict=True):
            target = folder / f"{name}.png"
            if target.exists():
                raise DataError(f"Several pairs are called {name}, so their pictures would be one")
            save_image(to_pil(image), target)
        done += len(names)
        watch("pictures painted", done, total)


def _painter(reference: str | None, device: str) -> ImageSynthesizer:
    if reference is None:
        raise UsageError("the table names no model that turns the maps of this data set into pictures")
    painter = optimize(load(reference, device=device))
    if not isinstance(painter, ImageSynthesizer):
        raise UsageError(f"{reference} turns no maps into pictures")
    return painter


def _of_label_sets(
    model: ImageGenerator | MaskGenerator, data: PairData, limit: int | None, seed: int
) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    """Pictures from the label sets of the pairs: an image generator's, or a mask generator's own."""
    for first, batch, sets in _asked(data, known_names(model, data.label_space), limit):
        kept = [i for i, s in enumerate(sets) if s.names]
        if kept:
            rng = Rng(seed, [first + i for i in kept])
            with torch.inference_mode():
                images = _own_pictures(model, [sets[i] for i in kept], rng).cpu()
            yield tuple(batch.names[i] for i in kept), images


def _own_pictures(model: ImageGenerator | MaskGenerator, sets: list[LabelSet], rng: Rng) -> Tensor:
    """As a composition asks for them: of the maps that the same latents give."""
    if isinstance(model, ImageGenerator):
        return model.generate(sets, rng=rng)
    assert isinstance(model, PaintsItself)
    return model.generate_pictures(sets, latents=model.sample_latents(sets, rng), rng=rng.within("image"))


def _asked(data: PairData, names: set[str], limit: int | None) -> Iterator[tuple[int, Batch, list[LabelSet]]]:
    """The pairs some at a time: number of the first, the pairs, and of their label sets what has these names."""
    count = min(len(data), limit or len(data))
    for first in range(0, count, AT_ONCE):
        batch = data.batch(range(first, min(first + AT_ONCE, count)))
        yield first, batch, [only(s, names) for s in batch.maps.label_sets()]


def known_names(model: Model, space: LabelSpace) -> set[str]:
    """The classes that a model can be asked for, of its own label space."""
    return {space.names[space.index(n)] for n in model.channels} - {space.background or ""}


def _of_maps(
    model: MaskGenerator | None, split: DataSpec, painter: ImageSynthesizer, limit: int | None, seed: int
) -> tuple[Iterator[tuple[tuple[str, ...], Tensor]], PairData]:
    """Pictures of the painter from the maps that a generator draws of the pairs' label sets; of real maps for None. With them the pairs."""
    data = (
        open_pairs(split, painter, painter.resolution) if model is None else open_pairs(split, model, model.resolution)
    )
    return _painted(None if model is None else optimize(model), data, painter, limit, seed), data  # type: ignore[arg-type]


def _painted(
    model: MaskGenerator | None, data: PairData, painter: ImageSynthesizer, limit: int | None, seed: int
) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    space = data.label_space
    names = set(space.names) if model is None else drawn_classes(model, space)
    for first, batch, sets in _asked(data, names, limit):
        kept = [i for i, s in enumerate(sets) if s.names]
        if not kept:
            continue
        rows = [first + i for i in kept]
        with torch.inference_mode():
            maps = batch.maps[kept]
            if model is not None:
                maps = draw(NamedGenerator("row", model), [sets[i] for i in kept], space, seed, samples=rows)
            yield tuple(batch.names[i] for i in kept), paint(painter, maps, Rng(seed, rows))


def paint(painter: ImageSynthesizer, maps: SemanticMap, rng: Rng) -> Tensor:
    """Pictures of maps in styles drawn (the mean one where none is drawn), float32 [B, 3, H, W] on the CPU; maps of any size and space."""
    maps = SemanticMap(maps.labels, maps.space)
    if maps.space.names != painter.label_space.names:
        maps = maps.to_space(painter.label_space)
    maps = maps.resize(painter.resolution).to(painter.device)
    drawn = "prior" in style_sources(painter.capabilities()) or painter.draws_noise
    return painter.synthesize(painter.layout(maps), rng=rng if drawn else None).cpu()
