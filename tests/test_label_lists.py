"""The label spaces of public data sets and parsers: numbers, colours, and how they join the others."""

from __future__ import annotations

import pytest

import zoo
from zoo.labels import voc_color

FACER = [
    "background",
    "neck",
    "face",
    "cloth",
    "rr",
    "lr",
    "rb",
    "lb",
    "re",
    "le",
    "nose",
    "imouth",
    "llip",
    "ulip",
    "hair",
    "eyeg",
    "hat",
    "earr",
    "neck_l",
]
"""FaRL's short names in their order (pyfacer 0.0.5)."""


@pytest.mark.parametrize(
    ("name", "classes", "ignore", "numbers"),
    [
        (
            "lip",
            20,
            False,
            {"hat": 1, "glove": 3, "coat": 7, "jumpsuits": 10, "face": 13, "left-arm": 14, "right-shoe": 19},
        ),
        ("cihp", 20, False, {"torso-skin": 10, "skirt": 12, "right-leg": 17}),
        ("pascal-person-part", 7, False, {"head": 1, "upper arms": 3, "lower-legs": 6}),
        ("lapa", 11, False, {"skin": 1, "left eyebrow": 2, "right eye": 5, "inner mouth": 8, "hair": 10}),
        ("facer-celebm", 19, False, {n: i for i, n in enumerate(FACER)}),
        ("voc", 21, True, {"aeroplane": 1, "person": 15, "tvmonitor": 20}),
        ("cityscapes-train", 19, True, {"road": 0, "sky": 10, "person": 11, "bicycle": 18}),
        ("fashionpedia", 46, True, {"shirt, blouse": 0, "dress": 10, "shoe": 23, "bag, wallet": 24, "tassel": 45}),
        ("mapillary-vistas-1.2", 66, False, {"bird": 0, "road": 13, "person": 19, "car": 55, "unlabeled": 65}),
        (
            "mapillary-vistas-2.0",
            124,
            False,
            {"road": 21, "void--ground": 121, "object--vehicle--car": 108, "unlabeled": 123},
        ),
    ],
)
def test_public_lists_have_their_numbers(name: str, classes: int, ignore: bool, numbers: dict[str, int]) -> None:
    space = zoo.label_space(name)
    assert (space.name, len(space), space.ignore) == (name, classes, ignore)
    assert {n: space.index(n) for n in numbers} == numbers


@pytest.mark.parametrize(
    ("source", "target", "dropped"),
    [
        ("lapa", "celebamask-hq", ()),
        ("lapa", "facer-celebm", ()),
        ("facer-celebm", "celebamask-hq", ()),
        ("facer-celebm", "face-parsing", ()),
        ("celebamask-hq", "facer-celebm", ()),
        ("lip", "cihp", ()),  # a jumpsuit is an upper garment there
        ("cihp", "lip", ("torso-skin",)),
        ("lip", "atr", ("glove", "socks")),
        ("atr", "lip", ("belt", "bag")),
        ("cityscapes-train", "cityscapes", ()),
        ("gta5", "cityscapes-train", ("void",)),
        ("camvid", "cityscapes-train", ("void",)),
        ("voc", "coco-stuff", ()),
        ("mapillary-vistas-1.2", "mapillary-vistas-2.0", ("lane marking - general", "billboard")),
    ],
)
def test_they_join_the_others_by_name(source: str, target: str, dropped: tuple[str, ...]) -> None:
    mapping = zoo.label_space(source).mapping_to(zoo.label_space(target))
    assert mapping.dropped == dropped


def test_the_face_orders_are_permutations_of_each_other() -> None:
    facer, celeb = zoo.label_space("facer-celebm"), zoo.label_space("celebamask-hq")
    there, back = facer.mapping_to(celeb).table, celeb.mapping_to(facer).table
    assert sorted(there) == list(range(19)) and [back[v] for v in there] == list(range(19))
    assert not facer.mapping_to(celeb).identity
    for space in (facer, zoo.label_space("lapa")):  # the same part shows the same colour and lies on the same skin
        for cls in space.classes:
            other = celeb.classes[celeb.index(cls.name)]
            assert (cls.color, cls.mirror, cls.on) == (other.color, other.mirror, other.on)


def test_people_and_streets_keep_their_meaning() -> None:
    lip, atr = zoo.label_space("lip"), zoo.label_space("atr")
    pairs = dict(lip.mapping_to(atr).pairs)
    assert pairs["face"] == "face" and pairs["coat"] == "upper-clothes" and pairs["left-shoe"] == "left-shoe"
    assert dict(lip.mapping_to(zoo.label_space("celebamask-hq")).pairs)["sunglasses"] == "eye_g"
    city = zoo.label_space("cityscapes")
    vistas = dict(zoo.label_space("mapillary-vistas-2.0").mapping_to(city).pairs)
    assert vistas["motorcyclist"] == vistas["bicyclist"] == "rider" and vistas["on rails"] == "train"
    for space in ("cityscapes", "ade20k", "coco-stuff", "mapillary-vistas-1.2"):
        assert dict(zoo.label_space("voc").mapping_to(zoo.label_space(space)).pairs)["person"] == "person"
    fashion = dict(zoo.label_space("fashionpedia").mapping_to(atr).pairs)
    assert (
        fashion["top"] == "upper-clothes" and fashion["glasses"] == "sunglasses" and fashion["coat"] == "upper-clothes"
    )


def test_colours_are_those_of_the_lists() -> None:
    train, city = zoo.label_space("cityscapes-train"), zoo.label_space("cityscapes")
    assert all(cls.color == city.classes[city.index(cls.name)].color for cls in train.classes)
    assert train.classes[0].color == (128, 64, 128) and train.classes[18].color == (119, 11, 32)
    for name in ("voc", "lip", "cihp", "pascal-person-part", "fashionpedia"):
        space = zoo.label_space(name)
        assert space.voc_colored and space.palette == tuple(voc_color(i) for i in range(len(space)))
    assert not train.voc_colored and zoo.label_space("voc").palette[15] == (192, 128, 128)
    vistas = zoo.label_space("mapillary-vistas-1.2")
    assert vistas.palette[55] == (0, 0, 142) and len(set(vistas.palette)) == 66


def test_no_file_of_cityscapes_shows_licence_plates() -> None:
    title = zoo.label_space("cityscapes").title
    assert "255" not in title and "no file" in title
