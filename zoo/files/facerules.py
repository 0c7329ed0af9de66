"""Where the parts of a face lie: rules that hold in the right numbering of a map and fail in others. No torch in here."""

from __future__ import annotations

from zoo.files.geometry import Parts, Rule, above, background_above, level, smaller

NAMES = (
    *("background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth"),
    *("u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
)
"""The parts as the label spaces of faces call them."""
FEATURES = ("nose", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")


def _eyes(face: Parts) -> float:
    return (face["l_eye"].y + face["r_eye"].y) / 2


def _beside(face: Parts, part: str) -> bool:
    """Farther out than the eyes, from the line between them."""
    middle = (face["l_eye"].x + face["r_eye"].x) / 2
    return abs(face[part].x - middle) > 0.6 * abs(face["l_eye"].x - face["r_eye"].x)


def _below_eyes(part: str) -> Rule:
    return f"{part} would lie above the eyes", frozenset((part, "l_eye", "r_eye")), lambda f: f[part].y > _eyes(f)


def _above_eyes(part: str) -> Rule:
    return f"{part} would lie below the eyes", frozenset((part, "l_eye", "r_eye")), lambda f: f[part].top < _eyes(f)


def _on_skin(part: str) -> Rule:
    def holds(face: Parts) -> bool:
        skin, here = face["skin"], face[part]
        return skin.top <= here.y <= skin.bottom and skin.left <= here.x <= skin.right

    return f"{part} would lie outside the skin", frozenset((part, "skin")), holds


def _outside(part: str) -> Rule:
    return f"{part} would lie between the eyes", frozenset((part, "l_eye", "r_eye")), lambda f: _beside(f, part)


def _near_eyes(part: str) -> Rule:
    def holds(face: Parts) -> bool:
        here = face[part]
        return here.top - 2 <= _eyes(face) <= here.bottom + 2 and not _beside(face, part)

    return f"{part} would not lie at the eyes", frozenset((part, "l_eye", "r_eye")), holds


RULES: tuple[Rule, ...] = (
    *(_below_eyes(p) for p in ("nose", "mouth", "u_lip", "l_lip", "neck", "cloth", "neck_l", "ear_r")),
    *(_above_eyes(p) for p in ("hair", "hat")),
    *(above(f"{s}_brow", f"{s}_eye") for s in "lr"),
    *(level(f"l_{p}", f"r_{p}") for p in ("eye", "brow", "ear")),
    above("nose", "u_lip"),
    above("nose", "l_lip"),
    above("u_lip", "l_lip"),
    above("u_lip", "mouth"),
    above("mouth", "l_lip"),
    above("nose", "neck"),
    above("l_lip", "neck"),
    above("l_lip", "neck_l"),
    above("l_lip", "cloth"),
    above("neck", "cloth"),
    *(_outside(f"{s}_ear") for s in "lr"),
    _outside("ear_r"),
    _near_eyes("eye_g"),
    *(_on_skin(p) for p in FEATURES),
    *(smaller(p, "skin", 0.4) for p in FEATURES),
    *(smaller(f"{s}_ear", "skin", 0.4) for s in "lr"),
    *(smaller(f"{s}_eye", "nose") for s in "lr"),
    *(smaller(f"{s}_eye", "hair") for s in "lr"),
    ("skin would not be where the nose is", frozenset(("skin", "nose")), lambda f: f["skin"].area > 2 * f["nose"].area),
    background_above("skin"),
)
