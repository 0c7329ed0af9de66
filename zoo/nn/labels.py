"""From semantic maps to network inputs: the one place where class numbers become one-hot channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import LabelError
from zoo.labels import IGNORE, LabelSpace
from zoo.maps import SemanticMap

EDGES_DRAWN = (
    "The map has no instance numbers: the edge channel shows the borders of its labels, so touching objects of one class"
    " are not told apart (a PNG of numbers as `instances` tells them apart)."
)


def background_last(space: LabelSpace) -> tuple[str, ...]:
    """The classes of `space` in its order, but the background (if it has one) at the end."""
    rest = tuple(n for n in space.names if n != space.background)
    return rest if space.background is None else (*rest, space.background)


def background_first(space: LabelSpace) -> tuple[str, ...]:
    """The classes of `space` in its order, but the background (if it has one) at the front."""
    rest = tuple(n for n in space.names if n != space.background)
    return rest if space.background is None else (space.background, *rest)


def channel_table(space: LabelSpace, channels: tuple[str, ...], ignore_channel: int | None = None) -> Tensor:
    """Lookup table [256] int64 from values of `space` to channels; -1 where a value has none.

    channels: class names in the network's order. ignore_channel: the channel that the value 255 takes (None: none).
    Raises LabelError for names that the space lacks, doubles, and classes without a channel.
    """
    values = [space.index(name) for name in channels]
    doubles = sorted({n for n, v in zip(channels, values, strict=True) if values.count(v) > 1})
    left_out = [n for v, n in enumerate(space.names) if v not in values]
    if doubles or left_out:
        faults = [f"twice: {', '.join(doubles)}"] * bool(doubles) + [
            f"without a channel: {', '.join(left_out)}"
        ] * bool(left_out)
        raise LabelError(f"Channel order does not fit label space {space.name!r} ({'; '.join(faults)}).")
    table = torch.full((IGNORE + 1,), -1, dtype=torch.int64)
    table[values] = torch.arange(len(values))
    if ignore_channel is not None and len(space) <= IGNORE:
        table[IGNORE] = ignore_channel
    return table


def one_hot(indices: Tensor, channels: int) -> Tensor:
    """int64 [B, H, W] -> float32 [B, channels, H, W]; a negative index gives zeros in all channels."""
    planes = torch.zeros(indices.shape[0], channels, *indices.shape[1:], device=indices.device)
    return planes.scatter_(1, indices.clamp_min(0)[:, None], (indices >= 0)[:, None].to(planes))


def one_hot_traced(indices: Tensor, channels: int) -> Tensor:
    """`one_hot` as a comparison, which every runtime of graphs has and which needs no memory to scatter into."""
    return (indices[:, None] == torch.arange(channels, device=indices.device)[:, None, None]).float()


def shown_channels(planes: Tensor) -> Tensor:
    """The channels of planes [B, channels, H, W] that hold anything, int64 [K] ascending (the first one where none does)."""
    shown = planes.flatten(2).any(2).any(0).nonzero()[:, 0]
    return shown if len(shown) else shown.new_zeros(1)


def shown_planes(planes: Tensor) -> tuple[Tensor, Tensor | None]:
    """(the planes that hold anything [B, K, H, W], the channels that they are, int64 [K]): a convolution over them gives equal sums.

    In training on a GPU, which would wait for their number, and in an exported graph, whose shapes depend on no value: (all planes, None).
    """
    if torch.compiler.is_exporting() or (planes.device.type != "cpu" and torch.is_grad_enabled()):
        return planes, None
    channels = shown_channels(planes)
    return planes.index_select(1, channels), channels


def instance_edges(instances: Tensor) -> Tensor:
    """Instance ids [B, H, W] -> float32 [B, 1, H, W]: 1 where a 4-neighbour has another id (both sides of a border)."""
    edges = torch.zeros(instances.shape, dtype=torch.bool, device=instances.device)
    across = instances[..., 1:] != instances[..., :-1]
    edges[..., 1:] |= across
    edges[..., :-1] |= across
    down = instances[:, 1:] != instances[:, :-1]
    edges[:, 1:] |= down
    edges[:, :-1] |= down
    return edges[:, None].float()


class LabelInput(nn.Module):
    """Turns a SemanticMap into a network's input planes, by class name.

    channels: class names in the network's order (all classes of the space). ignore_channel: index of the channel for 255.
    edges: append the instance edge map as one more channel; a map without instance ids gives the borders of its labels
    (`EDGES_DRAWN` is the sentence that says so). Holds no parameters and no state-dict keys.
    """

    table: Tensor

    def __init__(
        self, space: LabelSpace, channels: tuple[str, ...], *, ignore_channel: int | None = None, edges: bool = False
    ) -> None:
        super().__init__()
        self.space, self.edges, self.classes = space, edges, len(channels)
        with torch.device("cpu"):  # real even where the network is built on the meta device
            table = channel_table(space, channels, ignore_channel)
        self.register_buffer("table", table, persistent=False)

    @property
    def channels(self) -> int:
        """Planes of the output."""
        return self.classes + self.edges

    def indices(self, labels: Tensor) -> Tensor:
        """Values of the space [B, H, W] -> channel indices int64. Raises LabelError for a value without a channel."""
        table = self.table.to(labels.device)
        indices = table[labels.long().clamp(0, IGNORE)]
        bad = (indices < 0) | (labels < 0) | (labels > IGNORE)
        if bad.any():
            values = sorted(set(labels[bad].flatten().tolist()))
            raise LabelError(
                f"The map holds values {values[:8]} that label space {self.space.name!r}"
                f" (0..{len(self.space) - 1}) lacks: convert it, or look at it with `zoo mask inspect`."
            )
        return indices

    def read(self, semantic_map: SemanticMap) -> Tensor:
        """The map's channel indices int64 [B, H, W]. Raises LabelError for a map of another space."""
        if semantic_map.space.names != self.space.names:
            raise LabelError(
                f"The network reads label space {self.space.name!r}, the map is in {semantic_map.space.name!r}: convert it first (SemanticMap.to_space)."
            )
        return self.indices(semantic_map.labels)

    def forward(self, semantic_map: SemanticMap) -> Tensor:
        """-> float32 [B, channels, H, W] on the map's device."""
        planes = one_hot(self.read(semantic_map), self.classes)
        if not self.edges:
            return planes
        return torch.cat([planes, self._edges(semantic_map).to(planes)], 1)

    def traced(self, labels: Tensor) -> Tensor:
        """The planes of values [B, H, W] of the space as `forward` makes them, without a look at the values, for an exported graph:
        a value without a channel gives zeros. Instance edges are the borders of the labels."""
        planes = one_hot_traced(self.table[labels.long().clamp(0, IGNORE)], self.classes)
        return torch.cat([planes, instance_edges(labels)], 1) if self.edges else planes

    def values(self, semantic_map: SemanticMap) -> Tensor:
        """What each pixel holds as one number, int64 [B, H, W]: its channel, and with edges twice that and 1 on a border.

        Raises LabelError for a map of another space.
        """
        channels = self.read(semantic_map)
        return 2 * channels + self._edges(semantic_map)[:, 0].long() if self.edges else channels

    def content(self, values: Tensor) -> Tensor:
        """What pixels of such values hold: the channel of each, int64 [K], or with edges their planes, float32 [K, channels]."""
        if not self.edges:
            return values
        planes = F.one_hot(values // 2, self.channels).float()
        planes[:, -1] = values % 2
        return planes

    def _edges(self, semantic_map: SemanticMap) -> Tensor:
        return instance_edges(semantic_map.labels if semantic_map.instances is None else semantic_map.instances)

    def notes(self, semantic_map: SemanticMap) -> tuple[str, ...]:
        """What was put in place of something that the map lacks, for people."""
        return (EDGES_DRAWN,) if self.edges and semantic_map.instances is None else ()
