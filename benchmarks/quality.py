"""Measures a model on held-out pairs: the figures of the cards, by `zoo eval`, in the form that `publish.py` reads.

    python benchmarks/quality.py MODEL --data celebamask-hq:DIR#test [--parser face-parser] [--samples 500] [--limit 64]
    python benchmarks/quality.py clvae-ccp --data ccp:DIR,crop=person,pad=mirror#test --parser ./run/model

`zoo eval MODEL --data …` measures the same and more, with the protocol of each figure (docs/evaluating.md). Here: of a parser mIoU
and accuracy; of a synthesizer L1, what the parser reads, and by kind of picture KID x 1000, detail and odd colours; of a generator
reconstruction, and how often a requested class appears. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from zoo.evaluation.evidence import open_parser
from zoo.evaluation.run import EvalRequest, Evaluation

METRICS = {
    "parser": ("segmentation",),
    "synthesizer": ("l1", "parser_agreement", "kid", "detail", "odd_colours"),
    "generator": ("reconstruction", "requests"),
}
SCORES = ("miou", "miou_all", "accuracy")

judge = open_parser


def report_of(evaluation: Evaluation) -> dict[str, Any]:
    """The figures under the names that the cards have."""
    kind = evaluation.subject.kind
    evaluation.metrics = {n: m for n, m in evaluation.metrics.items() if n in METRICS[kind]}
    document = evaluation.run()
    if "kid" in document["not_measured"]:
        print(f"no kid: {document['not_measured']['kid']}", file=sys.stderr)
    found = {name: metric["scores"] for name, metric in document["metrics"].items()}
    if kind == "parser":
        return {**_three(found["segmentation"]), "iou": found["segmentation"]["iou"]}
    return _synthesizer(evaluation, found) if kind == "synthesizer" else _generator(found)


def _synthesizer(evaluation: Evaluation, found: dict[str, Any]) -> dict[str, Any]:
    report: dict[str, Any] = {"parser": evaluation.evidence.parser_reference}
    if "encoded_style" in found.get("l1", {}):
        report["l1"] = found["l1"]["encoded_style"]["mean"]
    report |= {f"parser_{name}": _three(scores) for name, scores in found["parser_agreement"].items()}
    for name in evaluation.evidence.pictures:
        near = report.setdefault(name, {})
        near |= {metric: found[metric][name] for metric in ("kid", "detail") if metric in found}
        odd = found["odd_colours"][name]
        near |= {"odd_colours": odd["all"]} if odd["classes"] else {}
        near |= {"odd_skin": odd["classes"]["skin"]} if "skin" in odd["classes"] else {}
    return report


def _generator(found: dict[str, Any]) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for code in ("mean_code", "sampled") if "reconstruction" in found else ():
        report[f"reconstruction_{code}"] = _three(found["reconstruction"][code])
    report["requested_classes_that_appear"] = found["requests"]["classes"]
    report["share_of_requests_met"] = round(found["requests"]["share_of_requests_met"], 4)
    return report


def _three(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: scores[name] for name in SCORES}


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model")
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--parser", help="model id or folder (default: the published one for the label space)")
    arguments.add_argument("--limit", type=int, help="the first pairs only")
    arguments.add_argument("--samples", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=0, help="of the drawn styles")
    given = arguments.parse_args(argv)
    request = EvalRequest(
        given.model, given.data, limit=given.limit, parser=given.parser, samples=given.samples, seed=given.seed
    )
    evaluation = Evaluation(request)
    report = report_of(evaluation)
    pairs = len(evaluation.evidence.indices)
    print(json.dumps({"model": given.model, "data": given.data, "pairs": pairs, **report}, indent=2))


if __name__ == "__main__":
    main()
