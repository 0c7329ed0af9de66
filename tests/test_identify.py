"""`zoo identify`: official files by name, in any wrapper, ties and near misses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fixtures_models import Ran
from official_files import Shapes, official_lists, parser_state, save_shapes
from safetensors.torch import save_file

from zoo.checkpoints.identify import Report, identify, identify_shapes
from zoo.errors import WeightsError
from zoo.registry import registry
from zoo_plugins.dmit import official

OURS = (
    "mask_vae",
    "face_parser",
    "segvae",
    "scgan",
    "spade",
    "clvae",
    "dmit",
    "munit",
    "oasis",
    "sean",
    "clade",
    "inade",
    "pix2pixhd",
    "crn",
    "cimle",
    "cc_fpse",
    "groupdnet",
    "sdm",
    "sims",
    "sg2im",
    "maskgan",
)
PARTIAL = {"added_or_changed", "changed_or_added", "other_configs_only_keys_that_differ_from_ade20k"}
SHARED_E = ("cc-fpse", "clade", "scgan", "spade")
SHARED_D = {"clade", "clvae", "groupdnet", "inade", "scgan", "spade"}


def owners(report: Report) -> set[tuple[str, str]]:
    return {(c.architecture, c.match.role) for n in report.named for c in n.candidates}


# --- wrappers -----------------------------------------------------------------------------------------------------


def wrappers() -> dict[str, Callable[[dict], object]]:
    """Name -> what it makes of a state dict."""
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3), "step": 4}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    return {
        "bare": lambda s: s,
        "module": lambda s: {f"module.{k}": v for k, v in s.items()},
        "compiled": lambda s: {f"_orig_mod.module.{k}": v for k, v in s.items()},
        "state_dict": lambda s: {"state_dict": s, "epoch": 3, "optimizer": optimizer, "best": 0.5},
        "model": lambda s: {"model": {f"module.{k}": v for k, v in s.items()}, "args": {"lr": 0.1, "name": "x"}},
        "flattened": lambda s: {f"netG.{k}": v for k, v in s.items()},
        "flattened module": lambda s: {f"netG.module.{k}": v for k, v in s.items()},
        "nested": lambda s: {"networks": {"netG": s}, "optim_G": optimizer},
        "params_ema": lambda s: {"params_ema": s},
        "shadow": lambda s: {"shadow": s, "decay": 0.999},
        "lightning": lambda s: {
            "state_dict": {f"model.net.{k}": v for k, v in s.items()} | {"loss.weight": torch.ones(19)},
            "optimizer_states": [optimizer],
            "lr_schedulers": [{"last_epoch": 3}],
            "callbacks": {},
            "pytorch-lightning_version": "2.0",
        },
        "list": lambda s: {"models": [s]},
    }


@pytest.mark.parametrize("name", list(wrappers()))
@pytest.mark.parametrize("legacy", [False, True])
def test_every_wrapper_is_taken_off(name: str, legacy: bool, tmp_path: Path) -> None:
    state = parser_state()
    torch.save(wrappers()[name](state), tmp_path / "it.pth", _use_new_zipfile_serialization=not legacy)
    report = identify(tmp_path / "it.pth")
    assert owners(report) == {("face-parser", "parser")} and not report.faults
    (network,) = report.named
    assert set(network.tensors) == set(state) and network.candidates[0].match.complete
    assert network.averaged == (name in ("params_ema", "shadow"))
    ignored = " ".join(f"{n} ({what})" for n, what in report.ignored)
    assert ("optimizer state" in ignored) == (name in ("state_dict", "nested", "lightning"))


def test_safetensors_and_torch_files_say_the_same_without_their_numbers(tmp_path: Path) -> None:
    state = parser_state()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pth")
    one, other = (identify(tmp_path / f"a.{kind}") for kind in ("safetensors", "pth"))
    assert one.to_json()["networks"] == other.to_json()["networks"] and one.form == "safetensors"
    assert all(t.is_meta for r in (one, other) for n in r.networks for t in n.tensors.values())
    loaded = identify(tmp_path / "a.pth", data=True).named[0].tensors
    assert torch.equal(loaded["final.weight"], state["final.weight"])


def test_averages_without_buffers_borrow_them(tmp_path: Path) -> None:
    state = parser_state()
    average = {k: v * 0 + 7 for k, v in state.items() if "running" not in k and "num_batches" not in k}
    torch.save({"net": state, "net_ema": average}, tmp_path / "it.pth")
    report = identify(tmp_path / "it.pth", data=True)
    assert [n.path for n in report.named] == ["net", "net_ema"] and report.named[1].averaged
    borrowed = report.named[1].tensors
    assert torch.equal(borrowed["conv1.conv1.1.running_mean"], state["conv1.conv1.1.running_mean"])
    assert float(borrowed["final.bias"][0]) == 7
    assert any(name == "net_ema" and "lacks buffers" in what for name, what in report.ignored)


def test_a_near_miss_is_rejected_with_its_keys(tmp_path: Path, run: Callable[..., Ran]) -> None:
    state = parser_state()
    del state["final.bias"]
    state["extra.weight"] = torch.zeros(2)
    state["conv1.conv1.0.bias"] = torch.zeros(3)
    torch.save(state, tmp_path / "it.pth")
    ran = run("identify", tmp_path / "it.pth")
    assert ran.code == 1 and "nearest: face-parser parser" in ran.err
    assert "not face-parser parser: " in ran.out and "lacks: final.bias" in ran.out
    assert "has besides: extra.weight" in ran.out and "other shape: conv1.conv1.0.bias" in ran.out
    ran = run("identify", tmp_path / "it.pth", "--json")
    (network,) = json.loads(ran.out)["networks"]
    assert ran.code == 1 and not network["candidates"]
    assert network["rejected"][0]["missing"] == {"count": 1, "first": ["final.bias"]}
    assert network["rejected"][0]["misfit"]["count"] == 1


def test_the_report_says_what_is_open_and_how_to_state_it(tmp_path: Path) -> None:
    torch.save({"netP": parser_state(), "epoch": 3}, tmp_path / "it.pth")
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "identify", str(tmp_path / "it.pth")], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == ""
    assert "face-parser parser: all 136 keys fit" in done.stdout and "feature_scale=32" in done.stdout
    assert "no shape tells: " in done.stdout and "--config side=…" in done.stdout and "--dataset" in done.stdout
    assert "near variant face-parser/celeba: feature_scale 32 instead of 4" in done.stdout
    assert "left out: epoch (a number)" in done.stdout


def test_a_detector_that_fails_is_no_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Ran]
) -> None:
    from zoo_plugins.spade import official

    def broken(shapes: object) -> None:
        raise KeyError("fc.weight")

    monkeypatch.setattr(official, "detect", broken)
    torch.save(parser_state(), tmp_path / "it.pth")
    ran = run("identify", tmp_path / "it.pth")
    assert ran.code == 0 and "face-parser parser: all" in ran.out
    assert "spade: its detector failed (KeyError" in ran.err


# --- the recorded files -------------------------------------------------------------------------------------------


def full_size(shared: Path) -> dict[str, Shapes]:
    found = {}
    for system in OURS:
        for file in sorted((shared / "golden" / system).glob("D*/official_keys*.json")):
            # some lists hold what differs between two configs
            lists = {n: s for n, s in official_lists(file).items() if len(s) > 8 and not PARTIAL & {*n.split("/")}}
            found |= {f"{system}/{file.stem}/{name}": shapes for name, shapes in lists.items()}
    return found


def expected(name: str) -> set[tuple[str, str]]:
    """Owners of a recorded full-size file, by its name."""
    system = name.split("/")[0]
    if system == "mask_vae":
        if "CA2SIS" in name:
            return {("ca2sis", "generator")}
        return {("mask-vae", "discriminator" if "net_D" in name else "generator")}
    if system == "face_parser":
        return {("face-parser", "parser")}
    if system == "segvae":
        return {("segvae", "checkpoint")}
    if system == "dmit":
        return dmit_owners(name)
    if system == "munit":
        roles = {"gen_%08d.pt": "generator", "dis_%08d.pt": "discriminator"}
        return {("munit", role) for file, role in roles.items() if name.endswith(f"/{file}")}
    if system == "cc_fpse":
        letter = name[-5] if name.endswith(".pth") else name[-1]
        return {
            "G": {("cc-fpse", "generator")},
            "D": {(a, "discriminator") for a in ("cc-fpse", "scgan")},
            "E": {(a, "encoder") for a in SHARED_E},
        }[letter]
    if system == "sdm":
        return {("sdm", "unet")}
    if system == "sims":
        return {("sims", name.rpartition("/")[2].partition("_")[0])}
    if system == "sg2im":
        state = name.rpartition("/")[2]
        roles = {"d_obj_state": "object-discriminator", "d_img_state": "picture-discriminator"}
        return {("sg2im", roles.get(state, "generator"))}
    if system == "oasis":
        return {("oasis", "discriminator" if name.endswith("D.pth") else "generator")}
    if system == "pix2pixhd":
        role = name.rpartition("net_")[2][:1] if "net_" in name else name.rpartition("/")[2]
        return {("pix2pixhd", {"G": "generator", "E": "encoder", "D": "discriminator"}[role])}
    if system == "maskgan":
        if "VAE" in name:
            return {("maskgan-vae", "generator")}
        role = {"G": "generator", "B": "blender", "D": "discriminator"}[name.rpartition("net_")[2][:1]]
        return {(a, role) for a in (("maskgan", "pix2pixhd") if role == "discriminator" else ("maskgan",))}
    if "net_D" in name:
        return {("scgan", "discriminator")} if "scgan_ade" in name or "scgan_coco" in name else {(a, "discriminator") for a in SHARED_D}  # fmt: skip
    if "net_E" in name:
        return (
            {(system, "encoder")} if system in ("clvae", "groupdnet", "inade") else {(a, "encoder") for a in SHARED_E}
        )
    return {(system, "generator")}


def dmit_owners(name: str) -> set[tuple[str, str]]:
    """By the file's or the entry's name; both discriminators of pictures have one form, and the text encoder is no network of the model."""
    if name.endswith("resume.pth"):
        return {("dmit", role) for role in list(official.FILES.values())[:5]}
    found = re.search(r"(dec|enc_style|enc_content|dis_content|dis_rand_prior)(?:_(?:<epoch>|latest)\.pth)?$", name)
    return {("dmit", official.FILES[found[1]])} if found else set()


def test_every_recorded_full_size_file_is_named_with_its_config(shared: Path) -> None:
    files = full_size(shared)
    assert len(files) > 25
    wrong = {}
    for name, shapes in files.items():
        report = identify_shapes(shapes)
        found = owners(report)
        sizes = {"discriminator"} & {role for _, role in found}
        # a discriminator tells its owners by the width of its input alone, so another system may share it
        if not (found >= expected(name) if sizes else found == expected(name)) or report.faults:
            wrong[name] = (found, report.faults, report.nearest())
    assert not wrong


def test_full_size_files_are_their_named_variants(shared: Path) -> None:
    keys = official_lists(shared / "golden/spade/D_official_keys/official_keys.json")
    for data, variant in (
        ("ade20k", "ade20k"),
        ("cityscapes", "cityscapes"),
        ("coco", "coco"),
        ("coco_vae", "coco-vae"),
    ):
        (network,) = identify_shapes(keys[f"{data}/latest_net_G.pth"]).named
        assert variant in [v.name for v in network.candidates[0].variants if not v.differs]
    keys = official_lists(shared / "golden/scgan/D_official_keys/official_keys.json")
    for data in ("celeba", "ade20k", "coco"):
        (network,) = identify_shapes(keys[f"scgan_{data}/<epoch>_net_G.pth"]).named
        assert data in [v.name for v in network.candidates[0].variants if not v.differs]
        assert "temperature" in network.candidates[0].match.ambiguous


def test_recorded_checkpoint_files_are_named(shared: Path) -> None:
    golden = shared / "golden"
    found = {str(p.relative_to(golden)): owners(identify(p)) for s in OURS for p in sorted((golden / s).glob("*/official_checkpoint*.*"))}  # fmt: skip
    assert len(found) >= 10
    for name, owner in found.items():
        assert owner >= expected(name), name
        one = len({a for a, _ in owner}) == 1 or owner == expected(name)
        assert one or "net_D" in name or "net_E" in name, name
    assert len(found["spade/A_normal_celeba/official_checkpoint_latest_net_D.pth"]) >= 2


def test_networks_flattened_into_one_file(shared: Path) -> None:
    report = identify(shared / "golden/spade/C_losses_vae/weights.safetensors")
    roles = {n.path: {c.match.role for c in n.candidates} for n in report.networks}
    assert roles["netG"] == {"generator"} and roles["netE"] == {"encoder"} and roles["netD"] == {"discriminator"}
    assert any(not n.candidates and "VGG" in n.path for n in report.networks)
    (encoder,) = (n for n in report.networks if n.path == "netE")
    assert {c.architecture for c in encoder.candidates} == {*SHARED_E}


def test_a_tie_exits_0_and_names_all_owners(shared: Path, run: Callable[..., Ran]) -> None:
    file = shared / "golden/scgan/A_celeba256/official_checkpoint_latest_net_E.pth"
    ran = run("identify", file)
    assert ran.code == 0 and f"a tie: {', '.join(SHARED_E)}" in ran.out and "--as" in ran.out
    found = json.loads(run("identify", file, "--json").out)
    assert found["recognised"] and found["networks"][0]["tie"]


def test_a_tie_is_told_in_one_order(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = shared / "golden/scgan/A_celeba256/official_checkpoint_latest_net_E.pth"
    monkeypatch.setattr(registry(), "architectures", dict(reversed(registry().architectures.items())))
    assert [c.architecture for c in identify(file).networks[0].candidates] == [*SHARED_E]


def unknown_generators(shared: Path) -> dict[str, Shapes]:
    """Generators of systems that the zoo has not."""
    found: dict[str, Shapes] = {}
    for file in sorted((shared / "golden").glob("*/D*/official_keys.json")):
        system = file.parts[-3]
        if system not in OURS:
            lists = official_lists(file)
            chosen = [n for n in lists if not any(word in n.lower() for word in ("net_d", "net_e", "/d", "/e"))]
            found |= {f"{system}/{n}": lists[n] for n in chosen[:2]}
    return found


def test_systems_that_the_zoo_has_not_are_unknown_with_the_nearest(shared: Path) -> None:
    for name, shapes in unknown_generators(shared).items():
        report = identify_shapes(shapes)
        assert not report.named and not report.faults, name
    keys = official_lists(shared / "golden/spade/D_official_keys/official_keys.json")["ade20k/latest_net_G.pth"]
    report = identify_shapes({k: v for k, v in keys.items() if "up_1" not in k} | {"up_9.weight": (3, 3)})
    assert not report.named and "spade generator" in report.nearest()


def test_a_file_smaller_than_its_shapes_is_refused(shared: Path, tmp_path: Path) -> None:
    """SPADE's 96 M parameters, all of them one number: the shapes themselves are SPADE's."""
    keys = official_lists(shared / "golden/spade/D_official_keys/official_keys.json")["ade20k/latest_net_G.pth"]
    file = save_shapes(keys, tmp_path / "net_G.pth")
    with pytest.raises(WeightsError, match=r"would need .* bytes of a storage that has 4"):
        identify(file)
    report = identify_shapes(keys)
    assert owners(report) == {("spade", "generator")} and report.named[0].parameters > 90_000_000
