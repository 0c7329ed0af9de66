"""Names that wrappers and newer norms write, averaged weights without names, and safetensors in several files."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from official_files import parser_state
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint import checkpoint_wrapper
from torch.distributed.fsdp import _common_utils as fsdp
from torch.nn.utils import parametrizations

import zoo
from zoo.cards import read_card
from zoo.checkpoints.averages import parameters
from zoo.checkpoints.identify import Report, identify, identify_shapes
from zoo.checkpoints.networks import WRAPPERS, without_wrappers
from zoo.checkpoints.reading import read_checkpoint
from zoo.errors import WeightsError
from zoo.files.digests import sha256

Tensors = dict[str, Tensor]


def only(report: Report) -> Tensors:
    (network,) = report.named
    assert network.candidates[0].architecture == "face-parser" and not report.faults
    return network.tensors


def same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(torch.equal(v, other[k]) for k, v in one.items())


# --- wrappers -----------------------------------------------------------------------------------------------------

NAMES = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "model")


def test_the_names_are_those_of_torch() -> None:
    compiled = torch.compile(nn.Linear(1, 1)).state_dict()
    assert list(compiled) == ["_orig_mod.weight", "_orig_mod.bias"]
    assert {fsdp.FSDP_WRAPPED_MODULE, checkpoint_wrapper._CHECKPOINT_WRAPPED_MODULE, "_orig_mod"} <= WRAPPERS


def test_wrappers_in_any_order() -> None:
    shapes = {k: tuple(v.shape) for k, v in parser_state().items()}
    orders = [*itertools.permutations(NAMES, 3), *itertools.permutations(NAMES)]
    for order in orders:
        report = identify_shapes({".".join((*order, k)): v for k, v in shapes.items()})
        assert only(report).keys() == shapes.keys(), order


def test_wrappers_inside_a_network(tmp_path: Path) -> None:
    """As FSDP, checkpointing and compiling of single blocks write it, in every block in another order."""
    state, wrapped = parser_state(), {}
    inner = itertools.cycle(itertools.permutations(sorted(WRAPPERS), 2))
    between = {block: ".".join(next(inner)) for block in sorted({k.split(".")[0] for k in state})}
    for key, value in state.items():
        block, _, rest = key.partition(".")
        wrapped[f"module._fsdp_wrapped_module.{block}.{between[block]}.{rest}"] = value
    torch.save({"model": wrapped}, tmp_path / "it.pth")
    assert same(only(identify(tmp_path / "it.pth", data=True)), state)


def test_names_that_two_tensors_would_share_stay() -> None:
    tensors = {"_orig_mod.a.weight": torch.zeros(1), "a.weight": torch.ones(1), "_orig_mod.b": torch.zeros(2)}
    assert list(without_wrappers(tensors)) == ["_orig_mod.a.weight", "a.weight", "b"]


# --- norms of torch.nn.utils.parametrizations -----------------------------------------------------------------------

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "conv": lambda: nn.Conv2d(3, 5, 3, bias=False),
    "transposed": lambda: nn.ConvTranspose2d(3, 5, 3),
    "linear": lambda: nn.Linear(3, 5),
}


@pytest.mark.parametrize("norm", ["spectral_norm", "weight_norm"])
@pytest.mark.parametrize("layer", list(LAYERS))
def test_newer_norms_are_the_older_ones_by_name_and_by_output(layer: str, norm: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    newer = nn.Sequential(getattr(parametrizations, norm)(LAYERS[layer]()), nn.Identity())
    older = nn.Sequential(getattr(nn.utils, norm)(LAYERS[layer]()), nn.Identity())
    x = torch.randn(4, 3) if layer == "linear" else torch.randn(2, 3, 8, 8)
    for _ in range(3):
        newer(x)
    torch.save({f"_orig_mod.{k}": v for k, v in newer.state_dict().items()}, tmp_path / "it.pth")
    state = without_wrappers(read_checkpoint(tmp_path / "it.pth").content)
    older.load_state_dict(state, strict=True)
    assert torch.equal(newer.eval()(x), older.eval()(x))


def test_other_parametrizations_keep_their_names() -> None:
    net = parametrizations.orthogonal(nn.Linear(3, 3))
    both = parametrizations.spectral_norm(parametrizations.orthogonal(nn.Linear(3, 3)))
    for module in (net, both):
        state = module.state_dict()
        assert list(without_wrappers(state)) == list(state)


def newer_names(state: Tensors) -> Tensors:
    endings = {"weight_orig": "original", "weight_u": "0._u", "weight_v": "0._v"}
    found: Tensors = {}
    for key, value in state.items():
        layer, _, name = key.rpartition(".")
        normed = f"{layer}.weight_orig" in state and name in endings
        found[f"{layer}.parametrizations.weight.{endings[name]}" if normed else key] = value
    return found


def test_a_generator_with_newer_spectral_norm_gives_the_same_model(
    tmp_path: Path, run: Callable[..., Ran], shared: Path
) -> None:
    file = shared / "golden/spade/A_normal_celeba/official_checkpoint_latest_net_G.pth"
    state = torch.load(file, weights_only=True)
    newer = newer_names(state)
    assert sum("parametrizations" in k for k in newer) > 20
    torch.save(newer, tmp_path / "net_G.pth")
    models = []
    for source, name in ((file, "old"), (tmp_path / "net_G.pth", "new")):
        ran = run("convert", source, "--out", tmp_path / name, "--config", "resolution=64")
        assert ran.code == 0, ran.err
        models.append(zoo.load(tmp_path / name).state_dict())
    assert same(*models)


# --- averages without names -------------------------------------------------------------------------------------------


def test_parameters_are_told_from_buffers_in_the_order_of_torch() -> None:
    net = nn.Sequential(
        nn.utils.spectral_norm(nn.Conv2d(3, 4, 3)),
        nn.BatchNorm2d(4),
        parametrizations.spectral_norm(nn.Conv2d(4, 4, 3)),
        nn.utils.weight_norm(nn.Conv2d(4, 4, 3)),
        parametrizations.weight_norm(nn.Linear(4, 2)),
        nn.MultiheadAttention(4, 2),
    )
    assert parameters(net.state_dict()) == [k for k, _ in net.named_parameters()]


def trained(state: Tensors) -> list[str]:
    """Its parameters."""
    return [k for k in state if not k.endswith(("running_mean", "running_var", "num_batches_tracked"))]


def torch_ema(average: Tensors) -> dict[str, Any]:
    """What `ExponentialMovingAverage.state_dict()` of torch_ema 0.3 gives."""
    values = [average[k] for k in trained(average)]
    return {"decay": 0.995, "num_updates": 9, "shadow_params": values, "collected_params": None}


def completed(average: Tensors, raw: Tensors) -> Tensors:
    return raw | {k: average[k] for k in trained(average)}


@pytest.mark.parametrize("outside", ["bare", "module", "netG.module", "optimizer beside"])
def test_a_list_of_averages_gets_its_names(outside: str, tmp_path: Path) -> None:
    raw, average = parser_state(0), parser_state(1)
    prefix = {"module": "module.", "netG.module": "netG.module."}.get(outside, "")
    content: dict[str, Any] = {"model": {prefix + k: v for k, v in raw.items()}, "ema": torch_ema(average)}
    if outside == "optimizer beside":
        content["optimizer"] = torch.optim.Adam([nn.Parameter(torch.zeros(2))]).state_dict()
    torch.save(content, tmp_path / "it.pth")
    report = identify(tmp_path / "it.pth", data=True)
    (network,) = (n for n in report.named if n.averaged)
    assert len(report.named) == 2 and same(network.tensors, completed(average, raw)) and not report.unmatched
    assert any(n == "ema.shadow_params" and "by order" in what and "model" in what for n, what in report.ignored)


def test_while_the_averages_are_in_use_the_copy_is_set_aside(tmp_path: Path) -> None:
    raw, average = parser_state(0), parser_state(1)
    ema = torch_ema(average) | {"collected_params": [raw[k] for k in trained(raw)]}
    torch.save({"model": completed(average, raw), "ema": ema}, tmp_path / "it.pth")
    report = identify(tmp_path / "it.pth")
    assert [n.averaged for n in report.named] == [False, True]
    assert ("ema.collected_params", "a copy of the raw weights") in report.ignored


def mismatched() -> dict[str, Callable[[Tensors, Tensors], dict[str, Any]]]:
    def cut(raw: Tensors, average: Tensors) -> dict[str, Any]:
        ema = torch_ema(average)
        return {"model": raw, "ema": ema | {"shadow_params": ema["shadow_params"][1:]}}

    def turned(raw: Tensors, average: Tensors) -> dict[str, Any]:
        ema = torch_ema(average)
        return {"model": raw, "ema": ema | {"shadow_params": ema["shadow_params"][::-1]}}

    def dotless(raw: Tensors, average: Tensors) -> dict[str, Any]:
        state = lightning(raw, average)["state_dict"]
        state["model_ema.netfinalweights"] = state.pop("model_ema.netfinalweight")
        return {"state_dict": state}

    return {"cut": cut, "turned": turned, "dotless": dotless}


@pytest.mark.parametrize("name", list(mismatched()))
def test_averages_that_match_nothing_are_said_to_be_left_out(
    name: str, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    raw, average = parser_state(0), parser_state(1)
    torch.save(mismatched()[name](raw, average), tmp_path / "it.pth")
    report = identify(tmp_path / "it.pth", data=True)
    assert same(only(report), raw) and len(report.unmatched) == 1
    assert any(n == report.unmatched[0] and "only raw weights are taken" in what for n, what in report.ignored)
    ran = run("convert", tmp_path / "it.pth", "--out", tmp_path / "out", "--config", "side=32")
    assert ran.code == 0 and "averaged weights without names" in ran.err
    card = read_card(tmp_path / "out")
    assert card is not None and any("raw weights were taken" in limit for limit in card.facts["limits"])
    assert torch.equal(zoo.load(tmp_path / "out").state_dict()["unet.final.weight"], raw["final.weight"])


def lightning(raw: Tensors, average: Tensors, compiled: str = "") -> dict[str, Any]:
    """A LightningModule with `self.model` (it has `net`) and `self.model_ema = LitEma(self.model)`, by the rule of LitEma."""
    state = {f"model.{compiled}net.{k}": v for k, v in raw.items()}
    state |= {f"model_ema.net{k.replace('.', '')}": average[k] for k in trained(average)}
    state |= {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7)}
    return {"state_dict": state, "epoch": 3, "first_stage.weight": torch.zeros(3)}


@pytest.mark.parametrize("compiled", ["", "_orig_mod."])
def test_names_without_dots_get_them_back(compiled: str, tmp_path: Path, run: Callable[..., Ran]) -> None:
    raw, average = parser_state(0), parser_state(1)
    torch.save(lightning(raw, average, compiled), tmp_path / "it.pth")
    report = identify(tmp_path / "it.pth", data=True)
    assert [(n.path, n.averaged) for n in report.named] == [("state_dict.model.net", False), ("state_dict.model_ema.net", True)]  # fmt: skip
    assert same(report.named[1].tensors, completed(average, raw)) and not report.unmatched
    ran = run("convert", tmp_path / "it.pth", "--out", tmp_path / "out", "--config", "side=32")
    assert ran.code == 0 and "averaged weights without names" not in ran.err
    assert torch.equal(zoo.load(tmp_path / "out").state_dict()["unet.final.weight"], average["final.weight"])


# --- shards -------------------------------------------------------------------------------------------------------


def shards(folder: Path, state: Tensors, parts: int = 3) -> Path:
    """As accelerate, transformers and diffusers write them; gives the index."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(state)
    weight_map: dict[str, str] = {}
    for i in range(parts):
        name = f"model-{i + 1:05d}-of-{parts:05d}.safetensors"
        save_file({k: state[k].contiguous() for k in names[i::parts]}, folder / name)
        weight_map |= dict.fromkeys(names[i::parts], name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 3}, "weight_map": weight_map}))
    return index


@pytest.mark.parametrize("given", ["index", "folder"])
def test_shards_are_read_as_one(given: str, tmp_path: Path, run: Callable[..., Ran]) -> None:
    state = parser_state()
    index = shards(tmp_path / "theirs", state)
    path = index if given == "index" else index.parent
    report = identify(path, data=True)
    assert same(only(report), state) and report.form == "safetensors in 3 shards"
    ran = run("convert", path, "--out", tmp_path / "out", "--config", "side=32")
    assert ran.code == 0, ran.err
    card = read_card(tmp_path / "out")
    files = [index, *sorted(index.parent.glob("*.safetensors"))]
    assert card is not None
    assert [(s["file"], s["sha256"]) for s in card.facts["sources"]] == [(f.name, sha256(f)) for f in files]


def test_accelerate_writes_such_shards(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    state = parser_state()
    net = zoo.create("face-parser/celeba-128", side=32, feature_scale=32).get_submodule("unet")
    net.load_state_dict(state)
    accelerate.Accelerator(cpu=True).save_model(net, tmp_path / "it", max_shard_size="60KB")
    assert len(list((tmp_path / "it").glob("*.safetensors"))) > 1
    assert same(only(identify(tmp_path / "it", data=True)), state)


def test_shards_through_the_links_of_the_hub_cache(tmp_path: Path) -> None:
    state = parser_state()
    shards(tmp_path / "blobs", state)
    folder = tmp_path / "snapshots/0123"
    folder.mkdir(parents=True)
    for file in (tmp_path / "blobs").iterdir():
        os.symlink(file, folder / file.name)
    assert same(only(identify(folder, data=True)), state)


def test_indexes_that_are_refused(tmp_path: Path) -> None:
    state = parser_state()
    save_file(state, tmp_path / "outside.safetensors")
    names = [
        "../outside.safetensors",
        str(tmp_path / "outside.safetensors"),
        "..\\outside.safetensors",
        "C:x.safetensors",
    ]
    for name in [*names, "model.pkl", ".safetensors", 3, None]:
        index = shards(tmp_path / "it", state)
        content = json.loads(index.read_text())
        content["weight_map"]["final.weight"] = name
        index.write_text(json.dumps(content))
        with pytest.raises(WeightsError, match=r"is refused: it names .*beside their index"):
            read_checkpoint(index)
    index = shards(tmp_path / "it", state)
    first = tmp_path / "it/model-00001-of-00003.safetensors"
    odd = {
        b"{": "not readable JSON",
        b"[]": "expected an object",
        b'{"weight_map": []}': "no index",
        b'{"weight_map": {}}': "names no tensors",
    }
    for content, words in odd.items():
        (tmp_path / "odd.safetensors.index.json").write_bytes(content)
        with pytest.raises(WeightsError, match=words):
            read_checkpoint(tmp_path / "odd.safetensors.index.json")
    with pytest.raises(WeightsError, match="several indexes"):
        read_checkpoint(tmp_path / "it/..") if shards(tmp_path, state) else None
    first.rename(tmp_path / "elsewhere.safetensors")
    with pytest.raises(WeightsError, match="which is not beside it"):
        read_checkpoint(index)
    first.symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(WeightsError, match="a link to a file outside"):
        read_checkpoint(index)
    first.unlink()
    save_file(state, first)
    with pytest.raises(WeightsError, match="do not agree"):
        read_checkpoint(index)
    torch.save(state, first)
    with pytest.raises(WeightsError, match="no safetensors file"):
        read_checkpoint(index)
