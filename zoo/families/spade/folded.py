"""SPADE for inference: with a batch norm's running statistics it is x * a + b, both straight from one convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.families.spade.blocks import Affine, ResnetBlock, SPADENorm, SPADEResnetBlock
from zoo.families.spade.generator import SkeletonGenerator
from zoo.families.spade.window_blocks import WindowBlock
from zoo.inference.columns import LabelConv
from zoo.inference.packed import pack
from zoo.inference.pictures import PictureConv
from zoo.nn.spectral import fold_spectral

WORTH = 4e9
"""Products that scales and shifts of a picture take, from which on they are computed by distinct window."""


class FoldedSPADE(nn.Module):
    """Equal to the SPADE that it is made from in evaluation mode; `affine` gives (a, b) in place of (gamma, beta)."""

    def __init__(self, layer: SPADENorm, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None and norm.running_var is not None
        inv_std = torch.rsqrt(norm.running_var + norm.eps)
        shift = -norm.running_mean * inv_std
        gamma, beta = layer.mlp_gamma, layer.mlp_beta
        assert gamma.bias is not None and beta.bias is not None
        # normalised(x) * (1 + gamma) + beta = x * inv_std (1 + gamma) + shift (1 + gamma) + beta
        conv = nn.Conv2d(gamma.in_channels, 2 * len(inv_std), gamma.kernel_size, padding=gamma.padding)  # type: ignore[arg-type]
        conv.to(gamma.weight)
        scale, offset = inv_std[:, None, None, None], shift[:, None, None, None]
        with torch.no_grad():
            conv.weight.copy_(torch.cat([gamma.weight * scale, beta.weight + gamma.weight * offset]))
            conv.bias.copy_(torch.cat([(1 + gamma.bias) * inv_std, beta.bias + (1 + gamma.bias) * shift]))  # type: ignore[union-attr]
        self.layer, self.conv = layer, pack(conv)
        del layer.mlp_gamma, layer.mlp_beta, layer.param_free_norm  # what remains of it makes `hidden`

    def affine(self, planes: Tensor, classes: Tensor | None = None, table: Tensor | None = None) -> Affine:
        """As `SPADE.affine`."""
        a, b = self.conv(self.layer.hidden(planes, classes, table)).chunk(2, 1)
        return a, b

    def forward(self, x: Tensor, affine: Affine) -> Tensor:
        return torch.addcmul(affine[1], x, affine[0])


@torch.no_grad()
def fold_spade(module: nn.Module) -> None:
    """Replace the SPADEs with batch norms in every `SPADEResnetBlock` below `module`, in place; for evaluation only."""
    for block in module.modules():
        if isinstance(block, SPADEResnetBlock):
            for name in ("norm_0", "norm_1", "norm_s"):
                layer = getattr(block, name, None)
                if isinstance(layer, SPADENorm) and isinstance(layer.param_free_norm, nn.BatchNorm2d):
                    setattr(block, name, FoldedSPADE(layer, layer.param_free_norm))


@torch.no_grad()
def pack_blocks(module: nn.Module) -> None:
    """Pack the convolutions of every `ResnetBlock` below `module` for the CPU (after folding their spectral norms)."""
    for block in module.modules():
        if isinstance(block, ResnetBlock):
            for name in ("conv_0", "conv_1", "conv_s"):
                if hasattr(block, name):
                    setattr(block, name, pack(getattr(block, name)))


def fold_family(model: nn.Module, generator: nn.Module) -> None:
    """Fold a model whose generator consists of `ResnetBlock`s, in place; for evaluation only. Norms other than SPADE's stay as they are."""
    fold_spectral(model)
    if isinstance(generator, SkeletonGenerator) and worth_windows(generator):
        fold_windows(generator)
        return
    fold_spade(generator)
    pack_blocks(generator)


def worth_windows(generator: SkeletonGenerator) -> bool:
    """Whether the generator's SPADEs go by distinct window in its inference form.

    Those of narrow generators do not: numbering and gathering cost them as much as the products that they save, and the small published
    ones keep the last bit of their pictures, which `zoo replay` compares.
    """
    products = 0
    for block, step in generator.blocks():
        if not isinstance(block, SPADEResnetBlock):
            return False
        height, width = generator.size(step.scale)
        norms = [getattr(block, name) for name in ("norm_0", "norm_1", "norm_s") if hasattr(block, name)]
        products += height * width * sum(n.mlp_gamma.weight.numel() + n.mlp_beta.weight.numel() for n in norms)
    return products >= WORTH


@torch.no_grad()
def fold_windows(generator: SkeletonGenerator) -> None:
    """Put `WindowBlock`s in place of a generator's `SPADEResnetBlock`s (spectral norms folded before); for evaluation only."""
    scale = 0
    for block, step in generator.blocks():
        parent, _, name = step.name.rpartition(".")
        setattr(generator.get_submodule(parent), name, WindowBlock(block, doubles=step.scale > scale))
        scale = step.scale
    if isinstance(generator.fc, nn.Conv2d):
        generator.fc = LabelConv(generator.fc)
    else:
        generator.fc = pack(generator.fc)
    generator.conv_img = PictureConv(generator.conv_img)  # type: ignore[assignment]
    generator.windowed = True
