"""Each file that a command is given is read and decoded once, however many checks look at it."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
import torch
from fixtures_models import Ran

import zoo
from zoo.style import Style

Run = Callable[..., Ran]
OPENED: list[Path] = []
LISTENING: list[bool] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if LISTENING and event == "open" and isinstance(arguments[0], str | Path) and "w" not in str(arguments[1]):
        OPENED.append(Path(arguments[0]))


sys.addaudithook(_hook)  # cannot be taken back: it listens where `counts` says so


class Counts:
    """How often each input was opened, and its pixels or tensors decoded, by file name."""

    def __init__(self, files: list[Path]) -> None:
        self.files = {p.resolve(): p.name for p in files}
        self.names = {hashlib.sha256(p.read_bytes()).hexdigest(): p.name for p in files}
        self.decoded: Counter[str] = Counter()
        self.rust: list[Path] = []

    @property
    def opened(self) -> Counter[str]:
        return Counter(self.files[p.resolve()] for p in (*OPENED, *self.rust) if p.resolve() in self.files)

    def saw(self, content: bytes) -> None:
        name = self.names.get(hashlib.sha256(content).hexdigest())
        if name:
            self.decoded[name] += 1


@pytest.fixture
def files(inputs: Path, tmp_path: Path, pipe: zoo.Composition) -> dict[str, Path]:
    """One file of each kind, all of different bytes."""
    for name in ("face", "other", "photo", "photo2"):
        (tmp_path / f"{name}.png").write_bytes((inputs / f"{name}.png").read_bytes())
    with PIL.Image.open(inputs / "face.png") as face:
        labels = np.asarray(face)
    PIL.Image.fromarray(np.flip(labels, 1).copy()).save(tmp_path / "looks.png")
    PIL.Image.fromarray((labels > 1).astype(np.uint8)).save(tmp_path / "objects.png")
    synthesizer: Any = pipe.synthesizer
    plain = zoo.SemanticMap(torch.zeros(1, 32, 32).long(), pipe.space)
    synthesizer.sample_style(plain, zoo.Rng(3)).save(tmp_path / "look.safetensors")
    return {p.stem: p for p in sorted(tmp_path.iterdir()) if p.suffix in (".png", ".safetensors")}


@pytest.fixture
def counts(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Counts]:
    import safetensors

    found = Counts(list(files.values()))
    load, safe_open, from_bytes = (
        PIL.ImageFile.ImageFile.load,
        safetensors.safe_open,
        getattr(Style, "from_bytes", None),
    )

    def counting(image: PIL.ImageFile.ImageFile) -> Any:
        if image.tile and image.fp is not None:
            here = image.fp.tell()
            image.fp.seek(0)
            LISTENING.clear()
            found.saw(image.fp.read())
            LISTENING.append(True)
            image.fp.seek(here)
        return load(image)

    def opening(path: str, *rest: Any) -> Any:
        found.rust.append(Path(path))
        LISTENING.clear()
        found.saw(Path(path).read_bytes())
        LISTENING.append(True)
        return safe_open(path, *rest)

    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", counting)
    monkeypatch.setattr(safetensors, "safe_open", opening)
    if from_bytes is not None:

        def parsing(content: bytes, *rest: Any, **named: Any) -> Style:
            found.saw(content)
            return from_bytes(content, *rest, **named)

        monkeypatch.setattr(Style, "from_bytes", staticmethod(parsing))
    OPENED.clear()
    LISTENING.append(True)
    yield found
    LISTENING.clear()


COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "map": (("compose", "GEN+SYN", "--mask", "face.png"), ("face.png",)),
    "maps": (("compose", "GEN+SYN", "--mask", "face.png", "--mask", "other.png"), ("face.png", "other.png")),
    "photo": (("compose", "GEN+SYN", "--photo", "photo.png", "--parser", "PARSER"), ("photo.png",)),
    "photo and its map": (
        ("compose", "GEN+SYN", "--photo", "photo.png", "--mask", "face.png"),
        ("photo.png", "face.png"),
    ),
    "instances": (
        ("compose", "GEN+SYN", "--mask", "face.png", "--instances", "objects.png"),
        ("face.png", "objects.png"),
    ),
    "style of a photo": (
        ("synth", "SYN", "face.png", "--style", "photo.png::looks.png"),
        ("face.png", "photo.png", "looks.png"),
    ),
    "styles to": (
        (
            "synth",
            "SYN",
            "face.png",
            "--style",
            "photo.png::looks.png",
            "--style-to",
            "photo2.png::other.png",
            "-n",
            "3",
        ),
        ("face.png", "photo.png", "looks.png", "photo2.png", "other.png"),
    ),
    "one map twice": (
        ("synth", "SYN", "face.png", "--style", "photo.png::face.png"),
        ("face.png", "photo.png"),
    ),
    "style file": (("synth", "SYN", "face.png", "--style", "look.safetensors"), ("face.png", "look.safetensors")),
    "interpolate": (
        ("compose", "GEN+SYN", "--mask", "face.png", "--edit", "interpolate:hair=other.png@0.5", "-n", "3"),
        ("face.png", "other.png"),
    ),
    "generate": (("generate", "GEN", "--mask", "face.png", "--edit", "perturb:hair"), ("face.png",)),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_opens_each_file_once(
    case: str, run: Run, counts: Counts, model_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {
        n: str(model_root / f"{m}-celeba")
        for n, m in (("GEN", "mask-vae"), ("SYN", "scgan"), ("PARSER", "face-parser"))
    }
    words["GEN+SYN"] = f"{words['GEN']}+{words['SYN']}"
    command, names = COMMANDS[case]
    monkeypatch.chdir(tmp_path)
    # two batches, so that what all of them need is asked for twice
    made = run(*(words.get(w, w) for w in command), "--seed", 0, "--batch-size", 1, "--out", "out", "--device", "cpu")
    assert made.code == 0, made.err
    print(case, "opened", dict(counts.opened), "decoded", dict(counts.decoded))
    assert counts.opened == Counter(names)
    # the grid shows the photos that a run starts from, from their copies in the run folder, when all samples are done
    shown = [w for flag, w in pairwise(command) if flag == "--photo"]
    assert counts.decoded == Counter([*names, *shown])


CALLS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "map": ({"maps": "face.png"}, ("face.png",)),
    "photo": ({"photos": "photo.png"}, ("photo.png",)),
    "photo and its map": ({"photos": "photo.png", "maps": "face.png"}, ("face.png", "photo.png")),
    "instances": ({"maps": "face.png", "instances": "objects.png"}, ("face.png", "objects.png")),
    "style of a photo": (
        {"maps": "face.png", "style": "photo.png::looks.png", "n": 2},
        ("face.png", "photo.png", "looks.png"),
    ),
    "style of a photo alone": ({"maps": "face.png", "style": "photo.png", "n": 2}, ("face.png", "photo.png")),
    "style file": ({"maps": "face.png", "style": "look.safetensors"}, ("face.png", "look.safetensors")),
    "interpolate": (
        {"maps": "face.png", "edits": "interpolate:hair=other.png", "n": 2},
        ("face.png", "other.png"),
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_call_opens_each_file_once(
    case: str, pipe: zoo.Composition, counts: Counts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, names = CALLS[case]
    monkeypatch.chdir(tmp_path)
    pipe(**arguments, seed=0, batch_size=1)
    print(case, "opened", dict(counts.opened), "decoded", dict(counts.decoded))
    assert counts.opened == Counter(names)
    assert counts.decoded == Counter(names)


def test_other_commands_open_each_file_once(
    run: Run, counts: Counts, files: dict[str, Path], model_root: Path, tmp_path: Path
) -> None:
    assert run("mask", "inspect", files["face"], "--space", "celebamask-hq").code == 0
    photos = files["photo"], files["photo2"]
    made = run(
        "parse", *photos, "--parser", model_root / "face-parser-celeba", "--out", tmp_path / "maps", "--device", "cpu"
    )
    assert made.code == 0, made.err
    print("others", "opened", dict(counts.opened), "decoded", dict(counts.decoded))
    assert counts.opened == counts.decoded == Counter(("face.png", "photo.png", "photo2.png"))
