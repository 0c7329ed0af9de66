"""`zoo data convert`: every form read back, by plain readers of what the forms state and by other people's libraries."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from fixtures_models import Ran
from shard_folders import face, write_shards
from test_interop import library

from zoo.data import open_source
from zoo.data.formats.outlines import polygons
from zoo.registry import label_space

Run = Callable[..., Ran]
NAMES = label_space("celebamask-hq").names


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve faces in three splits."""
    return write_shards(tmp_path_factory.mktemp("convert") / "faces", 12, 4, shares=(0.5, 0.25, 0.25))


def converted(run: Run, shards: Path, out: Path, to: str) -> tuple[Path, str]:
    ran = run("data", "convert", f"shards:{shards}", out, "--to", to)
    assert ran.code == 0, ran.err
    return out, ran.err


def expected() -> dict[str, np.ndarray]:
    return {f"{index:09d}": face(index)[1] for index in range(12)}


def by_split(shards: Path) -> dict[str, set[str]]:
    return {split: set(open_source(f"shards:{shards}#{split}").names) for split in ("train", "val", "test")}


def test_coco_panoptic(run: Run, shards: Path, tmp_path: Path) -> None:
    out, _ = converted(run, shards, tmp_path / "coco", "coco-panoptic")
    seen = {}
    for split, names in by_split(shards).items():
        listed = json.loads((out / f"annotations/panoptic_{split}.json").read_text())
        categories = {c["id"]: c["name"] for c in listed["categories"]}
        assert tuple(categories.values()) == NAMES
        files = {image["id"]: image for image in listed["images"]}
        assert {Path(image["file_name"]).stem for image in files.values()} == names
        for entry in listed["annotations"]:
            pixels = np.asarray(PIL.Image.open(out / f"annotations/panoptic_{split}" / entry["file_name"])).astype(int)
            numbers = pixels[..., 0] + 256 * pixels[..., 1] + 256**2 * pixels[..., 2]
            # what panopticapi's evaluation asks of a file: no segment in one place alone
            assert set(np.unique(numbers)) == {s["id"] for s in entry["segments_info"]}
            labels = np.zeros(numbers.shape, np.uint8)
            for segment in entry["segments_info"]:
                mask = numbers == segment["id"]
                left, top, width, height = segment["bbox"]
                assert mask.sum() == segment["area"] == mask[top : top + height, left : left + width].sum()
                assert mask[top].any() and mask[:, left].any()
                labels[mask] = NAMES.index(categories[segment["category_id"]])
            seen[Path(entry["file_name"]).stem] = labels
            image = files[entry["image_id"]]
            picture = PIL.Image.open(out / "images" / split / image["file_name"])
            assert picture.size == (image["width"], image["height"])
            assert np.array_equal(np.asarray(picture), face(int(Path(image["file_name"]).stem))[0])
    same(seen, expected())
    back = open_source(f"folder:{out}")
    same({n.rpartition("/")[2]: back.read(i)[1] for i, n in enumerate(back.names)}, expected())


def test_voc(run: Run, shards: Path, tmp_path: Path) -> None:
    out, _ = converted(run, shards, tmp_path / "voc", "voc")
    for split, names in by_split(shards).items():
        assert set((out / f"ImageSets/Segmentation/{split}.txt").read_text().split()) == names
    maps = {p.stem: PIL.Image.open(p) for p in (out / "SegmentationClass").iterdir()}
    assert {image.mode for image in maps.values()} == {"P"}
    same({name: np.asarray(image) for name, image in maps.items()}, expected())
    lines = [line.split(":") for line in (out / "labelmap.txt").read_text().splitlines() if line[0] != "#"]
    assert [line[0] for line in lines] == list(NAMES)
    palette = maps["000000000"].getpalette()
    assert palette is not None and palette[3:6] == [int(c) for c in lines[1][1].split(",")]
    back = open_source(f"folder:{out}")
    same({n: back.read(i)[1] for i, n in enumerate(back.names)}, expected())


def test_yolo_seg(run: Run, shards: Path, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    out, _ = converted(run, shards, tmp_path / "yolo", "yolo-seg")
    told = yaml.safe_load((out / "data.yaml").read_text())
    assert list(told["names"].values()) == list(NAMES[1:])
    for split, names in by_split(shards).items():
        assert {p.stem for p in (out / told[split]).iterdir()} == names
        for name in names:
            labels = np.zeros((32, 32), np.uint8)
            for line in (out / f"labels/{split}/{name}.txt").read_text().splitlines():
                number, *places = line.split()
                loop = np.array(places, float).reshape(-1, 2) * 32
                labels[filled(loop, (32, 32))] = NAMES.index(told["names"][int(number)])
            assert np.array_equal(labels, expected()[name])


def test_yolo_needs_two_splits(run: Run, shards: Path, tmp_path: Path) -> None:
    ran = run("data", "convert", f"shards:{shards}#train", tmp_path / "yolo", "--to", "yolo-seg")
    assert ran.code == 0 and "data.yaml names train for it" in ran.err
    assert "val: images/train" in (tmp_path / "yolo/data.yaml").read_text()


def test_cityscapes_of_other_labels(run: Run, shards: Path, tmp_path: Path) -> None:
    out, told = converted(run, shards, tmp_path / "city", "cityscapes")
    assert "is no label space of Cityscapes" in told
    names = dict(line.split()[::2] for line in (out / "names.txt").read_text().splitlines())
    found = {names[p.name[:17]]: np.asarray(PIL.Image.open(p)) for p in out.glob("gtFine/*/zoo/*_labelIds.png")}
    same(found, expected())
    assert len(list(out.glob("leftImg8bit/*/zoo/*_leftImg8bit.png"))) == 12
    assert (out / "label_colors.txt").read_text().splitlines()[1].split()[3] == "skin"


def streets(root: Path, count: int = 2) -> Path:
    """A folder of street scenes in the 19 classes, with pixels that nobody labelled, and numbered cars."""
    for folder in ("images", "maps", "instances"):
        (root / folder).mkdir(parents=True)
    (root / "space.json").write_text(json.dumps({"label_space": "cityscapes-train"}))
    for index in range(count):
        labels = np.full((16, 32), index, np.uint8)
        labels[4:8, 4:8], labels[4:8, 20:26], labels[12:] = 13, 13, 255
        objects = np.zeros((16, 32), np.uint8)
        objects[4:8, 4:8], objects[4:8, 20:26] = 5, 9
        for folder, array in (("maps", labels), ("instances", objects), ("images", np.stack([labels] * 3, -1))):
            PIL.Image.fromarray(array).save(root / folder / f"{index}.png")
    return root


def test_cityscapes_of_its_own_labels(run: Run, tmp_path: Path) -> None:
    place = streets(tmp_path / "streets")
    ran = run("data", "convert", f"folder:{place}", tmp_path / "city", "--to", "cityscapes")
    assert ran.code == 0, ran.err
    base = tmp_path / "city/gtFine/train/zoo/zoo_000000_000001_gtFine_"
    ids, train, objects = (
        np.asarray(PIL.Image.open(f"{base}{kind}.png")) for kind in ("labelIds", "labelTrainIds", "instanceIds")
    )
    space = label_space("cityscapes")
    assert (space.names[ids[0, 0]], space.names[ids[5, 5]], ids[15, 0]) == ("sidewalk", "car", 0)
    assert (train[0, 0], train[5, 5], train[15, 0]) == (1, 13, 255)
    assert (objects[5, 5], objects[5, 22], objects[0, 0], objects[15, 0]) == (26000, 26001, 8, 0)
    back = open_source(f"cityscapes:{tmp_path / 'city'}")
    assert np.array_equal(back.read(1)[1], ids)


def test_unlabeled_pixels_and_objects(run: Run, tmp_path: Path) -> None:
    place = streets(tmp_path / "streets")
    for to in ("voc", "coco-panoptic"):
        assert run("data", "convert", f"folder:{place}", tmp_path / to, "--to", to).code == 0
        back = open_source(f"folder:{tmp_path / to}")
        (index,) = (i for i, name in enumerate(back.names) if name.endswith("1"))
        labels = back.read(index)[1]
        assert [back.label_space.names[v] for v in (labels[0, 0], labels[5, 5])] == ["sidewalk", "car"]
        # a labelmap lists 255 as a class, as datumaro's own do
        assert labels[15, 0] == (255 if to == "coco-panoptic" else back.label_space.index("ignored"))
    listed = json.loads((tmp_path / "coco-panoptic/annotations/panoptic_train.json").read_text())
    cars = [s for s in listed["annotations"][0]["segments_info"] if s["category_id"] == 14]
    assert sorted(s["area"] for s in cars) == [16, 24]
    assert [c["name"] for c in listed["categories"] if c["isthing"]] == ["car"]
    ran = run("data", "convert", f"folder:{place}", tmp_path / "yolo", "--to", "yolo-seg")
    assert "2 maps have unlabeled pixels" in ran.err


def test_what_is_refused(run: Run, shards: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").touch()
    ran = run("data", "convert", f"shards:{shards}", tmp_path / "full", "--to", "voc")
    assert ran.code == 2 and "is not empty" in ran.err
    broken = streets(tmp_path / "broken")
    PIL.Image.new("RGB", (3, 3)).save(broken / "images/1.png")
    ran = run("data", "convert", f"folder:{broken}", tmp_path / "out", "--to", "voc")
    assert ran.code == 1 and "the map is 32 x 16, its photo 3 x 3" in ran.err
    assert not (tmp_path / "out").exists()
    alike = streets(tmp_path / "alike")
    classes = [{"name": n, "color": [9, 9, 9]} for n in label_space("cityscapes-train").names]
    (alike / "space.json").write_text(json.dumps({"name": "alike", "classes": classes, "ignore": True}))
    ran = run("data", "convert", f"folder:{alike}", tmp_path / "out", "--to", "voc")
    assert ran.code == 1 and "share a colour" in ran.err and not (tmp_path / "out").exists()


def test_outlines_give_their_pixels_back() -> None:
    rng = np.random.default_rng(4)
    masks = [rng.random((9, 13)) < share for share in np.linspace(0.1, 0.95, 30)]
    ring = np.ones((12, 12), bool)
    ring[3:9, 3:9] = False
    ring[5:7, 5:7] = True
    for mask in [*masks, ring, np.ones((1, 1), bool), np.eye(5, dtype=bool)]:
        loops = polygons(mask)
        drawn = np.zeros(mask.shape, int)
        for loop in loops:
            drawn += filled(loop.astype(float), mask.shape)
        assert np.array_equal(drawn, mask.astype(int))
    assert len(polygons(ring)) == 2 and len(polygons(np.eye(5, dtype=bool))) == 5
    assert polygons(np.zeros((4, 4), bool)) == []


def filled(loop: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels whose middles lie in a polygon: an odd number of its sides to their right."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    inside = np.zeros(size, bool)
    for (x0, y0), (x1, y1) in zip(loop, np.roll(loop, -1, axis=0), strict=True):
        if y0 != y1:
            crossed = (y0 <= y) != (y1 <= y)
            inside ^= crossed & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert sorted(found) == sorted(wanted)
    for name, labels in wanted.items():
        assert np.array_equal(found[name], labels), name


# --- other people's libraries ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("to", "form"), [("coco-panoptic", "coco_panoptic"), ("voc", "voc_segmentation"), ("cityscapes", "cityscapes")]
)
def test_datumaro_reads_every_pixel(run: Run, shards: Path, tmp_path: Path, to: str, form: str) -> None:
    datumaro = library("datumaro")
    out, _ = converted(run, shards, tmp_path / "out", to)
    data = datumaro.Dataset.import_from(str(out), form)
    names = [label.name for label in data.categories()[datumaro.AnnotationType.label]]
    known = (
        dict(line.split()[::2] for line in (out / "names.txt").read_text().splitlines()) if to == "cityscapes" else {}
    )
    found: dict[str, Any] = {}
    for item in data:
        # in Cityscapes 0 is "unlabeled", of which datumaro makes no mask
        labels = np.full((32, 32), 0 if to == "cityscapes" else 255, np.uint8)
        for part in item.annotations:
            if part.type == datumaro.AnnotationType.mask:
                labels[part.image.astype(bool)] = NAMES.index(names[part.label])
        name = Path(item.id).name
        found[known.get(name, name)] = labels
        assert item.media.data.shape == (32, 32, 3)
    same(found, expected())


@pytest.mark.slow
def test_cityscapesscripts(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = library("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    if not hasattr(np, "in1d"):  # its 2.3.0 calls what numpy 2.4 has no more
        monkeypatch.setattr(np, "in1d", np.isin, raising=False)
    place = streets(tmp_path / "streets")
    assert run("data", "convert", f"folder:{place}", tmp_path / "city", "--to", "cityscapes").code == 0
    maps = sorted(str(p) for p in (tmp_path / "city/gtFine").rglob("*_labelIds.png"))
    evaluation.args.quiet, evaluation.args.evalInstLevelScore, evaluation.args.JSONOutput = True, True, False
    results = evaluation.evaluateImgLists(maps, maps, evaluation.args)
    assert results["averageScoreClasses"] == 1.0
    assert {n for n, score in results["classScores"].items() if score == 1.0} == {"road", "sidewalk", "car"}


@pytest.mark.slow
def test_outlines_as_ultralytics_fills_them(shards: Path) -> None:
    """Its `polygon2mask`: whole numbers, filled with the pixels on the edge."""
    cv2 = library("cv2")
    scores = []
    for labels in expected().values():
        for value in np.unique(labels):
            drawn = np.zeros(labels.shape, np.uint8)
            for loop in polygons(labels == value):
                cv2.fillPoly(drawn, [loop.astype(np.int32)], 1)
            mask = labels == value
            scores.append((mask & (drawn > 0)).sum() / (mask | (drawn > 0)).sum())
    assert 0.6 < np.mean(scores) < 1
