"""A request as JSON with its inputs copied beside it, and back: what `manifest.json` holds and `zoo replay` reads.

Beside the request the manifest holds the models with their digests, the mappings between label spaces, versions, threads and
device, and once the run is finished a `summary` of its samples (`summary.summarize`). A sample's line in `metadata.jsonl` has
the same keys in every run (`records.line_of`), [] or null where there is nothing, so that tables are read from it as they are:

    file_name, map_file_name              its picture (where a run makes none, its map) and its map (null where it makes none)
    sha256                                {"image": ..., "map": ...}, the digests of the two, null where there is none
    index, seed, labels                   its number, the run's seed, the classes that its map shows
    requested, empty                      classes asked of a generator or an edit, and those of them that came out empty
    dropped                               classes without a counterpart in the label space of the output
    edits, changed_outside_edits          the edits, and the share of pixels that changed although they were in no edited class
    style_from_prior                      classes that the map shows and the style's photo or file lacks: taken from the prior
    style_change                          of a style for single classes: how far it reaches (`style_change.measure`), against the
                                          same sample without the styles of single classes: mean absolute change (0 to 1) `inside`
                                          the `classes`, `outside` of them beyond `reach` pixels, and the `ratio` outside / inside;
                                          measured before `--keep` pastes pixels back
    notes                                 what was made up because an input lacked it

Lines of 0.1.0 and 0.2.0 lack `map_file_name` and the keys of what there was nothing of, and their digests are keyed by file name;
they are read too (`records.read_records`), and a run that is continued gets the new form.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zoo.composition.checks.before_loading import existing_file, sources
from zoo.composition.folder.records import INPUTS
from zoo.composition.request.requests import FIELDS, Request
from zoo.errors import DataError, UsageError, WeightsError, ZooError
from zoo.files.digests import sha256
from zoo.files.images import to_pil
from zoo.files.opened import OpenedFiles
from zoo.files.writing import told, write_atomic
from zoo.maps import SemanticMap
from zoo.store.models import digests
from zoo.style import Style

if TYPE_CHECKING:
    import PIL.Image

    from zoo.composition.models import Models

MASK_NAMES = "mask_names"
"""The file names of the maps as they were given, beside the copies' names; for people."""
OPTIONAL = {"options", MASK_NAMES, *(f.name for f in FIELDS if f.later)}
"""What a request in a manifest may lack."""


class Inputs:
    """The files a request reads, each once, named by its digest so that equal inputs have equal names.

    `add` only collects; `copy_to` writes them into `inputs/` of a run folder.
    """

    def __init__(self, files: OpenedFiles | None = None) -> None:
        """files: those that the run has opened, whose bytes are the ones that are copied."""
        self._files = OpenedFiles() if files is None else files
        self._pending: dict[str, Path | bytes] = {}

    def add(self, value: Any) -> str:
        """A path, SemanticMap, Style, photo tensor or PNG's bytes as a file name relative to the run folder.

        Raises UsageError for no file, DataError for one that was changed since the run read it.
        """
        if isinstance(value, str | Path):
            path = Path(value)
            existing_file(path)
            name = f"{INPUTS}/{self._files.verified(path)[:16]}{path.suffix.lower()}"
            self._pending[name] = path
            return name
        if isinstance(value, Style):
            content, suffix = value.to_bytes(), ".safetensors"
        else:
            content, suffix = value if isinstance(value, bytes) else _png(value), ".png"
        name = f"{INPUTS}/{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
        self._pending[name] = content
        return name

    def copy_to(self, folder: Path) -> None:
        """Write what is not there yet with the bytes that its name says. Raises DataError."""
        for name, content in self._pending.items():
            target = folder / name
            if target.is_file() and sha256(target).startswith(target.stem):
                continue
            with told(target.parent):
                target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                write_atomic(target, lambda part, content=content: part.write_bytes(content))
            else:
                write_atomic(target, lambda part, content=content: self._files.copy(content, part))


def _png(value: Any) -> bytes:
    """A SemanticMap [1, H, W] or a photo tensor [3, H, W] as PNG bytes."""
    return _png_of(value.to_pil() if isinstance(value, SemanticMap) else to_pil(value.reshape(value.shape[-3:])))


def _png_of(image: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _with_instances(request: Request) -> Request:
    """The request with the instance numbers that a map of the Python caller brings along, as a PNG's bytes."""
    only = request.masks[0] if len(request.masks) == 1 else None
    if request.instances is not None or not isinstance(only, SemanticMap) or only.instances is None:
        return request
    import PIL.Image

    # numbered anew, so that sixteen bits hold any numbers: they only tell one object from another
    numbers = only.instances[0].cpu().unique(return_inverse=True)[1].numpy().astype("uint16")
    return replace(request, instances=cast(Any, _png_of(PIL.Image.fromarray(numbers))))


def request_to_json(request: Request, inputs: Inputs) -> dict[str, Any]:
    """All fields (the later ones where they are not the default); files become names in `inputs/`."""
    request = _with_instances(request)
    values: dict[str, Any] = {}
    for field in FIELDS:
        value = getattr(request, field.name)
        if field.later and value == field.default:
            continue
        values[field.name] = field.to_json(value, inputs.add)
        if field.name == "masks":
            values[MASK_NAMES] = [Path(m).name if isinstance(m, str | Path) else None for m in request.masks]
    return values


def request_from_json(values: Any, folder: Path, *, device: str = "cpu") -> Request:
    """The request of a manifest in `folder`. Raises DataError for fields that are missing, unknown or ill-typed."""

    def path(name: Any) -> str:
        if not isinstance(name, str):
            raise TypeError(f"{name!r} is no file name")
        return str(folder / name)

    if not isinstance(values, dict):
        raise _damaged(folder, ["the request is no JSON object"])
    names = {f.name for f in FIELDS}
    faults = [f"{n} is missing" for n in names - OPTIONAL if n not in values]
    faults += [f"{n!r} is no field of a request" for n in values if n not in names | OPTIONAL]
    read: dict[str, Any] = {}
    for field in FIELDS:
        if field.name in values:
            try:
                read[field.name] = field.from_json(values[field.name], path)
            except KeyError as error:
                faults.append(f"{field.name}: {error} is missing")
            except (TypeError, ZooError) as error:
                faults.append(f"{field.name}: {error}")
    if faults:
        raise _damaged(folder, sorted(faults))
    try:
        return Request(**read, device=device)
    except UsageError as error:
        raise _damaged(folder, [str(error).rstrip(".")]) from error


def _damaged(folder: Path, faults: list[str]) -> DataError:
    return DataError(f"The manifest in {folder} is incomplete or damaged ({'; '.join(faults)}).")


def make_manifest(models: Models, request: Request, files: OpenedFiles | None = None) -> tuple[dict[str, Any], Inputs]:
    """The manifest of a run, and the inputs that belong into its folder. files: those of the request that are opened already."""
    import torch

    from zoo.environment import versions

    if (request.photos and not request.masks) or any(s.kind == "photo" and s.mask is None for s in sources(request)):
        _ = models.parser  # so that it is among the models
    inputs = Inputs(files)
    manifest = {
        "format": 1,
        "composition": models.name,
        "models": {role: model_json(named) for role, named in models.named.items()},
        "label_space": models.space.name,
        "mappings": [m.report() for m in models.mappings(request)],
        "size": list(models.resolution),
        "maps": models.direct is None,
        "images": models.synthesizer is not None or models.direct is not None,
        "samples": request.samples,
        "request": request_to_json(request, inputs),
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "device": request.device,
    }
    return manifest, inputs


def model_json(named: Any) -> dict[str, Any]:
    """How a manifest names a model: id, where it came from, and the digests of its files (None for a Python object)."""
    resolved = named.resolved
    return {
        "id": resolved.name,
        "source": resolved.lasting or resolved.source,
        "sha256": digests(resolved.folder) if resolved.folder.is_dir() else None,
    }


def check_models(manifest: dict[str, Any], models: Models) -> None:
    """Raise WeightsError if a model is not the one that made the run."""
    for role, named in models.named.items():
        recorded = manifest["models"].get(role)
        found = model_json(named)
        if recorded is not None and recorded["sha256"] != found["sha256"]:
            raise WeightsError(
                f"The {role} {found['id']} is not the one that made this run: its files have other digests. Get the version of the manifest."
            )
