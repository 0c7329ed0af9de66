"""`zoo ui --export-space`: a folder that a Hugging Face Space (Docker) runs as it is. No torch in here.

The folder holds this very zoo (its packages, with the entry points of its plugins) and the models offered, so that nothing but libraries
is fetched where it is built, and those in the versions of this environment.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import zoo
from zoo.errors import UsageError
from zoo.files.folders import whole_folder
from zoo.files.names import is_name
from zoo.files.writing import write_text
from zoo.registry import FIRST_PARTY, import_string, registry
from zoo.store.vouching import is_model_file, model_files
from zoo.version import __version__
from zoo.web.limits import MIB, PUBLIC
from zoo.web.offers import Offer, Offers, gather

PORT = 7860
CODE, MODELS = "lib", "models"
EXTRA = "ui"
SERVER = ("fastapi", "uvicorn")
TEMPLATES = Path(__file__).parent / "space_files"
"""Files of the folder, with words between @ that are filled in."""


def export_space(folder: Path, references: Sequence[str] = ()) -> Path:
    """Write the folder; returns it. references: the models to offer (default: all that are here and not slow).

    Raises UsageError for a folder with something in it and for models that cannot travel, DataError where nothing can be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty: name a new folder for the Space.")
    offers = _travelling(gather(references), named=bool(references))
    with whole_folder(folder) as part:
        _code(part / CODE)
        for offer in offers:
            _model(offer, part / MODELS / offer.id)
        words = {
            "PINS": "\n".join(_pins()),
            "PYTHON": _python(),
            "PORT": str(PORT),
            "CODE": CODE,
            "MODELS": " ".join(f"./{MODELS}/{offer.id}" for offer in offers),
            "VERSION": __version__,
            "ROWS": "\n".join(_row(offer) for offer in offers),
            "UPLOAD": f"{PUBLIC.upload / MIB:.0f}",
        }
        for template in sorted(TEMPLATES.iterdir()):
            write_text(part / template.name.removesuffix(".template"), _filled(template.read_text("utf-8"), words))
        write_text(part / ".dockerignore", "**/__pycache__\n")
    return folder


def _travelling(offers: Offers, *, named: bool) -> list[Offer]:
    here = [o for o in offers.models.values() if o.folder is not None and (named or not o.slow)]
    for offer in here:
        owner = registry().owner(offer.architecture)
        if owner.distribution != FIRST_PARTY:
            raise UsageError(
                f"{offer.id} is of the plugin {owner.label}, which the folder would not hold: leave it out (<<models>>), or write a"
                " Dockerfile of your own that installs the plugin."
            )
        if not is_name(offer.id):
            raise UsageError(f"The model folder {offer.id!r} has no name that does in a command line: rename it.")
    return here


def _code(target: Path) -> None:
    """The packages, and what tells Python of them and their entry points."""
    packages = {"zoo": Path(zoo.__file__).parent}
    packages |= {
        name: Path(next(iter(import_string(name, FIRST_PARTY).__path__))) for name in ("zoo_plugins", "zoo_cards")
    }
    for name, source in packages.items():
        for path in sorted(source.rglob("*")):
            relative = path.relative_to(source)
            card = name == "zoo_cards" and len(relative.parts) > 1  # models travel beside, each once
            if path.is_file() and not card and "__pycache__" not in relative.parts:
                (target / name / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / name / relative)
    installed = importlib.metadata.distribution(FIRST_PARTY)
    about = target / f"{FIRST_PARTY}-{__version__}.dist-info"
    about.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        write_text(about / name, installed.read_text(name) or "")
    for name in ("LICENSE", "NOTICE"):
        found = next((f for f in installed.files or () if f.name == name), None)
        source = Path(zoo.__file__).parent.parent / name if found is None else Path(str(found.locate()))
        if source.is_file():
            shutil.copyfile(source, target / name)


def _model(offer: Offer, target: Path) -> None:
    assert offer.folder is not None
    paths = [*model_files(offer.folder), offer.folder / "README.md"]
    for path in (p for p in paths if p.is_file()):
        name = path.relative_to(offer.folder).as_posix()
        if is_model_file(name) and (name == "README.md" or not offer.files or name in offer.files):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)


def _filled(text: str, words: Mapping[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], text)


def _pins() -> list[str]:
    """The libraries that the zoo and its extra `ui` ask for, in the versions that are installed here."""
    lines: list[str] = []
    names: list[str] = []
    for text in importlib.metadata.requires(FIRST_PARTY) or ():
        requirement, _, marker = text.partition(";")
        if "extra" in marker and f'"{EXTRA}"' not in marker.replace("'", '"'):
            continue
        found = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
        if found is not None:
            names.append(found[0])
    # timm needs torchvision in the version that goes with torch; what is installed may not know its extra yet
    for name in dict.fromkeys([*names, "torchvision", *SERVER]):
        try:
            lines.append(f"{name}=={importlib.metadata.version(name).partition('+')[0]}")
        except importlib.metadata.PackageNotFoundError:
            if name in SERVER:
                raise UsageError(
                    f"The Space needs {name}, whose version is taken from here: pip install 'maskzoo[ui]'."
                ) from None
    return lines


def _python() -> str:
    import sys

    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _row(offer: Offer) -> str:
    from zoo import cards

    assert offer.folder is not None
    card = cards.read_card(offer.folder)
    stated = (card.licenses["weights"] if card is not None else None) or "not stated"
    return f"| {offer.id} | {offer.title or offer.architecture} | {json.dumps(stated)[1:-1].replace('|', '/')} |"
