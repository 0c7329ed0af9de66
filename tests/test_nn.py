"""Shared layers: spectral norm, label planes, norms, losses, perceptual networks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.errors import ConfigError, LabelError, WeightsError
from zoo.families.spade.discriminators import MultiscaleDiscriminator, opinion, split_pair
from zoo.families.spade.encoders import ConvEncoder
from zoo.labels import LabelClass, LabelSpace, numbered_space
from zoo.maps import SemanticMap
from zoo.nn.labels import LabelInput, background_last, channel_table, instance_edges
from zoo.nn.losses import feature_matching, gan_loss
from zoo.nn.norms import UncountedBatchNorm2d, parse_norm
from zoo.nn.perceptual import ParserFeatures, VGG19Features, perceptual_loss, perceptual_network
from zoo.nn.spectral import SNConv2d, SNConvTranspose2d, SNLinear, fold_spectral, held_spectral, recompute_spectral


def _layers() -> list[tuple[nn.Module, nn.Module, Tensor]]:
    torch.manual_seed(0)
    return [
        (SNConv2d(3, 5, 3, padding=1), nn.Conv2d(3, 5, 3, padding=1), torch.randn(2, 3, 6, 6)),
        (SNLinear(4, 3), nn.Linear(4, 3), torch.randn(2, 4)),
        (SNConvTranspose2d(3, 5, 4, 2, 1), nn.ConvTranspose2d(3, 5, 4, 2, 1), torch.randn(2, 3, 6, 6)),
    ]


@pytest.mark.parametrize("index", range(3))
def test_spectral_layers_agree_with_the_classic_implementation(index: int) -> None:
    ours, plain, x = _layers()[index]
    theirs = torch.nn.utils.spectral_norm(plain)
    state = {k.replace("weight_orig", "weight"): v for k, v in theirs.state_dict().items()}
    ours.load_state_dict(state, strict=True)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))
    a, b = ours.train()(x), theirs.train()(x)
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(ours.get_buffer("weight_u"), theirs.get_buffer("weight_u"))
    a.square().sum().backward()
    b.square().sum().backward()
    torch.testing.assert_close(ours.get_parameter("weight").grad, theirs.get_parameter("weight_orig").grad)


def test_recomputed_and_folded_spectral_norm() -> None:
    network = nn.Sequential(SNConv2d(4, 6, 3, padding=1), nn.ReLU(), SNConv2d(6, 2, 1, bias=False)).eval()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    recompute_spectral(network, 200)
    for layer in (network[0], network[2]):
        assert isinstance(layer, SNConv2d)
        top = torch.linalg.svdvals(layer.normalized_weight().flatten(1))[0]
        assert abs(top - 1) < 1e-3
    x = torch.randn(1, 4, 5, 5)
    expected = network(x)
    folded = fold_spectral(network)
    assert not any("weight_u" in k for k in folded.state_dict())
    torch.testing.assert_close(folded(x), expected, atol=1e-6, rtol=0)


def _space(ignore: bool = False) -> LabelSpace:
    classes = tuple(LabelClass(n, (i, i, i)) for i, n in enumerate(("bg", "a", "b")))
    return LabelSpace("three", classes, background="bg", ignore=ignore)


def test_label_planes_follow_the_names() -> None:
    space = _space(ignore=True)
    assert background_last(space) == ("a", "b", "bg")
    layer = LabelInput(space, ("b", "bg", "a"), ignore_channel=1)
    labels = torch.tensor([[[0, 1], [2, 255]]])
    planes = layer(SemanticMap(labels, space))
    assert planes.argmax(1).tolist() == [[[1, 2], [0, 1]]]
    assert torch.equal(planes.sum(1), torch.ones(1, 2, 2))
    assert layer.state_dict() == {}


def test_label_planes_refuse_what_does_not_fit() -> None:
    space = _space()
    with pytest.raises(LabelError, match="without a channel: b"):
        channel_table(space, ("a", "bg"))
    with pytest.raises(LabelError, match="twice"):
        channel_table(space, ("a", "a", "b", "bg"))
    other = SemanticMap(torch.zeros(1, 2, 2, dtype=torch.long), numbered_space(3))
    with pytest.raises(LabelError, match="convert"):
        LabelInput(space, ("a", "b", "bg"))(other)


def test_instance_edges_mark_both_sides() -> None:
    ids = torch.tensor([[[1, 1, 2], [1, 1, 2], [1, 1, 1]]])
    assert instance_edges(ids)[0, 0].tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 1]]


def test_edges_of_a_map_without_instances_are_its_borders_and_that_is_said() -> None:
    space, labels = _space(), torch.tensor([[[1, 1, 2], [1, 1, 2]]])
    layer = LabelInput(space, ("a", "b", "bg"), edges=True)
    drawn, told = SemanticMap(labels, space), SemanticMap(labels, space, torch.tensor([[[1, 2, 2], [1, 2, 2]]]))
    assert layer(drawn)[0, 3].tolist() == [[0, 1, 1], [0, 1, 1]] and "`instances`" in layer.notes(drawn)[0]
    assert layer(told)[0, 3].tolist() == [[1, 1, 0], [1, 1, 0]] and layer.notes(told) == ()


def test_norm_strings() -> None:
    spec = parse_norm("spectralsccsyncbatch3x3", ("scc", "spade"))
    assert (spec.spectral, spec.modulation, spec.kind, spec.kernel) == (True, "scc", "syncbatch", 3)
    assert parse_norm("spectral").kind == "none"
    with pytest.raises(ConfigError, match="spectralinstance"):
        parse_norm("spectralscssyncbatch3x3", ("scc",))


def test_uncounted_batch_norm() -> None:
    ours, plain = UncountedBatchNorm2d(3), nn.BatchNorm2d(3, affine=False)
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(ours(x), plain(x))
    torch.testing.assert_close(ours.running_var, plain.running_var)
    assert ours.num_batches_tracked is not None and int(ours.num_batches_tracked) == 0
    ours.momentum = None  # a plain average over batches, as an EMA recomputes statistics
    ours.reset_running_stats()
    ours(x)
    torch.testing.assert_close(ours.running_mean, x.mean((0, 2, 3)))


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_of_a_batch_norm_lies_as_its_input(memory: torch.memory_format) -> None:
    """torch's backward is slow for a pair that lies differently; numbers are those of the plain norm."""
    values, given = torch.randn(2, 3, 4, 6), torch.randn(2, 3, 4, 6)  # the gradient has channels first
    x, twin = (values.clone(memory_format=memory).requires_grad_(True) for _ in range(2))
    found = UncountedBatchNorm2d(3)(x)
    seen: list[torch.Tensor] = []
    found.register_hook(seen.append)  # runs behind the norm's own
    found.backward(given)
    nn.BatchNorm2d(3, affine=False)(twin).backward(given)
    assert seen[0].is_contiguous(memory_format=memory) and x.grad is not None
    torch.testing.assert_close(x.grad, twin.grad)


def test_discriminator_shapes_and_feature_matching() -> None:
    network = MultiscaleDiscriminator(5, width=4, n_layers=3, scales=2)
    outputs = network(torch.randn(4, 5, 32, 32))
    assert [len(s) for s in outputs] == [4, 4]
    fake, real = split_pair(outputs)
    assert fake[0][-1].shape[:2] == (2, 1)
    expected = (
        sum(F.l1_loss(f, r) for a, b in zip(fake, real, strict=True) for f, r in zip(a[:-1], b[:-1], strict=True)) / 2
    )
    torch.testing.assert_close(feature_matching(fake, real), expected)
    assert gan_loss(fake, True, for_discriminator=False).dim() == 0
    with pytest.raises(ConfigError, match="hinge"):
        gan_loss(fake, True, for_discriminator=True, mode="hing")


def test_discriminator_asked_once_per_map() -> None:
    """Planes without the empty ones, once for fakes and reals: scores and gradients of the one batch with all channels."""
    torch.manual_seed(0)
    network = MultiscaleDiscriminator(12, width=4, n_layers=3, scales=2).double().eval()
    numbers = torch.tensor([1, 4, 5])[torch.randint(3, (2, 32, 32))]
    planes = F.one_hot(numbers, 9).permute(0, 3, 1, 2).double()
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    parameters = [*network.parameters(), images]
    seen = []
    for outputs in (network.judge(images, planes), opinion(network(torch.cat([planes.repeat(2, 1, 1, 1), images], 1)))):
        layers = [*outputs.scores, *(f for group in outputs.features for f in group)]
        total = torch.stack([(layer * torch.cos(layer)).sum() for layer in layers]).sum()
        seen.append((layers, torch.autograd.grad(total, parameters)))
    torch.testing.assert_close(*seen)
    nothing = network.judge(images, torch.zeros_like(planes))
    torch.testing.assert_close(nothing, opinion(network(torch.cat([0 * planes.repeat(2, 1, 1, 1), images], 1))))


def test_held_spectral_norm() -> None:
    layer, x = SNConv2d(3, 5, 3), torch.randn(1, 3, 6, 6)
    first, u = layer(x), layer.weight_u.clone()
    with held_spectral(layer):
        again = layer(x)
    assert layer.training and torch.equal(first, again) and torch.equal(layer.weight_u, u)
    assert not torch.equal(layer(x), again) and not torch.equal(layer.weight_u, u)


@pytest.mark.parametrize(("size", "depth"), [(256, 6), (64, 4)])
def test_encoder_resizes_and_counts_its_layers(size: int, depth: int) -> None:
    encoder = ConvEncoder(2, 5, size=size)
    assert len(encoder.layers) == depth
    mu, logvar = encoder(torch.randn(2, 3, 40, 40))
    assert mu.shape == logvar.shape == (2, 5)
    with pytest.raises(ConfigError, match="power of two"):
        ConvEncoder(2, 5, size=100)


class _Parser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def features(self, images: Tensor) -> list[Tensor]:
        assert images.min() >= 0
        return [self.conv(images)]


def test_vgg_of_a_state_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as the weights are; what lies beyond relu5_1 (timm's has it) is left out, what is missing is no pooling."""
    import timm

    slim = VGG19Features([2, 3, "M", 2, 2, "M", 2, 2, 2, 2, "M", 2, 2, 2, 2, "M", 4])
    state = slim.state_dict()
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    more = {**state, "features.30.weight": torch.zeros(2, 4, 3, 3), "head.fc.weight": torch.zeros(1)}
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: SimpleNamespace(state_dict=lambda: more))
    for network in (VGG19Features.of(state), VGG19Features.pretrained()):
        assert not network.training and not any(p.requires_grad for p in network.parameters())
        assert all(torch.equal(a, b) for a, b in zip(network(images), slim(images), strict=True))
    with pytest.raises(RuntimeError, match=r"features\.28\.weight"):
        VGG19Features.of({k: v for k, v in state.items() if "28" not in k})


def test_perceptual_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    assert perceptual_network("none", zoo.load) is None
    slim = VGG19Features([2, 2, "M", 2, 2, "M", 2, 2, 2, 2, "M", 2, 2, 2, 2, "M", 2])
    fake = (torch.rand(1, 3, 32, 32) * 2 - 1).requires_grad_()
    real = torch.rand(1, 3, 32, 32) * 2 - 1
    for network in (slim, ParserFeatures(_Parser())):
        network.train()
        assert not network.training
        loss = perceptual_loss(network, fake, real)
        assert loss > 0 and torch.autograd.grad(loss, fake)[0].abs().sum() > 0
        assert float(perceptual_loss(network, real, real)) == 0
    with pytest.raises(WeightsError, match="features"):
        ParserFeatures(nn.Conv2d(3, 3, 1))

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match=r"changes={\"perceptual\": \"none\"}"):
        perceptual_network("vgg", zoo.load)
