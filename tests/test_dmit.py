"""DMIT: domains and sentences, steps whose gradients are taken beforehand, a toy training and what may be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures_models import Ran
from PIL import Image
from torch import Tensor, nn

import zoo
from zoo.data import open_data
from zoo.errors import ConfigError, DataError, LabelError, UsageError
from zoo.inference.optimize import optimize
from zoo.plugin import Style
from zoo.registry import label_space, registry
from zoo.rng import Rng
from zoo_plugins.dmit import losses, official, text
from zoo_plugins.dmit.config import VARIANTS, DMITConfig, DMITOptions
from zoo_plugins.dmit.model import DMIT
from zoo_plugins.dmit.steps import taken
from zoo_plugins.dmit.trainer import DMITTrainer

pytestmark = pytest.mark.usefixtures("one_thread")
TINY: dict[str, Any] = {
    "resolution": 32, "width": 4, "style_dim": 3, "content_blocks": 1, "style_blocks": 3, "decoder_blocks": 1,
}  # fmt: skip
SPACE = label_space("domains")
Run = Callable[..., Ran]


def dmit(**fields: Any) -> DMIT:
    torch.manual_seed(0)
    return DMIT(DMITConfig(**{**TINY, **fields}), SPACE).eval()


def photos(count: int = 2, size: tuple[int, int] = (32, 32)) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(1))


# --- domains, sizes, sentences ----------------------------------------------------------------------------------------


def test_one_model_of_any_number_of_domains() -> None:
    model = dmit(channels=("B", "D", "A"))
    assert model.channels == ("B", "D", "A") and model.targets[-1] == "A" and model.source_for("D") == "B"
    style = model.encode_style(photos(), "D")
    made = {domain: model.translate(photos(), to=domain, style=style) for domain in model.channels}
    assert not torch.allclose(made["B"], made["D"]) and not torch.allclose(made["D"], made["A"])
    assert torch.equal(model.attributes("D", 2), torch.tensor([[0.0, 1, 0]] * 2))
    with pytest.raises(LabelError, match="has no domain 'C'"):
        model.encode_content(photos(), "C")
    drawn = model.encode_style(photos(), "A", rng=0)
    assert not torch.allclose(drawn.tensors["z"], style.tensors["z"])


def test_photos_keep_their_proportions() -> None:
    model = dmit()
    assert model.size_for(100, 161) == (32, 52) and model.size_for(161, 100) == (52, 32)
    assert model.translate(photos(1, (32, 52)), rng=0).shape == (1, 3, 32, 52)
    with pytest.raises(UsageError, match=r"32 x 52 pixels .* where these have 33 x 52"):
        model.translate(photos(1, (33, 52)), rng=0)
    with pytest.raises(UsageError, match="more than 4096: cut it"):
        model.size_for(10, 10_000)


def test_sentences_stand_in_the_domains_place() -> None:
    model = dmit(sentence=6)
    encoder = text.TextEncoder(10, 6, 4).eval()
    captions, lengths = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])
    with torch.no_grad():
        words, sentence = encoder(captions, lengths)
    assert words.shape == (2, 6, 3) and sentence.shape == (2, 6) and not bool(words[1, :, 2].any())
    alone = encoder(captions[1:, :2], lengths[1:]).sentence
    torch.testing.assert_close(alone, sentence[1:], atol=1e-6, rtol=0)
    drawn = model.sample_style(2, 0, domain="A")
    assert model.channels == ("A",) and not bool(drawn.tensors["sentence"].any())
    told = model.told(drawn, sentence)
    silent, spoken = (model.translate(photos(), style=style) for style in (drawn, told))
    assert spoken.shape == (2, 3, 32, 32) and not torch.allclose(silent, spoken)
    for wrong in (torch.zeros(2, 5), torch.zeros(3, 6), torch.zeros(6)):
        with pytest.raises(UsageError, match=r"Sentences are a tensor \[2 or 1, 6\]"):
            model.told(drawn, wrong)
    with pytest.raises(UsageError, match="reads no sentences"):
        dmit().told(drawn, sentence)
    with pytest.raises(ValueError, match="size must be even, got 5"):
        text.TextEncoder(10, 5)


def test_a_style_or_content_of_another_model_is_refused() -> None:
    model = dmit()
    content = model.encode_content(photos())
    for style in (
        dmit(style_dim=4).sample_style(2, 0, domain="A"),
        Style({"y": torch.zeros(2, 3)}, {"y": ("sample", "channel")}),
    ):
        with pytest.raises(UsageError, match=r"holds a tensor z \[samples, 3\], got"):
            model.render(content, style, "A")
    with pytest.raises(UsageError, match="Content of DMIT is a tensor content"):
        model.render({"photo": photos()}, model.sample_style(2, 0, domain="A"), "A")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"resolution": 30}, "resolution must be a multiple of 4, got 30"),
        ({"halvings": 0}, "halvings must be at least 1"),
        ({"width": 0, "decoder_blocks": -1}, "too small: width, decoder_blocks"),
        ({"channels": ("A", "A")}, "distinct domains"),
        ({"sentence": -1}, "sentence must be 0 or the numbers of one"),
    ],
)
def test_a_config_that_makes_no_network_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DMITConfig(**fields)


def test_too_few_or_too_many_domains_and_bad_options_are_named() -> None:
    with pytest.raises(UsageError, match="between two domains or more, got 1"):
        dmit(channels=("A",))
    with pytest.raises(UsageError, match="with sentences has one domain, got 2"):
        dmit(channels=("A", "B"), sentence=4)
    with pytest.raises(ConfigError, match="image_disblocks must be at least 2"):
        DMITOptions(image_disblocks=1)
    with pytest.raises(ConfigError, match="must not be negative: lambda_kl"):
        DMITOptions(lambda_kl=-1.0)


def test_the_inference_form_of_every_doubling_is_the_plain_one() -> None:
    for kind in ("transpose", "nearest", "pixelshuffle"):
        model = dmit(upsampling=kind)
        fast: Any = optimize(model)
        style = model.encode_style(photos(), "B")
        plain, folded = (m.translate(photos(), to="B", style=style) for m in (model, fast))
        assert torch.allclose(plain, folded, rtol=0, atol=2e-5)
        assert not any("weight_u" in name for name in fast.state_dict())


# --- training ---------------------------------------------------------------------------------------------------------


def test_partners_are_half_a_batch_further_round() -> None:
    assert [losses.partners(n) for n in (2, 3, 4)] == [[1, 0], [1, 2, 0], [2, 3, 0, 1]]
    assert text.partners(3) == [2, 0, 1]


def test_a_gradient_that_was_taken_stays_whatever_becomes_of_the_weights() -> None:
    layer, x = nn.Linear(3, 1), torch.ones(2, 3)
    made = layer(layer(x).expand(-1, 3))
    right = torch.autograd.grad(made.sum() + 2, list(layer.parameters()), retain_graph=True)
    held = taken({"a": made.sum(), "b": torch.tensor(2.0) + 0 * made.sum()}, layer)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(1.0)
    total = torch.stack(list(held.values())).sum()
    total.backward()
    torch.testing.assert_close(total.detach(), made.detach().sum() + 2)
    for parameter, gradient in zip(layer.parameters(), right, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_rates_fall_in_a_line_after_the_epochs_at_full_rate() -> None:
    model = dmit()
    trainer = DMITTrainer(model, DMITOptions(niter=2, niter_decay=3, ndf=4, content_disblocks=2, image_disblocks=2))
    rates = [set(trainer.rates(epoch, 0).values()) for epoch in (0.0, 1.9, 2.0, 4.5)]
    assert [round(rate.pop() / 1e-4, 6) for rate in rates] == [1, 1, 0.75, 0.25] and len(trainer.optimizers()) == 6


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Two domains of drawn pictures: a square on dark ground, and the same on light ground."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 2)):
        for domain, ground in (("A", 40), ("B", 200)):
            folder = tmp_path / "data" / f"{part}{domain}"
            folder.mkdir(parents=True)
            for i in range(count):
                picture = np.full((40, 40, 3), ground, dtype=np.uint8)
                x, y = rng.integers(4, 24, 2)
                picture[y : y + 12, x : x + 12] = rng.integers(0, 255, 3)
                Image.fromarray(picture).save(folder / f"{i}.png")
    return tmp_path / "data"


def read(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(path).resize((32, 32)))).permute(2, 0, 1)[None].float() / 255


def test_drawn_pictures_train_and_translate(run: Run, drawn: Path, tmp_path: Path) -> None:
    """zoo train and zoo translate: pictures of one domain become lighter on the way to the other."""
    trained, out = tmp_path / "run", tmp_path / "out"
    sizes = [f"network.{k}={v}" for k, v in TINY.items()]
    options = [
        "steps=30",
        "batch_size=4",
        "lr=2e-3",
        "ndf=4",
        "content_disblocks=2",
        "image_disblocks=2",
        "preview_every=15",
        "dropout=false",
    ]
    changes = [part for text_ in (*sizes, *options) for part in ("--set", text_)]
    data = f"domains:{drawn}"
    made = run("train", "dmit", "--data", data, "--out", trained, "--device", "cpu", *changes)
    assert made.code == 0, made.err
    model = zoo.load(trained)
    assert isinstance(model, DMIT)
    photo = drawn / "testA/0.png"
    made = run("translate", trained, photo, "--to", "B", "-n", 2, "--seed", 1, "--out", out, "--device", "cpu")
    assert made.code == 0, made.err
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["finished"] and manifest["request"]["to"] == "B" and manifest["size"] == [32, 32]
    Image.new("RGB", (900, 1)).save(tmp_path / "long.png")
    refused = run("translate", trained, photo, tmp_path / "long.png", "--to", "B")
    assert refused.code == 2 and "long.png: A photo of 1 x 900 pixels" in refused.err
    small = read(photo)
    light, dark = (
        model.translate(small, to=domain, style=model.encode_style(read(drawn / f"test{domain}/0.png"), domain))
        for domain in ("B", "A")
    )
    assert float(light.mean()) > float(dark.mean()) + 0.2


def test_data_that_do_not_do_are_named(drawn: Path) -> None:
    data = open_data(f"domains:{drawn}", resolution=32)
    options: dict[str, Any] = {"ndf": 4, "content_disblocks": 2, "image_disblocks": 2}
    with pytest.raises(ConfigError, match="batch_size must be a multiple of 2, got 3"):
        DMITTrainer(dmit(), DMITOptions(batch_size=3, **options)).prepare(data)
    with pytest.raises(DataError, match="no photos of the domain C"):
        DMITTrainer(dmit(channels=("A", "C")), DMITOptions(batch_size=2, **options)).prepare(data)
    with pytest.raises(DataError, match="have none: train a model of domains"):
        DMITTrainer(dmit(sentence=4), DMITOptions(batch_size=2, **options)).prepare(data)
    trainer = DMITTrainer(dmit(), DMITOptions(batch_size=2, **options))
    batch = data.batch([0, 1])
    with pytest.raises(DataError, match="2 of A, 0 of B"):
        next(trainer.updates(batch, Rng(0, [0, 1]), 0))


def test_parameters_of_the_variants() -> None:
    declared = registry().architecture("dmit").parameters
    for name, variant in VARIANTS.items():
        with torch.device("meta"):
            model = DMIT(variant.config, SPACE)
        assert sum(p.numel() for p in model.parameters()) == declared[name]


def test_what_no_shape_tells_of_converted_files_is_asked_for(run: Run, tmp_path: Path) -> None:
    """Three domains with codes of an unusual length: lengths and domains lie in one tensor."""
    model, files = dmit(channels=("A", "B", "C")), []
    for role in list(official.FILES.values())[:3]:
        state = {k.removeprefix(f"{role}."): v for k, v in model.state_dict().items() if k.startswith(f"{role}.")}
        theirs = official.official_names(role, state)
        files.append(tmp_path / f"{role}.pth")
        torch.save({theirs[k]: v for k, v in state.items()}, files[-1])
    asked = run("convert", *files, "--out", tmp_path / "made")
    assert asked.code == 1 and "state what no shape tells" in asked.err and "--config channels=…" in asked.err
    made = run("convert", *files, "--config", "channels=A,B,C", "--out", tmp_path / "made")
    assert made.code == 0 and zoo.load(tmp_path / "made").channels == ("A", "B", "C"), made.err
