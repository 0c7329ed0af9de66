"""A network that is loaded draws no first weights: what the file replaces costs nothing, and the numbers are the file's all the same."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import zoo
from zoo.files.names import one_line
from zoo.files.tensors import read_tensors
from zoo.hub import resolve
from zoo.nn.drawn import undrawn
from zoo.nn.spectral import SNConv2d, SNConvTranspose2d, SNLinear, fold_spectral
from zoo.registry.discovery import _named
from zoo.store.budget import Budget

MODELS = ("mask-vae-celeba", "scgan-celeba", "segvae-celeba", "spade-celeba", "clvae-celeba")


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_holds_the_files_numbers_and_draws_none(name: str) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    model = zoo.load(name)
    assert torch.equal(torch.get_rng_state(), before)  # not one number was drawn
    stored = read_tensors(resolve(name).folder / "model.safetensors")
    state = model.state_dict()
    assert state.keys() == stored.keys()
    for key, tensor in stored.items():
        assert torch.equal(state[key], tensor.to(state[key].dtype)), key


@pytest.mark.parametrize("build", [lambda: nn.Conv2d(3, 4, 3), lambda: nn.LSTM(3, 4), lambda: SNLinear(5, 4)])
def test_only_parameters_of_a_network_to_be_loaded_stay_undrawn(build: Any) -> None:
    with undrawn(), Budget([], "here"):
        network, drawn = build(), torch.empty(8).normal_()
    assert all(not p.any() for p in network.parameters())
    assert drawn.any()
    with Budget([], "here"):  # a class that loads by itself is built as ever
        assert any(p.any() for p in build().parameters())
    assert any(p.any() for p in build().parameters())


@pytest.mark.parametrize(
    ("layer", "kind", "shape"),
    [
        (lambda: SNConv2d(3, 4, 3, padding=1, bias=False), nn.Conv2d, (1, 3, 6, 6)),
        (lambda: SNConvTranspose2d(3, 4, 3, stride=2, output_padding=1), nn.ConvTranspose2d, (1, 3, 6, 6)),
        (lambda: SNLinear(3, 4), nn.Linear, (2, 3)),
    ],
)
def test_a_folded_layer_is_plain_and_draws_nothing(layer: Any, kind: type, shape: tuple[int, ...]) -> None:
    spectral = layer().eval()
    x = torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape)
    wanted, before = spectral(x), torch.get_rng_state()
    plain = fold_spectral(spectral)
    assert type(plain) is kind and torch.equal(torch.get_rng_state(), before)
    assert torch.equal(plain(x), wanted)


class Installed(Distribution):
    """A distribution of this metadata."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read_text(self, filename: str) -> str | None:
        return self.text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        return Path(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Metadata-Version: 2.1\nName: one\nVersion: 1.2\n\nName: readme\n", ("one", "1.2")),
        ("Metadata-Version: 2.1\r\nName: one\r\nVersion: 1.2\r\n\r\nName: readme\r\n", ("one", "1.2")),
        ("Name: one\nVersion: 1.2", ("one", "1.2")),
        ("name: one\nVERSION: 1.2\n", ("one", "1.2")),  # as mails, whose reader knows these
        ("Name: one\n two\nVersion: 1.2\n", None),  # continued: as importlib has it
        ("Name: one\nName: two\nVersion: 1\n", ("one", "1")),
        ("", ("?", "?")),
    ],
)
def test_names_of_distributions_are_those_that_importlib_tells(text: str, named: tuple[str, str] | None) -> None:
    dist = Installed(text)
    metadata: Any = dist.metadata
    stated = [metadata["Name"], metadata["Version"]]
    told = tuple("?" if part is None else one_line(part, 80) for part in stated)
    assert _named(dist) == (told if named is None else named)
    assert "?" in told or _named(dist) == told
