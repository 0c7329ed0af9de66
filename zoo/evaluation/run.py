"""One evaluation: which metrics, in order, each with its protocol; what cannot be measured is said, not left out silently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch

from zoo import errors as texts
from zoo.environment import versions
from zoo.errors import PluginError, UsageError, WeightsError, did_you_mean
from zoo.evaluation.evidence import SubjectEvidence, Watch, unwatched
from zoo.evaluation.extractors import DEFAULT, check_extractor
from zoo.evaluation.perceptual import BACKBONES
from zoo.evaluation.results import FORMAT, continued, plain, write_results
from zoo.evaluation.subjects import digest_of, open_evaluation_data, open_subject
from zoo.interfaces.metrics import Evidence, Measured, Metric
from zoo.labels import LabelSpace
from zoo.registry import plugin_code, registry


@dataclass(frozen=True)
class EvalRequest:
    """What `zoo eval` is asked for. metrics: names, () for all that apply; limit: the first pairs; samples: maps that a
    generator draws; styles: pictures of a map in the metrics of diversity, of the first `styled` maps; parser: the judge that reads pictures; judges: those of maps;
    extractor: `inception`, `mobilenet-v2` or a plugin's; lpips: `alex` or `vgg`; prior: of a generator (None: fitted where there is one);
    space: the label space of maps that do not say theirs."""

    subject: str
    data: str
    metrics: tuple[str, ...] = ()
    limit: int | None = None
    samples: int = 500
    seed: int = 0
    styles: int = 4
    styled: int = 50
    parser: str | None = None
    judges: tuple[str, ...] = ()
    extractor: str = DEFAULT
    lpips: str = "alex"
    prior: str | None = None
    space: LabelSpace | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, value in (
            ("limit", self.limit),
            ("samples", self.samples),
            ("styles", self.styles),
            ("styled", self.styled),
        ):
            if value is not None and value < 1:
                raise UsageError(f"<<{name}={value}>>: expected 1 or more.")
        if self.seed < 0:
            raise UsageError(f"<<seed={self.seed}>>: expected 0 or more.")
        for name in self.metrics:
            metric_named(name)
        check_extractor(self.extractor)
        if self.prior not in (None, "fitted", "normal"):
            raise UsageError(f'<<prior="{self.prior}">>: expected fitted or normal.')
        if self.lpips not in BACKBONES:
            raise UsageError(f'<<lpips="{self.lpips}">>: expected {" or ".join(BACKBONES)}.')

    @property
    def options(self) -> dict[str, Any]:
        """What decides the figures beside the model and the data."""
        space = self.space.name if self.space else None
        return {
            "limit": self.limit, "samples": self.samples, "seed": self.seed, "styles": self.styles, "styled": self.styled, "parser": self.parser,
            "judges": list(self.judges), "extractor": self.extractor, "lpips": self.lpips, "prior": self.prior, "space": space,
        }  # fmt: skip


def metric_names() -> tuple[str, ...]:
    """The metrics of all plugins that `zoo eval` can run; a table entry that is a plain function is none."""
    names = [n for n in registry().names("metrics") if ":" not in n]
    return tuple(n for n in names if _is_metric(n))


def _is_metric(name: str) -> bool:
    try:
        return isinstance(registry().get("metrics", name), Metric)
    except PluginError:  # a broken plugin is its own loss; asked for by name it says so
        return False


def metric_named(name: str) -> Metric:
    """Raises UsageError for an unknown name and for a registered function that is no metric of `zoo eval`."""
    if name not in registry().names("metrics"):
        registry().refuse_clash("metrics", name)
        known = metric_names()
        raise UsageError(
            f"No metric {name!r}{did_you_mean(name, known)} (known: {', '.join(known)}){registry().broken_hint()}."
        )
    metric = registry().get("metrics", name)
    if not isinstance(metric, Metric):
        raise UsageError(f"{name!r} is a function of a plugin, no zoo.plugin.Metric, so zoo eval cannot run it.")
    return metric


class Evaluation:
    """A subject, its data, and the metrics that are asked for."""

    def __init__(self, request: EvalRequest, *, among: Sequence[str] = (), watch: Watch = unwatched) -> None:
        """Opens the model and the data. among: where no metric is asked for, those of these that apply (none: of all).

        Raises ZooErrors; UsageError for a metric that is asked for and does not apply."""
        self.request, self.among = request, among
        self.subject = open_subject(request.subject, device=request.device)
        data = open_evaluation_data(request.data, self.subject, request.space)
        self.evidence = SubjectEvidence(
            self.subject, data, request.data, parser=request.parser, judges=request.judges, extractor=request.extractor,
            lpips=request.lpips, prior=request.prior, limit=request.limit, samples=request.samples, styles=request.styles, styled=request.styled,
            seed=request.seed, watch=watch,
        )  # fmt: skip
        self.skipped: dict[str, str] = {}
        self.metrics = self._chosen()

    def _chosen(self) -> dict[str, Metric]:
        chosen = {}
        for name in self.request.metrics or self.among or metric_names():
            metric = metric_named(name)
            with plugin_code(f"Plugin {registry().owner_of('metrics', name).label}: its metric {name!r} failed"):
                refusal = metric.refusal(cast(Evidence, self.evidence))
            if not refusal:
                chosen[name] = metric
            elif self.request.metrics:
                raise UsageError(f"{name} {refusal}.")
            elif self.subject.kind in metric.subjects:
                self.skipped[name] = refusal
        return chosen

    def head(self) -> dict[str, Any]:
        """The document without its metrics."""
        data = self.evidence.data
        return {
            "format": FORMAT,
            "subject": self.subject.name,
            "kind": self.subject.kind,
            "digest": self.subject.digest,
            "data": self.request.data,
            "pairs": len(self.evidence.indices),
            "pairs_sha256": digest_of(data.names),
            "paired": self.evidence.paired,
            "resolution": list(data.resolution),  # type: ignore[arg-type]
            "label_space": data.label_space.name,
            "request": self.request.options,
            "asked": list(self.request.metrics),
            "versions": versions(),
        }

    def measure(self, name: str) -> dict[str, Any]:
        """One metric as it stands in the document. Raises PluginError for what a plugin's metric did."""
        record = registry().owner_of("metrics", name)
        with plugin_code(f"Plugin {record.label}: its metric {name!r} failed"), torch.inference_mode():
            found = self.metrics[name](cast(Evidence, self.evidence))
            if not isinstance(found, Measured):
                raise TypeError(f"it gave {type(found).__name__}, expected a Measured")
            return plain({"about": self.metrics[name].about, **asdict(found)})

    def run(self, out: Path | None = None, *, told: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
        """Measure what is not in `out` yet, writing it after each metric; returns the document with all of its metrics."""
        document, note = continued(out, self.head()) if out else ({**self.head(), "metrics": {}}, "")
        if note:
            told(note)
        there = [n for n in self.metrics if n in document["metrics"]]
        if there:
            told(f"Already in {out}: {', '.join(there)}.")
        for name in self.metrics:
            if name in document["metrics"]:
                continue
            try:
                document["metrics"][name] = self.measure(name)
            except (UsageError, WeightsError) as error:
                if self.request.metrics:
                    raise
                self.skipped[name] = error.args[0]  # weights that are not installed, a parser that is not published
                continue
            if out:
                write_results(out, document)
        for name, why in self.skipped.items():
            told(f"Not measured: {name}: {why.rstrip('.')}.")
        document["not_measured"] = {name: texts.plain(why) for name, why in self.skipped.items()}
        if out:
            write_results(out, document)
        return plain(document)
