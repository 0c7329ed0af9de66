"""Places of this machine in a text that travels (cards, configs, recipe lines): found, and shortened to their last name. No torch."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HIDDEN = "DIR"
"""What stands for a place whose last name is itself private: somebody's home."""
HOMES = ("home", "Users", "users", "root")

_ADDRESS = re.compile(r"\b(?:https?|s3|gs|ftp)://\S+|\bhf://?\S+")
_QUOTED = re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|(?<!\w)\"[^\"\n]*\"(?!\w)")
_START = r"(?:~[\w.-]*[/\\]|(?<=[:=])~(?![\w. -])|\.\.[/\\]|file://+|[A-Za-z]:[/\\]+|/(?=[^\s/]|/\w)|\\\\(?=\w))"
_BEFORE = r"(?<![^\s'\"=:,;(\[{<`+|])"
_OPEN = re.compile(_BEFORE + _START + r"[^\s'\"`,;#=+|)\]}>]*")
"""A place that ends where white space does."""
_CLOSED = re.compile(_BEFORE + _START + r"[^'\"`,;#=+|]*")
"""A place inside quotation marks, where white space belongs to it."""


def public_text(text: str) -> str:
    """The text with every absolute, upward or home path as its last name: `folder:/home/me/faces#train` -> `folder:faces#train`.

    Addresses (https://…) stay, and so do relative paths.
    """
    return _outside(_ADDRESS, text, _places)


def public_command(arguments: Iterable[str]) -> str:
    """A command line of these words, as `public_text` has each; white space belongs to a place."""
    return shlex.join(_outside(_ADDRESS, word, lambda rest: _CLOSED.sub(_last_name, rest)) for word in arguments)


def private_paths(text: str) -> list[str]:
    """The places that `public_text` would shorten, in order."""
    seen: list[str] = []

    def note(match: re.Match[str]) -> str:
        seen.append(match[0])
        return ""

    _outside(_ADDRESS, text, lambda rest: _places(rest, note))
    return seen


def public_value(value: Any) -> Any:
    """`public_text` of every text in a value of JSON or YAML; keys stay."""
    if isinstance(value, str):
        return public_text(value)
    if isinstance(value, Mapping):
        return {key: public_value(inner) for key, inner in value.items()}
    return [public_value(inner) for inner in value] if isinstance(value, list | tuple) else value


def private_in(value: Any) -> list[str]:
    """`private_paths` of every text in a value of JSON or YAML."""
    if isinstance(value, str):
        return private_paths(value)
    inner = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [path for item in inner for path in private_in(item)]


def _places(text: str, shorten: Any = None) -> str:
    shorten = shorten or _last_name
    quoted = _outside_parts(_QUOTED, text)
    return "".join((_CLOSED if inside else _OPEN).sub(shorten, part) for part, inside in quoted)


def _last_name(match: re.Match[str]) -> str:
    parts = [p for p in re.split(r"[/\\]+", match[0].removeprefix("file:")) if p not in ("", ".")]
    name = parts[-1] if parts else HIDDEN
    above = parts[-2] if len(parts) > 1 else ""
    private = name in ("..", Path.home().name, *HOMES) or above in HOMES or name.startswith("~")
    return HIDDEN if private or re.fullmatch(r"[A-Za-z]:", name) else name


def _outside(pattern: re.Pattern[str], text: str, change: Any) -> str:
    """`change` of what `pattern` does not match; the rest as it is."""
    return "".join(part if inside else change(part) for part, inside in _outside_parts(pattern, text))


def _outside_parts(pattern: re.Pattern[str], text: str) -> list[tuple[str, bool]]:
    parts, end = [], 0
    for match in pattern.finditer(text):
        parts += [(text[end : match.start()], False), (match[0], True)]
        end = match.end()
    return [*parts, (text[end:], False)]
