"""Tiny models with random weights, saved as model folders with cards: enough to compose, edit, parse and replay in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo import cards, registry
from zoo.cards import reading, write_card
from zoo.files.tensors import count_parameters
from zoo.interfaces.label_sets import count_label_sets
from zoo.nn.spectral import recompute_spectral
from zoo.store.models import digests

SIDE = 32
MASK_VAE = {
    "latent": 16,
    "encoder_side": 16,
    "encoder_widths": "32",
    "lstm_layers": 1,
    "decoder_width": 16,
    "decoder_widths": "16,8,8",
    "groups": 4,
}
SCGAN = {
    "resolution": SIDE,
    "ngf": 2,
    "max_width": 8,
    "nff": 2,
    "nrf": 2,
    "spade_hidden": 4,
    "z_dim": 8,
    "nef": 2,
    "encoder_size": SIDE,
}
PARSER = {"side": SIDE, "feature_scale": 32}
LABEL_SETS = (
    ("skin", "nose", "hair", "l_eye", "mouth"),
    ("skin", "hair", "neck", "cloth"),
    ("skin", "nose", "eye_g", "hat"),
)


@torch.no_grad()
def shake(model: nn.Module, gain: float, seed: int) -> None:
    """Weights large enough that maps show several parts and pictures differ: normal, `gain` over the root of the fan-in."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * gain / fan_in**0.5)
        elif "norm" not in name:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    # the singular vectors of other weights would blow the pictures up to pure 0 and 1, where one rounding flips a pixel
    recompute_spectral(model)


def build(folder: Path) -> None:
    """`mask-vae-celeba`, `scgan-celeba` and `face-parser-celeba` in miniature, under `folder`."""
    from zoo_plugins.mask_vae.prior import LatentPrior

    models = {
        "mask-vae": zoo.create("mask-vae/celeba-128", **MASK_VAE),
        "scgan": zoo.create("scgan/celeba-128", **SCGAN),
        "face-parser": zoo.create("face-parser/celeba-128", **PARSER),
    }
    for seed, model in enumerate(models.values()):
        shake(model, 2.0, seed)
    vae = models["mask-vae"]
    space = vae.label_space
    vae.assets["label_sets"] = count_label_sets([space.label_set(s) for s in LABEL_SETS for _ in range(2)])
    codes = torch.randn(40, len(vae.channels), 16, generator=torch.Generator().manual_seed(5))
    vae.assets["prior"] = LatentPrior.fit(codes, torch.ones(codes.shape[:2], dtype=torch.bool)).tensors()
    for name, model in models.items():
        path = zoo.save(model, folder / f"{name}-celeba")
        arch = registry.registry().architecture(name)
        facts = {
            "architecture": name,
            "kind": arch.kind,
            "label_space": space.name,
            "resolution": list(model.resolution),
            "parameters": count_parameters(path / "model.safetensors"),
            "files": digests(path),
        }
        write_card(path, {"license": "other", "zoo": facts}, f"# {name}\n\nA tiny model of the tests.")


@pytest.fixture(scope="session")
def model_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three model folders."""
    root = tmp_path_factory.mktemp("models")
    build(root)
    return root


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Call the command line in this process: `run("compose", "a+b", "--out", folder)`; a traceback fails the test."""
    from zoo.cli import main

    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Ran(int(left.value.code or 0), out, err)

    return call


@pytest.fixture
def published(model_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The tiny models under the names of the published ones: `mask-vae+scgan` means them."""
    folders = sorted(p for p in model_root.iterdir())
    cards.all_cards.cache_clear()
    monkeypatch.setattr(reading, "_card_folders", lambda package: folders if package == cards.CORE_CARDS else [])
    yield model_root
    cards.all_cards.cache_clear()


@pytest.fixture(scope="session")
def pair(model_root: Path) -> tuple[str, str]:
    """Generator and synthesizer as folders, for `zoo.compose`."""
    return str(model_root / "mask-vae-celeba"), str(model_root / "scgan-celeba")


@pytest.fixture(scope="session")
def pipe(pair: tuple[str, str], model_root: Path) -> zoo.Composition:
    """The composition of the tiny models."""
    return zoo.compose(pair, device="cpu", parser=str(model_root / "face-parser-celeba"))


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces: `face.png` and `other.png` are maps, `photo.png` and `photo2.png` photos of them, all 48 x 48."""
    from zoo.files.images import save_image, to_pil

    folder = tmp_path_factory.mktemp("inputs")
    space = zoo.label_space("celebamask-hq")
    for shift, (label, photo) in enumerate((("face", "photo"), ("other", "photo2"))):
        labels = drawn_face(shift * 3)
        found = zoo.SemanticMap(labels, space)
        found.to_png(folder / f"{label}.png")
        save_image(to_pil(found.colorize()[0] * 0.8 + 0.1), folder / f"{photo}.png")
    return folder


def drawn_face(shift: int = 0, size: int = 48) -> Tensor:
    """int64 [1, size, size]: hair, skin, eyes, nose and mouth as boxes, in celebamask-hq."""
    space = zoo.label_space("celebamask-hq")
    labels = torch.zeros(1, size, size, dtype=torch.long)
    boxes = {
        "hair": (2, 6, 40, 42),
        "skin": (10, 12, 44, 36),
        "l_eye": (18, 14, 22, 20),
        "r_eye": (18, 27, 22, 33),
        "nose": (22, 21, 32, 27),
        "mouth": (35, 17, 40, 31),
    }
    for name, (top, left, bottom, right) in boxes.items():
        labels[:, top + shift : bottom + shift, left:right] = space.index(name)
    return labels
