"""Pictures matched to photos by the maximum mean discrepancy: kernel, descriptors, banks, and trainings with it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from test_projected import SIDE, TinyFeatures, loop
from torch import Tensor, distributed
from training_tiny import differences

from zoo.data import PairData, open_source
from zoo.data.specs import parse_spec
from zoo.errors import ConfigError, DataError, UsageError
from zoo.families.spade.options import FEWEST, GanOptions
from zoo.families.spade.photo_matching import describe, match_photos, regions_of
from zoo.nn import pretrained
from zoo.nn.matching import BANDS, KERNEL_SHAPES, WEIGHTS, PhotoMatching, band_energies, descriptors, kernel, seen_by
from zoo.nn.one_batch import AsOneBatch, Share

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def tiny_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pretrained.FEATURES, "tiny", TinyFeatures)  # type: ignore[arg-type]


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- what is compared ---------------------------------------------------------------------------------------------


def test_the_kernel_by_hand() -> None:
    a, b = rows(3, 5), rows(4, 5, seed=1)
    found = kernel(a, b)
    for i in range(3):
        for j in range(4):
            distance = sum((float(x) - float(y)) ** 2 for x, y in zip(a[i], b[j], strict=True)) / 10
            values = [(1 + distance / alpha) ** -alpha for alpha in KERNEL_SHAPES]
            assert float(found[i, j]) == pytest.approx(sum(values) / len(values), rel=1e-5)
    assert torch.allclose(kernel(a, a).diagonal(), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("cycles", [2, 5, 20, 60])
def test_a_wave_lies_in_its_band(cycles: int) -> None:
    side = 128
    wave = torch.sin(2 * math.pi * cycles * torch.arange(side) / side).expand(1, 3, side, side)
    expected = math.floor(math.log2(cycles / 2) / math.log2(side / 4) * BANDS)
    for picture in (wave, wave.mT):
        found = band_energies(picture)[0]
        assert found.shape == (BANDS,) and abs(int(found.argmax()) - expected) <= 1  # the window blurs the lowest
    louder = band_energies(2 * wave)[0] - band_energies(wave)[0]
    assert float(louder[int(band_energies(wave).argmax())]) == pytest.approx(math.log(4), abs=1e-2)


def test_descriptors() -> None:
    images, features = rows(3, 3, 16, 24).tanh(), [rows(3, 5, 4, 6, seed=1), rows(3, 7, 2, 3, seed=2)]
    head = torch.nn.Conv2d(7, 9, 1)
    found = descriptors(images, [f.bfloat16() for f in features], lambda f: head(f.float()))
    sizes = {"depth_0": 10, "depth_1": 14, "head": 9, "bands": BANDS, "colours": 6}
    assert {k: tuple(x.shape) for k, x in found.items()} == {k: (3, size) for k, size in sizes.items()}
    assert all(x.dtype == torch.float32 and bool(x.isfinite().all()) for x in found.values())
    torch.testing.assert_close(found["head"], head(features[1].bfloat16().float()).mean((2, 3)))
    torch.testing.assert_close(found["colours"][:, :3], images.mean((2, 3)))
    torch.testing.assert_close(found["colours"][:, 3:], images.std((2, 3), unbiased=False), atol=1e-4, rtol=1e-4)
    flat = descriptors(torch.zeros(2, 3, 16, 16, requires_grad=True), [])
    torch.stack([x.sum() for x in flat.values()]).sum().backward()  # no root or logarithm of 0


# --- the loss -----------------------------------------------------------------------------------------------------


def test_its_gradient_is_that_of_the_squared_mmd() -> None:
    """Where the bank holds the very pictures: exactly, level by level."""
    photos = {"depth_0": rows(40, 4), "head": 3 * rows(40, 6, seed=1)}
    made = {"depth_0": rows(20, 4, seed=2) + 1, "head": rows(20, 6, seed=3)}
    matching = PhotoMatching(photos, groups=1, bank=20, fewest=16)
    one = torch.zeros(20, dtype=torch.long)
    assert float(matching(made, one)) == 0  # nothing to compare with yet
    leaves = {name: x.clone().requires_grad_(True) for name, x in made.items()}
    matching(leaves, one).backward()
    for name, leaf in leaves.items():
        real = photos[name]
        deviation = real.std(0) if name != "head" else real.std(0).square().mean().sqrt()
        x = ((made[name] - real.mean(0)) / deviation).requires_grad_(True)
        y = (real - real.mean(0)) / deviation
        share = WEIGHTS.get(name, 1) / (1 + WEIGHTS["head"])
        (share * (kernel(x, x).mean() - 2 * kernel(x, y).mean())).backward()
        assert leaf.grad is not None and x.grad is not None
        torch.testing.assert_close(leaf.grad * deviation, x.grad, atol=1e-7, rtol=1e-4)


def test_equal_distributions_are_left_alone_and_others_drawn_in() -> None:
    photos, one = {"colours": rows(500, 4)}, torch.zeros(200, dtype=torch.long)
    values = {}
    for name, made in {
        "equal": rows(200, 4, seed=5),
        "far": rows(200, 4, seed=5) + 1,
        "narrow": rows(200, 4, seed=5) / 3,
    }.items():
        matching = PhotoMatching(photos, groups=1, bank=200, fewest=16)
        matching({"colours": made}, one)
        values[name] = float(matching({"colours": made}, one).detach())
    assert abs(values["equal"]) < 0.02 and values["far"] > 0.1 and values["narrow"] > 0.05
    x = (rows(200, 4, seed=6) / 3 + 2).requires_grad_(True)
    optimizer, matching = torch.optim.Adam([x], lr=0.05), PhotoMatching(photos, groups=1, bank=200, fewest=16)
    for _ in range(200):
        optimizer.zero_grad()
        loss = 200 * matching({"colours": x}, one)
        if loss.requires_grad:
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        assert float(x.mean(0).abs().max()) < 0.5 and 0.7 < float(x.std()) < 1.5


def test_groups_are_matched_by_themselves() -> None:
    """Halves that differ to either side would make a fine mixture; each is drawn in."""
    photos, half = {"colours": rows(300, 3)}, torch.arange(64) // 32
    made = torch.cat([rows(32, 3, seed=1) - 1, rows(32, 3, seed=2) + 1])
    matching = PhotoMatching(photos, groups=2, bank=48, fewest=16)
    matching({"colours": made}, half)
    assert matching.get_buffer("counts").tolist() == [32, 32]
    leaf = made.clone().requires_grad_(True)
    matching({"colours": leaf}, half).backward()
    assert matching.get_buffer("counts").tolist() == [48, 48]
    assert leaf.grad is not None
    assert bool((leaf.grad[:32].mean(0) < 0).all()) and bool((leaf.grad[32:].mean(0) > 0).all())
    newest = (made - photos["colours"].mean(0)) / photos["colours"].std(0)
    torch.testing.assert_close(matching.get_buffer("banks")[1, :32], newest[32:])
    assert float(PhotoMatching(photos, 2, 48, 16)({"colours": made[:0]}, half[:0])) == 0


def in_processes(where: Path, rank: int, world: int) -> None:
    """Two steps of one process's share of a batch; its gradients and the bank."""
    distributed.init_process_group("gloo", rank=rank, world_size=world)
    matching, share = PhotoMatching({"bands": rows(50, 4)}, groups=2, bank=24, fewest=4), Share(rank, world, 8)
    with AsOneBatch(share):
        for step in range(3):
            x = rows(8, 4, seed=step + 1)[share.rows].requires_grad_(True)
            loss = matching({"bands": x}, (torch.arange(8) // 4)[share.rows])
    loss.backward()
    assert x.grad is not None
    kept = {"rows": share.rows, "grad": (x.grad * share.weight).tolist(), "bank": matching.get_buffer("banks").tolist()}
    (where / f"{rank}.json").write_text(json.dumps(kept))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_several_processes_are_one(tmp_path: Path) -> None:
    matching, halves = PhotoMatching({"bands": rows(50, 4)}, groups=2, bank=24, fewest=4), torch.arange(8) // 4
    for step in range(3):
        x = rows(8, 4, seed=step + 1).requires_grad_(True)
        loss = matching({"bands": x}, halves)
    loss.backward()
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", str(Path(__file__)), str(tmp_path)]
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    done = subprocess.run(
        [sys.executable, *launcher], capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert x.grad is not None
        torch.testing.assert_close(torch.tensor(found["grad"]), x.grad[found["rows"]], atol=1e-7, rtol=1e-4)
        torch.testing.assert_close(torch.tensor(found["bank"]), matching.get_buffer("banks"))


# --- training -----------------------------------------------------------------------------------------------------


def test_what_stands_before_the_dot_does_not_matter() -> None:
    """Of several networks each head has the weight of a head, and one deviation for all its channels."""
    head, depth, one = 3 * rows(40, 6, seed=1), rows(40, 4), torch.zeros(20, dtype=torch.long)
    values = []
    for prefix in ("", "1."):
        matching = PhotoMatching({f"{prefix}depth_0": depth, f"{prefix}head": head}, groups=1, bank=20, fewest=16)
        made = {f"{prefix}depth_0": rows(20, 4, seed=2), f"{prefix}head": rows(20, 6, seed=3)}
        matching(made, one)
        values.append(matching(made, one))
    assert float(values[0]) == float(values[1]) != 0


def test_regions_by_hand() -> None:
    maps, regions = rows(2, 3, 8, 8), torch.zeros(2, 2, 16, 16)
    regions[0, 0, :, :6] = 1  # three columns of the map, five are the other's
    regions[1, 0, 0, :5] = 1  # less than a fiftieth: nothing that can be compared
    regions[:, 1] = 1 - regions[:, 0]
    found = seen_by([maps], lambda f: f[:, :2], regions)
    assert set(found) == {f"{place}{name}" for place in ("", "region_0.", "region_1.") for name in ("depth_0", "head")}
    for place, columns in (("region_0", slice(0, 3)), ("region_1", slice(3, 8))):
        part = maps[0, :, :, columns].flatten(1)
        expected = torch.cat([part.mean(1), part.std(1, unbiased=False)])
        torch.testing.assert_close(found[f"{place}.depth_0"][0], expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found[f"{place}.head"][0], part[:2].mean(1))
    assert bool(found["region_0.depth_0"][1].isnan().all()) and bool(found["region_1.depth_0"][1].isfinite().all())
    assert bool(found["depth_0"].isfinite().all())
    everything = seen_by([maps], None, torch.ones(2, 1, 16, 16))
    torch.testing.assert_close(everything["region_0.depth_0"], everything["depth_0"], atol=1e-5, rtol=1e-4)


def test_what_a_picture_does_not_have_has_no_part_in_the_loss() -> None:
    """It counts as the photos' mean, without a gradient; regions share one descriptor's weight."""
    photos, made, one = rows(40, 4), rows(20, 4, seed=2) + 1, torch.zeros(20, dtype=torch.long)
    gaps = photos.clone()
    gaps[::2] = torch.nan
    with_gaps = PhotoMatching({"region_0.depth_0": gaps}, groups=1, bank=20, fewest=16)
    torch.testing.assert_close(with_gaps.get_buffer("mean"), photos[1::2].mean(0))
    torch.testing.assert_close(with_gaps.get_buffer("deviation"), photos[1::2].std(0))
    assert bool((with_gaps.get_buffer("photos")[::2] == 0).all())
    leaf = made.clone().requires_grad_(True)
    within = torch.where(torch.arange(20)[:, None] < 5, torch.nan, leaf)
    with_gaps({"region_0.depth_0": within.detach()}, one)
    with_gaps({"region_0.depth_0": within}, one).backward()
    assert leaf.grad is not None and bool(leaf.grad.isfinite().all())
    assert bool((leaf.grad[:5] == 0).all()) and bool((leaf.grad[5:] != 0).any(1).all())
    values = []
    for regions in (1, 3):
        names = ["depth_0", *(f"region_{i}.depth_0" for i in range(regions))]
        matching = PhotoMatching(dict.fromkeys(names, photos), groups=1, bank=20, fewest=16)
        matching(dict.fromkeys(names, made), one)
        values.append(float(matching(dict.fromkeys(names, made), one)))
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_regions_are_the_classes_with_the_most_pixels(tmp_path: Path) -> None:
    training = loop("spade", tmp_path / "run", lambda_mmd=2.0, mmd_regions=2)
    trainer: Any = training.trainer
    labels = torch.cat([training.data.batch([i]).maps.labels for i in range(len(training.data))]).flatten()
    most = sorted(set(labels.tolist()), key=lambda c: -int((labels == c).sum()))[:2]
    assert list(trainer.mmd_classes) == most and "region_2.depth_0" in trainer.matching.sizes
    [(batch, rng)] = training.sampler.batches(0)
    regions = regions_of(batch.maps, most, trainer.gan)
    assert regions is not None and regions.shape[1] == 3 and bool((regions.sum(1) == 1).all())
    torch.testing.assert_close(regions[:, 0], (batch.maps.resize(SIDE).labels == most[0]).float())
    trainer.matching.fewest = 1
    for step in range(2):
        losses = next(iter(trainer.updates(batch, rng.within("step", step), step))).losses
    assert bool(losses["mmd"].isfinite()) and float(losses["mmd"].detach()) != 0


def test_several_networks_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(TinyFeatures):
        def forward(self, images: Tensor) -> list[Tensor]:
            return super().forward(-images)

    monkeypatch.setitem(pretrained.FEATURES, "other", Other)  # type: ignore[arg-type]
    trainer: Any = loop("spade", tmp_path / "run", lambda_mmd=2.0, mmd_features="other, tiny").trainer
    images = rows(3, 3, SIDE, SIDE).tanh()
    found = describe(images, [trainer.features, *trainer.others])
    assert set(found) == set(trainer.matching.sizes) and {"depth_0", "1.depth_0", "2.depth_0", "bands"} <= set(found)
    torch.testing.assert_close(found["2.depth_0"], found["depth_0"])  # the same network
    torch.testing.assert_close(found["1.depth_0"], describe(-images, [trainer.features])["depth_0"])
    known = describe(images, [trainer.features, *trainer.others], trainer.features(images))
    assert all(torch.equal(known[name], found[name]) for name in found)
    assert loop("spade", tmp_path / "off", mmd_features="other").trainer.others == []  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="No feature network 'lite3'"):
        loop("spade", tmp_path / "wrong", lambda_mmd=2.0, mmd_features="lite3")


@pytest.mark.parametrize("name", ["spade", "scgan", "clvae"])
def test_it_is_a_loss_of_both_halves(name: str, tmp_path: Path) -> None:
    training = loop(name, tmp_path / "run", lambda_mmd=2.0, mmd_photos=5)
    trainer: Any = training.trainer
    matching = trainer.matching
    assert len(matching.photos) == 5 < len(training.data) and matching.counts.tolist() == [0, 0]
    matching.fewest = 1
    [(batch, rng)] = training.sampler.batches(0)
    for step in range(3):
        losses = next(iter(trainer.updates(batch, rng.within("step", step), step))).losses
    assert matching.counts.tolist() == [6, 3] and float(losses["mmd"].detach()) != 0
    [gradient] = torch.autograd.grad(losses["mmd"], [next(iter(trainer.gan.generator.parameters()))], allow_unused=True)
    assert gradient is None or bool(gradient.isfinite().all())


def test_a_resumed_run_keeps_its_banks(tmp_path: Path) -> None:
    options: dict[str, Any] = {"lambda_mmd": 2.0, "batch_size": 6, "decay_last": 0.01}
    once = loop("spade", tmp_path / "once", steps=8, **options)
    once.run()
    first = loop("spade", tmp_path / "twice", steps=6, **options)
    first.run()
    second = loop("spade", tmp_path / "twice", steps=8, **options)
    assert second.trainer.matching.counts.tolist() == [18, 18]  # type: ignore[attr-defined]
    second.run()
    one, two = (run.run_folder.load_state() for run in (once, second))
    assert one is not None and two is not None and one["networks"]["matching"]["counts"].tolist() == [24, 24]
    assert differences({**one, "seconds": 0}, {**two, "seconds": 0}, "spade") == []
    second.finish()
    assert "matching" not in {p.stem for p in (tmp_path / "twice/model").glob("*")}


def test_one_photo_is_no_distribution(tmp_path: Path) -> None:
    training = loop("spade", tmp_path / "run", lambda_mmd=1.0)
    trainer: Any = training.trainer
    only = PairData(open_source(parse_spec("toy-faces:1#train")), (SIDE, SIDE))
    with pytest.raises(DataError, match="two training photos or more, got 1"):
        match_photos(trainer.gan, [trainer.features], only, trainer.options)


def test_options_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match=f"mmd_bank at least {FEWEST}"):
        GanOptions(lambda_mmd=1, mmd_bank=3)
    assert not GanOptions().uses_features and GanOptions(lambda_mmd=1).uses_features


if __name__ == "__main__":
    torch.set_num_threads(1)
    in_processes(Path(sys.argv[1]), int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
