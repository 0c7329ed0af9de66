"""SegVAE's inference form equals the plain one and does no more than it must.

Most comparisons run in double precision, where equal algebra shows as equal numbers whatever the CPU; the float32 kernels are
compared on well-conditioned networks and on the golden weights.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden.segvae import model_of
from safetensors.torch import load_file
from segvae_tiny import small
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.edits import Add, Redraw, Remove
from zoo.inference.optimize import optimize
from zoo.maps import LayeredMap
from zoo.nn.spectral import fold_spectral, recompute_spectral, spectral_layers
from zoo.nn.spectral_fresh import FreshSNConv2d, FreshSNLinear, FreshSpectralMixin
from zoo_plugins.segvae import products
from zoo_plugins.segvae.config import VARIANTS, SegVAEOptions
from zoo_plugins.segvae.model import SegVAE
from zoo_plugins.segvae.steps import unroll

ORDER = ("hair", "skin", "nose", "l_eye", "hat", "eye_g")
CHANNELS = ("nose", "skin", "hair", "eye_g", "hat", "l_eye")
SETS = (("skin", "hair", "nose"), ("hat",), ("hair", "skin", "nose", "l_eye", "hat", "eye_g"), ("skin", "eye_g"))
OPTIONS: dict[str, dict[str, Any]] = {
    "in": {},
    "bn": {"norm": "bn"},
    "none": {"norm": "none"},
    "no spectral norm": {"spectral": False},
    "bn, no spectral norm": {"norm": "bn", "spectral": False},
    "no lstm": {"lstm": False},
    "no prior": {"learned_prior": False},
    "neither": {"lstm": False, "learned_prior": False},
    "label set": {"context": "label-set", "lstm": False, "learned_prior": False},
    "label set, lstm": {"context": "label-set"},
    "class": {"context": "class", "lstm": False, "learned_prior": False},
    "class, lstm": {"context": "class"},
    "narrow embedding": {"embed_dim": 3},
    "one stage": {"size": 8},
}


@torch.no_grad()
def lively(**fields: Any) -> SegVAE:
    """A small random model whose shapes are neither constant nor hard, in evaluation mode."""
    torch.manual_seed(7)
    model = small(**{"channels": CHANNELS, "order": ORDER, "size": 32, **fields}).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
            parameter.normal_().div_(fan_in**0.5)
        else:
            parameter.normal_().mul_(0.1)
    model.decoder.out.weight.mul_(3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.uniform_(0.5, 2)
    return model


def sets_of(model: SegVAE) -> list[Any]:
    return [model.label_space.label_set(s) for s in SETS]


# --- equal outputs ---------------------------------------------------------------------------------------------------


def agree(plain: SegVAE, fast: SegVAE, tolerance: float) -> None:
    """Everything a model can be asked: shapes, codes, maps from codes, edits."""

    def near(a: Tensor, b: Tensor) -> None:
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)

    sets = sets_of(plain)
    latents = plain.sample_latents(sets, 3)
    drawn = [m.generate_layers(sets, latents=latents) for m in (plain, fast)]
    assert drawn[0].layers[:, plain.values[1:]].std() > 0.05  # a test on constant shapes would see nothing
    near(drawn[0].layers, drawn[1].layers)
    given = LayeredMap((drawn[0].layers > 0.5).to(drawn[0].layers), plain.label_space)
    for rng in (None, 5):
        near(*(m.encode(given, rng=rng)["z"] for m in (plain, fast)))
    codes = plain.encode(given)
    shown = plain.label_sets_of(given)
    for context in (None, given):
        truth = None if context is None else plain.planes(context).to(plain.decoder.input.weight)
        near(*(m.shapes(m.vector(m.presence(shown)), codes, truth=truth) for m in (plain, fast)))
    eps = plain.sample_latents(sets, 8)
    truth = plain.planes(given).to(plain.decoder.input.weight)
    near(*(m.shapes(m.vector(m.presence(sets)), eps, truth=truth) for m in (plain, fast)))


@pytest.mark.parametrize("name", OPTIONS)
def test_equal_in_double_precision(name: str) -> None:
    plain = lively(**OPTIONS[name]).double()
    before = {k: v.clone() for k, v in plain.state_dict().items()}
    fast = plain.optimized()
    agree(plain, fast, 1e-6)  # the codes and shapes come out as float32
    assert all(torch.equal(v, before[k]) for k, v in plain.state_dict().items())
    sets = sets_of(plain)
    assert torch.equal(plain.generate(sets, rng=1).labels, fast.generate(sets, rng=1).labels)
    map_ = plain.generate(sets, rng=2)
    parts = plain.label_sets_of(map_)[2].names
    for options in (SegVAEOptions(), SegVAEOptions(regenerate=True), SegVAEOptions(uncovered="nearest")):
        edits = [Add(("l_eye", "hat")), Remove(("eye_g",)), Redraw(parts[:1])]
        assert torch.equal(*(m.edit(map_, edits, rng=4, options=options).labels for m in (plain, fast)))


@pytest.mark.parametrize("name", ["in", "bn", "none", "label set", "class"])
def test_equal_in_float32(name: str) -> None:
    plain = lively(**OPTIONS[name])
    agree(plain, plain.optimized(), 2e-4)  # networks that nobody trained amplify the last bits of float32


def test_first_codes_are_equal_in_float32() -> None:
    """One encoder, one decoder: nothing amplifies yet, so the kernels themselves must agree."""
    plain = lively(size=128, ngf=8)
    fast = plain.optimized()
    canvas = F.interpolate(torch.rand(2, len(CHANNELS) + 1, 5, 5), size=(128, 128), mode="bilinear")
    canvas[:, 0] = 0
    label_set = torch.tensor([[0.0, 1, 1, 0, 1, 0, 1], [0, 0, 1, 0, 0, 0, 0]])
    target = F.one_hot(torch.tensor([1, 2]), 7).float()
    target[1] = 0
    with torch.no_grad():
        feat = plain.context(canvas, label_set, target)
        torch.testing.assert_close(fast.context(canvas, label_set, target), feat, rtol=0, atol=2e-5)
        z = torch.randn(2, plain.config.z_dim)
        torch.testing.assert_close(fast.decoder(feat, z), plain.decoder(feat, z), rtol=0, atol=5e-5)
        shape = canvas[:, 3:4].contiguous()
        torch.testing.assert_close(
            fast.posterior.code(shape, target), plain.posterior.code(shape, target), rtol=0, atol=2e-5
        )


def test_a_nearly_constant_plane_is_normalised_exactly() -> None:
    """A mean a thousand times the deviation, as of early canvases: sums of squares would lose every digit."""
    from zoo_plugins.segvae.inference import Activation

    for side in (4, 16, 32, 64):
        x = (5 + 0.005 * torch.randn(2, 6, side, side)).contiguous(memory_format=torch.channels_last)
        exact = F.leaky_relu(F.instance_norm(x.double()), 0.2)
        torch.testing.assert_close(Activation(True)(x).double(), exact, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["A", "E_bn_nosn"])
def test_equal_on_golden_weights(shared: Path, name: str) -> None:
    folder = shared / "golden" / "segvae" / name
    case, io = json.loads((folder / "case.json").read_text()), load_file(folder / "io.safetensors")
    plain = model_of(folder, case)
    fast = plain.optimized()
    recorded = io["labelset.noise_prior"]  # [steps, B, Z]
    eps = torch.empty_like(recorded).index_copy(0, torch.tensor(plain.order) - 1, recorded).transpose(0, 1)
    found = [m.with_background(m.shapes(io["labelset.label_set"], {"eps": eps})) for m in (plain, fast)]
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=5e-5)
    torch.testing.assert_close(found[1], io["labelset.gen"], rtol=0, atol=5e-5)
    assert torch.equal(found[1].argmax(1), io["labelset.label_map"].long())


def test_rows_do_not_depend_on_the_batch() -> None:
    fast = lively().double().optimized()
    sets = sets_of(fast)
    latents = fast.sample_latents(sets, 3)
    together = fast.generate_layers(sets, latents=latents).layers
    for row in range(len(sets)):
        alone = fast.generate_layers(sets[row : row + 1], latents={"eps": latents["eps"][row : row + 1]}).layers
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-6)


def test_it_keeps_nothing_of_a_call_and_can_be_copied() -> None:
    fast = lively().optimized()
    sets = sets_of(fast)
    first = fast.generate_layers(sets, rng=1).layers
    fast.generate(sets[::-1], rng=2)
    assert torch.equal(fast.generate_layers(sets, rng=1).layers, first)
    twin = copy.deepcopy(fast)  # the packed weights are no tensors that can be copied
    assert torch.equal(twin.generate_layers(sets, rng=1).layers, first)


def test_under_autocast() -> None:
    plain = lively()
    fast = optimize(plain, dtype=torch.bfloat16)
    sets = sets_of(plain)
    given = plain.generate(sets, rng=1)
    assert fast.generate(sets, rng=1).labels.shape == given.labels.shape  # type: ignore[attr-defined]
    assert fast.edit(given, [Remove(("hat",))], rng=1).labels.shape == given.labels.shape  # type: ignore[attr-defined]


# --- wide networks ---------------------------------------------------------------------------------------------------

WIDE = ["in", "no spectral norm", "no lstm", "no prior", "label set, lstm", "class", "one stage"]


@pytest.fixture(params=[16, 4, 0], ids=["products", "both", "kernels"])
def wide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks go the way of wide ones; up to a side of 16, 4 or 0 their layers are products."""
    monkeypatch.setattr(products, "WORTH", 0)
    monkeypatch.setattr(products, "SMALL", request.param)


def test_which_networks_are_wide() -> None:
    sizes = {name: products.worth_products(variant.config) for name, variant in VARIANTS.items()}
    assert sizes == {name: not name.endswith("-128") for name in VARIANTS}  # published pictures stay as they were made
    assert not products.worth_products(dataclasses.replace(VARIANTS["celeba"].config, norm="bn"))


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.usefixtures("wide")
def test_wide_networks_are_equal(name: str) -> None:
    plain = lively(**OPTIONS[name])
    fast = plain.optimized()
    assert isinstance(fast.decoder.blocks, products.DoublingBlocks)
    agree(plain, fast, 2e-4)
    double = plain.double()
    agree(double, double.optimized(), 1e-6)


@pytest.mark.usefixtures("wide")
def test_wide_networks_on_golden_weights(shared: Path) -> None:
    test_equal_on_golden_weights(shared, "A")


@pytest.mark.parametrize("wide", [4], indirect=True, ids=["both"])
@pytest.mark.usefixtures("wide")
def test_wide_networks_with_two_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        plain = lively()
        sets = sets_of(plain)
        drawn = [m.generate_layers(sets, rng=3).layers for m in (plain, plain.optimized())]
        torch.testing.assert_close(drawn[1], drawn[0], rtol=0, atol=2e-4)
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("wide")
def test_wide_networks_keep_nothing_of_a_call() -> None:
    test_it_keeps_nothing_of_a_call_and_can_be_copied()
    test_rows_do_not_depend_on_the_batch()
    test_under_autocast()


@torch.no_grad()
def test_norm_and_activation_in_the_same_memory() -> None:
    x = 30 + torch.randn(3, 2, 2, 8, 8, 6)
    flat = x.double().flatten(1, 4).transpose(1, 2)
    expected = F.leaky_relu(F.instance_norm(flat), 0.2).transpose(1, 2).view(x.shape).float()
    target = torch.zeros(3, 8, 2, 8, 2, 6).permute(0, 2, 4, 1, 3, 5)
    products.activate(x.clone(), target)
    torch.testing.assert_close(target, expected, rtol=0, atol=2e-5)
    products.activate(x, x)
    assert torch.equal(x, target)


# --- no more than it must --------------------------------------------------------------------------------------------


class Rows:
    """Counts the rows that go through a module."""

    def __init__(self, module: nn.Module) -> None:
        self.calls: list[int] = []
        module.register_forward_hook(lambda _, args, __: self.calls.append(len(args[0])))

    @property
    def total(self) -> int:
        return sum(self.calls)


@pytest.mark.parametrize(
    ("fields", "names", "coded"),
    [
        # order: hair skin nose l_eye hat eye_g
        # hair; skin, absent after hair; not nose, since nothing changed; l_eye; nothing after the last
        ({}, ("hair", "l_eye"), 3),
        ({}, ("eye_g",), 2),  # hair stands for all five absent steps on the empty canvas
        ({}, ORDER, 6),
        ({"lstm": False}, ("hair", "l_eye"), 2),  # nobody remembers the absent steps
        ({"learned_prior": False}, ("hair", "l_eye"), 2),
        ({"context": "label-set"}, ("hair", "nose", "hat"), 4),  # one absent code serves all: the canvas is not seen
        ({"context": "class"}, ORDER, 0),  # a table
    ],
)
def test_codes_are_computed_where_something_changed(fields: dict[str, Any], names: tuple[str, ...], coded: int) -> None:
    fast = lively(**fields).optimized()
    encoder, decoder = Rows(fast.context.encoder), Rows(fast.decoder)
    fast.generate([fast.label_space.label_set(names)], rng=0)
    assert encoder.total == coded
    assert decoder.total == len(names)


def test_rows_of_a_batch_are_counted_one_by_one() -> None:
    fast = lively().optimized()
    encoder, decoder = Rows(fast.context.encoder), Rows(fast.decoder)
    fast.generate(sets_of(fast), rng=0)
    assert decoder.total == sum(len(s) for s in SETS)
    # by hand: {skin hair nose}: 3; {hat}: one absent code and its own; all six: 6; {skin, eye_g}: hair-, skin, nose-, eye_g
    assert encoder.total == 3 + 2 + 6 + 4


def test_codes_that_are_read_are_all_computed() -> None:
    fast = lively().optimized()
    encoder, eps = Rows(fast.context.encoder), torch.zeros(1, len(ORDER), fast.config.z_dim)
    truth = torch.zeros(1, 7, 32, 32)
    truth[:, 3, 4:20, 4:20] = 1  # hair
    label_set = torch.zeros(1, 7)
    label_set[:, 3] = 1
    steps = list(unroll(fast, label_set, truth=truth, forced=True, eps_posterior=eps, decode=()))
    assert encoder.total == 2  # hair, and one for the five absent classes after it
    assert all(s.posterior is not None and bool(s.posterior.mu.any()) for s in steps)


@pytest.mark.parametrize("lstm", [True, False])
def test_edits_decode_what_they_draw(lstm: bool) -> None:
    fast = lively(lstm=lstm).optimized()
    encoder, decoder = Rows(fast.context.encoder), Rows(fast.decoder)
    layers = torch.zeros(1, len(fast.label_space), 32, 32)
    for name in ("hair", "skin", "eye_g"):
        layers[:, fast.label_space.index(name), 4:20, 4:20] = 1
    fast.edit(LayeredMap(layers, fast.label_space), [Redraw(("skin",))], rng=0)
    assert decoder.total == 1
    assert encoder.total == (2 if lstm else 1)  # hair, which an LSTM sees, and skin


# --- its parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_folded_fresh_spectral_norm(kind: str) -> None:
    torch.manual_seed(0)
    layer = FreshSNLinear(6, 5) if kind == "linear" else FreshSNConv2d(3, 4, 3, 2, 1)
    x = torch.randn(2, 6) if kind == "linear" else torch.randn(2, 3, 8, 8)
    network = nn.Sequential(layer).eval()
    layer.sv0.fill_(123.0)  # a log value, which must not matter
    u0 = layer.u0.clone()
    with torch.no_grad():
        expected = network(x)
        matrix = layer.weight.flatten(1)
        sigma = (F.normalize(u0 @ matrix, dim=1) @ matrix.t()).norm()
        folded = fold_spectral(network)
        assert not any(isinstance(m, FreshSpectralMixin) for m in folded.modules())
        assert torch.equal(folded(x), expected)
    torch.testing.assert_close(folded[0].weight, layer.weight / sigma)  # type: ignore[index]
    assert torch.equal(layer.u0, u0)


def test_recomputed_fresh_spectral_norm() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(FreshSNConv2d(3, 8, 3), nn.Flatten(), FreshSNLinear(8, 4)).eval()
    assert len(spectral_layers(network)) == 2
    recompute_spectral(network, 300)
    for layer in spectral_layers(network):
        assert isinstance(layer, FreshSpectralMixin)
        top = torch.linalg.svdvals(layer.weight.detach().flatten(1).double())[0].float()
        torch.testing.assert_close(layer.sigma().detach(), top, rtol=1e-4, atol=0)
