"""The one judge of label maps: are the numbers in the order that they are said to be in? No torch in here.

It is asked by `zoo mask inspect`, by every command that is given maps (their `trust_maps` says yes without a question), by
`zoo data check` and before training, and speaks with one voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.files.mapfiles import MapFile, read_by_colors
from zoo.files.mapguess import SUBJECTS, Guess, Reading, best_of, part_names, readings
from zoo.files.palettes import palette_matches, used_colors, voc_palette
from zoo.labels import LabelSpace

ENOUGH, DOUBTFUL = 8, 0.85
"""Rules of a face, and the share of them that hold, with which a map that nobody has said anything of is no person's."""


@dataclass(frozen=True)
class Verdict:
    """Why a map is not in the order of the space that it is taken for.

    refused: False for a mere doubt. taken: the space that it was taken for. why: a clause. space: the order that it is in, if
    that is to be named; None for numbers that are off, turned pictures and doubts.
    """

    refused: bool
    taken: str
    why: str
    space: str | None = None

    def about(self, where: str, argument: str = "mask_space") -> str:
        """The whole as sentences, with what to do. where: the file; argument: how the call names the maps' label space."""
        do = f'Say <<{argument}="{self.space}">>; if' if self.space else "If"
        return f"{where} was taken for a map of {self.taken}, but {self.why}. {do} it is right as it stands, <<trust_maps>>."


def judge_file(file: MapFile, space: LabelSpace, known: Sequence[LabelSpace]) -> Verdict | None:
    """What speaks against a file as a map of `space`, its palette first; None also for colours that name the classes."""
    if file.values is None:
        return None
    if file.palette is not None:
        if named_by_colors(file, space):
            return None
        other = foreign_palette(file, space, known)
        if other is not None:
            return Verdict(True, space.name, f"its palette shows the colours of {other}", other)
    return judge(file.values, space, known)


def named_by_colors(file: MapFile, space: LabelSpace) -> bool:
    """True of a palette file whose colours say what its classes in `space` are."""
    if file.palette is None:
        return False
    if palette_matches(file, space):
        return not (space.voc_colored or max(used_colors(file), default=0) == 0)
    return read_by_colors(file, space)


def foreign_palette(file: MapFile, space: LabelSpace, known: Sequence[LabelSpace]) -> str | None:
    """Another label space whose own colours the palette shows at their own numbers, while this one's are others."""
    if palette_matches(file, space) or voc_palette(file) or len(file.tally) <= 2:
        return None
    return next(
        (
            other.name
            for other in known
            if other.name != space.name
            and not other.voc_colored
            and len(set(other.palette)) == len(other)
            and palette_matches(file, other)
        ),
        None,
    )


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
        held = own.asked - len(own.faults)
        why = f"only {held} of {own.asked} rules of where its parts lie hold, so its numbers may be in another order"
        return Verdict(False, space.name, why + odd(own.faults[:3], space.name))
    return None


def _against(guess: Guess, own: Reading | None, space: LabelSpace) -> Verdict | None:
    if guess.offset:
        return Verdict(
            True, space.name, f"by where its parts lie, {off_by_one(guess)}" + odd(guess.faults, "as it stands")
        )
    if guess.space != space.name and space.name not in guess.also:
        faults = own.faults[:4] if own is not None else ()
        orders = " or ".join((guess.space, *guess.also))
        why = f"by where its parts lie, its numbers are in the order of {orders}" + odd(faults, space.name)
        return Verdict(True, space.name, why, guess.space)
    if guess.turn:
        return Verdict(False, space.name, f"by where its parts lie, the picture {turned(guess.turn)}")
    return None


def off_by_one(guess: Guess) -> str:
    """A clause on numbers that are all off."""
    high = guess.offset > 0
    return (
        f"its numbers are all one too {'high' if high else 'low'}: {'subtract' if high else 'add'} 1, and they are in the"
        f" order of {guess.space}"
    )


def turned(turn: int) -> str:
    """How a picture lies that so many quarter turns to the left bring upright."""
    return {1: "lies on its right side", 2: "is upside down", 3: "lies on its left side"}[turn]


def odd(faults: Sequence[str], where: str) -> str:
    """What would be odd in some reading, in brackets; nothing for no faults."""
    if not faults:
        return ""
    return f" ({where if where == 'as it stands' else f'in {where}'}, {', '.join(faults[:4])})"


def inspected(values: np.ndarray, known: Sequence[LabelSpace]) -> Guess | None:
    """The order of a map that nobody has said anything of: faces first, then people, each among its own orders."""
    kinds = {s.name: named[0] for s in known if (named := part_names(s)) is not None}
    spaces = [s for s in known if s.name in kinds and s.name in kinds[s.name].orders]
    found = readings(values, spaces)
    subjects = [[r for r in found if kinds[r.space] is subject] for subject in SUBJECTS]
    guesses = [(i, guess) for i, own in enumerate(subjects) if (guess := best_of(own, spaces)) is not None]
    if len(guesses) != 1:
        return None
    place, guess = guesses[0]
    # a face of few parts may pass for a person in some order
    earlier = (r for own in subjects[:place] for r in own)
    return None if any(r.asked >= ENOUGH and r.share >= DOUBTFUL for r in earlier) else guess
