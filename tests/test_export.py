"""`zoo export`: files that give what the model gives, or none at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import clvae_tiny
import numpy as np
import pytest
import segvae_tiny
import torch
from fixtures_models import Ran, shake
from torch import Tensor

import zoo
from zoo import cards
from zoo.errors import DataError, LabelError, PluginError, UsageError
from zoo.export import files, tracing
from zoo.export.checking import check_labels, differences, example, examples
from zoo.export.tracing import exports_of, folded, halve, require_onnx
from zoo.interfaces.exports import MAIN, Exports, Graph, Port
from zoo.interfaces.models import Model
from zoo.rng import Rng
from zoo_plugins.segvae.prior import LocalPrior

GAN = {"label_space": "celebamask-hq", "resolution": 32, "ngf": 2, "spade_hidden": 4, "max_width": 8}


def spade(**changes: Any) -> Model:
    return made("spade", **{**GAN, "use_vae": True, "z_dim": 6, "nef": 2, "encoder_size": 32, **changes})


def made(architecture: str, **fields: Any) -> Model:
    model = zoo.create(architecture, **fields)
    shake(model, 2.0, 1)
    return model.eval().requires_grad_(False)


def with_priors(model: Any) -> Any:
    """A SegVAE with a fitted prior of made-up codes."""
    count, size = len(model.channels), model.config.z_dim
    codes = Rng(0, range(30)).normal("codes", shape=(count, size))
    shown = Rng(1, range(30)).uniform("shown", shape=(count,)) < 0.7
    prior = LocalPrior.fit(codes, shown, neighbours=20, centres=3, components=4, connected=0.9)
    model.assets = {"prior": prior.tensors()}
    return model


def agrees(model: Model) -> Exports:
    """Every graph of a model gives what the model's own calls give, in torch alone; batches of 1 and 3."""
    exports = exports_of(folded(model), "it")
    for graph in exports.graphs:
        assert graph.reference is not None or graph.name == "prior"
        for batch in (1, 3):
            inputs = examples(graph, model.label_space, Rng(batch, range(batch)))
            with torch.no_grad():
                got = graph.module(*inputs)
                wanted = got if graph.reference is None else graph.reference(*inputs)
            for port, a, b in zip(graph.outputs, _all(got), _all(wanted), strict=True):
                assert a.shape == (batch, *port.shape), (graph.name, port.name)
                if port.content == "labels":
                    assert int((a != b).sum()) <= batch, (graph.name, port.name)  # a pixel of a map may lie on a tie
                else:
                    assert torch.allclose(a, b.float(), atol=1e-5, rtol=1e-5), (graph.name, port.name)
    return exports


def _all(value: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (value,) if isinstance(value, Tensor) else value


# --- graphs are the model -----------------------------------------------------------------------------------------


def test_graphs_of_synthesizers() -> None:
    for model in (
        spade(),
        spade(use_vae=False),
        made("oasis", **GAN, z_dim=4),
        made("oasis", **GAN, z_dim=4, noise="class"),
    ):
        assert agrees(model).graph("render")
    assert "prior" in {g.name for g in agrees(clvae_tiny.model_of()).graphs}
    sean = made("sean", **GAN, style_dim=4, style_width=2, style_regions=19)
    assert agrees(sean).recipe["style"]["mean"] is None


def test_graphs_of_generators(published: Path) -> None:
    plain = segvae_tiny.small()
    assert {g.name for g in agrees(plain).graphs} == {"generate", "edit"}
    assert {g.name for g in agrees(with_priors(segvae_tiny.small())).graphs} == {"generate", "edit", "prior"}
    mask_vae = zoo.load("mask-vae-celeba")
    assert {g.name for g in agrees(mask_vae).graphs} == {"generate", "encode", "prior"}
    mask_vae.assets["outlines"] = {
        "sigma": torch.tensor([0.8]), "offsets": torch.linspace(-0.3, 0.3, 18), "least": torch.arange(18) % 5 * 3,
        "places": torch.ones(18, 32, 32, dtype=torch.long),
    }  # fmt: skip
    agrees(mask_vae)


def test_graphs_of_parsers(published: Path) -> None:
    assert agrees(zoo.load("face-parser-celeba")).graph("parse")
    assert agrees(made("mobile-parser/celeba-128", side=32, width=8)).graph("parse")


def test_a_fitted_prior_goes_along() -> None:
    """Its draws are those of `sample_style` for the same streams."""
    model = spade()
    factor = torch.tril(Rng(3).normal("factor", shape=(6, 6))[0])
    model.assets = {"latent_prior": {"mean": torch.linspace(-1, 1, 6), "factor": factor}}
    exports = agrees(model)
    graph = exports.graph("prior")
    maps = segvae_tiny.face(32)
    rng = Rng(4, range(2)).within("style")
    (port,) = graph.inputs
    drawn = graph.module(rng.normal(*port.keys[0], shape=port.shape))
    assert torch.allclose(drawn, model.sample_style(maps, rng).tensors["z"], atol=1e-6)  # type: ignore[operator]
    assert exports.recipe["priors"] == ["fitted"]


# --- files --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def onnx_there() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def spade_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.save(spade(use_vae=False), tmp_path_factory.mktemp("spade") / "tiny")


@pytest.mark.slow
def test_the_command(onnx_there: None, spade_folder: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    """A file, a JSON that says enough to call it, and in onnxruntime the pictures of `synthesize`."""
    import onnxruntime

    target = tmp_path / "tiny.onnx"
    ran = run("export", spade_folder, "--onnx", target)
    assert ran.code == 0, ran.err
    assert ran.out.split() == [str(target), str(tmp_path / "tiny.json")]
    assert "differs from torch by" in ran.err
    told = json.loads((tmp_path / "tiny.json").read_text())
    assert told["graphs"]["render"]["file"] == "tiny.onnx" and told["main"] == "render"
    assert told["labels"] == {"least": 0, "most": 18, "unlabeled": None} and len(told["label_space"]["classes"]) == 19
    (entry,) = told["graphs"]["render"]["inputs"]
    model = zoo.load(spade_folder)
    maps = segvae_tiny.face(32, count=5)
    runner = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    (got,) = runner.run(None, {entry["name"]: maps.labels.numpy().astype(entry["dtype"])})
    assert np.abs(got - model.synthesize(maps).numpy()).max() < 1e-4  # type: ignore[operator]

    again = run("export", spade_folder, "--onnx", target)
    assert again.code == 2 and "exists" in again.err and "--overwrite" in again.err
    before = target.stat().st_size
    halved = run("export", spade_folder, "--onnx", target, "--half", "--overwrite", "--json")
    assert halved.code == 0 and json.loads(halved.out)["half"] is True
    assert target.stat().st_size < before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny.json", "tiny.onnx"]


def test_bad_targets(onnx_there: None, spade_folder: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    for target, words in (("tiny.pt", "end in .onnx"), ("none/tiny.onnx", "no folder"), ("folder.onnx", "is a folder")):
        (tmp_path / "folder.onnx").mkdir(exist_ok=True)
        ran = run("export", spade_folder, "--onnx", tmp_path / target)
        assert ran.code == 2 and words in ran.err
    assert [p.name for p in tmp_path.iterdir()] == ["folder.onnx"]


class Twice(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


def a_graph(reference: Callable[[Tensor], Tensor]) -> Graph:
    port = Port("x", "latents", (3,), ("channel",), "numbers")
    return Graph("render", Twice(), (port,), (replace(port, name="y"),), "twice", reference)


def test_what_differs_leaves_no_file(onnx_there: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is with the model's own calls; all files come or none."""
    model = spade(use_vae=False)
    monkeypatch.setattr(type(model), "exports", lambda self: Exports((a_graph(lambda x: x * 2 + 1e-3),)))
    facts = {"model": "odd", "kind": "image-synthesizer"}
    with pytest.raises(DataError, match=r"differs from torch .*no file is left"):
        files.export_model(model, tmp_path / "odd.onnx", facts)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(type(model), "exports", lambda self: Exports((a_graph(lambda x: x * 2 + 1e-6),)))
    told = files.export_model(model, tmp_path / "even.onnx", facts)
    assert 0 < told["graphs"]["render"]["differs"] < 1e-4

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(DataError, match="disk is full"):
        files.export_model(model, tmp_path / "full.onnx", facts)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["even.json", "even.onnx"]


def test_weights_in_half(onnx_there: None) -> None:
    """Large weights become 16 bits with a cast behind; computing stays in 32; what 16 bits do not hold stays."""
    import onnx

    class Product(torch.nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            weight = Rng(0).normal("w", shape=(64, 64))[0] / 8
            weight[0, 0] = scale
            self.register_buffer("weight", weight)

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight  # type: ignore[operator]

    space = segvae_tiny.SPACE
    sizes = []
    for scale in (1.0, 1e6):
        port = Port("x", "latents", (64,), ("channel",), "numbers")
        graph = Graph("render", Product(scale), (port,), (replace(port, name="y"),), "a product")
        proto = tracing.trace(graph, examples(graph, space, Rng(0, range(2))))
        plain = proto.SerializeToString()
        assert max(differences(graph, plain, space).values()) < 1e-6
        halved = halve(onnx.load_from_string(plain)).SerializeToString()
        assert max(differences(graph, halved, space).values()) < (1e-3 if scale == 1 else 1e-6)
        sizes.append((len(plain), len(halved)))
    assert sizes[0][1] < 0.6 * sizes[0][0] and sizes[1][1] == sizes[1][0]


# --- what is refused ----------------------------------------------------------------------------------------------


def test_labels_out_of_range_are_refused_outside_the_graph() -> None:
    space = segvae_tiny.SPACE
    check_labels(torch.tensor([[[0, 18]]]), space)
    for value in (19, -1, 255):
        with pytest.raises(LabelError, match=str(value)):
            check_labels(torch.tensor([[[0, value]]]), space)
    port = Port("labels", "labels", (40, 24), ("height", "width"), "a map")
    check_labels(example(port, space, Rng(0, range(3))), space)


def test_models_that_cannot_say_why() -> None:
    with pytest.raises(UsageError, match="cannot be exported: its plugin says of no network"):
        Model.exports(spade())
    with pytest.raises(UsageError, match="cannot be exported"):
        clvae_tiny.model_of(classwise=False).exports()
    assert set(MAIN) == {"mask-generator", "image-synthesizer", "mask-parser"}


def test_a_plugins_own_fault_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model = spade(use_vae=False)
    for value in ("nothing", Exports(())):
        monkeypatch.setattr(type(model), "exports", lambda self, value=value: value)
        with pytest.raises(PluginError, match="at least one graph"):
            exports_of(model, "odd")

    def broken(self: Model) -> Exports:
        raise KeyError("z")

    monkeypatch.setattr(type(model), "exports", broken)
    with pytest.raises(PluginError, match="cannot be used"):
        exports_of(model, "odd")


def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UsageError, match=r"onnxscript.*pip install 'maskzoo\[onnx\]'"):
        require_onnx()


def test_kinds_without_graphs(onnx_there: None, tmp_path: Path, run: Callable[..., Ran]) -> None:
    """A translator has no place in a composition, and none here."""
    from munit_tiny import tiny_munit

    folder = zoo.save(tiny_munit(), tmp_path / "munit")
    ran = run("export", folder, "--onnx", tmp_path / "m.onnx")
    assert ran.code == 2 and "only generators of maps, synthesizers and parsers" in ran.err


# --- the embedded models, in full ---------------------------------------------------------------------------------


def embedded() -> Iterator[str]:
    for card in cards.search("*"):
        if card.embedded and card.facts.get("kind") in MAIN:
            yield card.model_id


@pytest.mark.slow
@pytest.mark.parametrize("name", [*embedded()])
def test_embedded_models(name: str, onnx_there: None, tmp_path: Path, run: Callable[..., Ran]) -> None:
    ran = run("export", name, "--onnx", tmp_path / "model.onnx")
    assert ran.code == 0, ran.err
    told = json.loads((tmp_path / "model.json").read_text())
    assert all(graph["differs"] <= 1e-4 for graph in told["graphs"].values())


def test_names_stand_once_in_a_graph() -> None:
    port = Port("labels", "labels", (4, 4), ("height", "width"), "a map")
    with pytest.raises(PluginError, match="two inputs or outputs of the name labels"):
        Graph("edit", torch.nn.Identity(), (port,), (port,), "the map again")
