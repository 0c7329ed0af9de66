"""Label spaces from the class lists that labelling tools leave beside their maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

import zoo
from zoo.cli.labels import labels
from zoo.cli.mask import mask
from zoo.errors import LabelError, UsageError
from zoo.files.classfiles import load_space
from zoo.labels import LabelSpace, voc_color
from zoo.registry import space_or_file

LABELMAP = (
    "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:10,20,30:head,tail:\nleft eye:::sit\nright eye:1,2,3::\n"
)
CONFIG = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="Box"/></RectangleLabels>
<BrushLabels name="tag" toName="image"><Label value="Tree" background="#00ff00"/>
<Label value="Airplane" alias="plane" background="rgba(255, 0, 0, 0.7)"/><Label value="Sky" background="blue"/></BrushLabels>
<PolygonLabels name="poly" toName="image"><Label value="Tree"/><Label value="Odd" background="no colour"/></PolygonLabels></View>"""
META = {
    "classes": [
        {"title": "kiwi", "shape": "bitmap", "color": "#FF0080", "id": 7},
        {"title": "lemon", "shape": "polygon", "color": "#51C6AA"},
    ],
    "tags": [],
    "projectType": "images",
}


def read(folder: Path, content: object, name: str = "classes.any") -> LabelSpace:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return load_space(path)


def test_labelmap_numbers_by_line_and_keeps_colours_and_sides(tmp_path: Path) -> None:
    space = read(tmp_path, LABELMAP, "labelmap.txt")
    assert space.names == ("background", "cat", "left eye", "right eye") and space.background == "background"
    assert space.palette == ((0, 0, 0), (10, 20, 30), voc_color(2), (1, 2, 3))
    assert space.mirror_pairs == ((2, 3),) and not space.ignore and space.name == "labelmap.txt"


def test_roboflow_csv_numbers_by_pixel_value(tmp_path: Path) -> None:
    space = read(tmp_path, "Pixel Value, Class\r\n0, background\r\n3, tree\r\n1, cat\r\n255, ignore\r\n")
    assert space.names == ("background", "cat", "label_2", "tree") and space.background == "background"
    assert space.ignore


def test_labelme_lists_start_with_background_or_ignore(tmp_path: Path) -> None:
    space = read(tmp_path, "__ignore__\n_background_\ncat\ntree\n")
    assert space.names == ("_background_", "cat", "tree") and space.ignore
    assert space.background == "_background_" and space.find("background") == 0
    assert space.mapping_to(zoo.label_space("voc")).table == (0, 8, 0)
    # labelme_export_json numbers a shape called __ignore__ like any other
    space = read(tmp_path, "_background_\n__ignore__\ncat\n")
    assert space.names == ("_background_", "__ignore__", "cat") and not space.ignore


@pytest.mark.parametrize(
    "content",
    [
        {"0": "wall", "2": "left door", "10": "right door"},
        {"id2label": {"0": "wall", "2": "left door", "10": "right door"}, "label2id": {"wall": 0}, "model_type": "x"},
        {"wall": 0, "left door": 2, "right door": 10},
        {"label2id": {"wall": 0, "left door": 2, "right door": 10}},
    ],
)
def test_id2label_and_label2id_number_by_key(tmp_path: Path, content: Any) -> None:
    space = read(tmp_path, content)
    assert len(space) == 11 and space.index("wall") == 0 and space.index("right door") == 10
    assert (
        space.names[5] == "label_5" and space.ignore and space.mirror_pairs == ((2, 10),) and space.background is None
    )


def test_supervisely_numbers_classes_from_one(tmp_path: Path) -> None:
    space = read(tmp_path, META)
    assert space.names == ("background", "kiwi", "lemon") and space.background == "background"
    assert space.palette == ((0, 0, 0), (255, 0, 128), (0x51, 0xC6, 0xAA))
    own = read(tmp_path, {"classes": [{"title": "background", "color": "#FFFFFF"}]})
    assert own.names == ("unlabeled", "background") and own.background == "unlabeled"


def test_supervisely_machine_colours_are_numbers(tmp_path: Path) -> None:
    space = read(tmp_path, {"kiwi": [2, 2, 2], "lemon": [4, 4, 4]})
    assert space.names == ("background", "label_1", "kiwi", "label_3", "lemon") and not space.ignore


def test_label_studio_numbers_regions_in_the_order_of_the_config(tmp_path: Path) -> None:
    space = read(tmp_path, CONFIG)
    assert space.names == ("background", "Tree", "plane", "Sky", "Odd")
    assert space.palette == ((0, 0, 0), (0, 255, 0), (255, 0, 0), (0, 0, 255), voc_color(4))


FAULTS: list[tuple[object, str]] = [
    ("", "it is empty"),
    ("cat\ndog\n", "its first line is 'cat'"),
    ("Pixel Value, Class\n0, a, b\n", "its row '0,a,b'"),
    ("Pixel Value, Class\nx, a\n", "not a pixel value and a class"),
    ("Pixel Value, Class\n", "it names no class"),
    ("Pixel Value, Class\n0, a\n0, b\n", "0 is the number of both 'a' and 'b'"),
    ("Pixel Value, Class\n0, a\n1, A\n", "class names occur twice: A, a"),
    ("Pixel Value, Class\n0, a\n256, b\n", "'b' has the number 256"),
    ("Pixel Value, Class\n0, a\n255, b\n", "'b' has the number 255"),
    ("a:1,2,3::\nb:1,2::\n", "line 'b:1,2::' has no colour"),
    ("a:1,2,300::\n", "has no colour"),
    ("a:1,2,3::\nb\n", "its line 'b' is not name:r,g,b:parts:actions"),
    ({}, "expected an object with classes"),
    ([1], "expected an object with classes"),
    ({"0": "wall", "x": "door"}, "its entry 'x': 'door'"),
    ({"id2label": {"0": 3.5}}, "its entry '0': 3.5"),
    ({"a": [1, 2, 3]}, r"its entry 'a': \[1, 2, 3\]"),
    ({"classes": [{"title": "a", "color": "red"}]}, "a color is #RRGGBB, got 'red'"),
    ({"classes": [{"title": "a"}, {"color": "#000000"}]}, "class 1 has no title"),
    ("<View><Label value='a'/></View>", "it has no <Label> in <BrushLabels>"),
    ("<View><BrushLabels><Label/></BrushLabels></View>", "a <Label> has no value"),
    ("<View><BrushLabels>", "it is not XML"),
    ("<!DOCTYPE View><View/>", "it has a document type"),
    (
        '<?xml version="1.0"?><!DOCTYPE v [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><View><Labels><Label value="&b;"/></Labels></View>',
        "it has a document type",
    ),
]


@pytest.mark.parametrize(("content", "message"), FAULTS)
def test_a_wrong_file_is_one_error_with_the_forms(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        read(tmp_path, content)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'classes.any'} is no list of classes") and "labelmap.txt (CVAT" in text


def test_large_and_binary_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"_background_\n" + b"a" * (1 << 20))
    with pytest.raises(LabelError, match="larger than 1 MB"):
        load_space(path)
    path.write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(LabelError, match="not UTF-8 text"):
        load_space(path)
    path.write_text("[" * 100_000)
    with pytest.raises(LabelError, match="nested too deep"):
        load_space(path)
    path.write_bytes("_background_\ncat\n".encode("utf-8-sig"))
    assert load_space(path).names == ("_background_", "cat")


def test_a_file_is_told_from_a_registered_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labelmap.txt").write_text(LABELMAP)
    Path("atr").write_text("_background_\nx\n")
    assert space_or_file("labelmap.txt").name == "labelmap.txt" and space_or_file("./atr").names[1] == "x"
    assert space_or_file("atr") is zoo.label_space("atr")
    assert space_or_file("mapillary-vistas-1.2") is zoo.label_space("mapillary-vistas-1.2")
    with pytest.raises(UsageError, match="No label space 'labelmap'"):
        space_or_file("labelmap")


def test_the_command_line_takes_a_tools_list(tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text(LABELMAP)
    image = Image.new("RGB", (4, 2), (10, 20, 30))
    image.putpixel((0, 0), (1, 2, 3))
    image.save(tmp_path / "map.png")
    listed = CliRunner().invoke(labels, [str(tmp_path / "labelmap.txt")])
    assert listed.exit_code == 0 and "#0a141e" in listed.output and "left eye" in listed.output
    told = CliRunner().invoke(
        mask, ["inspect", str(tmp_path / "map.png"), "--space", str(tmp_path / "labelmap.txt"), "--json"]
    )
    assert told.exit_code == 0 and "labelmap.txt" in json.loads(told.output)["fits"]


def test_a_voc_palette_names_no_space(tmp_path: Path) -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([c for i in range(256) for c in voc_color(i)])
    image.putdata([0, 1, 2, 7])
    image.save(tmp_path / "map.png")
    told = CliRunner().invoke(mask, ["inspect", str(tmp_path / "map.png"), "--json"])
    report = json.loads(told.output)
    assert {"voc", "lip", "cihp"} <= set(report["fits"])
    assert not any("class" in entry for entry in report["histogram"])
    assert not any("shows the colours" in line and "own numbers" in line for line in report["advice"])
