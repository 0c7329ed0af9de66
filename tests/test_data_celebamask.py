"""CelebAMask-HQ in its layouts: found, painted, overlapping, cached, split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from zoo.cli.data import data as data_group
from zoo.data import Source
from zoo.data.cache import cache_folder
from zoo.data.celebamask import CelebAMaskHQ
from zoo.data.files import merged
from zoo.data.parts import SEGVAE_PARTS, merge_parts
from zoo.data.specs import open_data, open_source, splits_of
from zoo.data.splits import hashed_split, read_list, split_files, splits_for
from zoo.errors import DataError, UsageError
from zoo.registry import label_space

SPACE = label_space("celebamask-hq")
SKIN, NOSE, HAIR = (SPACE.index(n) for n in ("skin", "nose", "hair"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def mask(rows: slice, columns: slice, side: int = 512) -> np.ndarray:
    found = np.zeros((side, side), np.uint8)
    found[rows, columns] = 255
    return found


FACE = {
    "skin": mask(slice(100, 400), slice(100, 400)),
    "nose": mask(slice(200, 260), slice(230, 270)),
    "hair": mask(slice(50, 160), slice(80, 420)),
    "neck_l": mask(slice(420, 440), slice(200, 300)),
    "neck": mask(slice(380, 500), slice(180, 320)),
}


def photo(path: Path, side: int = 1024) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (side, side), (200, 120, 40)).save(path)


def official(root: Path, numbers: tuple[int, ...] = (0, 7, 2001), *, rgb: bool = True) -> Path:
    for number in numbers:
        photo(root / "CelebA-HQ-img" / f"{number}.jpg")
        folder = root / "CelebAMask-HQ-mask-anno" / str(number // 2000)
        folder.mkdir(parents=True, exist_ok=True)
        for name, values in FACE.items():
            image = PIL.Image.fromarray(np.roll(values, number % 13, 1))
            (image.convert("RGB") if rgb else image).save(folder / f"{number:05d}_{name}.png")
    return root


def bit(source: Source, index: int, name: str) -> np.ndarray:
    return (source.read_layers(index) >> SPACE.index(name) & 1).astype(bool)


# --- the official layout --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rgb", [True, False])
def test_official_parts_overlap_and_are_painted_in_their_order(tmp_path: Path, rgb: bool) -> None:
    source = open_source(f"celebamask-hq:{official(tmp_path, rgb=rgb)}")
    assert source.names == ("0", "7", "2001") and source.has_layers and source.location == str(tmp_path)
    for index, number in enumerate((0, 7, 2001)):
        picture, labels = source.read(index)
        assert picture is not None and picture.shape == (512, 512, 3) and labels.shape == (512, 512)
        assert np.array_equal(labels, merge_parts(tmp_path / "CelebAMask-HQ-mask-anno", number))
        for name, values in FACE.items():
            assert np.array_equal(bit(source, index, name), np.roll(values, number % 13, 1) > 0), name
        covered = np.stack([np.roll(v, number % 13, 1) for v in FACE.values()]).any(0)
        assert np.array_equal(bit(source, index, "background"), ~covered)
        assert labels[210, 250] == NOSE and labels[120, 250] == HAIR and (labels != SPACE.index("neck_l")).all()
    sized = source.read(0, (128, 128))
    assert sized[0] is not None and sized[0].shape == (128, 128, 3) and sized[1].shape == (128, 128)
    assert source.read_layers(0, (64, 64)).shape == (64, 64)
    assert len(source.files(0)) == 1 + len(FACE) and source.leftovers() == []


def test_batches_of_official_data_have_layers(tmp_path: Path) -> None:
    batch = open_data(f"celebamask-hq:{official(tmp_path)}", resolution=64).batch([0, 2])
    assert batch.layers is not None and batch.images is not None and batch.images.shape == (2, 3, 64, 64)
    assert np.array_equal(merged(batch.layers.numpy()), batch.maps.labels.numpy())
    assert bool(((batch.layers[:, 27, 31] >> SKIN) & 1).all()) and bool((batch.maps.labels[:, 27, 31] == NOSE).all())


def test_merged_maps_come_from_the_cache_until_a_mask_changes(tmp_path: Path, cache: Path) -> None:
    root = official(tmp_path / "data", (3,))
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    first = open_source(f"celebamask-hq:{root}").read(0)[1]
    stored = list(cache.rglob("*.png"))
    assert len(stored) == 1 and {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
    PIL.Image.fromarray(np.full((512, 512, 3), (2, 0, 0), np.uint8)).save(stored[0])
    assert (open_source(f"celebamask-hq:{root}").read(0)[1] == SKIN).all()  # really read from there
    stored[0].write_bytes(stored[0].read_bytes()[:100])
    assert np.array_equal(open_source(f"celebamask-hq:{root}").read(0)[1], first)  # damaged: made again
    nose = root / "CelebAMask-HQ-mask-anno" / "0" / "00003_nose.png"
    PIL.Image.fromarray(mask(slice(0, 9), slice(0, 9))).save(nose)
    assert open_source(f"celebamask-hq:{root}").read(0)[1][4, 4] == NOSE
    assert not list(cache.rglob("*.part"))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written.*ZOO_CACHE=DIR"):
        assert (open_source(f"celebamask-hq:{official(tmp_path, (1,))}").read(0)[1] == NOSE).any()


def test_the_cache_complains_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """A cache on a full disk fails at every file, each time with another message."""

    def full(path: Path, write: object) -> None:
        raise DataError(f"Cannot write {path}: no space left.")

    monkeypatch.setattr("zoo.data.cache.write_atomic", full)
    with pytest.warns(UserWarning, match="cannot be written") as warned:
        source = open_source(f"celebamask-hq:{official(tmp_path, (1, 2))}")
        assert [(source.read(i)[1] == NOSE).any() for i in range(2)] == [True, True]
    assert len(warned) == 1 and not list(cache.rglob("*.png"))


def test_place_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/zoo")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "zoo"


def test_faults_of_official_data_are_named(tmp_path: Path) -> None:
    root = official(tmp_path, (0, 1))
    photo(root / "CelebA-HQ-img" / "9.jpg", 64)
    (root / "CelebA-HQ-img" / "1.jpg").unlink()
    folder = root / "CelebAMask-HQ-mask-anno" / "0"
    for stray in ("00000_moustache.png", "2_nose.png", "02000_nose.png"):
        PIL.Image.fromarray(FACE["nose"]).save(folder / stray)
    source = open_source(f"celebamask-hq:{root}")
    found = "\n".join(source.leftovers())
    assert source.names == ("0",) and len(source.leftovers()) == 5
    for part in ("9.jpg has no", "1 has no CelebA-HQ-img/1.jpg", "moustache.png is no part", "2_nose", "02000_nose"):
        assert part in found, found
    PIL.Image.fromarray(FACE["nose"][:64, :64]).save(folder / "00000_nose.png")
    with pytest.raises(DataError, match=r"00000_nose\.png: part masks are 512 x 512, got 64 x 64"):
        open_source(f"celebamask-hq:{root}").read(0)


def test_check_of_official_data(tmp_path: Path) -> None:
    result = CliRunner().invoke(data_group, ["check", f"celebamask-hq:{official(tmp_path)}", "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 0 and report["ok"] and report["sizes"] == {"512 x 512": 3}
    assert 0.05 < report["overlap"] < 0.5 and "layout parts" in report["notes"][0]
    result = CliRunner().invoke(data_group, ["check", f"celebamask-hq:{tmp_path}"])
    assert "parts lie on each other in" in result.stdout and "nothing wrong" in result.stdout


def test_overlapping_official_maps_of_the_golden_case(shared: Path, tmp_path: Path) -> None:
    case = shared / "golden" / "face_parser" / "P_merge"
    (tmp_path / "CelebAMask-HQ-mask-anno").symlink_to(case / "anno")
    numbers = sorted({int(p.name[:5]) for p in case.glob("anno/*/*.png")})
    for number in numbers:
        photo(tmp_path / "CelebA-HQ-img" / f"{number}.jpg", 64)
    source = open_source(f"celebamask-hq:{tmp_path}")
    assert source.names == tuple(map(str, numbers)) and len(numbers) > 1
    doubled = 0
    for index, name in enumerate(source.names):
        assert np.array_equal(source.read(index)[1], np.asarray(PIL.Image.open(case / f"{name}.png"))), name
        layers = source.read_layers(index)
        doubled += int(((layers & (layers - 1)) != 0).sum())
    assert doubled > 10_000


def test_real_faces_in_the_official_layout(faces: Path) -> None:
    numbers = json.loads((faces / "official_layout" / "numbers.json").read_text())
    source = open_source(f"celebamask-hq:{faces / 'official_layout'}")
    assert source.names == tuple(sorted(numbers, key=int)) and len(numbers) == 12
    for index, name in enumerate(source.names):
        truth = np.asarray(PIL.Image.open(faces / "labels" / f"{numbers[name]['id']}.png"))
        assert np.array_equal(source.read(index)[1], truth), name


# --- other layouts --------------------------------------------------------------------------------------------------


def scgan(root: Path) -> Path:
    rng = np.random.default_rng(0)
    (root / "CelebAMaskHQ-mask").mkdir(parents=True)
    for number in (2, 10, 11, 20):
        photo(root / "CelebA-HQ-img" / f"{number}.jpg", 64)
        PIL.Image.fromarray(rng.integers(0, 19, (32, 32), dtype=np.uint8)).save(
            root / "CelebAMaskHQ-mask" / f"{number}.png"
        )
    (root / "train_list.txt").write_text("2.jpg\n11.jpg\n10.jpg\n")
    (root / "test_list.txt").write_text("20.jpg\n")
    return root


def test_merged_maps_as_scgan_has_them(tmp_path: Path) -> None:
    root = scgan(tmp_path)
    assert splits_of(f"celebamask-hq:{root}") == ("train", "test")
    source = open_source(f"celebamask-hq:{root}#train")
    assert source.names == ("2", "10", "11") and not source.has_layers
    picture, labels = source.read(1)
    assert np.array_equal(labels, np.asarray(PIL.Image.open(root / "CelebAMaskHQ-mask" / "10.png")))
    assert picture is not None and picture.shape == (32, 32, 3)
    assert open_source(f"celebamask-hq:{root}#test").names == ("20",)


def test_the_layout_is_recognised_or_named(tmp_path: Path) -> None:
    root = official(scgan(tmp_path), (2, 10))
    found = {name: open_source(f"celebamask-hq:{root},layout={name}") for name in ("parts", "masks")}
    assert found["parts"].has_layers and not found["masks"].has_layers
    default = open_source(f"celebamask-hq:{root}")
    assert isinstance(default, CelebAMaskHQ) and default.layout == "parts"
    with pytest.raises(UsageError, match="did you mean 'masks'"):
        open_source(f"celebamask-hq:{root},layout=mask")
    with pytest.raises(
        DataError, match=r"Tried img/N.jpg with segmentation_map/NNNNN/INDEX.png\. Found: CelebA-HQ-img"
    ):
        open_source(f"celebamask-hq:{root},layout=segvae")


def test_the_segvae_authors_layout(tmp_path: Path) -> None:
    for number in (4, 12):
        photo(tmp_path / "img" / f"{number}.jpg", 64)
        folder = tmp_path / "segmentation_map" / f"{number:05d}"
        folder.mkdir(parents=True)
        for name, values in FACE.items():
            PIL.Image.fromarray(values[::8, ::8]).save(folder / f"{SEGVAE_PARTS.index(name)}.png")
    for stray in ("19.png", "01.png"):
        (tmp_path / "segmentation_map" / "00004" / stray).write_bytes(b"")
    source = open_source(f"celebamask-hq:{tmp_path}")
    assert source.names == ("4", "12") and source.has_layers and set(SEGVAE_PARTS) == set(SPACE.names)
    assert [line.split("/")[-1] for line in source.leftovers()] == [
        f"{stray} is no part of celebamask-hq" for stray in ("01.png", "19.png")
    ]
    assert np.array_equal(bit(source, 0, "hair"), FACE["hair"][::8, ::8] > 0)
    labels = source.read(0)[1]
    assert labels.shape == (64, 64) and labels[15, 30] == HAIR and labels[27, 31] == NOSE


# --- splits ---------------------------------------------------------------------------------------------------------


def test_hashed_splits_are_apart_and_stay(tmp_path: Path) -> None:
    names = [str(i) for i in range(3000)]
    found = splits_for(tmp_path, names)
    assert tuple(found) == ("train", "val", "test")
    shares = [len(found[s]) / 3000 for s in found]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.03)
    assert sorted([*found["train"], *found["val"], *found["test"]]) == sorted(names)  # each name once
    # pinned: a model must never be tested on what an older version trained on
    assert [[n for n in names[:60] if hashed_split(n) == s] for s in ("val", "test")] == [
        ["2", "15", "32", "40"],
        ["5", "6", "20", "31"],
    ]
    assert splits_for(tmp_path, names[:40])["train"] == [n for n in names[:40] if n in found["train"]]


def test_lists_win_over_hashes(tmp_path: Path) -> None:
    assert split_files(tmp_path) == {} and read_list(tmp_path / "none.txt") == []
    (tmp_path / "train_id.txt").write_text("997_1\n\n1000_1 0\n")
    (tmp_path / "val.txt").write_text("a/b/7.png\n")
    assert splits_for(tmp_path, ["x"]) == {"train": ["997_1", "1000_1"], "val": ["7"]}
    (tmp_path / "splits" / "folder.txt").mkdir(parents=True)
    (tmp_path / "splits" / "own.txt").write_text("x\n")
    assert splits_for(tmp_path, ["x"]) == {"own": ["x"]}
    (tmp_path / "splits" / "own.txt").write_bytes(b"\xff\xfex\x00")
    with pytest.raises(DataError, match=r"own\.txt is no text in UTF-8"):
        splits_for(tmp_path, ["x"])
