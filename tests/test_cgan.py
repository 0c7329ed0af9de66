"""cgan: label sets straight to pictures, from the network to the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from fixtures_models import Ran, shake
from test_outputs import interrupt, tree
from test_training_cli import zoo as command

import zoo
from zoo.cards import missing_facts, read_card
from zoo.data import PairData
from zoo.data.specs import open_source, parse_spec
from zoo.errors import ConfigError, DataError, LabelError, UsageError
from zoo.interfaces.label_sets import count_label_sets
from zoo.interfaces.models import Model
from zoo.registry import registry
from zoo.rng import Rng
from zoo.training.runs import RunFolder
from zoo_plugins.cgan.config import CGANConfig, CGANTraining
from zoo_plugins.cgan.model import CGAN
from zoo_plugins.cgan.networks import Discriminator, SelfAttention
from zoo_plugins.cgan.trainer import CGANTrainer

Run = Callable[..., Ran]
SMALL = {"side": 32, "width": 4, "z_dim": 8, "embed_dim": 8, "attention": 16}
SETS = (("skin", "hair", "nose"), ("skin", "hat"), ("skin", "hair"), ("eye_g",))

pytestmark = pytest.mark.usefixtures("one_thread")


def small(seed: int = 0, **fields: Any) -> CGAN:
    """A tiny model whose batch norms have seen some pictures and whose attention is on, in evaluation mode."""
    torch.manual_seed(seed)
    model = cast(CGAN, zoo.create("cgan/celeba", **{**SMALL, **fields}))
    shake(model, 0.6, seed)
    model.train()
    with torch.no_grad():
        for i in range(8):
            sets = conditions(model) * 2
            model.generator(Rng(i, range(8)).normal("z", shape=(model.config.z_dim,)), model.presence(sets))
        for layer in model.modules():
            if isinstance(layer, SelfAttention):
                layer.gamma.fill_(0.5)
    return cast(CGAN, model.eval())


def conditions(model: Model) -> list[zoo.LabelSet]:
    return [model.label_space.label_set(s) for s in SETS]


# --- the model ----------------------------------------------------------------------------------------------------


def test_official_sizes() -> None:
    sizes = {"celeba": 36_855_300, "humanparsing": 36_855_172}
    for name, count in sizes.items():
        with torch.device("meta"):
            model = zoo.create(f"cgan/{name}")
        assert sum(p.numel() for p in model.parameters()) == count and model.resolution == (128, 128)
        assert len(model.channels) == len(model.label_space) - 1 and model.label_space.background not in model.channels
    arch = registry().architecture("cgan")
    assert arch.kind == "image-generator" and registry().get("networks", "cgan.discriminator") is Discriminator


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"side": 48}, "power of 2"),
        ({"side": 4}, "at least 8"),
        ({"width": 0}, "at least 1"),
        ({"attention": -1}, "attention"),
        ({"channels": ("hair", "hair")}, "distinct"),
    ],
)
def test_a_bad_config_is_refused(fields: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        CGANConfig(**fields)


def test_the_background_is_no_input() -> None:
    with pytest.raises(ConfigError, match="background"):
        zoo.create("cgan/celeba", **SMALL, channels=("background", "skin"))


def test_the_label_set_alone_changes_the_picture() -> None:
    model = small()
    latents = {"z": torch.zeros(4, 8)}
    pictures = model.generate(conditions(model), latents=latents)
    for i in range(3):
        assert (pictures[i] - pictures[i + 1]).abs().mean() > 1e-3
    space = model.label_space
    same = model.generate(
        [space.label_set(s) for s in (["hat", "skin"], ["background", "SKIN", "hat"])], rng=Rng(0, [0, 0])
    )
    assert (same[0] - same[1]).abs().max() < 1e-5  # order, case and background say nothing


@pytest.mark.parametrize("fields", [{}, {"spectral": False}, {"attention": 0}, {"side": 8, "attention": 8}])
def test_the_inference_form_gives_the_same_pictures(fields: dict[str, Any]) -> None:
    model = small(**fields)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fast = model.optimized()
    assert (fast.generate(conditions(model), rng=1) - model.generate(conditions(model), rng=1)).abs().max() < 1e-5
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())
    assert not any(k.endswith(("weight_u", "running_var")) for k in fast.generator.blocks.state_dict())


def test_wrong_conditions_are_refused() -> None:
    model = cast(CGAN, zoo.create("cgan/celeba", **SMALL, channels=("skin", "hair")))
    with pytest.raises(UsageError, match="at least one"):
        model.generate([])
    with pytest.raises(LabelError, match="cgan does not draw hat; its parts are skin, hair"):
        model.generate([model.label_space.label_set(["skin", "hat"])])
    with pytest.raises(UsageError, match=r"latents z \[1, 8\], got \[2, 8\]"):
        model.generate([model.label_space.label_set(["skin"])], latents={"z": torch.zeros(2, 8)})
    with pytest.raises(UsageError, match="latents are 'z'"):
        model.generate([model.label_space.label_set(["skin"])], latents={"eps": torch.zeros(1, 8)})
    with pytest.raises(UsageError, match="does not know the label sets"):
        model.sample_label_sets(2, 0)


def test_label_sets_are_those_of_the_asset() -> None:
    model = small()
    model.assets["label_sets"] = count_label_sets(conditions(model))
    drawn = model.sample_label_sets(40, 3)
    assert {s.names for s in drawn} == {model.label_space.label_set(s).names for s in SETS}


# --- training -----------------------------------------------------------------------------------------------------


def toy(count: int = 16, split: str = "train") -> PairData:
    return PairData(open_source(parse_spec(f"toy-faces:{count}#{split}")), 32)


def trainer_of(**options: Any) -> CGANTrainer:
    torch.manual_seed(0)
    model = cast(CGAN, zoo.create("cgan/celeba", **SMALL))
    return CGANTrainer(model.train(), CGANTraining(**{"ndf": 4, "attention_d": 16, "batch_size": 8, **options}))


def test_the_discriminator_learns_first() -> None:
    updates = trainer_of().updates(toy().batch(range(8)), Rng(0, range(8)), 0)
    assert [u.optimizers for u in updates] == [("discriminator",), ("generator",)]


@pytest.mark.parametrize("learner", ["generator", "discriminator"])
def test_each_network_learns_against_the_other_held_still(learner: str) -> None:
    """Its own loss falls, its label embedding moves, the other network does not; label sets still change the pictures."""
    trainer = trainer_of(lr_g=2e-3, lr_d=2e-3)
    trainer.model.eval()  # running statistics that stand still, so that the losses can be compared
    batch = toy().batch(range(8))
    names = {"generator": "model", "discriminator": "discriminator"}
    before = {n: {k: p.detach().clone() for k, p in net.named_parameters()} for n, net in trainer.networks.items()}
    losses = []
    for _ in range(25):
        for update in trainer.updates(batch, Rng(0, range(8)), 0):
            if update.optimizers == (learner,):
                losses.append(sum(float(v.detach()) for v in update.losses.values()))
                optimizer = trainer.optimizers()[learner]
                optimizer.zero_grad()
                parameters = [p for g in optimizer.param_groups for p in g["params"]]
                sum(update.losses.values(), torch.zeros(())).backward(inputs=parameters)
                optimizer.step()
    assert losses[-1] < losses[0] - 0.1, losses
    for name, network in trainer.networks.items():
        moved = [k for k, p in network.named_parameters() if not torch.equal(p, before[name][k])]
        assert (moved == []) if name != names[learner] else any("embed" in k for k in moved)
    sets = conditions(trainer.model)
    pictures = trainer.model.generate(sets, latents={"z": torch.zeros(4, 8)})
    assert all((pictures[i] - pictures[i + 1]).abs().mean() > 1e-3 for i in range(3))


def test_validation_knows_equal_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, held = trainer_of(), toy(8, "val")
    photos = held.batch(range(8)).images
    monkeypatch.setattr(CGAN, "generate", lambda self, sets, **_: photos)
    assert trainer.validate(held) == pytest.approx({"thumbnails": 0, "set_effect": 0}, abs=1e-4)


def test_photos_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy()
    monkeypatch.setattr(data.source, "has_images", False, raising=False)
    with pytest.raises(DataError, match="photos"):
        trainer_of().prepare(data)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from the command line: three steps, then one more after a resume."""
    run = tmp_path_factory.mktemp("cgan") / "run"
    sets: dict[str, Any] = {**SMALL, "steps": 3, "batch_size": 4, "ndf": 4, "attention_d": 16, "ema": 0.9}
    sets |= {"log_every": 1, "save_every": 2, "validate_every": 2, "preview_every": 2, "dtype": "float16", "flip": True}
    changes = [x for k, v in sets.items() for x in ("--set", f"{k}={v}")]
    assert command("train", "cgan", "--data", "toy-faces:12", "--device", "cpu", "--out", run, *changes) == 0
    assert command("train", "--resume", run, "--set", "steps=4") == 0
    return run


def test_a_run_ends_in_a_model_folder(trained: Path) -> None:
    state = RunFolder(trained).load_state()
    assert state is not None and state["step"] == 4 and set(state["networks"]) == {"model", "discriminator"}
    card = read_card(trained / "model")
    assert card is not None and missing_facts(card) == [] and card.facts["kind"] == "image-generator"
    assert set(card.facts["scores"]) == {"thumbnails", "set_effect"} and card.facts["training"]["published_step"] == 4
    model = cast(CGAN, zoo.load(trained / "model"))
    # each face and its mirror image
    assert sum(e["count"] for e in model.assets["label_sets"]) == 24
    pictures = model.generate(model.sample_label_sets(3, 0), rng=0)
    assert bool(pictures.isfinite().all())


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of a tiny cgan with label sets."""
    model = small(1)
    model.assets["label_sets"] = count_label_sets(conditions(model))
    return zoo.save(model, tmp_path_factory.mktemp("models") / "cgan-tiny")


@pytest.fixture
def generate(folder: Path) -> tuple[object, ...]:
    """Seven pictures in batches of three."""
    labels = ("--labels", "skin,hair", "-n", 7, "--batch-size", 3, "--seed", 5, "--device", "cpu")
    return ("generate", folder, *labels)


def test_a_folder_of_pictures(run: Run, generate: tuple[object, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(*generate, "--out", out).out.strip() == str(out)
    names = [f"images/{i:06d}.png" for i in range(7)]
    assert sorted(tree(out)) == ["README.md", "grid.png", *names, "manifest.json", "metadata.jsonl"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["finished"] and manifest["samples"] == 7 and manifest["images"] and not manifest["maps"]
    assert set(manifest["models"]) == {"generator"} and manifest["composition"] == "cgan-tiny"
    assert "requested" not in manifest["summary"]  # nobody saw what the pictures show
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [r["file_name"] for r in lines] == names and all(
        r["map_file_name"] is None and r["sha256"]["map"] is None for r in lines
    )
    assert all(r["labels"] == ["skin", "hair"] and r["seed"] == 5 for r in lines)
    assert len({r["sha256"]["image"] for r in lines}) == 7
    from PIL import Image

    with Image.open(out / "grid.png") as grid:
        assert grid.size == (7 * 32, 32)


@pytest.mark.parametrize("after", [1, 5])
def test_an_interrupted_run_goes_on(
    run: Run, generate: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    assert run(*generate, "--out", tmp_path / "whole").code == 0
    stopped = interrupt(run, generate, tmp_path / "cut", after, monkeypatch)
    assert stopped.code == 130 and f"{after} of 7" in stopped.err
    again = run(*generate, "--out", tmp_path / "cut")
    assert again.code == 0 and f"{after} of 7 samples are there" in again.err
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")
    replaced = run(*generate[:-4], "--seed", 6, "--device", "cpu", "--out", tmp_path / "cut", "--overwrite")
    assert replaced.code == 0 and tree(tmp_path / "cut") != tree(tmp_path / "whole")


def test_replay(run: Run, generate: tuple[object, ...], tmp_path: Path) -> None:
    assert run(*generate, "--out", tmp_path / "out").code == 0
    again = run("replay", tmp_path / "out", "--out", tmp_path / "again")
    assert again.code == 0 and again.out == "7 of 7 files are equal\n"
    assert tree(tmp_path / "again/images") == tree(tmp_path / "out/images")
    (tmp_path / "out/images/000003.png").write_bytes(b"painted over")
    assert run("replay", tmp_path / "out").code == 1


def test_label_sets_are_drawn(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run("generate", folder, "-n", 12, "--seed", 0, "--device", "cpu", "--out", tmp_path / "out").code == 0
    lines = [json.loads(line) for line in (tmp_path / "out/metadata.jsonl").read_text().splitlines()]
    assert {tuple(r["labels"]) for r in lines} <= {zoo.label_space("celebamask-hq").label_set(s).names for s in SETS}
    assert len({tuple(r["labels"]) for r in lines}) > 1


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--edit", "redraw:hair"), ("no map", "--edit", "mask-vae+scgan")),
        (("--mask", "x.png"), ("no map", "--mask")),
        (("--mask", "x.png", "--edit", "add:hat"), ("--mask, --edit",)),
        (("--labels", "skin", "--prior", "normal"), ("leave --prior out",)),
        (("--labels", "skin", "--style", "prior"), ("No such option", "--style")),
        (("--labels", "skin,noze"), ("did you mean 'nose'",)),
        (("--labels", ""), ("label set is empty",)),
        (("--labels", "skin", "--opt", "steps=3"), ("steps",)),
    ],
)
def test_what_generate_refuses(
    run: Run, folder: Path, tmp_path: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    refused = run("generate", folder, *arguments, "--out", tmp_path / "out")
    assert refused.code == 2 and not (tmp_path / "out").exists()
    for part in parts:
        assert part in refused.err


def test_it_cannot_be_joined(run: Run, folder: Path, pair: tuple[str, str], inputs: Path, tmp_path: Path) -> None:
    """One error that says what to use, for a folder and for the architecture's name (it has no published model)."""
    for name in (str(folder), "cgan"):
        for models in (f"{name}+{pair[1]}", f"{pair[0]}+{name}", f"{name}+{name}"):
            refused = run("compose", models, "--labels", "skin", "--out", tmp_path / "out")
            assert (
                refused.code == 2 and f"zoo generate {name} --labels" in refused.err and "mask-vae+scgan" in refused.err
            )
        refused = run("synth", name, inputs / "face.png", "--out", tmp_path / "out")
        assert refused.code == 2 and "reads no maps" in refused.err
        with pytest.raises(UsageError, match="cannot be joined"):
            zoo.compose((name, pair[1]), device="cpu")
    with pytest.raises(UsageError, match="cannot be joined"):
        zoo.compose((pair[0], zoo.load(folder)), device="cpu")
    assert not (tmp_path / "out").exists()


def test_from_python(folder: Path, tmp_path: Path) -> None:
    pipe = zoo.compose((str(folder), None), device="cpu")
    result = pipe(labels="skin,hair", n=3, seed=5)
    assert result.maps is None and result.styles is None and len(result) == len(result.pil()) == 3
    assert result.images is not None and result.images.shape == (3, 3, 32, 32)
    one = pipe(labels=["skin", "hair"], n=3, seed=5, batch_size=1).images
    assert one is not None and (one - result.images).abs().max() < 1e-4
    assert (result.save(tmp_path / "out") / "images/000002.png").is_file() and not (tmp_path / "out/maps").exists()
    parts = list(pipe.stream(n=5, seed=1, batch_size=2))
    assert [p.start for p in parts] == [0, 2, 4] and all(p.maps is None for p in parts)
    for wrong in ({"style": "prior"}, {"maps": zoo.SemanticMap(torch.zeros(1, 8, 8, dtype=torch.long), pipe.space)}):
        with pytest.raises(UsageError, match="straight from label sets"):
            pipe(**wrong)
