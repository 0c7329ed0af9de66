"""What the rows of a table share, and pictures of rows whose model paints itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from test_sg2im import small

import zoo
from zoo.data.kept import keeping_reads
from zoo.data.specs import parse_spec
from zoo.data.toy_faces import ToyFaces
from zoo.errors import UsageError
from zoo.evaluation.reproduction.pictures import painted_folder
from zoo.evaluation.reproduction.request import table_named, table_names
from zoo.files.images import open_image, to_pil
from zoo.registry import registry
from zoo.rng import Rng
from zoo.training.session import open_pairs

pytestmark = pytest.mark.usefixtures("one_thread")
TOYS = parse_spec("toy-faces:3#train")


def test_trainings_in_turn_read_their_pairs_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read: Counter[int] = Counter()
    usual = ToyFaces.read

    def counted(self: ToyFaces, index: int, size: Any = None) -> Any:
        read[index] += 1
        return usual(self, index, size)

    monkeypatch.setattr(ToyFaces, "read", counted)
    model = small()

    def batch(data: str = str(TOYS)) -> torch.Tensor:
        return open_pairs(parse_spec(data), model, model.resolution).batch([0, 1]).maps.labels

    with keeping_reads():
        first, second = batch(), batch()
        assert read == {0: 1, 1: 1} and torch.equal(first, second)
        assert not torch.equal(batch("toy-faces:3#val"), first) and read[0] == 2  # another split is other pairs
    assert torch.equal(batch(), first) and read[0] == 3  # nothing is kept outside


def test_pictures_of_a_generator_that_paints_itself(tmp_path: Path, model_root: Path) -> None:
    """Those that it gives for the label sets of the pairs and the latents of their maps, under the names of the pairs."""
    model = small()
    folder = zoo.save(model, tmp_path / "sg2im")
    made = painted_folder(tmp_path / "pictures", folder, TOYS, painter=None, own=True, seed=4)
    names = sorted(p.stem for p in made.subject.iterdir())
    data = open_pairs(TOYS, model, model.resolution)
    assert names == sorted(data.names) and len(names) == 3
    sets, rng = data.batch(range(3)).maps.label_sets(), Rng(4, range(3))
    images = model.generate_pictures(sets, latents=model.sample_latents(sets, rng), rng=rng.within("image"))
    for name, image in zip(data.names, images, strict=True):
        assert open_image(made.subject / f"{name}.png").tobytes() == to_pil(image).tobytes()
    with pytest.raises(UsageError, match="SemanticVAE gives no pictures of its own"):
        painted_folder(tmp_path / "other", model_root / "mask-vae-celeba", TOYS, painter=None, own=True)
    assert not (tmp_path / "other").exists()


def test_rows_with_pictures_of_their_own_are_of_systems_that_give_some() -> None:
    own = [row for name in table_names() for row in table_named(name)[1].rows if row.own_pictures]
    assert [row.title for row in own] == ["sg2im-orig"]
    for row in own:
        for system in row.systems.values():
            assert "pictures" in registry().architecture(system.partition("/")[0]).can
