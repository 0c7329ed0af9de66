"""Measures mask generators side by side, on the label sets of real maps: what the cards of generators say.

    python benchmarks/generators.py mask-vae-celeba segvae-celeba --data celebamask-hq:DIR#test --seeds 3 --json out.json

Every model draws each label set of the data once per seed; the classes asked for are those that all models draw. Measured
(`zoo.metrics.shapes`): how often a requested class appears; the Fréchet distance of layouts; how far areas and centres of the parts
are from those of the real maps, and whether they spread as much; how much two drawings of one label set differ. `--prior normal`
draws with a model's own prior instead of a fitted one. `--floor` puts other real maps (`celebamask-hq:DIR#val`) beside the models:
what the same figures are between two sets of real maps. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import torch

from zoo.data.specs import open_data
from zoo.errors import UsageError
from zoo.evaluation.shapes import (
    NamedGenerator,
    drawn_classes,
    load_generator,
    masked,
    measure,
    real_maps,
    scores,
)
from zoo.interfaces.label_sets import only
from zoo.metrics.shapes import PRESENT_IN, PartStatistics, layout_distance, real_diversity

SUMMARY = {
    "share_of_requests_met": "share of requested classes that appear",
    "layout_distance": "layouts: Fréchet distance to the real ones (cells squared)",
    "area_distance": "areas: distance to the real ones (W1 / real mean)",
    "area_spread": "areas: spread / real spread",
    "centre_distance": "centres: distance to the real ones (W1, share of the side)",
    "centre_spread": "centres: spread / real spread",
    "pixel_diversity": "pixels that differ between two seeds",
}


def report_on(models: list[NamedGenerator], given: argparse.Namespace) -> dict[str, Any]:
    """The JSON document: data, classes, and per model the figures. All is measured in the label space of the data."""
    size = min((n.model.resolution for n in models), key=lambda s: s[0] * s[1])
    own = models[0].model.label_space  # for data that have several label spaces, or do not say theirs
    data = open_data(given.data, resolution=size, space=own)
    space = data.label_space
    names = set.intersection(*(drawn_classes(n.model, space) for n in models))
    if not names:
        raise UsageError("The models have no class of the data in common that they all draw.")
    maps = real_maps(data)
    sets = [only(s, names) for s in maps.label_sets()]
    kept = [i for i, s in enumerate(sets) if s.names]
    maps, sets = maps[kept], [sets[i] for i in kept]
    real = PartStatistics(space)
    real.add(masked(maps, names))
    diversity, pairs = real_diversity(masked(maps, names), sets)
    columns = {n.name: measure(n, sets, real, masked(maps, names), given.seeds) for n in models}
    if given.floor:
        other = PartStatistics(space)
        others = masked(real_maps(open_data(given.floor, resolution=size, space=own)), names)
        other.add(others)
        distance = layout_distance(masked(maps, names), others) if min(len(maps), len(others)) > 1 else math.nan
        floor = scores(other, real) | {"layout_distance": distance}
        columns[f"real ({given.floor.rpartition('#')[2]})"] = floor
    return {
        "data": given.data,
        "label_sets": len(sets),
        "seeds": given.seeds,
        "resolution": list(size),
        "classes": [n for n in space.names if n in names],
        "left_out": [n for n in space.names if n not in names and n != space.background],
        "real_diversity": {"pixels": diversity, "pairs": pairs},
        "models": columns,
    }


# --- tables -------------------------------------------------------------------------------------------------------


def tables(report: dict[str, Any]) -> list[str]:
    """Markdown: the summary, then a row per class."""
    models: dict[str, Any] = report["models"]
    lines = [
        f"{report['label_sets']} label sets of real maps, {report['seeds']} drawings of each; distances of classes that at"
        f" least {PRESENT_IN} real maps show.",
        "",
        "| figure | " + " | ".join(models) + " |",
        "|---" * (len(models) + 1) + "|",
    ]
    for key, text in SUMMARY.items():
        lines.append(f"| {text} | " + " | ".join(_number(m.get(key)) for m in models.values()) + " |")
    if report["real_diversity"]["pairs"]:
        pixels, pairs = report["real_diversity"]["pixels"], report["real_diversity"]["pairs"]
        lines += ["", f"Two real maps of one label set differ in {pixels:.3f} of their pixels ({pairs} pairs)."]
    lines += ["", *_class_table(report, models)]
    if report["left_out"]:
        lines += ["", f"Not measured, because not all of these models draw them: {', '.join(report['left_out'])}."]
    return lines


def _class_table(report: dict[str, Any], models: dict[str, Any]) -> list[str]:
    """Per class: real area and centre, and of each model how often it appears, its area and centre, and the distances."""
    head = ["class", "real: n, area, centre x y"]
    head += [f"{name}: appears, area (dist.), centre (dist.)" for name in models]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name in report["classes"]:
        rows = [m["classes"].get(name) for m in models.values()]
        first = next((r for r in rows if r is not None), None)
        if first is None:
            continue
        cells = [name, f"{first['real']}, {_area(first, 'real')}, {_centre(first, 'real')}"]
        for model, row in zip(models.values(), rows, strict=True):
            met = model["requested"].get(name)
            share = "-" if met is None else f"{met['share']:.1%} of {met['asked']}"
            cells.append(
                f"{share}, -"
                if row is None or not row["found"]
                else f"{share}, {_area(row, 'found')} ({_number(row['area']['distance'], 2)}),"
                f" {_centre(row, 'found')} ({_number(row['centre']['distance'])})"
            )
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _area(row: dict[str, Any], side: str) -> str:
    moments = row["area"][side]
    return f"{_number(_percent(moments['mean']), 2)} ± {_number(_percent(moments['std']), 2)} %"


def _centre(row: dict[str, Any], side: str) -> str:
    return f"{_number(row['centre'][side]['x']['mean'], 2)} {_number(row['centre'][side]['y']['mean'], 2)}"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def plain(value: Any) -> Any:
    """Numbers as JSON has them: rounded, None for NaN."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return (None if math.isnan(value) else round(value, 5)) if isinstance(value, float) else value


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="+", metavar="MODEL")
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--floor", metavar="DATA", help="other real maps, measured as the models are")
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--prior", choices=("fitted", "normal"), help="[default: fitted where there is one]")
    arguments.add_argument("--json", type=Path, help="write the figures here")
    given = arguments.parse_args()
    with torch.inference_mode():
        models = [load_generator(m, given.prior) for m in given.models]
        if len({n.name for n in models}) < len(models):  # two folders of one name
            models = [NamedGenerator(m, n.model, n.prior) for m, n in zip(given.models, models, strict=True)]
        report = plain(report_on(models, given))
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print("\n".join(tables(report)))


if __name__ == "__main__":
    main()
