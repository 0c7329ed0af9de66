"""SIMS: segments, the bank, retrieval, styles, canvases, what its three networks learn from, files, and what may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from fixtures_models import Ran
from gan_tiny import SPACE, block_maps
from training_steps import TwoPairs, take_step

import zoo
from zoo.cards import read_card
from zoo.data import Batch, PairData
from zoo.data.specs import open_data
from zoo.errors import ConfigError, DataError, UsageError, WeightsError
from zoo.files.tensors import read_tensors, save_tensors
from zoo.inference.optimize import optimize
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.sims import official, retrieval
from zoo_plugins.sims.bank import Bank, bank_fault, fit_bank
from zoo_plugins.sims.canvas import behind
from zoo_plugins.sims.config import VARIANTS, SIMSConfig, SIMSOptions
from zoo_plugins.sims.finding import overlaps_of, taken
from zoo_plugins.sims.lessons import depth_of
from zoo_plugins.sims.model import SIMS
from zoo_plugins.sims.moving import changes, moved_segments
from zoo_plugins.sims.ordering import coverings, ground_depth, nearer, neighbours
from zoo_plugins.sims.pasting import recoloured, rotated
from zoo_plugins.sims.roles import roles_of
from zoo_plugins.sims.segments import find_segments, with_thin
from zoo_plugins.sims.trainer import SIMSTrainer

pytestmark = pytest.mark.usefixtures("one_thread")
TINY: dict[str, Any] = {
    "label_space": "celebamask-hq", "void": "", "resolution": 64, "aspect_ratio": 1.0, "scale": 0, "widths": (6, 6, 8, 8),
    "transform_widths": (4, 4, 6, 8), "order_widths": (4, 4, 6, 8, 12), "segment_pixels": 20, "bands": (3, 6, 4, 8), "parity": False,
}  # fmt: skip
OPTIONS = SIMSOptions(steps=10, batch_size=2, perceptual="none", lr=3e-3, transform_lr=1e-3, order_lr=3e-3, growth=())
STREETS = label_space("gta5")


def sims(**fields: Any) -> SIMS:
    torch.manual_seed(0)
    config = SIMSConfig(**(TINY | fields))
    return SIMS(config, label_space(config.label_space)).eval()


@pytest.fixture(scope="module")
def pairs() -> PairData:
    """Toy faces at the tiny model's size."""
    return open_data("toy-faces:6", resolution=64)


@pytest.fixture(scope="module")
def model(pairs: PairData) -> SIMS:
    """With a bank of them."""
    made = sims()
    made.assets["bank"] = fit_bank(made, pairs)
    return made


# --- segments and retrieval -------------------------------------------------------------------------------------------


def test_thin_classes_do_not_cut_what_lies_behind() -> None:
    labels = torch.full((2, 6, 9), 9)
    labels[0, 1:5, 1:8] = 2
    labels[0, :, 4] = 5  # a pole through a building
    labels[1, 0, 0], labels[1, 3, 3:6] = 2, 5
    labels[1, 2, 4] = 3  # one pixel on three of a pole: no segment
    found = find_segments(labels, 8, (5, 6))
    assert found.table.tolist() == [[0, 2, 1, 24], [0, 5, 1, 6], [1, 2, 1, 1], [1, 5, 1, 3]]
    assert found.alone(1).table.tolist() == [[0, 2, 1, 1], [0, 5, 1, 3]]
    assert int(found.numbers[1, 2, 4]) == 0 and int(found.numbers[0, 0, 0]) == 0
    (whole,) = with_thin(found.masks(torch.tensor([0])), labels[:1] == 5)
    assert bool(whole[1:5, 1:8].all()) and int(whole.sum()) == 28  # the pole inside the building's box
    apart = find_segments(labels, 8, ())
    assert apart.table.tolist()[:2] == [[0, 2, 1, 12], [0, 2, 2, 12]]
    assert int(apart.numbers[0, 2, 1]) == 1  # numbered column by column


def test_overlaps_are_those_of_masks(model: SIMS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "PIXELS", 1 << 12)  # several pieces
    bank = model.bank()
    own = find_segments(model.indices(block_maps(1, 64, seed=3)), 19, ())
    rows = torch.arange(len(own.table))
    found = overlaps_of(own, rows, bank)
    masks, theirs = own.masks(rows).flatten(1).float(), bank.masks(torch.arange(len(bank.table))).flatten(1).float()
    inside = masks @ theirs.T
    expected = inside / (masks.sum(1)[:, None] + theirs.sum(1) - inside)
    expected[own.table[:, 1][:, None] != bank.table[:, 1]] = 0
    torch.testing.assert_close(found, expected)
    some = overlaps_of(own, rows, bank, torch.tensor([1, 4]))
    kept = torch.isin(bank.photo_of, torch.tensor([1, 4]))
    assert torch.equal(some, torch.where(kept, found, 0.0))


def test_slots_of_the_authors_and_the_best() -> None:
    scores = torch.tensor([[0.5, 0.3, 0.9, 0.4, 0.1]])
    photos = torch.tensor([0, 0, 1, 1, 2])
    slips = retrieval.official(scores, photos, 2)
    torch.testing.assert_close(slips.scores, torch.tensor([[0.3, 0.4]]))  # of each photo the last
    assert slips.rows.tolist() == [[1, 3]]
    assert retrieval.best(scores, 2).rows.tolist() == [[2, 0]]
    none = retrieval.best(torch.zeros(1, 5), 7)
    assert none.rows.tolist() == [[-1] * 7]


# --- the bank ---------------------------------------------------------------------------------------------------------


def test_a_bank_is_read_as_it_was_written(model: SIMS, pairs: PairData, tmp_path: Path) -> None:
    tensors = model.assets["bank"]
    batch = pairs.batch(range(len(pairs)))
    assert batch.images is not None
    assert torch.equal(tensors["photos"], (batch.images * 255).round().to(torch.uint8))
    assert torch.equal(tensors["labels"].long(), model.indices(batch.maps))
    bank = Bank(tensors)
    assert [bank.name(i) for i in range(len(bank))] == list(batch.names)
    rows = torch.tensor([0, len(bank.table) - 1])
    for picture, mask, row in zip(bank.cut_out(rows, 0), bank.masks(rows), rows, strict=True):
        assert int(mask.sum()) == int(bank.table[row, 3])
        assert torch.equal(picture, batch.images[bank.photo_of[row]] * mask)
    assert len(fit_bank(model, pairs, 2)["photos"]) == 2
    again = zoo.load(zoo.save(model, tmp_path / "model"))
    assert all(torch.equal(again.assets["bank"][k], v) for k, v in tensors.items())


def test_a_wrong_bank_is_refused_in_a_sentence(model: SIMS, tmp_path: Path) -> None:
    tensors = model.assets["bank"]
    assert bank_fault(model, tensors) == ""
    table = tensors["table"].clone()
    table[0, 0] = 99
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"table": table}, "photos or classes that are not there"),
        ({"table": tensors["table"].flip(0)}, "not in the order of the photos"),
        ({"segments": tensors["segments"] + 999}, "segments that its table lacks"),
        ({"labels": torch.full_like(tensors["labels"], 77)}, "classes beyond 19"),
        ({"photos": tensors["photos"].long()}, "photos is not of torch.uint8"),
        ({"photos": tensors["photos"][..., :32]}, "photos has the shape"),
        ({"table": tensors["table"][:0], "segments": tensors["segments"] * 0}, "no photos or no segments"),
    ]
    for change, words in wrong:
        assert words in bank_fault(model, tensors | change), words
    folder = zoo.save(model, tmp_path / "model")
    save_tensors(tensors | wrong[0][0], folder / "assets/bank.safetensors")
    with pytest.raises(WeightsError, match="not the asset bank of this SIMS"):
        zoo.load(folder)


def test_without_a_bank_one_sentence_names_the_command(tmp_path: Path, run: Callable[..., Ran]) -> None:
    bare, maps = sims(), block_maps(1, 64)
    assert bare.styles == frozenset()
    for call in (lambda: bare.layout(maps), lambda: bare.synthesize(maps, rng=0), lambda: bare.sample_style(maps, 0)):
        with pytest.raises(UsageError, match="zoo fit MODEL bank --data"):
            call()
    folder = zoo.save(bare, tmp_path / "bare")
    ran = run("compose", f"mask-vae-celeba+{folder}", "--seed", 0, "--out", tmp_path / "none", "--device", "cpu")
    assert ran.code != 0 and "zoo fit" in ran.err
    ran = run("fit", folder, "bank", "--data", "toy-faces:4", "--set", "bank_pairs=3", "--out", tmp_path / "mine")
    assert ran.code == 0, ran.err
    assert len(read_tensors(tmp_path / "mine/assets/bank.safetensors")["photos"]) == 3
    made = zoo.compose(("mask-vae-celeba", str(tmp_path / "mine")), device="cpu")(n=1, seed=0)
    assert made.images is not None and made.images.shape == (1, 3, 64, 64)


def test_cards_say_whose_photos_a_bank_holds(tmp_path: Path, run: Callable[..., Ran]) -> None:
    sizes = {k: ",".join(map(str, v)) if isinstance(v, tuple) else v for k, v in TINY.items() if k != "label_space"}
    more = {
        "steps": 1,
        "perceptual": "none",
        "preview_every": 1,
        "validate_every": 1,
        "precision": "fp32",
        "channels_last": "false",
    }
    changes = [x for k, v in (sizes | more).items() for x in ("--set", f"{k}={v}")]
    ran = run(
        "train", "sims/celeba-128", "--data", "toy-faces:4", "--device", "cpu", "--out", tmp_path / "run", *changes
    )
    assert ran.code == 0, ran.err
    card = read_card(tmp_path / "run/model")
    assert card is not None and "assets/bank.safetensors" in card.files
    held = [limit for limit in card.limits if "holds photos of toy-faces" in limit]
    assert len(held) == 1 and "(Apache-2.0)" in held[0]
    ran = run("fit", tmp_path / "run/model", "bank", "--data", "toy-faces:3", "--device", "cpu")
    assert ran.code == 0, ran.err
    again = read_card(tmp_path / "run/model")
    assert again is not None and again.facts["fitted"]["bank"]["data_license"] == "Apache-2.0"
    assert len([limit for limit in again.limits if "holds photos of" in limit]) == 1


# --- styles and canvases ----------------------------------------------------------------------------------------------


def test_a_style_says_which_candidate_and_what_is_left_out(model: SIMS, pairs: PairData) -> None:
    maps = pairs.batch([0]).maps
    (found,) = model.layout(maps).found
    count = (found.candidates.rows >= 0).sum(1)
    assert bool((count > 1).any()) and bool((found.candidates.scores[:, 0] >= found.candidates.scores[:, 1]).all())
    none, all_ = torch.zeros(19, dtype=torch.bool), torch.ones(19, dtype=torch.bool)
    assert torch.equal(taken(found, torch.zeros(19), none), found.candidates.rows[:, 0])
    last = found.candidates.rows.gather(1, (count - 1).clamp_min(0)[:, None])[:, 0]
    assert torch.equal(taken(found, torch.ones(19), none), last)
    assert bool((taken(found, torch.zeros(19), all_) == -1).all())
    mean = model.sample_style(maps, prior="mean")
    assert torch.equal(model.synthesize(maps, mean), model.synthesize(maps, mean, rng=5))
    left = replace(mean, tensors={**mean.tensors, "left": torch.ones(1, 19)})
    (canvas,) = model.canvases(model.layout(maps), left)
    assert float(canvas.picture.sum()) == 0 and torch.equal(canvas.labels, found.labels)
    drawn = [model.sample_style(maps, seed) for seed in range(20)]
    assert 0.02 < float(torch.stack([s.tensors["left"] for s in drawn]).mean()) < 0.25
    hair = model.resample(mean, maps, classes=["hair"], rng=3)
    differs = (hair.tensors["rank"] != mean.tensors["rank"])[0]
    assert [model.classes[i] for i in differs.nonzero()[:, 0]] == ["hair"]
    with pytest.raises(UsageError, match=r"holds rank and left \[samples, 19\]"):
        model.synthesize(maps, replace(mean, tensors={**mean.tensors, "noise": torch.zeros(1, 32, 32)}))
    with pytest.raises(UsageError, match="has no prior 'normal'"):
        model.sample_style(maps, 0, prior="normal")


def test_a_map_of_the_bank_gets_its_own_photo_on_the_canvas(model: SIMS, pairs: PairData) -> None:
    """The best candidate of every segment is the segment itself; the transformation's start moves nothing."""
    batch = pairs.batch([2])
    assert batch.images is not None
    layout = model.layout(batch.maps)
    (canvas,) = model.canvases(layout, model.sample_style(batch.maps, prior="mean"))
    same = (canvas.picture - batch.images[0]).abs().amax(0) < 1e-6
    filled = canvas.picture.sum(0) > 0
    assert float(filled.float().mean()) > 0.5 and float(same[filled].float().mean()) > 0.6  # the rest are white bands
    assert bool((canvas.labels[filled] == layout.found[0].labels[filled]).float().mean() > 0.9)


def test_maps_without_a_segment_are_the_networks_alone(model: SIMS) -> None:
    """Nothing is large enough, or nothing of the bank meets it: an empty canvas, and a picture all the same."""
    maps = block_maps(2, 64)
    speckled = SemanticMap(torch.randint(0, 19, (1, 64, 64), generator=torch.Generator().manual_seed(0)), SPACE)
    other = sims(segment_pixels=2000)
    other.assets = dict(model.assets)
    for some, given in ((other, maps), (model, speckled)):
        layout = some.layout(given)
        canvases = some.canvases(layout, some.sample_style(given, 0))
        assert all(float(c.picture.sum()) == 0 for c in canvases)
        assert all(torch.equal(c.labels, f.labels) for c, f in zip(canvases, layout.found, strict=True))
        assert bool(some.synthesize(given, rng=0).isfinite().all())
    trainer, batch = trained(OPTIONS, segment_pixels=4000)
    losses = take_step(trainer, batch, 0)
    assert losses["transform"] == 0 and losses["order"] > 0 and losses["perceptual"] > 0


def test_what_lies_behind_a_piece_in_front() -> None:
    filled = torch.tensor([[0, 0, 1, 1, -1]])
    shown = torch.tensor([[False, True, True, True, True]])
    front = {(0, 2): True, (1, 2): False}
    ask = lambda earlier, later: front.get((earlier, later))  # noqa: E731
    assert behind(2, shown, filled, ask, parity=False).tolist() == [[False, True, False, False, False]]
    assert behind(2, shown, filled, ask, parity=True).tolist() == [[False, False, True, True, False]]


def test_classes_play_parts_by_name() -> None:
    roles = roles_of(SIMSConfig(), STREETS, STREETS.names)
    assert roles.classes == 19 and roles.order[:3] == (10, 2, 9) and len(set(roles.order)) == 19
    assert roles.context == (0, 1, 3, 4, 8, 9, 10) and roles.thin == (5, 6, 7)
    faces = roles_of(SIMSConfig(**TINY), SPACE, SPACE.names)
    names = [SPACE.names[i] for i in faces.order]
    assert names[0] == "background" and names.index("skin") < names.index("nose") and len(names) == 19
    with pytest.raises(ConfigError, match="void"):
        SIMS(SIMSConfig(channels=STREETS.names[::-1]), STREETS)


def test_the_inference_form_is_equal(model: SIMS, pairs: PairData) -> None:
    maps = pairs.batch([0, 1]).maps
    fast: Any = optimize(model)
    style = model.sample_style(maps, 0)
    torch.testing.assert_close(fast.synthesize(maps, style), model.synthesize(maps, style), atol=2e-5, rtol=0)


# --- training ---------------------------------------------------------------------------------------------------------


def test_segments_are_moved_inside_the_picture() -> None:
    photo = torch.rand(3, 32, 48)
    masks = torch.zeros(3, 32, 48, dtype=torch.bool)
    masks[0, 10:20, 10:30], masks[1, :8, :48], masks[2, 20:26, 4:10] = True, True, True
    edges = torch.tensor([[10.0, 19, 10, 29], [0, 7, 0, 47]])
    scales, shifts = changes(edges, torch.tensor([[1.0, 1, -1], [1, 1, 1]]), photo.shape[1:])
    assert scales.tolist() == pytest.approx([1.1, 1]) and shifts.flatten().tolist() == pytest.approx(
        [0.625, -0.3125, 0, 0]
    )
    moved = moved_segments(photo, masks, 2, Rng(0))
    assert moved.proposals.shape == (2, 3, 32, 48) and bool(
        torch.isin(moved.masks.sum((1, 2, 3)), masks.sum((1, 2)).float()).all()
    )
    overlap = ((moved.proposals.sum(1) > 0) & (moved.masks[:, 0] > 0)).sum((1, 2)) / moved.masks.sum((1, 2, 3))
    assert bool((overlap > 0.7).all())
    empty = moved_segments(photo, masks[:0], 2, Rng(0))
    assert empty.proposals.shape == (1, 3, 32, 48) and float(empty.masks.sum()) == 0


def test_colours_take_the_mean_and_covariance_of_others() -> None:
    generator = torch.Generator().manual_seed(0)
    photo, target = 0.4 + 0.1 * torch.rand(2, 3, 20, 20, generator=generator)
    target = target * torch.tensor([1.2, 0.8, 1.0])[:, None, None]
    mask = torch.ones(20, 20, dtype=torch.bool)
    made = recoloured(photo, mask, target)
    torch.testing.assert_close(made.flatten(1).mean(1), target.flatten(1).mean(1), atol=2e-3, rtol=0)
    torch.testing.assert_close(torch.cov(made.flatten(1)), torch.cov(target.flatten(1)), atol=2e-4, rtol=0.05)
    assert torch.equal(rotated(mask, 0.0, (0.0, 0.0)), mask)
    bar = torch.zeros(21, 41, dtype=torch.bool)
    bar[10, 5:36] = True
    turned = rotated(bar, 10.0, (0.0, 0.0))
    assert bool(turned[10, 20]) and not bool(turned[10, 6]) and bool(turned[:, 8].any())


def test_who_is_in_front() -> None:
    roles = roles_of(SIMSConfig(), STREETS, STREETS.names)
    labels = torch.full((1, 20, 40), 10)  # sky
    labels[0, 12:], labels[0, 6:14, 4:12], labels[0, 6:18, 11:20] = 0, 2, 13  # road, building, car
    segments = find_segments(labels, 19, roles.thin)
    rows = torch.arange(len(segments.table))
    pairs = neighbours(segments, rows, roles.order, 10)
    kinds = [tuple(int(segments.table[row, 1]) for row in pair) for pair in pairs]
    assert kinds == [(10, 2), (10, 0), (10, 13), (2, 0), (2, 13), (0, 13)]  # the farther class first
    by_place = nearer(segments, pairs, ground_depth(segments), None, roles)
    assert by_place.tolist() == [3, 1, 14, 1, 14, 14]
    depth = torch.where(labels[0] == 2, 9.0, 1.0)  # the building is nearest
    assert nearer(segments, pairs, depth, None, roles).tolist()[3:] == [
        3,
        3,
        14,
    ]  # a car is before the road in any case
    covers = torch.zeros(19, 19, dtype=torch.int64)
    covers[13, 2] = 5
    assert nearer(segments, pairs, depth, covers, roles).tolist()[4] == 14


def test_what_lies_on_what_is_counted() -> None:
    labels = torch.full((1, 4, 4), SPACE.index("skin"))
    labels[0, 1, 1:3] = SPACE.index("nose")
    batch = Batch(None, SemanticMap(labels, SPACE), ("a",))
    covers = coverings(batch, range(19), labels, 20)
    assert covers is not None
    assert int(covers[0, SPACE.index("nose"), SPACE.index("skin")]) == 2
    assert int(covers[0, SPACE.index("skin"), SPACE.index("nose")]) == 0


def trained(options: SIMSOptions, maps: SemanticMap | None = None, **fields: Any) -> tuple[SIMSTrainer, Any]:
    """A trainer with its bank, and the two pairs that it learns from."""
    data: Any = TwoPairs(block_maps(2, 64, classes=4) if maps is None else maps)
    batch = data.batch
    trainer = SIMSTrainer(sims(**fields).train(), options)
    source: Any = Asked(batch)
    trainer.prepare(source)
    return trainer, batch


class Asked:
    """A batch as a data set."""

    has_images = True

    def __init__(self, batch: Batch) -> None:
        self.whole, self.names = batch, batch.names

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, indices: Any) -> Batch:
        """These pairs."""
        rows, images = list(indices), self.whole.images
        return Batch(
            None if images is None else images[rows], self.whole.maps[rows], tuple(self.names[i] for i in rows)
        )

    def batches(self, size: int) -> Any:
        """All of it."""
        yield self.whole


def test_three_networks_learn() -> None:
    trainer, batch = trained(OPTIONS)
    losses = [take_step(trainer, batch, i) for i in range(25)]
    assert list(losses[0]) == ["transform", "order", "perceptual", "semantic"]
    for name in ("order", "perceptual", "semantic"):
        early, late = (sum(step[name] for step in part) for part in (losses[:5], losses[-5:]))
        assert late < 0.9 * early, (name, early, late)
    assert trainer.validate(Asked(batch)) == trainer.validate(Asked(batch))  # pyright: ignore[reportArgumentType]
    shown = trainer.preview(batch, Rng(0, [0, 1]))
    assert list(shown) == ["map", "photo", "canvas", "image", "retrieved"] and shown["canvas"].shape == (2, 3, 64, 64)


def test_the_transformation_learns_to_move_back() -> None:
    """A segment that was always moved by the same step comes back to where it belongs."""
    from zoo_plugins.sims.transform import composite, transform_loss
    from zoo_plugins.sims.warp import warp

    network = sims().transform.train()
    photo = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4), 64, mode="bilinear")[0]
    masks = torch.zeros(1, 1, 64, 64)
    masks[..., 20:40, 16:44] = 1
    proposal = (photo * masks[0]).roll(6, 2)[None]
    planes = torch.zeros(1, 20, 64, 64)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    losses = []
    for _ in range(40):
        theta = network(proposal, masks, planes)
        loss = transform_loss(composite(warp(proposal, theta), masks), photo, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[-5:]) < 0.7 * losses[0]


def test_one_network_alone() -> None:
    trainer, batch = trained(replace(OPTIONS, train=("order",)))
    before = {k: v.clone() for k, v in trainer.synthesizer.state_dict().items()}
    assert list(take_step(trainer, batch, 0)) == ["order"]
    moved = {k.split(".")[0] for k, v in trainer.synthesizer.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"order"}


def test_rates_grow_and_settle() -> None:
    trainer = SIMSTrainer(sims(), replace(VARIANTS["cityscapes-256"].training, perceptual="none"))
    assert trainer.rates(0.5, 0) == pytest.approx({"transform": 1e-5, "order": 1e-6, "synthesis": 1e-6})
    assert trainer.rates(10, 0) == pytest.approx(
        {"transform": 1e-5, "order": 1e-6 * 1.1**10, "synthesis": 1e-6 * 1.1**10}
    )
    assert trainer.rates(111, 0)["synthesis"] > 1e-4 and trainer.rates(112, 0)["synthesis"] == 1e-4
    assert trainer.rates(90, 0)["order"] == 1e-5


def test_disparities_lie_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no disparity of 2 of 2 pairs, the first a"):
        trained(replace(OPTIONS, disparity=str(tmp_path)))
    for name in ("a", "b"):
        values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
        PIL.Image.fromarray(values).save(tmp_path / f"{name}_disparity.png")
    trainer, batch = trained(replace(OPTIONS, disparity=str(tmp_path)))
    segments = trainer.read(batch)[2]
    assert depth_of(trainer.synthesizer, trainer.options, "a", segments[0])[1, :3].tolist() == [1024, 1040, 1056]
    assert take_step(trainer, batch, 0)["order"] > 0


def test_options_and_configs_that_cannot_be() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"scale": 3}, "scale must be 0, 1 or 2"),
        ({"resolution": 96}, "multiple of 64"),
        ({"widths": (4, 4)}, "widths needs 4 positive numbers"),
        ({"order_columns": 0.0}, "order_columns is a share"),
        ({"drop": 2.0}, "drop is a share"),
        ({"slots": 0}, "slots must be at least 1"),
    ]
    for fields, words in wrong:
        with pytest.raises(ConfigError, match=words):
            SIMSConfig(**(TINY | fields))
    options: list[tuple[dict[str, Any], str]] = [
        ({"train": ("painting",)}, "train names some of transform, order, synthesis"),
        ({"pairs": 0}, "pairs must be at least 1"),
        ({"recolour": 3.0}, "recolour is a probability"),
        ({"disparity": "x", "flip": True}, "unchanged photos"),
    ]
    for fields, words in options:
        with pytest.raises(ConfigError, match=words):
            SIMSOptions(**fields)
    with pytest.raises(DataError, match="learns from photos"):
        maps = block_maps(2, 64)
        data: Any = Asked(Batch(None, maps, ("a", "b")))
        data.has_images = False
        SIMSTrainer(sims(), OPTIONS).prepare(data)


# --- files ------------------------------------------------------------------------------------------------------------


def test_three_checkpoints_become_one_model(model: SIMS, tmp_path: Path, run: Callable[..., Ran]) -> None:
    from safetensors.torch import save_file

    files = []
    for role in official.ROLES:
        state = {k.removeprefix(f"{role}."): v for k, v in model.state_dict().items() if k.startswith(f"{role}.")}
        save_file(
            {official.official_name(k): v.contiguous() for k, v in state.items()}, tmp_path / f"{role}.safetensors"
        )
        files.append(tmp_path / f"{role}.safetensors")
    stated = {
        "label_space": "celebamask-hq", "void": "", "resolution": 64, "aspect_ratio": 1.0, "segment_pixels": 20, "parity": "false",
        "bands": "3,6,4,8",
    }  # fmt: skip
    changes = [x for k, v in stated.items() for x in ("--config", f"{k}={v}")]
    ran = run("convert", *files[::-1], "--out", tmp_path / "out", *changes)
    assert ran.code == 0, ran.err
    made = zoo.load(tmp_path / "out")
    assert all(torch.equal(v, made.state_dict()[k]) for k, v in model.state_dict().items())
    assert made.config.transform_widths == (4, 4, 6, 8) and not made.assets
    ran = run("convert", *files[1:], "--out", tmp_path / "less", "--config", "scale=0", *changes)
    assert ran.code != 0 and "also has the network synthesis" in ran.err
    with pytest.raises(WeightsError, match="networks of SIMS are synthesis, transform, order"):
        official.convert({"generator": {}})
