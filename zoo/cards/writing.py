"""Writing the front matter of a card: what `huggingface_hub.ModelCardData` writes, and the zoo's own facts under `zoo:`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.cards.licenses import UNKNOWN, hub_license
from zoo.registry import KINDS

LIBRARY = "maskzoo"


@dataclass(frozen=True)
class Measured:
    """On what the figures of a card were measured."""

    title: str
    """The data in prose, e.g. "CelebAMask-HQ, 100 held-out faces at 128 px"."""
    data: str
    """The data set's name."""
    split: str | None = None


def finite_figures(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures that are numbers: YAML would write `.nan`, which JSON and the Hub's model index do not know."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def not_finite(figures: Mapping[str, float]) -> list[str]:
    """A limit for every figure that `finite_figures` drops."""
    return [f"No figure for {n}: it came out as {v}." for n, v in figures.items() if not math.isfinite(v)]


def front_matter(
    facts: Mapping[str, Any],
    *,
    name: str,
    measured: Measured | None = None,
    license_link: str | None = None,
    datasets: Sequence[str] = (),
    tags: Sequence[str] = (),
) -> dict[str, Any]:
    """The head of a card, ready for `write_card`. Figures (`facts["scores"]`) go into the model index where `measured` is given.

    name: the model's in the index; license_link: the terms behind a licence that the Hub has no id for; datasets: names for
    the Hub's field (not a folder of one's own). Raises ValueError if a figure is not finite (`finite_figures` first).
    """
    from huggingface_hub import EvalResult, ModelCardData

    kind, figures = facts["kind"], facts.get("scores") or {}
    if unfit := not_finite(figures):
        raise ValueError(" ".join(unfit))
    license_id, license_name = hub_license(str(facts.get("weights_license", UNKNOWN)))
    tag = KINDS[kind].task if kind in KINDS else None
    results = [
        EvalResult(
            task_type=tag or kind,
            task_name=kind if tag else None,
            dataset_type=measured.data,
            dataset_name=measured.title,
            dataset_split=measured.split,
            metric_type=metric,
            metric_value=value,
        )
        for metric, value in (figures.items() if measured else ())
        if measured
    ]
    data = ModelCardData(
        library_name=LIBRARY,
        license=license_id,
        license_name=license_name,
        license_link=license_link if license_name else None,
        pipeline_tag=tag,
        tags=[kind, facts["architecture"], *tags],
        datasets=list(datasets) or None,
        model_name=name if results else None,
        eval_results=results or None,
        zoo=dict(facts),
    )
    return data.to_dict()


def listed_under(text: str, heading: str) -> list[str]:
    """The items of the list under `## heading` in Markdown, one line each; [] without the heading or without a list."""
    section = re.search(rf"^## {re.escape(heading)}\s*\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    items = re.findall(r"^- (.+(?:\n  .+)*)", section[1], re.MULTILINE) if section else []
    return [" ".join(item.split()) for item in items]
