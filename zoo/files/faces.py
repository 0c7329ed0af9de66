"""Faces in an ordinary photo, and the frame in which each would lie in CelebA-HQ: by dlib, whose models come in pip packages. No torch.

Extra `faces`: dlib-bin (Boost licence; its HOG detector of frontal faces is compiled in) and face-recognition-models (CC0; of it the five
landmarks, read from the installed file, no code of it runs). Nothing is downloaded and nothing is random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from zoo.errors import UsageError, WeightsError
from zoo.files.digests import sha256
from zoo.files.squares import Frame

EXTRA = "pip install 'maskzoo[faces]'"
LACKING = (
    f"Finding a face needs a detector, and it is not installed: {EXTRA}. Or say where the face is:"
    ' <<frame="X,Y,SIDE">> (pixels of the upright photo).'
)
DISTRIBUTION, LANDMARKS = (
    "face-recognition-models",
    "face_recognition_models/models/shape_predictor_5_face_landmarks.dat",
)
LANDMARKS_SHA256 = "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888"
POINTS = ((0.6729, 0.4834), (0.5732, 0.4893), (0.3291, 0.4814), (0.4287, 0.4893), (0.4990, 0.6729))
"""Where the five landmarks lie in CelebA-HQ's frame, as shares of its side: the medians of the 792 of 800 training faces that the detector
finds (`benchmarks/framing.py`). With them 90 % of these faces get a frame of .89 to 1.06 of their own side, turned by less than 5 degrees, with
its middle within .01 of the side."""
LONG_SIDE = 1280
"""Larger photos are searched at this long side: faces of about a fifteenth of it and more are found."""
SHORT = 640
"""Photos of a smaller long side are enlarged twice where nothing is found at their own size."""
TURNS = (30, -30, 60, -60, 90, -90, 180)
"""Degrees by which the photo is turned, one after the other until a face is found: the detector knows upright ones, leaning by up to
about 25 degrees."""
THRESHOLD = 0.0
"""Of the detector's score; its own default."""


@dataclass(frozen=True)
class Face:
    """frame: where CelebA-HQ would have cut it. score: the detector's, above 0; points: outer and inner corner of the eye on the
    picture's right, of that on its left, and the base of the nose, (x, y) in pixels of the photo."""

    frame: Frame
    score: float
    points: tuple[tuple[float, float], ...]


def installed() -> bool:
    """Whether the extra `faces` is there, by name; nothing is imported."""
    if util.find_spec("dlib") is None:
        return False
    try:
        metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return False
    return True


def find_faces(pixels: NDArray[np.uint8], *, turned: bool = True) -> list[Face]:
    """The faces of a photo uint8 RGB [H, W, 3], the largest first; [] if there is none.

    The photo is searched upright, then (`turned`) turned (`TURNS`) until something is found. Raises UsageError where the extra is not installed,
    WeightsError for another file of landmarks than the known one.
    """
    detector, predictor = _models()
    image = PIL.Image.fromarray(np.ascontiguousarray(pixels))
    for turn, scale in _passes(image.size, turned):
        picture, back = _turned(_scaled(image, scale), turn)
        boxes, scores, _ = detector.run(picture, 0, THRESHOLD)
        faces = []
        for box, score in zip(boxes, scores, strict=True):
            shape = predictor(picture, box)
            marks = np.array([(shape.part(i).x + 0.5, shape.part(i).y + 0.5) for i in range(shape.num_parts)])
            points = back(marks) / scale
            faces.append(Face(frame_of(points), float(score), tuple((float(x), float(y)) for x, y in points)))
        if faces:
            return sorted(faces, key=lambda face: -face.frame.side)
    return []


def _passes(size: tuple[int, int], turned: bool) -> list[tuple[int, float]]:
    """By how many degrees the photo is turned and how it is scaled, one after the other."""
    scale = min(1.0, LONG_SIDE / max(size))
    enlarged = [(0, 2.0)] if max(size) < SHORT else []
    return [(0, scale), *enlarged, *((turn, scale) for turn in (TURNS if turned else ()))]


def frame_of(points: NDArray) -> Frame:
    """The frame in which these five points lie nearest (least squares, without mirroring) to where they are in CelebA-HQ (`POINTS`)."""
    model = np.array(POINTS)
    centre, middle = points.mean(0), model.mean(0)
    given, mean = points - centre, model - middle
    square = (mean**2).sum()
    a = (mean * given).sum() / square
    b = (mean[:, 0] * given[:, 1] - mean[:, 1] * given[:, 0]).sum() / square
    side, offset = math.hypot(a, b), 0.5 - middle
    x = centre[0] + a * offset[0] - b * offset[1]
    y = centre[1] + b * offset[0] + a * offset[1]
    # tenths: a frame is told, typed again and recorded with them
    side, angle = max(16.0, round(side, 1)), round(math.degrees(math.atan2(b, a)), 1)
    return Frame(round(x - side / 2, 1), round(y - side / 2, 1), side, angle)


@lru_cache(maxsize=1)
def _models() -> tuple[Any, Any]:
    """dlib's detector and the landmarks' predictor."""
    if not installed():
        raise UsageError(LACKING)
    import dlib  # pyright: ignore[reportMissingImports]

    found = metadata.distribution(DISTRIBUTION)
    path = Path(str(found.locate_file(LANDMARKS)))
    if not path.is_file() or sha256(path) != LANDMARKS_SHA256:
        raise WeightsError(
            f"{path} is not the file of landmarks that is known: install {DISTRIBUTION}==0.3.0 ({EXTRA})."
        )
    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(path))  # type: ignore[attr-defined]


def _scaled(image: PIL.Image.Image, scale: float) -> PIL.Image.Image:
    """The photo at the size at which it is searched."""
    if scale == 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, PIL.Image.Resampling.BILINEAR)


def _turned(image: PIL.Image.Image, turn: int) -> tuple[NDArray[np.uint8], Any]:
    """The picture turned clockwise, on a canvas that holds all of it, and what brings points (x, y) of it back."""
    turned = image.rotate(-turn, PIL.Image.Resampling.BILINEAR, expand=True) if turn else image
    centre, middle = np.array(image.size) / 2, np.array(turned.size) / 2
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))

    def back(points: NDArray) -> NDArray:
        x, y = (points - middle).T
        return np.stack([cos * x + sin * y, cos * y - sin * x], axis=1) + centre

    return np.ascontiguousarray(np.asarray(turned)), back
