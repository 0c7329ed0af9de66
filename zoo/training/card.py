"""The card that a finished run writes beside its weights: facts of this run, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cards import read_card, write_card
from zoo.cards.writing import Measured, finite_figures, front_matter, not_finite
from zoo.data.facts import UNKNOWN, DataFacts
from zoo.data.places import PLACED
from zoo.data.specs import parse_spec
from zoo.errors import ZooError
from zoo.hub import resolve
from zoo.registry import registry
from zoo.store.assets import asset_file
from zoo.store.models import vouched
from zoo.training.origin import facts_of_data, photos_held

if TYPE_CHECKING:
    from zoo.training.loop import Loop, Published
    from zoo.training.plan import TrainingPlan

CURVE_FACTS = ("step", "samples", "minutes")
CURVE_ROWS = 24


def write_training_card(
    plan: TrainingPlan, folder: Path, loop: Loop, published: Published, curve: list[dict[str, Any]]
) -> None:
    """Write `README.md` into a model folder. Data of unknown licence is written `unknown`.

    curve: the records of `metrics.jsonl`; published: the weights of the folder and their measured scores.
    """
    arch = registry().architecture(plan.architecture)
    model = loop.trainer.model
    data = parse_spec(plan.data).name
    about = facts_of_data(parse_spec(plan.data))
    known = about is not UNKNOWN and data not in PLACED
    facts = {
        "architecture": plan.architecture,
        "variant": plan.variant,
        "kind": arch.kind,
        "label_space": model.label_space.name,
        "resolution": list(model.resolution),
        "parameters": sum(p.numel() for p in model.parameters()),
        "data": plan.data_name,
        "data_license": _with_origin(about.terms, "data_license", plan.init),
        "code_license": registry().owner(plan.architecture).license,
        "weights_license": _with_origin(about.weights, "weights_license", plan.init),
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
            **({"processes": loop.processes.world} if loop.processes.world > 1 else {}),
        },
        "scores": {k: round(v, 5) for k, v in finite_figures(published.scores).items()},
        "limits": [
            *_limits(plan, about, len(loop.data), model.resolution, published),
            *(photos_held(asset_file(n, a), plan.data_name, about.terms) for n, a in model.ASSETS.items() if a.photos),
        ],
        **vouched(folder),
    }
    front = front_matter(
        facts,
        name=plan.architecture,
        measured=Measured(f"{about.title if known else plan.data_name}, held-out part", data, "validation"),
        license_link=about.url,
        datasets=[data] if known else [],
    )
    write_card(folder, front, _text(plan, arch.title, facts, curve))


def _origin_name(init: str) -> str:
    """How a card calls the weights it started from: a model id, or the folder's name without where it lies."""
    path = Path(init)
    return path.parent.name if path.name == "model" else path.name


def _with_origin(own: str, fact: str, init: str | None) -> str:
    """A licence of this run; weights that started from others (`--init`) stay under what those are under, too."""
    if init is None:
        return own
    try:
        card = read_card(resolve(init).folder)
    except ZooError:
        card = None
    origin = str(card.facts.get(fact) or "unknown") if card else "unknown"
    return own if origin == own else f"{own}; started from {_origin_name(init)}: {origin}"


def _limits(
    plan: TrainingPlan, about: DataFacts, pairs: int, resolution: tuple[int, int], published: Published
) -> list[str]:
    """What a run knows of its model's limits: what it has seen, how far it was measured, and whether the terms are known."""
    side = " x ".join(str(s) for s in resolution)
    measured = "on held-out pairs of the same data only" if published.scores else "not at all"
    limits = [f"Trained on {pairs} {about.things} of {plan.data_name} at {side} px; measured {measured}."]
    if about is UNKNOWN:
        limits.append("The terms of the training data are not known to the zoo, nor then those of the weights.")
    return limits + not_finite(published.scores)


def _text(plan: TrainingPlan, title: str, facts: dict[str, Any], curve: list[dict[str, Any]]) -> str:
    training = facts["training"]
    lines = [
        f"# {plan.architecture}" + (f" ({plan.variant})" if plan.variant else ""),
        "",
        title,
        "",
        f"Trained on {training['pairs']} pairs of `{plan.data_name}` ({facts['data_license']}):"
        f" {training['steps']} steps, {training['samples']} samples, {training['hours']} hours on"
        f" {training['device']}{f' in {n} processes' if (n := training.get('processes')) else ''},"
        f" {training['precision']}, seed {training['seed']}"
        + (f", started from `{_origin_name(plan.init)}`." if plan.init else "."),
        "",
        f"    {plan.command or '(trained from Python: see options.json of the run)'}",
    ]
    lines += ["", "## Limits", "", *[f"- {limit}" for limit in facts["limits"]]]
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
