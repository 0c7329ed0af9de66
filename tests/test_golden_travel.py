"""The golden cases in the repository: every system against numbers of the authors' code, without the shared folder."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file, save_file
from torch import Tensor

travel = golden_module("travel")
CASES = [(system, cut) for system, cuts in travel.CUTS.items() for cut in cuts]
NAMES = [f"{system}-{cut.name}" for system, cut in CASES]

INPUTS = {
    "ca2sis": "label",
    "clade": r"in/.*",
    "cc_fpse": r"in/.*",
    "cimle": r"in/.*",
    "clvae": r"in/.*",
    "crn": r"in/.*",
    "dmit": r"in/.*",
    "face_parser": "",
    "groupdnet": r"in/.*",
    "inade": r"in/.*",
    "mask_vae": r"recon\.(?:eps|h0|c0)",
    "munit": r"in/.*",
    "maskgan": r"in/.*",
    "oasis": r".*/in/.*|.*/(?:bits|classes)|to_uint8/in",
    "pix2pixhd": r"in/.*",
    "scgan": r"x|seg|v_conv|v_norm|SCC\|v_per_channel|.*\|in.*|p0|p1|mu|logvar|label|fake",
    "sdm": r"in/.*",
    "sean": r"in/.*",
    "sg2im": r"gconv/(?:edges|\w+_vecs)|layout/(?:boxes|masks|masks01|obj_to_img|vecs|grad_weight)|refine/\w+/layout",
    "segvae": r"labelset\.(?:label_set|noise_prior)",
    "sims": r"(?:\d/)?in/.*",
    "spade": r"in/.*",
}
"""Names of the tensors that networks and functions are called with."""

LIMITS = {
    "ca2sis": [(".*", 1e-5)],
    "clade": [(".*", 1e-5)],
    "cc_fpse": [(".*", 2e-5)],
    "cimle": [(".*", 2e-5)],
    "clvae": [(".*", 2e-5)],
    "crn": [(".*", 2e-5)],
    "dmit": [(".*", 2e-5)],
    "face_parser": [(".*", 2e-5)],
    "groupdnet": [(".*", 1e-5)],
    "inade": [(".*", 1e-5)],
    "mask_vae": [(r"recon\.(?:tokens|lstm_out)", 1e-5), (r"recon\.out.*", 1e-4)],
    "munit": [(".*", 1e-5)],
    "maskgan": [(".*", 2e-5)],
    "oasis": [(".*", 1e-5)],
    "pix2pixhd": [(".*", 3e-5)],
    "scgan": [(r".*\|train", 1e-4), (r"(?:multiscale|fpse)_.*", 1e-4), (".*", 1e-5)],
    "sdm": [(".*", 1e-5)],
    "sean": [(".*", 1e-5)],
    "sg2im": [(".*", 2e-5)],
    "segvae": [(r".*step0.*", 2e-5), (".*", 5e-5)],
    "sims": [(".*", 2e-5)],
    "spade": [(".*", 2e-5)],
}
"""Largest difference by system and name, as the cases state it; times the largest number where that is above 1."""

SCALED_AWAY = {
    "cimle": r"g_\w+_conv[12]\.weight",
    "crn": r"g_\w+_conv\d+\.weight",
    "munit": r"(?:cb_reflect_(?:in|sn)_\w+|cb_replicate_ln_prelu|cb_zero_adain_tanh|resblock_in|linear_(?:ln|sn)_\w+|up_stage|decoder)/.*",
    "sdm": r".*/in_layers\.[12]\.weight",
    "sims": r"g_selection_conv\d(?:\.g_selection_conv\d_\d)?\.weight",
    "maskgan": r"cb_in_relu.*|res_.*|blend\.model\.(?:\d|1[0-9]|22)\..*|D_feat\.scale\d_layer[12].*|D_sig\.layer\d\.[25].*",
    "pix2pixhd": r"netG\.(?:model\.(?:[17]|\d+\.conv_block\.\d)|model1_1\.4|model2_1\.1|model\d_2\.\d\.conv_block\.\d)\.weight",
}
"""Weights in front of a norm that takes their scale away, and those whose output does not travel. Norms' own scales show."""

PIXELS = {"recon.labels": 8, "labelset.label_map": 46}
"""So many pixels of a map may differ: their two best classes are all but equal (the cases count them)."""


def _limit(system: str, name: str) -> float:
    return next(limit for pattern, limit in LIMITS[system] if re.fullmatch(pattern, name))


def _check(system: str, name: str, value: Tensor, expected: Tensor) -> None:
    assert value.shape == expected.shape and value.dtype == expected.dtype, name
    if value.is_floating_point():
        limit = _limit(system, name) * max(1.0, float(expected.double().abs().max()))
        difference = float((value.double() - expected.double()).abs().max())
        assert difference <= limit, f"{name}: {difference}"  # false for NaN
    else:
        assert int((value != expected).sum()) <= PIXELS.get(name, 0), name


def _replayed(system: str, folder: Path, replay: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(ours, recorded): tensors and measured numbers under their names."""
    found = golden_module("replay").replay(replay, folder)
    case, io = json.loads((folder / "case.json").read_text()), load_file(folder / "io.safetensors")
    given = set(case["cut"]["stand_ins"])
    expected = {k: v for k, v in io.items() if k not in given and not re.fullmatch(INPUTS[system], k)}
    values = (
        case.get("values", {}) if isinstance(case.get("values"), dict) else {}
    )  # some cases have them in a file beside
    numbers = {f"values/{k}": torch.tensor(v) for k, v in values.items() if f"values/{k}" in found}
    numbers |= {f"scalars/{k}": torch.tensor(v) for k, v in case.get("scalars", {}).items()}
    return found, expected | numbers


@pytest.mark.parametrize(("system", "cut"), CASES, ids=NAMES)
def test_numbers_of_the_authors(system: str, cut: travel.Cut) -> None:  # pyright: ignore
    found, expected = _replayed(system, travel.DATA / system / cut.name, cut.replay)
    assert set(found) == set(expected) and expected
    for name, value in found.items():
        _check(system, name, value, expected[name])


@pytest.mark.parametrize(
    ("system", "cut"), [c for c in CASES if c[1].weights], ids=[n for n, c in zip(NAMES, CASES, strict=True) if c[1].weights]
)  # fmt: skip
def test_a_wrong_weight_shows(system: str, cut: travel.Cut, tmp_path: Path) -> None:  # pyright: ignore
    """Weights of the first, a middle and the last layer, made 1% larger, are noticed: the limits are not too wide."""
    folder = shutil.copytree(travel.DATA / system / cut.name, tmp_path / cut.name)
    right = load_file(folder / "weights.safetensors")
    names = [k for k, v in right.items() if v.dim() > 1 and not k.endswith(("_u", "_v", "weight_orig"))]
    if pattern := SCALED_AWAY.get(system):
        names = [
            k for k in right if re.fullmatch(r".*norm\.weight", k) or (k in names and not re.fullmatch(pattern, k))
        ]
    for name in [names[0], names[len(names) // 2], names[-1]]:
        save_file(right | {name: right[name] * 1.01}, folder / "weights.safetensors")
        found, expected = _replayed(system, folder, cut.replay)
        with pytest.raises(AssertionError):
            for key, value in expected.items():
                _check(system, key, found[key], value)


def test_every_system_travels_within_its_limit() -> None:
    folders = {f.name for f in travel.DATA.iterdir() if f.is_dir()}
    assert folders == set(travel.CUTS) and {cut.replay for _, cut in CASES} == set(golden_module("replay").SYSTEMS)
    for system, cuts in travel.CUTS.items():
        assert 0 < travel.size(travel.DATA / system) <= travel.LIMIT == 400_000, system
        assert {f.name for f in (travel.DATA / system).iterdir()} == {cut.name for cut in cuts}


def test_no_photo_travels() -> None:
    for file in travel.DATA.rglob("io.safetensors"):
        for name, value in load_file(file).items():
            assert "image" not in name and not (value.dtype == torch.uint8 and 3 in value.shape[-3:]), (file, name)


def test_they_are_cut_from_the_recorded_cases(shared: Path, tmp_path: Path) -> None:
    """The same bytes again from the shared folder: nothing was added, nothing is out of date."""
    travel.make_all(shared / "golden", tmp_path)
    for file in (f for system in travel.CUTS for f in (travel.DATA / system).rglob("*") if f.is_file()):
        assert (tmp_path / file.relative_to(travel.DATA)).read_bytes() == file.read_bytes(), file


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no tensor is called zz"):
        travel.chosen(["a", "b"], ["zz.*"])
