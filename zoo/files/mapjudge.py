"""The one judge of label maps: are the numbers in the order that they are said to be in? No torch in here.

It is asked by `zoo mask inspect`, by every command that is given maps (their `trust_maps` says yes without a question), by
`zoo data check` and before training, and speaks with one voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.files.mapguess import Guess, Reading, best_of, guess_order, part_names, readings
from zoo.labels import LabelSpace


@dataclass(frozen=True)
class Verdict:
    """Why a map is not in the order of the space that it is taken for.

    refused: False for a mere doubt. text: a sentence without the file's name and the full stop. space: the name of the order
    that it is in, if that is to be named; None for numbers that are off, turned pictures and doubts.
    """

    refused: bool
    text: str
    space: str | None = None

    def advice(self, argument: str = "mask_space") -> str:
        """The whole as sentences, with what to do; argument: how the call names the maps' label space."""
        do = f' Say <<{argument}="{self.space}">>; if' if self.space else " If"
        return f"{self.text}.{do} it is right as it stands, <<trust_maps>>."


def judge(values: np.ndarray, space: LabelSpace, known: Sequence[LabelSpace]) -> Verdict | None:
    """What speaks against numbers of a map in `space`; None where nothing does, or where nothing can be told.

    values: integers [H, W], as they stand in the file. known: registered label spaces, of which the same subject's orders are
    considered.
    """
    named = part_names(space)
    if named is None:
        return None
    subject = named[0]
    upright = readings(values, [space], turns=False)
    own = next((r for r in upright if not r.offset), None)
    if own is not None and own is upright[0] and own.score >= subject.enough and not own.faults:
        return None  # most maps: no other order could lead
    spaces = [space, *(s for s in known if s.name in subject.orders and s.names != space.names)]
    found = readings(values, spaces)
    guess = best_of(found, spaces)
    if guess is not None:
        return _against(guess, own, space)
    if own is not None and own.asked >= subject.asked and own.share < subject.few:
        return Verdict(False, _few(own, space))
    return None


def _against(guess: Guess, own: Reading | None, space: LabelSpace) -> Verdict | None:
    if guess.offset:
        high = guess.offset > 0
        fix = f"{'subtract' if high else 'add'} 1"
        order = f"the order of {guess.space}" if guess.space == space.name else f"{guess.space}, not {space.name}"
        return Verdict(
            True,
            f"by where its parts lie, its numbers are all one too {'high' if high else 'low'}: {fix} ({order} then)"
            + _odd(guess.faults, "as it stands"),
        )
    if guess.space != space.name and space.name not in guess.also:
        faults = own.faults[:4] if own is not None else ()
        orders = " or ".join((guess.space, *guess.also))
        return Verdict(
            True,
            f"by where its parts lie, its numbers are in the order of {orders}, not of {space.name}"
            + _odd(faults, f"in {space.name}"),
            guess.space,
        )
    if guess.turn:
        return Verdict(False, f"by where its parts lie, the picture {turned(guess.turn)}")
    return None


def turned(turn: int) -> str:
    """How a picture lies that so many quarter turns to the left bring upright."""
    return {1: "lies on its right side", 2: "is upside down", 3: "lies on its left side"}[turn]


def _few(own: Reading, space: LabelSpace) -> str:
    held = own.asked - len(own.faults)
    return (
        f"only {held} of {own.asked} rules of where the parts of {space.name} lie hold, so its numbers may be in another order"
        + _odd(own.faults[:3], f"in {space.name}")
    )


def _odd(faults: Sequence[str], where: str) -> str:
    return f" ({where}, {', '.join(faults[:4])})" if faults else ""


def inspected(values: np.ndarray, known: Sequence[LabelSpace]) -> Guess | None:
    """The order of a map that nobody has said anything of: faces first, then people, each among its own orders."""
    guesses = []
    for subject in {named[0].orders: named[0] for s in known if (named := part_names(s)) is not None}.values():
        own = [s for s in known if s.name in subject.orders]
        guess = guess_order(values, own)
        guesses += [] if guess is None else [guess]
    return guesses[0] if len(guesses) == 1 else None
