"""The card that a finished run writes beside its weights: facts of this run, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.cards import write_card
from zoo.data import parse_spec
from zoo.registry import registry
from zoo.weights import digests

if TYPE_CHECKING:
    from zoo.interfaces import Model
    from zoo.training.loop import Loop
    from zoo.training.plan import Plan
    from zoo.training.runs import RunFolder

DATA_LICENSES = {
    "celebamask-hq": "CelebAMask-HQ: non-commercial research only, no redistribution of the pictures",
    "toy-faces": "drawn by this program (Apache-2.0)",
}


def write_training_card(plan: Plan, run: RunFolder, model: Model, loop: Loop, curve: list[dict[str, Any]], pairs: int) -> None:
    """Write `model/README.md`. Data of unknown licence is written `unknown`."""
    arch = registry().architecture(plan.architecture)
    name = parse_spec(plan.data).name
    licence = DATA_LICENSES.get(name, "unknown")
    hours = loop.seconds / 3600
    facts = {
        "architecture": plan.architecture,
        "variant": plan.variant,
        "kind": arch.kind,
        "label_space": model.label_space.name,
        "resolution": list(model.resolution),
        "parameters": sum(p.numel() for p in model.parameters()),
        "data": plan.data,
        "data_license": licence,
        "code_license": "Apache-2.0",
        "weights_license": licence if name in DATA_LICENSES else "unknown",
        "paper": arch.paper,
        "recipe": plan.command,
        "training": {
            "steps": loop.step,
            "samples": loop.step * loop.sampler.per_step,
            "pairs": pairs,
            "hours": round(hours, 2),
            "seed": plan.training.seed,
            "precision": plan.training.precision,
            "device": str(loop.device),
        },
        "scores": {k: v for k, v in curve[-1].items() if k not in ("step", "samples", "minutes")} if curve else {},
        "files": digests(run.model),
    }
    front = {"library_name": "maskzoo", "tags": [arch.kind, plan.architecture], "license": "other", "zoo": facts}
    write_card(run.model, front, _text(plan, arch.title, facts, curve))


def _text(plan: Plan, title: str, facts: dict[str, Any], curve: list[dict[str, Any]]) -> str:
    training = facts["training"]
    lines = [
        f"# {plan.architecture}" + (f" ({plan.variant})" if plan.variant else ""),
        "",
        title,
        "",
        f"Trained by `{plan.command}` on {training['pairs']} pairs of `{plan.data}` ({facts['data_license']}):"
        f" {training['steps']} steps, {training['samples']} samples, {training['hours']} hours on {training['device']},"
        f" {training['precision']}, seed {training['seed']}.",
    ]
    if curve:
        keys = [k for k in curve[-1] if k not in ("step", "samples", "minutes")]
        lines += ["", "## Learning curve (held-out split)", "", "| minutes | step | " + " | ".join(keys) + " |", "|---" * (len(keys) + 2) + "|"]
        rows = curve if len(curve) <= 24 else [*curve[:: -(-len(curve) // 24)], curve[-1]]
        lines += [f"| {r['minutes']:.0f} | {r['step']} | " + " | ".join(f"{r.get(k, float('nan')):.4g}" for k in keys) + " |" for r in rows]
    return "\n".join(lines)
