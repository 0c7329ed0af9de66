"""`--opt key=value`: read by the models' option classes, refused early, kept in the manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures_models import Ran
from segvae_tiny import small

import zoo
from zoo.composition.request.options import split_options
from zoo.composition.request.requests import parse_options
from zoo.errors import UsageError
from zoo.registry import import_string, registry


@dataclass(frozen=True)
class Steps:
    steps: int = 10
    guidance: float = 1.0


@dataclass(frozen=True)
class Rule:
    rule: str = "a"
    steps: int = 5


def test_options_go_to_the_models_that_have_them() -> None:
    built = split_options((("steps", "3"), ("guidance", 2)), {"generator": Steps, "synthesizer": Rule, "parser": None})
    assert built == {"generator": Steps(3, 2.0), "synthesizer": Rule("a", 3)}
    assert split_options((), {"generator": Steps}) == {"generator": Steps()}


@pytest.mark.parametrize(
    ("pairs", "classes", "said"),
    [
        ((("step", "3"),), {"g": Steps}, "did you mean 'steps'"),
        ((("steps", "many"),), {"g": Steps}, "steps"),
        ((("steps", "3"),), {"g": None}, "no options"),
    ],
)
def test_wrong_options_are_usage_errors(pairs: tuple, classes: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        split_options(pairs, classes)


def test_the_written_form() -> None:
    assert parse_options(["a=1", "b=x=y", "a=2"]) == (("a", "2"), ("b", "x=y"))
    for text in ("a", "=1"):
        with pytest.raises(UsageError, match="KEY=VALUE"):
            parse_options([text])


def test_what_is_registered_is_what_the_model_class_says() -> None:
    for arch in registry().architectures.values():
        cls = import_string(arch.model, arch.name)
        named = import_string(arch.options, arch.name) if arch.options else None
        assert named is cls.OPTIONS, arch.name


def test_from_the_command_line_into_the_manifest(tmp_path: Path, run: Callable[..., Ran]) -> None:
    folder = zoo.save(small(), tmp_path / "model")
    common = ("generate", folder, "--labels", "skin,nose,hair", "-n", 2, "--seed", 3)
    maps = {}
    for rule in ("painter", "argmax"):
        out = tmp_path / rule
        done = run(*common, "--opt", f"flatten={rule}", "--out", out)
        assert done.code == 0, done.err
        manifest = json.loads((out / "manifest.json").read_text())
        assert manifest["request"]["options"] == {"flatten": rule}
        assert run("replay", out / "manifest.json").code == 0
        maps[rule] = [p.read_bytes() for p in sorted((out / "maps").glob("*.png"))]
    for wrong, said in (("flaten=argmax", "did you mean"), ("flatten=best", "painter"), ("flatten", "KEY=VALUE")):
        refused = run(*common, "--opt", wrong, "--out", tmp_path / "no")
        assert refused.code == 2 and said in refused.err and not (tmp_path / "no").exists()
