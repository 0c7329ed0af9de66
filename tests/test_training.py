"""The training loop on a tiny system: resumption, averages, checkpoints, faults."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO

import pytest
import torch
from training_tiny import TinyTrainer, differences, start, trained

from zoo.errors import ConfigError, DataError, UsageError
from zoo.training.ema import Ema
from zoo.training.loop import Diverged, Interrupted
from zoo.training.runs import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


def curve(run: RunFolder) -> list[dict]:
    return [{k: v for k, v in r.items() if k != "minutes"} for r in run.metrics()]


# --- resumption ---------------------------------------------------------------------------------------------------


def test_ten_steps_are_five_and_five(tmp_path: Path) -> None:
    whole, expected = trained(tmp_path / "whole")
    with pytest.raises(Interrupted, match="--resume") as stopped:
        start(tmp_path / "parts", term_at=4).run()
    assert stopped.value.exit_code == 130
    parts = start(tmp_path / "parts")
    assert parts.step == 5 and parts.step % parts.sampler.steps_per_epoch  # in the middle of an epoch
    parts, found = trained(tmp_path / "parts")
    assert differences(expected, found) == []
    assert expected["step"] == 10 and expected["ema"] is not None
    assert curve(whole.run_folder) == curve(parts.run_folder)
    assert [r["step"] for r in whole.run_folder.metrics()] == [3, 6, 9]
    assert differences(whole.run_folder.load_state("best.pt"), parts.run_folder.load_state("best.pt")) == []
    assert whole.finish() == parts.finish()


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    """State of step 4, curve and best weights of a lost step 5: the resumed run measures again, and ends the same."""
    whole, expected = trained(tmp_path / "whole", validate_every=1)
    with pytest.raises(Diverged):
        start(tmp_path / "parts", validate_every=1, nan_loss_at=5).run()
    assert curve(RunFolder(tmp_path / "parts"))[-1]["step"] == 5
    loop = start(tmp_path / "parts", validate_every=1)
    assert loop.step == 4 and curve(loop.run_folder)[-1]["step"] == 4
    loop.run()
    found = loop.run_folder.load_state()
    assert found is not None
    del found["seconds"]
    assert differences(expected, found) == []
    assert curve(whole.run_folder) == curve(loop.run_folder)


def test_looking_changes_nothing(tmp_path: Path) -> None:
    _, often = trained(tmp_path / "often", validate_every=1, preview_every=1)
    _, never = trained(tmp_path / "never", validate_every=0, preview_every=0)
    assert differences(often, never) == []


def test_a_finished_run_can_be_made_longer(tmp_path: Path) -> None:
    _, expected = trained(tmp_path / "whole", steps=8)
    trained(tmp_path / "parts", steps=5)
    _, found = trained(tmp_path / "parts", steps=8)
    assert differences(expected, found) == []


def test_minutes_end_the_run_as_if_it_were_done(tmp_path: Path) -> None:
    loop = start(tmp_path, minutes=1e-6)
    loop.run()
    assert loop.step == 1
    assert set(loop.finish().scores) == {"l1"}


def test_a_checkpoint_of_other_networks_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, steps=2)
    with pytest.raises(UsageError, match="does not fit"):
        start(tmp_path, plain=True)


def test_bf16_trains_and_resumes(tmp_path: Path) -> None:
    _, expected = trained(tmp_path / "whole", steps=4, precision="bf16", channels_last=True)
    trained(tmp_path / "parts", steps=2, precision="bf16", channels_last=True)
    _, found = trained(tmp_path / "parts", steps=4, precision="bf16", channels_last=True)
    assert differences(expected, found) == []
    assert all(p.dtype == torch.float32 for p in expected["networks"]["model"].values() if p.is_floating_point())


# --- the average --------------------------------------------------------------------------------------------------


def test_the_average_is_of_parameters_only(tmp_path: Path) -> None:
    loop = start(tmp_path, steps=3)
    assert loop.ema is not None
    expected = {n: p.detach().clone() for n, p in loop.trainer.model.named_parameters()}
    update, count = loop.ema.update, 0

    def counted() -> None:
        nonlocal count
        count += 1
        decay = min(0.9, (1 + count) / (10 + count))
        for name, p in loop.trainer.model.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * p.detach()
        update()

    loop.ema.update = counted  # type: ignore[method-assign]
    loop.run()
    assert set(loop.ema.average) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(loop.ema.average[name], value)


def test_statistics_fit_the_averaged_weights(tmp_path: Path) -> None:
    loop, _ = trained(tmp_path)
    assert loop.ema is not None
    conv, norm = loop.trainer.model.net[0], loop.trainer.model.net[1]
    before = {k: v.clone() for k, v in loop.trainer.model.state_dict().items()}
    with loop.averaged():
        assert not loop.trainer.model.training and not norm.training
        assert torch.equal(conv.weight, loop.ema.average["net.0.weight"])
        left, values, _ = torch.linalg.svd(conv.weight.flatten(1))
        torch.testing.assert_close(conv.normalized_weight() * values[0], conv.weight, rtol=1e-4, atol=1e-5)
        assert abs(float(conv.weight_u @ left[:, 0])) == pytest.approx(1, abs=1e-4)
        seen = [conv(loop.sampler.batches(s)[0][0].images) for s in range(16)]
        torch.testing.assert_close(norm.running_mean, torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0))
        variances = [x.transpose(0, 1).flatten(1).var(1) for x in seen]
        torch.testing.assert_close(norm.running_var, torch.stack(variances).mean(0))
    assert differences(before, loop.trainer.model.state_dict()) == []
    assert loop.trainer.model.training and norm.training and norm.momentum == 0.1


def test_the_model_comes_back_when_looking_fails(tmp_path: Path) -> None:
    loop = start(tmp_path)
    assert loop.ema is not None
    before = {k: v.clone() for k, v in loop.trainer.model.state_dict().items()}

    def fails() -> None:
        raise RuntimeError("no data")

    with pytest.raises(RuntimeError, match="no data"), Ema(loop.trainer.model, 0.9).applied(fails):
        pass
    assert differences(before, loop.trainer.model.state_dict()) == []
    assert loop.trainer.model.training and loop.trainer.model.net[1].momentum == 0.1


def test_the_best_weights_are_published(tmp_path: Path) -> None:
    loop = start(tmp_path, validate_every=1)
    scores = iter([0.5, 0.2, float("nan"), 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 0.25])
    loop.trainer.validate = lambda data: {"l1": next(scores)}  # type: ignore[method-assign]
    loop.run()
    best = loop.run_folder.load_state("best.pt")
    assert best is not None and best["step"] == 2 and best["scores"] == {"l1": 0.2}
    published = loop.finish()
    assert published.step == 2 and published.scores == {"l1": 0.25}
    assert differences(best["model"], loop.trainer.model.state_dict()) == []


def test_a_resumed_run_remembers_the_best_score(tmp_path: Path) -> None:
    for steps, score in ((2, 0.2), (4, 0.5)):  # the later scores are worse
        loop = start(tmp_path, steps=steps, validate_every=1)
        loop.trainer.validate = lambda data, score=score: {"l1": score}  # type: ignore[method-assign, misc]
        loop.run()
    best = loop.run_folder.load_state("best.pt")
    assert best is not None and best["step"] == 1 and loop.finish().step == 1


def test_a_best_newer_than_the_checkpoint_is_forgotten(tmp_path: Path) -> None:
    """Its steps were lost; going on from the checkpoint may lead elsewhere."""
    loop, _ = trained(tmp_path, steps=2)
    model = loop.trainer.model.state_dict()
    loop.run_folder.save_state({"step": 3, "model": model, "scores": {"l1": 0.0}}, "best.pt")
    assert start(tmp_path, steps=4).best is None
    assert loop.run_folder.load_state("best.pt") is None


def test_published_weights_are_those_that_are_stored(tmp_path: Path) -> None:
    loop, _ = trained(tmp_path, publish="last", dtype="float16")
    assert loop.finish().step == 10
    assert all(torch.equal(p, p.half().float()) for p in loop.trainer.model.parameters())
    assert not torch.equal(loop.trainer.model.net[0].weight_u, loop.trainer.model.net[0].weight_u.half().float())


def test_batch_norms_without_statistics_fail_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(TinyTrainer, "statistics")
    with pytest.raises(ConfigError, match="ema=0"):
        start(tmp_path)
    start(tmp_path, ema=0.0)


# --- checkpoints and faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("killed", ["writing", "renaming"])
def test_a_kill_while_saving_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    loop, before = trained(tmp_path, steps=2)

    def half(state: object, file: IO[bytes]) -> None:
        file.write(b"PK half a file")
        raise SystemExit

    def never(*paths: object) -> None:
        raise SystemExit

    target, name, fake = (torch, "save", half) if killed == "writing" else (os, "replace", never)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(target, name, fake)
        loop.save()
    found = loop.run_folder.load_state()
    assert found is not None
    del found["seconds"]
    assert differences(before, found) == []
    assert not list(tmp_path.glob("*.part"))


def test_a_full_disk_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, _ = trained(tmp_path, steps=2)

    def full(state: object, path: Path) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DataError, match=r"state.pt.*before it is kept"):
        loop.save()


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    trained(tmp_path, steps=2)
    path = tmp_path / "state.pt"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"state.pt is damaged"):
        start(tmp_path)


def test_the_model_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.replace_model(lambda folder: (folder / "a.safetensors").write_text("1"))
    (run.model / "notes.txt").write_text("mine")
    (tmp_path / "model.part").write_text("mine")
    (tmp_path / ".state.pt.0123456789abcdef.part").write_text("of a killed process")

    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise SystemExit

    with pytest.raises(SystemExit):
        run.replace_model(fails)
    assert (run.model / "a.safetensors").read_text() == "1"
    run.clean()
    run.replace_model(lambda folder: (folder / "b.safetensors").write_text("2"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "model.part"]
    assert sorted(p.name for p in run.model.iterdir()) == ["b.safetensors", "notes.txt"]


@pytest.mark.parametrize(
    ("options", "what"),
    [({"nan_loss_at": 5}, "the loss l1"), ({"inf_gradient_at": 5}, "a gradient of the optimizer 'g'")],
)
def test_what_is_not_finite_stops_the_run(tmp_path: Path, options: dict, what: str) -> None:
    loop = start(tmp_path, **options)
    with pytest.raises(Diverged, match=rf"After 5 steps: {what} .*last good state is kept.*--resume"):
        loop.run()
    state = loop.run_folder.load_state()
    assert state is not None and state["step"] == 4
    # nothing took the bad gradient, so even the networks in memory are sound
    assert all(bool(p.isfinite().all()) for net in loop.trainer.networks.values() for p in net.parameters())
    start(tmp_path).run()


def test_a_parameter_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    loop, _ = trained(tmp_path, steps=4)
    with torch.no_grad():
        loop.trainer.model.net[1].running_var.fill_(float("nan"))
    with pytest.raises(Diverged):
        loop.save()
    start(tmp_path).run()


def test_diverging_before_the_first_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="No state had been saved"):
        start(tmp_path, nan_loss_at=0).run()


def test_a_torn_line_of_the_curve_does_not_matter(tmp_path: Path) -> None:
    loop, _ = trained(tmp_path, steps=4)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "sam')
    assert [r["step"] for r in loop.run_folder.metrics()] == [3]
    start(tmp_path)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


def test_metrics_are_json_lines(tmp_path: Path) -> None:
    trained(tmp_path, steps=3)
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line).keys() == {"step", "samples", "minutes", "l1"}
    assert list((tmp_path / "tensorboard").iterdir())
