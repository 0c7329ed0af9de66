"""`zoo eval`: models and folders measured, each figure with its protocol; runs that go on; one clear sentence for what cannot be."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from thirdparty import write_plugin

import zoo
from zoo.cli import show
from zoo.data.specs import open_data
from zoo.errors import DataError, UsageError
from zoo.evaluation import evidence as evidence_module
from zoo.evaluation import extractors
from zoo.evaluation.results import plain
from zoo.evaluation.run import EvalRequest, Evaluation
from zoo.files.images import save_image, to_pil

pytestmark = pytest.mark.usefixtures("one_thread")
Run = Callable[..., Ran]
DATA = "toy-faces:20#train"


class Judge(torch.nn.Module):
    """Six features of a picture, instead of the extractor whose wheel may not be here."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.mean((2, 3)), x.std((2, 3))], 1)


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "mobilenet_v2", Judge)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photos of the data set under the names of their pairs, as another system would have made them."""
    folder = tmp_path_factory.mktemp("made")
    data = open_data(DATA, resolution=32)
    for batch in data.batches(4, limit=12):
        assert batch.images is not None
        for name, image in zip(batch.names, batch.images, strict=True):
            save_image(to_pil(image), folder / f"{name}.png")
    return folder


def evaluated(subject: Path, *metrics: str, **more: Any) -> dict[str, Any]:
    return Evaluation(EvalRequest(str(subject), DATA, metrics, **{"extractor": "mobilenet-v2", **more})).run()


def test_the_command_measures_a_synthesizer_and_goes_on(model_root: Path, tmp_path: Path) -> None:
    """The real command line in a process of its own, interrupted after its first metric as it were."""
    out = tmp_path / "results.json"

    def command(*more: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "zoo", "eval", model_root / "scgan-celeba", "--data", DATA, "--limit", "9"]
        words += ["--parser", model_root / "face-parser-celeba", "--device", "cpu", "--out", out, *more]
        return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=300, check=False)

    first = command("--metrics", "l1")
    assert first.returncode == 0, first.stderr
    document = json.loads(out.read_text())
    assert list(document["metrics"]) == ["l1"] and document["pairs"] == 9 and document["kind"] == "synthesizer"
    l1 = dict(document["metrics"]["l1"]["scores"]["encoded_style"])
    assert l1["n"] == 9 and 0 < l1["low"] <= l1["mean"] <= l1["high"] < 2
    document["metrics"]["l1"]["scores"]["encoded_style"]["mean"] = 7.0  # to see that it is not measured again
    out.write_text(json.dumps(document))
    second = command()
    assert second.returncode == 0 and "Already in" in second.stderr and "Not measured: detail" in second.stderr
    assert "l1" in second.stdout and "7.0000" in second.stdout and "parser_agreement" in second.stdout
    document = json.loads(out.read_text())
    protocol = document["metrics"]["parser_agreement"]["protocol"]
    assert protocol["counts"] == {"pairs": 9, "pictures": 9} and len(protocol["parser"]["sha256"]) == 64
    assert protocol["resize"]["to"] == [32, 32] and protocol["seed"] == 0 and "skin" in protocol["classes"]
    assert set(document["metrics"]["parser_agreement"]["scores"]) == {"real", "encoded_style", "random_style"}
    third = command("--seed", "1", "--metrics", "l1", "--json")
    assert third.returncode == 0 and "other options (seed)" in third.stderr
    assert json.loads(third.stdout)["metrics"]["l1"]["scores"]["encoded_style"]["mean"] == pytest.approx(l1["mean"])


def test_distances_diversity_and_their_warning(judge: None, model_root: Path) -> None:
    found = evaluated(model_root / "scgan-celeba", "kid", "fid", "style_diversity", limit=8)["metrics"]
    assert set(found["kid"]["scores"]) == {"encoded_style", "random_style"}
    assert all(v > 0 for v in found["fid"]["scores"].values()) and not found["fid"]["warnings"]
    few = evaluated(model_root / "scgan-celeba", "fid", limit=6)["metrics"]["fid"]
    assert "6 pictures do not determine the covariance of 6 features (it takes 7)" in few["warnings"][0]
    assert found["kid"]["protocol"]["extractor"]["sha256"] and found["fid"]["protocol"]["features"] == 6
    diversity = found["style_diversity"]
    assert diversity["scores"]["mean"] > 0 and diversity["protocol"]["maps"] == 8
    with pytest.raises(UsageError, match="kid takes two pictures or more on each side, there is 1"):
        evaluated(model_root / "scgan-celeba", "kid", limit=1)
    one = evaluated(model_root / "scgan-celeba", limit=1, parser=str(model_root / "face-parser-celeba"))
    assert {"kid", "fid"} < set(one["not_measured"]) and one["metrics"]["l1"]["scores"]["encoded_style"]["low"] is None


def test_an_extractor_that_is_not_installed_is_said(
    model_root: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> None:
        raise UsageError("This needs weights that the package p brings, and it is not installed.")

    monkeypatch.setattr(extractors, "mobilenet_v2", absent)
    words = (
        "eval",
        model_root / "scgan-celeba",
        "--data",
        DATA,
        "--limit",
        2,
        "--parser",
        model_root / "face-parser-celeba",
        "--extractor",
        "mobilenet-v2",
    )
    ran = run(*words, "--json")
    found = json.loads(ran.out)
    assert ran.code == 0 and {"kid", "fid", "style_diversity"} < set(found["not_measured"]) and "l1" in found["metrics"]
    assert "Not measured: kid: This needs weights" in ran.err
    asked = run(*words, "--metrics", "kid")
    assert asked.code == 2 and "is not installed" in asked.err and not asked.out


def test_the_table_on_a_terminal_and_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("kid", "image", "1.0", ""), ("[bold]x\x1b[2J", "", "2", "1 to 3")]
    show.rich_table(("metric", "of", "figure", "interval"), rows)
    assert capsys.readouterr().out.startswith("metric ")
    monkeypatch.setattr(show, "is_terminal", lambda: True)
    show.rich_table(("metric", "of", "figure", "interval"), rows)
    drawn = capsys.readouterr().out
    assert "│" in drawn and "[bold]x" in drawn and "1 to 3" in drawn and "\x1b[2J" not in drawn


def test_pictures_that_are_no_numbers_are_an_error(
    judge: None, model_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = evidence_module.pictures_of
    monkeypatch.setattr(evidence_module, "pictures_of", lambda *a: {n: i * float("nan") for n, i in made(*a).items()})
    with pytest.raises(DataError, match=r"Pictures \(encoded_style\) of scgan-celeba: expected finite numbers"):
        evaluated(model_root / "scgan-celeba", "kid", limit=2)


def test_a_folder_is_paired_by_names(judge: None, photos: Path, model_root: Path, tmp_path: Path) -> None:
    parser = str(model_root / "face-parser-celeba")
    found = evaluated(photos, parser=parser)
    assert found["paired"] and found["pairs"] == 12 and found["kind"] == "folder"
    metrics = found["metrics"]
    assert metrics["l1"]["scores"]["image"]["mean"] < 1e-6 and metrics["odd_colours"]["scores"]["image"]["all"] < 0.01
    assert metrics["fid"]["scores"]["image"] == pytest.approx(0, abs=1e-4)
    assert metrics["parser_agreement"]["scores"]["image"] == metrics["parser_agreement"]["scores"]["real"]
    intervals = metrics["parser_agreement"]["scores"]["image"]["intervals"]["accuracy"]
    assert intervals[0] <= metrics["parser_agreement"]["scores"]["image"]["accuracy"] <= intervals[1]
    assert "style_diversity" not in found["not_measured"] and "detail" in found["not_measured"]
    for i, path in enumerate(sorted(photos.iterdir())):
        (tmp_path / f"other-{i}.png").write_bytes(path.read_bytes())
    others = evaluated(tmp_path)
    assert not others["paired"] and set(others["metrics"]) == {"kid", "fid"} and others["pairs"] == 20
    assert {"l1", "odd_colours", "parser_agreement", "detail", "gt_similarity"} < set(others["not_measured"])
    with pytest.raises(UsageError, match="l1 compares each picture with its own map or photo"):
        evaluated(tmp_path, "l1")


def test_folders_that_are_wrong(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a model nor pictures"):
        evaluated(tmp_path)
    first = sorted(photos.iterdir())[0]
    (tmp_path / first.name).write_bytes(first.read_bytes())
    (tmp_path / "grid.png").write_bytes(first.read_bytes())
    with pytest.raises(DataError, match=r"1 pictures have the names of pairs, 1 have not \(grid.png\)"):
        evaluated(tmp_path)
    (tmp_path / first.name).unlink()
    save_image(to_pil(torch.zeros(3, 16, 20)), tmp_path / "small.png")
    with pytest.raises(DataError, match=r"grid.png has 32 x 32 pixels, small.png 20 x 16"):
        evaluated(tmp_path, "kid")


def test_a_parser_and_a_generator(model_root: Path) -> None:
    parsed = evaluated(model_root / "face-parser-celeba")["metrics"]["segmentation"]["scores"]
    assert 0 <= parsed["miou"] <= 1 and "skin" in parsed["iou"] and "skin" in parsed["class_accuracy"]
    found = evaluated(model_root / "mask-vae-celeba", samples=30, seed=3)
    metrics = found["metrics"]
    assert {"layout", "memorising", "reconstruction", "requests"} <= set(metrics)
    assert "mask-vae" in metrics["reconstruction"]["protocol"]["miou_all"]
    asked = metrics["requests"]["scores"]
    assert sum(c["asked"] for c in asked["classes"].values()) > 30 and asked["share_per_map"]["n"] == 30
    assert metrics["layout"]["scores"]["layout_distance"] > 0 and metrics["layout"]["protocol"]["seeds"] == [3, 4, 5]
    near = metrics["memorising"]
    assert near["scores"]["drawn"]["n"] == 30 and "training maps themselves" in near["warnings"][0]
    again = evaluated(model_root / "mask-vae-celeba", "requests", samples=30, seed=3)["metrics"]["requests"]
    assert again == metrics["requests"]


def test_wrong_calls_are_one_sentence(run: Run, model_root: Path, photos: Path, tmp_path: Path) -> None:
    scgan, out = model_root / "scgan-celeba", tmp_path / "results.json"
    taken = tmp_path / "taken.json"
    taken.write_text('{"a": 1}')
    common = ("eval", scgan, "--data", DATA)
    for words, said in (
        (("eval", scgan), "Say what to measure"),
        ((*common, "--metrics", "kidd"), "No metric 'kidd'; did you mean 'kid'"),
        ((*common, "--metrics", "kid,"), "expected names between commas"),
        ((*common, "--metrics", "l1,l1"), "names 'l1' twice"),
        ((*common, "--metrics", "requests"), "requests is for generator, this is a synthesizer"),
        ((*common, "--limit", 0), "--limit 0: expected 1 or more"),
        ((*common, "--seed", -1), "--seed -1: expected 0 or more"),
        ((*common, "--out", tmp_path), "is a folder: name a file"),
        ((*common, "--out", taken), "holds no results of zoo eval"),
        ((*common, "--metrics", "parser_agreement", "--parser", scgan), "no parser"),
        (("eval", tmp_path / "nothing", "--data", DATA), "nothing"),
    ):
        ran = run(*words)
        assert ran.code in (1, 2) and said in ran.err and ran.err.count("\n") == 1 and not ran.out, (words, ran)
    face_parser = ("eval", model_root / "face-parser-celeba", "--data", DATA, "--limit", 3, "--out", out)
    assert run(*face_parser).code == 0
    other = run(*common, "--out", out, "--metrics", "l1")
    assert other.code == 2 and "holds results of another run (it differs in subject, kind, digest)" in other.err
    listed = run("eval", "--metrics", "list")
    assert listed.code == 0 and "kid: kernel distance" in listed.out


def test_a_metric_that_fails_keeps_what_was_measured(
    model_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results.json"
    evaluation = Evaluation(
        EvalRequest(str(model_root / "mask-vae-celeba"), DATA, ("reconstruction", "requests"), samples=5)
    )
    monkeypatch.setattr("zoo.evaluation.drawn.drawn", lambda evidence: 1 / 0)
    with pytest.raises(zoo.errors.PluginError, match="metric 'requests' failed"):
        evaluation.run(out)
    assert list(json.loads(out.read_text())["metrics"]) == ["reconstruction"]
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


PLUGIN = """
from zoo.plugin import Measured, Metric, Plugin

def measure(evidence):
    scores = {name: float(images.mean()) for name, images in evidence.pictures.items()}
    return Measured(scores, evidence.facts("counts", "seed"), ("It is only brightness.",))

BRIGHTNESS = Metric("mean brightness", ("synthesizer", "folder"), measure)
WRONG = Metric("no figures", ("folder",), lambda evidence: 3)
plugin = Plugin(metrics={"brightness": "thirdparty_bright:BRIGHTNESS", "wrong": "thirdparty_bright:WRONG", "hits": "math:sqrt"})
"""


def test_a_plugin_adds_a_metric_in_one_file(photos: Path, tmp_path: Path) -> None:
    write_plugin(tmp_path, "thirdparty-bright", PLUGIN)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])

    def measured(name: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "zoo", "eval", str(photos), "--data", DATA, "--metrics", name, "--json"]
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        return subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300, check=False)

    ran = measured("brightness")
    assert ran.returncode == 0 and "brightness: It is only brightness." in ran.stderr, ran.stderr
    found = json.loads(ran.stdout)["metrics"]["brightness"]
    assert 0 < found["scores"]["image"] < 1 and found["protocol"]["counts"]["pictures"] == 12
    wrong = measured("wrong")
    assert wrong.returncode == 1 and "Plugin" in wrong.stderr and "expected a Measured" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    function = measured("hits")
    assert function.returncode == 2 and "no zoo.plugin.Metric" in function.stderr


def test_json_holds_no_nan() -> None:
    assert plain({"a": (1, math.nan, -math.inf), "b": {"c": None, "d": True}}) == {
        "a": [1, None, None],
        "b": {"c": None, "d": True},
    }
    with pytest.raises(DataError, match="a figure is Tensor"):
        plain({"a": torch.zeros(1)})
