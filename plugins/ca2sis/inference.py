"""The inference form of CA2SIS (docs/papers/ca2sis.md, "Cost"): equal to the plain network in evaluation, cheaper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from zoo_plugins.ca2sis.attention import Attention, FeedForward, StyleAttention

if TYPE_CHECKING:
    from zoo_plugins.ca2sis.model import CA2SIS

CHUNK = 1024
"""Pixels whose feed-forward is worked out at once: its hidden numbers stay in the cache. Those of a whole picture would take a quarter
of a gigabyte."""


class LayoutTable(nn.Module):
    """The linear layer on flattened one-hot planes as a sum of its columns at the pixels of each part."""

    columns: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.register_buffer("columns", layer.weight.detach().t().contiguous())
        self.register_buffer("bias", layer.bias.detach().clone())

    def forward(self, planes: Tensor) -> Tensor:
        """0/1 planes [B, parts, side ** 2], at most one 1 per pixel -> codes [B, parts, latent]."""
        batch, parts = planes.shape[:2]
        codes = self.columns.new_zeros(batch, parts + 1, self.columns.shape[1])
        index = torch.where(planes.any(1), planes.argmax(1), parts)  # the last row collects what is in no part
        for row in range(batch):  # a batch of columns would hold them all again
            codes[row].index_add_(0, index[row], self.columns)
        return codes[:, :parts] + self.bias


class TokenAttention(nn.Module):
    """Attention to fewer tokens than a head has channels: queries meet keys, and values the output layer, before the pixels do.

    softmax(x Wq k^T) v Wo = softmax(x (Wq k^T)) (v Wo): a pixel costs heads * tokens products per channel, not twice its width.
    """

    key_value: Tensor

    def __init__(self, layer: Attention) -> None:
        super().__init__()
        self.heads, self.query, self.out = layer.heads, layer.query, layer.out
        self.register_buffer("key_value", torch.cat([layer.key.weight, layer.value.weight]).detach().clone())

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x [B, N, width], context [B, M, context] -> [B, N, width]."""
        k, v = F.linear(context, self.key_value).chunk(2, -1)
        k, v = (rearrange(t, "b m (h d) -> b m h d", h=self.heads) for t in (k, v))
        if context.shape[1] >= k.shape[3]:
            q = rearrange(self.query(x), "b n (h d) -> b h n d", h=self.heads)
            attended = F.scaled_dot_product_attention(q, k.transpose(1, 2), v.transpose(1, 2))
            return self.out(rearrange(attended, "b h n d -> b n (h d)"))
        asked = rearrange(self.query.weight, "(h d) w -> h d w", h=self.heads) * k.shape[3] ** -0.5
        keys = rearrange(torch.einsum("bmhd,hdw->bwhm", k, asked.to(k.dtype)), "b w h m -> b w (h m)")
        shares = rearrange(x.to(k.dtype) @ keys, "b n (h m) -> b n h m", h=self.heads).softmax(-1)
        outward = rearrange(self.out.weight, "w (h d) -> w h d", h=self.heads)
        answers = torch.einsum("bmhd,whd->bhmw", v, outward.to(v.dtype))
        return (
            rearrange(shares.to(v.dtype), "b n h m -> b n (h m)") @ rearrange(answers, "b h m w -> b (h m) w")
            + self.out.bias
        )


class ChunkedFeedForward(nn.Module):
    """FeedForward over some thousand pixels at a time."""

    def __init__(self, layer: FeedForward) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.layer(part) for part in x.split(CHUNK, 1)], 1)


@torch.no_grad()
def fold_generator(model: CA2SIS) -> None:
    """Fold a model in place; it is used for inference only from then on."""
    generator = model.generator
    generator.layout = LayoutTable(generator.layout)  # pyright: ignore[reportAttributeAccessIssue]
    for layer in generator.attention:
        assert isinstance(layer, StyleAttention)
        layer.attend_cross = TokenAttention(layer.attend_cross)  # pyright: ignore[reportAttributeAccessIssue]
        layer.feed_forward = ChunkedFeedForward(layer.feed_forward)  # pyright: ignore[reportAttributeAccessIssue]
    generator.to(memory_format=torch.channels_last)
