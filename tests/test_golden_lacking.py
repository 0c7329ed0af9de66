"""Replays return what a case allows: without one of its inputs, the results that need it are left out and the rest stay as they were."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file, save_file
from torch import Tensor

replay_all = golden_module("replay").replay
travel = golden_module("travel")
CASES = [(system, cut) for system, cuts in travel.CUTS.items() for cut in cuts]


def _with(case: Path, folder: Path, io: dict[str, Tensor], **changes: Any) -> Path:
    """The case with other tensors; its siblings, which may hold its weights, stand beside it."""
    for other in case.parent.iterdir():
        if other != case and not (folder / other.name).exists():
            (folder / other.name).symlink_to(other)
    new = folder / case.name
    new.mkdir(exist_ok=True)
    for file in case.iterdir():
        if file.name not in ("io.safetensors", "case.json") and not (new / file.name).exists():
            (new / file.name).symlink_to(file)
    save_file(io, new / "io.safetensors")
    (new / "case.json").write_text(json.dumps(json.loads((case / "case.json").read_text()) | changes))
    return new


def _rest(whole: dict[str, Tensor], left: dict[str, Tensor], name: str) -> None:
    assert set(left) <= set(whole), name
    for key, value in left.items():
        atol = 1e-5 * max(1.0, float(whole[key].detach().double().abs().max())) if value.is_floating_point() else 0
        torch.testing.assert_close(value, whole[key], atol=atol, rtol=0, msg=f"{key} without {name}")


def _each_input(system: str, case: Path, folder: Path, only: str = ".*", needed: str = "") -> None:
    """Leaves out the inputs that fit `only`, one after the other. needed: without these nothing is due."""
    io, whole = load_file(case / "io.safetensors"), replay_all(system, case)
    names = [k for k in io if k not in whole and re.fullmatch(only, k)]
    assert names and whole
    for name in names:
        left = replay_all(system, _with(case, folder, {k: v for k, v in io.items() if k != name}))
        _rest(whole, left, name)
        assert bool(left) != bool(re.fullmatch(needed, name)), name


@pytest.mark.parametrize(
    ("system", "case", "needed"),
    [
        ("face_parser", "P_merge", ""),
        ("mask_vae", "A", ""),
        ("mask_vae", "C", ""),
        ("scgan", "A_celeba256", ""),
        ("scgan", "B_coco128", "label"),
        ("scgan", "C3_losses_misc", ""),
        ("scgan", "E_discriminators", "label|fake|real"),
        ("scgan", "F_blocks_ops", ""),
        ("scgan", "J_preprocess", ""),
        ("segvae", "A", ""),
        ("segvae", "E_bn_nosn", ".*"),
        ("spade", "A_normal_celeba", "in/label_u8"),
        ("spade", "B2_most_coco_instance1x1", "in/(?:label|instance)_u8"),
        ("spade", "E_units", ""),
        ("spade", "P_preprocess_modes", ""),
        ("clvae", "P_preprocess", ""),
        ("clade", "A_ade20k_icpe", "in/label_u8"),
        ("clade", "E_units", ""),
        ("inade", "A_celeba_encoder", "in/instance_u8"),
        ("inade", "E_units", ""),
        ("dmit", "A_season", "in/img_u8"),
        ("dmit", "C2_losses_shared_dis", ""),
        ("dmit", "E_units", ""),
        ("dmit", "P_preprocess", "in/image_u8"),
        ("munit", "A_translate", ""),
        ("munit", "E_units", ""),
        ("munit", "P_preprocess_and_test_script", "in/image_u8"),
        ("cc_fpse", "A_more_vae_gta5", ""),
        ("cc_fpse", "E_units", ""),
        ("sg2im", "A_coco64", ""),
        ("sg2im", "B_labelset_celeba", "in/(?:objs|obj_to_img)"),
        ("sg2im", "E_units", ""),
        ("maskgan", "A_dmn", "in/label_u8"),
        ("maskgan", "B_maskvae", "in/label_128_u8"),
        ("maskgan", "E_units", ""),
        ("maskgan", "P_preprocess", ""),
        ("groupdnet", "E_units", ""),
    ],
)
def test_any_input_may_lack(shared: Path, tmp_path: Path, system: str, case: str, needed: str) -> None:
    _each_input(system, shared / "golden" / system / case, tmp_path, needed=needed)


def test_inputs_of_clvae_may_lack(shared: Path, tmp_path: Path) -> None:
    names = "in/(?:edit_class|z2_local|style_image_u8|z_global|onehot_u8)"
    _each_input("clvae", shared / "golden/clvae/A_deepfashion_more", tmp_path, only=names)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "case", "only"),
    [("clvae", "C_losses", "in/(?:loss_mask|eps2_global)"), ("spade", "C_losses_vae", "in/eps2")],
)
def test_noise_and_masks_of_losses_may_lack(shared: Path, tmp_path: Path, system: str, case: str, only: str) -> None:
    _each_input(system, shared / "golden" / system / case, tmp_path, only=only)


@pytest.mark.parametrize(("system", "cut"), CASES, ids=[f"{s}-{c.name}" for s, c in CASES])
def test_travelling_cases_may_lack_theirs(system: str, cut: Any, tmp_path: Path) -> None:
    """Needs no shared folder. Stand-ins must be there: a case that names them holds them."""
    case = travel.DATA / system / cut.name
    io, whole = load_file(case / "io.safetensors"), replay_all(cut.replay, case)
    for name in (k for k in io if k not in whole and k not in cut.stand_ins):
        left = replay_all(cut.replay, _with(case, tmp_path, {k: v for k, v in io.items() if k != name}))
        _rest(whole, left, name)
        assert len(left) < len(whole) or name in ("in/mu", "recon.eps"), name


def _two_of(io: dict[str, Tensor], *, style: int) -> dict[str, Tensor]:
    """A case of CLVAE with its map and photo twice (the second mirrored), and this many style photos (0: none of its tensors)."""
    two = {k: torch.cat([v, v.flip(-1)]) for k, v in io.items() if k in ("in/label_u8", "in/image_u8")}
    two |= {k: io[k].repeat(1, 2, 1, 1) for k in ("in/z_local", "in/z2_local")}
    two |= {k: io[k].repeat(2, 1) for k in ("in/z_global", "in/z2_global")}
    two |= {k: io[k] for k in ("in/classes", "in/edit_class")}
    two |= {
        k: io[k].repeat(2, 1, 1, 1) for k in ("out/sample", "out/style", "out/interp_half_s4", "out/object_edit_s4")
    }
    if style:
        two |= {k: io[k].repeat(style, 1, 1, 1) for k in ("in/style_label_u8", "in/style_image_u8")}
        two |= {k: io[k] for k in ("out/style_classes", "out/style_missing_classes")}
    return {k: v.contiguous() for k, v in two.items()}


@pytest.mark.parametrize("style", [0, 1, 2])
def test_clvae_with_fewer_style_photos_than_maps(shared: Path, tmp_path: Path, style: int) -> None:
    """The authors' code takes as many style photos as maps; beside a single one the styled picture is not due, all else is."""
    case = shared / "golden/clvae/A_deepfashion_more"
    io = load_file(case / "io.safetensors")
    found = replay_all("clvae", _with(case, tmp_path, _two_of(io, style=style)))
    due = {"out/sample", "out/interp_half_s4", "out/object_edit_s4"}
    classes = {"out/style_classes", "out/style_missing_classes"} if style else set()
    assert set(found) == due | classes | ({"out/style"} if style == 2 else set())
    for name, value in found.items():
        if name in classes:
            assert torch.equal(value, io[name])
        else:
            torch.testing.assert_close(value[:1], io[name], atol=2e-4, rtol=1e-4, msg=name)
    assert not torch.allclose(found["out/sample"][0], found["out/sample"][1])


def test_options_that_a_case_does_not_tell_have_their_official_defaults(shared: Path, tmp_path: Path) -> None:
    for system, name, key in (("clvae", "A_deepfashion_more", "aspect_ratio"), ("spade", "A_normal_celeba", "z_dim")):
        case = shared / "golden" / system / name
        io, options = (
            load_file(case / "io.safetensors"),
            json.loads((case / "case.json").read_text())["official_options"],
        )
        less = {k: v for k, v in options.items() if k != key}
        results = {k: v for k, v in io.items() if k.startswith(("in/label", "in/z", "in/classes")) or k == "out/sample"}
        found = replay_all(system, _with(case, tmp_path, results, official_options=less))
        torch.testing.assert_close(found["out/sample"], io["out/sample"], atol=6e-5, rtol=1e-4, msg=system)


def test_the_authors_metrics(shared: Path) -> None:
    """Fréchet distances, one of features whose covariance lacks rank, and Inception scores of 1, 5 and 10 splits."""
    case = shared / "golden/scgan/I_metrics"
    found, recorded = replay_all("scgan", case), json.loads((case / "case.json").read_text())
    scores = recorded["inception_score (mean,std)"]
    due = {f"inception_score (mean,std)/{s}/{i}": v for s, pair in scores.items() for i, v in enumerate(pair)}
    due |= {name: value for name, value in recorded.items() if name.startswith("frechet(")}
    assert found.keys() == due.keys() and len(due) == 8
    for name, value in due.items():
        assert found[name].dim() == 0 and float(found[name]) == pytest.approx(value, rel=1e-6, abs=1e-9), name
