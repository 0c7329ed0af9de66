"""Which numbering a map of a face is in, told from where its parts lie. No torch in here.

CelebAMask-HQ's own order and the order of the popular BiSeNet parser have the same 19 parts under the same numbers 0..18,
so that a map in the wrong one is legal everywhere and wrong everywhere: its nose lies above its eyes. The same holds for
maps whose numbers are all one too high or too low.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.labels import IGNORE, LabelSpace

SPACES = ("celebamask-hq", "face-parsing")
OFFSETS = (0, 1, -1)
ENOUGH = 10.0
"""Rules (those that hold less those that do not) that must speak for a numbering. The three limits were chosen so that
none of 1002 maps of whole people (ATR numbers) passes for a face; two of 1000 real faces fall below them."""
GOOD = 0.9
"""Share of the rules that can be asked of the map and that hold in the right numbering."""
MARGIN = 6.0
"""By how much the right numbering must lead all others."""
SPECKS = 4
"""Pixels below which a part says nothing about its place."""


@dataclass(frozen=True)
class Guess:
    """space: the name of the label space; offset: what was added to its numbers (0, 1 or -1); faults: what would be odd
    about the map read as it stands in the other space, or without taking the offset off; score and lead: rules."""

    space: str
    offset: int
    faults: tuple[str, ...]
    score: float
    lead: float

    def to_json(self) -> dict[str, object]:
        """The form of `zoo mask inspect --json`."""
        return {
            "label_space": self.space,
            "offset": self.offset,
            "otherwise": list(self.faults),
            "score": round(self.score, 2),
            "lead": round(self.lead, 2),
        }


@dataclass(frozen=True)
class FacePart:
    """Where the pixels of one number lie, in pixels: their mean, their box, their count."""

    y: float
    x: float
    top: int
    bottom: int
    left: int
    right: int
    area: int
    edge: float
    """Share of the picture's upper border (top row, upper halves of the sides) that it takes."""


Face = Mapping[str, FacePart]
Rule = tuple[str, tuple[str, ...], Callable[[Face], bool]]


def _eyes(face: Face) -> float:
    return (face["l_eye"].y + face["r_eye"].y) / 2


def _beside(face: Face, part: str) -> bool:
    """Farther out than the eyes, from the line between them."""
    middle = (face["l_eye"].x + face["r_eye"].x) / 2
    return abs(face[part].x - middle) > 0.6 * abs(face["l_eye"].x - face["r_eye"].x)


def _above(upper: str, lower: str) -> Rule:
    return f"{lower} would lie above {upper}", (upper, lower), lambda f: f[upper].y < f[lower].y


def _below_eyes(part: str) -> Rule:
    return f"{part} would lie above the eyes", (part, "l_eye", "r_eye"), lambda f: f[part].y > _eyes(f)


def _above_eyes(part: str) -> Rule:
    return f"{part} would lie below the eyes", (part, "l_eye", "r_eye"), lambda f: f[part].top < _eyes(f)


def _level(part: str) -> Rule:
    left, right = f"l_{part}", f"r_{part}"
    return (
        f"{left} and {right} would lie above each other",
        (left, right),
        lambda f: abs(f[left].y - f[right].y) < abs(f[left].x - f[right].x),
    )


def _smaller(part: str, than: str, share: float = 1.0) -> Rule:
    return f"{part} would be as large as {than}", (part, than), lambda f: f[part].area < share * f[than].area


def _on_skin(part: str) -> Rule:
    def holds(face: Face) -> bool:
        skin, here = face["skin"], face[part]
        return skin.top <= here.y <= skin.bottom and skin.left <= here.x <= skin.right

    return f"{part} would lie outside the skin", (part, "skin"), holds


def _outside(part: str) -> Rule:
    return f"{part} would lie between the eyes", (part, "l_eye", "r_eye"), lambda f: _beside(f, part)


def _near_eyes(part: str) -> Rule:
    def holds(face: Face) -> bool:
        here = face[part]
        return here.top - 2 <= _eyes(face) <= here.bottom + 2 and not _beside(face, part)

    return f"{part} would not lie at the eyes", (part, "l_eye", "r_eye"), holds


RULES: tuple[Rule, ...] = (
    *(_below_eyes(p) for p in ("nose", "mouth", "u_lip", "l_lip", "neck", "cloth", "neck_l", "ear_r")),
    *(_above_eyes(p) for p in ("hair", "hat")),
    *(_above(f"{s}_brow", f"{s}_eye") for s in "lr"),
    *(_level(p) for p in ("eye", "brow", "ear")),
    _above("nose", "u_lip"),
    _above("nose", "l_lip"),
    _above("u_lip", "l_lip"),
    _above("u_lip", "mouth"),
    _above("mouth", "l_lip"),
    _above("nose", "neck"),
    _above("l_lip", "neck"),
    _above("l_lip", "neck_l"),
    _above("l_lip", "cloth"),
    _above("neck", "cloth"),
    *(_outside(f"{s}_ear") for s in "lr"),
    _outside("ear_r"),
    _near_eyes("eye_g"),
    *(_on_skin(p) for p in ("nose", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")),
    *(_smaller(p, "skin", 0.4) for p in ("nose", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")),
    *(_smaller(f"{s}_ear", "skin", 0.4) for s in "lr"),
    *(_smaller(f"{s}_eye", "nose") for s in "lr"),
    *(_smaller(f"{s}_eye", "hair") for s in "lr"),
    ("skin would not be where the nose is", ("skin", "nose"), lambda f: f["skin"].area > 2 * f["nose"].area),
    (
        "background would not lie at the upper border",
        ("background", "skin"),
        lambda f: f["background"].edge > f["skin"].edge,
    ),
)


def guess_face_space(values: np.ndarray, spaces: Sequence[LabelSpace]) -> Guess | None:
    """The numbering of a face map, or None where the parts do not tell (no face, too few parts, no clear lead).

    values: integers [H, W], as they stand in the file. spaces: those to choose from (`SPACES`). A number that is one too
    low may have left the background at 255, at 0 together with the skin, or behind the last class.
    """
    parts = _parts(values)
    found = [
        (*_judge(face), space.name, offset)
        for offset in OFFSETS
        for space in spaces
        if (face := _named(parts, space, offset)) is not None
    ]
    if not found:
        return None
    found.sort(key=lambda entry: -entry[0])
    score, asked, _, name, offset = found[0]
    lead = score - found[1][0] if len(found) > 1 else score
    if score < ENOUGH or score < (2 * GOOD - 1) * asked or lead < MARGIN:
        return None
    others = [faults for _, _, faults, n, o in found[1:] if (n != name if offset == 0 else n == name) and o == 0]
    return Guess(name, offset, tuple(others[0][:4]) if others else (), score, lead)


def _judge(face: Face) -> tuple[float, int, list[str]]:
    """Rules that hold minus rules that do not, how many could be asked, and those that do not hold."""
    asked = [(text, holds(face)) for text, needs, holds in RULES if all(n in face for n in needs)]
    faults = [text for text, held in asked if not held]
    return float(len(asked) - 2 * len(faults)), len(asked), faults


def _named(parts: Mapping[int, FacePart], space: LabelSpace, offset: int) -> dict[str, FacePart] | None:
    """The parts by class name if `offset` was added to all numbers; None if a number is none of the space's then."""
    face: dict[str, FacePart] = {}
    for value, part in parts.items():
        number = value - offset
        if offset == -1 and (value == IGNORE or number == len(space)):
            number = 0
        if not 0 <= number < len(space):
            return None
        face[space.names[number]] = part
    return face


def _parts(values: np.ndarray) -> dict[int, FacePart]:
    height = values.shape[0]
    found = {}
    border = np.concatenate([values[0], values[: height // 2, 0], values[: height // 2, -1]])
    for value in np.unique(values).tolist():
        rows, columns = np.nonzero(values == value)
        if len(rows) >= SPECKS or value == IGNORE:
            found[value] = FacePart(
                float(rows.mean()),
                float(columns.mean()),
                int(rows.min()),
                int(rows.max()),
                int(columns.min()),
                int(columns.max()),
                len(rows),
                float((border == value).mean()),
            )
    return found
