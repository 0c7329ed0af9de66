"""The systems that are measured: official configs with random weights, real maps where there are any, calls side by side.

Each gives `Case`s: "plain" is the reading of the authors' code (`readings`), "form" one map to one picture with the inference form,
"kept" the same where the layout is there already, "layout" and "stroke" what it costs to make a layout and to renew it after a
change of 1 % of the pixels. `WHAT` lists what can be measured beside.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.cases import generators, synthesizers, translators
from benchmarks.cases.case import Case
from benchmarks.cases.generators import GENERATORS
from benchmarks.cases.loading import loading
from benchmarks.cases.models import build
from benchmarks.cases.synthesizers import SYNTHESIZERS
from benchmarks.cases.translators import TRANSLATING, TRANSLATORS

__all__ = ["GENERATORS", "SYNTHESIZERS", "TRANSLATORS", "WHAT", "Case", "cases"]

WHAT = ("results", "styles", "strokes", "loading")
"""results: what a model is for, at a batch size. styles: many of one map. strokes: to the new picture. loading: the model."""
MAKERS = {
    "segvae": generators.segvae,
    "mask-vae": generators.mask_vae,
    "maskgan-vae": generators.maskgan_vae,
    "sg2im": generators.sg2im,
    "sdm": synthesizers.sdm,
    **dict.fromkeys(TRANSLATING, translators.translator),
}


def cases(
    reference: str,
    data: Path | None,
    batch: int,
    changes: dict[str, Any] | None = None,
    *,
    what: str = "results",
    styles: int = 40,
) -> Iterator[Case]:
    """The cases of ARCHITECTURE/VARIANT at a batch size; none where the system has no such thing (a generator no styles of a map).

    data: a folder like the shared one (None: scenes of random shapes). changes: of the config, for a quick look at smaller networks.
    what: one of `WHAT`. styles: how many.
    """
    architecture = reference.partition("/")[0]
    model = build(reference, changes or {})
    if what == "loading":
        yield from loading(reference, model, changes or {})
    elif what == "results":
        yield from MAKERS.get(architecture, synthesizers.pictures)(reference, model, data, batch)
    elif architecture in synthesizers.READINGS and what == "styles":
        yield from synthesizers.styles(reference, model, data, styles)
    elif architecture in synthesizers.READINGS:
        yield from synthesizers.strokes(reference, model, data, batch)
