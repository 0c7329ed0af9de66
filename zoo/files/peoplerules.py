"""Where clothes and body parts of standing people lie: rules that hold in the right numbering of a map. No torch in here."""

from __future__ import annotations

from itertools import product

from zoo.files.geometry import Parts, Rule, above, background_above, smaller

HEAD = ("hat", "hair", "sunglasses", "face")
TRUNK = ("upper-clothes", "coat", "dress", "jumpsuits", "scarf", "torso-skin")
HIPS = ("belt", "skirt", "pants")
LIMBS = ("left-arm", "right-arm")
LEGS = ("left-leg", "right-leg")
FEET = ("left-shoe", "right-shoe", "socks")
NAMES = ("background", *HEAD, *TRUNK, *HIPS, *LIMBS, *LEGS, *FEET, "glove", "bag")
"""The parts as `lip`, `cihp` and `atr` call them."""


def _together(left: str, right: str) -> Rule:
    """Both at the same height, or their boxes overlap: people stand and walk."""

    def holds(person: Parts) -> bool:
        one, two = person[left], person[right]
        return one.top <= two.bottom and two.top <= one.bottom

    return f"{left} and {right} would lie above each other", frozenset((left, right)), holds


def _alike(left: str, right: str) -> Rule:
    def holds(person: Parts) -> bool:
        small, large = sorted((person[left].area, person[right].area))
        return large < 8 * small

    return f"{left} and {right} would differ in size", frozenset((left, right)), holds


def _at_head(part: str) -> Rule:
    """Its middle lies within one height of the face around it."""

    def holds(person: Parts) -> bool:
        face, here = person["face"], person[part]
        reach = face.bottom - face.top + 2
        return face.top - reach <= here.y <= face.bottom and face.left - reach <= here.x <= face.right + reach

    return f"{part} would lie away from the face", frozenset((part, "face")), holds


RULES: tuple[Rule, ...] = (
    *(above(a, b) for a, b in product(HEAD, (*TRUNK, *HIPS, *LEGS, *FEET))),
    *(
        above(a, b)
        for a, b in product(("upper-clothes", "coat", "scarf", "torso-skin"), ("pants", "skirt", *LEGS, *FEET))
    ),
    *(above(a, b) for a, b in product(("dress", "jumpsuits", *HIPS), (*LEGS, *FEET))),
    *(above(a, b) for a, b in product(LEGS, FEET)),
    *(above("face", b) for b in LIMBS),
    *(above(a, b) for a, b in product(LIMBS, (*LEGS, *FEET))),
    above("hat", "face"),
    *(_at_head(p) for p in ("hat", "hair", "sunglasses")),
    *(_together(f"left-{p}", f"right-{p}") for p in ("arm", "leg", "shoe")),
    *(_alike(f"left-{p}", f"right-{p}") for p in ("arm", "leg", "shoe")),
    smaller("sunglasses", "face"),
    *(smaller("face", p) for p in ("upper-clothes", "coat", "dress", "pants")),
    *(smaller(a, b) for a, b in product(("left-shoe", "right-shoe"), ("upper-clothes", "coat", "dress", "pants"))),
    *(background_above(p) for p in ("upper-clothes", "hair", "pants", "face")),
)
