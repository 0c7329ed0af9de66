"""Pascal VOC: palette PNGs, lists per split, and the colours in `labelmap.txt`, which CVAT and datumaro read."""

from __future__ import annotations

import PIL.Image

from zoo.data.formats.base import Form, Pair, saved
from zoo.files.labelmaps import LABELMAP, check_colors, labelmap_text
from zoo.labels import IGNORE, Color

BORDER: Color = (224, 224, 192)
"""In which VOC shows 255."""
IGNORED = "ignored"
"""What tools call it."""


class Voc(Form):
    """JPEGImages/NAME.png|jpg (as the picture is), SegmentationClass/NAME.png, ImageSets/Segmentation/SPLIT.txt, labelmap.txt.

    The number of a pixel is its class, the palette has the colours of the label space, 255 VOC's for borders. Raises LabelError for classes
    that share a colour, by which readers tell them apart.
    """

    def begin(self) -> None:
        check_colors(self.space, (BORDER,) if self.space.ignore else ())
        self._stems: dict[str, list[str]] = {}
        colors = [c for color in self.space.palette for c in color]
        self._palette = colors + [0] * (3 * IGNORE - len(colors)) + list(BORDER)

    def add(self, pair: Pair) -> None:
        self._stems.setdefault(pair.split, []).append(pair.stem)
        if pair.content:
            self.write(f"JPEGImages/{pair.stem}{pair.ending}", pair.content)
        image = PIL.Image.fromarray(pair.labels).convert("P")
        image.putpalette(self._palette)
        self.write(f"SegmentationClass/{pair.stem}.png", saved(image))

    def finish(self) -> list[str]:
        for split, stems in self._stems.items():
            self.write(f"ImageSets/Segmentation/{split}.txt", "".join(f"{stem}\n" for stem in stems))
        more = {IGNORED: BORDER} if self.space.ignore else {}
        self.write(LABELMAP, labelmap_text(self.space, "# written by zoo data convert", more))
        return []
