"""Puts a finished training run into `cards/` with the figures that `quality.py` and `generators.py` measured.

    python benchmarks/quality.py ./run --data celebamask-hq:DIR#test > scores.json
    python benchmarks/generators.py ./run mask-vae-celeba --data celebamask-hq:DIR#test --json shapes.json
    python benchmarks/publish.py ./run MODEL-ID --scores scores.json --shapes shapes.json --notes notes.md --recipe "zoo train …"

The card's facts come from the run and, for terms and names of the data, from `zoo.data.facts`; its figures from the JSON
files (`--shapes` for mask generators alone); its words (what the model is good and bad for) from the notes, whose section
`## Limits` holds a list: its items are the card's `limits`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import generators

from zoo.cards import Card, read_card, write_card
from zoo.cards.writing import Measured, finite_figures, front_matter, listed_under, not_finite
from zoo.data.facts import UNKNOWN, DataFacts, facts_of
from zoo.data.specs import parse_spec
from zoo.store.models import vouched

CARDS = Path(__file__).resolve().parents[1] / "cards"
SHIPPED = ("config.json", "model.safetensors", "assets")


def flat(scores: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Nested figures under joined names; per-class tables stay in the JSON."""
    figures: dict[str, float] = {}
    for key, value in scores.items():
        if isinstance(value, dict) and key not in ("iou", "requested_classes_that_appear"):
            figures |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and key != "pairs":
            figures[prefix + key] = round(float(value), 4)
    return figures


def shape_figures(shapes: Mapping[str, Any]) -> dict[str, float]:
    """The headline figures of the first model that `generators.py` measured."""
    own = next(iter(shapes["models"].values()))
    return {f"shapes.{key}": round(own[key], 4) for key in generators.SUMMARY if own.get(key) is not None}


def renamed(shapes: dict[str, Any], model_id: str) -> dict[str, Any]:
    """The first model of `generators.py` is the run that is published: it gets the model's id."""
    first, *others = shapes["models"].items()
    return {**shapes, "models": {model_id: first[1], **dict(others)}}


def tables(scores: Mapping[str, Any]) -> list[str]:
    """Per-class figures as Markdown."""
    lines: list[str] = []
    if "iou" in scores:
        lines += ["", "| class | IoU |", "|---|---|"]
        lines += [f"| {n} | {v:.3f} |" for n, v in scores["iou"].items()]
    asked = scores.get("requested_classes_that_appear")
    if asked:
        lines += ["", "How often a requested class appears:", "", "| class | asked | appeared |", "|---|---|---|"]
        lines += [f"| {n} | {v['asked']} | {v['share']:.1%} |" for n, v in asked.items()]
    return lines


def copy_model(run: Path, folder: Path) -> None:
    """The files that a model folder ships; the discriminator stays with the run."""
    folder.mkdir(exist_ok=True)
    for name in SHIPPED:
        source, target = run / "model" / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        elif source.is_file():
            shutil.copyfile(source, target)


def curve_lines(run: Path) -> list[str]:
    """The learning curve as Markdown, at most a dozen rows."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    keys = [k for k in records[-1] if k not in ("step", "samples", "minutes")]
    rows = records[:: -(-len(records) // 12)]
    rows += [] if rows[-1] is records[-1] else [records[-1]]
    lines = ["", "| minutes | step | " + " | ".join(keys) + " |", "|---" * (len(keys) + 2) + "|"]
    return lines + [
        f"| {r['minutes']:.0f} | {r['step']} | " + " | ".join(f"{r[k]:.4f}" for k in keys) + " |" for r in rows
    ]


# --- the card -----------------------------------------------------------------------------------------------------


def head(
    card: Card,
    folder: Path,
    given: argparse.Namespace,
    about: DataFacts,
    scores: Mapping[str, Any],
    figures: Mapping[str, float],
    limits: list[str],
) -> dict[str, Any]:
    """The card's head: facts of the run, terms of the data, figures, limits, digests, and the Hub's model index."""
    spec = parse_spec(scores["data"])
    facts = {
        **card.facts,
        "data": spec.name,
        "data_license": about.terms,
        "weights_license": about.weights,
        "recipe": given.recipe,
        "scores": finite_figures(figures),
        "limits": limits + not_finite(figures),
        **vouched(folder),
    }
    side = "x".join(str(s) for s in dict.fromkeys(facts["resolution"]))
    title = f"{about.title}, {scores['pairs']} held-out {about.things} at {side} px"
    measured = Measured(title, spec.name, spec.split)
    return front_matter(facts, name=folder.name, measured=measured, license_link=about.url, datasets=[spec.name])


def body(
    given: argparse.Namespace,
    facts: Mapping[str, Any],
    about: DataFacts,
    scores: Mapping[str, Any],
    shapes: dict[str, Any] | None,
) -> str:
    """The card's text: notes, recipe, figures, tables, learning curve."""
    training, spec = facts["training"], parse_spec(scores["data"])
    _, comma, options = str(spec.path or "").partition(",")
    data = f"{spec.name}:DIR{comma}{options}" + (f"#{spec.split}" if spec.split else "")
    source = f" ({about.url})" if about.url else ""
    lines = [given.notes.read_text("utf-8").strip(), "", "## Recipe", "", "```bash", given.recipe, "```", ""]
    lines += [
        f"{training['steps']} steps, {training['samples']} samples of {training['pairs']} training {about.things} of"
        f" {about.title}{source}, {training['hours']} hours on {training['device']}.",
        "",
        "## Measured",
        "",
        f"On {scores['pairs']} {about.things} that no training saw: `python benchmarks/quality.py {given.model_id} --data {data}`",
        "",
        "| figure | value |",
        "|---|---|",
        *[f"| {n} | {v:g} |" for n, v in facts["scores"].items()],
        *tables(scores),
    ]
    if shapes is not None:
        shown = renamed(shapes, given.model_id)
        models = " ".join(m for m in shown["models"] if not m.startswith("real ("))
        lines += ["", "## Shapes beside real ones", "", f"`python benchmarks/generators.py {models} --data {data}`", ""]
        lines += generators.tables(shown)
    return "\n".join([*lines, "", "## Learning curve (validation split)", *curve_lines(given.run)])


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("model_id")
    arguments.add_argument("--scores", type=Path, required=True, help="what quality.py printed")
    arguments.add_argument("--shapes", type=Path, help="what generators.py --json wrote, this model first")
    arguments.add_argument("--notes", type=Path, required=True)
    arguments.add_argument("--recipe", required=True, help="the commands that made it, one per line")
    given = arguments.parse_args(argv)
    scores = json.loads(given.scores.read_text("utf-8"))
    shapes = json.loads(given.shapes.read_text("utf-8")) if given.shapes else None
    data = parse_spec(scores["data"]).name
    about = facts_of(data)
    if about is UNKNOWN:
        arguments.error(f"nothing is known of the terms of {data!r}: describe the data set in zoo/data/facts.py first")
    limits = listed_under(given.notes.read_text("utf-8"), "Limits")
    if not limits:
        arguments.error(f"{given.notes} has no section `## Limits` with a list: say what the model is bad at")
    card = read_card(given.run / "model")
    if card is None:
        arguments.error(f"{given.run}/model has no card: it is no finished training run")
    folder = CARDS / given.model_id
    copy_model(given.run, folder)
    figures = flat(scores) | (shape_figures(shapes) if shapes else {})
    front = head(card, folder, given, about, scores, figures, limits)
    write_card(folder, front, body(given, front["zoo"], about, scores, shapes))
    print(folder)


if __name__ == "__main__":
    main()
