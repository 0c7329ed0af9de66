"""A request as JSON with its inputs copied beside it, and back: what `manifest.json` holds and `zoo replay` reads.

Beside the request the manifest holds the models with their digests, the mappings between label spaces, versions, threads and
device (`dtype` and `compile` too, where they are not the default), and once the run is
finished a `summary` of its samples (`summary.summarize`). A sample's line in `metadata.jsonl` has
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
    tries, missing                        of runs with `--require` only: how often the sample was drawn, and the classes that no
                                          draw showed

Lines of 0.1.0 and 0.2.0 lack `map_file_name` and the keys of what there was nothing of, and their digests are keyed by file name;
they are read too (`records.read_records`), and a run that is continued gets the new form.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from zoo.composition.checks.before_loading import sources
from zoo.composition.folder.inputs import InputFiles, Inputs, png_of
from zoo.composition.request.requests import FIELDS, Request
from zoo.composition.request.written import LARGEST
from zoo.environment import memory
from zoo.errors import DataError, UsageError, WeightsError, ZooError
from zoo.files.names import printable
from zoo.files.opened import OpenedFiles
from zoo.files.runfiles import SAMPLES
from zoo.inference.forms import form_to_json
from zoo.maps import SemanticMap
from zoo.store.assets import asset_file
from zoo.store.models import ASSETS, digests

if TYPE_CHECKING:
    from zoo.composition.models import Models
    from zoo.hub import Resolved

MASK_NAMES = "mask_names"
"""The file names of the maps as they were given, beside the copies' names; for people."""
OPTIONAL = {"options", MASK_NAMES, *(f.name for f in FIELDS if f.later)}
"""What a request in a manifest may lack."""
PLANES = 8
"""Numbers per pixel that lie in memory for each sample of a batch at least: its map, its picture, and what they are made of."""
LIMITS = {"n": SAMPLES, "seed": LARGEST, "batch_size": SAMPLES}
"""The largest numbers of a request in a manifest."""


def _with_instances(request: Request) -> Request:
    """The request with the instance numbers that a map of the Python caller brings along, as a PNG's bytes."""
    only = request.masks[0] if len(request.masks) == 1 else None
    if request.instances is not None or not isinstance(only, SemanticMap) or only.instances is None:
        return request
    import PIL.Image

    # numbered anew, so that sixteen bits hold any numbers: they only tell one object from another
    numbers = only.instances[0].cpu().unique(return_inverse=True)[1].numpy().astype("uint16")
    return replace(request, instances=cast(Any, png_of(PIL.Image.fromarray(numbers))))


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


class Found(Protocol):
    """Where the inputs of a manifest lie (`inputs.InputFiles`)."""

    def __call__(self, name: Any, /) -> str:
        """The path of an input. Raises TypeError for what is no name of one."""
        ...

    def check(self) -> None:
        """Raise UsageError for inputs that are nowhere."""
        ...


def request_from_json(values: Any, folder: Path, *, device: str = "cpu", files: Found | None = None) -> Request:
    """The request of a manifest in `folder`, every field held against its type and range.

    files: where its inputs lie (None: in the folder). Raises DataError for fields that are missing, unknown or ill-typed, UsageError for
    inputs that are nowhere.
    """
    if not isinstance(values, dict):
        raise _damaged(folder, ["the request is no JSON object"])
    files = InputFiles(folder) if files is None else files
    names = {f.name for f in FIELDS}
    faults = [f"{n} is missing" for n in names - OPTIONAL if n not in values]
    faults += [f"{n!r:.60} is no field of a request" for n in values if n not in names | OPTIONAL]
    read: dict[str, Any] = {}
    for field in FIELDS:
        if field.name in values:
            try:
                read[field.name] = field.from_json(values[field.name], files)
            except KeyError as error:
                faults.append(f"{field.name}: {error} is missing")
            except (TypeError, ValueError, AttributeError, ZooError) as error:
                faults.append(f"{field.name}: {error}")
    for name, most in LIMITS.items():
        if type(read.get(name)) is int and not 0 <= read[name] <= most:
            faults.append(f"{name} should be from 0 to {most:g}")
    if not _are_names(values.get(MASK_NAMES), read.get("masks", ())):
        faults.append(f"{MASK_NAMES} are not the names of the masks")
    if faults:
        raise _damaged(folder, sorted(faults))
    files.check()
    try:
        return Request(**read, device=device)
    except UsageError as error:
        raise _damaged(folder, [str(error).rstrip(".")]) from error


def _are_names(names: Any, masks: Any) -> bool:
    if names is None:
        return True
    return isinstance(names, list) and len(names) == len(masks) and all(n is None or isinstance(n, str) for n in names)


def _damaged(folder: Path, faults: list[str]) -> DataError:
    told = [printable(fault if len(fault) < 300 else f"{fault[:297]}...") for fault in faults[:8]]
    more = f"; … {len(faults)} in all" if len(faults) > 8 else ""
    return DataError(f"The manifest in {folder} is incomplete or damaged ({'; '.join(told)}{more}).")


def make_manifest(
    models: Models, request: Request, files: OpenedFiles | None = None, *, inputs: bool | Inputs = True
) -> tuple[dict[str, Any], Inputs]:
    """The manifest of a run, and the inputs that belong into its folder.

    files: those of the request that are opened already. inputs: False: none are copied, the manifest has their sha256 in `inputs`; or what
    collects them.
    """
    import torch

    from zoo.environment import versions

    if needs_parser(request):
        _ = models.parser  # so that it is among the models
    copies = inputs if isinstance(inputs, Inputs) else Inputs(files, copied=inputs)
    manifest = {
        "format": 1,
        **({"rules": models.rules} if models.rules > 1 else {}),
        "composition": models.name,
        "models": {role: model_json(named) for role, named in models.named.items()},
        "label_space": models.space.name,
        "mappings": [m.report() for m in models.mappings(request)],
        "size": list(models.size(request)),
        "maps": models.direct is None,
        "images": models.paints(request),
        "samples": request.samples,
        "request": request_to_json(request, copies),
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "device": request.device,
        **form_to_json(models.dtype, models.compile),
    }
    if not copies.copied:
        manifest["inputs"] = copies.digests
    return manifest, copies


def needs_parser(request: Request) -> bool:
    """Whether maps are read in photos."""
    photos = request.photos and not request.masks
    return bool(photos) or any(s.kind == "photo" and s.mask is None for s in sources(request))


def model_json(named: Any) -> dict[str, Any]:
    """How a manifest names a model: id, where it came from, and the digests of its files (None for a Python object)."""
    resolved = named.resolved
    files = digests(resolved.folder) if resolved.folder.is_dir() else None
    return {
        "id": resolved.name,
        "source": resolved.lasting or resolved.source,
        "sha256": None if files is None else {n: d for n, d in files.items() if n not in named.left_out},
    }


def check_models(manifest: dict[str, Any], models: Models) -> None:
    """Raise WeightsError if a model is not the one that made the run. An optional asset that its folder got since is left out."""
    for role, named in models.named.items():
        recorded = manifest["models"].get(role)
        if recorded is None:
            continue
        later = check_digests(role, recorded["sha256"], named.resolved)
        assets = {asset_file(name, asset): name for name, asset in named.model.ASSETS.items() if not asset.required}
        if not later <= assets.keys():
            raise _another(role, named.resolved)
        without = {assets[file] for file in later}
        named.model.assets = {name: value for name, value in named.model.assets.items() if name not in without}
        named.left_out = later


def check_digests(role: str, recorded: dict[str, str] | None, resolved: Resolved) -> frozenset[str]:
    """Raise WeightsError if the files of a model have other digests than those that a manifest has (None: a Python object).

    Returns the assets that the manifest does not have: what was computed for a published model after the run.
    """
    found = digests(resolved.folder) if resolved.folder.is_dir() else None
    if recorded is None or found is None:
        if recorded != found:
            raise _another(role, resolved)
        return frozenset()
    later = frozenset(found.keys() - recorded.keys())
    if recorded != {n: d for n, d in found.items() if n not in later} or not all(
        name.startswith(f"{ASSETS}/") for name in later
    ):
        raise _another(role, resolved)
    return later


def _another(role: str, resolved: Resolved) -> WeightsError:
    return WeightsError(
        f"The {role} {resolved.name} is not the one that made this run: its files have other digests. Get the version of the manifest."
    )


def check_made(manifest: dict[str, Any], models: Models, request: Request, folder: Path) -> None:
    """Hold what a manifest says of its run against what its models make of its request, and against this machine.

    Raises DataError where they contradict each other, UsageError for batches that could not lie in memory.
    """
    made = {
        "samples": request.samples,
        "size": list(models.size(request)),
        "maps": models.direct is None,
        "images": models.paints(request),
        "label_space": models.space.name,
    }
    wrong = [
        f"{n} is {manifest[n]}, its models and request make {v}" for n, v in made.items() if manifest.get(n, v) != v
    ]
    if wrong:
        raise _damaged(folder, wrong)
    height, width = models.resolution
    needed = min(request.batch_size, request.samples) * height * width * 4 * PLANES
    if needed > memory():
        raise UsageError(
            f"A batch of {min(request.batch_size, request.samples)} samples of {width} x {height} pixels needs more than the"
            f" {memory() / 2**30:.1f} GiB of memory that this machine has: replay it on a larger one."
        )
