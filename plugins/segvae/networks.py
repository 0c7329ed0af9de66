"""The four networks of SegVAE (docs/papers/segvae.md, "Architecture"): context encoder, prior, posterior, decoder.

B batch, N classes with background (channel 0), R side, S context code, h LSTM width, Z latent.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.nn.spectral_fresh import FreshSNConv2d, FreshSNLinear
from zoo_plugins.segvae.config import SegVAEConfig

State = tuple[Tensor, Tensor]
"""LSTM state (h, c), each [B, h]."""


def linear_layer(config: SegVAEConfig, c_in: int, c_out: int) -> nn.Linear:
    """A linear layer, spectrally normalised where the config says so."""
    return FreshSNLinear(c_in, c_out, eps=config.sn_eps) if config.spectral else nn.Linear(c_in, c_out)


def conv_layer(config: SegVAEConfig, c_in: int, c_out: int, kernel: int, stride: int, padding: int) -> nn.Conv2d:
    """A convolution, spectrally normalised where the config says so."""
    if config.spectral:
        return FreshSNConv2d(c_in, c_out, kernel, stride, padding, eps=config.sn_eps)
    return nn.Conv2d(c_in, c_out, kernel, stride, padding)


def norm_act(config: SegVAEConfig, width: int) -> list[nn.Module]:
    """Norm (none, instance norm without parameters, batch norm) and LeakyReLU 0.2 of a block."""
    norms: dict[str, list[nn.Module]] = {
        "in": [nn.InstanceNorm2d(width)],
        "bn": [nn.BatchNorm2d(width)],
        "none": [],
    }
    return [*norms[config.norm], nn.LeakyReLU(0.2)]


class VectorMap(nn.Module):
    """A 0/1 vector [B, N] as a plane [B, 1, R, R]: two linear layers with ReLU after each, row-major."""

    def __init__(self, config: SegVAEConfig, *, spectral: bool) -> None:
        super().__init__()
        self.size = config.size
        classes, width = len(config.channels) + 1, config.embed_dim or config.hidden_dim

        def layer(c_in: int, c_out: int) -> nn.Linear:
            return linear_layer(config, c_in, c_out) if spectral else nn.Linear(c_in, c_out)

        self.layers = nn.Sequential(
            layer(classes, width), nn.ReLU(), layer(width, config.size * config.size), nn.ReLU()
        )

    def forward(self, vector: Tensor) -> Tensor:
        return self.layers(vector).view(-1, 1, self.size, self.size)


class StridedEncoder(nn.Module):
    """Strided 3x3 blocks down to 4x4, then a 4x4 convolution to [B, out], without activation."""

    def __init__(self, config: SegVAEConfig, c_in: int, c_out: int) -> None:
        super().__init__()
        widths = (c_in, *config.stages)
        self.blocks = nn.ModuleList(
            nn.Sequential(conv_layer(config, a, b, 3, 2, 1), *norm_act(config, b)) for a, b in pairwise(widths)
        )
        self.out = conv_layer(config, widths[-1], c_out, 4, 1, 0)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.out(x).flatten(1)


class ContextEncoder(nn.Module):
    """E^c: what a step knows, as a code [B, S]. Its input planes are [canvas (N), label-set map, target-class map].

    The baselines leave out the canvas (`context="label-set"`), or canvas and label set (`"class"`).
    """

    def __init__(self, config: SegVAEConfig) -> None:
        super().__init__()
        self.uses_canvas, self.uses_labels = config.context == "full", config.context != "class"
        self.target_map = VectorMap(config, spectral=True)
        self.label_map = VectorMap(config, spectral=True) if self.uses_labels else None
        planes = 1 + int(self.uses_labels) + (len(config.channels) + 1) * int(self.uses_canvas)
        self.encoder = StridedEncoder(config, planes, config.shape_dim)

    def forward(self, canvas: Tensor, label_set: Tensor, target: Tensor) -> Tensor:
        """canvas [B, N, R, R] in [0, 1], label_set [B, N], target [B, N] (a zero row where the class is absent) -> [B, S]."""
        planes = [canvas] if self.uses_canvas else []
        if self.label_map is not None:
            planes.append(self.label_map(label_set))
        return self.encoder(torch.cat([*planes, self.target_map(target)], dim=1))

    def start(self, label_set: Tensor, reads: Reads) -> Canvas:
        """The canvas of a pass, empty. The plain form computes every code, whatever is read."""
        return Canvas(self, label_set)


@dataclass(frozen=True)
class Reads:
    """What a pass reads of its context codes; the inference form computes no others.

    codes: every one. Otherwise those of the present classes in `decode` (None: all) and, with `state`, those before them, which an
    LSTM sees.
    """

    codes: bool
    state: bool
    decode: Collection[int] | None = None


class Canvas:
    """What a pass has drawn so far, [B, N, R, R], and the context codes that follow from it."""

    def __init__(self, context: ContextEncoder, label_set: Tensor) -> None:
        self.context, self.label_set = context, label_set
        size = context.target_map.size
        self.planes = label_set.new_zeros(*label_set.shape, size, size)

    def draw(self, channel: int, shape: Tensor) -> None:
        """Put a shape [B, 1, R, R] on an empty channel."""
        self.planes = self.planes.index_copy(
            1, torch.tensor([channel], device=self.planes.device), shape.to(self.planes)
        )

    def code(self, channel: int, target: Tensor) -> Tensor:
        """Context codes [B, S] of the step that draws `channel`; target [B, N] as in `ContextEncoder.forward`."""
        return self.context(self.planes, self.label_set, target)


class Heads(nn.Module):
    """Mean and log variance [B, Z] from h numbers."""

    def __init__(self, config: SegVAEConfig) -> None:
        super().__init__()
        self.mu = linear_layer(config, config.hidden_dim, config.z_dim)
        self.log_var = linear_layer(config, config.hidden_dim, config.z_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.mu(x), self.log_var(x)


class Prior(nn.Module):
    """p(z | context so far): embedding without activation, LSTM cell, heads. Without LSTM the heads read the embedding."""

    def __init__(self, config: SegVAEConfig) -> None:
        super().__init__()
        self.embed = linear_layer(config, config.shape_dim, config.hidden_dim)
        self.lstm = nn.LSTMCell(config.hidden_dim, config.hidden_dim) if config.lstm else None
        self.heads = Heads(config)

    def forward(self, feat: Tensor, state: State | None) -> tuple[Tensor, Tensor, State | None]:
        """feat [B, S], state of the step before -> mu, log_var [B, Z], state."""
        x = self.embed(feat)
        if self.lstm is not None:
            state = self.lstm(x, state)
            assert state is not None
            x = state[0]
        return *self.heads(x), state


class Posterior(nn.Module):
    """q(z | shape, context so far): the shape and its class as two planes through an encoder, with the context code through an
    LSTM cell (without LSTM: through a linear layer), then heads."""

    def __init__(self, config: SegVAEConfig) -> None:
        super().__init__()
        self.target_map = VectorMap(config, spectral=False)  # plain, unlike the context encoder's
        self.encoder = StridedEncoder(config, 2, config.hidden_dim)
        width = config.hidden_dim + config.shape_dim
        self.lstm = nn.LSTMCell(width, config.hidden_dim) if config.lstm else None
        self.fuse = None if config.lstm else linear_layer(config, width, config.hidden_dim)
        self.heads = Heads(config)

    def code(self, shape: Tensor, target: Tensor) -> Tensor:
        """shape [B, 1, R, R] of the class, target [B, N] -> [B, h]; what of a step does not depend on the steps before."""
        return self.encoder(torch.cat([shape, self.target_map(target)], dim=1))

    def head(self, code: Tensor, feat: Tensor, state: State | None) -> tuple[Tensor, Tensor, State | None]:
        """code [B, h], feat [B, S], state of the step before -> mu, log_var [B, Z], state."""
        x = torch.cat([code, feat], dim=1)
        if self.lstm is not None:
            state = self.lstm(x, state)
            assert state is not None
            x = state[0]
        else:
            assert self.fuse is not None
            x = self.fuse(x)
        return *self.heads(x), state

    def forward(
        self, shape: Tensor, feat: Tensor, target: Tensor, state: State | None
    ) -> tuple[Tensor, Tensor, State | None]:
        return self.head(self.code(shape, target), feat, state)


class ShapeDecoder(nn.Module):
    """[context code, z] to one shape: transposed convolutions 1 -> 4 -> R, never spectrally normalised."""

    def __init__(self, config: SegVAEConfig) -> None:
        super().__init__()
        widths: Sequence[int] = config.stages[::-1]
        self.input = nn.ConvTranspose2d(config.shape_dim + config.z_dim, widths[0], 4)  # no norm, no activation
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 3, 2, 1, 1), *norm_act(config, b)) for a, b in pairwise(widths)
        )
        self.out = nn.ConvTranspose2d(widths[-1], 1, 3, 2, 1, 1)

    def forward(self, feat: Tensor, z: Tensor) -> Tensor:
        """feat [B, S], z [B, Z] -> logits [B, 1, R, R]; the shape is their sigmoid."""
        x = self.input(torch.cat([feat, z], dim=1)[:, :, None, None])
        for block in self.blocks:
            x = block(x)
        return self.out(x)


def sample_code(mu: Tensor, log_var: Tensor, eps: Tensor) -> Tensor:
    """z = mu + eps * exp(log_var / 2), all [B, Z]."""
    return mu + eps * torch.exp(0.5 * log_var)
