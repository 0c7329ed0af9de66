"""Names that strangers give, in cards, listings and on command lines: which may be a repository, a revision, a file."""

from __future__ import annotations

import re

_REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?/[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PART = re.compile(r'[^\x00-\x1f\x7f-\x9f/\\:*?"<>|]+')
_LONGEST = 200
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 (but tab and newline) and C1 controls, those that turn the direction of writing, and halves that no encoding has."""


def is_repository(text: str) -> bool:
    """OWNER/REPO as the Hub takes it."""
    fits = _REPOSITORY.fullmatch(text) is not None and len(text) <= 96
    return fits and ".." not in text and "--" not in text and not text.endswith(".git")


def is_revision(text: str) -> bool:
    """A branch, a tag or a commit id."""
    return _REVISION.fullmatch(text) is not None and ".." not in text and len(text) <= _LONGEST


def is_name(text: str) -> bool:
    """A model's, an architecture's or a table entry's: does in `GEN+SYN`, `ARCH/VARIANT`, `NAME:PATH`, `distribution:name`."""
    return _NAME.fullmatch(text) is not None and len(text) <= _LONGEST


def is_inside(name: str) -> bool:
    """A file of a folder, by its relative name with `/`: one that leads nowhere else, on any system."""
    parts = name.split("/")
    return len(name) <= _LONGEST and all(_PART.fullmatch(p) and p.strip(" .") for p in parts)


def printable(text: str) -> str:
    """Text for a terminal: control characters, which could move the cursor or change what was said, become `?`."""
    return _CONTROL.sub("?", text)


def printable_json(text: str) -> str:
    """The same for a JSON document, where they stand in strings only: escaped, so that nothing is lost."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
