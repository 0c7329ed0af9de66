"""`zoo train` as a program: signals, refusals that leave nothing behind, and what it writes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_training_cli import TRAIN, zoo

from zoo import load
from zoo.data.specs import open_source, parse_spec
from zoo.errors import UsageError
from zoo.files.writing import write_atomic
from zoo.registry import label_space
from zoo.store.models import load_model
from zoo.training.plan import split_changes
from zoo.training.runs import RunFolder, _Stream

SCGAN = ["train", "scgan/celeba-128", "--device", "cpu"]
SMALL = [
    x
    for s in ("ngf=8", "nff=8", "ndf=8", "batch_size=2", "precision=fp32", "preview_every=0", "validate_every=0")
    for x in ("--set", s)
]


pytestmark = pytest.mark.usefixtures("one_thread")


# --- signals ------------------------------------------------------------------------------------------------------


def begun(run: Path) -> subprocess.Popen[str]:
    """An endless run in a process of its own, past its first checkpoint."""
    command = [sys.executable, "-m", "zoo", *TRAIN, "--set", "steps=100000", "--out", str(run)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    until = time.monotonic() + 120
    while not (run / "state.pt").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    return process


def ended(process: subprocess.Popen[str]) -> str:
    """What an interrupted process says; it holds no traceback, and the exit code is 130."""
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, ""), errors
    assert "Traceback" not in errors
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_run_goes_on(tmp_path: Path, number: int) -> None:
    process = begun(tmp_path / "run")
    process.send_signal(number)
    errors = ended(process)
    state = RunFolder(tmp_path / "run").load_state()
    assert state is not None
    assert f"Stopped at step {state['step']}; continue with: zoo train --resume {tmp_path / 'run'}" in errors
    assert zoo("train", "--resume", tmp_path / "run", "--set", f"steps={state['step'] + 1}") == 0
    assert load_model(tmp_path / "run" / "model").label_space.name == "celebamask-hq"


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.0, 0.05, 0.3])
def test_ctrl_c_twice_ends_cleanly_and_keeps_a_state(tmp_path: Path, pause: float) -> None:
    process = begun(tmp_path / "run")
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(pause)
    ended(process)
    state = RunFolder(tmp_path / "run").load_state()
    assert state is not None and state["step"] >= 2
    assert not list((tmp_path / "run").glob("*.part"))


@pytest.mark.parametrize("presses", [1, 3])
def test_ctrl_c_within_a_checkpoint_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, presses: int) -> None:
    run = RunFolder(tmp_path / "run")
    (tmp_path / "run").mkdir()
    run.save_state({"step": 1})

    pressed: list[int] = []
    write = _Stream.write

    def impatient(self: _Stream, content: bytes) -> int:
        if len(pressed) < presses:
            pressed.append(len(content))
            signal.raise_signal(signal.SIGINT)
        return write(self, content)

    monkeypatch.setattr(_Stream, "write", impatient)
    with pytest.raises(KeyboardInterrupt):
        run.save_state({"step": 2, "weights": torch.zeros(10_000)})
    monkeypatch.undo()
    assert len(pressed) == presses
    state = run.load_state()
    assert state is not None and state["step"] == 1 and not list((tmp_path / "run").glob("*.part"))


# --- what is refused leaves nothing behind ------------------------------------------------------------------------


def test_a_start_that_fails_can_be_corrected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo(*TRAIN, "--set", "batch_size=64", "--out", tmp_path / "run") == 1
    assert "--set batch_size=16" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_refused_resumption_leaves_the_run_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, gan = tmp_path / "run", ["--set", "adversarial=true", "--set", "ndf=4"]
    assert zoo(*TRAIN, *gan, "--set", "steps=1", "--out", run) == 0
    before = (run / "options.json").read_text()
    assert zoo("train", "--resume", run, "--set", "ndf=8", "--set", "steps=2") == 2
    said = capsys.readouterr().err
    assert "does not fit these options (Error(s) in loading state_dict" in said and said.splitlines()[-1].startswith(
        "Error: "
    )
    assert (run / "options.json").read_text() == before
    assert zoo("train", "--resume", run, "--set", "steps=2") == 0


def test_no_photos_no_synthesizer(maps_only: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", f"folder:{maps_only}", "--space", "celebamask-hq", "--out", tmp_path / "run"]
    assert zoo(*SCGAN, *SMALL, "--set", "perceptual=none", *data) == 1
    assert "holds maps alone" in capsys.readouterr().err
    assert zoo("train", "face-parser/celeba-128", "--device", "cpu", "--set", "batch_size=2", *data) == 1
    assert "has maps alone" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_without_perceptual_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import timm

    def offline(*args: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    assert zoo(*SCGAN, *SMALL, "--data", "toy-faces:8", "--out", tmp_path / "run") == 1
    assert "--set perceptual=none" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_no_pairs_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    assert (
        zoo("train", "mask-vae", "--data", f"folder:{tmp_path}", "--space", "celebamask-hq", "--out", tmp_path / "run")
        == 1
    )
    errors = capsys.readouterr().err
    assert "0 pairs found" in errors and "Patterns tried" in errors
    assert not (tmp_path / "run").exists()


def test_a_field_of_network_and_trainer_needs_its_owner() -> None:
    from zoo.interfaces.training_options import TrainingOptions

    options = TrainingOptions()
    with pytest.raises(UsageError, match=r"say network\.steps or trainer\.steps"):
        split_changes(options, options, {"steps": "3"})
    assert split_changes(options, options, {"network.steps": "3"}) == ({"steps": "3"}, {})


# --- a full disk --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["state.pt", "metrics.jsonl", "model.safetensors"])
def test_a_full_disk_is_one_clear_error(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    if file == "metrics.jsonl":
        monkeypatch.setattr("zoo.files.writing._all", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    elif file == "state.pt":
        monkeypatch.setattr(
            "zoo.training.runs.write_atomic",
            lambda path, write, **more: write_atomic(path, lambda part: write(full), **more),
        )
    else:
        from safetensors.torch import save_file

        monkeypatch.setattr(
            "zoo.files.tensors.save_file", lambda tensors, path: save_file(tensors, path.with_name("missing") / "x")
        )
    assert zoo(*TRAIN, "--out", tmp_path / "run") == 1
    errors = capsys.readouterr().err
    assert "Error: Cannot write" in errors and "should not happen" not in errors
    assert file == "model.safetensors" or "the disk is full" in errors
    assert not list((tmp_path / "run").rglob("*.part/model.safetensors"))


def test_training_outlives_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.flush", full)
    assert zoo(*TRAIN, "--out", tmp_path / "run") == 0
    errors = capfd.readouterr().err
    assert errors.count("goes on without the TensorBoard log") == 1 and "No space left" in errors
    assert load_model(tmp_path / "run" / "model")


FULL = """
import resource, sys, torch
from pathlib import Path
from zoo.training.events import Events

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # no file may grow beyond: the real writer on a full disk
events, step = Events(Path(sys.argv[1])), 0
events.scalars({"l1": 1.0}, 7)
try:
    for step in range(1, 100):
        events.picture("noise", torch.rand(3, 32, 32), step)
except OSError as error:
    print(step, error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_the_record_that_does_not_fit_is_told(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True)
    assert ran.returncode == 0 and "Traceback" not in ran.stderr, ran.stderr
    step, code = (int(n) for n in ran.stdout.split())
    assert 1 < step < 99 and code == errno.EFBIG
    log = EventAccumulator(str(tmp_path), size_guidance={"images": 0})
    log.Reload()
    assert [e.step for e in log.Scalars("l1")] == [7]
    assert [e.step for e in log.Images("noise")] == list(range(1, step))  # all that came before is on the disk


# --- what it writes -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def maps_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight label maps of 128 px."""
    folder = tmp_path_factory.mktemp("maps_only")
    (folder / "maps").mkdir()
    source = open_source(parse_spec("toy-faces:8"))
    for i in range(8):
        Image.fromarray(source.read(i, (128, 128))[1]).save(folder / "maps" / f"{i}.png")
    return folder


def test_maps_in_the_users_own_space(maps_only: Path, tmp_path: Path) -> None:
    """--space FILE.json: the data and the model speak it, and the model folder carries it."""
    space = {**label_space("celebamask-hq").to_json(), "name": "mine"}
    (tmp_path / "mine.json").write_text(json.dumps(space))
    arguments = [a.replace("toy-faces:16", f"folder:{maps_only}") for a in TRAIN]
    assert zoo(*arguments, "--space", tmp_path / "mine.json", "--set", "steps=1", "--out", tmp_path / "run") == 0
    (tmp_path / "mine.json").unlink()
    model = load(str(tmp_path / "run" / "model"))
    assert model.label_space.name == "mine" and model.label_space.names == label_space("celebamask-hq").names


def test_tensorboard_reads_the_log(tmp_path: Path) -> None:
    assert zoo(*TRAIN, "--out", tmp_path / "run") == 0
    assert zoo("train", "--resume", tmp_path / "run", "--set", "steps=4") == 0
    log = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"images": 0})
    log.Reload()
    tags = log.Tags()
    assert {"train/ce", "train/kl", "validation/miou"} <= set(tags["scalars"])
    assert [e.step for e in log.Scalars("train/ce")] == [1, 2, 3, 4]
    curve = {r["step"]: r["miou"] for r in RunFolder(tmp_path / "run").metrics()}
    assert {e.step: pytest.approx(e.value) for e in log.Scalars("validation/miou")} == curve
    (tag,) = tags["images"]
    assert tag.startswith("preview: ") and [e.step for e in log.Images(tag)] == [2, 4]
    assert log.Images(tag)[0].encoded_image_string.startswith(b"\x89PNG") and log.Images(tag)[0].width > 100
