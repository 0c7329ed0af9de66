"""What a model can do, told in one way: declared, derived, listed, and asked before work begins."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from plain_models import OneClass
from thirdparty import plugin, write_plugin

import zoo
from zoo import registry as registries
from zoo.cards import all_cards
from zoo.composition.run.progress import Work
from zoo.errors import UsageError
from zoo.interfaces.models import ImageSynthesizer, MaskGenerator, Model
from zoo.registry import FIRST_PARTY, registry
from zoo.registry.capabilities import CAPABILITIES, OLD_NAMES, edits, may, narrowed, style_sources
from zoo.store.models import CONFIG

OURS = sorted(n for n in registry().architectures if registry().owner(n).distribution == FIRST_PARTY)


def models_of(name: str) -> list[Model]:
    """A model of every variant, with a stand-in for every asset; without memory for its weights."""
    with torch.device("meta"):
        models = [
            zoo.create(f"{name}/{variant}") for variant in registry().load(registry().architecture(name), "variants")
        ]
    for model in models:
        model.assets |= {name: {} for name in model.ASSETS}
    return models


@pytest.mark.parametrize("name", OURS)
def test_an_architecture_declares_what_its_variants_can_together(name: str) -> None:
    architecture, models = registry().architecture(name), models_of(name)
    assert frozenset[str]().union(*(m.capabilities() for m in models)) == frozenset(architecture.can)
    for model in models:
        assert model.capabilities() == narrowed(architecture.can, model.config)
    assert set(architecture.can) <= set(CAPABILITIES)
    assert (architecture.options is not None) == ("options" in architecture.can)


def test_a_synthesizer_without_vae_has_no_style_and_one_without_its_asset_no_mean() -> None:
    with torch.device("meta"):
        assert zoo.create("spade/celeba").capabilities() == frozenset()
        assert "style:prior" in zoo.create("spade/celeba-vae").capabilities()
        assert style_sources(zoo.create("ca2sis").capabilities()) == {"photo"}


class Plain(OneClass, MaskGenerator):
    """Maps of one class, nothing more."""

    def sample_latents(self, conditions: Any, rng: Any, *, prior: str | None = None) -> dict[str, torch.Tensor]:
        del prior, rng
        return {"z": torch.zeros(len(conditions), 1)}

    def generate(self, conditions: Any, *, latents: Any = None, rng: Any = None) -> zoo.SemanticMap:
        del latents, rng
        return zoo.SemanticMap(torch.ones(len(conditions), 8, 8, dtype=torch.long), self.label_space)


class Stepwise(Plain):
    """Says that it edits and how far it is."""

    REPORTS_STEPS = True
    edits = frozenset({"add"})

    def edit(self, semantic_map: Any, edits: Any, *, latents: Any = None, rng: Any = None) -> Any:
        return semantic_map


class Painter(OneClass, ImageSynthesizer):
    """Claims every style, and has the calls of one only."""

    styles = frozenset({"prior", "mean", "photo"})
    partial_styles = True

    def layout(self, semantic_map: Any, *, reuse: Any = None) -> Any:
        return semantic_map

    def synthesize(self, semantic_map: Any, style: Any = None, *, rng: Any = None) -> torch.Tensor:
        return torch.zeros(1, 3, 8, 8)

    def encode_style(self, image: Any, semantic_map: Any, *, rng: Any = None) -> Any:
        return None


def test_capabilities_come_from_calls_and_attributes_together() -> None:
    space = zoo.label_space("celebamask-hq")
    assert Plain(None, space).capabilities() == frozenset()
    assert Stepwise(None, space).capabilities() == {"edit:add", "steps"}
    assert Painter(None, space).capabilities() == {"style:photo", "style:partial"}
    with pytest.raises(UsageError, match="Painter has no prior"):
        Painter(None, space).resample(Any, Any)  # pyright: ignore[reportArgumentType]
    assert Work(print, 1).within(Plain(None, space), 0, 1) == {}
    assert set(Work(print, 1).within(Stepwise(None, space), 0, 1)) == {"progress"}


def test_old_names_stand_for_the_new_ones() -> None:
    assert edits(may(("edit", "reconstruct"))) == {"add", "remove", "redraw", "perturb", "interpolate"}
    assert style_sources(may(("sample-style", "encode-style"))) == {"prior", "mean", "photo"}
    assert {new for names in OLD_NAMES.values() for new in names} <= set(CAPABILITIES)


def test_a_plugin_with_the_old_names_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("reconstruct", "layers", "edit", "sample-style", "encode-style")
    write_plugin(tmp_path, "thirdparty-old", plugin("thirdparty-old", "a").replace("kind=", f"can={names}, kind="))
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        registries.reset()
        assert registry().architecture("a").can == names and not registry().broken_hint()
    registries.reset()


def test_contributing_lists_every_capability_and_no_other() -> None:
    text = (Path(__file__).parents[1] / "docs/plugins.md").read_text("utf-8")
    rows = re.findall(
        r"^\| (`.*?`) \|", text.partition("| name | what it takes |")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert [name for row in rows for name in re.findall(r"`(.+?)`", row)] == list(CAPABILITIES)


# --- lists and messages -----------------------------------------------------------------------------------------------


def row(run: Callable[..., Ran], model: str) -> dict[str, Any]:
    """What `zoo list --json` says of a model."""
    return next(r for r in json.loads(run("list", "--json").out) if r["id"] == model)


def test_list_and_card_tell_what_each_model_can(run: Callable[..., Ran], published: Path) -> None:
    for model in ("mask-vae-celeba", "scgan-celeba", "face-parser-celeba"):
        assert row(run, model)["can"] == sorted(zoo.load(published / model).capabilities())
        assert json.loads(run("card", model, "--json").out)["can"] == row(run, model)["can"]
    assert "edit:" not in run("list").out


def test_what_a_config_takes_away_is_not_listed(run: Callable[..., Ran], published: Path) -> None:
    path = published / "scgan-celeba" / CONFIG
    text = path.read_text()
    values = json.loads(text)
    try:
        path.write_text(json.dumps(values | {"config": values["config"] | {"use_vae": False}}))
        assert row(run, "scgan-celeba")["can"] == []
        path.write_text("{")  # a damaged one: what the architecture declares
        assert row(run, "scgan-celeba")["can"] == ["style:mean", "style:photo", "style:prior"]
    finally:
        path.write_text(text)


def test_a_model_whose_plugin_is_missing_has_no_list(
    run: Callable[..., Ran], published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {name: arch for name, arch in registry().architectures.items() if name != "scgan"}
    monkeypatch.setattr(registry(), "architectures", others)
    assert all_cards()["scgan-celeba"] and row(run, "scgan-celeba")["can"] is None


def test_who_cannot_edit_is_sent_to_a_list_that_says_so(
    run: Callable[..., Ran], published: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--mask", inputs / "face.png", "--edit", "redraw:hair", "--seed", 1)
    architecture = registry().architecture("mask-vae")
    monkeypatch.setitem(registry().architectures, "mask-vae", replace(architecture, can=("reconstruct",)))
    refused = run("compose", "mask-vae+scgan", *arguments, "--out", tmp_path / "out")
    assert refused.code == 2 and "cannot edit maps (see 'can' in: zoo list --json)" in refused.err
    assert not (tmp_path / "out").exists()
    assert row(run, "mask-vae-celeba")["can"] == ["reconstruct"]
    monkeypatch.setitem(registry().architectures, "mask-vae", replace(architecture, can=("edit",)))
    assert run("compose", "mask-vae+scgan", *arguments, "--out", tmp_path / "out").code == 0


def test_a_loaded_model_that_cannot_edit_says_so(published: Path, inputs: Path) -> None:
    pipe = zoo.compose((Plain(None, zoo.label_space("celebamask-hq")), "scgan"), device="cpu")
    with pytest.raises(UsageError, match=r"Plain cannot edit maps \(see 'can' in: zoo list --json\)"):
        pipe(maps=inputs / "face.png", edits="redraw:hair")
    pipe = zoo.compose((Stepwise(None, zoo.label_space("celebamask-hq")), "scgan"), device="cpu")
    with pytest.raises(UsageError, match=r"Stepwise has no edit 'redraw' \(it has: add\)"):
        pipe(maps=inputs / "face.png", edits="redraw:hair")
