"""The attention layers of CA2SIS's decoder: from every pixel to the style tokens of all classes (latent diffusion's form)."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.residual import GroupNorm


class Attention(nn.Module):
    """Multi-head attention with scale head_size ** -0.5; queries, keys and values without bias, the output with one."""

    def __init__(self, width: int, context: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_size
        self.query = nn.Linear(width, inner, bias=False)
        self.key = nn.Linear(context, inner, bias=False)
        self.value = nn.Linear(context, inner, bias=False)
        self.out = nn.Linear(inner, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x [B, N, width], context [B, M, context] -> [B, N, width]."""
        q, k, v = (self._split(t) for t in (self.query(x), self.key(context), self.value(context)))
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.out(rearrange(attended, "b heads n d -> b n (heads d)"))

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "b n (heads d) -> b heads n d", heads=self.heads)


class FeedForward(nn.Module):
    """GEGLU: Linear to twice 4 * width, one half gates the other through a GELU, Linear back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 8 * width)
        self.reduce = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> the same shape."""
        value, gate = self.expand(x).chunk(2, -1)
        return self.reduce(value * F.gelu(gate))


class StyleAttention(nn.Module):
    """x + out(block(in(norm(x)))): [self-attention], cross-attention to the tokens, feed-forward, each on a layer norm and
    added to its input. The last convolution starts at zero.
    """

    def __init__(
        self, channels: int, context: int, groups: int, heads: int, head_size: int, *, self_attention: bool
    ) -> None:
        super().__init__()
        width = heads * head_size
        self.norm = GroupNorm(groups, channels, eps=1e-6)
        self.inward = nn.Conv2d(channels, width, 1)
        self.norm_self = nn.LayerNorm(width) if self_attention else None
        self.attend_self = Attention(width, width, heads, head_size) if self_attention else None
        self.norm_cross = nn.LayerNorm(width)
        self.attend_cross = Attention(width, context, heads, head_size)
        self.norm_forward = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)
        self.outward = nn.Conv2d(width, channels, 1)
        self.zero()

    @torch.no_grad()
    def zero(self) -> None:
        """Make the layer the identity, as it starts."""
        nn.init.zeros_(self.outward.weight)
        if self.outward.bias is not None:
            nn.init.zeros_(self.outward.bias)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """x [B, channels, H, W], tokens [B, classes, context] -> the shape of x."""
        h = rearrange(self.inward(self.norm(x)), "b c h w -> b (h w) c")
        if self.attend_self is not None and self.norm_self is not None:
            seen = self.norm_self(h)
            h = h + self.attend_self(seen, seen)
        h = h + self.attend_cross(self.norm_cross(h), tokens)
        h = h + self.feed_forward(self.norm_forward(h))
        return x + self.outward(rearrange(h, "b (h w) c -> b c h w", h=x.shape[2]))
