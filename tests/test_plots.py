"""`zoo plot`: the numbers of each chart, and that a picture of them lies beside."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from PIL import Image

from zoo.errors import UsageError
from zoo.evaluation import evidence as evidence_module
from zoo.evaluation.perceptual import Perceptual
from zoo.evaluation.plots.charts import common_edges, histogram
from zoo.evaluation.plots.drawing import COLOURS
from zoo.evaluation.plots.models import figures
from zoo.evaluation.plots.sources import class_bars, table_bars, training_curves
from zoo.training.events import Events

pytest.importorskip("matplotlib", reason="the extra plots is not installed")
pytestmark = pytest.mark.usefixtures("one_thread")
Run = Callable[..., Ran]
EVAL = {
    "format": 1, "subject": "reader", "kind": "parser", "request": {},
    "metrics": {"segmentation": {"about": "", "scores": {"miou": 0.5, "iou": {"skin": 0.75, "hair": 0.25}}, "protocol": {}, "warnings": []}},
}  # fmt: skip


def table_document(**more: Any) -> dict[str, Any]:
    def row(title: str, mean: float, paper: Any, low: float | None = None, high: float | None = None) -> dict[str, Any]:
        scores = {"0": {"reconstruction": {"mean_code": {"iou": {"skin": mean / 100}}}}}
        ours = {"miou": {"mean": mean, "low": low, "high": high, "n": 1, "seeds": {"0": {"value": mean}}}}
        return {"title": title, "ours": ours, "paper": {"miou": paper} if paper else {}, "scores": scores}

    column = {"key": "miou", "title": "mIoU", "better": "higher"}
    rows = [row("one", 40.0, 60.0, 38.0, 42.0), row("two", 50.0, [70.0, 0.5]), row("three", 30.0, None)]
    part = {"given": "toy-faces", "title": "CelebAMask-HQ", "columns": [column], "rows": rows}
    return {"format": 1, "table": "mask-vae/table1", "title": "Table 1", "parts": [part], **more}


def written(folder: Path, name: str, document: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def test_histogram_by_hand() -> None:
    edges = [0.0, 1.0, 2.0]
    assert histogram([0.0, 0.5, 1.0, 2.0], edges) == (0.5, 0.5)
    assert common_edges([[1.0, 3.0], [2.0]], 4) == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert common_edges([[2.0], [2.0]], 1) == [1.5, 2.5]


def test_classes_of_two_files(run: Run, tmp_path: Path) -> None:
    files = [written(tmp_path, "eval.json", EVAL), written(tmp_path, "table.json", table_document())]
    ran = run("plot", "classes", *files, "--out", tmp_path / "bars.png")
    assert ran.code == 0 and ran.out.strip() == str(tmp_path / "bars.png"), ran.err
    chart = json.loads((tmp_path / "bars.json").read_text())
    assert [p["title"] for p in chart["panels"]] == ["segmentation", "CelebAMask-HQ: reconstruction, mean code"]
    assert [s["name"] for s in chart["panels"][1]["series"]] == ["one", "two", "three"]
    rows = list(csv.DictReader((tmp_path / "bars.csv").open()))
    assert rows[0] == {"panel": "segmentation", "series": "reader", "x": "skin", "y": "0.75", "low": "", "high": ""}
    picture = Image.open(tmp_path / "bars.png").convert("RGB")
    colours = {colour for _, colour in picture.getcolors(1 << 24) or []}
    assert {tuple(bytes.fromhex(c[1:])) for c in COLOURS[:3]} <= colours  # three rows, three colours
    assert [p.title for p in class_bars(files, "segm").panels] == ["segmentation"]
    with pytest.raises(UsageError, match="No intersection over union"):
        class_bars(files, "absent")


def test_a_table_beside_the_paper(tmp_path: Path) -> None:
    chart = table_bars(written(tmp_path, "results.json", table_document()))
    ours, paper = chart.panels[0].series
    assert ours.y == (40.0, 50.0, 30.0) and ours.low == (38.0, None, None)
    assert (paper.x, paper.y) == (("one", "two"), (60.0, 70.0))
    assert "not of one protocol" in chart.notes[0] and "more is better" in chart.panels[0].title
    with pytest.raises(UsageError, match="of a table"):
        table_bars(written(tmp_path, "eval.json", EVAL))


def test_curves_of_a_resumed_run(tmp_path: Path) -> None:
    """Of a step that was recorded before and after a resumption the later record counts."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "options.json").write_text("{}")
    for values in ((4.0, 3.0), (2.5,)):
        events = Events(folder / "tensorboard")
        for step, value in zip((50, 100) if len(values) == 2 else (100,), values, strict=True):
            events.scalars({"train/ce": value, "validation/x": 1.0}, step)
        events.close()
    (folder / "metrics.jsonl").write_text('{"step": 100, "samples": 200, "minutes": 1.0, "miou": 0.5}\n')
    chart = training_curves([folder])
    found = {p.title: p.series[0] for p in chart.panels}
    assert set(found) == {"ce", "held-out miou"}
    assert (found["ce"].x, found["ce"].y) == ((50.0, 100.0), (4.0, 2.5))
    assert found["held-out miou"].y == (0.5,)
    with pytest.raises(UsageError, match="No curve 'kl'"):
        training_curves([folder], ["kl"])


def test_histograms_of_drawn_styles(
    run: Run, model_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pixels(name: str) -> Perceptual:
        return Perceptual(lambda images: [torch.nn.functional.avg_pool2d(images, 4)], {"name": f"pixels, {name}"})

    monkeypatch.setattr(evidence_module, "open_perceptual", pixels)
    model = next(p for p in sorted(model_root.iterdir()) if "scgan" in p.name or "clvae" in p.name)
    options = ("--data", "toy-faces:20#train", "--styles", "3", "--limit", "5", "--distance", "features")
    ran = run("plot", "diversity", model, *options, "--out", tmp_path / "d.png")
    assert ran.code == 0, ran.err
    chart = json.loads((tmp_path / "d.json").read_text())
    for panel in chart["panels"]:
        assert sum(panel["series"][0]["y"]) == pytest.approx(1)
    assert "5 maps" in chart["notes"][0] and "pixels" in chart["notes"][0]
    refused = run("plot", "diversity", "face-parser-celeba", *options, "--out", tmp_path / "e.png")
    assert refused.code == 2 and "is a parser" in refused.err and not (tmp_path / "e.png").exists()


def test_quality_against_speed(run: Run, tmp_path: Path) -> None:
    from zoo import cards

    ran = run("plot", "speed", "face-parser-celeba", "--repeats", "1", "--score", "miou", "--out", tmp_path / "s.png")
    assert ran.code == 0, ran.err
    point = json.loads((tmp_path / "s.json").read_text())["panels"][0]["series"][0]
    assert point["name"] == "face-parser-celeba" and point["x"][0] > 0
    assert point["y"] == [figures(cards.find("face-parser-celeba"))["miou"]]
    wrong = run("plot", "speed", "--score", "mious", "--out", tmp_path / "t.png")
    assert wrong.code == 2 and "did you mean 'miou'" in wrong.err


def test_what_cannot_be_written_is_told_first(run: Run, tmp_path: Path) -> None:
    for out, told in ((tmp_path / "a.pdf", "ends in .png"), (tmp_path / "no" / "a.png", "no folder")):
        ran = run("plot", "table", tmp_path / "absent.json", "--out", out)
        assert ran.code == 2 and told in ran.err
    assert "There is no file" in run("plot", "table", tmp_path / "absent.json", "--out", tmp_path / "a.png").err
