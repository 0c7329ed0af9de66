"""Charts for which models are run: how unlike the pictures of a map are (CLVAE, Figure 10), and quality against speed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from zoo import cards
from zoo.api import load
from zoo.cards import Card
from zoo.checkpoints.smoke import smoke
from zoo.errors import UsageError, did_you_mean
from zoo.evaluation.evidence import SubjectEvidence, Watch, unwatched
from zoo.evaluation.plots.charts import Chart, Panel, Series, common_edges, histogram
from zoo.evaluation.similarity import drawn, several_and_photos
from zoo.evaluation.subjects import open_evaluation_data, open_subject
from zoo.inference.optimize import optimize

BINS = 24


@dataclass(frozen=True)
class DiversityRequest:
    """What the histograms are asked for; network: `lpips` or `features` (as the metrics lpips_diversity and feature_diversity)."""

    models: tuple[str, ...]
    data: str
    styles: int = 40
    limit: int | None = None
    seed: int = 0
    network: str = "features"
    lpips: str = "alex"
    device: str = "cpu"


def diversity_histograms(request: DiversityRequest, *, watch: Watch = unwatched) -> Chart:
    """Of every map the mean distance between two pictures in drawn styles, and the distance of the L1-nearest one from the photo.

    Raises UsageError for models that draw no styles, and where the distance's weights are not here.
    """
    apart, nearest = dict[str, list[float]](), dict[str, list[float]]()
    facts: Mapping[str, Any] = {}
    for reference in request.models:
        subject = open_subject(reference, device=request.device)
        data = open_evaluation_data(request.data, subject, None)
        evidence = SubjectEvidence(
            subject,
            data,
            request.data,
            limit=request.limit,
            styles=request.styles,
            seed=request.seed,
            lpips=request.lpips,
            watch=watch,
        )
        if subject.kind != "synthesizer":
            raise UsageError(f"{reference} is a {subject.kind}; these histograms are of synthesizers that draw styles.")
        if why := several_and_photos(evidence):
            raise UsageError(f"{reference}: this {why}.")
        with torch.inference_mode():
            found = drawn(evidence, request.network)
        facts = evidence.perceptual[request.network]().facts
        apart[subject.name], nearest[subject.name] = found.apart.tolist(), found.nearest.tolist()
    maps = len(next(iter(apart.values())))
    notes = (
        f"{maps} maps of {request.data.rpartition('/')[2]}, {request.styles} pictures of each; distance: {facts.get('name', request.network)}.",
        "The paper: 40 pictures of each test map, LPIPS.",
    )
    panels = (
        _histogram("Diversity (larger is better)", "mean distance between two pictures of a map", apart),
        _histogram(
            "Top 1 GT-similarity (smaller is better)", "distance of the L1-nearest picture from the photo", nearest
        ),
    )
    return Chart("Pictures of a map in drawn styles", panels, notes)


def _histogram(title: str, axis: str, groups: Mapping[str, Sequence[float]]) -> Panel:
    edges = common_edges(list(groups.values()), BINS)
    series = [Series(name, tuple(edges[:-1]), histogram(values, edges)) for name, values in groups.items()]
    return Panel("steps", title, axis, "share of maps", tuple(series), width=edges[1] - edges[0])


# --- quality against speed --------------------------------------------------------------------------------------------


def quality_against_speed(
    names: Sequence[str] = (),
    scores: Sequence[str] = (),
    *,
    repeats: int = 5,
    device: str = "cpu",
    watch: Watch = unwatched,
) -> Chart:
    """A panel for each kind of model: the figure of a card against the seconds that one map or picture takes here, in the inference form.

    names: models (all with weights here). scores: of each kind the first that its cards have is drawn, without one that of most cards.
    Raises UsageError if no card has a figure.
    """
    panels, notes = [], [
        f"Seconds: median of {repeats} calls with one map of all classes (or one photo) on {device}, {torch.get_num_threads()} threads;"
        " figures: as the cards state them, which are of one protocol only among models of the same data.",
    ]  # fmt: skip
    for kind, found in _by_kind(_cards(names)).items():
        score = _score(found, scores)
        if score is None:
            notes.append(f"No figure for {kind}: {', '.join(c.model_id for c in found)}.")
            continue
        points = []
        for done, card in enumerate(found):
            if score in figures(card):
                points.append(Series(card.model_id, (seconds(card, repeats, device),), (figures(card)[score],)))
            watch(f"{kind}s timed", done + 1, len(found))
        panels.append(Panel("points", kind, "seconds (logarithmic)", score, tuple(points), log_x=True))
    if not panels:
        raise UsageError("No card has a figure to draw" + (f" among {', '.join(scores)}" if scores else "") + ".")
    return Chart("Quality against speed", tuple(panels), tuple(notes))


def _cards(names: Sequence[str]) -> list[Card]:
    if not names:
        return [c for c in cards.all_cards().values() if c.has_weights]
    return [cards.find(name) for name in names]


def _by_kind(found: Sequence[Card]) -> dict[str, list[Card]]:
    kinds: dict[str, list[Card]] = {}
    for card in found:
        kinds.setdefault(str(card.facts.get("kind")), []).append(card)
    return kinds


def figures(card: Card) -> dict[str, float]:
    """The figures of a card's model index."""

    def metrics() -> Iterator[tuple[str, float]]:
        for entry in card.front.get("model-index") or []:
            for result in entry.get("results") or []:
                for metric in result.get("metrics") or []:
                    if isinstance(metric.get("value"), int | float):
                        yield str(metric.get("type")), float(metric["value"])

    return dict(metrics())


def _score(found: Sequence[Card], scores: Sequence[str]) -> str | None:
    counts = Counter(name for card in found for name in figures(card))
    if not scores:
        return counts.most_common(1)[0][0] if counts else None
    return next((s for s in scores if s in counts), None)


def check_scores(scores: Sequence[str]) -> None:
    """Raise UsageError for a score that no card has."""
    known = {name for card in cards.all_cards().values() for name in figures(card)}
    if unknown := [s for s in scores if s not in known]:
        raise UsageError(
            f"No card has the figure {unknown[0]!r}{did_you_mean(unknown[0], known)} (known: {', '.join(sorted(known))})."
        )


def seconds(card: Card, repeats: int, device: str) -> float:
    """Median seconds of what a model of its kind does, at batch 1, after one call to warm up."""
    model = optimize(load(card.model_id, device=device))
    smoke(model)
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        smoke(model)
        taken.append(time.perf_counter() - began)
    return sorted(taken)[len(taken) // 2]
