"""The card that a finished run writes beside its weights: facts of this run, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cards import write_card
from zoo.data import parse_spec
from zoo.data.facts import facts_of
from zoo.registry import registry
from zoo.weights import digests

if TYPE_CHECKING:
    from zoo.training.loop import Loop, Published
    from zoo.training.plan import Plan

CURVE_FACTS = ("step", "samples", "minutes")
CURVE_ROWS = 24


def write_training_card(
    plan: Plan, folder: Path, loop: Loop, published: Published, curve: list[dict[str, Any]]
) -> None:
    """Write `README.md` into a model folder. Data of unknown licence is written `unknown`.

    curve: the records of `metrics.jsonl`; published: the weights of the folder and their measured scores.
    """
    arch = registry().architecture(plan.architecture)
    model = loop.trainer.model
    about = facts_of(parse_spec(plan.data).name)
    facts = {
        "architecture": plan.architecture,
        "variant": plan.variant,
        "kind": arch.kind,
        "label_space": model.label_space.name,
        "resolution": list(model.resolution),
        "parameters": sum(p.numel() for p in model.parameters()),
        "data": plan.data_name,
        "data_license": about.terms,
        "code_license": "Apache-2.0",
        "weights_license": about.weights,
        "paper": arch.paper,
        "recipe": plan.command,
        "training": {
            "steps": loop.step,
            "published_step": published.step,
            "samples": loop.step * loop.sampler.per_step,
            "pairs": len(loop.data),
            "hours": round(loop.seconds / 3600, 2),
            "seed": plan.training.seed,
            "precision": plan.training.precision,
            "device": loop.device.type,
        },
        "scores": {k: round(v, 5) for k, v in published.scores.items()},
        "files": digests(folder),
    }
    front = {"library_name": "maskzoo", "tags": [arch.kind, plan.architecture], "license": "other", "zoo": facts}
    write_card(folder, front, _text(plan, arch.title, facts, curve))


def _text(plan: Plan, title: str, facts: dict[str, Any], curve: list[dict[str, Any]]) -> str:
    training = facts["training"]
    lines = [
        f"# {plan.architecture}" + (f" ({plan.variant})" if plan.variant else ""),
        "",
        title,
        "",
        f"Trained on {training['pairs']} pairs of `{plan.data_name}` ({facts['data_license']}):"
        f" {training['steps']} steps, {training['samples']} samples, {training['hours']} hours on {training['device']},"
        f" {training['precision']}, seed {training['seed']}" + (f", started from `{plan.init}`." if plan.init else "."),
        "",
        f"    {plan.command or '(trained from Python: see options.json of the run)'}",
    ]
    if facts["scores"]:
        lines += ["", f"## Scores on held-out data, as stored (weights of step {training['published_step']})", ""]
        lines += [f"- {name}: {value:.4g}" for name, value in facts["scores"].items()]
    return "\n".join([*lines, *_curve(curve)])


def _curve(curve: list[dict[str, Any]]) -> list[str]:
    """A table of at most CURVE_ROWS + 1 rows, the last one included."""
    keys = list(dict.fromkeys(k for r in curve for k in r if k not in CURVE_FACTS))
    if not keys:
        return []
    rows = curve if len(curve) <= CURVE_ROWS else [*curve[:: -(-len(curve) // CURVE_ROWS)], curve[-1]]
    head = [
        "",
        "## Learning curve (held-out data)",
        "",
        "| minutes | step | " + " | ".join(keys) + " |",
        "|---" * (len(keys) + 2) + "|",
    ]
    return head + [
        f"| {r['minutes']:.0f} | {r['step']} | " + " | ".join(f"{r.get(k, float('nan')):.4g}" for k in keys) + " |"
        for r in rows
    ]
