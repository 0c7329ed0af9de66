"""Puts a finished training run into `cards/` with the figures that `quality.py` measured.

    python benchmarks/quality.py ./run --data celebamask-hq:DIR#test > scores.json
    python benchmarks/publish.py ./run MODEL-ID --scores scores.json --notes notes.md --recipe "zoo train …"

The card's facts come from the run, its figures from the JSON, its words (what it is good and bad for) from the notes.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from zoo.cards import read_card, write_card
from zoo.weights import digests

CARDS = Path(__file__).resolve().parents[1] / "cards"
SHIPPED = ("config.json", "model.safetensors", "assets")


def flat(scores: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Nested figures under joined names; per-class tables stay in the JSON."""
    found: dict[str, float] = {}
    for key, value in scores.items():
        if isinstance(value, dict) and key not in ("iou", "requested_classes_that_appear"):
            found |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and key != "pairs":
            found[prefix + key] = round(float(value), 4)
    return found


def tables(scores: dict[str, Any]) -> list[str]:
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


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("model_id")
    arguments.add_argument("--scores", type=Path, required=True)
    arguments.add_argument("--notes", type=Path, required=True)
    arguments.add_argument("--recipe", required=True, help="the commands that made it, one per line")
    given = arguments.parse_args()
    scores = json.loads(given.scores.read_text("utf-8"))
    folder = CARDS / given.model_id
    copy_model(given.run, folder)
    card = read_card(given.run / "model")
    assert card is not None, f"{given.run}/model has no card"
    figures = flat(scores)
    terms = {"weights_license": "non-commercial research only (trained on CelebAMask-HQ)"}
    facts = (
        dict(card.facts)
        | terms
        | {"recipe": given.recipe, "data": "celebamask-hq", "scores": figures, "files": digests(folder)}
    )
    measured = {"name": "CelebAMask-HQ, 100 held-out faces at 128 px", "type": "celebamask-hq"}
    metrics = [{"type": name, "value": value} for name, value in figures.items()]
    index = [
        {
            "name": given.model_id,
            "results": [{"task": {"type": facts["kind"]}, "dataset": measured, "metrics": metrics}],
        }
    ]
    front = {
        **card.front,
        "license": "other",
        "license_name": "non-commercial-research",
        "model-index": index,
        "zoo": facts,
    }
    body = [given.notes.read_text("utf-8").strip(), "", "## Recipe", "", "```bash", given.recipe, "```", ""]
    training = facts["training"]
    body += [
        f"{training['steps']} steps, {training['samples']} samples of {training['pairs']} training faces, {training['hours']} hours."
    ]
    body += [
        "",
        "## Measured",
        "",
        f"On {scores['pairs']} faces that no training saw: `python benchmarks/quality.py {given.model_id} --data celebamask-hq:DIR#test`",
        "",
    ]
    body += ["| figure | value |", "|---|---|", *[f"| {n} | {v:g} |" for n, v in figures.items()], *tables(scores)]
    body += ["", "## Learning curve (100 validation faces)", *curve_lines(given.run)]
    write_card(folder, front, "\n".join(body))
    print(folder)


if __name__ == "__main__":
    main()
