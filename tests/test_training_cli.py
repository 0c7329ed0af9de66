"""`zoo train`: from the command line to a model folder, and what it says to wrong arguments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from zoo.cards import missing_facts, read_card
from zoo.cli import main
from zoo.cli.show import command_line
from zoo.files.tensors import read_tensors
from zoo.registry import registry
from zoo.store.models import load_model

# mask-vae of a few thousand parameters, on drawn faces of 32 px
SETS = {
    "latent": 16, "encoder_side": 16, "encoder_widths": 32, "lstm_layers": 1, "decoder_width": 16, "decoder_widths": "16,8,8", "groups": 4,
    "steps": 3, "batch_size": 4, "log_every": 1, "save_every": 2, "validate_every": 2, "preview_every": 2, "precision": "fp32",
}  # fmt: skip
TRAIN = [
    "train",
    "mask-vae/celeba-128",
    "--data",
    "toy-faces:16",
    "--device",
    "cpu",
    *(x for k, v in SETS.items() for x in ("--set", f"{k}={v}")),
]


pytestmark = pytest.mark.usefixtures("one_thread")


def zoo(*arguments: str | Path) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps."""
    run = tmp_path_factory.mktemp("train") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["zoo", *TRAIN, "--out", str(run)])
        assert zoo(*TRAIN, "--out", run) == 0
    return run


def test_a_run_ends_in_a_model_folder(finished: Path) -> None:
    model = load_model(finished / "model")
    assert {"prior", "label_sets"} <= set(model.assets)
    card = read_card(finished / "model")
    assert card is not None and missing_facts(card) == []
    assert card.facts["training"]["steps"] == 3 and card.facts["training"]["pairs"] == 16
    assert card.facts["recipe"].startswith("zoo train mask-vae/celeba-128 --data toy-faces:16")
    curve = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in curve] == [2, 3]
    assert set(card.facts["scores"]) == set(curve[0]) - {"step", "samples", "minutes"}
    for text in ("Learning curve", "Scores on held-out data", "zoo train mask-vae/celeba-128"):
        assert text in card.body
    options = json.loads((finished / "options.json").read_text())
    assert (
        options["training"]["batch_size"] == 4
        and options["trained_on"]["pairs"] == 16
        and "torch" in options["versions"]
    )


def test_training_leaves_the_callers_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert zoo(*TRAIN, "--set", "steps=1", "--out", tmp_path / "run") == 0
    assert torch.equal(torch.rand(3), expected)


def test_a_finished_run_is_made_longer_and_ends_as_if_in_one_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    schedule = ["--set", "publish=last", "--set", "dtype=float16"]
    assert zoo(*TRAIN, *schedule, "--set", "steps=5", "--out", once) == 0
    # interrupted rather than shortened: the learning rates follow `steps`
    assert zoo(*TRAIN, *schedule, "--set", "steps=5", "--set", "minutes=1e-6", "--out", twice) == 0
    assert json.loads((twice / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 1
    capsys.readouterr()
    assert zoo("train", "--resume", twice, "--set", "minutes=none") == 0
    assert capsys.readouterr().out == f"{twice}\n"
    a, b = read_tensors(once / "model" / "model.safetensors"), read_tensors(twice / "model" / "model.safetensors")
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    assert {v.dtype for v in a.values() if v.is_floating_point()} == {torch.float16}
    card = read_card(twice / "model")
    assert card is not None and "&& " in card.facts["recipe"]


def test_training_starts_from_a_model(finished: Path, tmp_path: Path) -> None:
    frozen = ["--set", "lr=0", "--set", "steps=1", "--set", "ema=0", "--set", "publish=last", "--set", "dtype=float32"]
    assert zoo(*TRAIN, *frozen, "--init", finished / "model", "--out", tmp_path / "run") == 0
    before, after = (read_tensors(f / "model" / "model.safetensors") for f in (finished, tmp_path / "run"))
    names = {n for n, _ in load_model(finished / "model").named_parameters()}
    assert names and all(torch.equal(before[n], after[n]) for n in names)


def test_changed_data_is_refused_on_resume(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert zoo(*TRAIN, "--set", "steps=2", "--out", run) == 0
    options = json.loads((run / "options.json").read_text())
    (run / "options.json").write_text(json.dumps({**options, "data": "toy-faces:12"}))
    assert zoo("train", "--resume", run, "--set", "steps=4") == 1
    assert "16 pairs then, 12 now" in capsys.readouterr().err


def test_a_failed_start_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo(*TRAIN, "--set", "batch_size=64", "--out", tmp_path / "few") == 1
    assert "--set batch_size=16" in capsys.readouterr().err
    assert zoo(*TRAIN[:3], f"folder:{tmp_path}/nowhere", "--out", tmp_path / "none") == 1
    assert not (tmp_path / "none").exists()


WRONG = {
    "no name": (["train"], "Say what to train"),
    "no data": (["train", "mask-vae"], "Say what to train on"),
    "architecture": (["train", "mask-vea", "--data", "toy-faces"], "did you mean 'mask-vae'"),
    "variant": (["train", "mask-vae/celeba-12", "--data", "toy-faces"], "did you mean 'celeba-128'"),
    "data set": (["train", "mask-vae", "--data", "toy-face"], "did you mean 'toy-faces'"),
    "field": (["train", "mask-vae", "--data", "toy-faces", "--set", "stepps=3"], "did you mean 'steps'"),
    "owner": (["train", "mask-vae", "--data", "toy-faces", "--set", "net.latent=3"], "network.NAME, trainer.NAME"),
    "no value": (["train", "mask-vae", "--data", "toy-faces", "--set", "steps"], "expected FIELD=VALUE"),
    "space": (["train", "mask-vae", "--data", "toy-faces", "--space", "celebamask"], "did you mean 'celebamask-hq'"),
    "init": (["train", "mask-vae", "--data", "toy-faces", "--init", "mask-vae-celebra"], "No model"),
    "resume and more": (["train", "mask-vae", "--resume", "RUN", "--out", "x"], "leave out ARCH, --out"),
    "resume": (["train", "--resume", "nowhere"], "no training run"),
    "network of a resumed run": (["train", "--resume", "RUN", "--set", "latent=64"], "keeps its network"),
    "out": (["train", "mask-vae", "--data", "toy-faces", "--out", "RUN"], "--resume"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage(case: str, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, text = WRONG[case]
    assert zoo(*(str(finished) if a == "RUN" else a for a in arguments)) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--set", "steps=many"], "field 'steps': expected int, got 'many'"),
        (["--set", "steps=0"], "steps must be at least 1"),
        (["--out", "FILE/run"], "not a folder that can be written to"),
        (["--init", "./nowhere"], "there is no nowhere/model.safetensors"),
    ],
)
def test_what_cannot_be_done(
    arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert (
        zoo("train", "mask-vae", "--data", "toy-faces", *(a.replace("FILE", str(tmp_path / "file")) for a in arguments))
        == 1
    )
    assert text in capsys.readouterr().err


def test_arguments_are_checked_without_torch(finished: Path) -> None:
    """Every wrong usage above, and a dry run."""
    calls = [[str(finished) if a == "RUN" else a for a in arguments] for arguments, _ in WRONG.values()]
    calls.append([*TRAIN, "--dry-run"])
    program = (
        "import json, sys\nfrom zoo.cli import main\nfor call in json.loads(sys.argv[1]):\n"
        "    try: main(call)\n    except SystemExit: pass\n    assert 'torch' not in sys.modules, call\n"
    )
    done = subprocess.run([sys.executable, "-c", program, json.dumps(calls)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["training"]["steps"] == 3 and plan["config"]["latent"] == 16 and plan["device"] == "cpu"


def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.training.plan import make_plan

    assert "mask-vae" in registry().architectures
    (tmp_path / "photos").mkdir()
    (tmp_path / "16").mkdir()
    monkeypatch.chdir(tmp_path)
    plan = make_plan("mask-vae", "folder:photos#train", {})
    assert plan.data == f"folder:{tmp_path}/photos#train" and plan.data_name == "folder:photos#train"
    assert make_plan("mask-vae", "toy-faces:16", {}).data == "toy-faces:16"


def test_the_command_on_a_card_does_not_tell_where_things_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute paths by their last name; relative ones, addresses and repositories as they stand."""
    typed = [
        "train",
        "x/y",
        "--data",
        "ccp:/home/me/secret/ccp,pad=mirror#train",
        "--init=/home/me/run",
        "--out",
        "./a/b",
    ]
    monkeypatch.setattr("sys.argv", ["zoo", *typed, "~/a/net.pth", "hf:owner/repo", "https://host/x"])
    assert command_line() == (
        "zoo train x/y --data 'ccp:ccp,pad=mirror#train' --init=run --out ./a/b net.pth hf:owner/repo https://host/x"
    )


def test_data_are_held_against_the_model_before_pretrained_networks_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """spade/celeba-128 wants VGG's weights, which may not be here; that its classes are none of the data's comes first."""
    command = ["train", "spade/celeba-128", "--data", "toy-faces:8", "--space", "cityscapes", "--device", "cpu"]
    assert zoo(*command, "--out", tmp_path / "run") == 1
    assert "have no class in common" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
