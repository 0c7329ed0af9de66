"""What a translation was asked for: as it is written on the command line, and as a manifest keeps it. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.composition.request.faults import MOST, SAMPLES
from zoo.composition.request.written import LARGEST, StyleSource, parse_source
from zoo.errors import DataError, UsageError, ZooError, did_you_mean
from zoo.files.jsonfiles import named
from zoo.files.names import printable
from zoo.files.pictureformats import PICTURE_FORMATS

if TYPE_CHECKING:
    from zoo.composition.folder.inputs import InputFiles, Inputs

RANDOM = "random"
DEFAULT_N = 4
"""Pictures of a photo where styles are drawn and nobody says how many."""
STYLES = "PHOTO | FILE.safetensors | seed:N | random"
NAMES = "photo_names"
PER_TEXT = 200


@dataclass(frozen=True)
class TranslationRequest:
    """Everything that decides a run's output, apart from the model.

    photos: paths. to, source: domains, None what the model takes for it. styles: sample j of a photo has style j, from the first again
    where they end; none: each sample a drawn one. n: samples for each photo.
    """

    photos: tuple[str, ...]
    n: int = DEFAULT_N
    seed: int = 0
    to: str | None = None
    source: str | None = None
    styles: tuple[StyleSource, ...] = ()
    batch_size: int = 4
    image_format: str = "png"
    quality: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        low = {"n": 1, "seed": 0, "batch_size": 1}
        faults = [
            f"<<{k}>> must be {v} or more, got {getattr(self, k)}" for k, v in low.items() if getattr(self, k) < v
        ]
        faults += [
            f"<<{k}>> may be at most {MOST[k]}, got {getattr(self, k)}" for k in low if getattr(self, k) > MOST[k]
        ]
        if not self.photos:
            faults.append("there is no photo: name at least one")
        if not faults and self.samples > SAMPLES:
            faults.append(f"a run makes at most {SAMPLES} samples, got {self.samples}")
        if self.image_format not in PICTURE_FORMATS:
            faults.append(f"<<image_format>> must be {' or '.join(PICTURE_FORMATS)}, got {self.image_format!r}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            faults.append(f"<<quality>> goes from 1 to 100, got {self.quality}")
        if self.quality is not None and self.image_format != "jpeg":
            faults.append('<<quality>> is of JPEG: give <<image_format="jpeg">>')
        if len(self.styles) > self.n > 0:
            faults.append(
                f"{len(self.styles)} styles for {self.n} samples of a photo: <<n={len(self.styles)}>> takes all"
            )
        if faults:
            text = "; ".join(faults)
            raise UsageError(f"{text if text.startswith('<<') else text[0].upper() + text[1:]}.")

    @property
    def samples(self) -> int:
        """How many samples it makes."""
        return self.n * len(self.photos)

    @property
    def draws(self) -> bool:
        """Whether anything is drawn by the seed."""
        return not self.styles or any(source.kind == "prior" for source in self.styles)

    def style_of(self, sample: int) -> StyleSource:
        """Where the style of a sample comes from."""
        return self.styles[sample % self.n % len(self.styles)] if self.styles else StyleSource("prior")

    def with_domains(self, to: str, source: str) -> TranslationRequest:
        """The same with both domains said."""
        return replace(self, to=to, source=source)


def parse_styles(texts: Sequence[str]) -> tuple[StyleSource, ...]:
    """Styles as they are written. Raises UsageError for one that a translator has not."""
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> StyleSource:
    if text == RANDOM:
        return StyleSource("prior")
    if text in ("prior", "mean") or "::" in text:
        hint = {"prior": f": {RANDOM} draws one", "mean": ": it has no mean"}.get(
            text, ": a photo is enough, without a map"
        )
        raise UsageError(f"The style {text!r} is not of a translator{hint} (expected {STYLES}).")
    try:
        return parse_source(text)
    except UsageError as error:
        near = did_you_mean(text, (RANDOM, "seed:0"))
        raise UsageError(f"Not a style: {text!r}{near} (expected {STYLES}).") from error


# --- in a manifest ------------------------------------------------------------------------------------------------


def request_to_json(request: TranslationRequest, inputs: Inputs) -> dict[str, Any]:
    """All fields but the device; files become names in `inputs/`."""
    values = {f.name: getattr(request, f.name) for f in fields(request) if f.name != "device"}
    return {
        **values,
        "photos": [inputs.add(path, True) for path in request.photos],
        NAMES: [Path(path).name for path in request.photos],
        "styles": [source.to_json(inputs.add) for source in request.styles],
    }


def request_from_json(values: Any, folder: Path, files: InputFiles, *, device: str = "cpu") -> TranslationRequest:
    """The request of a manifest in `folder`, every field held against its type and range. files: where its inputs lie.

    Raises DataError for fields that are missing, unknown or ill-typed, UsageError for inputs that are nowhere.
    """
    if not isinstance(values, dict):
        raise _damaged(folder, ["the request is no JSON object"])
    names = {f.name for f in fields(TranslationRequest) if f.name != "device"}
    faults = [f"{n} is missing" for n in sorted(names - values.keys())]
    faults += [f"{n!r:.60} is no field of a translation" for n in values if n not in {*names, NAMES}]
    read: dict[str, Any] = {}
    for name in sorted(names & values.keys()):
        try:
            read[name] = _READERS.get(name, _whole)(values[name], files)
        except (TypeError, ValueError, KeyError, AttributeError, ZooError) as error:
            faults.append(f"{name}: {error}")
    told = values.get(NAMES, [])
    if not isinstance(told, list) or len(told) > SAMPLES or not all(isinstance(n, str) for n in told):
        faults.append(f"{NAMES} are not the names of the photos")
    if faults:
        raise _damaged(folder, faults)
    files.check()
    try:
        return TranslationRequest(**read, device=device)
    except UsageError as error:
        raise _damaged(folder, [str(error).rstrip(".")]) from error


def _whole(value: Any, files: InputFiles) -> int:
    del files
    if type(value) is not int or abs(value) > LARGEST:
        raise TypeError(f"expected a whole number, got {named(value)}")
    return value


def _text(value: Any, files: InputFiles) -> str | None:
    del files
    if value is not None and (not isinstance(value, str) or len(value) > PER_TEXT):
        raise TypeError(f"expected a short text, got {named(value)}")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > SAMPLES:
        raise TypeError(f"expected a list, got {named(value)}")
    return value


def _styles(value: Any, files: InputFiles) -> tuple[StyleSource, ...]:
    sources = tuple(StyleSource.from_json(entry, files) for entry in _list(value))
    if any(source.kind == "mean" or source.mask is not None for source in sources):
        raise TypeError("a translator has no such style")
    return sources


_READERS: dict[str, Any] = {
    "photos": lambda value, files: tuple(files(name) for name in _list(value)),
    "to": _text,
    "source": _text,
    "image_format": _text,
    "quality": lambda value, files: None if value is None else _whole(value, files),
    "styles": _styles,
}


def _damaged(folder: Path, faults: list[str]) -> DataError:
    told = [printable(fault if len(fault) < 300 else f"{fault[:297]}...") for fault in faults[:8]]
    return DataError(f"The manifest in {folder} is incomplete or damaged ({'; '.join(told)}).")
