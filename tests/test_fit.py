"""`zoo fit`: assets computed again or on other data, into the folder or a copy, with the card kept true."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran, drawn_face

import zoo
from zoo.cards import card_digests, read_card
from zoo.cli import main
from zoo.configs import override
from zoo.data.specs import open_data, parse_spec
from zoo.errors import WeightsError
from zoo.files.tensors import read_tensors
from zoo.interfaces.label_sets import fit_label_sets, only
from zoo.labels import LabelSet, parse_space
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.store.models import digests, load_model
from zoo.training.fit import plan_fit
from zoo.training.plan import absolute_data, public_name
from zoo_plugins.mask_vae.config import VARIANTS

Run = Callable[..., Ran]
DATA = ("--data", "toy-faces:6", "--device", "cpu")
SPACE = label_space("celebamask-hq")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(model_root: Path, tmp_path: Path) -> Path:
    """A tiny mask-vae of one's own, with its card."""
    return Path(shutil.copytree(model_root / "mask-vae-celeba", tmp_path / "mine"))


def card(path: Path) -> Any:
    found = read_card(path)
    assert found is not None
    return found


def contents(path: Path) -> dict[str, bytes]:
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}


# --- what comes out -----------------------------------------------------------------------------------------------


def test_label_sets_in_place(run: Run, folder: Path) -> None:
    before = contents(folder)
    made = run("fit", folder, "label_sets", *DATA, "--set", "flip=true")
    assert made.code == 0 and made.out == f"{folder}\n" and "6 pairs" in made.err
    after = contents(folder)
    assert {n for n in before if after[n] != before[n]} == {"README.md", "assets/label_sets.json"}
    assert after.keys() == before.keys(), "nothing may be left beside the model"
    assert card_digests(folder) == digests(folder)
    sets = json.loads(after["assets/label_sets.json"])
    # with mirror images each map counts twice
    assert sum(entry["count"] for entry in sets) == 12 and all("background" not in e["labels"] for e in sets)
    fitted = card(folder).facts["fitted"]["label_sets"]
    assert fitted["data"] == "toy-faces:6" and fitted["pairs"] == 6 and "Apache" in fitted["data_license"]
    assert zoo.load(folder).assets["label_sets"] == sets


def test_what_training_computes_and_what_fit_computes_are_the_same(tmp_path: Path, run: Run) -> None:
    from test_training_cli import TRAIN

    path = tmp_path / "run"
    sets = ["--set", "steps=1", "--set", "prior_components=3", "--set", "flip=false", "--set", "dtype=float16"]
    assert run(*TRAIN, *sets, "--out", path).code == 0
    before = contents(path / "model")
    for asset in ("prior", "label_sets"):  # the run's folder means its model, and its options count
        assert run("fit", path, asset, "--data", "toy-faces:16", "--device", "cpu").code == 0
    after = contents(path / "model")
    assert after["assets/label_sets.json"] == before["assets/label_sets.json"]
    old, new = (_tensors(c, tmp_path) for c in (before, after))
    assert new["std"].shape[-1] == 3
    for name, value in old.items():
        torch.testing.assert_close(new[name], value, atol=1e-5, rtol=1e-4)


def _tensors(files: dict[str, bytes], where: Path) -> dict[str, torch.Tensor]:
    path = where / "prior.safetensors"
    path.write_bytes(files["assets/prior.safetensors"])
    return read_tensors(path)


def test_a_published_model_goes_into_a_copy(run: Run, published: Path, tmp_path: Path) -> None:
    source, out = published / "mask-vae-celeba", tmp_path / "copy"
    before = contents(source)
    refused = run("fit", "mask-vae", "label_sets", *DATA)
    assert refused.code == 2 and "mask-vae-celeba is a published model" in refused.err and "--out" in refused.err
    made = run("fit", "mask-vae", "label_sets", *DATA, "--out", out, "--json")
    report = json.loads(made.out)
    assert made.code == 0 and report["folder"] == str(out) and report["pairs"] == 6 and report["mapping"] is None
    assert report["sha256"] == card_digests(out)["assets/label_sets.json"]
    assert contents(source) == before and contents(out).keys() == before.keys()
    assert card_digests(out) == digests(out) and zoo.load(out).assets["label_sets"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy"]
    again = run("fit", "mask-vae", "label_sets", *DATA, "--out", out)
    assert again.code == 2 and "not empty" in again.err


def test_the_card_says_each_asset_once(run: Run, folder: Path) -> None:
    for data in ("toy-faces:4", "toy-faces:6"):
        assert run("fit", folder, "label_sets", "--data", data).code == 0
    assert run("fit", folder, "prior", "--data", "toy-faces:5", "--set", "flip=false").code == 0
    body = card(folder).body
    assert body.startswith("# mask-vae\n") and body.count("## Assets computed again") == 1
    assert body.count("`label_sets` from 6 pairs of `toy-faces:6`") == 1 and "toy-faces:4" not in body
    assert "`prior` from 5 pairs" in body


def test_a_damaged_or_missing_asset_is_made_good(run: Run, folder: Path) -> None:
    (folder / "assets/label_sets.json").write_text("{")
    with pytest.raises(WeightsError):
        load_model(folder)
    assert run("fit", folder, "label_sets", *DATA).code == 0
    (folder / "assets/prior.safetensors").unlink()
    assert run("fit", folder, "prior", *DATA).code == 0
    assert {"prior", "label_sets"} == set(load_model(folder).assets)


def test_other_damage_is_not_covered_up(run: Run, folder: Path) -> None:
    before = (folder / "README.md").read_bytes()
    (folder / "assets/label_sets.json").write_text("[]\n")
    refused = run("fit", folder, "prior", *DATA)
    assert refused.code == 1 and "does not match its card" in refused.err
    assert (folder / "README.md").read_bytes() == before


def test_a_folder_without_a_card_stays_without(run: Run, folder: Path) -> None:
    (folder / "README.md").unlink()
    assert run("fit", folder, "label_sets", *DATA).code == 0
    assert not (folder / "README.md").exists() and zoo.load(folder).assets["label_sets"]


def test_photos_for_a_synthesizer(run: Run, model_root: Path, tmp_path: Path) -> None:
    source, out = model_root / "scgan-celeba", tmp_path / "copy"
    assert run("fit", source, "latent_prior", *DATA, "--out", out).code == 0
    prior = zoo.load(out).assets["latent_prior"]
    assert prior["mean"].shape == (8,) and torch.equal(prior["factor"], prior["factor"].tril())
    maps = folder_of_maps(tmp_path / "maps")
    refused = run("fit", source, "latent_prior", "--data", f"folder:{maps}", "--out", tmp_path / "none")
    assert refused.code == 1 and "maps alone" in refused.err and not (tmp_path / "none").exists()


def test_the_options_are_those_of_the_variant_unless_set(tmp_path: Path) -> None:
    plan = plan_fit("mask-vae-celeba", "prior", "toy-faces", out=tmp_path / "x")
    assert plan.options == VARIANTS["celeba-128"].training and plan.options.flip
    changed = plan_fit("mask-vae-celeba", "prior", "toy-faces", out=tmp_path / "x", changes={"prior_components": "4"})
    assert changed.options == override(plan.options, {"prior_components": 4})


# --- other data ---------------------------------------------------------------------------------------------------


def folder_of_maps(path: Path, space: str = "celebamask-hq", count: int = 3) -> Path:
    """Maps without photos."""
    (path / "maps").mkdir(parents=True)
    for i in range(count):
        found = SemanticMap(drawn_face(i), SPACE)
        (found if space == SPACE.name else found.to_space(label_space(space))).to_png(path / f"maps/{i}.png")
    (path / "manifest.json").write_text(json.dumps({"label_space": space}))
    return path


def test_maps_of_another_space_are_joined_by_name(run: Run, folder: Path, tmp_path: Path) -> None:
    own, other = folder_of_maps(tmp_path / "a"), folder_of_maps(tmp_path / "b", "face-parsing")
    found = []
    for data in (own, other):
        made = run("fit", folder, "label_sets", "--data", f"folder:{data}")
        assert made.code == 0, made.err
        found.append((folder / "assets/label_sets.json").read_text())
    assert found[0] == found[1] and "face-parsing -> celebamask-hq" in made.err
    assert run("fit", folder, "label_sets", "--data", f"folder:{own}", "--json").out.count("null") == 1  # no mapping


def test_maps_that_have_nothing_in_common_are_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "maps").mkdir(parents=True)
    space = {"name": "zoo-animals", "classes": ["nothing", "zebra"], "background": "nothing"}
    (data / "space.json").write_text(json.dumps(space))
    zoo.SemanticMap(torch.ones(1, 8, 8, dtype=torch.long), parse_space(space, "x")).to_png(data / "maps/0.png")
    before = contents(folder)
    made = run("fit", folder, "label_sets", "--data", f"folder:{data}", "--space", str(data / "space.json"))
    assert made.code == 1 and "no class in common" in made.err and contents(folder) == before


def test_data_that_show_nothing_are_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "maps").mkdir(parents=True)
    before = contents(folder)
    for count in range(2):
        made = run("fit", folder, "label_sets", "--data", f"folder:{data}", "--space", "celebamask-hq")
        assert made.code == 1 and made.out == "" and ("no map shows" in made.err if count else "0 pairs" in made.err)
        SemanticMap(torch.zeros(1, 8, 8, dtype=torch.long), SPACE).to_png(data / "maps/0.png")
    assert contents(folder) == before
    one = run("fit", folder, "prior", "--data", f"folder:{data}", "--space", "celebamask-hq", "--set", "flip=false")
    assert one.code == 1 and "at least 2 maps" in one.err and contents(folder) == before


def test_mirror_images_swap_left_and_right() -> None:
    data = open_data("toy-faces:5", resolution=32)
    names = ("l_ear", "r_ear", "l_eye", "skin")
    shown = [only(s, names) for s in data.label_sets()]
    entries = fit_label_sets(data, names, mirror=True)
    assert sum(e["count"] for e in entries) == 2 * len([s for s in shown if s.names])
    swap = {"l_ear": "r_ear", "r_ear": "l_ear", "l_eye": "r_eye", "skin": "skin"}
    counted = {frozenset(e["labels"]): e["count"] for e in entries}
    for label_set in shown:
        assert counted[frozenset(label_set.names)] and counted[frozenset(swap[n] for n in label_set.names)]
    assert only(LabelSet(SPACE, ("background", "skin", "hat")), ("skin", "nose")).names == ("skin",)


# --- wrong usage --------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[list[str], int, str]] = {
    "no data": (["MINE", "prior"], 2, "--data"),
    "model": (["mask-vea", "prior", *DATA], 2, "did you mean 'mask-vae"),
    "folder": (["./nowhere", "prior", *DATA], 1, "no model folder"),
    "data set": (["MINE", "prior", "--data", "toy-face"], 2, "did you mean 'toy-faces'"),
    "split": (["MINE", "prior", "--data", "toy-faces:6#train2"], 1, "train2"),
    "option": (["MINE", "prior", *DATA, "--set", "flop=1"], 2, "did you mean 'flip'"),
    "value": (["MINE", "prior", *DATA, "--set", "flip=maybe"], 1, "flip"),
    "space": (["MINE", "prior", *DATA, "--space", "celebamask"], 2, "did you mean 'celebamask-hq'"),
    "taken": (["MINE", "prior", *DATA, "--out", "MINE"], 2, "not empty"),
    "asset": (["MINE", "priors", *DATA], 2, "did you mean 'prior'? (it has prior: "),
    "no assets": (["PARSER", "prior", *DATA], 2, "keeps nothing that is computed from data"),
}
NEEDS_TORCH = ("folder", "split", "asset", "no assets")


def arguments(case: str, folder: Path, root: Path) -> list[str]:
    places = {"MINE": str(folder), "PARSER": str(root / "face-parser-celeba")}
    return [places.get(a, a) for a in WRONG[case][0]]


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage(case: str, run: Run, folder: Path, model_root: Path) -> None:
    before = contents(folder)
    made = run("fit", *arguments(case, folder, model_root))
    assert made.code == WRONG[case][1] and WRONG[case][2] in made.err and made.out == ""
    assert contents(folder) == before


def test_arguments_are_checked_without_torch(folder: Path, model_root: Path) -> None:
    calls = [["fit", *arguments(case, folder, model_root)] for case in WRONG if case not in NEEDS_TORCH]
    calls.append(["fit", "--help"])
    program = (
        "import json, sys\nfrom zoo.cli import main\nfor call in json.loads(sys.argv[1]):\n"
        "    try: main(call)\n    except SystemExit: pass\n    assert 'torch' not in sys.modules, call\n"
    )
    done = subprocess.run([sys.executable, "-c", program, json.dumps(calls)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_failed_write_leaves_the_folder_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = contents(folder)
    monkeypatch.setattr("zoo.files.writing.os.replace", full)
    for extra in ([], ["--out", str(tmp_path / "copy")]):
        with pytest.raises(SystemExit) as left:
            main(["fit", str(folder), "label_sets", *DATA, *extra])
        assert left.value.code == 1 and contents(folder) == before
    assert not [p for p in tmp_path.iterdir() if "copy" in p.name]


def test_options_behind_a_path_stay_when_it_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "people").mkdir()
    monkeypatch.chdir(tmp_path)
    spec = absolute_data(parse_spec("ccp:people,crop=person,pad=square#val"))
    assert str(spec) == f"ccp:{tmp_path}/people,crop=person,pad=square#val"
    assert public_name(spec) == "ccp,crop=person,pad=square#val" and absolute_data(spec) == spec
    assert public_name(parse_spec(f"folder:{tmp_path}/people#a")) == "folder:people#a"
    assert str(absolute_data(parse_spec("ccp:nowhere,crop=person"))) == "ccp:nowhere,crop=person"
    assert public_name(parse_spec("toy-faces:6")) == "toy-faces:6"
