"""The map as a picture: what a network with `label_nc` 0 sees, which takes any RGB picture."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.nn.labels import LabelInput
from zoo.plugin import LabelSpace, SemanticMap


class ColourInput(LabelInput):
    """`LabelInput` whose planes are the map in its space's colours, in [-1, 1]; the value 255 takes its channel's colour."""

    colours: Tensor

    def __init__(
        self, space: LabelSpace, channels: tuple[str, ...], *, ignore_channel: int | None = None, edges: bool = False
    ) -> None:
        super().__init__(space, channels, ignore_channel=ignore_channel, edges=edges)
        with torch.device("cpu"):  # real even where the network is built on the meta device
            colours = torch.tensor([space.palette[space.index(name)] for name in channels]) / 127.5 - 1
        self.register_buffer("colours", colours, persistent=False)

    @property
    def channels(self) -> int:
        """Planes of the output."""
        return 3 + self.edges

    def forward(self, semantic_map: SemanticMap) -> Tensor:
        """-> float32 [B, 3 (4 with edges), H, W] on the map's device."""
        planes = self.colours.to(semantic_map.labels.device)[self.read(semantic_map)].permute(0, 3, 1, 2)
        return torch.cat([planes, self._edges(semantic_map).to(planes)], 1) if self.edges else planes.contiguous()

    def content(self, values: Tensor) -> Tensor:
        """What pixels of such values hold: float32 [K, channels]."""
        if not self.edges:
            return self.colours.to(values.device)[values]
        return torch.cat([self.colours.to(values.device)[values // 2], (values % 2)[:, None].float()], 1)
