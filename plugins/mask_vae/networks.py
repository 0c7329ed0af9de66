"""The networks of mask-vae: part encoder, LSTM over the parts, feed-forward, convolutional decoder.

Paper: "Automatic Generation of Semantic Parts for Face Image Synthesis" (ICIAP 2023), section 3. B batch, P parts, E latent, G = sqrt(E).
Label maps and label sets live in `model.py`; here are planes, codes and scores. Nothing in here draws random numbers.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.residual import UpBlock
from zoo_plugins.mask_vae.config import MaskVaeConfig


class PartEncoder(nn.Module):
    """The MLP that all parts share: it does not know which part it sees, so every empty plane has the same code."""

    def __init__(self, config: MaskVaeConfig) -> None:
        super().__init__()
        self.side = config.encoder_side
        widths = (self.side**2, *config.encoder_widths, config.latent)
        layers: list[nn.Module] = []
        for c, d in pairwise(widths):
            layers += [nn.Linear(c, d), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.mu = nn.Linear(config.latent, config.latent)
        self.log_var = nn.Linear(config.latent, config.latent)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """0/1 planes [B, P, H, W], any size -> mean and log variance, each [B, P, E]."""
        if planes.shape[-2:] != (self.side, self.side):
            planes = F.interpolate(planes, size=(self.side, self.side), mode="nearest")
        hidden = self.layers(planes.flatten(2))
        return self.mu(hidden), self.log_var(hidden)

    def of_parts(self, numbers: Tensor, parts: int) -> tuple[Tensor, Tensor]:
        """The same from part numbers [B, S, S]: 1..P, anything else is no part."""
        each = torch.arange(1, parts + 1, device=numbers.device)[:, None, None]
        return self((numbers[:, None] == each).to(self.mu.weight.dtype))


class ConvDecoder(nn.Module):
    """Part planes [B, P, G, G] -> part scores [B, P, side, side]; no activation at the end."""

    def __init__(self, config: MaskVaeConfig) -> None:
        super().__init__()
        parts, widths = len(config.channels), (config.decoder_width, *config.decoder_widths)
        self.in_conv = nn.Conv2d(parts, widths[0], 1)
        self.blocks = nn.Sequential(*(UpBlock(c, d, config.groups) for c, d in pairwise(widths)))
        self.out_conv = nn.Conv2d(widths[-1], parts, 1)

    def forward(self, planes: Tensor) -> Tensor:
        """[B, P, G, G] -> [B, P, side, side]."""
        return self.out_conv(self.blocks(self.in_conv(planes)))


class PartDecoder(nn.Module):
    """Part codes -> LSTM over the parts -> feed-forward plus shortcut -> convolutional decoder (paper section 3.1)."""

    def __init__(self, config: MaskVaeConfig) -> None:
        super().__init__()
        e, wide = config.latent, config.latent * config.directions
        self.grid, self.swap = config.grid, config.swap_first_parts
        self.lstm = (
            nn.LSTM(e, e, config.lstm_layers, batch_first=True, bidirectional=config.bidirectional) if config.lstm_layers else None
        )  # fmt: skip
        self.feed_forward = nn.Sequential(nn.Linear(wide, 4 * e), nn.GELU(), nn.Linear(4 * e, e))
        # One direction: the code means an identity shortcut but cannot run (its feed-forward is hard-wired to 2E inputs).
        self.shortcut = (nn.Linear(wide, e) if wide != e else nn.Identity()) if config.shortcut else None
        self.convs = ConvDecoder(config)

    def forward(self, z: Tensor, h0: Tensor | None = None, c0: Tensor | None = None) -> Tensor:
        """Codes z [B, P, E], LSTM start states [B, layers * directions, E] (None: zeros) -> part scores [B, P, side, side].

        A state's index is `directions * layer + direction`. Not random.
        """
        return self.convs(self.planes(z, h0, c0))

    def scores(self, z: Tensor, h0: Tensor | None, c0: Tensor | None) -> Tensor:
        """As `forward`; the inference form has it its own way."""
        return self(z, h0, c0)

    def classes(
        self, z: Tensor, h0: Tensor | None, c0: Tensor | None, absent: Tensor | None, rule: str = "sum"
    ) -> Tensor:
        """The class of every pixel, long [B, side, side]: 0 the background by its `rule` (see `with_background`), 1..P the parts.

        absent: bool [B, P], the parts that get no pixel.
        """
        logits = with_background(self(z, h0, c0), rule)
        if absent is not None:
            logits[:, 1:].masked_fill_(absent[:, :, None, None], -torch.inf)
        return logits.argmax(1)

    def planes(self, z: Tensor, h0: Tensor | None = None, c0: Tensor | None = None) -> Tensor:
        """What the convolutions read: [B, P, G, G]."""
        return rearrange(self.tokens(self.recur(z, h0, c0)), "b p (h w) -> b p h w", h=self.grid)

    def recur(self, z: Tensor, h0: Tensor | None, c0: Tensor | None) -> Tensor:
        """The LSTM: [B, P, E] -> [B, P, E * directions]."""
        if self.swap and z.shape[1] > 1:  # parity quirk of --do_perm: not undone, so the score planes stay exchanged
            z = torch.cat([z[:, 1:2], z[:, 0:1], z[:, 2:]], dim=1)
        if self.lstm is None:
            return z
        if h0 is None or c0 is None:
            h0 = c0 = z.new_zeros(z.shape[0], self.lstm.num_layers * (1 + self.lstm.bidirectional), z.shape[2])
        # Under autocast the recurrence stays in float32: 54 small products, and states that 18 steps carry along.
        with torch.autocast(z.device.type, enabled=False):
            dtype = next(self.lstm.parameters()).dtype
            state = (h0.to(dtype).transpose(0, 1).contiguous(), c0.to(dtype).transpose(0, 1).contiguous())
            return self.lstm(z.to(dtype), state)[0]

    def tokens(self, recurred: Tensor) -> Tensor:
        """Feed-forward and, beside it, the shortcut: [B, P, E * directions] -> [B, P, E]."""
        out = self.feed_forward(recurred)
        return out if self.shortcut is None else out + self.shortcut(recurred)


def with_background(scores: Tensor, rule: str = "sum") -> Tensor:
    """Prepend the background to part scores: [B, P, H, W] -> [B, P + 1, H, W].

    `sum` is the code's rule: 1 where the part scores sum to <= 0, else 0, without a gradient. `zero`: 0 everywhere (ours).
    """
    if rule == "sum":
        flag = (scores.detach().float().sum(1, keepdim=True) <= 0).to(scores.dtype)
    else:
        flag = torch.zeros_like(scores[:, :1])
    return torch.cat([flag.contiguous(), scores.contiguous()], dim=1)


def own_weights(alphas: tuple[float, ...], *, cumulative: bool = False) -> tuple[float, ...]:
    """Weights of a part's own code while it is interpolated towards another (paper eq. 4: 1 - alpha).

    `cumulative` is the released code's form, which mixes in place: step k's weight is the product of all steps so far.
    """
    weights, product = [], 1.0
    for alpha in alphas:
        product *= 1.0 - alpha
        weights.append(product if cumulative else 1.0 - alpha)
    return tuple(weights)
