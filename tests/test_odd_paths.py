"""`#`, `=` and `@` in the names of files and folders, and terminals of narrow code pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.composition.request.written import parse_edit, parse_style
from zoo.data.specs import parse_spec, path_and_options


def test_a_folder_that_is_there_wins_over_a_split(tmp_path: Path) -> None:
    folder = tmp_path / "C#1"
    folder.mkdir()
    assert parse_spec(f"folder:{folder}") == ("folder", str(folder), None)
    assert parse_spec(f"folder:{folder}#train") == ("folder", str(folder), "train")
    assert parse_spec(f"folder:{folder}#") == ("folder", str(folder), None)
    assert parse_spec(f"folder:{tmp_path / 'C'}#1") == ("folder", str(folder), None)
    assert parse_spec(f"humanparsing:{folder},aspect=1") == ("humanparsing", f"{folder},aspect=1", None)
    assert parse_spec(f"humanparsing:{folder},aspect=1#val") == ("humanparsing", f"{folder},aspect=1", "val")
    (tmp_path / "C").mkdir()
    assert parse_spec(f"folder:{tmp_path / 'C'}#train") == ("folder", str(tmp_path / "C"), "train")
    assert parse_spec(f"folder:{tmp_path / 'D'}#2") == ("folder", str(tmp_path / "D"), "2")


def test_a_folder_named_like_an_option(tmp_path: Path) -> None:
    (tmp_path / "a,aspect=1").mkdir()
    spec = parse_spec(f"humanparsing:{tmp_path / 'a,aspect=1'}")
    assert path_and_options(spec, ("aspect",)) == (str(tmp_path / "a,aspect=1"), {})
    spec = parse_spec(f"humanparsing:{tmp_path / 'a,aspect=1'},aspect=2")
    assert path_and_options(spec, ("aspect",)) == (str(tmp_path / "a,aspect=1"), {"aspect": "2"})


def test_a_photo_that_is_there_wins_over_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1").mkdir()
    (tmp_path / "lr=1" / "me.jpg").touch()
    (tmp_path / "me@2").touch()
    whole = parse_style("lr=1/me.jpg")
    assert (whole.classes, whole.source.path) == (None, "lr=1/me.jpg")
    assert parse_style("lr=1/me.jpg::m.png").source.mask == "m.png"
    part = parse_style("hair=lr=1/me.jpg")
    assert (part.classes, part.source.path) == (("hair",), "lr=1/me.jpg")
    assert parse_style("lr=2/me.jpg").classes == ("lr",)
    assert parse_edit("interpolate:hair=me@2").other == "me@2"
    assert parse_edit("interpolate:hair=you@1").value == 1


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8"])
def test_narrow_code_pages(tmp_path: Path, encoding: str) -> None:
    def run(*arguments: str) -> bytes:
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run([sys.executable, "-m", "zoo", *arguments], env=environment, capture_output=True)
        assert done.returncode == 0 and b"Error" not in done.stderr, done.stderr
        return done.stdout

    space = tmp_path / "ｓｐ😀.json"
    space.write_text(json.dumps({"name": "ｓｐ", "classes": [{"name": "é😀", "color": [0, 0, 0]}]}), "utf-8")
    text = run("labels", str(space)).decode(encoding)
    assert ("é😀" if encoding == "utf-8" else "\\U0001f600") in text
    assert json.loads(run("labels", str(space), "--json").decode(encoding))["classes"][0]["name"] == "é😀"
    assert run("list").decode(encoding).startswith("MODEL")
