"""A plugin's published model whose weights are another library's files: `wrapped/` beside the card in place of one file of ours."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from controlnet_tiny import forget
from fixtures_models import Ran
from thirdparty import OK, write_plugin

import zoo
from zoo import cards
from zoo.cards import write_card
from zoo.errors import WeightsError
from zoo.store.models import digests

Run = Callable[..., Ran]
ID, NET = "wrapped-paint-tiny", "wrapped/inner/net.safetensors"
PLUGIN = OK + (
    "plugin = Plugin(architectures=[Architecture('wrapped-paint', kind='image-synthesizer', model='wrapped_models:Paint',"
    f" config='wrapped_models:Config', variants='wrapped_models:VARIANTS', default='{ID}')], cards='wrapped_cards')\n"
)
MODELS = """
from dataclasses import dataclass

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from zoo.interfaces import ImageSynthesizer, Layout
from zoo.registry import Variant


@dataclass(frozen=True)
class Config:
    label_space: str = "celebamask-hq"
    side: int = 8


VARIANTS = {"tiny": Variant(Config())}


@dataclass(eq=False)
class Flat(Layout):
    semantic_map: object


class Paint(ImageSynthesizer):
    def __init__(self, config, space):
        super().__init__(config, space)
        self.colors = nn.Parameter(torch.zeros(len(space), 3))

    @property
    def channels(self):
        return self.label_space.names

    @property
    def resolution(self):
        return self.config.side, self.config.side

    def save_weights(self, folder, dtype):
        (folder / "wrapped/inner").mkdir(parents=True, exist_ok=True)
        save_file({"colors": self.colors.detach()}, folder / "wrapped/inner/net.safetensors")

    def load_weights(self, folder):
        with torch.no_grad():
            self.colors.copy_(load_file(folder / "wrapped/inner/net.safetensors")["colors"])

    def layout(self, semantic_map, *, reuse=None):
        return Flat(semantic_map.resize(self.resolution))

    def synthesize(self, semantic_map, style=None, *, rng=None):
        found = semantic_map if isinstance(semantic_map, Flat) else self.layout(semantic_map)
        return self.colors.detach()[found.semantic_map.labels].permute(0, 3, 1, 2)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The plugin installed, with one model among its cards; gives that model's folder."""
    site = tmp_path / "site"
    site.mkdir()
    write_plugin(site, "wrapped-dist", PLUGIN)
    (site / "wrapped_models.py").write_text(MODELS)
    (site / "wrapped_cards").mkdir()
    (site / "wrapped_cards/__init__.py").touch()
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    forget()
    model = zoo.create("wrapped-paint")
    with torch.no_grad():
        next(model.parameters()).copy_(torch.rand(len(model.label_space), 3))
    out = zoo.save(model, site / "wrapped_cards" / ID)
    facts = {"architecture": "wrapped-paint", "kind": "image-synthesizer", "label_space": "celebamask-hq"}
    write_card(out, {"zoo": {**facts, "files": digests(out)}}, "# Colours in another library's file")
    forget()
    yield out
    sys.path.remove(str(site))
    for name in [n for n in sys.modules if n.startswith("wrapped_")]:
        del sys.modules[name]
    forget()


def test_it_counts_as_embedded_is_listed_and_verified(folder: Path, run: Run) -> None:
    assert not (folder / "model.safetensors").exists() and cards.find(ID).has_weights
    listed = next(c for c in json.loads(run("list", "--json").out) if c["id"] == ID)
    assert listed["state"] == "embedded" and "wrapped-dist" in listed["plugin"]
    assert listed["bytes"] == (folder / NET).stat().st_size + (folder / "config.json").stat().st_size
    found = json.loads(run("verify", ID, "--json").out)[0]
    assert (found["name"], found["state"], found["ok"], found["files"]) == (ID, "embedded", True, 2)
    content = bytearray((folder / NET).read_bytes())
    content[-1] ^= 1
    (folder / NET).write_bytes(content)
    ran = run("verify", ID)
    assert ran.code == 1 and str(folder / NET) in ran.err
    with pytest.raises(WeightsError, match="does not match its card"):
        zoo.load(ID)


def test_it_loads_and_makes_pictures(
    folder: Path, inputs: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = zoo.load("wrapped-paint", device="cpu")  # the architecture's default model
    assert float(next(model.parameters()).std()) > 0
    made = run("synth", ID, inputs / "face.png", "--out", tmp_path / "out", "--device", "cpu")
    assert made.code == 0 and (tmp_path / "out/images/000000.png").is_file(), made.err
    digests_of = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))["models"]["synthesizer"]["sha256"]
    assert set(digests_of) == {"config.json", NET}
    monkeypatch.setenv("ZOO_EMBEDDED", "0")
    assert not cards.find(ID).embedded
    with pytest.raises(WeightsError, match="ZOO_EMBEDDED=0 hides the embedded weights"):
        zoo.load(ID)
