"""Unpaired SC-GAN, our reading: what the source and the reference decide, its losses, a toy training and what may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures_models import Ran
from PIL import Image
from torch import Tensor

import zoo
from zoo.data import open_data
from zoo.errors import ConfigError, DataError, LabelError, UsageError
from zoo.registry import label_space, registry
from zoo.rng import Rng
from zoo.testing.subject import stir
from zoo_plugins.scgan.unpaired import UnpairedSCGAN
from zoo_plugins.scgan.unpaired_config import VARIANTS, UnpairedConfig, UnpairedOptions
from zoo_plugins.scgan.unpaired_trainer import UnpairedTrainer, content_distance

pytestmark = pytest.mark.usefixtures("one_thread")
TINY: dict[str, Any] = {
    "resolution": 32, "ngf": 2, "nff": 2, "nrf": 2, "spade_hidden": 4, "z_dim": 6, "nef": 2, "encoder_size": 32,
}  # fmt: skip
SMALL: dict[str, Any] = {"ndf": 4, "n_layers_d": 2, "perceptual": "none", "batch_size": 4}
SPACE = label_space("domains")
Run = Callable[..., Ran]


def unpaired(**fields: Any) -> UnpairedSCGAN:
    torch.manual_seed(0)
    model = UnpairedSCGAN(UnpairedConfig(**{**TINY, **fields}), SPACE)
    stir(model)
    return model.eval()


def trainer_of(**options: Any) -> UnpairedTrainer:
    return UnpairedTrainer(unpaired().train(), UnpairedOptions(**{**SMALL, **options}))


def photos(seed: int, count: int = 2) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def test_one_direction_the_layout_of_the_source_and_the_look_of_a_reference() -> None:
    model = unpaired(channels=("D", "B"))
    assert model.targets == ("B",) and model.source_for("B") == "D"
    style = model.encode_style(photos(2), "B")
    made = model.translate(photos(1), style=style)
    assert made.shape == (2, 3, 32, 32)
    assert not torch.allclose(made, model.translate(photos(3), style=style))
    assert not torch.allclose(made, model.translate(photos(1), style=model.encode_style(photos(4), "B")))
    with pytest.raises(LabelError, match="makes no photos of the domain 'D', only of B"):
        model.translate(photos(1), to="D", style=style)
    with pytest.raises(UsageError, match=r"a tensor photo \[B, 3, 32, 32\], got content \[2, 4, 8, 8\]"):
        model.render({"content": torch.zeros(2, 4, 8, 8)}, style, "B")
    with pytest.raises(UsageError, match=r"holds a tensor z \[samples, 6\], got z \[2, 5\]"):
        model.render(model.encode_content(photos(1)), unpaired(z_dim=5).sample_style(2, 0, domain="B"), "B")


def test_a_photo_in_several_styles_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = unpaired(), []
    plan = model.generator.plan
    monkeypatch.setattr(model.generator, "plan", lambda x: seen.append(len(x)) or plan(x))
    styles = model.sample_style(3, 0, domain="B")
    together = model.translate(photos(1, 1), style=styles)
    apart = torch.cat([model.translate(photos(1, 1), style=styles[i]) for i in range(3)])
    assert seen == [1, 1, 1, 1]
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


# --- losses -----------------------------------------------------------------------------------------------------------


def test_the_content_loss_sees_neither_scale_nor_shift_of_the_logits() -> None:
    made = [torch.randn(2, 3, n, n) for n in (1, 4)]
    assert float(content_distance([2 * x + 1 for x in made], made)) < 1e-4
    other = [torch.randn(2, 3, n, n, requires_grad=True) for n in (1, 4)]
    distance = content_distance(made, other)
    assert float(distance) > 0.3 and not distance.requires_grad, "the source takes no gradient"


def test_every_term_of_a_step() -> None:
    """The terms of the table with their weights, on one forward; a reference that is painted as it is costs nothing there."""
    trainer, a, b = trainer_of(lambda_cyc=10.0), photos(1) * 2 - 1, photos(2) * 2 - 1
    z = Rng(0, [0, 1]).normal("z", shape=(6,))
    made = trainer.forward(a, b, torch.zeros(2, 6), z)
    losses = trainer.losses(made, a, b, z)
    names = {"gan_guided", "gan_drawn", "svg", "rec", "style", "content", "kl", "cyc"}
    assert set(losses) == names and all(bool(v.isfinite()) for v in losses.values())
    torch.testing.assert_close(losses["rec"], 10 * (made.again - b).abs().mean())
    svg_a, svg_b = made.svg.chunk(2)
    torch.testing.assert_close(losses["svg"], (svg_a - a).abs().mean() + (svg_b - b).abs().mean())
    torch.testing.assert_close(losses["kl"], 0.005 * (made.mean**2 + made.logvar.exp() - 1 - made.logvar).sum())
    judged = trainer.discriminator_losses(made.guided, made.drawn, b)
    assert set(judged) == {"d_fake", "d_real"} and made.guided.grad_fn is not None
    assert (
        trainer.rates(150.0, 0)["discriminator"] == pytest.approx(2e-4) and trainer.rates(0.0, 0)["generator"] == 1e-4
    )


def test_drawn_pictures_train_and_translate(run: Run, tmp_path: Path) -> None:
    """zoo train on two folders of one colour each, then zoo translate."""
    data, trained, out = tmp_path / "data", tmp_path / "run", tmp_path / "out"
    for folder, value in (("trainA", 40), ("trainB", 200), ("testA", 40), ("testB", 200)):
        (data / folder).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(np.full((32, 32, 3), value + 5 * i, dtype=np.uint8)).save(data / folder / f"{i}.png")
    settings = [f"network.{k}={v}" for k, v in TINY.items()] + [f"{k}={v}" for k, v in SMALL.items()]
    changes = [part for s in (*settings, "steps=3", "share_fake=true", "preview_every=2") for part in ("--set", s)]
    made = run("train", "scgan-unpaired", "--data", f"domains:{data}", "--out", trained, "--device", "cpu", *changes)
    assert made.code == 0, made.err
    assert isinstance(zoo.load(trained), UnpairedSCGAN)
    guide = data / "testB/1.png"
    made = run("translate", trained, data / "testA", "--style", guide, "--out", out, "--device", "cpu")
    assert made.code == 0, made.err
    assert len(list((out / "images").glob("*.png"))) == 4


# --- what may be wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"channels": ("A", "B", "C")}, "channels are a source and a target, got A, B, C"),
        ({"resolution": 40}, "UnpairedConfig: resolution must be a multiple of 32, got 40"),
        ({"ngf": 0}, "UnpairedConfig: must be at least 1"),
    ],
)
def test_a_config_that_makes_no_network_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        UnpairedConfig(**fields)


def test_options_and_data_that_do_not_do_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lambda_rec must not be negative"):
        UnpairedOptions(lambda_rec=-1.0)
    for domain in "AB":
        (tmp_path / domain).mkdir()
        Image.new("RGB", (32, 32)).save(tmp_path / domain / "0.png")
    data = open_data(f"domains:{tmp_path}", resolution=32)
    with pytest.raises(ConfigError, match="batch_size must be a multiple of 2, got 3"):
        trainer_of(batch_size=3).prepare(data)
    with pytest.raises(DataError, match="no photos of the domain C"):
        UnpairedTrainer(unpaired(channels=("A", "C")), UnpairedOptions(**SMALL)).prepare(data)


def test_parameters_of_the_variants() -> None:
    declared = registry().architecture("scgan-unpaired").parameters
    for name, variant in VARIANTS.items():
        with torch.device("meta"):
            model = UnpairedSCGAN(variant.config, SPACE)
        assert sum(p.numel() for p in model.parameters()) == declared[name]
