"""The run folder of a translation: that of a composition, with a manifest and a sheet of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from zoo.composition.folder.card import TRANSLATOR
from zoo.composition.folder.inputs import InputFiles, Inputs
from zoo.composition.folder.manifest import PLANES, check_digests, model_json
from zoo.composition.folder.outputs import OutputFolder
from zoo.environment import memory, versions
from zoo.errors import DataError, UsageError
from zoo.files.opened import OpenedFiles
from zoo.inference.forms import form_of, form_to_json
from zoo.translation.overview import write_sheet
from zoo.translation.request import TranslationRequest, request_from_json, request_to_json
from zoo.translation.run import Translation


class TranslationFolder(OutputFolder):
    """As `OutputFolder`; `grid.png` shows a photo and its translations in a row."""

    def _write_sheet(self, records: list[dict[str, Any]]) -> None:
        write_sheet(self.path, self.manifest, records)


def is_translation(manifest: dict[str, Any]) -> bool:
    """True for the manifest of a run of `zoo translate`."""
    return TRANSLATOR in manifest["models"]


def make_manifest(
    translation: Translation, request: TranslationRequest, files: OpenedFiles, *, inputs: bool = True
) -> tuple[dict[str, Any], Inputs]:
    """The manifest of a run (of a `resolved` request), and the inputs that belong into its folder.

    size: the largest height and width among the pictures. inputs: False: none are copied, the manifest has their sha256.
    """
    copies = Inputs(files, copied=inputs)
    manifest = {
        "format": 1,
        "composition": translation.name,
        "models": {TRANSLATOR: model_json(translation.named)},
        "label_space": translation.model.label_space.name,
        "mappings": [],
        "size": largest(translation, request, files),
        "maps": False,
        "images": True,
        "samples": request.samples,
        "request": request_to_json(request, copies),
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "device": request.device,
        **form_to_json(translation.dtype, translation.compile),
    }
    if not copies.copied:
        manifest["inputs"] = copies.digests
    return manifest, copies


def largest(translation: Translation, request: TranslationRequest, files: OpenedFiles) -> list[int]:
    """[height, width] of a cell that holds every picture of a run."""
    return [max(side) for side in zip(*translation.sizes(request, files), strict=True)]


# --- again --------------------------------------------------------------------------------------------------------


def replay(recorded: dict[str, Any], folder: Path, out: Path, places: tuple[Path, ...] = ()) -> list[dict[str, Any]]:
    """Make the run of a manifest again into `out`, with its model, threads and batches; returns the new records.

    places: where inputs lie besides `folder`. Raises UsageError, DataError, WeightsError.
    """
    inputs = InputFiles(folder, recorded.get("inputs"), places)
    request_from_json(recorded["request"], folder, inputs)  # what is wrong with it is said before a model is loaded
    model = recorded["models"][TRANSLATOR]
    translation = Translation.load(model["source"], device=recorded["device"], **form_of(recorded))
    check_digests(TRANSLATOR, model["sha256"], translation.named.resolved)
    request = request_from_json(recorded["request"], folder, inputs, device=translation.device)
    files = OpenedFiles(trusted=True)
    translation.check(translation.resolved(request), files)
    _check_made(recorded, translation, translation.resolved(request), files, folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(recorded["threads"])
    try:
        request = translation.resolved(request)
        manifest, copies = make_manifest(translation, request, files, inputs="inputs" not in recorded)
        with TranslationFolder(out, manifest, copies) as output:
            for part in translation.run(request, files):
                output.write(part)
            output.finish()
    finally:
        torch.set_num_threads(threads)
    return output.records


def _check_made(
    recorded: dict[str, Any], translation: Translation, request: TranslationRequest, files: OpenedFiles, folder: Path
) -> None:
    """Hold what a manifest says of its run against what its model makes of its request, and against this machine."""
    made = {
        "samples": request.samples,
        "size": largest(translation, request, files),
        "maps": False,
        "images": True,
        "label_space": translation.model.label_space.name,
    }
    wrong = [
        f"{k} is {recorded.get(k)}, its model and request make {v}" for k, v in made.items() if recorded.get(k) != v
    ]
    if wrong:
        raise DataError(f"The manifest in {folder} is incomplete or damaged ({'; '.join(wrong)}).")
    check_memory(translation, request, files)


def check_memory(translation: Translation, request: TranslationRequest, files: OpenedFiles) -> None:
    """Raise UsageError for batches that could not lie in memory."""
    height, width = largest(translation, request, files)
    batch = min(request.batch_size, request.n)
    if batch * height * width * 4 * PLANES > memory():
        raise UsageError(
            f"A batch of {batch} pictures of {width} x {height} pixels needs more than the {memory() / 2**30:.1f} GiB of memory that this"
            " machine has: lower <<batch_size>>."
        )
