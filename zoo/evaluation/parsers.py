"""The judge that reads pictures: a parser that no loss uses where there is one for the classes."""

from __future__ import annotations

from typing import Any

from zoo import cards
from zoo.api import load
from zoo.composition.parsers import default_parser
from zoo.errors import UsageError, ZooError
from zoo.files.digests import sha256
from zoo.hub import resolve
from zoo.interfaces.judges import MapJudge
from zoo.interfaces.models import MaskParser
from zoo.labels import LabelSpace
from zoo.registry import registry
from zoo.registry.capabilities import may
from zoo.store.models import model_files
from zoo.store.transformers import is_transformers, load_transformers


def published(kind: str, ability: str, space: LabelSpace, *, without: bool = False) -> str | None:
    """The first published model of a kind with (or without) an ability, whose classes are those of `space` and whose weights are here."""
    for card in cards.search("*", kind=kind):
        try:
            able = ability in may(registry().architecture(str(card.facts.get("architecture"))).can)
            same = registry().label_space(str(card.facts.get("label_space"))).names == space.names
        except ZooError:  # of a plugin that is broken
            continue
        if able != without and same and card.embedded:
            return card.model_id
    return None


def judging_parser(space: LabelSpace) -> str:
    """The published parser that judges pictures of these classes: one that no loss may use, else the one that reads photos.

    Raises UsageError if none knows the classes.
    """
    return published("mask-parser", "judge", space) or default_parser(space)


def open_parser(reference: str, space: LabelSpace) -> MaskParser:
    """The parser that reads pictures. Raises UsageError for another kind of model, LabelError if it knows none of the classes.

    A model of transformers whose classes have no names takes those of `space` in their order.
    """
    folder = resolve(reference).folder
    parser = load_transformers(folder, space) if is_transformers(folder) else load(reference)
    if not isinstance(parser, MaskParser):
        raise UsageError(f'<<parser="{reference}">> is a {type(parser).__name__}, no parser.')
    parser.label_space.mapping_to(space)
    return parser


def open_map_judge(reference: str | None, ability: str, space: LabelSpace, what: str) -> tuple[str, MapJudge]:
    """The map judge with (`codes`) or without codes ("") for these classes, and its name: the named one, else a published one.

    Raises UsageError where there is none, or where the named one is another model or knows other classes.
    """
    chosen = reference or published("map-judge", ability or "codes", space, without=not ability)
    if chosen is None:
        arch = "mask-autoencoder" if ability else "shape-predictor"
        raise UsageError(
            f"No {what} is published for the classes of {space.name!r}: train one (zoo train {arch} --data …) and name it with <<judges>>."
        )
    judge = load(chosen)
    if not isinstance(judge, MapJudge):
        raise UsageError(f"{chosen} is a {type(judge).__name__}, no judge of maps (see: zoo list --kind map-judge).")
    if judge.label_space.names != space.names:
        raise UsageError(f"{chosen} judges maps of {judge.label_space.name!r}, and these are of {space.name!r}.")
    return chosen, judge


def model_facts(reference: str) -> dict[str, Any]:
    """Name and digest of a model, for protocols; of a folder of several weights the digest of the first."""
    resolved = resolve(reference)
    path = resolved.folder / "model.safetensors"
    files = [path] if path.is_file() else [p for p in model_files(resolved.folder) if p.suffix == ".safetensors"]
    return {"name": resolved.name, "sha256": sha256(files[0]) if files else None}
