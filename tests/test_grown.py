"""Models that grow by a block behind the finished ones (`upsampling=finer`), and trainings of parts (`train_only`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_projected import OPTIONS, SIDE, TinyFeatures
from torch import Tensor
from torch.nn import functional as F
from training_tiny import differences

import zoo
from zoo import configs
from zoo.checkpoints.shapes import Shapes
from zoo.data import PairData, open_source
from zoo.data.specs import parse_spec
from zoo.errors import ConfigError, WeightsError, ZooError
from zoo.families.spade.official_networks import read_generator
from zoo.files.tensors import load_strict
from zoo.nn import pretrained
from zoo.nn.batch_norm import batch_norms
from zoo.registry import registry
from zoo.training.log import Log
from zoo.training.loop import Loop
from zoo.training.runs import RunFolder
from zoo.training.session import _start_from
from zoo_plugins.spade import finer
from zoo_plugins.spade.config import SpadeOptions
from zoo_plugins.spade.finer import MARK, FinerTrainer

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES: dict[str, Any] = {"ngf": 4, "nef": 4, "spade_hidden": 8, "z_dim": 8, "max_width": 16, "encoder_size": SIDE}
PARTS = "generator.up_4, generator.conv_img"


@pytest.fixture(autouse=True)
def tiny_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pretrained.FEATURES, "tiny", TinyFeatures)  # type: ignore[arg-type]


def small(seed: int = 1) -> Any:
    """A model of half the side, with weights and statistics of its own."""
    torch.manual_seed(seed)
    model: Any = zoo.create("spade/celeba-128", resolution=SIDE, **SIZES)
    for norm in batch_norms(model):
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
    return model


def grown(base: str = "") -> Any:
    torch.manual_seed(2)
    return zoo.create("spade-finer/celeba-256", resolution=2 * SIDE, base=base, **SIZES)


def fresh(model: Any, parts: tuple[str, ...] = ("generator.up_4",)) -> dict[str, Tensor]:
    return {name: x for name, x in model.state_dict().items() if name.startswith(parts)}


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """The folder of a finished model of half the side."""
    zoo.save(small(), tmp_path / "half")
    return tmp_path / "half"


def training(half: Path, path: Path, **changes: Any) -> Loop:
    model = grown()
    _, _, variant = registry().variant("spade-finer/celeba-256")
    options = configs.override(variant.training, {**OPTIONS, "lambda_mmd": 0.0, **changes}, where="here")
    trainer = registry().load(registry().architecture("spade-finer"), "trainer")(model, options)
    load_strict(model, half / "model.safetensors", fresh(model, trainer.fresh))
    data = PairData(open_source(parse_spec("toy-faces:8")), (2 * SIDE, 2 * SIDE))
    run = RunFolder(path)
    run.write_options({})
    return Loop(trainer, data, None, run, Log(path, options.steps, quiet=True))


def test_the_other_blocks_are_those_of_half_the_side(half: Path) -> None:
    """Their features are the same, before the block that is new."""
    one, two = small().eval(), grown().eval()
    load_strict(two, half / "model.safetensors", fresh(two))
    seen: list[Tensor] = []
    for model in (one, two):
        model.generator.up_3.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    planes = F.one_hot(torch.randint(0, 19, (2, SIDE, SIDE)), 19).permute(0, 3, 1, 2).float()
    z = torch.randn(2, 8)
    with torch.no_grad():
        assert one.generator(planes, z).shape[-1] == SIDE
        assert two.generator(F.interpolate(planes, scale_factor=2), z).shape[-1] == 2 * SIDE
    torch.testing.assert_close(seen[0], seen[1])


def test_only_what_is_named_may_be_missing(half: Path) -> None:
    with pytest.raises(WeightsError, match=r"missing: generator\.up_4"):
        load_strict(grown(), half / "model.safetensors")
    with pytest.raises(WeightsError, match=r"missing: generator\.up_4\.norm"):
        load_strict(grown(), half / "model.safetensors", fresh(grown(), ("generator.up_4.conv",)))
    with pytest.raises(WeightsError, match="unknown"):  # a grown one's block has no place in a small model
        zoo.save(grown(), half.parent / "grown")
        load_strict(small(), half.parent / "grown/model.safetensors")


def test_the_rest_stays_as_it_was(half: Path, tmp_path: Path) -> None:
    run = training(half, tmp_path / "run", train_only=PARTS)
    model = run.trainer.model
    before = {name: x.clone() for name, x in model.state_dict().items()}
    run.run()
    parts = tuple(part.strip() for part in PARTS.split(","))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == (not name.startswith(parts)), name
    # norms are fixed, those of the new block at what was estimated first; the rest is as it was, singular vectors too
    for name, value in model.state_dict().items():
        if name.endswith(("running_mean", "running_var")) or not name.startswith(parts):
            assert torch.equal(value, before[name]), name
    turned = "generator.up_4.conv_0.weight_u"
    assert not torch.equal(model.state_dict()[turned], before[turned])
    run.finish()  # with averaged weights, whose singular vectors are found anew
    for name, value in model.state_dict().items():
        assert name.startswith(parts) or torch.equal(value, before[name]), name
    fresh = model.state_dict()["generator.up_4.norm_0.param_free_norm.running_mean"]
    assert float(fresh.abs().max()) > 1e-3 and not batch_norms(model)
    trained = run.optimizers["generator"].param_groups[0]["params"]
    assert 0 < sum(p.numel() for p in trained) < sum(p.numel() for p in model.parameters()) / 4


def test_without_fixed_norms_the_new_statistics_are_found_at_the_end(half: Path, tmp_path: Path) -> None:
    run = training(half, tmp_path / "run", train_only=PARTS, fixed_norms=False)
    own = batch_norms(run.trainer.model)
    state = run.trainer.model.state_dict()
    assert own and all(name.startswith("generator.up_4") for name, m in run.trainer.model.named_modules() if m in own)
    before = {name: x.clone() for name, x in state.items() if name.endswith("running_var")}
    run.run()
    run.finish()
    for name, value in before.items():
        assert torch.equal(run.trainer.model.state_dict()[name], value) != name.startswith("generator.up_4"), name


def test_a_resumed_run_is_the_same(half: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"train_only": PARTS, "decay_last": 0.01, "lambda_mmd": 1.0}
    once = training(half, tmp_path / "once", steps=4, **options)
    once.run()
    training(half, tmp_path / "twice", steps=2, **options).run()
    second = training(half, tmp_path / "twice", steps=4, **options)
    assert second.step == 2
    second.run()
    one, two = (run.run_folder.load_state() for run in (once, second))
    assert one is not None and two is not None
    assert differences({**one, "seconds": 0}, {**two, "seconds": 0}, "spade") == []


def test_a_part_that_is_not_there(half: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no parameter of SPADE .finer. begins with generator\.up_9 \(there are generator\.fc"
    ):
        training(half, tmp_path / "run", train_only="generator.up_4, generator.up_9")
    with pytest.raises(WeightsError, match=r"missing: generator\.up_4"):
        training(half, tmp_path / "run", train_only="")
    everything = FinerTrainer(grown(), SpadeOptions(ndf=4, perceptual="none"))
    assert everything.fresh == ("base_sha256",)
    assert len(everything.trained(everything.gan)) == len(list(everything.gan.parameters()))


@pytest.mark.parametrize("upsampling", ["normal", "most", "finer"])
def test_a_checkpoint_tells_which_block_was_added(upsampling: str) -> None:
    model: Any = zoo.create(
        "spade/celeba-128", **{**SIZES, "resolution": 512, "upsampling": upsampling, "max_width": 0}
    )
    shapes: Shapes = {name: tuple(x.shape) for name, x in model.generator.state_dict().items()}
    assert read_generator(shapes)["upsampling"] == upsampling


# --- its file -----------------------------------------------------------------------------------------------------


@pytest.fixture
def based(half: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`spade-half` is the published model of half the side."""
    monkeypatch.setattr(finer, "load", lambda name: zoo.load({"spade-half": half}[name]))
    return half


def test_the_file_holds_what_differs(based: Path, tmp_path: Path) -> None:
    model = grown("spade-half")
    load_strict(model, based / "model.safetensors", fresh(model, ("generator.up_4", MARK)))
    with torch.no_grad():
        model.generator.conv_img.weight.add_(1)
    zoo.save(model, tmp_path / "grown")
    stored = load_file(tmp_path / "grown/model.safetensors")
    assert {name.split(".")[1] for name in stored if name != MARK} == {"up_4", "conv_img"}
    again = zoo.load(tmp_path / "grown")
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(x, again.state_dict()[name]) for name, x in model.state_dict().items())
    layout = torch.randint(0, 19, (1, 2 * SIDE, 2 * SIDE))
    planes = F.one_hot(layout, 19).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        z = torch.randn(1, 8)
        torch.testing.assert_close(again.generator(planes, z), model.eval().generator(planes, z))
    on = training(based, tmp_path / "run", train_only=PARTS)
    _start_from(tmp_path / "grown", {"model": (other := grown("spade-half"))}, {"model": on.trainer.fresh})
    assert torch.equal(other.generator.conv_img.weight, model.generator.conv_img.weight)


def test_another_base_is_told(based: Path, tmp_path: Path) -> None:
    zoo.save(grown("spade-half"), tmp_path / "grown")
    zoo.save(small(seed=5), based)
    with pytest.raises(WeightsError, match="grew from another version of spade-half"):
        zoo.load(tmp_path / "grown")


@pytest.mark.parametrize("name", ["../other", "./half", "hf:me/half", "Half", "a" * 101])
def test_a_base_is_a_published_model(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="base must be the id of a published model"):
        grown(name)
    zoo.save(grown(), tmp_path / "grown")
    path = tmp_path / "grown/config.json"
    values = json.loads(path.read_text())
    values["config"]["base"] = "spade-none"
    path.write_text(json.dumps(values))
    with pytest.raises(ZooError, match="spade-none"):
        zoo.load(tmp_path / "grown")
