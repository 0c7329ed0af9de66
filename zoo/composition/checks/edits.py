"""Can the generator do these edits, on these maps?"""

from __future__ import annotations

from collections.abc import Sequence

from zoo.composition.request.requests import EditSpec
from zoo.errors import UsageError
from zoo.interfaces.models import MaskGenerator
from zoo.labels import LabelSpace
from zoo.registry import capabilities

RANDOM = ("add", "redraw", "perturb")
DRAWN = ("add", "redraw")
OF_SHOWN = ("redraw", "perturb")


def check_edits(generator: MaskGenerator | None, edits: Sequence[EditSpec]) -> None:
    """Raise UsageError if there is no generator, it cannot edit, or it lacks a kind of edit."""
    if generator is None:
        raise UsageError("Editing a map takes a mask generator: use zoo compose GENERATOR+SYNTHESIZER.")
    known = capabilities.edits(generator.capabilities())
    if not known:
        raise UsageError(f"{type(generator).__name__} cannot edit maps (see 'can' in: zoo list --json).")
    for spec in edits:
        if spec.kind not in known:
            raise UsageError(
                f"{type(generator).__name__} has no edit {spec.kind!r} (it has: {', '.join(sorted(known))})."
            )


def check_parts_shown(edits: Sequence[EditSpec], space: LabelSpace, shown: set[str] | None) -> None:
    """Raise UsageError for a redraw or perturb of classes that no given map shows (shown None: not known yet)."""
    present = set(shown or ())
    for spec in edits:
        names = edited_classes(spec, space)
        if shown is not None and spec.kind in OF_SHOWN and not present & set(names):
            raise UsageError(
                f'Nothing to {spec.kind}: no map shows {" or ".join(names)}. To put it there use <<edits="add:{",".join(names)}">>.'
            )
        present |= set(names) if spec.kind in ("add", "interpolate") else set()


def edited_classes(spec: EditSpec, space: LabelSpace) -> tuple[str, ...]:
    """The classes of an edit by the space's own names."""
    return tuple(space.names[space.index(c)] for c in spec.classes)
