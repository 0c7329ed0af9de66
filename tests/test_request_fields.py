"""A request's fields are said once: what calls, command lines and manifests know of them follows."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from zoo.cli.compose import compose
from zoo.composition.folder.manifest import Inputs, request_from_json, request_to_json
from zoo.composition.request.requests import FIELDS, FLAGS, Request, read_request
from zoo.errors import DataError, UsageError

KEYS = [
    "n", "seed", "labels", "masks", "mask_names", "mask_space", "instances", "photos", "edits", "styles", "style_to", "keep",
    "keep_rest", "same_style", "prior", "options", "batch_size",
]  # fmt: skip
"""The request of a manifest of version 0.1.0."""


def full(inputs: Path) -> Request:
    face, other, photo = (str(inputs / n) for n in ("face.png", "other.png", "photo.png"))
    return read_request(
        {
            "n": 3, "seed": 5, "maps": [Path(face)], "photos": photo, "mask_space": "celebamask-hq", "instances": Path(other),
            "edits": ["perturb:nose=0.5", f"interpolate:hair={other}@0.25", "add:hat"],
            "style": ["prior", f"hair@deep={photo}::{face}", "nose@1,2=seed:3"], "style_to": f"{photo}", "keep": "hair,nose",
            "keep_rest": True, "same_style": None, "prior": "normal", "options": {"steps": 4}, "batch_size": 2,
        },
    )  # fmt: skip


def test_every_field_is_known_everywhere() -> None:
    assert [f.name for f in FIELDS] == [f.name for f in dataclasses.fields(Request) if f.name != "device"]
    assert [f.name for f in FIELDS if not f.later] == [k for k in KEYS if k != "mask_names"]
    options = {o: p.name for p in compose.params for o in p.opts}
    assert {flag: options[flag] for flag in FLAGS.values()} == {flag: name for name, flag in FLAGS.items()}
    call = set(inspect.signature(zoo.Composition.__call__).parameters) - {"self", "progress", "options"}
    assert call <= set(FLAGS)


def test_a_manifest_has_the_fields_of_0_1_0_and_gives_the_request_back(inputs: Path, tmp_path: Path) -> None:
    files = Inputs()
    request = full(inputs)
    values = request_to_json(request, files)
    assert list(values) == KEYS and values["mask_names"] == ["face.png"]
    assert values["edits"][0] == {"kind": "perturb", "classes": ["nose"], "value": 0.5, "other": None}
    assert values["styles"][2] == {
        "source": {"kind": "seed", "path": None, "mask": None, "seed": 3},
        "classes": ["nose"],
        "layers": ["1", "2"],
    }
    assert values["options"] == {"steps": 4} and values["masks"][0].startswith("inputs/")
    files.copy_to(tmp_path)
    again = request_from_json(values, tmp_path)
    assert request_to_json(again, Inputs()) == {**values, "mask_names": [Path(values["masks"][0]).name]}
    same = {"n", "seed", "labels", "mask_space", "keep", "keep_rest", "same_style", "prior", "options", "batch_size"}
    assert all(getattr(again, name) == getattr(request, name) for name in same)
    early = {k: v for k, v in values.items() if k not in ("options", "mask_names")}
    assert request_from_json(early, tmp_path, device="cuda") == dataclasses.replace(again, options=(), device="cuda")


def test_a_later_field_is_written_where_it_was_given(inputs: Path, tmp_path: Path) -> None:
    request = read_request({"maps": inputs / "face.png", "trust_maps": True})
    files = Inputs()
    values = request_to_json(request, files)
    files.copy_to(tmp_path)
    assert values["trust_maps"] is True and request_from_json(values, tmp_path).trust_maps
    with pytest.raises(DataError, match="trust_maps"):
        request_from_json({**values, "trust_maps": "yes"}, tmp_path)


def test_the_plain_request() -> None:
    values = request_to_json(Request(seed=7), Inputs())
    assert list(values) == KEYS and {k: v for k, v in values.items() if v not in (None, [], {}, False)} == {
        "n": 1,
        "seed": 7,
        "batch_size": 8,
    }
    assert request_from_json(values, Path()) == Request(seed=7)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"n": "3"}, "n: '3' is no int"),
        ({"n": True}, "n: True is no int"),
        ({"n": 0}, "n must be at least 1"),
        ({"seed": None}, "seed: None is no int"),
        ({"labels": "skin"}, "labels: 'skin' is no list of names"),
        ({"labels": [1]}, "is no list of names"),
        ({"masks": "a.png"}, "masks: 'a.png' is no list"),
        ({"masks": [3]}, "masks: 3 is no file name"),
        ({"mask_space": "celebamask-hq"}, "mask_space: manifest: expected"),
        ({"edits": [{"kind": "add"}]}, "edits: 'classes' is missing"),
        ({"edits": [{"kind": "paint", "classes": ["hat"], "value": None, "other": None}]}, "edits: no edit"),
        ({"styles": ["prior"]}, "styles: 'prior' is no JSON object"),
        ({"style_to": {"kind": "photo", "path": None, "mask": None, "seed": None}}, "style_to: no source of a style"),
        ({"keep_rest": 1}, "keep_rest: 1 is no bool"),
        ({"options": []}, "options: [] is no dict"),
        ({"colour": "red"}, "'colour' is no field of a request"),
        ({"batch_size": ...}, "batch_size is missing"),
    ],
)
def test_a_damaged_request_is_refused(change: dict[str, Any], part: str) -> None:
    values = {k: v for k, v in {**request_to_json(Request(), Inputs()), **change}.items() if v is not ...}
    with pytest.raises(DataError) as caught:
        request_from_json(values, Path("run"))
    assert part in str(caught.value) and "The manifest in run is incomplete or damaged (" in str(caught.value)


def test_no_request_at_all() -> None:
    for values in (None, [], "n"):
        with pytest.raises(DataError, match="no JSON object"):
            request_from_json(values, Path("run"))


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"n": "3"}, "n takes a whole number, got '3'"),
        ({"n": 2.5}, "n takes a whole number, got 2.5"),
        ({"seed": "five"}, "seed takes a whole number"),
        ({"labels": 3}, "labels takes class names, got 3"),
        ({"labels": [3]}, "labels takes class names, or label sets ("),
        ({"maps": 3}, "maps takes paths, got 3"),
        ({"edits": 3}, "edits takes edits, got 3"),
        ({"style": [3]}, "style takes styles, got [3]"),
        ({"style_to": 3}, "style_to takes a source of a style, got 3"),
        ({"mask_space": 3}, "mask_space takes a label space, got 3"),
        ({"prior": 3}, "prior takes a text, got 3"),
        ({"options": "steps"}, "options takes KEY=VALUE, got 'steps'"),
    ],
)
def test_values_of_the_wrong_type(given: dict[str, Any], part: str, pipe: zoo.Composition) -> None:
    with pytest.raises(UsageError) as caught:
        read_request(given)
    assert part in str(caught.value)
    with pytest.raises(UsageError, match=next(iter(given))):
        pipe(**given)


def test_texts_and_objects_are_read_alike(tmp_path: Path, inputs: Path) -> None:
    assert read_request({"labels": "skin, hair"}) == read_request({"labels": ["skin", "hair"]})
    assert read_request({"options": ("steps=4", "rule=a")}) == read_request({"options": {"steps": "4", "rule": "a"}})
    assert type(read_request({"n": np.int64(2)}).n) is int
    maps = {"maps": inputs / "face.png"}
    assert read_request({**maps, "style": "prior"}) == read_request({"maps": [str(maps["maps"])], "style": ("prior",)})
    mine = tmp_path / "mine.json"
    mine.write_text('{"name": "mine", "classes": ["a", "b"]}')
    found = read_request({**maps, "mask_space": str(mine)}).mask_space
    assert found.name == "mine" and read_request({**maps, "mask_space": mine}).mask_space == found
