"""The table of kinds: each row is true of its class, and a further row is all that a further kind needs in the core."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from plain_models import OneClass

import zoo
from zoo.cards.writing import front_matter
from zoo.checkpoints.smoke import smoke
from zoo.composition.roles import check_kind, check_role
from zoo.errors import PluginError, UsageError, WeightsError
from zoo.interfaces.models import Model
from zoo.registry import KINDS, Architecture, Plugin, import_string, registry
from zoo.registry.discovery import _checked
from zoo.registry.kinds import Kind, kind_of, of_role
from zoo.scaffold import KINDS as TOYS


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_row_names_a_class_and_its_smoke_test(kind: Kind) -> None:
    found = import_string(kind.model, "test")
    assert issubclass(found, Model) and kind_of(found) is kind and KINDS[kind.name] is kind
    assert callable(import_string(kind.smoke, "test"))


def test_every_architecture_is_of_the_kind_it_declares() -> None:
    for architecture in registry().architectures.values():
        kind = kind_of(registry().load(architecture, "model"))
        assert kind is not None and kind.name == architecture.kind
    assert kind_of(Model) is None and set(TOYS) <= set(KINDS)


def test_roles() -> None:
    assert of_role("generator", "alone") == ("mask-generator", "image-generator")
    assert of_role("synthesizer") == ("image-synthesizer",) and of_role("parser") == ("mask-parser",)
    assert of_role("translator") == ("image-translator",) and of_role("judge") == ("map-judge",)


@pytest.mark.parametrize(
    ("place", "found", "said"),
    [
        (
            0,
            "image-synthesizer",
            "an image-synthesizer, and a mask-generator is needed here .the generator comes first",
        ),
        (1, "mask-generator", "a mask-generator, and an image-synthesizer is needed here .the generator comes first"),
        (0, "mask-parser", "a mask-parser, and a mask-generator is needed here; see: zoo list --kind mask-generator"),
        (1, "image-generator", "makes pictures straight from label sets"),
        (0, "image-translator", "X is an image-translator, and a mask-generator is needed here; see"),
        (0, "model", "X is a model, and a mask-generator is needed here; see"),
    ],
)
def test_a_model_in_the_wrong_place_is_refused(place: int, found: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_role(("a", "b"), place, found, "X")


def test_smoke_runs_what_its_kind_names(model_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mask-vae-celeba", "scgan-celeba", "face-parser-celeba"):
        smoke(zoo.load(model_root / name))
    broken = zoo.load(model_root / "scgan-celeba")
    monkeypatch.setattr(type(broken), "synthesize", lambda *a, **k: torch.full((1, 3, 32, 32), torch.nan))
    with pytest.raises(WeightsError, match="gives no picture"):
        smoke(broken)


class Renderer(OneClass):
    """A made-up further kind."""


def test_a_further_kind_is_a_row_and_a_class(model_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    module = ModuleType("made_up_smoke")
    module.__dict__["run"] = ran.append
    monkeypatch.setitem(sys.modules, "made_up_smoke", module)
    made = Architecture("made-up", kind="map-renderer", model="m:T", config="m:C", variants="m:V")
    with pytest.raises(PluginError, match="kind 'map-renderer', expected one of mask-generator"):
        _checked(Plugin(architectures=[made]))
    row = Kind(
        "map-renderer",
        model=f"{__name__}:Renderer",
        role="parser",
        smoke="made_up_smoke:run",
        task="image-to-image",
    )
    monkeypatch.setitem(KINDS, row.name, row)
    assert list(_checked(Plugin(architectures=[made])).architectures) == [made]
    space = zoo.label_space("celebamask-hq")
    model = Renderer(None, space)
    smoke(model)
    assert ran == [model] and of_role("parser") == ("mask-parser", "map-renderer")
    front = front_matter({"kind": row.name, "architecture": "made-up"}, name="x")
    assert front["pipeline_tag"] == "image-to-image" and "map-renderer" in front["tags"]
    with pytest.raises(UsageError, match="Renderer is a map-renderer, and a mask-generator is needed here"):
        zoo.compose((model, str(model_root / "scgan-celeba")), device="cpu")
    check_kind(of_role("parser"), row.name, "X")
    with pytest.raises(PluginError, match="OneClass is derived from no kind"):
        smoke(OneClass(None, space))
