"""A plugin without a trainer, as CONTRIBUTING.md writes it: created, saved, loaded, composed, and not trained."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from fixtures_models import Ran
from thirdparty import write_plugin

import zoo
from zoo import cards, registry

ROOT = Path(__file__).parents[1]
MODEL = """
from dataclasses import dataclass
from pets.models import PetPaint as PlainPaint
from zoo.plugin import Variant


@dataclass(frozen=True)
class Config:
    label_space: str = "celebamask-hq"
    side: int = 32


VARIANTS = {"small": Variant(Config())}
"""


def blocks() -> list[str]:
    """The code of the section."""
    section = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## A plugin without a trainer")[1].split("\n## ")[0]
    return [part.partition("```")[0] for part in section.split("```python\n")[1:]]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The plugin of the page, its class being a pet's."""
    site = tmp_path / "site"
    site.mkdir()
    write_plugin(site, "plain-paint", blocks()[0], target="plain_paint_plugin")
    (site / "plain_paint_plugin.py").write_text(blocks()[0])
    (site / "plain_paint.py").write_text(
        MODEL.replace("import PetPaint as PlainPaint", "import PetPaint")
        + "\n\nclass PlainPaint(PetPaint):\n    pass\n"
    )
    monkeypatch.syspath_prepend(site)
    registry.reset()
    cards.all_cards.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    for name in [n for n in sys.modules if n.startswith("plain_paint")]:
        del sys.modules[name]
    registry.reset()
    cards.all_cards.cache_clear()


def test_it_is_saved_loaded_and_composed(
    installed: Path, published: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(installed)
    scope = {"zoo": zoo}
    exec(blocks()[1], scope)
    model = scope["model"]
    with torch.no_grad():
        model.colors.copy_(torch.linspace(0, 1, len(model.channels))[:, None].expand(-1, 3))  # type: ignore[attr-defined]
    zoo.save(model, "colours")  # type: ignore[arg-type]
    loaded = zoo.load("./colours")
    assert torch.equal(loaded.state_dict()["colors"], model.state_dict()["colors"])  # type: ignore[attr-defined]
    ran = run(
        "compose", "mask-vae+./colours", "--labels", "skin,hair", "--out", "out", "--device", "cpu", "--seed", "1"
    )
    assert ran.code == 0 and (installed / "out/images/000000.png").is_file(), ran.err
    assert run("card", "plain-paint/small").out.count("its plugin brings no trainer") == 1
    assert "plain-paint/small" in run("list", "plain*", "--architectures").out


def test_training_it_is_refused_in_a_line(installed: Path, run: Callable[..., Ran]) -> None:
    for arguments in (["plain-paint"], ["plain-paint/small"]):
        ran = run("train", *arguments, "--data", "toy-faces:4")
        assert ran.code == 2 and "'plain-paint' cannot be trained here: its plugin brings no trainer" in ran.err
        assert ran.err.count("\n") == 1
