"""Any mask generator chained into any image synthesizer, joined by label names."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.api import pick_device
from zoo.composition.checks.faces import note_faces, with_frames
from zoo.composition.checks.whole import check
from zoo.composition.folder.results import Result
from zoo.composition.models import Models, load_named
from zoo.composition.request.arguments import make_request
from zoo.composition.request.requests import DEFAULT_BATCH, EditSpec, Request, StyleSource, split_composition
from zoo.composition.roles import check_role, kinds_at
from zoo.composition.run.batches import batches
from zoo.composition.run.part import Part
from zoo.edits import Edit
from zoo.errors import UsageError, plain
from zoo.files.opened import OpenedFiles
from zoo.inference.forms import check_form
from zoo.interfaces.capabilities import Progress
from zoo.interfaces.models import Model
from zoo.maps import SemanticMap
from zoo.style import Style


class Composition(Models):
    """Made by `compose`. Call it for a Result, or `stream` it batch by batch."""

    # --- calls ------------------------------------------------------------------------------------------------

    def __call__(
        self,
        *,
        labels: Sequence[str] | Sequence[Sequence[str]] | str | None = None,
        maps: SemanticMap | Sequence[Any] | str | Path | None = None,
        photos: Tensor | Sequence[Any] | str | Path | None = None,
        n: int = 1,
        seed: int | None = None,
        edits: Sequence[Edit | EditSpec | str] | Edit | str = (),
        style: Style | StyleSource | str | Sequence[str] | None = None,
        batch_size: int = DEFAULT_BATCH,
        progress: Progress | None = None,
        **options: Any,
    ) -> Result:
        """Everything at once, as a Result. `n` counts per map or photo; without them it is the number of samples.

        labels: the classes of every map, or several lists of them, of which each sample draws one (by weight: label_sets, a JSON
        file or `[{"labels": [...], "weight": 2}, ...]`); None: sets as the training data had them.

        maps: SemanticMaps, or PNG paths (in `mask_space`, default the output space). photos: paths, or float tensors in
        [0, 1]. style: as on the command line, or a Style. options: keep_rest, same_style, prior, style_to, keep,
        mask_space, instances, frame ("auto", or the numbers of a square of the photo), paste, label_sets, require (classes that
        every map shall show), tries, size (pixels, or width and height),
        image_format, quality, options (sampling options of the models, by name). progress(done, total) is called after each
        batch, and after each step of a model that works in steps (total: samples, or samples times steps); raise `zoo.Cancelled`
        in it to stop.
        Random: all that is drawn, by `seed` (None: a fresh one, reported). Raises UsageError, LabelError, DataError.
        """
        request = make_request(
            self, labels=labels, maps=maps, photos=photos, n=n, seed=seed, edits=edits, style=style, batch_size=batch_size, **options
        )  # fmt: skip
        files = OpenedFiles()
        request = with_frames(request, self.space, files)
        note_faces(request, self.space, files)
        parts = list(self.run(request, progress=progress, files=files))
        files.release()
        return Result.collect(self, request, parts, files)

    def stream(
        self,
        *,
        start: int = 0,
        stop: int | None = None,
        progress: Progress | None = None,
        workers: int = 1,
        **arguments: Any,
    ) -> Generator[Part, None, None]:
        """The same batch by batch, in bounded memory. Takes what a call takes; wrong arguments raise at once. start, stop, workers: as of
        `run`."""
        request = make_request(self, **arguments)
        return self.run(request, start=start, stop=stop, progress=progress, workers=workers)

    # --- the run --------------------------------------------------------------------------------------------------

    def check(self, request: Request, *, files: OpenedFiles | None = None) -> None:
        """Raise UsageError, LabelError or DataError for what these models cannot do, before anything is drawn or written."""
        check(self, request, OpenedFiles() if files is None else files)

    def run(
        self,
        request: Request,
        *,
        start: int = 0,
        stop: int | None = None,
        missing: Collection[int] | None = None,
        progress: Progress | None = None,
        files: OpenedFiles | None = None,
        workers: int = 1,
        checked: bool = False,
    ) -> Generator[Part, None, None]:
        """The batches of the samples from `start` to `stop` (None: to the last), in order; both are batch boundaries, or the end. The
        request is checked at once.

        Ranges give the very samples that the whole run gives. missing: only the batches with some of these samples. files: those of the
        request, if some of them are opened already. workers: batches made at once in threads of their own, each with torch's present
        number of threads; models that share state between calls (none of ours) take 1. progress: counts the samples before `start` as
        done, and ends with `stop`. checked: somebody has checked this very request, with its frames, against these models, so that its files
        are not all read for every range. Raises UsageError for a range that is none.
        """
        samples = sample_range(request, start, stop)
        files = OpenedFiles() if files is None else files
        if not checked:
            check(self, request, files)
            request = with_frames(request, self.space, files)
        for note in files.take_notes():  # a command has told them by now
            warnings.warn(plain(note), stacklevel=2)
        return batches(self, request, samples, progress, files, missing, workers)


def sample_range(request: Request, start: int, stop: int | None) -> range:
    """The samples of a request from `start` to `stop`. Raises UsageError where one is no batch boundary."""
    total, batch = request.samples, request.batch_size
    end = total if stop is None else stop
    for name, value in (("start", start), ("stop", end)):
        if type(value) is not int or not 0 <= value <= total or (value % batch and value != total):
            raise UsageError(
                f"{name} is a multiple of the batch size {batch} from 0 to {total}, or {total} itself, got {str(value)[:40]}."
            )
    if end < start:
        raise UsageError(f"start={start} lies behind stop={end}: name the first sample and the one after the last.")
    return range(start, end)


def compose(
    models: str | tuple[str | Model | None, str | Model | None],
    *,
    device: str = "auto",
    parser: str | Model | None = None,
    dtype: str = "float32",
    compile: bool = False,
) -> Composition:
    """A composition from `"GEN+SYN"` or from a pair of references or loaded models (None: that half is left out).

    Models are joined by label names; an image generator stands alone: `(generator, None)`. parser: the parser of photos
    (default: the published one for the label space), always in float32.

    dtype: bf16 computes under autocast, faster where the processor multiplies bfloat16 (maps and pictures differ: docs/composing.md).
    compile: torch.compile the models' blocks, which takes minutes at the first batch and a C++ compiler.
    Raises LabelError if the models have no class in common, UsageError for unknown names or a model of the wrong kind.
    """
    pair = split_composition(models) if isinstance(models, str) else models
    check_form(dtype, compile)
    where = str(pick_device(device))
    form = {"dtype": dtype, "compile": compile}
    generator = (
        None if pair[0] is None else load_named(pair[0], where, partial(check_role, pair, 0), kinds=kinds_at(0), **form)
    )
    synthesizer = (
        None if pair[1] is None else load_named(pair[1], where, partial(check_role, pair, 1), kinds=kinds_at(1), **form)
    )
    return Composition(generator, synthesizer, parser=parser, device=where, **form)
