"""Which numbering a map of a face or of people is in, told from where its parts lie. No torch in here.

Several orders of the same parts have the same numbers, so that a map in the wrong one is legal everywhere and wrong
everywhere: the nose lies above the eyes, the face is a leg. The same holds for maps whose numbers are all one too high or
too low.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from zoo.files import facerules, peoplerules
from zoo.files.geometry import Part, Rule, parts_of
from zoo.labels import IGNORE, LabelSpace

FACES = ("celebamask-hq", "face-parsing", "facer-celebm", "lapa")
"""The known orders of face parts."""
PEOPLE = ("atr", "lip", "cihp")
"""The known orders of clothes and body parts."""
OFFSETS = (0, 1, -1)


@dataclass(frozen=True)
class Subject:
    """What a map shows: its parts, its rules, and the limits of a claim, which `benchmarks/map_judge.py` measures.

    enough: rules (those that hold less those that do not) that must speak for a numbering. good: share of the rules that can
    be asked and that hold in the right numbering. margin: by how much it must lead all others. tilted: share of the rules that
    hold of heads which are tilted only, so that more speaks against a turn. few: share of the rules below which a map is odd
    in the numbering that it is said to be in; asked: rules that must have been asked for that.
    """

    names: tuple[str, ...]
    needed: tuple[str, ...]
    rules: tuple[Rule, ...]
    orders: tuple[str, ...]
    enough: float
    good: float
    margin: float
    tilted: float
    few: float
    asked: int


FACE = Subject(facerules.NAMES, ("skin", "nose"), facerules.RULES, FACES, 10, 0.9, 6, 0.8, 0.75, 12)
PERSON = Subject(peoplerules.NAMES, ("face", "upper-clothes"), peoplerules.RULES, PEOPLE, 10, 0.85, 8, 0.85, 0.8, 12)
SUBJECTS = (FACE, PERSON)


@dataclass(frozen=True)
class Guess:
    """space: the name of the label space; offset: what was added to its numbers (0, 1 or -1); faults: what would be odd
    about the map read as it stands in another space, or without taking the offset off; score and lead: rules; also: other
    spaces in which what the map shows has the same numbers, or all but one; turn: the quarter turns to the left that bring it
    upright (2 also where it is mirrored top to bottom); against: the space of the faults."""

    space: str
    offset: int
    faults: tuple[str, ...]
    score: float
    lead: float
    also: tuple[str, ...] = ()
    turn: int = 0
    against: str | None = None

    def to_json(self) -> dict[str, object]:
        """The form of `zoo mask inspect --json`."""
        return {
            "label_space": self.space,
            "offset": self.offset,
            "turn": self.turn,
            "also": list(self.also),
            "otherwise": list(self.faults),
            "score": round(self.score, 2),
            "lead": round(self.lead, 2),
        }


@dataclass(frozen=True)
class Reading:
    """The parts of a map in one numbering and turn: how many rules could be asked, and those that do not hold."""

    space: str
    offset: int
    turn: int
    numbers: frozenset[tuple[int, str]]
    asked: int
    faults: tuple[str, ...]

    @property
    def score(self) -> float:
        """Rules that hold minus rules that do not."""
        return float(self.asked - 2 * len(self.faults))

    @property
    def share(self) -> float:
        """Share of the rules that hold; 1 if none could be asked."""
        return 1 - len(self.faults) / self.asked if self.asked else 1.0


@cache
def part_names(space: LabelSpace) -> tuple[Subject, tuple[str | None, ...]] | None:
    """What the maps of a space show, and for each value the part's name in its rules; None for other subjects."""
    for subject in SUBJECTS:
        names = tuple(
            next((n for n in (c.name, *c.aliases, *_SAME.get(c.name, ())) if n in subject.names), None)
            for c in space.classes
        )
        if all(n in names for n in subject.needed) and len({n for n in names if n}) >= 8:
            return subject, names
    return None


_SAME = {"glasses": ("sunglasses",), "gloves": ("glove",), "clothes": ("cloth",)}
"""Names of public lists that our spaces know as aliases only."""


def readings(values: np.ndarray, spaces: Sequence[LabelSpace], *, turns: bool = True) -> list[Reading]:
    """The map in every numbering of the spaces in which its numbers are legal, best first.

    values: integers [H, W]. A number that is one too low may have left the background at 255, at 0 together with the first
    class, or behind the last class. turns: also as it would be turned, with no offset.
    """
    found = []
    named = [(space, *known) for space in spaces if (known := part_names(space)) is not None]
    for turn in range(4 if turns else 1) if named else ():
        parts = parts_of(np.rot90(values, turn))
        for offset in (0,) if turn else OFFSETS:
            for space, subject, names in named:
                shown = _shown(parts, space, names, offset)
                if shown is not None:
                    found.append(_reading(shown, subject, (space.name, offset, turn)))
    return sorted(found, key=lambda r: -r.score)


def _shown(
    parts: Mapping[int, Part], space: LabelSpace, names: Sequence[str | None], offset: int
) -> dict[int, tuple[str, Part]] | None:
    """The parts with their names if `offset` was added to all numbers; None if a number is none of the space's then."""
    shown = {}
    for value, part in parts.items():
        number = value - offset
        wrapped = offset == -1 and (value == IGNORE or number == len(space))
        if wrapped or (offset == 0 and value == IGNORE and space.ignore):
            number = 0
        if not 0 <= number < len(space):
            return None
        name = names[number]
        if name is not None:
            shown[value] = (name, part)
    return shown


def _reading(shown: Mapping[int, tuple[str, Part]], subject: Subject, where: tuple[str, int, int]) -> Reading:
    named = dict(shown.values())
    asked = [(text, holds(named)) for text, needs, holds in subject.rules if needs <= named.keys()]
    numbers = frozenset((value, name) for value, (name, _) in shown.items())
    return Reading(*where, numbers, len(asked), tuple(text for text, held in asked if not held))


def guess_order(values: np.ndarray, spaces: Sequence[LabelSpace]) -> Guess | None:
    """The numbering of a map, or None where the parts do not tell (no face or person, too few parts, no clear lead).

    values: integers [H, W], as they stand in the file. spaces: those to choose from.
    """
    return best_of(readings(values, spaces), spaces)


def best_of(found: Sequence[Reading], spaces: Sequence[LabelSpace]) -> Guess | None:
    """`guess_order` of readings that are there already."""
    if not found:
        return None
    best = found[0]
    named = part_names(next(s for s in spaces if s.name == best.space))
    assert named is not None
    subject = named[0]
    where = (best.offset, best.turn)
    same = [r for r in found[1:] if (r.offset, r.turn) == where and len(r.numbers ^ best.numbers) <= 2]
    others = [r for r in found[1:] if r not in same]
    # a tilted head fits two turns nearly alike, but in one numbering
    rivals = [r for r in others if best.turn or not r.turn]
    lead = best.score - rivals[0].score if rivals else best.score
    if best.score < subject.enough or best.share < subject.good or lead < subject.margin:
        return None
    as_is = [r for r in others if not (r.offset or r.turn) and (r.space == best.space or not any(where))]
    if best.turn and as_is and as_is[0].share > subject.tilted:
        return None
    also = tuple(r.space for r in same if best.score - r.score < subject.margin)
    faults, against = (as_is[0].faults[:4], as_is[0].space) if as_is else ((), None)
    return Guess(best.space, best.offset, faults, best.score, lead, also, best.turn, against)
