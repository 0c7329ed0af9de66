"""SegVAE's fitted prior: local Gaussians, what is drawn again, the asset, and runs that were made before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fixtures_models import Ran
from segvae_tiny import FACE, SPACE, small
from torch import Tensor

import zoo
from zoo.configs import override
from zoo.data.specs import open_data
from zoo.errors import DataError, UsageError
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo_plugins.segvae.config import VARIANTS, SegVAEConfig, SegVAETraining
from zoo_plugins.segvae.fitting import draw_codes
from zoo_plugins.segvae.model import SegVAE
from zoo_plugins.segvae.prior import LocalPrior, connected_share, prior_fault

OPTIONS = SegVAETraining(prior_neighbours=6, prior_centres=3, prior_components=4, flip=True)


def fit(codes: Tensor, present: Tensor, **changes: int) -> LocalPrior:
    numbers = {"neighbours": 50, "centres": 2, "components": 4, **changes}
    return LocalPrior.fit(codes, present, connected=0.9, **numbers)


def two_kinds() -> tuple[Tensor, Tensor]:
    """60 maps of classes 0 and 1 with codes around 5, 60 of classes 0 and 2 around -5; class 0's two numbers rise together."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(120, 1, 1, generator=generator).expand(-1, 3, 2) * torch.tensor([1.0, 2.0])
    where = torch.cat([torch.full((60, 1, 1), 5.0), torch.full((60, 1, 1), -5.0)])
    present = torch.ones(120, 3, dtype=torch.bool)
    present[:60, 2], present[60:, 1] = False, False
    return where + noise, present


def test_a_label_set_gets_the_gaussian_of_its_like() -> None:
    codes, present = two_kinds()
    prior = fit(codes, present)
    assert {tuple(row) for row in prior.centres.tolist()} == {(1, 1, 0), (1, 0, 1)}
    for row, sign in ((present[0], 1), (present[-1], -1)):
        scores = torch.randn(400, 4, generator=torch.Generator().manual_seed(1))
        drawn = torch.stack([prior.codes(row, s, torch.ones(3)) for s in scores])
        assert (drawn[:, 0].mean(0) - 5 * sign).abs().max() < 0.4
        assert torch.allclose(drawn[:, 0].std(0), torch.tensor([1.0, 2.0]), rtol=0.25)
        assert torch.corrcoef(drawn[:, 0].T)[0, 1] > 0.99  # what goes together in the data does so in draws
    # a class keeps its own maps where the nearest label sets lack it
    assert prior.counts.tolist() == [[50, 50, 50]] * 2
    nearer = prior.codes(present[0], scores[0], torch.tensor([1.0, 0.0, 1.0]))
    assert torch.allclose(nearer[1], prior.mean[int((prior.centres == present[0]).all(1).nonzero())][1])


def test_rare_classes_weigh_more() -> None:
    present = torch.ones(100, 3, dtype=torch.bool)
    present[:50, 1], present[4:, 2] = False, False
    prior = fit(torch.randn(100, 3, 2, generator=torch.Generator().manual_seed(0)), present)
    assert prior.weights[2] > 2 * prior.weights[1] and torch.isfinite(prior.weights).all()
    with pytest.raises(DataError, match="at least 2 maps"):
        fit(torch.zeros(1, 3, 2), present[:1])


def test_pieces() -> None:
    labels = torch.zeros(3, 16, 16, dtype=torch.long)
    labels[0, 2:8, 2:8] = 1
    labels[0, 12:14, 12:14] = 2
    labels[1, 4:8, 4:8], labels[1, 8:12, 8:12] = 1, 2  # corners touch
    assert connected_share(labels, 0).tolist() == pytest.approx([0.9, 1.0, 0.0])


class Fading(SegVAE):
    """Its hats are seen only where their codes lie near the mean, and it counts its maps."""

    decoded = 0

    def decode(self, latents: dict[str, Tensor], **given: object) -> SemanticMap:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.decoded += 1
        labels = torch.zeros(1, 16, 16, dtype=torch.long)
        labels[:, 4:12, 4:12] = SPACE.index("skin")
        if latents["z"][0, self.channels.index("hat")].abs().max() < 0.3:
            labels[:, 2:4, 4:12] = SPACE.index("hat")
        return SemanticMap(labels, SPACE)


def test_what_would_be_missing_is_drawn_nearer_to_its_mean() -> None:
    model = Fading(
        override(SegVAEConfig(), {"size": 16, "ngf": 4, "shape_dim": 12, "hidden_dim": 8, "z_dim": 6}), SPACE
    )
    classes = len(model.channels)
    ones, half = torch.ones(1, classes, dtype=torch.long), torch.ones(1, classes, 6) / 2
    prior = LocalPrior(ones, torch.ones(classes), 0 * half, half[None], ones, torch.tensor([0.5]))
    sets = [SPACE.label_set(["skin", "hat"])]
    present = model.presence(sets)
    codes = draw_codes(model, prior, present, sets, Rng(1, (7,)))
    full = prior.codes(present[0], Rng(1, (7,)).normal("score", shape=(1,))[0], torch.ones(classes))
    hat, skin = (model.channels.index(n) for n in ("hat", "skin"))
    assert full[hat].abs().max() > 0.3 and model.decoded > 1
    assert torch.equal(codes[0, skin], full[skin]) and codes[0, hat].abs().max() < 0.3


def test_the_asset_and_its_draws() -> None:
    model = small()
    data = open_data("toy-faces:8", resolution=(16, 16), space=SPACE)
    assert model.fit_asset("prior", data, SegVAETraining()) is None  # the official trainings have none
    tensors = model.fit_asset("prior", data, OPTIONS)
    assert tensors is not None and prior_fault(model, tensors) == ""
    assert tensors["centres"].shape == (3, 18) and tensors["directions"].shape == (3, 4, 18, 6)
    sets = [SPACE.label_set(FACE), SPACE.label_set(["skin", "hat"])]
    learned = model.sample_latents(sets, Rng(3, (5, 6)))
    model.assets = {**model.assets, "prior": tensors}
    drawn = model.sample_latents(sets, Rng(3, (5, 6)))
    assert drawn["z"].shape == (2, 18, 6) and torch.equal(
        drawn["z"][1:], model.sample_latents(sets[1:], Rng(3, (6,)))["z"]
    )
    assert torch.equal(learned["eps"], model.sample_latents(sets, Rng(3, (5, 6)), prior="normal")["eps"])
    assert torch.equal(model.generate(sets, latents=drawn).labels, model.generate(sets, rng=Rng(3, (5, 6))).labels)
    for name, wrong in (("mean", tensors["mean"][:, :3]), ("centres", tensors["centres"] + 2)):
        assert name in prior_fault(model, {**tensors, name: wrong})
    assert all((v.training.prior_neighbours > 0) == ("128" in n) for n, v in VARIANTS.items())  # pyright: ignore[reportAttributeAccessIssue,reportOptionalMemberAccess]


def test_without_the_asset() -> None:
    with pytest.raises(UsageError, match="zoo fit"):
        small().sample_latents([SPACE.label_set(FACE)], 0, prior="fitted")


def test_a_run_from_before_an_asset_is_replayed_without_it(run: Callable[..., Ran], tmp_path: Path) -> None:
    model, folder, out = small(), tmp_path / "model", tmp_path / "run"
    zoo.save(model, folder)
    labels = ("--labels", ",".join(FACE))
    assert run("generate", folder, *labels, "-n", 2, "--seed", 3, "--out", out, "--device", "cpu").code == 0
    data = open_data("toy-faces:8", resolution=(16, 16), space=SPACE)
    model.assets = {**model.assets, "prior": model.fit_asset("prior", data, OPTIONS)}
    zoo.save(model, folder)
    again = run("replay", out, "--out", tmp_path / "again")
    assert again.code == 0, again.err
    for name in ("maps/000000.png", "metadata.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()
    assert "prior" not in (tmp_path / "again/manifest.json").read_text().split('"sha256"')[1].split("}")[0]
    assert (
        run("generate", folder, *labels, "-n", 2, "--seed", 3, "--out", tmp_path / "new", "--device", "cpu").code == 0
    )
    assert (tmp_path / "new/maps/000000.png").read_bytes() != (out / "maps/000000.png").read_bytes()
    # a file that is no asset of the model's is another model
    (folder / "assets" / "other.json").write_text("{}")
    refused = run("replay", out)
    assert refused.code != 0 and "other digests" in refused.err
