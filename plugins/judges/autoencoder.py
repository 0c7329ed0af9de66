"""mask-autoencoder: label maps through a bottleneck and back; its features say how unlike two maps are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import LabelSpace, MapJudge, SemanticMap
from zoo_plugins.judges.blocks import conv, labels_at, one_hot, planes, stem, up
from zoo_plugins.judges.config import MaskAutoencoderConfig


class MaskAutoencoder(MapJudge):
    """Nothing is random. The paper names an auto-encoder of real maps and nothing of its network: this one is ours."""

    def __init__(self, config: MaskAutoencoderConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        self.config: MaskAutoencoderConfig = config
        w, self.cells = config.width, config.side // 32
        self.stem = stem(len(space), w)
        self.down = nn.ModuleList(
            [conv(w, 2 * w, stride=2), conv(2 * w, 3 * w, stride=2), conv(3 * w, 3 * w, stride=2)]
        )
        self.narrow = nn.Conv2d(3 * w, 2 * w, 1)
        self.code = nn.Linear(2 * w * self.cells**2, config.code)
        self.widen = nn.Linear(config.code, 2 * w * self.cells**2)
        self.up = nn.ModuleList([conv(2 * w, 3 * w), conv(3 * w, 2 * w), conv(2 * w, w), conv(w, w)])
        self.head = nn.Conv2d(w, 16 * len(space), 1)

    @property
    def channels(self) -> tuple[str, ...]:
        return self.label_space.names

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.side, self.config.side

    def stages(self, x: Tensor) -> list[Tensor]:
        """One-hot maps [B, C, side, side] -> features at 1/4, 1/8, 1/16 and 1/32 of the side."""
        found = [self.stem(x)]
        for layer in self.down:
            found.append(layer(found[-1]))
        return found

    def logits(self, x: Tensor) -> Tensor:
        """One-hot maps [B, C, side, side] -> logits of the maps again; differentiable."""
        deepest = self.narrow(self.stages(x)[-1])
        h = self.widen(self.code(deepest.flatten(1))).view_as(deepest)
        for layer in self.up[:3]:
            h = up(layer(h))
        return F.pixel_shuffle(self.head(self.up[3](h)), 4)

    @torch.no_grad()
    def codes(self, semantic_map: SemanticMap) -> list[Tensor]:
        """Features at 1/4 to 1/32 of the side, float32 [B, C_l, h_l, w_l], finest first."""
        return self.stages(planes(semantic_map, self.config.side))

    @torch.no_grad()
    def reconstruct(self, semantic_map: SemanticMap) -> SemanticMap:
        """The most probable class of each pixel behind the bottleneck, [B, side, side]."""
        return SemanticMap(self.logits(planes(semantic_map, self.config.side)).argmax(1), self.label_space)

    @torch.no_grad()
    def errors(self, semantic_map: SemanticMap) -> Tensor:
        """Reconstruction error: mean cross entropy of the map's own pixels, nats, float64 [B]; NaN for a map without labelled pixels."""
        labels = labels_at(semantic_map, self.config.side)
        known = labels < len(self.label_space)
        logits = self.logits(one_hot(labels, len(self.label_space))).float()
        each = F.cross_entropy(logits, labels.where(known, torch.full_like(labels, -100)), reduction="none")
        return each.flatten(1).double().sum(1) / known.flatten(1).sum(1)
