"""onnxruntime-web for the static page: what npm brings is what was pinned, or nothing is kept."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from zoo.errors import DataError, UsageError
from zoo.web import runtime as module
from zoo.web.runtime import FILES, runtime


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program of that name, the only one there is."""
    folder.mkdir(exist_ok=True)
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")


def archive(path: Path, content: bytes) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name in FILES:
            info = tarfile.TarInfo(f"package/dist/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_a_given_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lacks ort\.wasm"):
        runtime(tmp_path, print)
    for name in FILES:
        (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(UsageError, match="another sha256"):
        runtime(tmp_path, print)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
def test_what_npm_brings(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another archive, a failure and a missing npm are said in a line, and the cache stays empty; the right files come once."""
    said: list[str] = []
    archive(tmp_path / "other.tgz", b"other")
    npm(tmp_path / "bin", monkeypatch, f"cp {tmp_path}/other.tgz onnxruntime-web.tgz")
    with pytest.raises(DataError, match="is not what it was"):
        runtime(None, said.append)
    npm(tmp_path / "bin", monkeypatch, "echo 404 not found >&2; exit 1")
    with pytest.raises(DataError, match="404 not found"):
        runtime(None, said.append)
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="npm is not installed"):
        runtime(None, said.append)
    assert not cache.exists() or not [p for p in cache.iterdir() if p.is_dir()]

    import base64
    import hashlib

    content = (tmp_path / "other.tgz").read_bytes()
    monkeypatch.setattr(module, "INTEGRITY", f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}")
    monkeypatch.setattr(module, "FILES", dict.fromkeys(FILES, hashlib.sha256(b"other").hexdigest()))
    npm(tmp_path / "bin", monkeypatch, f"cp {tmp_path}/other.tgz onnxruntime-web.tgz")
    folder = runtime(None, said.append)
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    npm(tmp_path / "bin", monkeypatch, "exit 1")
    assert runtime(None, said.append) == folder  # from the cache
    assert said and all("onnxruntime-web" in text for text in said)
