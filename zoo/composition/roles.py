"""Which kind of model stands where in a composition. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.errors import UsageError

ROLES = ("mask-generator", "image-synthesizer")
DIRECT = "image-generator"


def check_kind(wanted: str, found: str, source: str) -> None:
    """Raise UsageError for a model of the wrong kind."""
    if found != wanted:
        swapped = " (the generator comes first: GENERATOR+SYNTHESIZER)" if {found, wanted} <= set(ROLES) else ""
        a, b = (f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in (found, wanted))
        raise UsageError(f"{source} is {a}, and {b} is needed here{swapped}; see: zoo list --kind {wanted}")


def check_role(models: Sequence[Any], place: int, found: str, source: str) -> None:
    """`check_kind` of the generator (place 0) or the synthesizer (1) of a pair; an image generator stands alone in place 0.

    Raises UsageError.
    """
    if found != DIRECT:
        check_kind(ROLES[place], found, source)
    elif place == 1 or models[1] is not None:
        raise UsageError(
            f"{source} makes pictures straight from label sets: it makes and reads no maps, so it cannot be joined to another model."
            f" Use it alone (zoo generate {source} --labels C,C), or put a mask generator and a synthesizer together"
            " (zoo compose mask-vae+scgan)."
        )
