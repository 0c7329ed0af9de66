"""3x3 convolutions with stride 2, and transposed ones, as one matrix product over gathered patches, for small maps of many channels.

There the weights are what is read, and oneDNN's kernels for such layers reach a third of what a product does (25 to 28 GMAC/s against 60 to
70 for 512 channels at 4 and 8 px, measured with AVX-512). On large maps the gathering costs more than it saves.

Channels last: maps that go in are [B, H + 1, W + 1, C], made by `padded`; results have no border. Any floating type, inference alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def padded(shape: tuple[int, ...], like: Tensor, *, low: bool) -> tuple[Tensor, Tensor]:
    """Memory for maps [B, H, W, C] with a line and a column of zeros before them (`low`) or behind them, and the part within."""
    batch, height, width, channels = shape
    room = like.new_zeros(batch, height + 1, width + 1, channels)
    return room, room[:, 1:, 1:] if low else room[:, :-1, :-1]


class StridedProducts(nn.Module):
    """A convolution 3x3, stride 2, padding 1, without bias, of maps with even sides."""

    weight: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.kernel_size == (3, 3) and conv.stride == (2, 2) and conv.padding == (1, 1) and conv.bias is None
        self.channels, self.out = conv.in_channels, conv.out_channels
        self.register_buffer("weight", conv.weight.detach().permute(2, 3, 1, 0).flatten(0, 2).contiguous())

    @property
    def kernel(self) -> Tensor:
        """[out, in, 3, 3]."""
        return self.weight.view(3, 3, self.channels, self.out).permute(3, 2, 0, 1)

    def plain(self, x: Tensor) -> Tensor:
        """The convolution of [B, in, H, W]."""
        return F.conv2d(x, self.kernel, stride=2, padding=1)

    def forward(self, room: Tensor) -> Tensor:
        """[B, 2h + 1, 2w + 1, in], the border before the map -> [B, h, w, out]."""
        batch, height, width, line = len(room), room.shape[1] // 2, room.shape[2] // 2, room.stride(1)
        # three neighbouring pixels lie side by side
        shape = batch, height, width, 3, 3 * self.channels
        patches = room.as_strided(shape, (room.stride(0), 2 * line, 2 * self.channels, line, 1), room.storage_offset())
        return torch.mm(patches.reshape(-1, len(self.weight)), self.weight).view(batch, height, width, self.out)


class DoublingProducts(nn.Module):
    """A transposed convolution 3x3, stride 2, padding 1, output padding 1, without bias.

    Results are four maps: pixel (2i + a, 2j + b) of the doubled one lies at place (i, j) of number 2a + b. At an even place of an axis the
    middle tap alone is seen, at an odd one the last tap of its pixel and the first tap of the next.
    """

    weight: Tensor
    TAPS = ((1, 1),), ((1, 2), (1, 0)), ((0, 1), (2, 1)), ((0, 2), (2, 2), (2, 0), (0, 0))
    """The taps of each of the four, in the order of a patch: the pixel below, the pixel itself, beside it, across."""
    PIXELS = (1, 2), (1, 3), (0, 2), (0, 4)
    """Which pixels of a patch they see: from, to."""

    def __init__(self, conv: nn.ConvTranspose2d) -> None:
        super().__init__()
        assert conv.kernel_size == (3, 3) and conv.stride == (2, 2) and conv.padding == (1, 1) and conv.bias is None
        assert conv.output_padding == (1, 1)
        self.channels, self.out = conv.in_channels, conv.out_channels
        taps = [conv.weight.detach()[:, :, i, j] for taps in self.TAPS for i, j in taps]
        self.register_buffer("weight", torch.cat(taps))

    @property
    def kernel(self) -> Tensor:
        """[in, out, 3, 3]."""
        places = torch.tensor([i * 3 + j for taps in self.TAPS for i, j in taps], device=self.weight.device)
        taps = self.weight.view(9, self.channels, self.out)[places.argsort()]
        return taps.permute(1, 2, 0).unflatten(2, (3, 3))

    def plain(self, x: Tensor) -> Tensor:
        """The transposed convolution of [B, in, h, w]."""
        return F.conv_transpose2d(x, self.kernel, stride=2, padding=1, output_padding=1)

    def forward(self, room: Tensor) -> Tensor:
        """[B, h + 1, w + 1, in], the border behind the map -> [B, 4, h, w, out]."""
        batch, height, width, c = len(room), room.shape[1] - 1, room.shape[2] - 1, self.channels
        patches = room.new_empty(batch, height, width, 4, c)
        for pixel, (i, j) in enumerate(((1, 0), (0, 0), (0, 1), (1, 1))):
            patches[:, :, :, pixel] = room[:, i : i + height, j : j + width]
        rows = patches.view(-1, 4 * c)
        y = room.new_empty(batch, 4, height, width, self.out)
        kernels = self.weight.split([(end - start) * c for start, end in self.PIXELS])
        for place, ((start, end), kernel) in enumerate(zip(self.PIXELS, kernels, strict=True)):
            seen = rows[:, start * c : end * c]
            if batch == 1:
                torch.mm(seen, kernel, out=y[0, place].view(-1, self.out))
            else:
                y[:, place] = torch.mm(seen, kernel).view(batch, height, width, -1)
        return y
