"""`python -m benchmarks` and `benchmarks.operators` on tiny networks: every kind of case, equal results, a picture's share, counted products."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from zoo.inference.packed import available, pack

# `benchmarks` is in the checkout alone, where `pytest` does not look by itself
sys.path.append(str(Path(__file__).resolve().parents[1]))
import benchmarks.__main__ as speed
from benchmarks import operators
from benchmarks.cases import WHAT, Case, cases

TINY = {"ngf": 4, "nef": 4, "spade_hidden": 8, "z_dim": 16, "resolution": 64, "encoder_size": 128}
SETS = [x for name, value in TINY.items() for x in ("--set", f"{name}={value}")]

pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_kind_of_case_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [x for what in WHAT for x in ("--what", what)]
    out = tmp_path / "rows.json"
    arguments = ["--only", "clvae/ade20k", *SETS, *kinds, "--styles", "6", "--rounds", "1", "--json", str(out)]
    assert speed.main(arguments) == 0
    rows: list[dict[str, Any]] = json.loads(out.read_text())["rows"]
    assert [row["case"] for row in rows] == [
        "clvae/ade20k, batch 1",
        "clvae/ade20k, 6 styles of a map, a picture",
        "clvae/ade20k, stroke to picture, batch 1",
        "clvae/ade20k, loading",
    ]
    assert all(0 <= value < 2e-5 for row in rows for value in row["apart"].values())
    assert [len(row["apart"]) for row in rows] == [2, 2, 2, 0]
    assert set(rows[2]["ratio"]) == {"form", "kept"} and set(rows[3]["ratio"]) == {"ours", "form"}
    told = capsys.readouterr().out
    assert all(row["case"] in told for row in rows)


def test_a_call_that_makes_several_pictures_counts_as_so_many() -> None:
    calls = {"plain": lambda: torch.zeros(1), "form": lambda: sum(torch.ones(300, 300).mm(torch.ones(300, 300))[0, :1] for _ in range(8)) * 0}  # fmt: skip
    alone, shared = (speed.measured(Case("x", calls, (), pictures), 3, 1) for pictures in ({}, {"form": 1000}))
    assert shared["seconds"]["form"] < alone["seconds"]["form"] / 100


def test_what_a_system_has_not_is_no_case() -> None:
    assert not list(cases("segvae/celeba-128", None, 1, what="styles"))


def test_products_are_counted() -> None:
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    x = torch.ones(2, 4, 8, 8)
    down, up = nn.Conv2d(4, 6, 3, 2, 1), nn.ConvTranspose2d(4, 6, 3, 2, 1, 1)
    with torch.no_grad(), operators.Clock() as clock:
        torch.mm(a, b)
        torch.bmm(a.expand(2, -1, -1), b.expand(2, -1, -1))
        torch.addmm(torch.ones(7), a, b)
        down(x)
        up(x)
    expected = {
        "aten.mm": 105,
        "aten.bmm": 210,
        "aten.addmm": 105,
        "aten.convolution": 2 * 2 * 9 * 4 * 6 * 16 + 9 * 4 * 6 * 2 * 48,
    }
    assert {k: v for k, v in clock.products.items() if v} == expected and clock.calls["aten.convolution"] == 2
    if available():
        with torch.no_grad(), operators.Clock() as clock:
            pack(nn.Linear(5, 7))(a)
            pack(down)(x)
        assert sum(clock.products.values()) == 105 + 2 * 9 * 4 * 6 * 16


def test_operators_of_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert operators.main(["clvae/ade20k", *SETS, "--call", "kept", "--rounds", "1"]) == 0
    told = capsys.readouterr().out
    assert "clvae/ade20k, batch 1, kept" in told and "| the call | - |" in told and "GMAC/s" in told
    with pytest.raises(SystemExit):
        operators.main(["clvae/ade20k", *SETS, "--call", "fast"])
    assert "plain, form, kept, layout, stroke, got 'fast'" in capsys.readouterr().err
