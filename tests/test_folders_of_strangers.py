"""Training runs and model folders: one process at a time, no link followed, no file of a user's lost, full disks told."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_models import Ran
from safetensors.torch import load_file, save_file
from test_outputs import tree
from test_training_cli import TRAIN

from zoo.checkpoints.convert import _check_out
from zoo.errors import UsageError
from zoo.files.locks import LOCK, folder_lock, name_lock

Run = Callable[..., Ran]
FIT = ("label_sets", "--data", "toy-faces:6", "--device", "cpu")

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs links of POSIX"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, not to be written to."""
    from zoo.cli import main

    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.raises(SystemExit) as left:
        main([*map(str, TRAIN), "--set", "steps=2", "--out", str(out)])
    assert not left.value.code
    return out


@pytest.mark.parametrize("name", ["options.json", "state.pt", "best.pt", "metrics.jsonl", "model", "tensorboard", LOCK])
def test_links_in_a_training_run_are_not_followed(run: Run, trained: Path, tmp_path: Path, name: str) -> None:
    out, outside = Path(shutil.copytree(trained, tmp_path / "run")), tmp_path / "outside"
    (out / name).rename(outside) if (out / name).exists() else outside.touch()
    (out / name).symlink_to(outside)
    before = tree(tmp_path)
    refused = run("train", "--resume", out, "--set", "steps=3")
    assert refused.code == 2 and f"{name} is a link" in refused.err and refused.err.count("\n") == 1
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("architecture", [(), ("mask-vae",)])
def test_training_starts_from_no_file_outside_the_folder(
    run: Run, model_root: Path, tmp_path: Path, name: str, architecture: tuple[str, ...]
) -> None:
    start = Path(shutil.copytree(model_root / "mask-vae-celeba", tmp_path / "start"))
    (start / name).rename(tmp_path / name)
    (start / name).symlink_to(tmp_path / name)
    few = ("--data", "toy-faces:4", "--set", "steps=1", "--set", "batch_size=2", "--device", "cpu")
    refused = run("train", *architecture, *few, "--init", start, "--out", tmp_path / "out")
    assert refused.code == 1 and "link to a file outside its folder" in refused.err, refused.err
    assert not (tmp_path / "out").exists()


def test_training_starts_from_what_the_card_vouches_for(run: Run, model_root: Path, tmp_path: Path) -> None:
    start = Path(shutil.copytree(model_root / "mask-vae-celeba", tmp_path / "start"))
    few = ("--data", "toy-faces:4", "--set", "steps=1", "--set", "batch_size=2", "--device", "cpu")
    weights = load_file(start / "model.safetensors")
    save_file({n: t * 0.999 if t.is_floating_point() else t for n, t in weights.items()}, start / "model.safetensors")
    refused = run("train", *few, "--init", start, "--out", tmp_path / "out")
    assert refused.code == 1 and "does not match its card" in refused.err and not (tmp_path / "out").exists()
    (start / "README.md").unlink()
    assert run("train", *few, "--init", start, "--out", tmp_path / "out").code == 0


def test_one_process_trains_a_run(run: Run, trained: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    with folder_lock(out):
        before = tree(out)
        second = run("train", "--resume", out, "--set", "steps=3")
        assert second.code == 1 and f"is being written by process {os.getpid()} on" in second.err
        assert tree(out) == before
    (out / LOCK).touch()  # of a killed process
    (out / "state.pt.part").write_text("mine")
    (out / ".state.pt.0123456789abcdef.part").touch()
    assert run("train", "--resume", out, "--set", "steps=3").code == 0
    assert (out / "state.pt.part").read_text() == "mine"
    assert not (out / LOCK).exists() and not (out / ".state.pt.0123456789abcdef.part").exists()


def test_a_run_killed_before_its_options_can_begin(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / LOCK).touch()
    (out / ".options.json.0123456789abcdef.part").touch()
    assert run(*TRAIN, "--set", "steps=1", "--out", out).code == 0
    assert sorted(p.name for p in out.iterdir() if p.name.startswith(".")) == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other/x.part").touch()
    assert run(*TRAIN, "--set", "steps=1", "--out", tmp_path / "other").code == 2


# --- fit ----------------------------------------------------------------------------------------------------------


def test_fit_leaves_what_is_beside_its_folder(run: Run, model_root: Path, tmp_path: Path) -> None:
    mine = ["x.part/mine", "x.old.part", ".x.part", "y"]
    for name in mine:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = tree(tmp_path)
    source = model_root / "mask-vae-celeba"
    with name_lock(tmp_path / "x"):
        second = run("fit", source, *FIT, "--out", tmp_path / "x")
        assert second.code == 1 and "is being written by process" in second.err and "--out" in second.err
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert run("fit", source, *FIT, "--out", tmp_path / "link").code == 2
    (tmp_path / "link").unlink()
    assert run("fit", source, *FIT, "--out", tmp_path / "x").code == 0
    after = {n: c for n, c in tree(tmp_path).items() if not n.startswith("x/")}
    assert after == before


@pytest.mark.parametrize("name", ["assets", "assets/label_sets.json", "README.md", LOCK])
def test_fit_in_place_follows_no_links(run: Run, model_root: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(model_root / "mask-vae-celeba", tmp_path / "mine"))
    outside = tmp_path / "outside"
    (folder / name).rename(outside) if (folder / name).exists() else outside.touch()
    (folder / name).symlink_to(outside)
    before = tree(tmp_path)
    refused = run("fit", folder, *FIT)
    assert refused.code in (1, 2) and re.search(r"is a link|a link to a file outside", refused.err)
    assert tree(tmp_path) == before


# --- whatever makes a folder or a file ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["new-plugin", "pull"])
def test_no_folder_is_made_through_a_link(run: Run, model_root: Path, tmp_path: Path, command: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "toy-x").symlink_to(outside)
    arguments = {
        "new-plugin": ("new-plugin", "toy-x", "--to", tmp_path),
        "pull": ("pull", model_root / "mask-vae-celeba", "--to", tmp_path / "toy-x"),
    }
    refused = run(*arguments[command])
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert not any(outside.iterdir()) and sorted(p.name for p in tmp_path.iterdir()) == ["outside", "toy-x"]


def test_a_tar_takes_the_place_of_a_link(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "x.tar.part").write_text("mine")
    (tmp_path / "x.tar").symlink_to(outside)
    assert run("data", "tar", "toy-faces:2", tmp_path / "x.tar", "--overwrite").code == 0
    assert outside.read_text() == "mine" == (tmp_path / "x.tar.part").read_text()
    assert not (tmp_path / "x.tar").is_symlink() and sorted(p.name for p in tmp_path.iterdir()) == [
        "outside",
        "x.tar",
        "x.tar.part",
    ]


@pytest.mark.parametrize("config", [None, "{}", '{"name": "my web app"}', "[1"])
def test_converting_replaces_models_only(tmp_path: Path, config: str | None) -> None:
    (tmp_path / "index.html").write_text("mine")
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(UsageError, match="is no model folder"):
        _check_out(tmp_path, overwrite=True)
    (tmp_path / "config.json").write_text('{"architecture": "scgan"}')
    _check_out(tmp_path, overwrite=True)
