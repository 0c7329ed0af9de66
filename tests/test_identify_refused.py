"""Files that `zoo identify` and `zoo convert` refuse: pickles that would run code are named, and nothing of them runs."""

from __future__ import annotations

import builtins
import collections
import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from official_files import parser_state

from zoo.checkpoints.reading import read_checkpoint
from zoo.checkpoints.refusals import globals_of
from zoo.errors import WeightsError


class Calls:
    """Pickles into a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def evil(witness: Path) -> dict[str, tuple[Calls, str]]:
    """Payloads that would make `witness`, and how the culprit is named."""
    name = os.system.__module__
    return {
        "system": (Calls(os.system, f"touch {witness}"), f"{name}.system"),
        "exec": (Calls(builtins.exec, f"open({str(witness)!r}, 'w')"), ".exec"),
        "eval": (Calls(builtins.eval, f"open({str(witness)!r}, 'w')"), ".eval"),
        "popen": (Calls(subprocess.Popen, ["touch", str(witness)]), ".Popen"),
        "open": (Calls(builtins.open, str(witness), "w"), ".open"),
        "getattr": (Calls(builtins.getattr, "text", "upper"), ".getattr"),
        "torch.save": (Calls(torch.save, {}, str(witness)), "torch.serialization.save"),
        "hub": (Calls(torch.hub.load, "nobody/nothing", "model"), "torch.hub.load"),
    }


@pytest.mark.parametrize("name", list(evil(Path("x"))))
@pytest.mark.parametrize("form", ["zip", "legacy", "plain 2", "plain 4"])
def test_malicious_pickles_are_named_and_not_run(name: str, form: str, tmp_path: Path) -> None:
    witness, file = tmp_path / "witness", tmp_path / "latest_net_G.pth"
    payload, culprit = evil(witness)[name]
    content = {**parser_state(), "hook": payload}
    if form.startswith("plain"):
        file.write_bytes(pickle.dumps({"fc.weight": [1.0], "hook": payload}, protocol=int(form[-1])))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(file)
    message = str(caught.value)
    assert (
        culprit in message and str(file) in message and "Nothing of it was run" in message and "safetensors" in message
    )
    assert not witness.exists()


def test_protocol_0_and_protocol_4_archives(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    payload = evil(witness)["system"][0]
    (tmp_path / "text.pth").write_bytes(pickle.dumps(payload, protocol=0))
    torch.save(payload, tmp_path / "four.pth", pickle_protocol=4)
    for name in ("text", "four"):
        with pytest.raises(WeightsError, match=r"imports \w+\.system"):
            read_checkpoint(tmp_path / f"{name}.pth")
    assert not witness.exists()


def test_an_archive_whose_pickle_was_replaced(tmp_path: Path) -> None:
    witness, good, bad = tmp_path / "witness", tmp_path / "good.pth", tmp_path / "bad.pth"
    torch.save(parser_state(), good)
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(bad, "w", zipfile.ZIP_STORED) as new:
        for entry in old.namelist():
            data = pickle.dumps(evil(witness)["exec"][0], 2) if entry.endswith("data.pkl") else old.read(entry)
            new.writestr(entry, data)
    with pytest.raises(WeightsError, match=r"\.exec"):
        read_checkpoint(bad)
    assert not witness.exists()


def test_both_commands_refuse_in_one_block(tmp_path: Path, run: Callable[..., Ran]) -> None:
    file, witness = tmp_path / "it.pth", tmp_path / "witness"
    torch.save({"state_dict": evil(witness)["popen"][0]}, file)
    for arguments in (("identify", file), ("identify", file, "--json"), ("convert", file, "--out", tmp_path / "out")):
        ran = run(*arguments)
        assert ran.code == 1 and ran.out == "" and ran.err.count("Error:") == 1 and ".Popen" in ran.err
    assert not witness.exists() and not (tmp_path / "out").exists()
    done = subprocess.run([sys.executable, "-m", "zoo", "identify", str(file)], capture_output=True, text=True)
    assert done.returncode == 1 and ".Popen" in done.stderr and "Traceback" not in done.stderr


def test_a_whole_pickled_module_is_refused_as_such(tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), tmp_path / "whole.pth")
    with pytest.raises(WeightsError, match=r"whole pickled module.*torch\.nn\.modules\.container\.Sequential"):
        read_checkpoint(tmp_path / "whole.pth")


def test_a_torchscript_archive_is_refused_as_such(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    torch.jit.save(torch.jit.trace(Net(), torch.zeros(1)), str(tmp_path / "script.pt"))
    with pytest.raises(WeightsError, match=r"TorchScript.*Ask its publisher for safetensors"):
        read_checkpoint(tmp_path / "script.pt")


def damaged(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that are no checkpoints, and what is said of them."""
    torch.save(parser_state(), folder / "whole.pth")
    torch.save(parser_state(), folder / "old.pth", _use_new_zipfile_serialization=False)
    whole, old = (folder / "whole.pth").read_bytes(), (folder / "old.pth").read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("notes.txt", "hello")
    contents = {
        "empty": (b"", "is empty"),
        "cut": (whole[: len(whole) // 2], "damaged or cut off"),
        "old cut": (old[: len(old) // 2], "damaged, cut off"),
        "text": (b"epoch 3, loss 0.5\n" * 9, "no checkpoint"),
        "numbers": (b"1234\n" * 9, "no checkpoint"),
        "page": (b"<!DOCTYPE html><html>quota exceeded</html>", "web page"),
        "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS pointer"),
        "archive": (buffer.getvalue(), "zip archive without a checkpoint"),
        "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "HDF5"),
        "list": (pickle.dumps([1, 2, 3]), "none of torch.save"),
        "safetensors": ((60).to_bytes(8, "little") + b'{"a":' + b" " * 60, "safetensors"),
        "random": (bytes(range(255, 0, -1)) * 9, "no checkpoint"),
    }
    found = {}
    for name, (content, words) in contents.items():
        (folder / f"{name}.pth").write_bytes(content)
        found[name] = folder / f"{name}.pth", words
    (folder / "folder").mkdir()
    return {**found, "folder": (folder / "folder", "is a folder"), "absent": (folder / "absent.pth", "no file")}


def test_damaged_and_foreign_files_are_told_apart(tmp_path: Path, run: Callable[..., Ran]) -> None:
    for name, (file, words) in damaged(tmp_path).items():
        ran = run("identify", file)
        assert ran.code == 1 and words in ran.err and str(file) in ran.err, (name, ran.err)


def test_globals_are_read_without_building_anything() -> None:
    assert globals_of(pickle.dumps(collections.OrderedDict, 2)) == ["collections.OrderedDict"]
    assert globals_of(pickle.dumps(collections.OrderedDict, 4)) == ["collections.OrderedDict"]
    twice = pickle.dumps([os.path.join, os.path.join, os.path.split], 4)
    assert globals_of(twice) == ["posixpath.join", "posixpath.split"] or os.name == "nt"
    assert globals_of(b"") == [] and globals_of(b"\xff\x00") == []
    assert globals_of(pickle.dumps(os.getcwd, 2)[:-1]) == [f"{os.getcwd.__module__}.getcwd"]
