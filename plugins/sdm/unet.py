"""SDM's U-Net: an encoder that sees the noisy picture and the time alone, a decoder whose norms read the map (docs/papers/sdm.md,
"Architecture"). Names of parameters are the authors'."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zoo.nn.one_batch import for_checkpoint
from zoo_plugins.sdm.blocks import (
    AttentionBlock,
    Downsample,
    GroupNorm,
    ResBlock,
    SDMResBlock,
    Upsample,
    timestep_embedding,
    zeroed,
)
from zoo_plugins.sdm.config import SDMConfig


class Stage(nn.Sequential):
    """Blocks after one another; residual blocks get the embedding and the condition, the others x alone."""

    def forward(self, x: Tensor, embedding: Tensor, condition: Any = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        for block in self:
            x = block(x, embedding, condition) if isinstance(block, ResBlock | SDMResBlock) else block(x)
        return x


class UNet(nn.Module):
    """forward(x [B, 3, H, W] in the scale [-1, 1], times [B], planes [B, K, H, W]) -> float32 [B, 6 (or 3), H, W].

    The first three channels are the noise (or with `predict_xstart` the picture), the others say the variance. Sides are multiples of
    `config.step`. planes: how many planes the map has; all of them zero is the left out map.
    """

    def __init__(self, config: SDMConfig, planes: int) -> None:
        super().__init__()
        self.config, self.planes = config, planes
        self.checkpointing = False
        self.embedding = 4 * config.width
        self.time_embed = nn.Sequential(
            nn.Linear(config.width, self.embedding), nn.SiLU(), nn.Linear(self.embedding, self.embedding)
        )
        skips = self._build_encoder()
        self.middle_block = self._build_middle()
        self._build_decoder(skips)
        last = nn.Conv2d(config.widths[0], 6 if config.learn_sigma else 3, 3, padding=1)
        self.out = nn.Sequential(GroupNorm(config.groups, config.widths[0]), nn.SiLU(), zeroed(last))

    # --- building -------------------------------------------------------------------------------------------------

    def _plain(self, c_in: int, c_out: int, **changes: Any) -> ResBlock:
        c = self.config
        fields = {"groups": c.groups, "dropout": c.dropout, "scale_shift": c.scale_shift}
        return ResBlock(c_in, self.embedding, c_out, **(fields | changes))

    def _reading(self, c_in: int, c_out: int, scale: int, **changes: Any) -> SDMResBlock:
        c = self.config
        fields: dict[str, Any] = {"groups": c.groups, "dropout": c.dropout, "scale_shift": c.scale_shift}
        fields |= {"hidden": c.spade_hidden, "scale": scale}
        return SDMResBlock(c_in, self.embedding, c_out, self.planes, **(fields | changes))

    def _attention(self, channels: int, *, up: bool = False) -> AttentionBlock:
        c = self.config
        heads = (c.heads_up or c.heads) if up else c.heads
        heads = channels // c.head_channels if c.head_channels else heads
        return AttentionBlock(channels, heads, groups=c.groups, new_order=c.new_attention_order)

    def _build_encoder(self) -> list[int]:
        """The encoder's stages; the widths of what they put out."""
        c, widths = self.config, self.config.widths
        stages, skips, width = [Stage(nn.Conv2d(3, widths[0], 3, padding=1))], [widths[0]], widths[0]
        for level, wide in enumerate(widths):
            for _ in range(c.res_blocks):
                blocks: list[nn.Module] = [self._plain(width, wide)]
                width = wide
                if 1 << level in c.attention:
                    blocks.append(self._attention(width))
                stages.append(Stage(*blocks))
                skips.append(width)
            if level < len(widths) - 1:
                down = self._plain(width, width, down=True) if c.resblock_updown else Downsample(width)
                stages.append(Stage(down))
                skips.append(width)
        self.input_blocks = nn.ModuleList(stages)
        return skips

    def _build_middle(self) -> Stage:
        scale, width = self.config.step, self.config.widths[-1]
        return Stage(self._reading(width, width, scale), self._attention(width), self._reading(width, width, scale))

    def _build_decoder(self, skips: list[int]) -> None:
        c, stages, width = self.config, [], self.config.widths[-1]
        for level, wide in reversed(list(enumerate(c.widths))):
            scale = 1 << level
            for i in range(c.res_blocks + 1):
                blocks: list[nn.Module] = [self._reading(width + skips.pop(), wide, scale)]
                width = wide
                if scale in c.attention:
                    blocks.append(self._attention(width, up=True))
                if level and i == c.res_blocks:
                    up = self._reading(width, width, scale, up=True) if c.resblock_updown else Upsample(width)
                    blocks.append(up)
                stages.append(Stage(*blocks))
        self.output_blocks = nn.ModuleList(stages)

    # --- working --------------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        """What the blocks compute in."""
        return next(self.input_blocks.parameters()).dtype

    def half_precision(self) -> UNet:
        """Convolutions of all blocks in float16, in place, as the authors sample and train; norms, the time, and the last layers stay float32."""
        for part in (self.input_blocks, self.middle_block, self.output_blocks):
            for layer in part.modules():
                if isinstance(layer, nn.Conv1d | nn.Conv2d):
                    layer.half()
        return self

    def embed(self, times: Tensor) -> Tensor:
        """Times [B] -> [B, 4 width]."""
        return self.time_embed(timestep_embedding(times, self.config.width))

    def encode(self, x: Tensor, embedding: Tensor) -> list[Tensor]:
        """What each stage of the encoder puts out, the last one being the coarsest. It does not depend on the map."""
        h, found = x.to(self.dtype), []
        for stage in self.input_blocks:
            h = self._run(stage, h, embedding, None)
            found.append(h)
        return found

    def decode(self, encoded: list[Tensor], embedding: Tensor, condition: Any) -> Tensor:
        """float32 [B, 6 or 3, H, W]; condition: what the norms read (planes, in other forms what was made of them)."""
        h = self._run(self.middle_block, encoded[-1], embedding, condition)
        for stage, skip in zip(self.output_blocks, reversed(encoded), strict=True):
            h = self._run(stage, torch.cat([h, skip], 1), embedding, condition)
        return self.out(h.to(next(self.out.parameters()).dtype))

    def _run(self, stage: nn.Module, h: Tensor, embedding: Tensor, condition: Any) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            found = checkpoint(stage, h, embedding, condition, use_reentrant=False, context_fn=for_checkpoint)
            assert isinstance(found, Tensor)
            return found
        return stage(h, embedding, condition)

    def forward(self, x: Tensor, times: Tensor, planes: Tensor) -> Tensor:
        embedding = self.embed(times)
        return self.decode(self.encode(x, embedding), embedding, planes.to(self.dtype))

    def norms(self) -> Iterator[tuple[str, nn.Module]]:
        """The norms that read the map, by name."""
        for name, module in self.named_modules():
            if name.endswith(("in_norm", "out_norm")):
                yield name, module
