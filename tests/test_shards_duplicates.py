"""Perceptual hashes, and pairs that look alike found without comparing all with all."""

from __future__ import annotations

import itertools
import random

import numpy as np
import PIL.Image
import pytest

from zoo.sharding import duplicates as module
from zoo.sharding.duplicates import duplicates, near_pairs
from zoo.sharding.encode import difference_hash


def drawn(seed: int) -> PIL.Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (6, 6, 3)).astype("uint8")
    return PIL.Image.fromarray(values).resize((96, 96), PIL.Image.Resampling.BICUBIC)


def apart(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def test_copies_have_near_hashes_and_others_do_not() -> None:
    hashes = [difference_hash(drawn(i)) for i in range(8)]
    assert all(len(h) == 16 for h in hashes)
    for number, known in enumerate(hashes):
        image = drawn(number)
        assert difference_hash(image) == known
        assert apart(difference_hash(image.resize((64, 64), PIL.Image.Resampling.LANCZOS)), known) <= 5
        assert apart(difference_hash(image.point(lambda v: v * 4 // 5)), known) <= 5
    assert min(apart(a, b) for a, b in itertools.combinations(hashes, 2)) > 10
    assert difference_hash(PIL.Image.new("RGB", (20, 20), "red")) == "0" * 16


@pytest.mark.parametrize("crowd", [2000, 10])
def test_every_near_pair_is_found_once(crowd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CROWD", crowd)
    chance, values = random.Random(1), set()
    for _ in range(60):
        base = chance.getrandbits(64) & (2**64 - 2**20)  # many have a band in common
        values.add(base)
        for _ in range(4):
            values.add(base ^ sum(1 << bit for bit in chance.sample(range(64), chance.randint(1, 6))))
    array = np.array(sorted(values), dtype=np.uint64)
    expected = {
        (i, j): (int(a) ^ int(b)).bit_count()
        for (i, a), (j, b) in itertools.combinations(enumerate(array.tolist()), 2)
        if (int(a) ^ int(b)).bit_count() <= 3
    }
    found = [
        ((min(x, y), max(x, y)), d)
        for a, b, bits in near_pairs(array, 3)
        for x, y, d in zip(a.tolist(), b.tolist(), bits.tolist(), strict=True)
    ]
    assert len(found) == len(expected) > 50 and dict(found) == expected


def test_the_report_counts_all_and_lists_the_first() -> None:
    same, near, far = "00000000000000ff", "00000000000000fd", "ffff000000000000"
    found = duplicates([same, far, same, near, same])
    assert (found["equal"], found["near"], found["samples"]) == (3, 3, 4)
    assert found["pairs"] == [[0, 2, 0], [0, 4, 0], [0, 3, 1]]
    assert duplicates([]) == {"distance": 3, "equal": 0, "near": 0, "samples": 0, "pairs": []}
