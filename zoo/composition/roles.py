"""Which kind of model stands where in a composition. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.errors import UsageError
from zoo.registry import Architecture, registry
from zoo.registry.kinds import KINDS, Role, of_role

PAIR: tuple[Role, Role] = ("generator", "synthesizer")
"""The roles of `GENERATOR+SYNTHESIZER` by place."""


def stands_alone(kind: str) -> bool:
    """True for a kind that makes pictures in the generator's place, without maps."""
    return kind in of_role("alone")


def check_kind(wanted: Sequence[str], kind: str, source: str) -> None:
    """Raise UsageError for a model of none of the kinds `wanted`; the message names the first of them."""
    if kind in wanted:
        return
    needed = KINDS[wanted[0]]
    is_kind = KINDS[kind].with_article if kind in KINDS else f"a {kind}"
    swapped = kind in KINDS and {KINDS[kind].role, needed.role} == set(PAIR)
    hint = " (the generator comes first: GENERATOR+SYNTHESIZER)" if swapped else ""
    raise UsageError(
        f"{source} is {is_kind}, and {needed.with_article} is needed here{hint}; see: zoo list --kind {needed.name}"
    )


def kinds_at(place: int) -> tuple[str, ...]:
    """The kinds of model that may stand in place 0 (generator, or alone) or 1 (synthesizer) of a pair."""
    return of_role(PAIR[place], *(("alone",) if place == 0 else ()))


def serving(arch: Architecture, kinds: Sequence[str]) -> Architecture:
    """The architecture itself, or the one of these kinds as which its folders serve, too (`Architecture.also`)."""
    others = (registry().architectures.get(name) for name in arch.also)
    fitting = [a for a in (arch, *others) if a is not None and a.kind in kinds]
    return fitting[0] if fitting else arch


def check_role(models: Sequence[Any], place: int, kind: str, source: str) -> None:
    """`check_kind` of the generator (place 0) or the synthesizer (1) of a pair; an image generator stands alone in place 0.

    Raises UsageError.
    """
    if not stands_alone(kind):
        check_kind(of_role(PAIR[place]), kind, source)
    elif place == 1 or models[1] is not None:
        raise UsageError(
            f"{source} makes pictures straight from label sets: it makes and reads no maps, so it cannot be joined to another model."
            f" Use it alone (zoo generate {source} --labels C,C), or put a mask generator and a synthesizer together"
            " (zoo compose mask-vae+scgan)."
        )
