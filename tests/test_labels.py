"""Label spaces, label sets, the mapping between vocabularies, and users' JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.errors import LabelError, UsageError
from zoo.files.classfiles import load_space
from zoo.label_spaces import names
from zoo.labels import LabelClass, LabelSpace, numbered_space, parse_space, voc_color
from zoo.registry import label_space

FACES = zoo.label_space("celebamask-hq")
PARSING = zoo.label_space("face-parsing")
ATR = zoo.label_space("atr")


def space_of(*names: str, background: str | None = None, name: str = "mine") -> LabelSpace:
    return LabelSpace(name, tuple(LabelClass(n, voc_color(i)) for i, n in enumerate(names)), background)


@pytest.mark.parametrize(("name", "classes"), [("celebamask-hq", 19), ("face-parsing", 19), ("atr", 18)])
def test_builtin_spaces_have_distinct_names_colours_and_a_background_at_0(name: str, classes: int) -> None:
    space = label_space(name)
    assert len(space) == len(set(space.names)) == classes
    colors = [c for cls in space.classes for c in (cls.color, *cls.colors)]
    assert len(set(colors)) == len(colors), "a colour-coded map would be ambiguous"
    assert space.background_index == 0 and not space.ignore


def test_values_are_those_of_the_data_sets() -> None:
    assert [FACES.index(n) for n in ("skin", "nose", "eye_g", "hair", "cloth")] == [1, 2, 3, 13, 18]
    assert [PARSING.index(n) for n in ("skin", "eye_g", "nose", "hair", "cloth")] == [1, 6, 10, 17, 16]
    assert ATR.index("face") == 11


@pytest.mark.parametrize("name", names())
def test_aliases_name_one_class_only(name: str) -> None:
    space = label_space(name)
    for value, cls in enumerate(space.classes):
        assert [space.find(alias) for alias in (cls.name, *cls.aliases)] == [value] * (1 + len(cls.aliases))


@pytest.mark.parametrize("text", ["eye_g", "glasses", "Eyeglasses", " SUNGLASSES "])
def test_a_class_is_found_by_alias_whatever_its_case(text: str) -> None:
    assert FACES.index(text) == 3


def test_a_name_beats_an_alias_and_the_first_alias_beats_later_ones() -> None:
    classes = ["a", {"name": "b", "aliases": ["a", "x"]}, {"name": "c", "aliases": ["X"]}]
    space = parse_space({"name": "mine", "classes": classes}, "here")
    assert (space.index("a"), space.index("x")) == (0, 1)


def test_an_unknown_class_is_refused_with_near_misses_and_the_next_command() -> None:
    with pytest.raises(
        LabelError, match=r"No class 'hiar' in label space 'celebamask-hq'.*'hair'.*zoo labels celebamask-hq"
    ):
        FACES.index("hiar")


def test_an_unknown_space_is_refused_with_near_misses_and_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'face-parsng'; did you mean 'face-parsing'.*atr.*FILE.json"):
        zoo.label_space("face-parsng")


def test_mirror_table_swaps_sides_and_is_its_own_inverse() -> None:
    for space in map(label_space, names()):
        table = space.mirror_table
        assert [table[table[v]] for v in range(len(space))] == list(range(len(space)))
        swapped = {space.names[v] for v in range(len(space)) if table[v] != v}
        sided = {n for n in space.names if n.startswith(("l_", "r_", "left", "right"))} - {"l_lip"}
        arrows = {n for n in space.names if "arrow (" in n and ("left" in n or "right" in n)}
        assert swapped == sided | arrows
    assert FACES.mirror_table[FACES.index("l_eye")] == FACES.index("r_eye")


def test_label_set_is_sorted_deduplicated_and_answers_to_aliases() -> None:
    found = FACES.label_set(["hair", "face", "skin", "NOSE"])
    assert found.names == ("skin", "nose", "hair") and found.indices == (1, 2, 13)
    assert "face" in found and "hat" not in found and 1 not in found
    assert list(found) == ["skin", "nose", "hair"] and len(found) == 3


def test_an_empty_label_set_is_refused() -> None:
    with pytest.raises(LabelError, match="at least one class of 'celebamask-hq'"):
        FACES.label_set([])


def test_equal_vocabularies_in_another_order_map_by_name() -> None:
    mapping = FACES.mapping_to(PARSING)
    assert not mapping.identity and not mapping.dropped
    for value, name in enumerate(FACES.names):
        assert PARSING.names[mapping.table[value]] == name
    back = PARSING.mapping_to(FACES)
    assert [back.table[mapping.table[v]] for v in range(19)] == list(range(19))
    assert FACES.mapping_to(FACES).identity


def test_mapping_joins_by_alias_and_reports_what_is_renamed_and_dropped() -> None:
    mapping = FACES.mapping_to(ATR)
    pairs = dict(mapping.pairs)
    assert pairs["skin"] == "face" and pairs["eye_g"] == "sunglasses" and pairs["cloth"] == "upper-clothes"
    assert pairs["background"] == "background"
    assert "neck" in mapping.dropped and mapping.table[FACES.index("neck")] == ATR.background_index
    report = mapping.report()
    assert report["from"] == "celebamask-hq" and report["to"] == "atr" and report["dropped_become"] == "background"
    text = mapping.describe()
    assert "skin -> face" in text and "becomes background" in text and "neck" in text


def test_without_background_dropped_classes_have_no_target() -> None:
    mapping = space_of("a", "b").mapping_to(space_of("b", "c"))
    assert mapping.table == (-1, 0) and mapping.dropped == ("a",)


def test_backgrounds_of_different_names_are_joined() -> None:
    mapping = space_of("void", "sky", background="void").mapping_to(space_of("sky", "other", background="other"))
    assert mapping.pairs == (("void", "other"), ("sky", "sky")) and mapping.table == (1, 0)


def test_spaces_that_share_only_a_background_do_not_map() -> None:
    street = space_of("background", "road", "car", background="background", name="street")
    with pytest.raises(
        LabelError, match=r"'street' and 'celebamask-hq' have no class in common \(background, road, car against"
    ):
        street.mapping_to(FACES)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: space_of("a", "b", "a"), "occur twice: a"),
        (lambda: space_of(), "no classes"),
        (lambda: space_of("a", background="b"), "background 'b' is not one"),
        (lambda: numbered_space(256), "at most 255"),
    ],
)
def test_impossible_spaces_are_refused(make: Any, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        make()


def test_numbered_space_has_distinct_colours_and_the_voc_palette() -> None:
    space = numbered_space(151, background=True)
    assert space.names[150] == "label_150" and space.background == "label_0"
    assert len(set(space.palette)) == 151
    assert space.palette[:4] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))


@pytest.mark.parametrize("name", names())
def test_json_form_round_trips(name: str) -> None:
    space = label_space(name)
    assert parse_space(json.loads(json.dumps(space.to_json())), "here") == space


def test_a_users_file_gives_a_space(tmp_path: Path) -> None:
    path = tmp_path / "pets.json"
    classes = [
        "none",
        {"name": "l_paw", "color": [9, 8, 7], "mirror": "r_paw", "aliases": ["paw"], "colors": [[1, 1, 2]]},
        "r_paw",
    ]
    path.write_text(json.dumps({"name": "pets", "background": "none", "ignore": True, "classes": classes}))
    space = load_space(path)
    assert space.names == ("none", "l_paw", "r_paw") and space.ignore and space.mirror_pairs == ((1, 2),)
    assert (
        space.palette[:2] == ((0, 0, 0), (9, 8, 7))
        and space.classes[1].colors == ((1, 1, 2),)
        and space.index("paw") == 1
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable JSON"),
        ("[1]", "expected"),
        (
            '{"classes": [{"color": [1, 2, 3]}, {"name": "a", "color": [1, 2]}]}',
            r"class 0 has no name; class 1 \(a\): a color is three",
        ),
        ('{"classes": [{"name": "a", "color": 7}]}', "a color is three integers 0..255, got 7"),
        ('{"classes": [{"name": "a", "color": [1, 2, 256]}]}', "a color is three integers"),
        ('{"classes": [{"name": "a", "aliases": "bc"}]}', "aliases are a list of names, got 'bc'"),
        ('{"classes": [{"name": "a", "mirror": "z"}]}', "No class 'z'"),
        ('{"classes": [{"name": "a", "mirror": "b"}, "b", {"name": "c", "mirror": "b"}]}', "mirror of two others"),
        ('{"classes": ["a"], "background": "b"}', "background 'b'"),
    ],
)
def test_a_faulty_file_is_refused_with_its_faults(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(LabelError, match=message):
        load_space(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"Cannot read the label space .*No such file"):
        load_space(tmp_path / "none.json")
    with pytest.raises(LabelError, match="Cannot read the label space"):
        load_space(tmp_path)
