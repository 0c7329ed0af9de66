"""The label space of Visual Genome's networks, as far as it is known without their files. No torch in here."""

from __future__ import annotations

from zoo.labels import LabelClass, LabelSpace, voc_color

VG_OBJECTS = 178
"""Classes of objects in the paper; their names and order are in the authors' checkpoints, which `zoo convert` reads."""
VISUAL_GENOME = LabelSpace(
    "visual-genome",
    (
        LabelClass("background", voc_color(0)),
        *(LabelClass(f"object_{i}", voc_color(i)) for i in range(1, VG_OBJECTS + 1)),
    ),
    background="background",
    title="Visual Genome, object classes by number",
)
