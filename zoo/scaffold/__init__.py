"""What `zoo new-plugin` writes: a small distribution of its own with one working system, its trained toy model and its tests; or with a
data set, or a label space.

The texts lie in `templates/` (`$name` and the like are filled in). Nothing here imports torch.
"""

from __future__ import annotations

import keyword
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from string import Template

from zoo.errors import UsageError
from zoo.files.digests import sha256
from zoo.files.folders import whole_folder
from zoo.registry import API, registry
from zoo.version import __version__

TEMPLATES = Path(__file__).parent / "templates"
LONGEST = 30
"""Letters of a name: with more, lines of the templates would not fit the formatter's width."""

COMMON = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    "gitignore": ".gitignore",
    "plugin_init.py": "$package/__init__.py",
    "py.typed": "$package/py.typed",
    "cards_init.py": "$package/cards/__init__.py",
}
"""Template in `common/` (plus `.in`) and what it becomes."""

OWN = {
    "config.py": "$package/config.py",
    "losses.py": "$package/losses.py",
    "model.py": "$package/model.py",
    "official.py": "$package/official.py",
    "trainer.py": "$package/trainer.py",
    "test_plugin.py": "tests/test_$package.py",
    "config.json": "$package/cards/$model_id/config.json",
}
"""Template in the folder of the kind (plus `.in`) and what it becomes; the card comes last, for it lists the others."""


@dataclass(frozen=True)
class Kind:
    """What differs between the kinds, apart from the templates. asset: a file of the embedded model beside its weights, if it has any."""

    title: str
    can: tuple[str, ...]
    loss: str
    steps: int
    asset: str
    example: str
    trained: str


@dataclass(frozen=True)
class Part:
    """A plugin without a model. own: template in the folder of the kind (plus `.in`) and what it becomes."""

    title: str
    own: dict[str, str]


KINDS = {
    "mask-generator": Kind(
        title="a toy mask generator: a small conditional VAE of label maps",
        can=("reconstruct",),
        loss="balanced_cross_entropy",
        steps=600,
        asset="label_sets.json",
        example="zoo compose $name+scgan -n 4 --out faces",
        trained="zoo compose ./run+scgan -n 4 --out from-my-run",
    ),
    "image-synthesizer": Kind(
        title="a toy image synthesizer: one colour per class and a small shading network",
        can=("style:prior", "style:mean", "style:photo", "style:partial"),
        loss="picture_and_edges",
        steps=300,
        asset="colors.safetensors",
        example="zoo compose mask-vae+$name -n 4 --out faces",
        trained="zoo compose mask-vae+./run -n 4 --out from-my-run",
    ),
    "mask-parser": Kind(
        title="a toy mask parser: a few convolutions from a photo to its label map",
        can=(),
        loss="balanced_cross_entropy",
        steps=400,
        asset="",
        example="zoo parse PHOTO.jpg --parser $name --out maps",
        trained="zoo parse PHOTO.jpg --parser ./run --out maps-of-my-run",
    ),
}

_ALL_PARTS = {
    "LICENSE": "LICENSE",
    "gitignore": ".gitignore",
    "py.typed": "$package/py.typed",
}
_OWN_PARTS = {
    "plugin_init.py": "$package/__init__.py",
    "README.md": "README.md",
    "test_plugin.py": "tests/test_$package.py",
}
PARTS = {
    "data-set": Part(
        "a data set: photos and label maps in a layout of its own", {**_OWN_PARTS, "data.py": "$package/data.py"}
    ),
    "label-space": Part(
        "a label space: classes with colours, aliases and mirrors", {**_OWN_PARTS, "space.json": "$package/space.json"}
    ),
}
"""What a plugin can bring besides models."""


def new_plugin(name: str, kind: str, where: Path) -> Path:
    """Write the distribution `name` with one system of this kind into the folder `where`/`name`; returns that folder.

    name: lower-case words joined by dashes; underscores are taken as dashes. All of it appears at once or not at all.
    Raises UsageError for a name that will not do or is taken and for a folder that exists, DataError if nothing can be written.
    """
    name = name.replace("_", "-")
    check_name(name)
    target = where / name
    if target.exists() or target.is_symlink():
        raise UsageError(f'{target} exists already: choose another name, or another place with <<where="DIR">>.')
    with whole_folder(target, way_out=' Choose another place with <<where="DIR">>.') as part:
        _write(part, fields(name, kind), kind)
    return target


def check_name(name: str) -> None:
    """Raise UsageError for a name that will not do as distribution, module and architecture, or that is taken."""
    if len(name) > LONGEST or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:LONGEST].strip("-")
        hint = f", for example {near!r}" if near else ""
        raise UsageError(
            f"The name {name!r} will not do: lower-case letters and digits, words joined by dashes, a letter first,"
            f" at most {LONGEST} of them{hint}."
        )
    owner = _taken_by(name)
    if owner:
        raise UsageError(f"The name {name!r} is taken: {owner}. Choose another one.")


def _taken_by(name: str) -> str:
    """Who has the name, or nothing."""
    module, reg = name.replace("-", "_"), registry()
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        return f"{module!r} is a word of the Python language, so no module can be called that"
    for record in reg.plugins:
        if name == record.distribution or module == record.name:
            return f"the plugin {record.label} is installed here"
    if name in reg.architectures:
        return f"it is an architecture of {reg.owner(name).label}"
    if name in ("hf", "zoo", "maskzoo"):
        return "the zoo uses it"
    if module in sys.stdlib_module_names or find_spec(module) is not None:
        return f"there is a Python module {module!r}"
    return ""


def fields(name: str, kind: str) -> dict[str, str]:
    """What the templates are filled in with."""
    part = PARTS.get(kind)
    title = part.title if part else KINDS[kind].title
    general = {
        "name": name,
        "package": name.replace("-", "_"),
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "kind": kind,
        "api": str(API),
        "zoo_version": __version__,
        "title": title,
        "summary": f"{title[2].upper()}{title[3:]}",
    }
    if part:
        return general
    about = KINDS[kind]
    return {
        **general,
        "model_id": f"{name}-toy",
        "can": "(" + "".join(f'"{c}", ' for c in about.can).rstrip(" " if len(about.can) == 1 else ", ") + ")",
        "loss": about.loss,
        "steps": str(about.steps),
        "example": Template(about.example).substitute(name=name),
        "trained": Template(about.trained).substitute(name=name),
    }


def _write(folder: Path, values: dict[str, str], kind: str) -> None:
    for source, target in _texts(kind):
        _fill(source, folder / Template(target).substitute(values), values)
    if kind in PARTS:
        return
    model = folder / values["package"] / "cards" / values["model_id"]
    shutil.copyfile(TEMPLATES / kind / "model.safetensors", model / "model.safetensors")
    if asset := KINDS[kind].asset:
        (model / "assets").mkdir()
        shutil.copyfile(TEMPLATES / kind / asset, model / "assets" / asset)
    files = sorted(p for p in model.rglob("*") if p.is_file())
    digests = {p.relative_to(model).as_posix(): sha256(p) for p in files}
    lines = "\n".join(f"    {name}: {digest}" for name, digest in digests.items())
    size = str(sum(p.stat().st_size for p in files))
    _fill(TEMPLATES / kind / "card.md.in", model / "README.md", {**values, "files": lines, "bytes": size})


def _texts(kind: str) -> Iterator[tuple[Path, str]]:
    if kind in PARTS:
        yield from ((TEMPLATES / "common" / f"{name}.in", target) for name, target in _ALL_PARTS.items())
        yield TEMPLATES / "parts" / "pyproject.toml.in", "pyproject.toml"
        yield from ((TEMPLATES / kind / f"{name}.in", target) for name, target in PARTS[kind].own.items())
        return
    yield from ((TEMPLATES / "common" / f"{name}.in", target) for name, target in COMMON.items())
    yield from ((TEMPLATES / kind / f"{name}.in", target) for name, target in OWN.items())


def _fill(source: Path, target: Path, values: dict[str, str]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(Template(source.read_text("utf-8")).substitute(values), "utf-8")
