"""How other people's libraries read a label map, each in the line that its users write; `python tests/readers.py` prints the
table of docs/maps.md from a run of those that are installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch

from zoo.maps import SemanticMap
from zoo.registry import label_space

PILLOW = "np.array(PIL.Image.open(p))"
MPL = "np.rint(plt.imread(p) * 255).astype(np.uint8)"


@dataclass(frozen=True)
class Reader:
    """package: what pip installs. modules: name in the code -> module. code: how a file `p` is read. palette, grey: what that gives of
    our maps. numbers: the line that gives class numbers; both: of palette maps too."""

    package: str
    modules: dict[str, str]
    code: str
    palette: str
    grey: str
    numbers: str
    both: bool = True
    run: Callable[[dict[str, Any], str], Any] | None = None
    """Where the code alone does not run."""

    def namespace(self) -> dict[str, Any]:
        """The names of the code. Raises ImportError."""
        names = {"np": "numpy", "PIL": "PIL", "PIL.Image": "PIL.Image", **self.modules}
        return {name: importlib.import_module(module) for name, module in names.items()}

    def read(self, path: Path) -> np.ndarray:
        """What the library gives."""
        names = {**self.namespace(), "p": str(path)}
        return np.asarray(self.run(names, str(path)) if self.run else eval(self.code, names))

    def read_numbers(self, path: Path) -> np.ndarray:
        """What the recommended line gives."""
        return np.squeeze(np.asarray(eval(self.numbers, {**self.namespace(), "p": str(path)})))


def _decoded(spec: str) -> Callable[[dict[str, Any], str], Any]:
    """A map through webdataset's own decoder, from a tar."""

    def run(names: dict[str, Any], path: str) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "one.tar"
            with tarfile.open(file, "w") as tar:
                content = Path(path).read_bytes()
                member = tarfile.TarInfo("0.png")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            return next(iter(names["wds"].WebDataset(str(file), shardshuffle=False).decode(spec)))["png"]

    return run


TV = {"io": "torchvision.io", "F": "torchvision.transforms.functional"}
CODEC = {"decoders": "torchcodec.decoders"}
COLOURS, GREY3 = "colours", "numbers, three times"
LUMINANCE = "luminance"
READERS = [
    Reader("pillow", {}, PILLOW, "numbers", "numbers", PILLOW),
    Reader("pillow", {}, 'np.array(PIL.Image.open(p).convert("L"))', LUMINANCE, "numbers", PILLOW),
    Reader("torchvision", TV, "io.decode_image(p)", "numbers", "numbers", "io.decode_image(p)"),
    Reader("torchvision", TV, "io.decode_image(p, io.ImageReadMode.GRAY)", LUMINANCE, "numbers", "io.decode_image(p)"),
    Reader("torchvision", TV, "io.decode_image(p, io.ImageReadMode.RGB)", COLOURS, GREY3, "io.decode_image(p)"),
    Reader(
        "torchvision", TV, "F.pil_to_tensor(PIL.Image.open(p))", "numbers", "numbers", "F.pil_to_tensor(PIL.Image.open(p))"
    ),
    Reader(
        "torchvision", TV, "F.to_tensor(PIL.Image.open(p))", "numbers / 255", "numbers / 255",
        "F.pil_to_tensor(PIL.Image.open(p))",
    ),
    Reader(
        "opencv-python-headless", {"cv2": "cv2"}, "cv2.imread(p, cv2.IMREAD_UNCHANGED)", "colours, BGR", "numbers",
        "cv2.imread(p, cv2.IMREAD_UNCHANGED)", both=False,
    ),
    Reader(
        "opencv-python-headless", {"cv2": "cv2"}, "cv2.imread(p, cv2.IMREAD_GRAYSCALE)", LUMINANCE, "numbers",
        "cv2.imread(p, cv2.IMREAD_GRAYSCALE)", both=False,
    ),
    Reader(
        "opencv-python-headless", {"cv2": "cv2"}, "cv2.imread(p)", "colours, BGR", GREY3,
        "cv2.imread(p, cv2.IMREAD_UNCHANGED)", both=False,
    ),
    Reader("imageio", {"iio": "imageio.v3"}, "iio.imread(p)", COLOURS, "numbers", 'iio.imread(p, mode="P")'),
    Reader("scikit-image", {"io": "skimage.io"}, "io.imread(p)", COLOURS, "numbers", "io.imread(p)", both=False),
    Reader("matplotlib", {"plt": "matplotlib.image"}, "plt.imread(p)", "colours / 255", "numbers / 255", MPL, both=False),
    Reader(
        "pyvips", {"pyvips": "pyvips"}, "pyvips.Image.new_from_file(p).numpy()", COLOURS, "numbers",
        "pyvips.Image.new_from_file(p).numpy()", both=False,
    ),
    Reader(
        "torchcodec", CODEC, "decoders.decode_image(p)", COLOURS, GREY3,
        "decoders.decode_image(p, mode=decoders.ImageReadMode.UNCHANGED)", both=False,
    ),
    Reader(
        "torchcodec", CODEC, "decoders.decode_image(p, mode=decoders.ImageReadMode.UNCHANGED)", COLOURS, "numbers",
        "decoders.decode_image(p, mode=decoders.ImageReadMode.UNCHANGED)", both=False,
    ),
    Reader("webdataset", {"wds": "webdataset"}, '.decode("pil")', COLOURS, GREY3, PILLOW, run=_decoded("pil")),
    Reader("webdataset", {"wds": "webdataset"}, '.decode("rgb8")', COLOURS, GREY3, PILLOW, run=_decoded("rgb8")),
    Reader("webdataset", {"wds": "webdataset"}, '.decode("l8")', LUMINANCE, "numbers", PILLOW, run=_decoded("l8")),
    Reader(
        "fiftyone", {"fol": "fiftyone.core.labels"}, "fol.Segmentation(mask_path=p).get_mask()", COLOURS, "numbers",
        "fol.Segmentation(mask_path=p).get_mask()", both=False,
    ),
]  # fmt: skip


def judge(found: np.ndarray, numbers: np.ndarray, colours: np.ndarray) -> str:
    """What a library gave of a map. numbers: uint8 [H, W]; colours: uint8 [H, W, 3], those of the label space."""
    found = np.squeeze(found)
    if found.ndim == 3 and found.shape[0] in (3, 4):
        found = np.moveaxis(found, 0, -1)
    scale = " / 255" if found.dtype.kind == "f" else ""
    whole = np.rint(found * 255).astype(int) if scale else found.astype(int)
    luminance = colours @ np.array([0.299, 0.587, 0.114])
    kinds: dict[str, Callable[[], bool]] = {
        "numbers": lambda: whole.shape == numbers.shape and np.array_equal(whole, numbers),
        "luminance": lambda: whole.shape == numbers.shape and float(np.abs(whole - luminance).max()) <= 2,
        "numbers, three times": lambda: np.array_equal(whole[..., :3], np.stack([numbers] * 3, -1)),
        "colours": lambda: np.array_equal(whole[..., :3], colours),
        "colours, BGR": lambda: np.array_equal(whole[..., :3], colours[..., ::-1]),
    }
    return next((kind for kind, holds in kinds.items() if holds()), "something else") + scale


def stripes(name: str) -> SemanticMap:
    """Every class of a space, and 255 where there is "unlabeled"."""
    space = label_space(name)
    values = [*range(len(space)), *([255] if space.ignore else [])]
    side = max(32, len(values))
    return SemanticMap(torch.tensor([values[i * len(values) // side] for i in range(side)]).repeat(1, 24, 1), space)


def written(folder: Path, name: str, map_format: str) -> tuple[Path, np.ndarray]:
    """A PNG of `stripes`, and its class numbers."""
    found = stripes(name)
    path = folder / f"{name}-{map_format}.png"
    found.to_png(path, map_format=map_format)
    return path, found.labels[0].numpy().astype(np.uint8)


def numbers_of(folder: Path) -> list[np.ndarray]:
    """The class numbers of a run's maps."""
    return [np.array(PIL.Image.open(p)) for p in sorted((folder / "maps").glob("*.png"))]


def row(reader: Reader) -> str:
    """The reader's line of the table in docs/maps.md."""
    line = f"`{reader.numbers}`" + ("" if reader.both else ", of a grey map")
    return f"| {reader.package} | `{reader.code}` | {reader.palette} | {reader.grey} | {line} |"


HEAD = (
    "| library | what is written | of a palette map | of a grey map | what gives class numbers |\n|---|---|---|---|---|"
)

if __name__ == "__main__":
    print(HEAD, *map(row, READERS), sep="\n")
