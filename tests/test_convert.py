"""`zoo convert`: the authors' checkpoints as model folders that give the recorded outputs, whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from fixtures_models import Ran
from official_files import parser_state

import zoo
from zoo.cards import missing_facts, read_card
from zoo.checkpoints import convert as converting
from zoo.files.digests import sha256
from zoo.files.tensors import read_tensors
from zoo.registry import Plugin, PluginRecord, discovery, reset
from zoo.store.models import digests


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A tiny face parser's checkpoint as a training script would write it."""
    file = tmp_path / "1_G.pth"
    torch.save({"state_dict": {f"module.{k}": v for k, v in parser_state().items()}, "epoch": 3}, file)
    return file


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if ".part" in p.name)


def test_a_checkpoint_becomes_a_model_folder(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "models/parser"
    command = [sys.executable, "-m", "zoo", "convert", str(checkpoint), "--out", str(out), "--config", "side=32"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == f"{out}\n"
    assert "no shape tells these" in done.stderr and "label_space=celebamask-hq" in done.stderr
    model = zoo.load(out)
    assert torch.equal(model.state_dict()["unet.final.weight"], parser_state()["final.weight"])
    card = read_card(out)
    assert card is not None and missing_facts(card) == []
    assert card.facts["sources"] == [
        {"file": "1_G.pth", "sha256": sha256(checkpoint), "bytes": checkpoint.stat().st_size, "networks": {"parser": "state_dict"}}
    ]  # fmt: skip
    assert card.facts["weights_license"] == card.facts["data_license"] == card.facts["data"] == "unknown"
    assert "convert" in card.facts["recipe"] and "--config side=32" in card.facts["recipe"]
    assert card.facts["files"] == digests(out) and card.facts["resolution"] == [32, 32]
    assert sha256(checkpoint) in card.body and leftovers(out.parent) == []


def test_json_and_licences(checkpoint: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    licences = ("--weights-license", "MIT", "--data-license", "CC-BY-4.0", "--dataset", "celebamask-hq")
    ran = run("convert", checkpoint, "--out", tmp_path / "out", "--config", "side=32", "--json", *licences)
    report = json.loads(ran.out)
    assert ran.code == 0 and report["architecture"] == "face-parser" and report["assumed"] == {}
    card = read_card(tmp_path / "out")
    assert card is not None and card.facts["weights_license"] == "MIT" and card.facts["data"] == "celebamask-hq"


def test_averaged_weights_are_taken_unless_an_entry_is_named(tmp_path: Path, run: Callable[..., Ran]) -> None:
    raw, average = parser_state(0), parser_state(1)
    torch.save({"params": raw, "params_ema": average}, tmp_path / "it.pth")
    for more, expected in (((), average), (("--entry", "params"), raw), (("--entry", "params_ema"), average)):
        out = tmp_path / f"out-{'-'.join(more)}"
        ran = run("convert", tmp_path / "it.pth", "--out", out, "--config", "side=32", *more)
        assert ran.code == 0, ran.err
        assert torch.equal(zoo.load(out).state_dict()["unet.final.weight"], expected["final.weight"])
    ran = run("convert", tmp_path / "it.pth", "--out", tmp_path / "x", "--entry", "ema")
    assert ran.code == 2 and "params_ema" in ran.err


def test_what_is_there_is_kept(checkpoint: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    out = tmp_path / "out"
    assert run("convert", checkpoint, "--out", out, "--config", "side=32").code == 0
    before = digests(out)
    ran = run("convert", checkpoint, "--out", out)
    assert ran.code == 2 and "--overwrite" in ran.err
    ran = run("convert", checkpoint, "--out", out, "--overwrite", "--config", "side=33")
    assert ran.code == 1 and digests(out) == before
    assert run("convert", checkpoint, "--out", out, "--overwrite", "--config", "side=64").code == 0
    assert zoo.load(out).resolution == (64, 64)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    ran = run("convert", checkpoint, "--out", tmp_path / "mine", "--overwrite")
    assert ran.code == 2 and "no model folder" in ran.err and (tmp_path / "mine/notes.txt").is_file()
    ran = run("convert", checkpoint, "--out", checkpoint)
    assert ran.code == 2 and "is a file" in ran.err and leftovers(tmp_path) == []


def test_a_failure_at_the_end_leaves_nothing(checkpoint: Path, tmp_path: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    def broken(model: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(converting, "smoke", broken)
    ran = run("convert", checkpoint, "--out", tmp_path / "out", "--config", "side=32")
    assert ran.code == 130 and not (tmp_path / "out").exists() and leftovers(tmp_path) == []


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, run: Callable[..., Ran], shared: Path) -> None:
    file = shared / "golden/spade/A_normal_celeba/official_checkpoint_latest_net_G.pth"
    state = torch.load(file, weights_only=True)
    state["conv_img.bias"] = torch.full_like(state["conv_img.bias"], float("nan"))
    torch.save(state, tmp_path / "it.pth")
    ran = run("convert", tmp_path / "it.pth", "--out", tmp_path / "out", "--config", "resolution=64")
    assert ran.code == 1 and "not finite" in ran.err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--config", "side"), 2, "expected KEY=VALUE"),
        (("--config", "sides=32"), 1, "side"),
        (("--config", "side=many"), 1, "expected int"),
        (("--config", "feature_scale=16"), 1, "other shapes than --config feature_scale=16"),
        (("--as", "face-parsr"), 2, "face-parser"),
        (("--as", "face-parser/nothing"), 2, "no variant"),
        (("--as", "cgan"), 2, "no converter"),
        (("--as", "spade"), 1, "no network of spade"),
        (("--dataset", "imagenet"), 2, "no variant for it"),
        (("--space", "ade20k"), 1, "--space ade20k"),
        (("--space", "no-such"), 2, "no-such"),
    ],
)  # fmt: skip
def test_wrong_statements(
    checkpoint: Path, tmp_path: Path, run: Callable[..., Ran], arguments: tuple[str, ...], code: int, words: str
) -> None:
    ran = run("convert", checkpoint, "--out", tmp_path / "out", *arguments)
    assert ran.code == code and words in ran.err and ran.err.count("Error:") == 1, ran.err
    assert not (tmp_path / "out").exists() and ran.out == ""


def test_files_that_make_no_model(checkpoint: Path, tmp_path: Path, run: Callable[..., Ran], shared: Path) -> None:
    golden, out = shared / "golden", tmp_path / "out"
    clvae, scgan = golden / "clvae/A_deepfashion_more", golden / "scgan/A_celeba256"
    net = "official_checkpoint_latest_net_"
    other = tmp_path / "net_E.pth"
    stored = read_tensors(golden / "clvae/B2_ade20k_c151/weights.safetensors")
    torch.save({k.removeprefix("netE."): v for k, v in stored.items() if k.startswith("netE.")}, other)
    torch.save({"conv.weight": torch.zeros(2, 2)}, tmp_path / "foreign.pth")
    torn, whole = (torch.load(scgan / f"{net}{n}.pth", weights_only=True) for n in "GE")
    torch.save({"netG": dict(list(torn.items())[1:]), "netE": dict(whole)}, tmp_path / "torn.pth")
    cases = [
        ((clvae / f"{net}G.pth", other), 1, "do not belong together"),
        ((clvae / f"{net}G.pth",), 1, "also has the network encoder"),
        ((scgan / f"{net}G.pth",), 1, "also has the network encoder"),
        ((scgan / f"{net}E.pth",), 2, "clade or scgan or spade"),
        ((tmp_path / "torn.pth",), 2, "a network there is nobody's; nearest: scgan generator"),
        ((clvae / f"{net}D.pth",), 2, "share these networks"),
        ((clvae / f"{net}D.pth", "--as", "clvae"), 1, "a discriminator alone"),
        ((clvae / f"{net}G.pth", checkpoint), 1, "of different systems"),
        ((clvae / f"{net}G.pth", clvae / f"{net}G.pth", tmp_path / "foreign.pth"), 1, "foreign.pth holds no network"),
        ((checkpoint, tmp_path / "absent.pth"), 1, "no file"),
    ]
    for arguments, code, words in cases:
        ran = run("convert", *arguments, "--out", out)
        assert ran.code == code and words in ran.err and not out.exists(), (arguments, ran.err)
    copy = tmp_path / "copy.pth"
    copy.write_bytes(checkpoint.read_bytes())
    ran = run("convert", checkpoint, copy, "--out", out)
    assert ran.code == 1 and "both a parser" in ran.err


def test_discriminators_on_request(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    folder = shared / "golden/spade/A_normal_celeba"
    files = [folder / f"official_checkpoint_latest_net_{n}.pth" for n in "GD"]
    ran = run("convert", *files, "--out", tmp_path / "without", "--dataset", "celeba", "--config", "resolution=64")
    assert ran.code == 0 and "not used: " in ran.err and not (tmp_path / "without/discriminator.safetensors").exists()
    ran = run("convert", *files, "--out", tmp_path / "with", "--dataset", "celeba", "--config", "resolution=64", "--discriminator", "keep")  # fmt: skip
    assert ran.code == 0 and "not used" not in ran.err
    kept = read_tensors(tmp_path / "with/discriminator.safetensors")
    theirs = torch.load(files[1], weights_only=True)
    assert len(kept) == len(theirs) and {float(v.sum()) for v in kept.values()} == {float(v.sum()) for v in theirs.values()}  # fmt: skip
    card = read_card(tmp_path / "with")
    assert card is not None and [s["networks"] for s in card.facts["sources"]] == [{"generator": ""}, {"discriminator": ""}]  # fmt: skip


def test_data_sets_and_classes_are_stated(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    """Twenty classes and the edge plane are those of no data set that SPADE has a variant for."""
    file = shared / "golden/spade/C_losses_vae/weights.safetensors"
    ran = run("convert", file, "--out", tmp_path / "out")
    assert ran.code == 2 and "what its 21 classes are" in ran.err and "--config edges=true" in ran.err
    ran = run("convert", file, "--out", tmp_path / "out", "--dataset", "celeba")
    assert ran.code == 1 and "--dataset celeba" in ran.err
    ran = run("convert", file, "--out", tmp_path / "out", "--config", "label_space=numbered")
    assert ran.code == 0 and "criterionVGG" in ran.err, ran.err
    names = [{"name": f"part {i}", "color": [i, i, i]} for i in range(20)]
    (tmp_path / "mine.json").write_text(json.dumps({"name": "mine", "classes": names}))
    ran = run("convert", file, "--out", tmp_path / "named", "--space", tmp_path / "mine.json", "--config", "edges=true")
    assert ran.code == 0, ran.err
    assert zoo.load(tmp_path / "named").label_space.names[3] == "part 3"


@pytest.fixture
def pets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Install one or two third parties that bring `pet-maps` (in this process)."""
    from pets import plugin

    found = discovery.discover()[0]
    twin = Plugin(architectures=plugin.architectures[:1])
    records = [PluginRecord("pets", "dist-a", "1", plugin), PluginRecord("pets", "dist-b", "1", twin)]

    def install(count: int) -> None:
        for record in records:
            record.notes.clear()
        monkeypatch.setattr(discovery, "discover", lambda: (found + records[:count], ()))
        reset()

    yield install
    monkeypatch.undo()
    reset()


def test_architectures_that_two_third_parties_claim(
    pets: Callable[[int], None], tmp_path: Path, run: Callable[..., Ran]
) -> None:
    file = tmp_path / "official.pth"
    torch.save({"pet_map": torch.eye(4)[:, :, None].expand(4, 4, 4).contiguous()}, file)
    pets(1)
    once = json.loads(run("identify", file, "--json").out)["networks"][0]["candidates"]
    assert [c["architecture"] for c in once] == ["pet-maps"], "an alias is no second owner"
    assert run("convert", file, "--as", "dist-a:pet-maps", "--out", tmp_path / "one").code == 0
    pets(2)
    tie = run("identify", file)
    assert tie.code == 0 and "a tie: dist-a:pet-maps, dist-b:pet-maps share this network" in tie.out
    assert run("convert", file, "--out", tmp_path / "tie").code == 2
    done = run("convert", file, "--as", "dist-b:pet-maps", "--out", tmp_path / "two")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "two/config.json").read_text())["architecture"] == "dist-b:pet-maps"
    assert zoo.load(tmp_path / "two").resolution == (4, 4)
