"""Harmless things beside weights are read as inert stand-ins; whatever could run is refused by name, in both formats of torch."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import os
import pathlib
import pickle
import sys
import tarfile
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures_models import Ran
from official_files import parser_state
from torch import _utils

from zoo.checkpoints.extras import StandIn, dict_classes
from zoo.checkpoints.identify import identify
from zoo.checkpoints.reading import read_checkpoint
from zoo.errors import WeightsError


class Config(collections.OrderedDict[str, Any]):
    """As a training script has one."""


class Settings(dict[str, Any]):
    """The same of dict."""


class Reduced:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


EXTRAS: dict[str, tuple[Any, str]] = {
    "float64": (np.float64(0.25), "a number of numpy"),
    "float32": (np.float32(0.25), "a number of numpy"),
    "int64": (np.int64(3), "a number of numpy"),
    "bool": (np.bool_(True), "a number of numpy"),
    "array": (np.arange(6.0).reshape(2, 3), "an array of numpy"),
    "random state": (np.random.RandomState(0).get_state(), "a list"),
    "namespace": (argparse.Namespace(lr=1e-4, name="x", nested=argparse.Namespace(a=[1])), "an argparse.Namespace"),
    "simple namespace": (types.SimpleNamespace(a=1), "a types.SimpleNamespace"),
    "path": (pathlib.PurePosixPath("/data/celeba"), "a pathlib.PurePosixPath"),
    "this path": (pathlib.Path("data"), "Path"),
    "windows": (Reduced(pathlib.WindowsPath, "C:\\", "data"), "WindowsPath"),
    "pure windows": (pathlib.PureWindowsPath("C:/data"), "PureWindowsPath"),
    "time": (datetime.datetime(2020, 1, 2), "a datetime.datetime"),
}  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", list(EXTRAS))
def test_a_harmless_extra_is_left_out_and_named(name: str, legacy: bool, tmp_path: Path) -> None:
    file = tmp_path / "it.pth"
    extra, what = EXTRAS[name]
    content = {"state_dict": parser_state(), "extra": extra}
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(pickle.UnpicklingError):  # the loader alone does not read it
        torch.load(file, weights_only=True)
    report = identify(file, data=True)
    assert [n.candidates[0].architecture for n in report.named] == ["face-parser"]
    ((entry, kind),) = report.ignored
    assert entry == "extra" and what in kind
    assert torch.equal(report.named[0].tensors["final.weight"], parser_state()["final.weight"])


@pytest.mark.parametrize("legacy", [False, True])
def test_dicts_of_other_classes_are_read_as_dicts(legacy: bool, tmp_path: Path) -> None:
    state = parser_state()
    several: collections.defaultdict[str, Any] = collections.defaultdict(list, {"net": Config(state)})
    for number, content in enumerate((Config(state), Settings(net=Config(state)), several, Config(a=Settings(state)))):
        file = tmp_path / f"{number}.pth"
        torch.save(content, file, _use_new_zipfile_serialization=not legacy)
        (network,) = identify(file, data=True).named
        assert list(network.tensors) == list(state), number
        assert all(torch.equal(v, state[k]) for k, v in network.tensors.items())


def test_nothing_that_a_file_names_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes are made in a module that can be imported then, and leaves a trace if it is."""
    (tmp_path / "trapped.py").write_text(
        f"import collections, pathlib\npathlib.Path({str(tmp_path / 'witness')!r}).touch()\n"
        "class Config(collections.OrderedDict):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import trapped  # pyright: ignore[reportMissingImports]

    torch.save(trapped.Config(net=parser_state()), tmp_path / "it.pth")
    (tmp_path / "witness").unlink()
    del sys.modules["trapped"]
    content = read_checkpoint(tmp_path / "it.pth").content
    assert type(content) is collections.OrderedDict and set(content) == {"net"}
    assert "trapped" not in sys.modules and not (tmp_path / "witness").exists()


def test_stand_ins_keep_what_they_are_given_and_leave_the_process_as_it_was(tmp_path: Path) -> None:
    before = torch.serialization.get_safe_globals()
    torch.save({"a": argparse.Namespace(lr=3), "p": pathlib.PurePosixPath("a/b")}, tmp_path / "it.pth")
    content = read_checkpoint(tmp_path / "it.pth").content
    assert all(isinstance(v, StandIn) for v in content.values())
    assert content["a"].state == {"lr": 3} and content["p"].given == ("a", "b")
    assert set(torch.serialization.get_safe_globals()) == set(before)


def trap(witness: Path) -> None:
    """What a hostile file would call."""
    witness.touch()


def test_what_others_allowed_in_this_process_does_not_count(tmp_path: Path) -> None:
    file, witness = tmp_path / "it.pth", tmp_path / "witness"
    torch.save({"net": parser_state(), "x": Reduced(trap, str(witness))}, file)
    with torch.serialization.safe_globals([trap]), pytest.raises(WeightsError, match=r"imports \S*\.trap\. "):
        read_checkpoint(file)
    assert not witness.exists()


HARMFUL: dict[str, Callable[[str], Any]] = {
    "system": lambda w: Reduced(os.system, f"touch {w}"),
    "in a namespace": lambda w: argparse.Namespace(x=Reduced(os.system, f"touch {w}")),
    "in a path": lambda w: Reduced(pathlib.PurePosixPath, Reduced(os.system, f"touch {w}")),
    "as a factory": lambda w: Reduced(collections.defaultdict, Reduced(os.system, f"touch {w}")),
    "in a dict's class": lambda w: Config(a=Reduced(os.system, f"touch {w}")),
    "touch": lambda w: Reduced(pathlib.Path.touch, Reduced(pathlib.PosixPath, w)),
    "mkdir": lambda w: Reduced(os.mkdir, w),
    "trap": lambda w: Reduced(trap, w),
    "numpy": lambda w: Reduced(np.save, w, 3),
    "memmap": lambda w: Reduced(np.memmap, w, "uint8", "w+", 0, (3,)),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", list(HARMFUL))
def test_harmful_names_are_refused_in_one_line(
    name: str, legacy: bool, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    file, witness = tmp_path / "it.pth", tmp_path / "witness"
    content = {"net": parser_state(), "best": np.float64(3), "x": HARMFUL[name](str(witness))}
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    ran = run("identify", file)
    assert ran.code == 1 and ran.out == "" and ran.err.count("\n") == 1
    assert "would run code; it imports " in ran.err and "Namespace" not in ran.err and "float64" not in ran.err
    assert not list(tmp_path.glob("witness*"))


def test_a_function_that_gets_items_is_no_dict() -> None:
    """Names are taken for dicts only where they are called with nothing, are always used so, and are nobody's we know."""
    filled = b"\x80\x02c%s\n%s\n)R(X\x01\x00\x00\x00aK\x01u."
    assert dict_classes(io.BytesIO(filled % (b"mine", b"Config")), 1) == {"mine.Config"}
    for module, name in ((b"os", b"getcwd"), (b"posix", b"getcwd"), (b"builtins", b"dict"), (b"torch.hub", b"list")):
        assert not dict_classes(io.BytesIO(filled % (module, name)), 1)
    called = b"\x80\x02(cmine\nConfig\n)R(X\x01\x00\x00\x00aK\x01ucmine\nConfig\nX\x01\x00\x00\x00a\x85Rt."
    assert not dict_classes(io.BytesIO(called), 1)
    alone = b"\x80\x02cmine\nrun\n)R."
    assert not dict_classes(io.BytesIO(alone), 1) and not dict_classes(io.BytesIO(b"u" * 9), 1)


# --- claims -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("data", [False, True])
def test_tensors_larger_than_their_file_are_refused(legacy: bool, data: bool, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pth", tmp_path / "bad.pth"
    torch.save({"w": torch.zeros(7, 11)}, good, _use_new_zipfile_serialization=not legacy)
    shape = b"K\x07K\x0b\x86"  # (7, 11) becomes (2**28, 11): 11 GB
    wide = b"J\x00\x00\x00\x10K\x0b\x86"
    if legacy:
        assert good.read_bytes().count(shape) == 1
        bad.write_bytes(good.read_bytes().replace(shape, wide))
    else:
        with zipfile.ZipFile(good) as old, zipfile.ZipFile(bad, "w", zipfile.ZIP_STORED) as new:
            for entry in old.namelist():
                new.writestr(entry, old.read(entry).replace(shape, wide))
    with pytest.raises(WeightsError, match=r"damaged|larger|hostile"):
        read_checkpoint(bad, data=data)


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    torch.save(parser_state(), tmp_path / "good.pth")
    with zipfile.ZipFile(tmp_path / "good.pth") as old, zipfile.ZipFile(tmp_path / "bad.pth", "w", zipfile.ZIP_DEFLATED) as new:  # fmt: skip
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))
    with pytest.raises(WeightsError, match="compressed archive"):
        read_checkpoint(tmp_path / "bad.pth")


# --- packages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("name", ["data.pkl", "cos\nsystem\n.pkl", "x.pth"])
def test_a_tar_with_a_pickle_is_called_a_tar(mode: Any, name: str, tmp_path: Path) -> None:
    file, witness = tmp_path / "it.tar", tmp_path / "witness"
    data = pickle.dumps(Reduced(os.system, f"touch {witness}"), 0)
    with tarfile.open(file, mode) as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    with pytest.raises(WeightsError, match="is a tar archive") as caught:
        read_checkpoint(file)
    assert "would run code" not in str(caught.value) and not witness.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_files_of_two_kinds_at_once(legacy: bool, tmp_path: Path) -> None:
    """A tar whose first name begins as a file of old torch, and an old file with an archive behind it: neither is taken for the other."""
    file, witness = tmp_path / "it.pth", tmp_path / "witness"
    if legacy:
        torch.save({"x": Reduced(os.system, f"touch {witness}")}, file, _use_new_zipfile_serialization=False)
        good = io.BytesIO()
        torch.save(parser_state(), good)
        file.write_bytes(file.read_bytes() + good.getvalue())
        words = r"imports \w+\.system"
    else:
        torch.save(3, file, _use_new_zipfile_serialization=False)
        name = file.read_bytes()[:20].decode("latin-1")
        with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as tar:
            tar.addfile(tarfile.TarInfo(name))
        assert file.read_bytes()[:20] == name.encode("latin-1")
        words = "is a tar archive"
    with pytest.raises(WeightsError, match=words):
        read_checkpoint(file)
    assert not witness.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_odd_sizes_end_in_an_error(legacy: bool, tmp_path: Path) -> None:
    file = tmp_path / "it.pth"
    shape = torch.Size([1 << 30, 1 << 20])
    odd = {
        "bytes": Reduced(bytearray, 1 << 62),
        "tensor": Reduced(torch.FloatTensor, 1 << 28),
        "wrapper": Reduced(_utils._rebuild_wrapper_subclass, torch.Tensor, torch.float32, shape, (1, 1), 0, torch.strided, torch.device("cpu"), False),
        "meta": Reduced(_utils._rebuild_meta_tensor_no_storage, torch.float32, shape, (1, 1), False),
        "key": Reduced(collections.Counter, 3),
    }  # fmt: skip
    for name, value in odd.items():
        torch.save({"net": parser_state(), "x": value}, file, _use_new_zipfile_serialization=not legacy)
        for data in (False, True):
            try:
                read_checkpoint(file, data=data)
            except WeightsError:
                continue
            assert name in ("wrapper", "meta"), name
            identify(file, data=data)


def test_other_packing_is_named(tmp_path: Path) -> None:
    import bz2
    import gzip

    for name, module in (("gzip", gzip), ("bzip2", bz2)):
        (tmp_path / name).write_bytes(module.compress(pickle.dumps([1, 2, 3])))
        with pytest.raises(WeightsError, match=rf"is compressed \({name}\)"):
            read_checkpoint(tmp_path / name)


def test_no_text_tells_people_to_unpickle_without_protection() -> None:
    root = Path(__file__).parents[1]
    files = [*root.glob("zoo/**/*.py"), *root.glob("plugins/**/*.py"), *root.glob("docs/**/*.md"), *root.glob("*.md")]
    assert len(files) > 50
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "weights_only=False" not in text and "jit.load" not in text, file
