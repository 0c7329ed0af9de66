"""GTA-5's rebalancing: its files computed, missing or unfit, and what training does with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from clvae_tiny import OPTIONS
from numpy.typing import NDArray

from zoo.data import Augment, PairData, Source, rarity
from zoo.errors import DataError
from zoo.registry import label_space
from zoo.rng import Rng
from zoo.training.sampler import Sampler
from zoo_plugins.clvae.config import CLVAEConfig, CLVAEOptions
from zoo_plugins.clvae.model import CLVAE
from zoo_plugins.clvae.trainer import CLVAETrainer

SPACE = label_space("gta5")


class Streets(Source):
    """Twelve pictures in stripes of five classes; the road of number 7 has a colour of its own."""

    label_space = SPACE
    names = tuple(f"street{i}" for i in range(12))

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        labels = np.repeat(np.array(rarity.BINS, dtype=np.uint8), 8)[:, None].repeat(80, 1)
        noise = np.random.default_rng(index).integers(0, 40, (20, 3))
        colors = (90 + noise).astype(np.uint8)
        if index == 7:
            colors[0] = (250, 10, 10)
        return colors[labels], labels


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rarity")
    rarity.compute(PairData(Streets(), rarity.SIZE), folder, skip=[3], rarest=5)
    return folder


def test_density_is_that_of_gaussians_with_scott_s_bandwidth() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3)) * [1, 2, 3]
    covariance = np.cov(points.T) * 50 ** (-2 / 7)
    kernel = torch.distributions.MultivariateNormal(torch.zeros(3).double(), torch.from_numpy(covariance))
    between = torch.from_numpy(points[:, None] - points[None])
    np.testing.assert_allclose(rarity.density(points), kernel.log_prob(between).exp().mean(1).numpy(), rtol=1e-9)


def test_rare_colours_are_drawn_more_often(files: Path) -> None:
    found = rarity.Rarity.open(files)
    assert [len(b) for b in found.bins] == [12] * 5 and found.mask.shape == (12, 256, 512, 1)
    steps = np.diff(found.bins[0], prepend=0)
    assert found.bins[0][-1] == pytest.approx(1) and steps.argmax() == 7 and steps[3] == 0
    found.fit(Streets.names)
    weights = found.masks(["street7", "street3"])
    assert weights.shape == (2, 1, 256, 512) and weights[0].max() == 1 and weights[0, 0, 0, 0] == 1
    assert not weights[1].any()  # left out
    order = found.order(seed=0, epoch=2, images=50, items=200)
    assert len(order) == 200 and set(order) <= set(range(12)) - {3}
    assert order == found.order(0, 2, 50, 200) != found.order(0, 3, 50, 200)
    only_roads = found.order(0, 0, 1, 10)  # one image, drawn by its road
    assert len(set(only_roads)) == 1


def test_missing_and_unfit_files(files: Path, tmp_path: Path) -> None:
    model = CLVAE(
        CLVAEConfig(label_space="gta5", resolution=32, ngf=2, z_dim=4, z_dim_local=2, encoder_size=128), SPACE
    )
    with pytest.raises(
        DataError, match=r"lacks: kdecolor_rarity_bin_0.npy.*GTA_weightedrarity_mask.npy.*zoo.data.rarity"
    ):
        CLVAETrainer(model, CLVAEOptions(perceptual="none", rarity=str(tmp_path)))
    for file in files.iterdir():
        if file.name != rarity.bin_name(2):
            (tmp_path / file.name).symlink_to(file)
    np.save(tmp_path / rarity.bin_name(2), np.linspace(0, 1, 5))
    with pytest.raises(DataError, match="belong to different sets"):
        rarity.Rarity.open(tmp_path)
    with pytest.raises(DataError, match="of 12 images, the training data have 2"):
        rarity.Rarity.open(files).fit(["a", "b"])
    with pytest.raises(DataError, match="too few images show: road"):
        rarity.compute(PairData(Streets(), rarity.SIZE), tmp_path / "new")


def test_training_draws_by_rarity_and_weighs_pixels(files: Path) -> None:
    config = CLVAEConfig(
        label_space="gta5", resolution=64, aspect_ratio=2.0, ngf=2, max_width=8, spade_hidden=4, z_dim=4, z_dim_local=2, encoder_size=128
    )  # fmt: skip
    options = CLVAEOptions(
        **{f: getattr(OPTIONS, f) for f in ("batch_size", "ndf", "n_layers_d")}, perceptual="none", rarity=str(files),
        rarity_images=10, rarity_items=20,
    )  # fmt: skip
    trainer = CLVAETrainer(CLVAE(config, SPACE), options)
    data = PairData(Streets(), config.size)
    sampler = Sampler(
        data, batch_size=2, seed=0, augment=Augment(), order=lambda epoch: trainer.epoch_order(epoch, data)
    )
    assert sampler.steps_per_epoch == 10
    trainer.prepare(data)
    order = trainer.epoch_order(1, data)
    assert order is not None
    batch, rng = sampler.batches(12)[0]
    assert batch.names == tuple(Streets.names[i] for i in order[4:6]) and rng.samples == (24, 25)
    weights = trainer.pixel_weights(batch)
    assert weights is not None and weights.shape == (2, 1, 256, 512)
    updates = list(trainer.updates(batch, Rng(0, range(2)), 0))
    assert [u.optimizers for u in updates] == [("generator",), ("discriminator",)]


def test_a_loss_mask_weighs_the_perceptual_loss() -> None:
    from zoo.nn.perceptual import VGG19Features, perceptual_loss

    network = VGG19Features((2, 2, "M", 2, 2, "M", 2, 2, 2, 2, "M", 2, 2, 2, 2, "M", 2, 2, 2, 2, "M"))
    fake, real = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    plain, ones = perceptual_loss(network, fake, real), torch.ones(1, 1, 64, 64)
    torch.testing.assert_close(perceptual_loss(network, fake, real, ones), plain)
    torch.testing.assert_close(perceptual_loss(network, fake, real, ones * 0.5), plain / 2)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="20 classes, 'celebamask-hq' has 19"):
        rarity.main(["toy-faces:2", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match=r"--skip 9999: there are \d+ images"):
        rarity.main(["toy-faces:2", "--out", str(tmp_path / "out"), "--skip", "9999"])
    assert not (tmp_path / "out").exists()
