"""sg2im: image generation from scene graphs (Johnson, Gupta and Fei-Fei, CVPR 2018)."""

from zoo.plugin import Architecture, Plugin

PARAMETERS: dict[str, int] = {}
"""Numbers that training moves, by variant."""

plugin = Plugin(api=1, architectures=[])
