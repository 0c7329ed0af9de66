"""How the authors cut photos of birds for their second task (docs/papers/dmit.md, "Data"). Everything else that they do to photos is
`zoo.data.preprocess` with the mode shorter_side_and_crop and resample lanczos."""

from __future__ import annotations

from zoo.data.files import PhotoArray


def around_box(photo: PhotoArray, box: tuple[int, int, int, int]) -> PhotoArray:
    """The part of a photo uint8 [H, W, 3] around a box (x, y, width, height) in pixels: 0.9 of the box's longer side to each side of its
    middle, clipped to the photo, so not always square."""
    x, y, width, height = box
    radius = int(0.9 * max(width, height))
    across, down = int((2 * x + width) / 2), int((2 * y + height) / 2)
    rows = slice(max(0, down - radius), min(photo.shape[0], down + radius))
    return photo[rows, max(0, across - radius) : min(photo.shape[1], across + radius)]
