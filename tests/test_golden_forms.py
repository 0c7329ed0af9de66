"""Recorded cases through the inference forms: the replay of a case with `optimized()` models in place of the plain ones.

What is recorded of training, of networks that are replaced as a whole and of layers that a form does not have is left out; what remains has to
be there, the pictures above all. Systems whose forms are compared with their recorded cases beside the plain networks have that in
their own files (SC-GAN, SegVAE, mask-vae).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from golden_modules import fresh
from torch import Tensor

from zoo.families.spade import folded

TRAINED = ("train/", "grad", "post_train")
CASES = [
    ("spade", "A_normal_celeba"),
    ("spade", "B2_most_coco_instance1x1"),
    ("spade", "B4_ade20k_c151_1x1"),
    ("clvae", "A_deepfashion_more"),
    ("clvae", "B2_ade20k_c151"),
    ("oasis", "A_celeba_ks1"),
    ("oasis", "B_gta5_nonoise_batch"),
    ("sean", "A_celeba96"),
    ("sean", "B_more_edges_b2"),
    ("clade", "A_ade20k_icpe"),
    ("clade", "B_cityscapes_more_inst_icpe"),
    ("inade", "A_celeba_encoder"),
    ("inade", "B_cityscapes_more_prior"),
    ("groupdnet", "A_deepfashion"),
    ("groupdnet", "B_ade20k_c151"),
    ("pix2pixhd", "A_global_edges_gta5"),
    ("pix2pixhd", "B_local2_celeba"),
]
WINDOWED = ("spade", "clvae", "oasis", "sean", "groupdnet")
"""Systems whose wide networks go by distinct window; the recorded networks are narrow, so both ways are gone here."""


def with_forms(system: str, made: list[Any], given: dict[str, Tensor]) -> ModuleType:
    """A system's replay whose models are inference forms (appended to `made`), whose inputs lack what training recorded (`given`)."""
    module: Any = fresh(system)
    build, load = module.build, module.recorded.load

    def optimized(*args: Any, **kwargs: Any) -> Any:
        made.append(build(*args, **kwargs).optimized())
        return made[-1]

    def loaded(path: Path) -> dict[str, Tensor]:
        tensors = {k: v for k, v in load(path).items() if not k.startswith(TRAINED)}
        given.update(tensors)
        return tensors

    module.build, module.recorded.load = optimized, loaded
    if hasattr(module, "watch"):  # hooks on layers that a form may not have
        module.watch = lambda *_: []
    return module


@pytest.mark.parametrize("windows", [False, True], ids=["narrow", "windows"])
@pytest.mark.parametrize(("system", "case"), CASES)
def test_recorded_pictures(
    system: str, case: str, windows: bool, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if windows and system not in WINDOWED:
        pytest.skip("it has one form")
    monkeypatch.setattr(folded, "WORTH", 0 if windows else 1e18)
    folder, made, given = shared / "golden" / system / case, [], {}
    tolerance = json.loads((folder / "case.json").read_text()).get("tolerance", {"atol": 2e-5, "rtol": 1e-4})
    found = with_forms(system, made, given).replay(folder)
    assert made and all(model.generator.windowed is windows for model in made if hasattr(model.generator, "windowed"))
    results = {k: v for k, v in found.items() if k in given and not k.startswith("in/")}
    assert any(re.search("sample|image|fake", key) for key in results), sorted(results)
    for key, value in results.items():
        if value.is_floating_point():
            # unconverged u and v blow values up: room for rounding at their size
            atol = 2 * tolerance["atol"] + 2e-6 * float(given[key].abs().max())
            torch.testing.assert_close(value, given[key], atol=atol, rtol=2 * tolerance["rtol"], msg=key)
        else:
            assert torch.equal(value, given[key]), key
