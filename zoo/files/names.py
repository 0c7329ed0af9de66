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
_BREAK = re.compile(r"[\t\n\r\u2028\u2029]")
_WORDS, _LINE = 300, 1200
_WORD = re.compile(rf"[^\s/]{{{_WORDS + 1},}}")


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
    """Text for a terminal: control characters, which could move the cursor or change what was said, as escapes (`\\x1b`)."""
    return _CONTROL.sub(_escape, text)


def is_printable(text: str) -> bool:
    """No control characters, line ends and tabs included. (Halves, which stand for bytes of a file's name, pass.)"""
    return _BREAK.search(text) is None and all("\ud800" <= control <= "\udfff" for control in _CONTROL.findall(text))


def printable_json(text: str) -> str:
    """The same for a JSON document, where they stand in strings only: escaped, so that nothing is lost."""
    return _CONTROL.sub(lambda control: f"\\u{ord(control[0]):04x}", text)


def one_line(text: str, longest: int = 300) -> str:
    """A stranger's name or text within a line: escaped, line ends and tabs too, and shortened in its middle."""
    head = text if len(text) <= 2 * longest else f"{text[:longest]}…{text[-longest:]}"
    return _shortened(_BREAK.sub(_escape, printable(head)), longest)


def brief(text: str) -> str:
    """A message whose over-long words and lines (a name of 100,000 letters) are shortened in their middle."""
    return "\n".join(
        _shortened(_WORD.sub(lambda word: _shortened(word[0], _WORDS), line), _LINE) for line in text.split("\n")
    )


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest * 2 // 3]}…{text[-(longest // 4) :]}"


def _escape(control: re.Match[str]) -> str:
    code = ord(control[0])
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
