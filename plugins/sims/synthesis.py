"""The synthesis network: from a canvas of pasted pixels and the map to the picture (docs/papers/sims.md, "Synthesis network")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.families.crn.generator import every_second
from zoo_plugins.sims.blocks import Stage, pool, resized

ENCODER = (2, 2, 3, 3, 3, 3)
"""Convolutions of each stage."""


class Made(NamedTuple):
    """picture: RGB [B, 3, H, W], about [-1, 1], not bounded. labels: scores of the map's planes at the size of the last features."""

    picture: Tensor
    labels: Tensor


class SynthesisNetwork(nn.Module):
    """An encoder of six stages and a decoder that sees the input again at every size. Not random.

    planes: of the map. widths: the four widths of its layers. size: (height, width) of the picture. doublings: 0 to 2, from the size at
    which encoder and decoder work to the picture's (officially 256, 512 and 1024 rows). State-dict keys are the authors' variables:
    those of the last layers bear the picture's height where there is no doubling, and 512 or 1024 whatever it is where there are.
    """

    def __init__(self, planes: int, widths: Sequence[int], size: tuple[int, int], doublings: int) -> None:
        super().__init__()
        self.planes, self.doublings = planes, doublings
        self.base = size[0] >> doublings, size[1] >> doublings
        inputs = planes + 4
        encoder = (*widths, widths[3], widths[3])
        for n, (before, after, count) in enumerate(zip((inputs, *encoder), encoder, ENCODER, strict=False), 1):
            self.add_module(f"g_encoder_conv{n}", Stage(f"g_encoder_conv{n}", before, after, count))
        before = 0
        for n in range(len(ENCODER), 0, -1):
            after = widths[3] if n > 1 else widths[2]
            self._decode(f"g_decoder_conv{n}", inputs + encoder[n - 1] + before, after)
            before = after
        self._decode("g_decoder_final", inputs + widths[2], widths[2])
        if doublings:
            self._decode("g_decoder_512", inputs + widths[2], widths[1])
        last = widths[1] if doublings else widths[2]
        self.names = ("g_512_conv100", "g_semantic_512")
        if not doublings:
            self.names = (f"g_{size[0]}_conv100", f"g_semantic_{size[0]}_conv100")
        self._head(self.names[0], last, 3)
        self._head(self.names[1], last, planes)
        if doublings == 2:
            self._head("g_1024_conv100", inputs + 3, 3)

    def _decode(self, scope: str, before: int, after: int) -> None:
        self.add_module(scope, Stage(scope, before, after, 2))

    def _head(self, name: str, before: int, after: int) -> None:
        layer = nn.Conv2d(before, after, 1)
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
        self.add_module(name, layer)

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return next(self.parameters()).dtype

    def features(self, given: Tensor) -> Tensor:
        """What the last layers read. given: [B, planes + 4, H, W], the map's planes, the canvas, and where it is filled."""
        small = resized(given, self.base)
        x, found = small, []
        for n in range(1, len(ENCODER) + 1):
            x = pool(self.get_submodule(f"g_encoder_conv{n}")(x), "mean")
            found.append(x)
        before: Tensor | None = None
        for n in range(len(ENCODER), 0, -1):
            parts = [resized(given, found[n - 1].shape[-2:]), found[n - 1]]
            parts += [] if before is None else [before]
            x = self.get_submodule(f"g_decoder_conv{n}")(torch.cat(parts, 1))
            before = resized(x, found[n - 2].shape[-2:] if n > 1 else self.base)
        assert before is not None
        x = self.get_submodule("g_decoder_final")(torch.cat([small, before], 1))
        if not self.doublings:
            return x
        once = every_second(given, 2)[0] if self.doublings == 2 else given
        return self.get_submodule("g_decoder_512")(torch.cat([once, resized(x, once.shape[-2:])], 1))

    def picture(self, features: Tensor, given: Tensor) -> Tensor:
        """The picture RGB [B, 3, H, W] from `features`. Quirk: the network itself puts out BGR, its colours turned here."""
        x = self.get_submodule(self.names[0])(features)
        if self.doublings == 2:
            x = torch.cat([given, resized(x, given.shape[-2:])], 1)
            x = self.get_submodule("g_1024_conv100")(x)
        return x.flip(1).float()

    def forward(self, given: Tensor) -> Made:
        """The picture, and what it shows."""
        features = self.features(given)
        return Made(self.picture(features, given), self.get_submodule(self.names[1])(features).float())


def given_of(planes: Tensor, canvas: Tensor) -> Tensor:
    """The network's input [B, planes + 4, H, W] from planes of the adjusted map and the canvas, RGB [B, 3, H, W] in [0, 1], 0 in holes."""
    filled = (canvas.sum(1, keepdim=True) > 0).to(canvas)
    return torch.cat([planes.to(canvas), canvas, filled], 1)
