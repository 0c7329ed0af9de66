"""mask-vae's asset `outlines`: blurred scores, sizes of parts, parts that would be empty; without it the paper's network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo
from zoo.configs import override
from zoo.data.specs import open_data
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.mask_vae.config import VARIANTS, MaskVaeConfig, MaskVaeTraining
from zoo_plugins.mask_vae.model import SemanticVAE
from zoo_plugins.mask_vae.outlines import CELLS, Outlines, blurred, outlines_fault, part_areas

SPACE = label_space("celebamask-hq")
TINY = {
    "latent": 16, "encoder_side": 16, "encoder_widths": (12, 8), "lstm_layers": 1, "decoder_width": 8,
    "decoder_widths": (8, 4), "groups": 2,
}  # fmt: skip


def outlines(sigma: float = 0.0, offsets: tuple[float, ...] = (0.0, 0.0), least: tuple[int, ...] = (0, 0)) -> Outlines:
    places = torch.zeros(2, CELLS, CELLS, dtype=torch.long)
    places[:, CELLS // 2 :] = 1  # the lower half
    return Outlines(torch.tensor([sigma]), torch.tensor(offsets), torch.tensor(least), places)


def scores(first: float, second: float) -> Tensor:
    """Two parts on 16 x 16 pixels: the first everywhere, the second on the left half."""
    planes = torch.full((1, 2, 16, 16), first)
    planes[:, 1] = -5.0
    planes[:, 1, :, :8] = second
    return planes


BOTH = torch.ones(1, 2, dtype=torch.bool)


def test_offsets_and_absent_parts() -> None:
    made = outlines().classes(scores(2.0, 3.0), BOTH, "zero")
    assert part_areas(made, 2).tolist() == [[128.0, 128.0]]
    assert part_areas(outlines(offsets=(0.0, -2.0)).classes(scores(2.0, 3.0), BOTH, "zero"), 2).tolist() == [
        [256.0, 0.0]
    ]
    only = torch.tensor([[False, True]])
    assert part_areas(outlines().classes(scores(2.0, 3.0), only, "zero"), 2).tolist() == [[0.0, 128.0]]
    # the background's rule sees the scores without offsets
    assert not bool(outlines(offsets=(9.0, 9.0)).classes(scores(-2.0, -3.0) - 9, BOTH, "sum").any())


def test_a_requested_part_that_would_be_empty_gets_its_best_pixels() -> None:
    planes = scores(2.0, 1.0)
    planes[0, 1, 2, 2], planes[0, 1, 12, 3] = 1.9, 1.8  # the best of all lies where such parts are not
    assert not bool((outlines().classes(planes, BOTH, "zero") == 2).any())
    made = outlines(least=(8, 8)).classes(planes, BOTH, "zero")[0]
    rows, columns = (made == 2).nonzero().T
    assert len(rows) == 8 and made[12, 3] == 2 and int(rows.min()) >= 8
    assert float((rows - 12).square().max()) <= 8 and float((columns - 3).square().max()) <= 8
    absent = outlines(least=(8, 8)).classes(planes, torch.tensor([[True, False]]), "zero")
    assert not bool((absent == 2).any())


def test_blur() -> None:
    stairs = torch.zeros(1, 1, 32, 32)
    for i in range(0, 32, 4):
        stairs[..., i : i + 4, : 8 + i // 2 * 2 // 2] = 1.0
    soft = blurred(stairs, torch.tensor([1.5]))
    assert torch.allclose(soft.sum(), stairs.sum(), rtol=0.02) and float(soft.diff(dim=3).abs().max()) < 0.3
    assert torch.equal(blurred(stairs, torch.tensor([0.0])), stairs)
    assert torch.allclose(blurred(torch.ones(1, 2, 8, 8), torch.tensor([1.5])), torch.ones(1, 2, 8, 8))


def test_the_asset_of_a_model() -> None:
    torch.manual_seed(0)
    model = SemanticVAE(override(MaskVaeConfig(), TINY), SPACE).eval()
    data = open_data("toy-faces:12", resolution=model.resolution, space=SPACE)
    sets = [SPACE.label_set(["skin", "hair", "nose"]), SPACE.label_set(["skin", "l_eye"])]
    before = model.generate(sets, rng=Rng(1, (0, 1))).labels
    assert model.fit_asset("outlines", data, MaskVaeTraining()) is None  # the official trainings have none
    tensors = model.fit_asset("outlines", data, MaskVaeTraining(outline_sigma=1.0, prior_components=2))
    assert tensors is not None and outlines_fault(model, tensors) == ""
    model.assets = {"outlines": tensors}
    latents = model.sample_latents(sets, Rng(1, (0, 1)))
    made = model.generate(sets, latents=latents).labels
    assert not torch.equal(made, before)
    for labels, label_set in zip(made, sets, strict=True):
        assert {SPACE.names[v] for v in labels.unique().tolist()} <= {*label_set.names, "background"}
    fast = zoo.optimize(model)
    assert isinstance(fast, SemanticVAE)
    assert (fast.generate(sets, latents=latents).labels == made).float().mean() > 0.99
    plain = model.decode(latents).labels  # without label sets: the network alone
    model.assets = {}
    assert torch.equal(model.decode(latents).labels, plain)
    for name, wrong in (("sigma", torch.tensor([99.0])), ("offsets", tensors["offsets"][:3])):
        assert name in outlines_fault(model, {**tensors, name: wrong})


@pytest.mark.parametrize("name", VARIANTS)
def test_official_variants_stay_exact(name: str) -> None:
    training = VARIANTS[name].training
    assert isinstance(training, MaskVaeTraining) and (training.outline_sigma > 0) == (name == "celeba-128")
