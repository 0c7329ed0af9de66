"""A request as JSON with its inputs copied beside it, and back: what `manifest.json` holds and `zoo replay` reads.

Beside the request the manifest holds the models with their digests, the mappings between label spaces, versions, threads and
device, and once the run is finished a `summary` of its samples (`summary.summarize`). A sample's line in `metadata.jsonl` has

    file_name, sha256                     its files and their digests
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
"""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.composition.checks.before_loading import existing_file, sources
from zoo.composition.folder.records import INPUTS
from zoo.composition.request.requests import EditSpec, Request, Source, StyleSpec
from zoo.errors import DataError, WeightsError
from zoo.files.digests import sha256
from zoo.files.images import to_pil, write_atomic
from zoo.labels import LabelSpace, parse_space
from zoo.maps import SemanticMap
from zoo.store.models import digests
from zoo.style import Style

if TYPE_CHECKING:
    import PIL.Image

    from zoo.composition.models import Models


class Inputs:
    """The files a request reads, each once, named by its digest so that equal inputs have equal names.

    `add` only collects; `copy_to` writes them into `inputs/` of a run folder.
    """

    def __init__(self) -> None:
        self._pending: dict[str, Path | bytes] = {}

    def add(self, value: Any) -> str:
        """A path, SemanticMap, Style, photo tensor or PNG's bytes as a file name relative to the run folder.

        Raises UsageError for no file.
        """
        if isinstance(value, str | Path):
            path = Path(value)
            existing_file(path)
            name = f"{INPUTS}/{sha256(path)[:16]}{path.suffix.lower()}"
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
        """Write what is not there yet. Raises DataError."""
        for name, content in self._pending.items():
            target = folder / name
            if target.is_file():
                continue
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DataError(f"Cannot make the folder {target.parent}: {error.strerror or error}.") from error
            if isinstance(content, bytes):
                write_atomic(target, lambda part, content=content: part.write_bytes(content))
            else:
                write_atomic(target, lambda part, content=content: shutil.copyfile(content, part))


def _png(value: Any) -> bytes:
    """A SemanticMap [1, H, W] or a photo tensor [3, H, W] as PNG bytes."""
    return _png_of(value.to_pil() if isinstance(value, SemanticMap) else to_pil(value.reshape(value.shape[-3:])))


def _png_of(image: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _instances(request: Request, inputs: Inputs) -> str | None:
    """The instance numbers of the one map: the file that was named, else what a map of the Python caller brings along."""
    if request.instances is not None:
        return inputs.add(request.instances)
    only = request.masks[0] if len(request.masks) == 1 else None
    if not isinstance(only, SemanticMap) or only.instances is None:
        return None
    import PIL.Image

    # numbered anew, so that sixteen bits hold any numbers: they only tell one object from another
    numbers = only.instances[0].cpu().unique(return_inverse=True)[1].numpy().astype("uint16")
    return inputs.add(_png_of(PIL.Image.fromarray(numbers)))


def request_to_json(request: Request, inputs: Inputs) -> dict[str, Any]:
    """All fields; files become names in `inputs/`."""
    space = request.mask_space
    return {
        "n": request.n,
        "seed": request.seed,
        "labels": None if request.labels is None else list(request.labels),
        "masks": [inputs.add(m) for m in request.masks],
        "mask_names": [Path(m).name if isinstance(m, str | Path) else None for m in request.masks],
        "mask_space": space.to_json() if isinstance(space, LabelSpace) else None,
        "instances": _instances(request, inputs),
        "photos": [inputs.add(p) for p in request.photos],
        "edits": [_edit_json(e, inputs) for e in request.edits],
        "styles": [_style_json(s, inputs) for s in request.styles],
        "style_to": None if request.style_to is None else _source_json(request.style_to, inputs),
        "keep": list(request.keep),
        "keep_rest": request.keep_rest,
        "same_style": request.same_style,
        "prior": request.prior,
        "options": dict(request.options),
        "batch_size": request.batch_size,
    }


def _edit_json(edit: EditSpec, inputs: Inputs) -> dict[str, Any]:
    other = None if edit.other is None else inputs.add(edit.other)
    return {"kind": edit.kind, "classes": list(edit.classes), "value": edit.value, "other": other}


def _source_json(source: Source, inputs: Inputs) -> dict[str, Any]:
    if source.kind == "style":
        return {"kind": "file", "path": inputs.add(source.style), "mask": None, "seed": None}
    path = None if source.path is None else inputs.add(source.path)
    mask = None if source.mask is None else inputs.add(source.mask)
    return {"kind": source.kind, "path": path, "mask": mask, "seed": source.seed}


def _style_json(style: StyleSpec, inputs: Inputs) -> dict[str, Any]:
    source = _source_json(style.source, inputs)
    return {
        "source": source,
        "classes": style.classes and list(style.classes),
        "layers": style.layers and list(style.layers),
    }


def request_from_json(values: dict[str, Any], folder: Path, *, device: str = "cpu") -> Request:
    """The request of a manifest in `folder`. Raises DataError for a manifest that lacks a field."""

    def file(name: str | None) -> str | None:
        return None if name is None else str(folder / name)

    def source(v: dict[str, Any]) -> Source:
        return Source(v["kind"], file(v["path"]), file(v["mask"]), v["seed"])

    def names(v: list[str] | None) -> tuple[str, ...] | None:
        return None if v is None else tuple(v)

    try:
        return Request(
            n=values["n"],
            seed=values["seed"],
            labels=names(values["labels"]),
            masks=tuple(str(folder / m) for m in values["masks"]),
            mask_space=None if values["mask_space"] is None else parse_space(values["mask_space"], "manifest"),
            instances=file(values["instances"]),
            photos=tuple(str(folder / p) for p in values["photos"]),
            edits=tuple(
                EditSpec(e["kind"], tuple(e["classes"]), e["value"], file(e["other"])) for e in values["edits"]
            ),
            styles=tuple(
                StyleSpec(source(s["source"]), names(s["classes"]), names(s["layers"])) for s in values["styles"]
            ),
            style_to=None if values["style_to"] is None else source(values["style_to"]),
            keep=tuple(values["keep"]),
            keep_rest=values["keep_rest"],
            same_style=values["same_style"],
            prior=values["prior"],
            options=tuple(values.get("options", {}).items()),
            batch_size=values["batch_size"],
            device=device,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"The manifest in {folder} is incomplete or damaged ({type(error).__name__}: {error})."
        ) from error


def make_manifest(models: Models, request: Request) -> tuple[dict[str, Any], Inputs]:
    """The manifest of a run, and the inputs that belong into its folder."""
    import torch

    from zoo.environment import versions

    if (request.photos and not request.masks) or any(s.kind == "photo" and s.mask is None for s in sources(request)):
        _ = models.parser  # so that it is among the models
    inputs = Inputs()
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
