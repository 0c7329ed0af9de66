"""domains:DIR: the three ways in which folders say domains and splits, and the order in which a translator sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.data import Augment, open_data, open_source, splits_of
from zoo.data.domains import batch_by_domain, unpaired_order, unused_domains
from zoo.data.preprocess import Preprocess
from zoo.errors import DataError
from zoo.labels import parse_space
from zoo.rng import Rng


def fill(folder: Path, count: int, value: int = 0) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(np.full((6, 8, 3), value + i, dtype=np.uint8)).save(folder / f"{i:03d}.png")


def test_the_authors_folders_are_splits_and_domains(tmp_path: Path) -> None:
    for name, count, value in (("trainA", 3, 0), ("trainB", 2, 100), ("testA", 1, 50), ("testB", 1, 150)):
        fill(tmp_path / name, count, value)
    (tmp_path / "trainA/deep").mkdir()
    (tmp_path / "trainA/000.png").rename(tmp_path / "trainA/deep/x.png")
    assert splits_of(f"domains:{tmp_path}") == ("train", "test")
    source = open_source(f"domains:{tmp_path}#train")
    assert source.names == ("A/001", "A/002", "A/deep/x", "B/000", "B/001") and source.label_space.name == "domains"
    photo, labels = source.read(3)
    assert photo is not None and photo.shape == (6, 8, 3) and photo[0, 0, 0] == 100
    assert labels.shape == (6, 8) and set(labels.ravel()) == {1} and set(source.read(0)[1].ravel()) == {0}
    assert source.files(2) == {"photo": str(tmp_path / "trainA/deep/x.png")} and source.leftovers() == []
    assert len(open_source(f"domains:{tmp_path}").names) == 7
    with pytest.raises(DataError, match=r"no split 'val'.*\(splits: train, test\)"):
        open_source(f"domains:{tmp_path}#val")


def test_folders_by_name_lists_and_hashes(tmp_path: Path) -> None:
    fill(tmp_path / "winter", 40, 0)
    fill(tmp_path / "summer", 40, 50)
    spec = f"domains:{tmp_path}"
    source = open_source(spec)
    assert source.names[0] == "A/000" and source.files(0)["photo"].endswith("summer/000.png")
    assert source.notes() == ["domains: A 40, B 40 photos", "A is summer", "B is winter"]
    assert splits_of(spec) == ("train", "val", "test")
    parts = [set(open_source(f"{spec}#{split}").names) for split in splits_of(spec)]
    assert set.union(*parts) == set(source.names) and sum(map(len, parts)) == 80
    named = parse_space({"name": "seasons", "classes": ["winter", "summer"]}, "test")
    ours = open_source(spec, space=named)
    assert ours.names[0] == "summer/000" and set(ours.read(0)[1].ravel()) == {1} and ours.label_space is named
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/train.txt").write_text("A/000.png\nA/001\nB/000\nB/999\n")
    listed = open_source(f"{spec}#train")
    assert listed.names == ("A/000", "A/001", "B/000") and "B/999" in listed.leftovers()[0]


def test_folders_of_splits(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        for domain in "ABC":
            fill(tmp_path / split / domain, 2)
    assert splits_of(f"domains:{tmp_path}") == ("train", "val")
    assert open_source(f"domains:{tmp_path}#validation").names == ("A/000", "A/001", "B/000", "B/001", "C/000", "C/001")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((), "holds no domains; expected two or more"),
        (("A",), "holds 1 domain: A; expected two or more.*DIR/trainA"),
        (("trainA", "trainB", "testA"), "split 'test' of .* no pictures of the domain B"),
    ],
)
def test_what_is_no_data_set_of_domains_is_named(made: tuple[str, ...], said: str, tmp_path: Path) -> None:
    for name in made:
        fill(tmp_path / name, 1)
    with pytest.raises(DataError, match=said):
        open_source(f"domains:{tmp_path}" + ("#test" if made[1:] else ""))
    with pytest.raises(DataError, match="There is no folder"):
        open_source(f"domains:{tmp_path / 'nowhere'}")


def test_no_photo_is_left_out_silently(tmp_path: Path) -> None:
    """Folders that capitals alone tell apart, names that look like a split and a domain, two pictures of one name."""
    fill(tmp_path / "case/a", 3)
    fill(tmp_path / "case/A", 2)
    source = open_source(f"domains:{tmp_path / 'case'}")
    assert source.names == ("A/000", "A/001", "B/000", "B/001", "B/002") and "B is a" in source.notes()
    for name in ("trains", "trainers", "boots"):
        fill(tmp_path / "shoes" / name, 2)
    with pytest.raises(DataError, match=r"\(trainers, trains\) and others of pictures \(boots\).*DIR/train/NAME"):
        open_source(f"domains:{tmp_path / 'shoes'}")
    (tmp_path / "shoes/trainers").rename(tmp_path / "shoes/sandals")
    assert open_source(f"domains:{tmp_path / 'shoes'}").notes()[1:] == ["A is boots", "B is sandals", "C is trains"]
    Image.new("RGB", (4, 4)).save(tmp_path / "case/a/001.jpg")
    assert [line.partition(" is")[0] for line in open_source(f"domains:{tmp_path / 'case'}").leftovers()] == [
        str(tmp_path / "case/a/001.png")
    ]


def test_domains_that_a_model_has_not_are_named(tmp_path: Path) -> None:
    for name, count in (("A", 2), ("B", 1), ("C", 3)):
        fill(tmp_path / name, count)
    data = open_data(f"domains:{tmp_path}", resolution=8)
    assert unused_domains(data, ("A", "B", "C")) == []
    (said,) = unused_domains(data, ("A", "B"))
    assert said.startswith("Not trained on: C (3 photos). The model's domains are A, B:")
    assert unused_domains(open_data("toy-faces:2", resolution=16), ("skin",)) == []


def test_batches_hold_one_photo_of_each_domain(tmp_path: Path) -> None:
    fill(tmp_path / "A", 3)
    fill(tmp_path / "B", 5)
    data = open_data(f"domains:{tmp_path}", resolution=8)
    short, again = (unpaired_order(data, ("A", "B"), 0, 1) for _ in range(2))
    assert short == again != unpaired_order(data, ("A", "B"), 1, 1) != unpaired_order(data, ("A", "B"), 1, 2)
    small = Augment(preprocess=Preprocess("shorter_side_and_crop", load_size=4, crop_size=8), flip=True)
    for seed in range(4):  # photos that do not fill the window are black beyond, and still of their domain
        batch = data.batch(short[:2], small, Rng(seed, [0, 1]))
        assert batch_by_domain(batch, ("A", "B")) == [[0], [1]]
    assert len(short) == 6 and sorted(short[::2]) == [0, 1, 2] and set(short[1::2]) < {3, 4, 5, 6, 7}
    long = unpaired_order(data, ("A", "B"), 0, 1, longest=True)
    assert len(long) == 10 and set(long[::2]) == {0, 1, 2} and sorted(long[1::2]) == [3, 4, 5, 6, 7]
    assert unpaired_order(data, ("B", "A"), 0, 1)[0] > 2
    with pytest.raises(DataError, match="no photos of the domain C"):
        unpaired_order(data, ("A", "C"), 0, 1)
