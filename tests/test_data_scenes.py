"""Scenes in the layouts of the synthesis papers: the samples where they lie, and Cityscapes in files that the test writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import load_file

from zoo.cli import main
from zoo.data import Augment, PairData
from zoo.data.check import check_data
from zoo.data.preprocess import MODES, Preprocess
from zoo.data.specs import open_data, open_source, splits_of
from zoo.errors import ConfigError, DataError, LabelError, UsageError
from zoo.labels import IGNORE
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng

SAMPLES = {
    "ade20k": ("ade20k", {"train": 4, "val": 2}),
    "coco-stuff": ("coco_stuff", {"train": 13, "val": 8}),
    "deepfashion": ("deepfashion", {"train": 4, "test": 2}),
    "gta5": ("gta5", {"train": 4, "test": 2}),
}
SIZES = {"ade20k": 151, "camvid": 12, "cityscapes": 35, "coco-stuff": 183, "deepfashion": 16, "facades": 13, "gta5": 20}


def spec_of(shared: Path, name: str, split: str = "") -> str:
    folder = shared / "data/samples" / SAMPLES[name][0]
    return f"{name}:{folder}{'#' if split else ''}{split}"


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(array).save(path)


# --- label spaces -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), SIZES.items())
def test_label_spaces_have_the_official_channels(name: str, count: int) -> None:
    space = label_space(name)
    assert len(space) == count and not space.mirror_pairs
    assert space.background in (None, "unlabeled", "void", "background")


def test_what_the_numbers_mean() -> None:
    ade, coco, city, gta = (label_space(n) for n in ("ade20k", "coco-stuff", "cityscapes", "gta5"))
    assert (ade.names[0], ade.names[1], ade.names[150]) == ("unlabeled", "wall", "flag") and not ade.ignore
    assert (coco.names[0], coco.names[181], coco.names[182]) == ("person", "wood", "unlabeled") and coco.ignore
    assert (city.names[7], city.names[33], city.names[34]) == ("road", "bicycle", "license plate") and city.ignore
    assert (gta.names[0], gta.names[18], gta.names[19]) == ("road", "bicycle", "void")
    assert label_space("deepfashion").names[2] == "label_2" and label_space("deepfashion").find("headwear") == 10


def test_the_spaces_agree_with_the_published_names(shared: Path) -> None:
    known = json.loads((shared / "data/label_names.json").read_text())
    for name in ("ade20k", "cityscapes", "gta5", "camvid"):
        space = label_space(name)
        for cls in known[name]["classes"]:
            assert space.names[cls["value"]] == cls["name"]
            assert list(space.palette[cls["value"]]) == cls["color"]
    assert list(label_space("coco-stuff").names[:182]) == known["coco-stuff"]["names"]


@pytest.mark.parametrize("pair", [("cityscapes", "gta5"), ("ade20k", "coco-stuff"), ("camvid", "cityscapes")])
def test_scenes_are_joined_by_name(pair: tuple[str, str]) -> None:
    one, other = (label_space(n) for n in pair)
    for a, b in ((one, other), (other, one)):
        mapping = a.mapping_to(b)
        named = dict(mapping.pairs)
        assert named["sky" if "sky" in named else "sky-other"] in ("sky", "sky-other")
        assert all(0 <= v < len(b) for v in mapping.table)


# --- the samples --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_read_as_they_lie(shared: Path, name: str) -> None:
    counts = SAMPLES[name][1]
    assert set(splits_of(spec_of(shared, name))) == set(counts)
    for split, count in counts.items():
        source = open_source(spec_of(shared, name, split))
        assert len(source.names) == count and not source.leftovers()
        files = source.files(0)
        photo, labels = source.read(0)
        stored = np.asarray(PIL.Image.open(files["map"]))
        assert photo is not None and photo.shape[:2] == stored.shape
        expected = np.where(stored == IGNORE, 182, stored) if name == "coco-stuff" else stored
        assert (labels == expected).all()
    assert len(open_source(spec_of(shared, name)).names) == sum(counts.values())


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_pass_the_check(shared: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["data", "check", spec_of(shared, name), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert stopped.value.code in (0, None) and report["ok"] and report["label_space"] == name
    assert len(report["classes"]) == len(label_space(name))


def test_coco_instances_reach_the_batch(shared: Path) -> None:
    data = open_data(spec_of(shared, "coco-stuff", "val"), resolution=(48, 64))
    batch = data.batch([1, 2])
    assert batch.maps.instances is not None and batch.maps.instances.shape == (2, 48, 64)
    stored = PIL.Image.open(data.source.files(1)["instances"]).resize((64, 48), PIL.Image.Resampling.NEAREST)
    assert (batch.maps.instances[0].numpy() == np.asarray(stored)).all()
    # where the label changes the object changes too: both were taken from the same pixels
    across = batch.maps.labels[..., 1:] != batch.maps.labels[..., :-1]
    objects = batch.maps.instances[..., 1:] != batch.maps.instances[..., :-1]
    assert (across & objects).sum() > 0.95 * across.sum()


def test_instances_follow_the_augmentation(shared: Path) -> None:
    data = open_data(spec_of(shared, "coco-stuff", "val"), resolution=64, load_size=80)
    # labels in the place of the instances: whatever is done to one must be done to the other
    data.source.read_instances = lambda index, size=None: data.source.read(index, size)[1].astype(np.int32)  # type: ignore[method-assign]
    ways = (Augment(flip=True, zoom=0.25), Augment(flip=True, preprocess=Preprocess("resize_and_crop", 80, 64)))
    for augment in ways:
        batch = data.batch([0, 1, 2, 3], augment, Rng(3, [0, 1, 2, 3]))
        assert batch.maps.instances is not None and torch.equal(batch.maps.instances, batch.maps.labels)


def test_deepfashion_and_gta_keep_bare_names_within_a_split(shared: Path) -> None:
    assert open_source(spec_of(shared, "gta5", "test")).names == ("00100202", "00104802")
    assert "test/id_00000026_09_2_side" in open_source(spec_of(shared, "deepfashion")).names


# --- Cityscapes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    """Two cities in the official layout; one label map shows 255, instance ids need 16 bits."""
    rows = np.arange(16)[:, None] + np.zeros((1, 32), dtype=np.int64)
    for split, city, number in (("train", "ulm", 2), ("train", "ulm", 10), ("val", "bonn", 1)):
        stem = f"{city}_{number:06d}_000019"
        labels = np.where(rows < 8, 23, 26).astype(np.uint8)
        labels[15, 31] = 255
        instances = np.where(rows < 8, 23, 26_000 + number).astype(np.uint16)
        save(tmp_path / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png", np.full((16, 32, 3), number, np.uint8))
        save(tmp_path / f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png", labels)
        save(tmp_path / f"gtFine/{split}/{city}/{stem}_gtFine_instanceIds.png", instances)
        save(tmp_path / f"gtFine/{split}/{city}/{stem}_gtFine_color.png", np.zeros((16, 32, 3), np.uint8))
    return tmp_path


def test_cityscapes_layout(streets: Path) -> None:
    assert splits_of(f"cityscapes:{streets}") == ("train", "val")
    source = open_source(f"cityscapes:{streets}#train")
    assert source.names == ("ulm_000002_000019", "ulm_000010_000019") and source.has_instances
    labels = source.read(1)[1]
    assert labels[0, 0] == 23 and labels[15, 31] == 34  # license plate, SPADE's 35th channel
    assert source.read_instances(1)[15, 0] == 26_010
    batch = open_data(f"cityscapes:{streets}#train", resolution=(8, 16)).batch([0, 1])
    assert batch.maps.instances is not None and batch.maps.instances[:, -1, 0].tolist() == [26_002, 26_010]
    assert batch.maps.instances.dtype == torch.int64


def test_cityscapes_faults_are_told(streets: Path) -> None:
    next(streets.rglob("*10_000019_gtFine_instanceIds.png")).unlink()
    source = open_source(f"cityscapes:{streets}#train")
    assert not source.has_instances and "1 of 2 pairs" in source.notes()[0]
    with pytest.raises(DataError, match="number its objects"):
        source.read_instances(1)
    next(streets.rglob("*10_000019_gtFine_labelIds.png")).unlink()
    assert any("has no map" in line for line in open_source(f"cityscapes:{streets}#train").leftovers())
    save(next(streets.rglob("*02_000019_gtFine_instanceIds.png")), np.zeros((4, 4), np.uint16))
    report = check_data_of(streets)
    assert any("instance map is 4 x 4" in line for line in report)
    save(
        next(streets.rglob("*02_000019_gtFine_instanceIds.png")),
        np.random.default_rng(0).integers(0, 255, (16, 32, 3), np.uint8),
    )
    assert any("a number per pixel" in line for line in check_data_of(streets))


def check_data_of(streets: Path) -> list[str]:
    from zoo.data.specs import parse_spec

    spec = parse_spec(f"cityscapes:{streets}#train")
    return check_data(spec, open_source(spec)).problems


def test_wrong_places_and_values(tmp_path: Path, streets: Path) -> None:
    with pytest.raises(UsageError, match="needs its folder"):
        open_source("ade20k")
    with pytest.raises(DataError, match="no folder"):
        open_source(f"gta5:{tmp_path / 'nothing'}")
    with pytest.raises(DataError, match=r"0 pairs found.*RGB256Full"):
        open_source(f"gta5:{streets}")
    with pytest.raises(DataError, match=r"no split 'tain'.*train"):
        open_source(f"cityscapes:{streets}#tain")
    save(tmp_path / "ade/ADE_train_00000001.jpg", np.zeros((8, 8, 3), np.uint8))
    save(tmp_path / "ade/ADE_train_00000001.png", np.full((8, 8), 151, np.uint8))
    with pytest.raises(LabelError, match="151"):
        open_source(f"ade20k:{tmp_path / 'ade'}").read(0)  # photo and map side by side


def test_a_folder_with_instances(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"images/{name}.png", np.zeros((8, 8, 3), np.uint8))
        save(tmp_path / f"maps/{name}.png", np.zeros((8, 8), np.uint8))
        save(tmp_path / f"instances/{name}.png", np.full((8, 8), 700, np.uint16))
    source = open_source(f"folder:{tmp_path}", space=label_space("gta5"))
    assert source.has_instances and source.read_instances(0, (4, 4)).tolist() == [[700] * 4] * 4
    (tmp_path / "instances/b.png").unlink()
    assert not open_source(f"folder:{tmp_path}", space=label_space("gta5")).has_instances


# --- preprocess modes ---------------------------------------------------------------------------------------------


def test_every_mode_as_recorded(shared: Path) -> None:
    folder = shared / "golden/spade/P_preprocess_modes"
    info, io = json.loads((folder / "case.json").read_text())["info"], load_file(folder / "io.safetensors")
    photo, labels = io["in/image_u8_hwc"].numpy(), io["in/label_u8"].numpy()
    checked = set()
    for name, record in info.items():
        mode = name.removesuffix("_flip")
        way = Preprocess(mode, record["load_size"], record["crop_size"], record["aspect_ratio"])
        window, flip = tuple(record["crop_pos"]), record["flip"]
        if way.crops:
            assert way.room(way.loaded(labels.shape)) == tuple(top for _, top in record["randint_ranges"])  # type: ignore[arg-type]
        assert list(way.output(labels.shape)) == record["out_hw"]  # type: ignore[arg-type]
        found = way.labels(labels, window, flip=flip), way.photo(photo, window, flip=flip)
        for key, value in io.items():
            if key.startswith(f"out/{name}/"):
                ours = found[0] if "label" in key else found[1].transpose(2, 0, 1)
                difference = np.abs(value.numpy().astype(int).squeeze() - ours.astype(int))
                assert difference.max() <= (0 if "label" in key else 1), key
                checked.add(key)
    assert checked == {k for k in io if k.startswith("out/")} and {n.removesuffix("_flip") for n in info} == {
        mode
        for mode in MODES
        if mode != "shorter_side_and_crop"  # of translators
    }


def test_the_shorter_side_keeps_the_proportions() -> None:
    """As torchvision's Resize of one number; in the filter that is asked for."""
    photo = np.random.default_rng(0).integers(0, 256, (80, 110, 3), dtype=np.uint8)
    way = Preprocess("shorter_side_and_crop", 48, 40, resample="bilinear")
    assert way.loaded((80, 110)) == (48, 66) and way.loaded((110, 80)) == (66, 48) and way.room((48, 66)) == (26, 8)
    made = {f: replace(way, resample=f).photo(photo, (5, 3)) for f in ("bilinear", "bicubic", "lanczos")}
    assert all(picture.shape == (40, 40, 3) for picture in made.values())
    resized = np.array(PIL.Image.fromarray(photo).resize((66, 48), PIL.Image.Resampling.BILINEAR))
    assert np.array_equal(made["bilinear"], resized[3:43, 5:45])
    assert not np.array_equal(made["bicubic"], made["lanczos"]) and not np.array_equal(
        made["bilinear"], made["bicubic"]
    )
    with pytest.raises(ConfigError, match="resample must be one of bicubic, bilinear, lanczos, got 'box'"):
        Preprocess(resample="box")


def test_training_windows_are_pixels_of_the_resized_pair(shared: Path) -> None:
    data = PairData(open_source(spec_of(shared, "ade20k", "train")), (48, 48))
    augment = Augment(preprocess=Preprocess("resize_and_crop", 60, 48))
    batch = data.batch([0, 0, 0], augment, Rng(0, [0, 1, 2]))
    whole = open_source(spec_of(shared, "ade20k", "train")).read(0, (60, 60))[1]
    windows = {whole[y : y + 48, x : x + 48].tobytes(): (x, y) for x in range(13) for y in range(13)}
    places = [windows[m.numpy().astype(np.uint8).tobytes()] for m in batch.maps.labels]
    assert len(set(places)) == 3
    small = SemanticMap(batch.maps.labels, batch.maps.space)
    assert small.size == (48, 48) and batch.images is not None and batch.images.shape == (3, 3, 48, 48)


def test_modes_without_a_fixed_size_end_at_the_resolution(shared: Path) -> None:
    for mode in MODES:
        data = PairData(open_source(spec_of(shared, "ade20k", "train")), (32, 32))
        batch = data.batch([0, 3], Augment(flip=True, preprocess=Preprocess(mode, 40, 32)), Rng(0, [0, 1]))
        assert batch.maps.size == (32, 32)


def test_wrong_modes_are_refused() -> None:
    from zoo.interfaces.training_options import TrainingOptions

    with pytest.raises(ConfigError, match=r"mode must be one of.*'square'"):
        Preprocess("square")
    with pytest.raises(ConfigError, match="zoom belongs to preprocess=resize"):
        TrainingOptions(preprocess="crop", zoom=0.1)
