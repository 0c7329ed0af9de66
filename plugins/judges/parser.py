"""mobile-parser: a MobileNetV2 below a feature pyramid reads the label map of a photo. No loss may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import DataError, LabelSpace, MaskParser, SemanticMap
from zoo_plugins.judges.blocks import conv, up
from zoo_plugins.judges.config import MobileParserConfig

if TYPE_CHECKING:
    from zoo.interfaces.exports import Exports

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WIDTHS, ENDS = (16, 24, 32, 96), (0, 1, 2, 4)
"""Channels, and the stages of MobileNetV2 that give them: at 1/2, 1/4, 1/8 and 1/16 of the side."""


class FixedNorm(nn.Module):
    """A batch norm that keeps its statistics, in training too; scale and shift are learned. Its state dict is the batch norm's.

    It is no batch norm, because those of averaged weights get new statistics at every validation.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.eps = norm.eps
        self.weight, self.bias = norm.weight, norm.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        self.act = getattr(norm, "act", nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return self.act(
            F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)  # pyright: ignore[reportArgumentType]
        )


def fix_norms(network: nn.Module) -> None:
    """Put a `FixedNorm` in place of each batch norm of a network."""
    for name, module in list(network.named_children()):
        if isinstance(module, nn.BatchNorm2d):
            setattr(network, name, FixedNorm(module))
        else:
            fix_norms(module)


class MobileParser(MaskParser):
    """Nothing is random. The encoder keeps ImageNet's statistics."""

    judges = True

    def __init__(self, config: MobileParserConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        self.config: MobileParserConfig = config
        import timm

        network = timm.create_model("mobilenetv2_100", pretrained=False)
        fix_norms(network)
        self.stem = nn.Sequential(network.conv_stem, network.bn1)  # pyright: ignore[reportArgumentType]
        self.stages = nn.ModuleList(list(cast(nn.Sequential, network.blocks))[: ENDS[-1] + 1])
        self.sides = nn.ModuleList([nn.Conv2d(w, config.width, 1) for w in WIDTHS])
        self.joins = nn.ModuleList([conv(config.width, config.width) for _ in WIDTHS[1:]])
        self.head = nn.Conv2d(config.width, len(space), 1)

    @property
    def channels(self) -> tuple[str, ...]:
        return self.label_space.names

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.side, self.config.side

    def exports(self) -> Exports:
        """See `exporting`."""
        from zoo_plugins.judges.exporting import exports

        return exports(self)

    def features(self, images: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8 and 1/16 of the side, of photos float [B, 3, H, W] in [0, 1]."""
        mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (MEAN, STD))
        x, found = self.stem((self.prepare(images) - mean) / std), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in ENDS:
                found.append(x)
        return found

    def logits(self, images: Tensor) -> Tensor:
        """Photos [B, 3, H, W] in [0, 1] -> logits [B, C, side / 2, side / 2]; differentiable."""
        sides = [layer(x) for layer, x in zip(self.sides, self.features(images), strict=True)]
        h = self.joins[2](sides[3])
        h = self.joins[1](up(h) + sides[2])
        h = self.joins[0](up(h) + sides[1])
        return self.head(up(h) + sides[0])

    @torch.no_grad()
    def parse(self, images: Tensor) -> SemanticMap:
        """Photos float32 [B, 3, H, W] in [0, 1], any size -> maps [B, H, W] of the same size: logits resized (bilinear), first maximum."""
        logits = F.interpolate(self.logits(images).float(), size=images.shape[-2:], mode="bilinear", antialias=False)
        return SemanticMap(logits.argmax(1), self.label_space)

    def prepare(self, images: Tensor) -> Tensor:
        """The photos at the model's side. Raises DataError for anything but three channels."""
        if images.dim() != 4 or images.shape[1] != 3:
            raise DataError(f"The parser reads RGB photos [B, 3, H, W], got {tuple(images.shape)}.")
        if tuple(images.shape[-2:]) == self.resolution:
            return images
        return F.interpolate(images, size=self.resolution, mode="bicubic", antialias=True).clamp(0, 1)
