"""From the start grid to the picture: what the configs of SPADE's descendants compute from their sizes, without torch."""

from __future__ import annotations

from zoo.configs import SIDE

DOUBLINGS = {"normal": 5, "more": 6, "most": 7, "finer": 6}
"""`num_upsampling_layers`: doublings of the side from the start grid to the picture. finer is ours: normal, and one more block behind it."""
MULTIPLES = (16, 8, 4, 2, 1)
"""Channels of a generator in multiples of its `ngf`, from the start grid to the picture's size."""


class DoubledSizes:
    """Sizes that follow from a config's `resolution` (width of the images), `aspect_ratio` (width / height) and `doublings`."""

    resolution: int
    aspect_ratio: float

    @property
    def doublings(self) -> int:
        """Doublings between the coarsest features and the image."""
        raise AttributeError(f"{type(self).__name__} does not say how often it doubles its features.")

    @property
    def grid(self) -> tuple[int, int]:
        """(height, width) of the generator's first features."""
        width = self.resolution >> self.doublings
        return round(width / self.aspect_ratio), width

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images."""
        height, width = self.grid
        return height << self.doublings, width << self.doublings

    def grid_faults(self) -> list[str]:
        """What is wrong with the fields, in words for a ConfigError."""
        step = 2**self.doublings
        if self.resolution < step or self.resolution % step:
            return [f"resolution must be a multiple of {step}, got {self.resolution}"]
        if self.aspect_ratio <= 0:
            return [f"aspect_ratio leaves no height, got {self.aspect_ratio:g}"]
        if self.resolution / self.aspect_ratio > SIDE:
            return [f"aspect_ratio {self.aspect_ratio:g} makes pictures higher than {SIDE} pixels"]
        if self.grid[0] < 1:
            return [
                f"aspect_ratio {self.aspect_ratio:g} leaves {round(self.resolution / self.aspect_ratio)} pixels of height at a resolution of"
                f" {self.resolution}, and {step} are the least: raise the resolution"
            ]
        return []


class GridSizes(DoubledSizes):
    """`DoubledSizes` whose doublings a field `upsampling` names."""

    upsampling: str

    @property
    def doublings(self) -> int:
        """Doublings between the start grid and the image."""
        return DOUBLINGS[self.upsampling]

    def grid_faults(self) -> list[str]:
        """What is wrong with the three fields, in words for a ConfigError."""
        if self.upsampling not in DOUBLINGS:
            return [f"upsampling must be one of {', '.join(DOUBLINGS)}, got {self.upsampling!r}"]
        return super().grid_faults()


def widths(ngf: int, max_width: int = 0) -> list[int]:
    """Channels at the five scales of a generator, coarsest first: 16, 8, 4, 2 and 1 times `ngf`, at most `max_width` (0: no cap)."""
    return [min(m * ngf, max_width or m * ngf) for m in MULTIPLES]
