"""What is measured: a model of the zoo, or a folder of pictures that another system made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from zoo.api import load
from zoo.composition.chain import Composition, compose
from zoo.composition.request.requests import split_composition
from zoo.data.pairs import PairData
from zoo.data.specs import DataSpec, open_data, parse_spec
from zoo.errors import DataError, UsageError, few
from zoo.evaluation.parsers import model_facts
from zoo.files.digests import sha256
from zoo.files.images import IMAGE_SUFFIXES, is_picture, photo_tensor
from zoo.files.opened import OpenedFiles
from zoo.hub import resolve
from zoo.inference.optimize import optimize
from zoo.interfaces.judges import MapJudge
from zoo.interfaces.models import ImageSynthesizer, MaskGenerator, MaskParser, Model
from zoo.interfaces.translators import ImageTranslator
from zoo.labels import LabelSpace
from zoo.training.session import open_pairs


@dataclass(frozen=True)
class Subject:
    """kind: one of `zoo.interfaces.metrics.SUBJECTS`. digest: sha256 of the weights, or of the pictures' digests. model: of a composition its
    synthesizer, whose size and classes the data take."""

    kind: str
    name: str
    digest: str
    model: Model | None = None
    pictures: tuple[Path, ...] = ()
    composition: Composition | None = None
    folder: Path | None = None


def is_picture_folder(reference: str) -> bool:
    """True for a folder that holds no model (`config.json`) and is no finished training run."""
    path = Path(reference)
    return path.is_dir() and not any((path / name).is_file() for name in ("config.json", "model/config.json"))


def open_subject(reference: str, *, device: str = "cpu") -> Subject:
    """Raises UsageError for a model of a kind that is not measured, and for a folder without pictures."""
    if is_picture_folder(reference):
        return _folder(Path(reference))
    if "+" in reference and not Path(reference).exists():
        return _composition(reference, device)
    resolved = resolve(reference)
    model = load(reference, device=device)
    for kind, owed in KINDS.items():
        if isinstance(model, owed):
            model = (
                optimize(model, in_place=True) if kind in ("synthesizer", "generator") else model
            )  # equal within 1e-5, and faster
            return Subject(kind, resolved.name, str(model_facts(reference)["sha256"]), model, folder=resolved.folder)
    raise UsageError(
        f"{reference} is a {type(model).__name__}: zoo eval measures {', '.join(KINDS)}, compositions and folders of pictures"
        " (put the pictures of this one into a folder, and give that)."
    )


KINDS: dict[str, type[Model]] = {
    "parser": MaskParser,
    "synthesizer": ImageSynthesizer,
    "generator": MaskGenerator,
    "translator": ImageTranslator,
    "judge": MapJudge,
}


def _composition(reference: str, device: str) -> Subject:
    """Both halves. Raises UsageError where one is missing or in the place of the other."""
    composition = compose(reference, device=device)
    if composition.generator is None or composition.synthesizer is None:
        raise UsageError(f"{reference} lacks a half: a composition is measured as GENERATOR+SYNTHESIZER.")
    parts = [str(part) for part in split_composition(reference)]
    digests = [str(model_facts(part)["sha256"]) for part in parts]
    names = "+".join(resolve(part).name for part in parts)
    return Subject("composition", names, digest_of(digests), composition.synthesizer, composition=composition)


def _folder(path: Path) -> Subject:
    files = tuple(sorted(p for p in path.iterdir() if is_picture(p)))
    if not files:
        raise UsageError(f"The folder {path} holds neither a model nor pictures ({', '.join(IMAGE_SUFFIXES)}).")
    stems = [p.stem for p in files]
    if twice := [s for s in dict.fromkeys(stems) if stems.count(s) > 1]:
        raise DataError(f"{path} has several pictures of one name: {few(twice)}.")
    digest = digest_of([f"{p.name} {sha256(p)}" for p in files])
    return Subject("folder", path.resolve().name, digest, pictures=files)


def digest_of(lines: Sequence[str]) -> str:
    """sha256 of lines of text."""
    import hashlib

    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def open_evaluation_data(spec: str, subject: Subject, space: LabelSpace | None) -> PairData:
    """The pairs at the subject's resolution: in a model's label space, for a folder in the data's own (or `space`).

    Raises DataError for no pairs, UsageError for generators measured on nothing.
    """
    parsed: DataSpec = parse_spec(spec)
    if subject.model is not None:
        data = open_pairs(parsed, subject.model, subject.model.resolution, space=space)
    else:
        first = OpenedFiles().pixels(subject.pictures[0])
        data = open_data(parsed, resolution=(first.shape[0], first.shape[1]), space=space)
    if not len(data):
        raise DataError(f"{spec}: no pairs.")
    return data


def paired_indices(subject: Subject, data: PairData, limit: int | None) -> tuple[bool, list[int]]:
    """Whether a folder's pictures have the names of pairs, and which pairs are measured (the first `limit`).

    Raises DataError if some pictures have such names and others have not.
    """
    everything = list(range(len(data)))
    if subject.kind != "folder":
        return subject.kind not in ("composition", "translator"), everything[:limit]
    places: dict[str, list[int]] = {}
    for index, name in enumerate(data.names):
        places.setdefault(bare(name), []).append(index)
    known = [p for p in subject.pictures if p.stem in places]
    if not known:
        return False, everything[:limit]
    if len(known) < len(subject.pictures):
        others = [p.name for p in subject.pictures if p.stem not in places]
        raise DataError(
            f"{len(known)} pictures have the names of pairs, {len(others)} have not ({few(others)}): rename or remove these."
        )
    if twice := [p.name for p in known if len(places[p.stem]) > 1]:
        raise DataError(
            f"Several pairs of the data are called as {few(twice)}: name a split, or one layer of the data."
        )
    return True, sorted(places[p.stem][0] for p in known)[:limit]


def bare(name: str) -> str:
    """A pair's name without folders and without the ending of a picture."""
    last = name.rsplit("/", 1)[-1]
    ending = next((s for s in IMAGE_SUFFIXES if last.lower().endswith(s)), "")
    return last[: len(last) - len(ending)]


def read_pictures(subject: Subject, data: PairData, paired: bool, indices: Sequence[int], limit: int | None) -> Tensor:
    """The pictures of a folder, in the order of the pairs if they are paired: float32 [N, 3, H, W].

    Raises DataError for pictures of different sizes: what resizes them changes them, so it is not done silently.
    """
    files = {p.stem: p for p in subject.pictures}
    chosen = [files[bare(data.names[i])] for i in indices] if paired else list(subject.pictures)[:limit]
    opened, read = OpenedFiles(), []
    for path in chosen:
        read.append(photo_tensor(opened.pixels(path)))
        if read[-1].shape != read[0].shape:
            sizes = [" x ".join(str(n) for n in reversed(t.shape[1:])) for t in (read[0], read[-1])]
            raise DataError(
                f"{chosen[0].name} has {sizes[0]} pixels, {path.name} {sizes[1]}: all pictures need one size."
            )
    return torch.stack(read)
