"""One domain's encoders and decoder (AdaINGen): a photo is a content and a style, and content with a style is a photo."""

from __future__ import annotations

from torch import Tensor, nn

from zoo_plugins.munit.blocks import Affine, ConvBlock, LinearBlock, ResBlocks
from zoo_plugins.munit.config import MunitConfig

STYLE_HALVINGS = 4


class StyleEncoder(nn.Module):
    """Photos [B, 3, H, W] in [-1, 1] -> styles [B, style_dim, 1, 1]. No norms: they would take away what a style is."""

    def __init__(self, width: int, style_dim: int, *, activ: str, pad_type: str) -> None:
        super().__init__()
        more = {"activ": activ, "pad_type": pad_type}
        layers: list[nn.Module] = [ConvBlock(3, width, 7, 1, 3, **more)]
        for i in range(STYLE_HALVINGS):
            out = 2 * width if i < 2 else width
            layers.append(ConvBlock(width, out, 4, 2, 1, **more))
            width = out
        self.model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, style_dim, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


class ContentEncoder(nn.Module):
    """Photos [B, 3, H, W] in [-1, 1] -> content [B, dim * 2**n, H / 2**n, W / 2**n], instance norms everywhere."""

    def __init__(self, width: int, halvings: int, blocks: int, *, activ: str, pad_type: str) -> None:
        super().__init__()
        more = {"norm": "in", "activ": activ, "pad_type": pad_type}
        layers: list[nn.Module] = [ConvBlock(3, width, 7, 1, 3, **more)]
        for _ in range(halvings):
            layers.append(ConvBlock(width, 2 * width, 4, 2, 1, **more))
            width *= 2
        self.model = nn.Sequential(*layers, ResBlocks(blocks, width, **more))

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


class Decoder(nn.Module):
    """Content and the scales and shifts of its norms -> photos in [-1, 1]: residual blocks, then doublings by nearest pixels."""

    def __init__(self, width: int, doublings: int, blocks: int, *, activ: str, pad_type: str) -> None:
        super().__init__()
        self.norms = [width] * (2 * blocks)
        layers: list[nn.Module] = [ResBlocks(blocks, width, norm="adain", activ=activ, pad_type=pad_type)]
        for _ in range(doublings):
            layers.append(nn.Upsample(scale_factor=2))
            layers.append(ConvBlock(width, width // 2, 5, 1, 2, norm="ln", activ=activ, pad_type=pad_type))
            width //= 2
        layers.append(ConvBlock(width, 3, 7, 1, 3, norm="none", activ="tanh", pad_type=pad_type))
        self.model = nn.ModuleList(layers)

    @property
    def parameters_of_norms(self) -> int:
        """Numbers that the adaptive norms take, of all together."""
        return 2 * sum(self.norms)

    def split(self, numbers: Tensor) -> list[Affine]:
        """[B, `parameters_of_norms`] -> scale and shift of each norm in order. Each takes the next 2 C numbers, the shift first."""
        parts = numbers.split([n for width in self.norms for n in (width, width)], 1)
        return [(parts[i + 1], parts[i]) for i in range(0, len(parts), 2)]

    def forward(self, content: Tensor, numbers: Tensor) -> Tensor:
        first, *others = self.model
        x = first(content, self.split(numbers))
        for layer in others:
            x = layer(x)
        return x


class Perceptron(nn.Module):
    """Styles [B, style_dim] -> the numbers of the decoder's norms."""

    def __init__(self, style_dim: int, width: int, outputs: int, *, activ: str) -> None:
        super().__init__()
        self.model = nn.Sequential(
            LinearBlock(style_dim, width, activ=activ),
            LinearBlock(width, width, activ=activ),
            LinearBlock(width, outputs, activ="none"),
        )

    def forward(self, style: Tensor) -> Tensor:
        return self.model(style.flatten(1))


class Generator(nn.Module):
    """All networks of a domain."""

    def __init__(self, config: MunitConfig) -> None:
        super().__init__()
        c, more = config, {"activ": config.activ, "pad_type": config.pad_type}
        self.enc_style = StyleEncoder(c.dim, c.style_dim, **more)
        self.enc_content = ContentEncoder(c.dim, c.n_downsample, c.n_res, **more)
        self.dec = Decoder(c.content_width, c.n_downsample, c.n_res, **more)
        self.mlp = Perceptron(c.style_dim, c.mlp_dim, self.dec.parameters_of_norms, activ=c.activ)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Photos in [-1, 1] -> content, style [B, style_dim]."""
        return self.enc_content(images), self.enc_style(images).flatten(1)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Content and style [B, style_dim] -> photos in [-1, 1]."""
        return self.dec(content, self.mlp(style))
