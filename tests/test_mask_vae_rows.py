"""mask-vae: the six rows of the paper's Table 1 are variants that train and generate."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from zoo.configs import override
from zoo.data.specs import open_data
from zoo.registry import registry
from zoo.training.log import Log
from zoo.training.loop import Loop
from zoo.training.runs import RunFolder
from zoo_plugins.mask_vae.config import CLASS_WEIGHTS, TABLE_1, VARIANTS
from zoo_plugins.mask_vae.model import SemanticVAE
from zoo_plugins.mask_vae.trainer import MaskVaeTrainer

TINY = {
    "latent": 16,
    "encoder_side": 16,
    "encoder_widths": "32",
    "decoder_width": 16,
    "decoder_widths": "16,8",
    "groups": 4,
}
QUICK = {"steps": 2, "batch_size": 2, "validate_every": 0, "preview_every": 0}
# LSTM layers, directions, whether the cross entropy is weighted: the table, row by row
ROWS: dict[str, tuple[int, int, bool]] = dict(
    zip(
        TABLE_1,
        ((0, 1, False), (1, 1, False), (3, 1, False), (3, 1, True), (3, 2, False), (3, 2, True)),
        strict=True,
    )
)

pytestmark = pytest.mark.usefixtures("one_thread")
rows = pytest.mark.parametrize("name", TABLE_1)


def make(name: str) -> tuple[SemanticVAE, MaskVaeTrainer]:
    """A tiny model of the row, in the trainer that the variant asks for."""
    torch.manual_seed(0)
    model = zoo.create(f"mask-vae/{name}", **TINY)
    assert isinstance(model, SemanticVAE)
    return model, MaskVaeTrainer(model, override(VARIANTS[name].training, QUICK))


@rows
def test_a_row_trains_and_generates(name: str, tmp_path: Path) -> None:
    model, trainer = make(name)
    before = {k: v.clone() for k, v in model.named_parameters()}
    run = RunFolder(tmp_path / "run")
    run.write_options({})
    with Log(run.path, 2, quiet=True) as log:
        loop = Loop(trainer, open_data("toy-faces:4", resolution=model.resolution), None, run, log)
        loop.run()
    # zero-initialised convolutions let no gradient through at the first step, so there are two
    still = [k for k, v in model.named_parameters() if torch.equal(v, before[k])]
    assert loop.step == 2 and not still
    sets = [model.label_space.label_set(s) for s in (["skin", "hair", "nose"], ["skin", "eye_g"])]
    maps = model.eval().generate(sets, rng=0)
    assert maps.size == model.resolution
    for asked, shown in zip(sets, maps.label_sets(), strict=True):
        assert set(shown.names) <= {*asked.names, "background"}
    assert torch.equal(maps.labels, model.generate(sets, rng=0).labels)


@rows
def test_a_row_has_the_lstm_and_the_loss_of_the_table(name: str) -> None:
    layers, directions, weighted = ROWS[name]
    model, trainer = make(name)
    lstm, decoder = model.generator.lstm, model.generator
    assert (0 if lstm is None else lstm.num_layers, model.config.directions) == (layers, directions)
    # our reading: with one direction the feed-forward takes E numbers and the shortcut beside it is the identity
    assert isinstance(decoder.shortcut, nn.Linear if directions == 2 else nn.Identity)
    assert decoder.feed_forward[0].in_features == directions * model.config.latent  # pyright: ignore[reportAttributeAccessIssue]
    weights = trainer._weights
    assert (weights is not None) == weighted
    if weights is not None:
        assert weights.tolist() == pytest.approx(CLASS_WEIGHTS)


ENCODER, DECODER = 17_565_952, 2_538_802  # the counts of docs/papers/mask_vae.md, "Architecture"; the same in every row


@rows
def test_parameter_counts_of_the_rows(name: str) -> None:
    layers, directions, _ = ROWS[name]
    e, wide = 256, 256 * directions
    per_layer = [directions * 4 * (e * (e if layer == 0 else wide) + e * e + 2 * e) for layer in range(layers)]
    feed_forward = (wide * 4 * e + 4 * e) + (4 * e * e + e)
    shortcut = wide * e + e if directions == 2 else 0
    with torch.device("meta"):
        model = zoo.create(f"mask-vae/{name}")
    found = sum(p.numel() for p in model.parameters())
    assert found == ENCODER + DECODER + sum(per_layer) + feed_forward + shortcut
    assert (found == 25_230_386) == (layers == 3 and directions == 2)


def test_the_rows_are_registered_and_nothing_else_differs() -> None:
    variants = registry().load(registry().architecture("mask-vae"), "variants")
    official = variants["celeba"]
    for name in TABLE_1:
        found = variants[name]
        switches = {"lstm_layers": official.config.lstm_layers, "bidirectional": official.config.bidirectional}
        assert override(found.config, switches) == official.config
        assert override(found.training, {"weighting": "official"}) == official.training
    assert len({(variants[n].config, variants[n].training) for n in TABLE_1}) == 6
