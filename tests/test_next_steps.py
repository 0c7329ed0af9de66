"""What people ask for next: which systems there are, a DataLoader, a parser in Python, training on from a folder, two models compared."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fixtures_models import Ran
from torch.utils.data import DataLoader

import zoo
from zoo import configs
from zoo.data import open_data
from zoo.errors import LabelError, UsageError
from zoo.files.images import open_image, photo_tensor
from zoo.registry import registry

Run = Callable[..., Ran]

# --- systems and variants -----------------------------------------------------------------------------------------


def test_the_list_of_architectures_has_every_variant(run: Run) -> None:
    rows = json.loads(run("list", "--architectures", "--json").out)
    reg = registry()
    known = {
        f"{n}/{v}": reg.load(a, "variants")[v] for n, a in reg.architectures.items() for v in reg.load(a, "variants")
    }
    assert {row["id"] for row in rows} == set(known) and len(rows) > 50
    for row in rows:
        assert row["label_space"] == known[row["id"]].config.label_space and row["paper"] and row["title"]
        assert row["parameters"] > 400_000 and row["trainer"] and len(row["resolution"]) == 2, row["id"]
    byid = {row["id"]: row for row in rows}
    assert byid["spade/cityscapes"]["resolution"] == [256, 512] and byid["scgan/celeba-128-matched"]["models"] == [
        "scgan-celeba"
    ]


@pytest.mark.parametrize(
    "arch",
    [
        "face-parser",
        "mask-vae",
        "maskgan",
        "maskgan-vae",
        "scgan",
        "spade",
        "clade",
        "groupdnet",
        "inade",
        "cc-fpse",
        "clvae",
        "ca2sis",
        "sean",
        "segvae",
        "sg2im",
        "cvae-sep",
        "cgan",
        "dmit",
        "scgan-unpaired",
    ],
)
def test_the_numbers_of_parameters_and_sizes_are_those_of_the_networks(arch: str, run: Run) -> None:
    """On the meta device, so that nothing is allocated; the smallest variant of each."""
    rows = json.loads(run("list", arch, "--architectures", "--json").out)
    row = min(rows, key=lambda r: r["parameters"])
    with torch.device("meta"):
        model = zoo.create(row["id"])
    assert sum(p.numel() for p in model.parameters()) == row["parameters"]
    assert list(model.resolution) == row["resolution"]


def test_filters_and_near_misses_of_architectures(run: Run) -> None:
    rows = json.loads(run("list", "*", "--architectures", "--kind", "mask-parser", "--json").out)
    assert {row["architecture"] for row in rows} == {"face-parser", "lite-parser", "mobile-parser"}
    assert "did you mean 'spade'" in run("list", "spdae", "--architectures").err
    assert run("list", "--architectures", "--license-ok", "commercial").code == 2
    text = run("list", "scgan/*", "--architectures").out
    assert "scgan/ade20k" in text and "60,854,662" in text and "scgan: Image Synthesis via Semantic Composition" in text


def test_the_card_of_a_variant(run: Run) -> None:
    text = run("card", "spade/ade20k").out
    for part in ("96,492,483", "zoo train spade/ade20k", "config ngf=64", "training lr=0.0002", "256 x 256", "ade20k"):
        assert part in text
    facts = json.loads(run("card", "spade/ade20k", "--json").out)
    variant = registry().variant("spade/ade20k")[2]
    assert facts["config"] == json.loads(json.dumps(configs.to_dict(variant.config))) and facts["models"] == []
    wrong = run("card", "spade/ade2k")
    assert wrong.code == 2 and "did you mean 'ade20k'" in wrong.err and "known: ade20k, coco" in wrong.err
    wrong = run("card", "spde/ade20k")
    assert wrong.code == 2 and "did you mean 'spade'" in wrong.err and "mask-vae" in wrong.err


def test_a_folder_of_that_name_is_a_folder(
    run: Run, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spade").mkdir()
    (tmp_path / "spade/ade20k").symlink_to(published / "mask-vae-celeba")
    assert "A tiny model of the tests" in run("card", "spade/ade20k").out


# --- zoo.parse ----------------------------------------------------------------------------------------------------


def test_parse_in_python_equals_the_command(run: Run, published: Path, inputs: Path, tmp_path: Path) -> None:
    photo = inputs / "photo.png"
    assert run("parse", photo, "--out", tmp_path, "--device", "cpu").code == 0
    written = zoo.SemanticMap.from_png(tmp_path / "photo.png", zoo.label_space("celebamask-hq"))
    picture = open_image(photo)
    pixels = photo_tensor(__import__("numpy").array(picture.convert("RGB")))
    for given in (photo, str(photo), picture, pixels, pixels[None]):
        parsed = zoo.parse(given, device="cpu")
        assert parsed.labels.equal(written.labels) and parsed.space.name == "celebamask-hq"
    both = zoo.parse(torch.stack([pixels, pixels.flip(-1)]), parser=published / "face-parser-celeba", device="cpu")
    assert len(both) == 2 and both.labels[:1].equal(written.labels)
    mapped = zoo.parse(photo, parser="face-parser", space="face-parsing", device="cpu")
    assert mapped.space.name == "face-parsing" and mapped.labels.equal(written.to_space(mapped.space).labels)


def test_parse_refuses_what_is_no_photo(published: Path, inputs: Path) -> None:
    with pytest.raises(UsageError, match=r"values go from 0 to 255"):
        zoo.parse(torch.tensor([0.0, 255.0]).expand(3, 2, 2))
    with pytest.raises(UsageError, match=r"got torch.int64 \(3, 4, 4\)"):
        zoo.parse(torch.zeros(3, 4, 4, dtype=torch.long))
    with pytest.raises(UsageError, match=r"got torch.float32 \(4, 4, 3\)"):
        zoo.parse(torch.zeros(4, 4, 3))
    with pytest.raises(UsageError, match="got dict"):
        zoo.parse({})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a mask-parser is needed"):
        zoo.parse(inputs / "photo.png", parser="scgan")
    with pytest.raises((UsageError, LabelError)):
        zoo.parse(inputs / "photo.png", space="facades")


# --- a DataLoader -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_dataloader_with_workers(context: str, run: Run, published: Path, tmp_path: Path) -> None:
    assert (
        run(
            "compose", "mask-vae+scgan", "-n", "4", "--labels", "skin,hair", "--out", tmp_path / "f", "--device", "cpu"
        ).code
        == 0
    )
    data = open_data(f"folder:{tmp_path / 'f'}")
    data.batch([0])  # what is in memory does not travel
    assert len(pickle.dumps(data)) < 100_000
    loader = DataLoader(data, batch_size=2, num_workers=2 if context == "fork" else 1, multiprocessing_context=context)
    batches = list(loader)
    assert [b["image"].shape for b in batches] == [(2, 3, 32, 32)] * 2 and batches[0]["map"].dtype == torch.int64
    assert [n for b in batches for n in b["name"]] == list(data.names)
    assert torch.cat([b["map"] for b in batches]).equal(data.batch(range(4)).maps.labels)
    assert torch.cat([b["image"] for b in batches]).equal(data.batch(range(4)).images)


def test_toy_faces_in_a_shuffling_dataloader() -> None:
    data = pickle.loads(pickle.dumps(open_data("toy-faces:6", resolution=32)))
    batches = list(DataLoader(data, batch_size=2, shuffle=True, generator=torch.Generator().manual_seed(0)))
    assert sorted(n for b in batches for n in b["name"]) == sorted(data.names) and batches[0]["image"].shape == (
        2,
        3,
        32,
        32,
    )


# --- training on from a folder ------------------------------------------------------------------------------------


def test_init_alone_takes_the_config_of_the_folder(run: Run, published: Path, tmp_path: Path) -> None:
    folder = published / "scgan-celeba"
    plan = json.loads(run("train", "--init", folder, "--data", "toy-faces:4", "--dry-run").out)
    stored = json.loads((folder / "config.json").read_text())
    assert (plan["architecture"], plan["config"], plan["init"]) == ("scgan", stored["config"], str(folder))
    changed = json.loads(run("train", "--init", folder, "--data", "toy-faces:4", "--set", "steps=7", "--dry-run").out)
    assert changed["training"]["steps"] == 7 and changed["config"] == stored["config"]
    by_id = json.loads(run("train", "--init", "scgan-celeba", "--data", "toy-faces:4", "--dry-run").out)
    assert by_id["config"] == stored["config"]


def test_init_trains_on(run: Run, published: Path, tmp_path: Path) -> None:
    sets = ["--set", "steps=1", "--set", "batch_size=1", "--set", "validate_every=0"]
    folder = published / "mask-vae-celeba"
    ran = run("train", "--init", folder, "--data", "toy-faces:4", *sets, "--out", tmp_path / "run", "--device", "cpu")
    assert ran.code == 0, ran.err
    report = json.loads(run("compare", folder, tmp_path / "run", "--json").out)
    assert report["config"] == {} and not report["weights"]["only_a"] and len(report["weights"]["different"]) > 0
    steps = max(r["difference"] for r in report["weights"]["different"] if "num_batches" not in r["name"])
    assert steps < 0.5, "one step from the folder's weights"


def test_conflicts_of_init_are_told(run: Run, published: Path) -> None:
    ran = run("train", "spade/celeba-128", "--init", "scgan-celeba", "--data", "toy-faces:4", "--dry-run")
    assert ran.code == 2 and "--init scgan-celeba is a model of 'scgan', and 'spade' is to be trained" in ran.err
    ran = run("train", "--data", "toy-faces:4")
    assert ran.code == 2 and "Say what to train" in ran.err
    ran = run("train", "--init", "scgn", "--data", "toy-faces:4")
    assert ran.code == 2 and "did you mean" in ran.err
    ran = run("train", "--init", "scgan-celeba", "--data", "toy-faces:4", "--set", "nonsense=3")
    assert ran.code == 2 and "nonsense" in ran.err


# --- zoo compare --------------------------------------------------------------------------------------------------


def test_a_model_equals_itself(run: Run, published: Path) -> None:
    for name in ("mask-vae", "scgan", "face-parser"):
        ran = run("compare", name, f"{name}-celeba", "--json")
        report = json.loads(ran.out)
        assert ran.code == 0 and report["equal"] and report["outputs"]["difference"] == 0
        assert report["weights"]["equal"] == report["weights"]["tensors"] > 5 and not report["weights"]["different"]


def test_one_changed_weight_is_found_and_measured(run: Run, published: Path, tmp_path: Path) -> None:
    model = zoo.load("scgan-celeba")
    name, parameter = next((n, p) for n, p in model.named_parameters() if p.dim() == 4)
    parameter.data[0, 0, 0, 0] += 0.25
    zoo.save(model, tmp_path / "changed")
    ran = run("compare", "scgan", tmp_path / "changed", "--json")
    report = json.loads(ran.out)
    assert ran.code == 1 and not report["equal"] and report["config"] == {} and report["assets"] == []
    assert [r["name"] for r in report["weights"]["different"]] == [name]
    assert report["weights"]["different"][0]["difference"] == pytest.approx(0.25, abs=1e-6)
    text = run("compare", "scgan", tmp_path / "changed").out
    assert f"{name}: up to 0.25" in text and text.rstrip().endswith("different")


def test_models_of_two_kinds_are_told_apart(run: Run, published: Path) -> None:
    report = json.loads(run("compare", "scgan", "mask-vae", "--json").out)
    assert report["outputs"]["difference"] is None and report["weights"]["equal"] == 0
    assert "scgan against mask-vae" in run("compare", "scgan", "mask-vae").out
    assert run("compare", "scgan", "scgn").code == 2
