"""One process at a time on a folder: the system's own lock on a small file, which ends with its process however that ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import stat
import sys
import time
import weakref
from pathlib import Path

from zoo.errors import DataError, UsageError
from zoo.files.jsonfiles import field, parse_json
from zoo.files.writing import cannot_write, hidden_beside

LOCK = ".zoo-lock"
"""The lock of a folder, inside it."""
_MARK = '{"zoo": "lock"'
_LONGEST = 4096
_UNKNOWN = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
"""What file systems say that know no locks."""
_FAR = 1 << 30
"""The byte that is locked on Windows, where nobody can read what is locked."""


class Lock:
    """Held from its making until `release`, the end of a `with` block, or the end of the object or process; then its file goes.

    A file that a killed process left holds no lock. Where the file system knows no locks there is none, as before there were any.
    """

    def __init__(self, path: Path, *, what: Path, way_out: str = "") -> None:
        """path: the file. what: what it guards, for the messages. way_out: what else a user can do, with a blank before it.

        Raises DataError if another process (or thread) holds it or it cannot be written, UsageError if something else lies there.
        """
        self.path, self.what, self._way_out = path, what, way_out
        descriptor = self._acquire()
        self._end = weakref.finalize(self, _release, descriptor, path, os.getpid())

    def _acquire(self) -> int:
        while True:
            try:
                descriptor = _open(self.path)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise UsageError(f"{self.path} is a link, and no lock of the zoo: remove it.") from error
                raise cannot_write(self.path, error, self._way_out) from error
            try:
                holder = self._content(descriptor)
                if not _take(descriptor):
                    raise DataError(f"{self.what} is being written by {_who(holder)}: wait for it.{self._way_out}")
                if not _is_at(descriptor, self.path):  # its last holder took it away in between
                    os.close(descriptor)
                    continue
                _write(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor

    def _content(self, descriptor: int) -> bytes:
        facts = os.fstat(descriptor)
        content = os.read(descriptor, _LONGEST) if stat.S_ISREG(facts.st_mode) else b""
        ours = not content or content.startswith(_MARK.encode())
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1 or not ours:
            raise UsageError(f"{self.path} is no lock of the zoo: remove it, or rename it.")
        return content

    def release(self) -> None:
        """Let others in; does nothing the second time."""
        self._end()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def folder_lock(folder: Path, way_out: str = "") -> Lock:
    """The lock of a folder that is there, inside it. Raises as `Lock`."""
    return Lock(folder / LOCK, what=folder, way_out=way_out)


def name_lock(target: Path, way_out: str = "") -> Lock:
    """The lock of a file or folder that is still to be made, beside it. Raises as `Lock`."""
    return Lock(hidden_beside(target, LOCK), what=target, way_out=way_out)


def remove_left(path: Path) -> None:
    """Remove the file of a lock that nobody holds any more, as a killed process leaves it; whatever keeps it there is no matter."""
    if not os.path.lexists(path):
        return
    with contextlib.suppress(UsageError, DataError):
        Lock(path, what=path).release()


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    return os.open(path, flags, 0o644)


def _take(descriptor: int) -> bool:
    """Whether the lock is ours now."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _UNKNOWN
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _write(descriptor: int) -> None:
    """Say who holds it; a full disk keeps nobody from holding it."""
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    text = json.dumps({"zoo": "lock", "pid": os.getpid(), "host": socket.gethostname(), "since": since})
    try:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text.encode())
    except OSError:
        pass


def _who(content: bytes) -> str:
    """The holder in words."""
    try:
        told = parse_json(content, where="lock")
        pid, host = field(told, "pid", int, where="lock"), field(told, "host", str, where="lock")
        return f"process {pid} on {host[:80]} since {field(told, 'since', str, where='lock')[:40]}"
    except DataError:  # it has only just begun
        return "another process"


def _release(descriptor: int, path: Path, owner: int) -> None:
    if os.getpid() != owner:  # a copy of the process, which holds nothing
        return
    try:
        if _is_at(descriptor, path):
            path.unlink()  # while it is ours: who opened it before sees that it is gone
    except OSError:
        pass
    os.close(descriptor)
    try:
        if sys.platform == "win32":  # where an open file cannot be removed
            path.unlink()
    except OSError:
        pass
