"""Puts a finished training run into `cards/` with the figures that `zoo eval` measured.

    zoo eval ./run --data celebamask-hq:DIR#test --out results.json
    python benchmarks/publish.py ./run MODEL-ID --results results.json --notes notes.md --recipe "zoo train …"

The card's facts come from the run and, for terms and names of the data, from `zoo.data.facts`; its figures from the results; its words
(what the model is good and bad for) from the notes, whose section `## Limits` holds a list: its items are the card's `limits`. Later
`zoo eval MODEL-ID --data … --card` makes the figures anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.cards import Card, read_card, write_card
from zoo.cards.writing import Measured, front_matter, listed_under
from zoo.data.facts import UNKNOWN, DataFacts, facts_of
from zoo.data.specs import parse_spec
from zoo.evaluation.carding import section
from zoo.evaluation.results import read_results
from zoo.evaluation.tables import figures
from zoo.files.digests import sha256
from zoo.store.models import vouched

CARDS = Path(__file__).resolve().parents[1] / "cards"
SHIPPED = ("config.json", "model.safetensors", "assets")


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
    card: Card, folder: Path, given: argparse.Namespace, about: DataFacts, results: Mapping[str, Any], limits: list[str]
) -> dict[str, Any]:
    """The card's head: facts of the run, terms of the data, figures, limits, digests, and the Hub's model index."""
    spec = parse_spec(results["data"])
    facts = {
        **card.facts,
        "data": spec.name,
        "data_license": about.terms,
        "weights_license": about.weights,
        "recipe": given.recipe,
        "scores": figures(results),
        "limits": limits,
        **vouched(folder),
    }
    side = "x".join(str(s) for s in dict.fromkeys(facts["resolution"]))
    title = f"{about.title}, {results['pairs']} held-out {about.things} at {side} px"
    measured = Measured(title, spec.name, spec.split)
    return front_matter(facts, name=folder.name, measured=measured, license_link=about.url, datasets=[spec.name])


def body(given: argparse.Namespace, facts: Mapping[str, Any], about: DataFacts, results: Mapping[str, Any]) -> str:
    """The card's text: notes, recipe, figures, learning curve."""
    training, source = facts["training"], f" ({about.url})" if about.url else ""
    lines = [given.notes.read_text("utf-8").strip(), "", "## Recipe", "", "```bash", given.recipe, "```", ""]
    lines += [
        f"{training['steps']} steps, {training['samples']} samples of {training['pairs']} training {about.things} of"
        f" {about.title}{source}, {training['hours']} hours on {training['device']}.",
        "",
        section(results, given.model_id),
        "## Learning curve (validation split)",
        *curve_lines(given.run),
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("model_id")
    arguments.add_argument("--results", type=Path, required=True, help="what zoo eval --out wrote")
    arguments.add_argument("--notes", type=Path, required=True)
    arguments.add_argument("--recipe", required=True, help="the commands that made it, one per line")
    given = arguments.parse_args(argv)
    results = read_results(given.results)
    if results is None:
        arguments.error(f"there is no {given.results}: zoo eval {given.run} --data … --out {given.results}")
    data = parse_spec(results["data"]).name
    about = facts_of(data)
    if about is UNKNOWN:
        arguments.error(f"nothing is known of the terms of {data!r}: describe the data set in zoo/data/facts.py first")
    limits = listed_under(given.notes.read_text("utf-8"), "Limits")
    if not limits:
        arguments.error(f"{given.notes} has no section `## Limits` with a list: say what the model is bad at")
    card = read_card(given.run / "model")
    if card is None:
        arguments.error(f"{given.run}/model has no card: it is no finished training run")
    if results["digest"] != sha256(given.run / "model" / "model.safetensors"):
        arguments.error(f"{given.results} was measured on other weights than those of {given.run}: measure them anew")
    folder = CARDS / given.model_id
    copy_model(given.run, folder)
    front = head(card, folder, given, about, results, limits)
    write_card(folder, front, body(given, front["zoo"], about, results))
    print(folder)


if __name__ == "__main__":
    main()
