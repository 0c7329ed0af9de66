"""What a run tells of its inputs: what was cut away, what was not there, what changed nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from clvae_tiny import model_of
from fixtures_models import Ran, drawn_face

import zoo

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def tall(tmp_path: Path) -> Path:
    """A map of 48 x 96 with a face in the middle and clothes at its lower edge, which a square cuts away."""
    labels = torch.zeros(1, 96, 48, dtype=torch.long)
    labels[:, 24:72] = drawn_face()
    space = zoo.label_space("celebamask-hq")
    labels[:, 80:] = space.index("cloth")
    path = tmp_path / "tall.png"
    zoo.SemanticMap(labels, space).to_png(path)
    return path


def test_what_a_map_loses_to_the_models_shape(
    run: Callable[..., Ran], pair: tuple[str, str], inputs: Path, tall: Path, tmp_path: Path
) -> None:
    done = run("synth", pair[1], tall, "--out", tmp_path / "o")
    assert done.code == 0 and "A map of 48 x 96 pixels was cut to the shape of the models" in done.err
    (note,) = json.loads((tmp_path / "o/manifest.json").read_text())["summary"]["notes"]
    assert "% of what it shows is gone. Pad it" in note
    assert "was cut" not in run("synth", pair[1], inputs / "face.png", "--out", tmp_path / "p").err


def test_a_photo_without_map_tells_it_too(pipe: zoo.Composition) -> None:
    result = pipe(photos=torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
    assert any("A photo of 96 x 64 pixels was cut" in note for note in result.report["samples"][0]["notes"])


def test_nothing_to_remove(run: Callable[..., Ran], pair: tuple[str, str], inputs: Path, tmp_path: Path) -> None:
    arguments = ("compose", "+".join(pair), "--mask", inputs / "face.png", "--out", tmp_path / "o", "--edit")
    assert "Nothing to remove: a map shows no hat." in run(*arguments, "remove:hat").err
    assert "Nothing to remove" not in run(*arguments, "remove:nose", "--overwrite").err


def test_a_style_over_a_base_that_is_drawn_anew_changes_nothing(
    run: Callable[..., Ran], inputs: Path, tmp_path: Path
) -> None:
    folder = zoo.save(model_of(), tmp_path / "clvae")
    arguments = ("synth", folder, inputs / "face.png", "-n", 2, "--seed", 1, "--style", "hair=prior")
    told = run(*arguments, "--out", tmp_path / "o").err
    assert "The style of hair changed nothing" in told and "--style seed:1 before it" in told


def test_only_ways_out_that_exist(run: Callable[..., Ran], pair: tuple[str, str], inputs: Path, tmp_path: Path) -> None:
    told = run("synth", pair[1], inputs / "face.png", "-n", 2, "--style", "mean", "--out", tmp_path / "o").err
    assert "Nothing is random here: all 2 samples of a map are equal (try --style prior)." in told


def test_a_repository_is_written_with_hf(run: Callable[..., Ran]) -> None:
    done = run("pull", "nobody/nothing")
    assert done.code == 1 and "a repository of the Hub is written hf:nobody/nothing" in done.err
