"""Files that appear complete or not at all, and what is said where one cannot be written. No torch at import.

Temporary names lie beside the target, as `.NAME.<16 hex digits>.part`: random, so that they are nobody's, and of one form, so that
what a killed process left is known again.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from zoo.errors import DataError

_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{16}\.part", re.DOTALL)
_LONGEST = 255
"""Bytes that a name may have on common file systems."""
_RUST = re.compile(r"\(os error (\d+)\)")
"""How safetensors, which is no Python, ends its texts."""
_WORDS = {
    errno.ENOSPC: "the disk is full",
    getattr(errno, "EDQUOT", -1): "your quota on this disk is used up",
    errno.EFBIG: "the file would become larger than this disk or your limits allow",
    errno.EROFS: "the disk is read-only",
}


# --- temporary names ----------------------------------------------------------------------------------------------


def temporary_beside(target: Path) -> Path:
    """A name beside `target` that nothing has: `.NAME.<16 random hex digits>.part` (a long NAME is cut)."""
    return hidden_beside(target, f".{secrets.token_hex(8)}.part")


def hidden_beside(target: Path, ending: str) -> Path:
    """`.NAME` and `ending` beside `target`; a NAME that would become too long is cut."""
    name = target.name
    while name and len(os.fsencode(f".{name}{ending}")) > _LONGEST:
        name = name[:-1]
    return target.with_name(f".{name}{ending}")


def temporary_of(name: str) -> str | None:
    """The NAME that a temporary file or folder of ours stands for; None for any other name."""
    matched = _TEMPORARY.fullmatch(name)
    return matched[1] if matched else None


# --- writing ------------------------------------------------------------------------------------------------------


def write_atomic(path: Path, write: Callable[[Path], object], *, way_out: str = "") -> None:
    """Call `write(temporary path)` and rename the result to `path`; on any failure nothing is left behind.

    A link at `path` is replaced, not followed. way_out: the end of the message. Raises DataError if the folder or file cannot be
    written.
    """
    part = temporary_beside(path)
    try:
        write(part)
        part.chmod(0o666 & ~umask())  # some writers make private files
        os.replace(part, path)
    except OSError as error:
        raise cannot_write(path, error, way_out) from error
    finally:
        with suppress(OSError):  # a folder that is gone or read-only by now, which has been told
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomic(path, lambda part: part.write_text(text, encoding="utf-8"))


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file in one write, or begin it; a file that has other names (hard links) becomes one of its own first.

    Raises DataError for a link, for what is no ordinary file, and where it cannot be written.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        with open(path, "ab", buffering=0, opener=lambda name, _: os.open(name, flags, 0o666)) as file:
            facts = os.fstat(file.fileno())
            if facts.st_nlink == 1 and stat.S_ISREG(facts.st_mode):
                _all(file, content, facts.st_size)
                return
        if not stat.S_ISREG(facts.st_mode):
            raise DataError(f"{path} is no ordinary file: nothing is written to it.")
        write_atomic(path, lambda part: part.write_bytes(path.read_bytes() + content))
    except OSError as error:
        raise cannot_write(path, error) from error


def _all(file: FileIO, content: bytes, size: int) -> None:
    """All of it or nothing: a full disk takes the first bytes and says no to the others only. size: of the file before."""
    view = memoryview(content)
    try:
        while view:
            view = view[file.write(view) or 0 :]
    except OSError:
        os.ftruncate(file.fileno(), size)
        raise


def umask() -> int:
    """The permissions that new files lack."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


# --- what is said -------------------------------------------------------------------------------------------------


def reason(error: BaseException, path: Path | None = None) -> str:
    """Why something could not be written, in plain words: a full disk is called a full disk, whoever reports it.

    path: what was to be written; where its folder is gone, that is the reason.
    """
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    number = getattr(error, "errno", None)
    if number is None and (told := _RUST.search(text)):
        number, text = int(told[1]), os.strerror(int(told[1]))
    if number == errno.ENOENT and path is not None and not os.path.isdir(path.parent):
        return f"the folder {path.parent} is gone"
    return f"{_WORDS[number]} ({text})" if number in _WORDS else text


def is_full(error: BaseException) -> bool:
    """Whether an error tells of a disk that takes no more, or nothing at all."""
    return isinstance(error, OSError) and error.errno in _WORDS


def cannot_write(path: Path, error: BaseException, way_out: str = "") -> DataError:
    """The error of a file or folder that cannot be written. way_out: what to do next, with a blank before it."""
    return DataError(f"Cannot write {path}: {reason(error, path)}.{way_out}")


@contextmanager
def told(path: Path, way_out: str = "") -> Iterator[None]:
    """Make every OSError of the block a DataError that names its file (`path` where it has none)."""
    try:
        yield
    except OSError as error:
        name = error.filename if isinstance(error.filename, str | os.PathLike) else path
        raise cannot_write(Path(name), error, way_out) from error
