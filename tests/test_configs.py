"""Configs: plain values in and out, text overrides read by type, and all faults in one message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from zoo.configs import coerce, from_dict, override, to_dict
from zoo.errors import ConfigError
from zoo.registry import registry


@dataclass(frozen=True)
class Sample:
    width: int = 64
    rate: float = 1e-4
    name: str = "x"
    flag: bool = False
    mode: Literal["sum", "mean"] = "sum"
    sizes: tuple[int, ...] = (1, 2)
    betas: tuple[float, float] = (0.0, 0.9)
    limit: float | None = None
    source: int | str = 3
    extra: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be 1 or more, got {self.width}")


@dataclass(frozen=True)
class Needs:
    path: str
    count: int = 1


def every_config() -> list[tuple[str, Any]]:
    found = []
    for name, arch in registry().architectures.items():
        found.append((name, registry().load(arch, "config")()))
        for key, variant in registry().load(arch, "variants").items():
            found += [(f"{name}/{key}", variant.config), (f"{name}/{key} training", variant.training)]
    return [(name, config) for name, config in found if config is not None]


@pytest.mark.parametrize(("name", "config"), every_config(), ids=lambda v: v if isinstance(v, str) else "")
def test_every_published_config_survives_json(name: str, config: Any) -> None:
    values = json.loads(json.dumps(to_dict(config)))
    assert from_dict(type(config), values, complete=True) == config


@pytest.mark.parametrize(("name", "config"), every_config(), ids=lambda v: v if isinstance(v, str) else "")
def test_every_field_can_be_given_as_text(name: str, config: Any) -> None:
    for field, value in to_dict(config).items():
        if not isinstance(value, dict):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            assert getattr(override(config, {field: text}), field) == getattr(config, field), field


def test_absent_fields_take_their_defaults_unless_all_are_demanded() -> None:
    assert from_dict(Sample, {"width": 8}) == Sample(width=8)
    with pytest.raises(ConfigError, match=r"missing field 'rate'.*missing field 'name'.*missing field 'extra'"):
        from_dict(Sample, {"width": 8}, complete=True)


def test_a_field_without_default_is_reported_when_absent() -> None:
    with pytest.raises(ConfigError, match=r"Needs: missing field 'path'\."):
        from_dict(Needs, {"count": 2})


def test_all_faults_come_in_one_message_with_the_place_and_near_misses() -> None:
    with pytest.raises(ConfigError) as caught:
        from_dict(
            Sample, {"widht": 1, "rate": "fast", "flag": "maybe", "mode": "max", "betas": [1]}, where="run/config.json"
        )
    text = str(caught.value)
    assert text.startswith("run/config.json: ")
    assert "unknown field 'widht'; did you mean 'width'?" in text
    assert "field 'rate': expected float, got 'fast'" in text
    assert "field 'flag': expected true or false, got 'maybe'" in text
    assert "field 'mode': expected one of 'sum', 'mean', got 'max'" in text
    assert "field 'betas': expected 2 values, got 1" in text


def test_a_configs_own_check_is_reported_as_a_config_error() -> None:
    with pytest.raises(ConfigError, match="Sample: width must be 1 or more, got 0"):
        override(Sample(), {"width": "0"})


def test_override_keeps_the_rest_and_the_original() -> None:
    before = Sample(name="kept")
    after = override(
        before, {"width": "8", "sizes": "4, 5,6", "betas": "(0.5, 1)", "limit": "2", "flag": "on", "mode": "mean"}
    )
    assert after == Sample(name="kept", width=8, sizes=(4, 5, 6), betas=(0.5, 1.0), limit=2.0, flag=True, mode="mean")
    assert before == Sample(name="kept")
    with pytest.raises(ConfigError, match="unknown field 'ngff'"):
        override(before, {"ngff": 1})


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("3", int, 3),
        ("1e-3", float, 1e-3),
        (2, float, 2.0),
        ("no", bool, False),
        ("True", bool, True),
        ("none", float | None, None),
        (None, float | None, None),
        ("0.5", float | None, 0.5),
        ("7", int | str, 7),
        ("seven", int | str, "seven"),
        ("", tuple[int, ...], ()),
        ("a,b", tuple[str, ...], ("a", "b")),
        ([[1, 2], [3]], tuple[tuple[int, ...], ...], ((1, 2), (3,))),
        ("2", Literal[1, 2], 2),
        ({"a": 1}, dict[str, int], {"a": 1}),
    ],
)
def test_coerce_reads_text_and_json_by_type(value: Any, kind: Any, expected: Any) -> None:
    found = coerce(value, kind)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("3.5", int),
        (True, int),
        (False, float),
        (1.0, int),
        ("x", float),
        (None, int),
        (1, bool),
        (3, str),
        (5, tuple[int, ...]),
        ("a", float | None),
        ([1], dict),
    ],
)
def test_coerce_refuses_what_does_not_fit(value: Any, kind: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        coerce(value, kind)
