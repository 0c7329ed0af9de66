"""Folders as tools lay them out: each is found by itself, named in the report, and read to the right class numbers.

The files have the forms that the tools of docs/maps.md ("Layouts") wrote when they were run.
"""

from __future__ import annotations

import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from zoo.cli import cli
from zoo.data.pairs import Source
from zoo.data.specs import open_source
from zoo.errors import DataError, UsageError, ZooError
from zoo.labels import LabelClass, LabelSpace, voc_color

SPACE = LabelSpace("three", tuple(LabelClass(n, voc_color(i)) for i, n in enumerate(("background", "cat", "dog"))))
TRUTH = np.zeros((20, 30), np.uint8)
TRUTH[2:8, 5:20] = 1
TRUTH[9:15, 5:20] = 2


def photo(path: Path, shade: int = 7) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(shade).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def grey(path: Path, labels: np.ndarray = TRUTH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(labels).save(path)


def colored(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.array([voc_color(v) for v in range(3)], np.uint8)[TRUTH]).save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


def truth_of(source: Source, index: int = 0) -> None:
    picture, labels = source.read(index)
    assert np.array_equal(labels, TRUTH) and picture is not None and picture.shape == (20, 30, 3)
    assert source.read(index, (10, 15))[1].shape == (10, 15)


def voc(root: Path) -> None:
    for name in ("a", "b", "alone"):
        photo(root / "JPEGImages" / f"{name}.jpg", ord(name[0]) + len(name))
    colored(root / "SegmentationClass" / "a.png")
    colored(root / "SegmentationClass" / "b.png")
    text(root / "ImageSets" / "Segmentation" / "train.txt", "a\n")
    text(root / "ImageSets" / "Segmentation" / "val.txt", "b\n")
    text(root / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:::\ncat:::\ndog:::\n")


def labelme_voc(root: Path) -> None:
    photo(root / "JPEGImages" / "a.jpg")
    grey(root / "SegmentationClassPNG" / "a.png")
    grey(root / "SegmentationClassVisualization" / "a.jpg", np.full((20, 30), 9, np.uint8))
    text(root / "class_names.txt", "_background_\ncat\ndog\n")


def mmsegmentation(root: Path) -> None:
    for i, split in enumerate(("train", "val")):
        photo(root / "img_dir" / split / f"x{i}_leftImg8bit.png", i)
        grey(root / "ann_dir" / split / f"x{i}_gtFine_labelTrainIds.png")


def split_folders(root: Path, maps: str = "masks", splits: tuple[str, str] = ("train", "val")) -> None:
    for i, split in enumerate(splits):
        photo(root / "images" / split / f"x{i}.jpg", i)
        grey(root / maps / split / f"x{i}.png")


def roboflow(root: Path) -> None:
    for i, split in enumerate(("train", "valid")):
        photo(root / split / f"x{i}_jpg.rf.0a1b2c.jpg", i)
        grey(root / split / f"x{i}_jpg.rf.0a1b2c_mask.png")
        text(root / split / "_classes.csv", "Pixel Value, Class\n0, background\n1, cat\n2, dog\n")


def camvid(root: Path) -> None:
    for i, split in enumerate(("train", "val")):
        photo(root / split / f"x{i}.jpg", i)
        colored(root / f"{split}annot" / f"x{i}.png")
        text(root / f"{split}.txt", f"/{split}/x{i}.jpg {split}annot/x{i}.png\n")
    text(root / "label_colors.txt", " background\n128 0 0\tcat\n0 128 0 dog\n")


def panoptic(root: Path) -> None:
    for i, split in enumerate(("train", "val")):
        photo(root / "images" / split / f"x{i}.jpg", i)
        numbers = np.array([0, 70001, 515], np.int64)[TRUTH]
        pixels = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], -1).astype(np.uint8)
        (root / "annotations" / f"panoptic_{split}").mkdir(parents=True)
        PIL.Image.fromarray(pixels).save(root / "annotations" / f"panoptic_{split}" / f"x{i}.png")
        segments = [{"id": 70001, "category_id": 17, "iscrowd": 0}, {"id": 515, "category_id": 90, "iscrowd": 0}]
        values = {
            "categories": [{"id": 90, "name": "dog"}, {"id": 1, "name": "background"}, {"id": 17, "name": "cat"}],
            "images": [{"id": i, "file_name": f"x{i}.jpg", "height": 20, "width": 30}],
            "annotations": [{"image_id": i, "file_name": f"x{i}.png", "segments_info": segments}],
        }
        text(root / "annotations" / f"panoptic_{split}.json", json.dumps(values))


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels>
<label><name>cat</name><color>#ff6037</color><attributes></attributes></label><label><name>dog</name></label>
</labels></task></meta>
<image id="0" name="x0.jpg" subset="train" width="30" height="20">
<mask label="dog" occluded="0" rle="0, 15, 15, 15, 15, 15, 15" left="5" top="9" width="15" height="6" z_order="0"></mask>
<polygon label="cat" occluded="0" points="5.00,2.00;20.00,2.00;20.00,8.00;5.00,8.00" z_order="1"></polygon>
<polygon label="dog" points="5.00,2.00;20.00,2.00;20.00,5.00;5.00,5.00" z_order="0"></polygon>
<box label="cat" xtl="0" ytl="0" xbr="9" ybr="9" z_order="3"></box></image></annotations>
"""


def cvat(root: Path) -> None:
    photo(root / "images" / "train" / "x0.jpg")
    text(root / "annotations.xml", CVAT.replace("0, 15, 15, 15, 15, 15, 15", "0, 90"))


def labelme_values(name: str = "x.jpg") -> dict[str, Any]:
    """Inclusive borders: labelme draws them."""
    mask = io.BytesIO()
    PIL.Image.fromarray(np.full((6, 15), 255, np.uint8)).save(mask, format="PNG")
    shapes = [
        {"label": "dog", "points": [[5, 2], [19, 2], [19, 7], [5, 7]], "shape_type": "polygon", "group_id": None},
        {"label": "cat", "points": [[19, 7], [5, 2]], "shape_type": "rectangle", "group_id": None},
        {
            "label": "dog",
            "points": [[5, 9], [19, 14]],
            "shape_type": "mask",
            "mask": base64.b64encode(mask.getvalue()).decode(),
        },
    ]
    return {"version": "6.3.1", "flags": {}, "shapes": shapes, "imagePath": name, "imageData": None} | {
        "imageHeight": 20,
        "imageWidth": 30,
    }


def labelme(root: Path) -> None:
    photo(root / "x.jpg")
    text(root / "x.json", json.dumps(labelme_values()))
    text(root / "other.json", '{"a": 1}')


def labelme_exported(root: Path) -> None:
    photo(root / "x_json" / "img.png")
    grey(root / "x_json" / "label.png")
    photo(root / "x_json" / "label_viz.png", 3)
    text(root / "x_json" / "label_names.txt", "_background_\ncat\ndog\n")
    photo(root / "y_json" / "img.png", 4)  # each picture has numbers of its own
    grey(root / "y_json" / "label.png", np.where(TRUTH == 2, np.uint8(1), np.uint8(0)))
    text(root / "y_json" / "label_names.txt", "_background_\ndog\n")


def label_studio(root: Path) -> None:
    photo(root / "ab12cd34-x.jpg")
    for number, label in ((1, "Cat"), (2, "dog-big")):
        grey(
            root / f"task-7-annotation-3-by-a@b.c-tag-{label}-0.png", np.where(number == TRUTH, 255, 0).astype(np.uint8)
        )
    grey(root / "task-7-annotation-9-by-d@b.c-tag-Cat-0.png", np.full((20, 30), 255, np.uint8))
    text(root / "export.json", json.dumps([{"id": 7, "data": {"image": "/data/upload/1/ab12cd34-x.jpg"}}]))


LAYOUTS = {
    "VOC": (voc, "labelmap.txt", ("train", "val")),
    "VOC,": (labelme_voc, "class_names.txt", ()),
    "mmsegmentation": (mmsegmentation, "three", ("train", "val")),
    "images/SPLIT/NAME.* with masks/SPLIT/NAME.*": (split_folders, "three", ("train", "val")),
    "(Roboflow)": (roboflow, "_classes.csv", ("train", "val")),
    "CamVid": (camvid, "label_colors.txt", ("train", "val")),
    "COCO panoptic": (panoptic, "categories of the panoptic list", ("train", "val")),
    "CVAT": (cvat, "labels of CVAT", ("train",)),
    "labelme, NAME.json": (labelme, "names in the files", ()),
    "labelme's exported folders": (labelme_exported, "names in the files", ()),
    "Label Studio": (label_studio, "names in the files", ()),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_found_and_read(tmp_path: Path, name: str) -> None:
    make, space, splits = LAYOUTS[name]
    make(tmp_path)
    source = open_source(f"folder:{tmp_path}", space=SPACE)
    assert source.label_space.name == space and source.splits == splits
    assert any(name in note and "layout " in note for note in source.notes()), source.notes()
    truth_of(source)
    for i, split in enumerate(splits):
        part = open_source(f"folder:{tmp_path}#{split}", space=SPACE)
        assert len(part.names) == 1 and part.label_space == source.label_space
        assert f"{'ab'[i] if name == 'VOC' else f'x{i}'}" in part.names[0]
        truth_of(part)
    if splits:
        assert len(source.names) == len(splits)
    result = CliRunner().invoke(cli, ["data", "check", f"folder:{tmp_path}"])
    if space != "three":
        assert result.exit_code == 0 and name in result.output and "nothing wrong" in result.output, result.output


def test_a_split_goes_by_its_usual_name_and_its_folders(tmp_path: Path) -> None:
    roboflow(tmp_path)
    for split in ("valid", "val"):
        source = open_source(f"folder:{tmp_path}#{split}")
        assert len(source.names) == 1 and source.location == str(tmp_path / "valid")
    assert open_source(f"folder:{tmp_path}").names[1].startswith("valid/x1")
    with pytest.raises(DataError, match="no split 'tests'"):
        open_source(f"folder:{tmp_path}#tests")


def test_sizes_that_no_picture_has_are_refused(tmp_path: Path) -> None:
    labelme(tmp_path / "l")
    text(tmp_path / "l" / "x.json", json.dumps({**labelme_values(), "imageHeight": 60000, "imageWidth": 60000}))
    with pytest.raises(DataError, match="60000 and 60000"):
        open_source(f"folder:{tmp_path / 'l'}")
    cvat(tmp_path / "c")
    text(tmp_path / "c" / "annotations.xml", CVAT.replace('width="30" height="20"', 'width="60000" height="60000"'))
    with pytest.raises(DataError, match="60000 x 60000"):
        open_source(f"folder:{tmp_path / 'c'}")


def test_photos_without_maps_are_usual_in_voc(tmp_path: Path) -> None:
    voc(tmp_path / "VOCdevkit" / "VOC2012")
    (tmp_path / "labelmap.txt").write_text("background:::\ncat:::\ndog:::\n")
    source = open_source(f"folder:{tmp_path}")
    assert source.names == ("a", "b") and source.leftovers() == []
    assert "1 photos have no map and are left out" in source.notes()
    (tmp_path / "VOCdevkit" / "VOC2012" / "SegmentationClass" / "b.png").unlink()
    with pytest.raises(DataError, match="list of the split val"):
        open_source(f"folder:{tmp_path}#val")


def test_exported_numbers_are_joined_by_names(tmp_path: Path) -> None:
    labelme_exported(tmp_path)
    labels = open_source(f"folder:{tmp_path}").read(1)[1]
    assert np.array_equal(labels, np.where(TRUTH == 2, 2, 0))


def test_classes_of_all_splits_have_one_numbering(tmp_path: Path) -> None:
    for split, label in (("train", "dog"), ("val", "cat")):
        photo(tmp_path / split / "x.jpg")
        values = {
            **labelme_values(),
            "shapes": [{"label": label, "points": [[1, 1], [9, 9]], "shape_type": "rectangle"}],
        }
        text(tmp_path / split / "x.json", json.dumps(values))
    source = open_source(f"folder:{tmp_path}#train")
    assert source.label_space.names == ("background", "cat", "dog") and source.names == ("train/x",)
    assert set(np.unique(source.read(0)[1])) == {0, 2}
    assert set(np.unique(open_source(f"folder:{tmp_path}#val").read(0)[1])) == {0, 1}


def test_a_class_list_beside_labelme_says_the_numbers(tmp_path: Path) -> None:
    labelme(tmp_path)
    text(tmp_path / "labels.txt", "__ignore__\n_background_\ndog\ncat\nbird\n")
    source = open_source(f"folder:{tmp_path}")
    assert source.label_space.names == ("_background_", "dog", "cat", "bird")
    assert np.array_equal(source.read(0)[1], np.array([0, 2, 1])[TRUTH])
    text(tmp_path / "labels.txt", "__ignore__\n_background_\ndog\n")
    with pytest.raises(ZooError, match=r"x\.json: No class 'cat'"):
        open_source(f"folder:{tmp_path}").read(0)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ({"label": "a", "points": [[1, 1]], "shape_type": "polygon"}, "a polygon of 1 points"),
        ({"label": "a", "points": [[1, 1], [2, 2]], "shape_type": "spiral"}, "kind 'spiral' is not known"),
        ({"label": "a", "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "??"}, "no PNG in base64"),
        ({"label": "a", "points": None, "shape_type": "polygon"}, "cannot be drawn"),
    ],
)
def test_broken_shapes_are_named(tmp_path: Path, shape: dict[str, object], told: str) -> None:
    photo(tmp_path / "x.jpg")
    text(tmp_path / "x.json", json.dumps({**labelme_values(), "shapes": [shape]}))
    with pytest.raises(DataError, match=rf"x\.json.*{told}"):
        open_source(f"folder:{tmp_path}").read(0)


def test_broken_lists_are_named(tmp_path: Path) -> None:
    cvat(tmp_path / "c")
    text(
        tmp_path / "c" / "annotations.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotations><image name="x"/></annotations>'
    )
    with pytest.raises(DataError, match="document type"):
        open_source(f"folder:{tmp_path / 'c'}")
    panoptic(tmp_path / "p")
    text(tmp_path / "p" / "annotations" / "panoptic_train.json", '{"images": []}')
    with pytest.raises(DataError, match=r"panoptic_train\.json is no panoptic list"):
        open_source(f"folder:{tmp_path / 'p'}")


STEMS = (
    ("x.jpg", "x.png"),
    ("x.jpg", "x.jpg.png"),
    ("x.jpg", "x_mask.png"),
    ("x.jpg", "x_label.png"),
    ("X.JPG", "x_MASK.PNG"),
    ("x_image.jpg", "x_label.png"),
)


@pytest.mark.parametrize(("one", "other"), STEMS)
@pytest.mark.parametrize("folders", [("images", "masks"), ("Images", "Labels"), ("", "")])
def test_stems_and_capitals(tmp_path: Path, one: str, other: str, folders: tuple[str, str]) -> None:
    photo(tmp_path / folders[0] / one)
    grey(tmp_path / folders[1] / other)
    source = open_source(f"folder:{tmp_path}", space=SPACE)
    assert len(source.names) == 1 and source.leftovers() == []
    truth_of(source)


@pytest.mark.parametrize("maps", ["masks", "labels", "annotations"])
def test_split_folders_under_images(tmp_path: Path, maps: str) -> None:
    split_folders(tmp_path, maps, ("training", "validation"))
    assert open_source(f"folder:{tmp_path}", space=SPACE).splits == ("train", "val")
    assert open_source(f"folder:{tmp_path}#val", space=SPACE).names == ("validation/x1",)


def test_hidden_names_are_no_data(tmp_path: Path) -> None:
    split_folders(tmp_path)
    for folder in ("images", "masks"):
        for name in ("._x0.png", ".DS_Store", "Thumbs.db"):
            (tmp_path / folder / "train" / name).write_bytes(b"\0")
        grey(tmp_path / folder / "train" / ".ipynb_checkpoints" / "x0-checkpoint.png")
        grey(tmp_path / folder / ".ipynb_checkpoints" / "x0.png")
    source = open_source(f"folder:{tmp_path}", space=SPACE)
    assert source.names == ("train/x0", "val/x1") and source.leftovers() == [] and source.splits == ("train", "val")
    beside = tmp_path / "beside"
    photo(beside / "x.jpg")
    grey(beside / "x_mask.png")
    (beside / "._x.jpg").write_bytes(b"\0")
    (beside / "._x_mask.png").write_bytes(b"\0")
    assert open_source(f"folder:{beside}", space=SPACE).names == ("x",)


def test_links_count_never_in_circles(tmp_path: Path) -> None:
    split_folders(tmp_path / "data")
    (tmp_path / "view" / "images").mkdir(parents=True)
    (tmp_path / "view" / "masks").mkdir()
    for folder in ("images", "masks"):
        (tmp_path / "view" / folder / "train").symlink_to(tmp_path / "data" / folder / "train")
        (tmp_path / "data" / folder / "train" / "round").symlink_to(tmp_path / "data" / folder)
    (tmp_path / "view" / "masks" / "train" / "gone.png").symlink_to("nowhere.png")
    source = open_source(f"folder:{tmp_path / 'view'}", space=SPACE)
    assert "train/x0" in source.names
    truth_of(source, source.names.index("train/x0"))
    assert any("gone.png is a link to nowhere.png, which is not there" in line for line in source.leftovers())
    assert os.path.islink(tmp_path / "view" / "images" / "train")


def test_nothing_found_says_what_lies_there(tmp_path: Path) -> None:
    photo(tmp_path / "pics" / "a.jpg")
    text(tmp_path / "notes.txt", "x")
    with pytest.raises(
        DataError, match=r"0 pairs found.*VOC.*mmsegmentation.*CVAT.*There lie: notes\.txt, pics/ \(1 entries\)"
    ):
        open_source(f"folder:{tmp_path}")
    with pytest.raises(UsageError, match="which label space"):
        split_folders(tmp_path)
        open_source(f"folder:{tmp_path}")
