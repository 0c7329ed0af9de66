"""The keyed random streams: the numbers that docs/design.md ("Randomness") pins, and what they may and may not depend on."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from zoo.errors import UsageError
from zoo.rng import Rng, RngLike, as_rng, fresh_seed


def test_the_numbers_that_the_design_pins() -> None:
    drawn = Rng(0, [0]).normal("z", shape=(4,))
    assert drawn.dtype == torch.float32 and drawn.device.type == "cpu" and drawn.shape == (1, 4)
    torch.testing.assert_close(
        drawn[0], torch.tensor([-1.10302162, -0.20305413, 0.67666733, -0.15471123]), rtol=0, atol=1e-7
    )


def test_uniform_is_the_documented_hash_stream() -> None:
    digest = hashlib.shake_256(json.dumps([5, 2, "style", "hair", 3]).encode()).digest(12)
    expected = [(int.from_bytes(digest[i : i + 4], "little") + 0.5) / 2**32 for i in (0, 4, 8)]
    assert Rng(5, [2]).uniform("style", "hair", 3, shape=(3,)).tolist() == [expected]


def test_normals_are_standard_normal_and_finite() -> None:
    drawn = Rng(1, range(8)).normal("z", shape=(5000,))
    assert bool(drawn.isfinite().all())
    assert abs(float(drawn.mean())) < 0.02 and abs(float(drawn.std()) - 1) < 0.02
    correlation = torch.corrcoef(drawn) - torch.eye(8)
    assert float(correlation.abs().max()) < 0.06, "samples share numbers"


def test_a_longer_row_begins_with_the_shorter_one() -> None:
    rng = Rng(3, [0, 1])
    assert torch.equal(rng.normal("z", shape=(1000,))[:, :7], rng.normal("z", shape=(7,)))
    assert torch.equal(rng.normal("z", shape=(2, 3, 4)).flatten(1), rng.normal("z", shape=(24,)))


def test_a_sample_does_not_depend_on_its_batch() -> None:
    whole = Rng(3, range(6)).normal("z", shape=(5,))
    assert torch.equal(Rng(3, [4]).normal("z", shape=(5,))[0], whole[4])
    assert torch.equal(Rng(3, [5, 0]).normal("z", shape=(5,)), whole[[5, 0]])
    assert torch.equal(Rng(3, [0]).take([2, 3]).normal("z", shape=(5,)), whole[2:4])


def test_seed_sample_and_every_part_of_the_key_matter() -> None:
    draws = [
        Rng(0, [0]).normal("z", shape=(4,)),
        Rng(1, [0]).normal("z", shape=(4,)),
        Rng(0, [1]).normal("z", shape=(4,)),
        Rng(0, [0]).normal("y", shape=(4,)),
        Rng(0, [0]).normal("z", 0, shape=(4,)),
        Rng(0, [0]).normal("z", "0", shape=(4,)),
    ]
    assert len({tuple(d[0].tolist()) for d in draws}) == len(draws)


def test_within_puts_its_key_in_front() -> None:
    rng = Rng(7, [0, 3])
    nested = rng.within("map", 2).within("part")
    assert torch.equal(nested.normal("z", shape=(3,)), rng.normal("map", 2, "part", "z", shape=(3,)))
    assert nested.samples == (0, 3)
    assert torch.equal(nested.take([3]).normal("z", shape=(3,))[0], rng.normal("map", 2, "part", "z", shape=(3,))[1])
    assert torch.equal(rng.normal("z", shape=(3,)), Rng(7, [0, 3]).normal("z", shape=(3,))), "within changed its parent"


def test_drawing_keeps_no_state_and_leaves_torch_alone() -> None:
    rng, before = Rng(0), torch.random.get_rng_state()
    first = rng.normal("z", shape=(3,))
    rng.normal("other", shape=(9,))
    assert torch.equal(rng.normal("z", shape=(3,)), first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_empty_and_scalar_shapes() -> None:
    assert Rng(0, range(3)).normal("z", shape=()).shape == (3,)
    assert Rng(0, range(3)).normal("z", shape=(0, 4)).shape == (3, 0, 4)
    assert Rng(0, ()).normal("z", shape=(2,)).shape == (0, 2)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="0 or more, got -1"):
        Rng(-1)


def test_as_rng_takes_seeds_sources_and_nothing() -> None:
    assert as_rng(5, 3) == Rng(5, range(3))
    given = Rng(1, [8, 9])
    assert as_rng(given, 2) is given and isinstance(given, RngLike)
    fresh = {as_rng(None, 1) for _ in range(4)}
    assert len(fresh) > 1, "None gives the same seed each time"
    with pytest.raises(UsageError, match=r"for 2 samples, but 3 are asked for: use Rng\(seed, range\(3\)\)"):
        as_rng(given, 3)


def test_recorded_draws_can_stand_in_for_an_rng() -> None:
    class Recorded:
        samples = (0,)

        def normal(self, *key: str | int, shape: tuple[int, ...]) -> torch.Tensor:
            return torch.ones(1, *shape)

        uniform = normal

        def within(self, *key: str | int) -> Recorded:
            return self

    source = Recorded()
    assert isinstance(source, RngLike) and as_rng(source, 1) is source


def test_fresh_seeds_differ_and_are_legal() -> None:
    seeds = {fresh_seed() for _ in range(20)}
    assert len(seeds) > 15 and all(0 <= s < 2**31 for s in seeds)
