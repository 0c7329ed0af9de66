"""Temporary names, links, locks, full disks: the rules by which every file and folder is written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from zoo.errors import DataError, UsageError, ZooError
from zoo.files.folders import whole_folder
from zoo.files.links import refuse_links
from zoo.files.locks import LOCK, folder_lock, name_lock
from zoo.files.writing import append, reason, temporary_beside, temporary_of, told, write_atomic, write_text
from zoo.store.vouching import is_model_file

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs links, limits and signals of POSIX")


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# --- temporary names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "of"),
    [
        (".x.0123456789abcdef.part", "x"),
        (".state.pt.0123456789abcdef.part", "state.pt"),
        ("x.part", None),
        (".x.part", None),
        ("x.0123456789abcdef.part", None),
        (".x.0123456789ABCDEF.part", None),
        (".x.0123456789abcde.part", None),
        ("x.123-456.part", None),
        (".x.0123456789abcdef.part.old", None),
    ],
)
def test_only_our_own_form_is_ours(name: str, of: str | None) -> None:
    assert temporary_of(name) == of


@pytest.mark.parametrize("name", ["x", "a b.png", "ü.json", "n" * 255, "ß" * 127])
def test_temporary_names_are_new_and_fit(name: str, tmp_path: Path) -> None:
    made = {temporary_beside(tmp_path / name) for _ in range(50)}
    assert len(made) == 50 and all(p.parent == tmp_path for p in made)
    write_text(tmp_path / name, "x")
    assert names(tmp_path) == [name]
    one = made.pop()
    one.touch()
    assert name.startswith(temporary_of(one.name) or "?")


def test_a_users_part_files_survive(tmp_path: Path) -> None:
    mine = ["x.part", ".x.part", f"x.{os.getpid()}-0.part", "x.old.part"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    write_text(tmp_path / "x", "ours")
    with pytest.raises(DataError):
        write_atomic(
            tmp_path / "y", lambda part: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
        )
    assert names(tmp_path) == sorted([*mine, "x"])
    assert all((tmp_path / name).read_text() == "mine" for name in mine)


# --- links --------------------------------------------------------------------------------------------------------


@posix
def test_a_file_is_put_in_the_place_of_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "soft").symlink_to(outside)
    os.link(outside, tmp_path / "hard")
    for name in ("soft", "hard"):
        write_text(tmp_path / name, "ours")
        assert (tmp_path / name).read_text() == "ours" and not (tmp_path / name).is_symlink()
    assert outside.read_text() == "mine"


@posix
def test_adding_to_a_file_changes_no_other(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine\n")
    os.link(outside, tmp_path / "hard")
    append(tmp_path / "hard", b"ours\n")
    append(tmp_path / "hard", b"again\n")
    assert (tmp_path / "hard").read_text() == "mine\nours\nagain\n" and outside.read_text() == "mine\n"
    (tmp_path / "soft").symlink_to(outside)
    os.mkfifo(tmp_path / "pipe")
    for name in ("soft", "pipe"):
        with pytest.raises(DataError, match=f"{name}"):
            append(tmp_path / name, b"ours\n")
    assert outside.read_text() == "mine\n"


@posix
@pytest.mark.parametrize("name", ["file", "folder/", "folder/inner", "folder/deep/inner"])
def test_links_are_refused_wherever_they_lie(name: str, tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside, inside):
        (folder / "folder/deep").mkdir(parents=True)
        for file in ("file", "folder/inner", "folder/deep/inner"):
            (folder / file).touch()
    refuse_links(inside, [name, "nothing", "nothing/at/all"])
    parts = name.rstrip("/").split("/")
    for depth in range(1, len(parts) + 1):
        place = inside.joinpath(*parts[:depth])
        place.rename(tmp_path / "aside")
        place.symlink_to(outside.joinpath(*parts[:depth]))
        with pytest.raises(UsageError, match=f"{place} is a link"):
            refuse_links(inside, [name])
        place.unlink()
        (tmp_path / "aside").rename(place)
    (inside / "odd").mkdir()
    with pytest.raises(UsageError, match="no ordinary file"):
        refuse_links(inside, ["odd"])


# --- full disks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "your quota on this disk is used up"),
        (OSError(errno.EFBIG, "File too large"), "the file would become larger than"),
        (OSError(errno.EROFS, "Read-only file system"), "the disk is read-only"),
        (OSError(errno.EACCES, "Permission denied"), "Permission denied"),
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "the disk is full",
        ),
        (OSError("no number"), "no number"),
        (RuntimeError("torch's own words"), "torch's own words"),
    ],
)
def test_a_full_disk_is_called_a_full_disk(error: Exception, words: str) -> None:
    assert words in reason(error)


def test_a_folder_that_vanished_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for write in (lambda: write_text(gone / "x", ""), lambda: append(gone / "x", b"")):
        with pytest.raises(DataError, match=f"Cannot write {gone / 'x'}: the folder {gone} is gone"):
            write()
    with pytest.raises(DataError, match=r"the folder .* is gone"), told(tmp_path):
        (gone / "x").open("w")


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from zoo.errors import DataError
from zoo.files.tensors import save_tensors
from zoo.files.writing import append, write_atomic
from zoo.training.runs import RunFolder

resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
folder = Path(sys.argv[1])
run = RunFolder(folder)
run.save_state({"small": torch.zeros(10)})
run.add_metrics({"step": 1})
for write in (
    lambda: write_atomic(folder / "file", lambda part: part.write_bytes(bytes(100_000))),
    lambda: append(folder / "metrics.jsonl", bytes(100_000)),
    lambda: save_tensors({"x": torch.zeros(100_000)}, folder / "x.safetensors"),
    lambda: run.save_state({"large": torch.zeros(100_000)}),
):
    try:
        write()
        print("written")
    except DataError as error:
        print(error)
assert run.load_state()["small"].shape == (10,)
assert run.metrics() == [{"step": 1}]
print(sorted(p.name for p in folder.iterdir()))
"""


@posix
def test_what_does_not_fit_leaves_what_was_there(tmp_path: Path) -> None:
    """Real limits on the size of files: one line, nothing half-written, the checkpoint before stays."""
    ran = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True)
    *lines, left = ran.stdout.splitlines()
    assert ran.returncode == 0 and len(lines) == 4, ran.stderr
    assert all(line.startswith("Cannot write ") and "would become larger" in line for line in lines), lines
    assert "The checkpoint before it is kept" in lines[3] and left == "['metrics.jsonl', 'state.pt']"


# --- locks --------------------------------------------------------------------------------------------------------


def test_one_at_a_time_and_who_it_is(tmp_path: Path) -> None:
    with folder_lock(tmp_path) as held:
        with pytest.raises(DataError, match=rf"is being written by process {os.getpid()} on .* since 20\d\d-.* UTC"):
            folder_lock(tmp_path)
        assert names(tmp_path) == [LOCK]
    assert names(tmp_path) == []
    held.release()  # the second time does nothing
    held = folder_lock(tmp_path)
    del held
    assert names(tmp_path) == []
    with name_lock(tmp_path / ("n" * 255)), pytest.raises(DataError, match="is being written"):
        name_lock(tmp_path / ("n" * 255))
    assert names(tmp_path) == []


HOLDER = """
import sys, time
from pathlib import Path
from zoo.files.locks import folder_lock
lock = folder_lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@posix
def test_a_killed_process_blocks_nobody(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(DataError, match=f"process {holder.pid} on"):
        folder_lock(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert names(tmp_path) == [LOCK]
    with folder_lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK).read_text()
    assert names(tmp_path) == []


@posix
@pytest.mark.parametrize("kind", ["file", "soft", "hard", "pipe", "folder"])
def test_what_is_no_lock_stays(kind: str, tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.write_text("mine")
    folder.mkdir()
    place = folder / LOCK
    make: dict[str, Callable[[], object]] = {
        "file": lambda: place.write_text("mine"),
        "soft": lambda: place.symlink_to(outside),
        "hard": lambda: os.link(outside, place),
        "pipe": lambda: os.mkfifo(place),
        "folder": lambda: place.mkdir(),
    }
    make[kind]()
    with pytest.raises(ZooError, match=LOCK):
        folder_lock(folder)
    assert outside.read_text() == "mine" and os.path.lexists(place)
    assert kind != "file" or place.read_text() == "mine"


# --- folders ------------------------------------------------------------------------------------------------------


def test_a_folder_takes_the_place_of_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "x"
    (tmp_path / "x.part").mkdir()
    (tmp_path / "x.part/mine").touch()
    (tmp_path / ".x.0123456789abcdef.part").mkdir()  # of a killed process
    (tmp_path / ".y.0123456789abcdef.part").mkdir()  # somebody is writing y
    with whole_folder(target) as part:
        (part / "ours").touch()
        with pytest.raises(DataError, match="is being written"), whole_folder(target):
            pass
    assert names(tmp_path) == [".y.0123456789abcdef.part", "x", "x.part"] and names(target) == ["ours"]
    with pytest.raises(DataError, match="has appeared"), whole_folder(target) as part:
        (part / "other").touch()
    assert names(target) == ["ours"] and names(tmp_path / "x.part") == ["mine"]


@posix
def test_what_a_user_put_into_a_model_folder_moves_on(tmp_path: Path) -> None:
    target, outside = tmp_path / "model", tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    (target / "notes/deep").mkdir(parents=True)
    (target / "assets").mkdir()
    for name in ("config.json", "old.safetensors", "assets/old.json", "notes.txt", "notes/deep/x"):
        (target / name).write_text("before")
    (target / "link").symlink_to(outside)
    with whole_folder(target, replaces=is_model_file) as part:
        (part / "config.json").write_text("now")
    left = {p.relative_to(target).as_posix() for p in target.rglob("*") if not p.is_dir()}
    assert left == {"config.json", "notes.txt", "notes/deep/x"} and (target / "config.json").read_text() == "now"
    assert os.readlink(target / "link") == str(outside) and (outside / "mine").read_text() == "mine"
    assert names(tmp_path) == ["model", "outside"]
    (tmp_path / "soft").symlink_to(outside)
    with pytest.raises(UsageError, match="is a link"), whole_folder(tmp_path / "soft", replaces=is_model_file):
        pass
    assert names(outside) == ["mine"]
