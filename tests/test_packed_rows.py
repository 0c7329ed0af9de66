"""Products whose number of rows depends on the data meet few numbers of rows: oneDNN keeps kernels for each (see `filled`)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo.families.spade import window_products
from zoo.families.spade.window_products import FEW, TapProducts
from zoo.inference.memory import Scratch
from zoo.inference.packed import Packed, available, filled


def test_rows_are_filled_to_few_numbers() -> None:
    sizes = {n: len(filled(torch.ones(n, 2))) for n in range(1, 9000)}
    assert all(n <= size < n + max(16, n // 8 + 1) for n, size in sizes.items())
    assert len(set(sizes.values())) < 80
    rows = filled(torch.ones(17, 3))
    assert rows.shape == (32, 3) and rows[:17].eq(1).all() and rows[17:].eq(0).all()


@pytest.mark.skipif(not available(), reason="this torch has no packed layers")
def test_tap_products_meet_few_numbers_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_products, "mkl", lambda: False)
    rng = torch.Generator().manual_seed(3)
    kernel = torch.randn(24, 8, 3, 3, generator=rng)
    products, seen = TapProducts(kernel), set()
    real = Packed._apply_packed

    def noted(self: Packed, x: Tensor, packed: Tensor) -> Tensor:
        seen.add(len(x))
        return real(self, x, packed)

    monkeypatch.setattr(Packed, "_apply_packed", noted)
    counts = range(FEW + 1, FEW + 200)
    with torch.inference_mode():
        for count in counts:
            vectors = torch.randn(count, 8, generator=rng)
            outer = torch.randint(count, (FEW + 8, 9), generator=rng, dtype=torch.int32)
            (sums,) = products.by_sums(vectors, outer, Scratch())
            out = torch.empty(len(outer), 24)
            products.gathered(vectors, outer, torch.zeros(24), out)
            torch.testing.assert_close(sums, out, rtol=0, atol=2e-5)
            few = torch.empty(count % FEW + 1, 24)
            products.gathered(vectors, outer[: len(few)], torch.zeros(24), few)
            torch.testing.assert_close(few, out[: len(few)], rtol=0, atol=2e-5)
    assert len(seen) <= 16 < len(counts)
