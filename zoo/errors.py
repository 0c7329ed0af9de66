"""Every error that a user can meet. Each says what was wrong, what was got and what to do next."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

ASKED = re.compile(r"<<([a-z_]+)(?:=(.*?))?>>")
"""An argument of the call in an error's text: `<<labels>>`, `<<labels="skin,hair">>`, `<<n=2>>`, `<<options={"steps": "20"}>>`."""

_LONGEST = 200
"""Characters of the longest text that is compared with names."""


def plain(text: str) -> str:
    """A text with marks as in errors, without the brackets: in the words of a Python call."""
    return ASKED.sub(lambda asked: asked[0][2:-2], text)


class ZooError(Exception):
    """Base of all errors raised on purpose; the command line prints it in one block and exits with `exit_code`.

    A text names what the caller wrote as `<<argument>>` or `<<argument=value>>`, the value as in Python. `str` leaves the
    brackets out; the command line turns the whole into its flag (`zoo.cli.flags`). To raise it as another class, or to put
    it into another error, take `args[0]`, which keeps the brackets.
    """

    exit_code = 1

    def __str__(self) -> str:
        return plain(super().__str__())


class UsageError(ZooError):
    """The call itself is wrong (an argument, an option, a combination)."""

    exit_code = 2


class LabelError(ZooError):
    """A label, a label space or a value in a map does not exist or does not fit."""


class ConfigError(ZooError):
    """A config has unknown, missing or ill-typed fields; the message lists all of them."""


class WeightsError(ZooError):
    """A model folder is missing, damaged, or holds another architecture."""


class DataError(ZooError):
    """A picture, a map or a data set cannot be read."""


class PluginError(ZooError):
    """A plugin could not be loaded; names its distribution, version and the reason."""


class Cancelled(ZooError):
    """Raise it in a `progress` callback to stop a long call."""

    exit_code = 130


class ToldElsewhere(ZooError):
    """This process of several stops because of what another one tells: the command line prints nothing for it."""

    def __init__(self, exit_code: int = 1) -> None:
        super().__init__("Stopped by another process of this run, which says why.")
        self.exit_code = exit_code


def shown(text: object, most: int = 60) -> str:
    """A value from a file in a message: its `repr`, a text as it is but on one line, cut at `most` characters."""
    plain_text = text if isinstance(text, str) and text.isprintable() else repr(text)
    return plain_text if len(plain_text) <= most else f"{plain_text[: most - 1]}…"


def few(names: Sequence[str], count: int = 4) -> str:
    """The first of a list for a message: `"a, b, … 7 in all"`."""
    return ", ".join(shown(name, 200) for name in names[:count]) + (
        f", … {len(names)} in all" if len(names) > count else ""
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'a' or 'b'?"` with at most three near misses, or an empty string."""
    known = list(known)
    if len(name) > _LONGEST:  # no name, and slow to compare
        return ""
    folded = {k.casefold(): k for k in known}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.6)
    if not close:
        return ""
    return "; did you mean " + " or ".join(repr(folded[c]) for c in close) + "?"
