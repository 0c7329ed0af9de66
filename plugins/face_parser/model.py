"""face-parser: photo to label map with the U-Net of CelebAMask-HQ's authors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import did_you_mean
from zoo.plugin import DataError, LabelSpace, MaskParser, SemanticMap, UsageError
from zoo_plugins.face_parser import lite
from zoo_plugins.face_parser.config import FaceParserConfig, LiteParserConfig
from zoo_plugins.face_parser.lite import LiteNet
from zoo_plugins.face_parser.unet import ENCODER, STAGES, UNet

if TYPE_CHECKING:
    from zoo.interfaces.exports import Exports


class FaceParser(MaskParser):
    """The U-Net behind the zoo's interface. Nothing is random; official symbol: `unet`."""

    ENCODER: ClassVar[tuple[str, ...]] = ENCODER
    STAGES: ClassVar[tuple[str, ...]] = STAGES

    def __init__(self, config: FaceParserConfig | LiteParserConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        self.config: Any = config
        self._channels = tuple(space.names[space.index(name)] for name in config.channels) or space.names
        self._build()

    def _build(self) -> None:
        self.unet = UNet(len(self._channels), self.config.feature_scale, batch_norm=self.config.batch_norm)

    @property
    def network(self) -> UNet | LiteNet:
        """What makes logits of normalised photos, and knows its stages."""
        return self.unet

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.side, self.config.side

    def exports(self) -> Exports:
        """See `exporting`."""
        from zoo_plugins.face_parser.exporting import exports

        return exports(self)

    def parse(self, images: Tensor) -> SemanticMap:
        """images float32 [B, 3, H, W] in [0, 1], any size -> maps [B, H, W] of the same size.

        Photos of another size than the model's are resized to it (config field `resize`; the aspect ratio is not kept, as
        officially); the logits are then resized back (bilinear) and the first maximum taken, so borders stay smooth.
        Raises DataError for anything but three channels.
        """
        with torch.no_grad():
            logits = self.logits(self.prepare(images))
            if logits.shape[-2:] != images.shape[-2:]:
                logits = F.interpolate(
                    logits.float(),
                    size=images.shape[-2:],
                    mode="bilinear",
                    antialias=_shrinks(logits, images.shape[-2:]),
                )
            channels = logits.argmax(1)
        return SemanticMap(self._values(channels.device)[channels], self.label_space)

    def logits(self, images: Tensor) -> Tensor:
        """images [B, 3, H, W] in [0, 1] as they are, sides multiples of 16 -> logits [B, channels, H, W]; differentiable."""
        return self.network(normalize(images))

    def features(self, images: Tensor, stages: Sequence[str] = ()) -> list[Tensor]:
        """Feature maps of the named blocks (default: the encoder's, conv1..conv4 and center at 1, 1/2 .. 1/16 of the side), for perceptual
        losses: differentiable with respect to the images, which are resized to the model's side if they differ.

        Blocks after the last one that is asked for are not computed. Use the model in eval mode, or batch norm mixes the
        batch. Raises UsageError for an unknown stage.
        """
        stages = stages or self.ENCODER
        unknown = [s for s in stages if s not in self.STAGES]
        if unknown:
            raise UsageError(
                f"No stage {unknown}{did_you_mean(unknown[0], self.STAGES)} (stages: {', '.join(self.STAGES)})."
            )
        wanted, outputs = set(stages), {}
        for name, value in zip(self.STAGES, self.network.stages(normalize(self.prepare(images))), strict=False):
            if name in wanted:
                outputs[name] = value
            if len(outputs) == len(wanted):
                break
        return [outputs[s] for s in stages]

    def targets(self, maps: SemanticMap) -> Tensor:
        """The network's channel number of each pixel, int64 [B, H, W]; -100 (left out of losses) where no channel has the class."""
        table = torch.full((256,), -100, dtype=torch.long)
        for channel, value in enumerate(self._values("cpu").tolist()):
            table[value] = channel
        return table.to(maps.labels.device)[maps.labels]

    def prepare(self, images: Tensor) -> Tensor:
        """The photos at the model's side, still in [0, 1]."""
        if images.dim() != 4 or images.shape[1] != 3:
            raise DataError(f"The face parser reads RGB photos [B, 3, H, W], got {tuple(images.shape)}.")
        size = self.resolution
        if tuple(images.shape[-2:]) == size:
            return images
        if self.config.resize == "nearest":
            return F.interpolate(images, size=size, mode="nearest-exact")
        return F.interpolate(images, size=size, mode=self.config.resize, antialias=True).clamp(0, 1)

    def _values(self, device: torch.device | str) -> Tensor:
        return torch.tensor([self.label_space.index(name) for name in self._channels], device=device)


class LiteParser(FaceParser):
    """EfficientNet-Lite0 under a small decoder (`zoo_plugins.face_parser.lite`), read and asked as the U-Net is. Ours."""

    ENCODER: ClassVar[tuple[str, ...]] = lite.ENCODER
    STAGES: ClassVar[tuple[str, ...]] = lite.STAGES

    def _build(self) -> None:
        self.lite = LiteNet(len(self._channels), self.config.widths)

    @property
    def network(self) -> LiteNet:
        return self.lite


def normalize(images: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1], as the network is fed officially."""
    return (images - 0.5) / 0.5


def _shrinks(logits: Tensor, size: torch.Size) -> bool:
    return size[0] < logits.shape[-2] or size[1] < logits.shape[-1]
