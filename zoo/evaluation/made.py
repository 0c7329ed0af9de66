"""The pictures of a subject: of a synthesizer for the maps of photos, of a composition for their label sets, of a translator for its photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.composition.chain import Composition
from zoo.data.pairs import Batch, PairData
from zoo.errors import DataError
from zoo.evaluation.shapes import drawn_classes
from zoo.interfaces.capabilities import EncodesStyle, SamplesStyle
from zoo.interfaces.label_sets import only
from zoo.interfaces.models import ImageSynthesizer, MaskGenerator
from zoo.interfaces.translators import ImageTranslator
from zoo.maps import SemanticMap
from zoo.registry.capabilities import style_sources
from zoo.rng import Rng

BATCH = 8
AT_ONCE = 20
KEPT_BYTES = 2**30


@dataclass(frozen=True)
class Made:
    """Pictures by kind: float32 [N, 3, H, W]. beside: the photos that they are compared with, where these are not those of the pairs.
    maps: what the pictures should show, where that is not the pairs' own maps."""

    pictures: dict[str, Tensor]
    beside: dict[str, Tensor]
    maps: SemanticMap | None = None


def pictures_of(model: ImageSynthesizer, batch: Batch, first: int, seed: int = 0) -> dict[str, Tensor]:
    """The maps of a batch with the photos' own style and with drawn ones (of a model without style: as they come), on the CPU.

    Row i of what is drawn is sample `first` + i of the seed.
    """
    batch = batch.to(model.device)
    layout = model.layout(batch.maps)
    places = style_sources(model.capabilities())
    rng = Rng(seed, range(first, first + len(batch)))
    if not places:
        return {"image": model.synthesize(layout, rng=rng if model.draws_noise else None).cpu()}
    made = {}
    if "photo" in places:
        if batch.images is None:
            raise DataError("A synthesizer is judged on photos and their maps, and this data set holds maps alone.")
        assert isinstance(model, EncodesStyle)
        style = model.encode_style(batch.images, batch.maps)
        made["encoded_style"] = model.synthesize(layout, style, rng=rng if model.draws_noise else None).cpu()
    if "prior" in places:
        assert isinstance(model, SamplesStyle)
        style = model.sample_style(batch.maps, rng)
        made["random_style"] = model.synthesize(layout, style, rng=rng if model.draws_noise else None).cpu()
    return made or {"image": model.synthesize(layout, rng=rng).cpu()}  # a mean style alone


def styled(model: ImageSynthesizer, maps: SemanticMap, first: int, count: int, seed: int) -> Iterator[Tensor]:
    """`count` pictures of each map in drawn styles, one float32 [B, 3, H, W] on the CPU after the other; style k of row i is drawn from
    the stream (k, sample `first` + i) of the seed."""
    maps = maps.to(model.device)
    layout = model.layout(maps)
    for number in range(count):
        rng = Rng(seed, range(first, first + len(maps))).within("style", number)
        code = None
        if "style:prior" in model.capabilities():
            assert isinstance(model, SamplesStyle)
            code = model.sample_style(maps, rng)
        yield model.synthesize(layout, code, rng=rng if code is None or model.draws_noise else None).cpu()


def styled_batches(evidence: Any) -> Iterator[tuple[Batch, list[Tensor]]]:
    """The first `styled` pairs in batches, each with `styles` pictures of its maps; kept for the next metric where they take no more than
    a GiB, else drawn again, which gives the same."""
    chosen = evidence.indices[: evidence.styled]

    def draw() -> Iterator[tuple[Batch, list[Tensor]]]:
        for start in range(0, len(chosen), BATCH):
            batch = evidence.data.batch(chosen[start : start + BATCH])
            yield batch, list(styled(evidence.model, batch.maps, start, evidence.styles, evidence.seed))
            evidence.watch("styles of a map", min(start + BATCH, len(chosen)), len(chosen))

    height, width = evidence.data.resolution
    if 12 * height * width * evidence.styles * len(chosen) > KEPT_BYTES:
        return draw()
    return iter(evidence.keep("styles of a map", lambda: list(draw())))


def composed(
    composition: Composition, data: PairData, indices: Sequence[int], seed: int, watch: Callable[[str, int, int], None]
) -> Made:
    """A picture for the label set of each pair's map, as `zoo compose --labels … --seed` makes it, and the maps behind them.

    Classes that the generator does not draw are not asked for; pairs that then ask for nothing are left out. Raises DataError if none
    is left.
    """
    first, second = composition.generator, composition.synthesizer
    assert isinstance(first, MaskGenerator) and isinstance(second, ImageSynthesizer)
    space, sets = data.label_space, list[Any]()
    names = drawn_classes(first, space)
    back = dict(space.mapping_to(first.label_space).pairs)
    for start in range(0, len(indices), 64):
        kept = [only(s, names) for s in data.batch(indices[start : start + 64]).maps.label_sets()]
        sets += [first.label_space.label_set(back[n] for n in s) for s in kept if s.names]
    if not sets:
        raise DataError("No map of the data shows a class that the generator draws.")
    images, maps = list[Tensor](), list[SemanticMap]()
    for start in range(0, len(sets), AT_ONCE):
        asked = sets[start : start + AT_ONCE]
        rng = Rng(seed, range(start, start + len(asked)))
        drawn = first.generate(asked, latents=first.sample_latents(asked, rng.within("map"))).to(second.device)
        shown = drawn.to_space(second.label_space).resize(second.resolution)
        style = rng.within("style")
        code = None
        if "style:prior" in second.capabilities():
            assert isinstance(second, SamplesStyle)
            code = second.sample_style(shown, style)
        images.append(second.synthesize(shown, code, rng=style).cpu())
        maps.append(SemanticMap(shown.labels, shown.space).to("cpu"))
        watch("pictures", start + len(asked), len(sets))
    return Made({"image": torch.cat(images)}, {}, SemanticMap.cat(maps))


def translated(
    model: ImageTranslator, photos: Tensor, maps: SemanticMap, seed: int, watch: Callable[[str, int, int], None]
) -> Made:
    """For each target domain the photos of all other domains, translated in drawn styles, beside the photos of that domain.

    A model that reads the content of one domain only takes that one's photos. Raises DataError for a target without photos on a side.
    """
    of = maps.labels.flatten(1)[:, 0]
    pictures, beside = dict[str, Tensor](), dict[str, Tensor]()
    for target in model.targets:
        value = maps.space.index(target)
        sources = [maps.space.index(n) for n in model.channels if n != target]
        if not model.shared_content:
            sources = [maps.space.index(model.source_for(target))]
        given, truth = photos[torch.isin(of, torch.tensor(sources))], photos[of == value]
        if not len(given) or not len(truth):
            raise DataError(
                f"The data shows {len(given)} photos to translate to {target} and {len(truth)} of {target}: both are needed."
            )
        parts = []
        for start in range(0, len(given), BATCH):
            part = given[start : start + BATCH].to(model.device)
            rng = Rng(seed, range(start, start + len(part))).within("to", target)
            parts.append(model.translate(part, to=target, rng=rng).cpu())
            watch(f"photos to {target}", start + len(part), len(given))
        pictures[f"to {target}"], beside[f"to {target}"] = torch.cat(parts), truth
    return Made(pictures, beside)
