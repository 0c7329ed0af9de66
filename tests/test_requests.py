"""EDIT, STYLE and SOURCE as they are written, and what makes a request wrong usage."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from zoo.composition.request.requests import (
    EditSpec,
    Request,
    StyleSource,
    StyleSpec,
    layer_names,
    parse_edit,
    parse_source,
    parse_style,
    split_composition,
    split_names,
)
from zoo.errors import UsageError

FIVE = ("1/32", "1/16", "1/8", "1/4", "1/2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("add:hat", EditSpec("add", ("hat",))),
        ("add:hat, eye_g", EditSpec("add", ("hat", "eye_g"))),
        ("remove:hat", EditSpec("remove", ("hat",))),
        ("redraw:hair", EditSpec("redraw", ("hair",))),
        ("perturb:nose", EditSpec("perturb", ("nose",))),
        ("perturb:nose=0.5", EditSpec("perturb", ("nose",), 0.5)),
        ("perturb:nose,hair=-2", EditSpec("perturb", ("nose", "hair"), -2.0)),
        ("interpolate:hair=b.png", EditSpec("interpolate", ("hair",), None, "b.png")),
        ("interpolate:hair=b.png@0.25", EditSpec("interpolate", ("hair",), 0.25, "b.png")),
        ("interpolate:hair=b.png@1", EditSpec("interpolate", ("hair",), 1.0, "b.png")),
        ("interpolate:hair=me@home/b.png", EditSpec("interpolate", ("hair",), None, "me@home/b.png")),
        ("interpolate:hair=me@home/b.png@.5", EditSpec("interpolate", ("hair",), 0.5, "me@home/b.png")),
    ],
)
def test_edits(text: str, expected: EditSpec) -> None:
    assert parse_edit(text) == expected
    assert parse_edit(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prior", StyleSource("prior")),
        ("mean", StyleSource("mean")),
        ("seed:0", StyleSource("seed", seed=0)),
        ("seed:12", StyleSource("seed", seed=12)),
        ("look.safetensors", StyleSource("file", "look.safetensors")),
        ("me.jpg", StyleSource("photo", "me.jpg")),
        ("photos/me", StyleSource("photo", "photos/me")),
        ("me.jpg::map.png", StyleSource("photo", "me.jpg", "map.png")),
    ],
)
def test_sources(text: str, expected: StyleSource) -> None:
    assert parse_source(text) == expected
    assert parse_source(str(expected)) == expected


def test_styles() -> None:
    assert parse_style("prior") == StyleSpec(StyleSource("prior"))
    assert parse_style("hair=seed:3") == StyleSpec(StyleSource("seed", seed=3), ("hair",))
    assert parse_style("hair, hat@deep=me.jpg") == StyleSpec(StyleSource("photo", "me.jpg"), ("hair", "hat"), ("deep",))
    assert parse_style("hair@1,middle=mean") == StyleSpec(StyleSource("mean"), ("hair",), ("1", "middle"))
    for text in ("prior", "hair=seed:3", "hair,hat@deep=me.jpg", "hair@1,middle=mean"):
        assert str(parse_style(text)) == text


@pytest.mark.parametrize(
    ("parse", "text", "part"),
    [
        (parse_edit, "", "expected add:C"),
        (parse_edit, "redrw:hair", "did you mean 'redraw'"),
        (parse_edit, "hair", "Unknown edit"),
        (parse_edit, "redraw", "names no class"),
        (parse_edit, "redraw:", "names no class"),
        (parse_edit, "redraw: , ", "names no class"),
        (parse_edit, "redraw:hair=2", "takes no value"),
        (parse_edit, "perturb:nose=", "expected a number"),
        (parse_edit, "perturb:nose=much", "got 'much'"),
        (parse_edit, "perturb:nose=nan", "finite"),
        (parse_edit, "perturb:nose=inf", "finite"),
        (parse_edit, "interpolate:hair", "names no other map"),
        (parse_edit, "interpolate:hair=", "names no other map"),
        (parse_edit, "interpolate:hair=b.png@1.5", "between 0 (keep) and 1 (swap)"),
        (parse_edit, "interpolate:hair=b.png@-1", "between 0 (keep) and 1 (swap)"),
        (parse_source, "", "Not a style source"),
        (parse_source, "seed:", "whole number"),
        (parse_source, "seed:-1", "whole number"),
        (parse_source, "seed:1.5", "whole number"),
        (parse_source, "priro", "did you mean 'prior'"),
        (parse_source, "::map.png", "Not a style source"),
        (parse_source, "me.jpg::", "Not a style source"),
        (parse_style, "=prior", "names no class"),
        (parse_style, "hair@=prior", "names no class or layer"),
        (parse_style, "hair@0=prior", "from 1"),
        (parse_style, "hair@depe=prior", "did you mean 'deep'"),
    ],
)
def test_wrong_texts(parse: Callable[[str], object], text: str, part: str) -> None:
    with pytest.raises(UsageError, match=re.escape(part)):
        parse(text)


def test_layers_divide_as_clvaes_five_do() -> None:
    assert layer_names(None, FIVE) is None
    assert layer_names(("shallow",), FIVE) == FIVE[:2]
    assert layer_names(("middle",), FIVE) == FIVE[2:3]
    assert layer_names(("deep", "1"), FIVE) == (FIVE[0], *FIVE[3:])
    with pytest.raises(UsageError, match="no style layer 6"):
        layer_names(("6",), FIVE)
    with pytest.raises(UsageError, match="no layers"):
        layer_names(("1",), ())


EDIT = (EditSpec("redraw", ("hair",)),)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"n": -3}, "got -3"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"labels": ()}, "label set is empty"),
        ({"labels": ("skin",), "masks": ("a.png",)}, "labels with maps"),
        ({"labels": ("skin",), "photos": ("a.jpg",)}, "labels with maps or photos"),
        ({"edits": EDIT}, "edits needs a map"),
        ({"masks": ("a.png",), "keep_rest": True}, "keep_rest needs edits"),
        ({"masks": ("a.png",), "keep": ("hair",)}, "keep needs photos"),
        ({"instances": "i.png"}, "instances needs exactly one map (maps)"),
        ({"masks": ("a.png", "b.png"), "instances": "i.png"}, "instances needs exactly one map (maps)"),
        ({"masks": ("a.png", "b.png"), "photos": ("a.jpg",)}, "got 1 and 2"),
        ({"style_to": StyleSource("mean")}, "give n=2 or more"),
        ({"n": 2, "style_to": StyleSource("mean"), "same_style": True}, "leave same_style out"),
        ({"prior": "uniform"}, "prior must be fitted or normal"),
    ],
)
def test_requests_that_no_model_can_answer(fields: dict, part: str) -> None:
    with pytest.raises(UsageError, match=re.escape(part)):
        Request(**fields)


def test_all_faults_of_a_request_come_together() -> None:
    with pytest.raises(UsageError) as caught:
        Request(n=0, seed=-1)
    assert "n must" in str(caught.value) and "seed must" in str(caught.value)


def test_compositions_and_names() -> None:
    assert split_composition("mask-vae+./run") == ("mask-vae", "./run")
    assert split_names(" skin, hair,,") == ("skin", "hair")
    for text in ("", "mask-vae", "mask-vae+", "+scgan", "a+b+c"):
        with pytest.raises(UsageError, match=r"GENERATOR\+SYNTHESIZER"):
            split_composition(text)
