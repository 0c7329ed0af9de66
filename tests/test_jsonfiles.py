"""The one reader of strangers' JSON: what it takes, and the line that it gives for what it does not take."""

import os

import pytest

from zoo.errors import DataError, WeightsError
from zoo.files.jsonfiles import field, parse_json, read_json


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not readable JSON"),
        (b"\xff\xfe{}", "not readable JSON"),
        (b"[1, 2]", "expected an object, got \\[1, 2\\]"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not readable JSON"),
        (b'{"a": ' + b"[" * 80 + b"]" * 80 + b"}", "nested deeper than 64"),
        (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested"),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path, content, said):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=said) as caught:
        read_json(path, error=WeightsError, what="a manifest")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_none(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "absent", tmp_path / "a\0b"):
        with pytest.raises(DataError):
            read_json(path)
    big = tmp_path / "big"
    big.write_bytes(b" " * 101)
    with pytest.raises(DataError, match="101 bytes"):
        read_json(big, limit=100)


def test_a_name_that_stands_twice_in_what_people_write(tmp_path):
    path = tmp_path / "sets.json"
    path.write_text('{"sets": [{"labels": ["skin"], "labels": ["hair"]}]}')
    with pytest.raises(DataError, match='"labels" stands twice in one object'):
        read_json(path, by_hand=True)
    assert read_json(path) == {"sets": [{"labels": ["hair"]}]}


def test_right_files_are_read(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": [1, 2.5, null, true]}')
    assert read_json(path) == {"a": [1, 2.5, None, True]}
    nested = "[" * 60 + "]" * 60
    assert parse_json(nested, list, where="here")


def test_fields_are_of_their_type():
    values = {"n": 3, "on": True, "none": None}
    assert field(values, "n", int, where="w") == 3 and field(values, "n", float, where="w") == 3
    assert field(values, "none", str, None, where="w") is None
    assert field(values, "absent", int, where="w", default=7) == 7
    for name, kinds in (("on", (int,)), ("n", (str, None)), ("none", (int,)), ("absent", (int,))):
        with pytest.raises(DataError, match=name):
            field(values, name, *kinds, where="w")
