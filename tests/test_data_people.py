"""People: HumanParsing and CCP folders, the paper's cleaning as options, and how options are written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from zoo.cli.data import data as data_group
from zoo.data.cleaning import PAD_GREY, Cleaning, person_box, usual_proportions
from zoo.data.specs import DataSpec, open_data, open_source, parse_spec, path_and_options
from zoo.data.splits import hashed_split
from zoo.errors import DataError, UsageError
from zoo.registry import label_space

ATR, CCP = label_space("atr"), label_space("ccp")
PANTS = ATR.index("pants")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def person(width: int, height: int, *, left: int = 10, top: int = 8, size: tuple[int, int] = (60, 40)) -> np.ndarray:
    labels = np.zeros(size, np.uint8)
    labels[top : top + height, left : left + width] = PANTS
    return labels


def humanparsing(
    root: Path, maps: dict[str, np.ndarray], *, names: tuple[str, str] = ("img_deploy", "seg_deploy")
) -> Path:
    """Photos are red where the person is, blue elsewhere, each a little darker than the one before: no two are the same."""
    for folder in names:
        (root / folder).mkdir(parents=True)
    for i, (name, labels) in enumerate(maps.items()):
        PIL.Image.fromarray(labels).save(root / names[1] / f"{name}.png")
        photo = np.where((labels > 0)[..., None], np.array([250, 0, 0]), np.array([0, 0, 250 - 2 * i])).astype(np.uint8)
        PIL.Image.fromarray(photo).save(root / names[0] / f"{name}.jpg", quality=100, subsampling=0)
    return root


def various(root: Path) -> Path:
    """Nine people of 10 x 40 to 12 x 40, one of 30 x 20."""
    maps = {f"{i}_1": person(10 + i % 3, 40) for i in range(9)}
    return humanparsing(root, {**maps, "odd_1": person(30, 20)})


# --- layouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [("img_deploy", "seg_deploy"), ("humanparsing/JPEGImages", "humanparsing/SegmentationClassAug")]
)
def test_humanparsing_layouts(tmp_path: Path, names: tuple[str, str]) -> None:
    root = humanparsing(tmp_path, {"0_1": person(10, 40), "7_1": person(12, 40)}, names=names)
    source = open_source(f"humanparsing:{root}")
    assert source.names == ("0_1", "7_1") and source.label_space == ATR and source.has_images and not source.has_layers
    photo, labels = source.read(0)
    assert photo is not None and photo.shape == (60, 40, 3) and np.array_equal(labels, person(10, 40))
    assert source.read(1, (16, 8))[1].shape == (16, 8)
    assert set(source.splits) == {hashed_split(n) for n in source.names}


def test_maps_without_photos(tmp_path: Path) -> None:
    root = various(tmp_path)
    for path in sorted((root / "img_deploy").iterdir()):
        path.unlink()
    (root / "img_deploy").rmdir()
    data = open_data(f"humanparsing:{root},crop=person,pad=square", resolution=32)
    assert not data.has_images and data.batch([0, 1]).images is None and len(data) == 10


def test_splits_of_humanparsing(tmp_path: Path) -> None:
    root = humanparsing(tmp_path, {f"{i}_1": person(10, 40) for i in range(60)})
    parts = {s: set(open_source(f"humanparsing:{root}#{s}").names) for s in ("train", "val", "test")}
    assert sum(map(len, parts.values())) == 60 and len(set().union(*parts.values())) == 60
    assert all(hashed_split(n) == s for s, names in parts.items() for n in names)
    (root / "test_id.txt").write_text("3_1\nmissing\n")
    source = open_source(f"humanparsing:{root}#test")
    assert source.names == ("3_1",) and source.splits == ("test",)
    assert source.leftovers() == ["the list of the split test names missing, which has no files"]
    with pytest.raises(DataError, match="no split 'tets'; did you mean 'test'"):
        open_source(f"humanparsing:{root}#tets")


def test_unpaired_files_and_missing_folders(tmp_path: Path) -> None:
    root = various(tmp_path / "data")
    (root / "img_deploy" / "0_1.jpg").unlink()
    (root / "seg_deploy" / "1_1.png").unlink()
    found = open_source(f"humanparsing:{root}").leftovers()
    assert len(found) == 2 and "1_1.jpg has no map" in found[0] and "0_1.png has no photo" in found[1]
    with pytest.raises(
        DataError, match=r"0 pairs found\. Tried: img_deploy/NAME.jpg with seg_deploy/NAME.png; JPEGImages"
    ):
        open_source(f"humanparsing:{tmp_path}")
    with pytest.raises(DataError, match="There is no folder"):
        open_source(f"humanparsing:{tmp_path}/nothing,aspect=1")
    with pytest.raises(UsageError, match="humanparsing needs its folder"):
        open_source("humanparsing")
    with pytest.raises(DataError, match=r"Tried: photos/ID.jpg with labels_atr/ID.png"):
        open_source(f"ccp:{tmp_path}", space=ATR)


def test_ccp_has_two_label_spaces(shared: Path) -> None:
    root = shared / "data" / "ccp"
    table = json.loads((root / "labels.json").read_text())
    assert CCP.names == tuple(table["labels"].values()) and [list(c) for c in CCP.palette] == table["palette"]
    full, derived = open_source(f"ccp:{root}#test"), open_source(f"ccp:{root}#test", space=ATR)
    assert len(full.names) == 100 and full.names == derived.names and full.splits == ("train", "val", "test")
    assert full.label_space == CCP and derived.label_space == ATR
    for source, folder in ((full, "labels"), (derived, "labels_atr")):
        for index in (0, 50, 99):
            stored = np.asarray(PIL.Image.open(root / folder / f"{source.names[index]}.png"))
            assert np.array_equal(source.read(index)[1], stored)
    assert open_source(f"ccp:{root}#val", space=label_space("celebamask-hq")).label_space == CCP
    mapped = dict(CCP.mapping_to(ATR).pairs)
    assert mapped["null"] == "background" and mapped["pants"] == "pants" and mapped["top"] == "upper-clothes"


# --- cleaning -------------------------------------------------------------------------------------------------------


def test_odd_proportions_are_left_out(tmp_path: Path) -> None:
    root = various(tmp_path / "data")
    source = open_source(f"humanparsing:{root},aspect=2")
    assert "odd_1" not in source.names and len(source.names) == 9
    assert "aspect=2: 1 of 10 maps left out" in source.notes()[0]
    ratios = np.array([(10 + i % 3) / 40 for i in range(9)] + [30 / 20])
    found = usual_proportions({p.stem: p for p in (root / "seg_deploy").glob("*.png")}, ATR, 2)
    assert (found.mean, found.deviation) == pytest.approx((ratios.mean(), ratios.std()))
    assert len(open_source(f"humanparsing:{root},aspect=9").names) == 10
    with pytest.raises(DataError, match=r"leaves no map of"):
        open_source(f"humanparsing:{root},aspect=0.001")


def test_proportions_are_those_of_the_whole_folder(tmp_path: Path) -> None:
    root = various(tmp_path / "data")
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("odd_1\n0_1\n")
    assert open_source(f"humanparsing:{root},aspect=1#train").names == ("0_1",)


def test_proportions_are_kept_until_a_map_changes(tmp_path: Path, cache: Path) -> None:
    root = various(tmp_path / "data")
    maps = {p.stem: p for p in (root / "seg_deploy").glob("*.png")}
    before = usual_proportions(maps, ATR, 2)
    stored = list(cache.rglob("*.json"))
    assert len(stored) == 1 and usual_proportions(maps, ATR, 2) == before
    values = json.loads(stored[0].read_text())
    stored[0].write_text(json.dumps({name: 9.0 if name == "0_1" else 1.0 for name in values}))
    assert usual_proportions(maps, ATR, 2).kept == set(maps) - {"0_1"}  # really read from there
    stored[0].write_text("{")
    assert usual_proportions(maps, ATR, 2) == before
    PIL.Image.fromarray(person(31, 21)).save(maps["odd_1"])
    assert usual_proportions(maps, ATR, 2).mean != before.mean and len(list(cache.rglob("*.json"))) == 2


def test_crop_and_pad_change_map_and_photo_alike(tmp_path: Path) -> None:
    root = humanparsing(tmp_path / "data", {"a_1": person(10, 50, left=20, top=4)})
    photo, labels = open_source(f"humanparsing:{root},crop=person").read(0)
    margin = 1  # 2 % of 50
    assert labels.shape == (50 + 2 * margin, 10 + 2 * margin) and (labels[1:-1, 1:-1] == PANTS).all()
    assert photo is not None and photo.shape[:2] == labels.shape
    photo, labels = open_source(f"humanparsing:{root},crop=person,pad=square").read(0)
    assert photo is not None and labels.shape == (52, 52) and photo.shape == (52, 52, 3)
    assert person_box(labels, 0) == (21, 1, 31, 51)
    assert (photo[:, :20] == PAD_GREY).all() and (photo[:, 32:] == PAD_GREY).all() and (labels[:, :20] == 0).all()
    assert ((photo[..., 0] > 150) == (labels == PANTS)).mean() > 0.97  # the photo moved with the map
    photo, labels = open_source(f"humanparsing:{root},pad=square").read(0)
    assert labels.shape == (60, 60) and person_box(labels, 0) == (30, 4, 40, 54)
    small = open_data(f"humanparsing:{root},crop=person,pad=square", resolution=26).batch([0])
    assert small.images is not None and small.images.shape == (1, 3, 26, 26) and small.maps.size == (26, 26)


def numbered(height: int, width: int) -> np.ndarray:
    """A photo uint8 [H, W, 3] whose first two channels say where a pixel was."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows * 0], 2).astype(np.uint8)


def mirrored_at_the_edges(picture: np.ndarray, border: int) -> np.ndarray:
    """With a border of its mirror image on all sides (numpy's own, the edge pixel twice)."""
    return np.pad(picture, [(border, border)] * 2 + [(0, 0)] * (picture.ndim - 2), mode="symmetric")


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ({"left": 22, "top": 10, "width": 10, "height": 40}, (60, 60)),  # all of the square lies in the photo
        ({"left": 1, "top": 4, "width": 10, "height": 50}, (60, 40)),  # beyond the left edge
        ({"left": 30, "top": 0, "width": 10, "height": 60}, (60, 40)),  # in the corner, and as high as the photo
        ({"left": 2, "top": 50, "width": 35, "height": 9}, (60, 40)),  # wider than high, at the lower edge
        ({"left": 2, "top": 1, "width": 6, "height": 58}, (60, 10)),  # the square is far wider than the photo
    ],
)
@pytest.mark.parametrize("crop", [True, False])
def test_mirrored_ground_is_the_square_with_its_surroundings(
    box: dict[str, int], size: tuple[int, int], crop: bool
) -> None:
    """The window of pad=square, cut from the photo with its mirror image around it; the map alike."""
    labels, photo = person(**box, size=size), numbered(*size)
    grey, plain = Cleaning(crop=crop, pad="square").apply(photo, labels, 0)
    mirrored, told = Cleaning(crop=crop, pad="mirror").apply(photo, labels, 0)
    assert grey is not None and mirrored is not None
    assert told.shape == plain.shape and mirrored.shape == grey.shape and mirrored.dtype == told.dtype == np.uint8
    # what pad=square takes from the photo is the same here
    kept = (grey != PAD_GREY).any(2)
    assert kept.any() and np.array_equal(mirrored[kept], grey[kept]) and np.array_equal(told[kept], plain[kept])
    # where that lies in the photo tells where the window must begin
    y, x = (int(v[0]) for v in np.nonzero(kept))
    top, left, side = int(grey[y, x, 0]) - y, int(grey[y, x, 1]) - x, len(grey)
    border = 2 * max(*size, side)
    for found, source in ((mirrored, photo), (told, labels)):
        whole = mirrored_at_the_edges(source, border)
        assert np.array_equal(found, whole[top + border :, left + border :][:side, :side])
    # the map says what the photo shows: the pixel's own label, wherever it was mirrored to
    assert np.array_equal(told, labels[mirrored[..., 0], mirrored[..., 1]])


def test_mirrored_ground_of_a_data_set(tmp_path: Path) -> None:
    root = humanparsing(tmp_path / "data", {"a_1": person(10, 50, left=2, top=4), "b_1": np.zeros((60, 40), np.uint8)})
    source = open_source(f"humanparsing:{root},crop=person,pad=mirror")
    photo, labels = source.read(0)
    assert photo is not None and labels.shape == (52, 52) and photo.shape == (52, 52, 3)
    assert (labels == PANTS).sum() > 10 * 50  # the person stands at the edge: its mirror image is there too
    assert ((photo[..., 0] > 150) == (labels == PANTS)).mean() > 0.97 and not (photo == PAD_GREY).all(2).any()
    assert source.read(0, (26, 26))[1].shape == (26, 26)
    photo, labels = source.read(1)  # nobody there: the whole picture, made a square
    assert photo is not None and photo.shape == (60, 60, 3) and not labels.any()
    (root / "img_deploy" / "a_1.jpg").unlink()
    (root / "img_deploy" / "b_1.jpg").unlink()
    (root / "img_deploy").rmdir()
    assert open_source(f"humanparsing:{root},crop=person,pad=mirror").read(0)[0] is None


def test_cleaning_of_an_empty_map() -> None:
    empty = np.zeros((6, 4), np.uint8)
    assert person_box(empty, 0) is None and Cleaning(crop=True).apply(None, empty, 0)[1].shape == (6, 4)
    at_border = person(40, 60, left=0, top=0)
    assert Cleaning(crop=True).apply(None, at_border, 0)[1].shape == (60, 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("aspect=x", "aspect=x: expected a positive number"),
        ("aspect=-1", "expected a positive number"),
        ("aspect=nan", "expected a positive number"),
        ("crop=face", "crop=face: expected crop=person"),
        ("pad=", "pad=: expected pad=square or pad=mirror"),
        ("pad=mirrored", "pad=mirrored: expected pad=square or pad=mirror"),
        ("aspec=1", "humanparsing has no option 'aspec'; did you mean 'aspect'"),
        ("aspect=1,corp=person", "no option 'corp'; did you mean 'crop'"),
        ("aspect=1,aspect=2", "aspect is given twice"),
    ],
)
def test_wrong_options_are_usage_errors(tmp_path: Path, options: str, message: str) -> None:
    root = humanparsing(tmp_path / "data", {"a_1": person(10, 50)})
    with pytest.raises(UsageError, match=message):
        open_source(f"humanparsing:{root},{options}")


def test_how_options_are_written(tmp_path: Path) -> None:
    spec = parse_spec("humanparsing:a,b/c=d,aspect=1.5,pad=square#train")
    assert spec == DataSpec("humanparsing", "a,b/c=d,aspect=1.5,pad=square", "train")
    assert path_and_options(spec, ("aspect", "crop", "pad")) == ("a,b/c=d", {"pad": "square", "aspect": "1.5"})
    assert path_and_options(spec, ()) == (spec.path, {})
    assert str(spec.with_split("val")) == "humanparsing:a,b/c=d,aspect=1.5,pad=square#val"
    assert path_and_options(parse_spec("toy-faces:8,3"), ()) == ("8,3", {})
    odd = tmp_path / "x,n=1"  # a folder may be called so
    various(odd)
    assert len(open_source(f"humanparsing:{odd}").names) == 10
    assert len(open_source(f"humanparsing:{odd},aspect=2").names) == 9
    (tmp_path / "x").mkdir()
    with pytest.raises(UsageError, match=r"folder has no option 'm'.*options: none"):
        open_source(f"folder:{tmp_path}/x,m=1", space=ATR)
    with pytest.raises(UsageError, match="expected NAME"):
        open_source("toy-faces,count=3")


def test_check_reports_the_cleaning(tmp_path: Path) -> None:
    root = various(tmp_path / "data")
    spec = f"humanparsing:{root},aspect=2,crop=person,pad=square"
    result = CliRunner().invoke(data_group, ["check", spec])
    assert result.exit_code == 0 and "1 of 10 maps left out" in result.stdout and "9 pairs" in result.stdout
    report = json.loads(CliRunner().invoke(data_group, ["check", spec, "--json"]).stdout)
    assert (
        report["overlap"] is None
        and report["notes"]
        and all(a == b for a, b in (s.split(" x ") for s in report["sizes"]))
    )


def test_cleaned_real_people(shared: Path) -> None:
    root = shared / "data" / "ccp"
    data = open_data(f"ccp:{root},aspect=1,crop=person,pad=square#test", resolution=64, space=ATR)
    assert 40 < len(data) < 100
    batch = data.batch(range(16))
    heights = [person_box(labels.numpy().astype(np.uint8), 0) for labels in batch.maps.labels]
    assert all(box is not None and box[3] - box[1] > 55 for box in heights)  # every person fills the picture's height
