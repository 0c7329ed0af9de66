"""Data sets: reading, pairing, augmentation, checks, contact sheets, the drawn faces."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from click.testing import CliRunner

from zoo.cli.data import data as data_group
from zoo.data import Augment
from zoo.data.sheets import grid, save_grid, wrapped
from zoo.data.specs import DataSpec, open_data, open_source, parse_spec, splits_of
from zoo.errors import DataError, LabelError, UsageError
from zoo.registry import label_space
from zoo.rng import Rng

SPACE = label_space("celebamask-hq")


def write_pair(
    folder: Path, name: str, *, photos: str = "images", maps: str = "maps", side: int = 16, seed: int = 0
) -> None:
    """A random photo and a map of several classes."""
    rng = np.random.default_rng(seed)
    (folder / photos).mkdir(parents=True, exist_ok=True)
    (folder / maps).mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / photos / f"{name}.png")
    write_map(folder / maps / f"{name}.png", rng.integers(0, len(SPACE), (side, side), dtype=np.uint8))


def write_map(path: Path, labels: np.ndarray) -> None:
    image = PIL.Image.fromarray(labels.astype(np.uint8))
    image.putpalette([c for color in SPACE.palette for c in color])
    image.save(path)


# --- specs ----------------------------------------------------------------------------------------------------------


def test_specs() -> None:
    assert parse_spec("folder:a/b#train") == DataSpec("folder", "a/b", "train")
    assert parse_spec("toy-faces") == DataSpec("toy-faces", None, None)
    assert str(parse_spec("folder:a#b#val")) == "folder:a#b#val" and parse_spec("folder:a#b#val").path == "a#b"
    assert str(parse_spec("toy-faces:9").with_split("val")) == "toy-faces:9#val"
    for wrong in ("", ":x", "folder:", "#train"):
        with pytest.raises(UsageError, match="expected NAME"):
            parse_spec(wrong)


def test_unknown_data_set_and_missing_paths(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'toy-faces'"):
        open_source("toy-face")
    with pytest.raises(UsageError, match="needs its folder"):
        open_source("celebamask-hq")
    with pytest.raises(UsageError, match="needs its place"):
        open_source("folder")
    with pytest.raises(DataError, match="There is no folder"):
        open_source(f"folder:{tmp_path}/nothing")
    with pytest.raises(DataError, match="is a file"):
        (tmp_path / "file").write_text("x")
        open_source(f"folder:{tmp_path}/file")
    with pytest.raises(DataError, match="0 pairs found"):
        open_source(f"celebamask-hq:{tmp_path}")


def test_importing_data_needs_no_torch() -> None:
    code = "import sys, zoo.data, zoo.cli.data, zoo.metrics; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- toy faces ------------------------------------------------------------------------------------------------------


def test_toy_faces_depend_on_seed_and_number_only() -> None:
    few, many = open_data("toy-faces:8,3#train", resolution=64), open_data("toy-faces:64,3", resolution=64)
    for index in (0, 5):
        for a, b in zip(few.pair(index, (64, 64)), many.pair(index, (64, 64)), strict=True):
            assert a is not None and b is not None and np.array_equal(a, b)
    other = open_data("toy-faces:8,4#train", resolution=64)
    assert not np.array_equal(few.pair(0, (64, 64))[1], other.pair(0, (64, 64))[1])
    assert splits_of("toy-faces:8") == ("train", "val", "test")
    assert not set(open_source("toy-faces:8#val").names) & set(open_source("toy-faces:8#train").names)


def test_toy_faces_show_every_class_and_the_persons_left_is_right() -> None:
    data = open_data("toy-faces:200#train", resolution=64)
    assert int((data.class_counts() > 0).sum()) == len(SPACE)
    left, right = SPACE.index("l_eye"), SPACE.index("r_eye")
    batch = next(data.batches(50))
    assert batch.images is not None and batch.images.shape == (50, 3, 64, 64) and batch.images.dtype == torch.float32
    assert float(batch.images.min()) >= 0 and float(batch.images.max()) <= 1
    both = [m for m in batch.maps.labels if (m == left).any() and (m == right).any()]
    assert len(both) > 30
    for labels in both:
        assert (labels == left).nonzero()[:, 1].float().mean() > (labels == right).nonzero()[:, 1].float().mean()


def test_a_toy_face_is_the_same_at_any_size() -> None:
    source = open_source("toy-faces:4#train")
    small, large = source.read(0, (64, 64)), source.read(0, (128, 128))
    assert (small[1] == large[1][::2, ::2]).mean() > 0.93


@pytest.mark.parametrize("spec", ["toy-faces:x", "toy-faces:0", "toy-faces:4,-1"])
def test_bad_toy_specs(spec: str) -> None:
    with pytest.raises(UsageError, match="toy-faces:"):
        open_source(spec)


# --- batches and augmentation ---------------------------------------------------------------------------------------


def test_batches_in_order() -> None:
    data = open_data("toy-faces:8#train", resolution=32)
    batches = list(data.batches(3))
    assert [len(b) for b in batches] == [3, 3, 2]
    assert sum((b.names for b in batches), ()) == data.names
    assert torch.equal(batches[0].maps.labels, data.batch([0, 1, 2]).maps.labels)
    assert data.label_sets()[0].names == data.batch([0]).maps.label_set().names
    assert int(data.class_counts().sum()) == 8 * 32 * 32
    assert data.fingerprint() == open_data("toy-faces:8#train", resolution=32).fingerprint()


def test_augmentation_belongs_to_the_sample() -> None:
    data = open_data("toy-faces:8#train", resolution=32, load_size=48)
    augment = Augment(flip=True, zoom=0.5, color=0.3)
    whole = data.batch([0, 1, 2, 3], augment, Rng(1, [10, 11, 12, 13]))
    alone = data.batch([2], augment, Rng(1, [12]))
    assert whole.images is not None and alone.images is not None
    assert torch.equal(whole.images[2], alone.images[0]) and torch.equal(whole.maps.labels[2], alone.maps.labels[0])
    other = data.batch([2], augment, Rng(1, [99]))
    assert not torch.equal(other.maps.labels[0], alone.maps.labels[0])
    with pytest.raises(DataError, match="needs an rng of 2 samples"):
        data.batch([0, 1], augment, Rng(0, [1]))
    with pytest.raises(DataError, match="smaller than the resolution"):
        open_data("toy-faces:8", resolution=32, load_size=16)


def test_flip_swaps_left_and_right_classes() -> None:
    data = open_data("toy-faces:16#train", resolution=64)
    plain, table = data.batch(range(16)), torch.tensor(SPACE.mirror_table)
    flipped = data.batch(range(16), Augment(flip=True), Rng(0, range(16)))
    assert plain.images is not None and flipped.images is not None
    kinds = []
    for a, b, x, y in zip(plain.maps.labels, flipped.maps.labels, plain.images, flipped.images, strict=True):
        if torch.equal(x, y):
            assert torch.equal(a, b)
            kinds.append("same")
        else:
            assert torch.equal(x.flip(-1), y) and torch.equal(table[a.flip(-1)], b)
            kinds.append("flipped")
    assert set(kinds) == {"same", "flipped"}


def test_color_changes_photos_only() -> None:
    data = open_data("toy-faces:4#train", resolution=32)
    plain, changed = data.batch(range(4)), data.batch(range(4), Augment(color=0.3), Rng(0, range(4)))
    assert plain.images is not None and changed.images is not None
    assert torch.equal(plain.maps.labels, changed.maps.labels) and not torch.equal(plain.images, changed.images)


# --- folders --------------------------------------------------------------------------------------------------------


def test_folder_as_compose_writes_it(tmp_path: Path) -> None:
    for i in range(3):
        write_pair(tmp_path, f"{i:06d}", seed=i)
    (tmp_path / "manifest.json").write_text(json.dumps({"composition": "a+b", "label_space": "celebamask-hq"}))
    data = open_data(f"folder:{tmp_path}", resolution=16)
    assert data.names == ("000000", "000001", "000002") and data.label_space.name == "celebamask-hq" and data.has_images
    stored = np.asarray(PIL.Image.open(tmp_path / "maps" / "000001.png"))
    assert np.array_equal(data.batch([1]).maps.labels[0].numpy(), stored)
    assert splits_of(f"folder:{tmp_path}") == ("train", "test")
    with pytest.raises(DataError, match="no split 'val'"):
        open_data(f"folder:{tmp_path}#val", resolution=16)


def test_folder_needs_a_label_space(tmp_path: Path) -> None:
    write_pair(tmp_path, "a", photos="photos", maps="labels")
    with pytest.raises(UsageError, match="which label space"):
        open_data(f"folder:{tmp_path}", resolution=16)
    assert len(open_data(f"folder:{tmp_path}", resolution=16, space=SPACE)) == 1
    (tmp_path / "space.json").write_text(json.dumps({**SPACE.to_json(), "name": "mine"}))
    assert open_data(f"folder:{tmp_path}", resolution=16, space=SPACE).label_space.name == "mine"
    (tmp_path / "space.json").write_text("{")
    with pytest.raises(DataError, match="not readable JSON"):
        open_data(f"folder:{tmp_path}", resolution=16)


def test_folder_pairs_side_by_side(tmp_path: Path) -> None:
    write_pair(tmp_path / "x", "a")
    for name, target in (
        ("images/a.png", "one.png"),
        ("maps/a.png", "one_mask.png"),
        ("images/a.png", "two_photo.png"),
        ("maps/a.png", "two_mask.png"),
    ):
        (tmp_path / target).write_bytes((tmp_path / "x" / name).read_bytes())
    assert open_source(f"folder:{tmp_path}", space=SPACE).names == ("one", "two")
    other = tmp_path / "other"
    other.mkdir()
    PIL.Image.open(tmp_path / "x" / "images" / "a.png").save(other / "a.jpg")
    (other / "a.png").write_bytes((tmp_path / "x" / "maps" / "a.png").read_bytes())
    assert open_source(f"folder:{other}", space=SPACE).names == ("a",)


def test_folder_splits_and_sub_folders(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_pair(tmp_path / "lists", name)
        write_pair(tmp_path / "folders" / ("val" if name == "c" else "train"), name)
    (tmp_path / "lists" / "splits").mkdir()
    (tmp_path / "lists" / "splits" / "val.txt").write_text("b\nmissing\n")
    source = open_source(f"folder:{tmp_path}/lists#val", space=SPACE)
    assert source.names == ("b",) and source.leftovers() == ["splits/val.txt names missing, which has no files"]
    assert splits_of(f"folder:{tmp_path}/folders", space=SPACE) == ("train", "val")
    assert open_source(f"folder:{tmp_path}/folders#train", space=SPACE).names == ("a", "b")
    assert open_source(f"folder:{tmp_path}/folders", space=SPACE).names == ("train/a", "train/b", "val/c")


def test_maps_alone(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    (tmp_path / "images" / "a.png").unlink()
    (tmp_path / "images").rmdir()
    data = open_data(f"folder:{tmp_path}", resolution=16, space=SPACE)
    assert not data.has_images and data.batch([0]).images is None
    assert data.batch([0], Augment(flip=True, zoom=0.2), Rng(0, [0])).images is None


def test_nothing_found_names_the_patterns(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"0 pairs found \(0 photos, 0 maps\)\. Patterns tried: .*images.*maps.*NAME\.jpg beside NAME\.png",
    ):
        open_source(f"folder:{tmp_path}", space=SPACE)


def test_unreadable_files_say_which(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    (tmp_path / "images" / "a.png").write_bytes((tmp_path / "images" / "a.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"a\.png"):
        open_data(f"folder:{tmp_path}", resolution=16, space=SPACE).batch([0])
    write_pair(tmp_path, "a")
    PIL.Image.fromarray(np.full((16, 16), 77, np.uint8)).save(tmp_path / "maps" / "a.png")
    with pytest.raises(LabelError, match="77"):
        open_data(f"folder:{tmp_path}", resolution=16, space=SPACE).batch([0])


def test_maps_painted_with_another_palette_are_read_by_colour(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    truth = np.asarray(PIL.Image.open(tmp_path / "maps" / "a.png"))
    order = np.random.default_rng(0).permutation(len(SPACE))
    image = PIL.Image.fromarray(np.argsort(order).astype(np.uint8)[truth])
    image.putpalette([c for v in order for c in SPACE.palette[v]])
    image.save(tmp_path / "maps" / "a.png")
    assert np.array_equal(open_source(f"folder:{tmp_path}", space=SPACE).read(0)[1], truth)


# --- CelebAMask-HQ --------------------------------------------------------------------------------------------------


def make_celeba(root: Path) -> None:
    for i, name in enumerate(("aa", "bb", "cc")):
        write_pair(root, name, photos="CelebA-HQ-img", maps="labels", seed=i)
        PIL.Image.open(root / "CelebA-HQ-img" / f"{name}.png").save(root / "CelebA-HQ-img" / f"{name}.jpg")
        (root / "CelebA-HQ-img" / f"{name}.png").unlink()
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("aa\nbb\n")
    (root / "splits" / "test.txt").write_text("cc\n")
    (root / "mirrored.txt").write_text("bb\n")


def test_mirrored_faces_are_set_right(tmp_path: Path) -> None:
    make_celeba(tmp_path)
    source = open_source(f"celebamask-hq:{tmp_path}#train")
    assert source.names == ("aa", "bb") and source.splits == ("train", "test")
    for index, name in enumerate(source.names):
        photo, labels = source.read(index)
        stored_photo = np.asarray(PIL.Image.open(tmp_path / "CelebA-HQ-img" / f"{name}.jpg"))
        stored = np.asarray(PIL.Image.open(tmp_path / "labels" / f"{name}.png"))
        step = -1 if name == "bb" else 1  # flipped, the numbers left alone
        assert (
            photo is not None
            and np.array_equal(photo, stored_photo[:, ::step])
            and np.array_equal(labels, stored[:, ::step])
        )
    with pytest.raises(DataError, match="no split 'tran'; did you mean 'train'"):
        open_source(f"celebamask-hq:{tmp_path}#tran")


def test_real_data_set(shared: Path) -> None:
    spec = f"celebamask-hq:{shared}/data/celebamask-hq"
    assert splits_of(spec) == ("train", "val", "test")
    assert [len(open_source(f"{spec}#{s}").names) for s in ("train", "val", "test")] == [800, 100, 100]
    data = open_data(f"{spec}#test", resolution=64)
    batch = next(data.batches(8))
    assert batch.images is not None and batch.images.shape == (8, 3, 64, 64) and batch.maps.size == (64, 64)
    left, right = (int(data.class_counts()[SPACE.index(n)]) for n in ("l_eye", "r_eye"))
    assert left > 0 and right > 0


def test_real_mirrored_faces_have_their_left_eye_on_the_right(shared: Path) -> None:
    root = shared / "data" / "celebamask-hq"
    source = open_source(f"celebamask-hq:{root}#train")
    for name in (root / "mirrored.txt").read_text().split()[:12]:
        labels = source.read(source.names.index(name), (128, 128))[1]
        where = {n: np.nonzero(labels == SPACE.index(n))[1] for n in ("l_eye", "r_eye")}
        if all(len(x) for x in where.values()):
            assert where["l_eye"].mean() > where["r_eye"].mean(), name


# --- checks and sheets ----------------------------------------------------------------------------------------------


def check(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(data_group, ["check", *args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_check_of_good_data(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    code, text = check("toy-faces:8#val", "--out", str(sheet))
    assert code == 0 and "nothing wrong" in text and "ear_r" in text and "256 x 256 (8)" in text
    assert PIL.Image.open(sheet).size == (8 * 130 + 2, 2 * 130 + 2)
    code, text = check("toy-faces:8#val", "--json")
    report = json.loads(text)
    assert code == 0 and report["ok"] and report["pairs"] == 8 and report["classes"][1]["name"] == "skin"
    assert sum(row["pixels"] for row in report["classes"]) == 8 * 256 * 256


def test_check_lists_everything_that_is_wrong(tmp_path: Path) -> None:
    for name in ("good", "size", "values", "flat", "cut", "empty", "photo_only", "map_only"):
        write_pair(tmp_path, name)
    PIL.Image.new("RGB", (20, 16)).save(tmp_path / "images" / "size.png")
    PIL.Image.fromarray(np.full((16, 16), 200, np.uint8)).save(tmp_path / "maps" / "values.png")
    write_map(tmp_path / "maps" / "flat.png", np.zeros((16, 16)))
    (tmp_path / "images" / "cut.png").write_bytes((tmp_path / "images" / "cut.png").read_bytes()[:70])
    (tmp_path / "maps" / "empty.png").write_bytes(b"")
    (tmp_path / "maps" / "photo_only.png").unlink()
    (tmp_path / "images" / "map_only.png").unlink()
    code, text = check(f"folder:{tmp_path}", "--space", "celebamask-hq", "--json")
    problems = json.loads(text)["problems"]
    assert code == 1 and len(problems) == 7
    for part in (
        "photo_only.png has no map",
        "map_only.png has no photo",
        "the map is 16 x 16, its photo 20 x 16",
        "200: 256",
        "background (0)",
    ):
        assert any(part in p for p in problems), (part, problems)
    assert any("cut.png" in p for p in problems) and any("empty (0 bytes)" in p for p in problems)
    code, text = check(f"folder:{tmp_path}", "--space", "celebamask-hq")
    assert code == 1 and "7 problems:" in text


def test_check_refuses_a_contradicting_space() -> None:
    with pytest.raises(UsageError, match=r"leave --space face-parsing out"):
        check("toy-faces:1", "--space", "face-parsing")


def test_grid(tmp_path: Path) -> None:
    red, grey = torch.tensor([1.0, 0, 0]).view(3, 1, 1).expand(3, 4, 6), torch.zeros(1, 8, 12)
    sheet = grid([[red, red], [grey]], gap=1)
    assert sheet.shape == (3, 2 * 5 + 1, 2 * 7 + 1)
    assert (
        sheet[:, 1, 1].tolist() == [1, 0, 0]
        and sheet[:, 7, 2].tolist() == [0, 0, 0]
        and float(sheet[0, 7, 9]) == pytest.approx(0.94)
    )
    assert [len(r) for r in wrapped([[red] * 5, [grey] * 5], 3)] == [3, 3, 2, 2]
    save_grid([[red]], tmp_path / "a.png", gap=0)
    assert PIL.Image.open(tmp_path / "a.png").size == (6, 4)
    with pytest.raises(DataError, match="at least one picture"):
        grid([[]])
