"""A folder of shards, here or behind an fsspec URL: names, sizes, bytes. No torch."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from zoo.errors import DataError, UsageError, ZooError
from zoo.files.jsonfiles import BYTES, parse_json

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://")
_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")
MOST_NAMES = 1_000_000
"""That braces may stand for."""


def is_url(text: str) -> bool:
    """Whether a place is a URL (`s3://`, `hf://`, `memory://`, …) and no path."""
    return _URL.match(text) is not None


def expanded(text: str) -> list[str]:
    """What `{000..012}` (as many digits as the first number has) and `{a,b}` stand for, as in shells; a name that is there stays.

    Raises UsageError for more than `MOST_NAMES`.
    """
    if not is_url(text) and os.path.exists(text):
        return [text]
    found = [text]
    while any(_BRACES.search(name) for name in found):
        found = [name for unexpanded in found for name in _one_brace(unexpanded, text)]
        if len(found) > MOST_NAMES:
            raise UsageError(f"{text} stands for more than {MOST_NAMES:,} names.")
    return found


def _one_brace(name: str, text: str) -> list[str]:
    match = _BRACES.search(name)
    if match is None:
        return [name]
    if match[3] is not None:
        inner = match[3].split(",")
    else:
        first, last = int(match[1]), int(match[2])
        if last - first >= MOST_NAMES:
            raise UsageError(f"{text} stands for more than {MOST_NAMES:,} names.")
        inner = [f"{n:0{len(match[1])}d}" for n in range(first, last + 1)]
    return [name[: match.start()] + i + name[match.end() :] for i in inner]


@dataclass(frozen=True)
class Place:
    """A folder. base: its path, or its URL without a slash at the end."""

    base: str

    @property
    def local(self) -> Path | None:
        """The folder on this machine, None behind a URL."""
        if self.base.startswith("file://"):
            return Path(self.base.removeprefix("file://"))
        return None if is_url(self.base) else Path(self.base)

    @cached_property
    def _remote(self) -> tuple[Any, str]:
        import fsspec

        with told(self.base):
            return fsspec.core.url_to_fs(self.base)

    def at(self, name: str) -> str:
        """A file of the folder, as messages name it."""
        return f"{self.base}/{name}"

    def sizes(self) -> dict[str, int]:
        """The files that lie here, with their bytes. Raises DataError for a folder that is not there or cannot be listed."""
        local = self.local
        if local is not None:
            if not local.is_dir():
                raise DataError(
                    f"{local} is a file, expected a folder." if local.exists() else f"There is no folder {local}."
                )
            with told(self.base), os.scandir(local) as entries:
                # a link could lead anywhere
                return {e.name: e.stat().st_size for e in entries if e.is_file(follow_symlinks=False)}
        system, path = self._remote
        with told(self.base):
            listed = system.ls(path, detail=True, refresh=True)
        return {str(e["name"]).rsplit("/", 1)[-1]: int(e["size"] or 0) for e in listed if e["type"] == "file"}

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A file of the folder, to be read from its begin. Raises DataError."""
        local = self.local
        with told(self.at(name)), contextlib.ExitStack() as stack:
            if local is not None:
                yield stack.enter_context((local / name).open("rb"))
            else:
                system, path = self._remote
                yield stack.enter_context(system.open(f"{path}/{name}", "rb"))

    def json(self, name: str, what: str) -> dict[str, Any]:
        """A file of JSON, an object at its top. Raises DataError, as for one of more than 64 MiB."""
        with self.open(name) as file:
            content = file.read(BYTES + 1)
        return parse_json(content, where=self.at(name), what=what)

    def __getstate__(self) -> dict[str, Any]:
        return {"base": self.base}  # connections are made anew in another process

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "base", state["base"])


@contextmanager
def told(where: str) -> Iterator[None]:
    """Whatever a file system raises becomes one DataError that names the place."""
    try:
        yield
    except ZooError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"There is nothing at {where}.") from error
    except ImportError as error:  # a file system that is an own package: s3fs, gcsfs
        raise DataError(f"{where} cannot be opened: {error}.") from error
    except Exception as error:
        words = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{where} cannot be read: {words[:300]}.") from error
