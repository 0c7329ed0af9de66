"""What an error says of the call, in the words of the command line: `mask_space="atr"` is `--mask-space atr` here."""

from __future__ import annotations

import re

from zoo.errors import ASKED, ZooError

RENAMED = {
    "architecture": "--as",
    "branch": "--revision",
    "changes": "--set",
    "folder": "--out",
    "source": "--from",
    "target": "--to",
    "where": "--to",
}
"""Arguments whose flags have other names, besides those of a request, which says its own (`Request`)."""


def with_flags(told: ZooError | str) -> str:
    """The text of an error, or a text with the same marks, with a flag for each argument that it names."""
    return ASKED.sub(_flag, str(told.args[0]) if isinstance(told, ZooError) and told.args else str(told))


def flag(argument: str) -> str:
    """The flag of an argument of the Python functions."""
    from zoo.composition.request.requests import FLAGS

    return FLAGS.get(argument) or RENAMED.get(argument) or f"--{argument.replace('_', '-')}"


def _flag(asked: re.Match[str]) -> str:
    name, value = asked.groups()
    return flag(name) if value is None else f"{flag(name)} {_plain(value)}"


def _plain(value: str) -> str:
    """A Python value as one types it: a text without quotes, `{"key": "value"}` as key=value."""
    value = value.replace('", variant="', "/")  # --as ARCH/VARIANT says both
    key, colon, rest = value.strip("{}").partition(": ")
    pair = value.startswith("{") and colon
    return f"{_bare(key)}={_bare(rest)}" if pair else _bare(value)


def _bare(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
