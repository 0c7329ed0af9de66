"""MUNIT behind the zoo's interface: two domains, a content that they share, a style space for each."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from zoo.plugin import (
    ImageTranslator,
    LabelError,
    LabelSpace,
    Latents,
    RngLike,
    Style,
    UsageError,
    as_rng,
)
from zoo_plugins.munit.config import MunitConfig
from zoo_plugins.munit.generator import Generator
from zoo_plugins.munit.initial import initialise

NAMES = ("a", "b")
"""Of the generators, in the order of the domains: the authors' letters, whatever the domains are called."""


class MUNIT(ImageTranslator):
    """Multimodal unsupervised image-to-image translation (ECCV 2018, section 3).

    Content: `content` [B, dim * 2**n, H / 2**n, W / 2**n]. Style: `style` [B, style_dim], of the domain that it is for: N(0, I) is its
    prior, and the domain's own encoder reads it off a photo; that is not random. Training and evaluation give the same.
    """

    config: MunitConfig

    def __init__(self, config: MunitConfig, space: LabelSpace) -> None:
        """Raises LabelError for a label space without two domains."""
        super().__init__(config, space)
        names = config.channels or space.names[:2]
        self._channels = tuple(space.names[space.index(name)] for name in names)
        if len(set(self._channels)) != 2:
            raise LabelError(f"MUNIT translates between two domains, and {space.name!r} has {', '.join(space.names)}.")
        self.generators = nn.ModuleDict({name: Generator(config) for name in NAMES})
        initialise(self, "kaiming")

    @property
    def channels(self) -> tuple[str, ...]:
        """The two domains."""
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        """Of square photos; others keep their proportions (`size_for`)."""
        return self.config.resolution, self.config.resolution

    def generator(self, domain: str) -> Generator:
        """The networks of a domain. Raises LabelError."""
        return cast(Generator, self.generators[NAMES[self.channels.index(self.domain(domain))]])

    def size_for(self, height: int, width: int) -> tuple[int, int]:
        """The shorter side becomes `resolution` and the proportions stay, as in the authors' test script; the longer side is cut to a
        multiple of 2**n_downsample, as their networks do with what is left over."""
        if min(height, width) < 1:
            raise UsageError(f"A photo has pixels, got {width} x {height}.")
        short, step = self.config.resolution, 1 << self.config.n_downsample
        longer = int(short * max(height, width) / min(height, width)) // step * step
        return (short, longer) if width >= height else (longer, short)

    # --- the parts ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode_content(self, images: Tensor, domain: str | None = None) -> Latents:
        """`content`, by the domain's own encoder; None: the second domain's photos become the first's, so the first is meant."""
        generator = self.generator(self.channels[0] if domain is None else domain)
        return {"content": generator.enc_content(self._network_input(images))}

    @torch.no_grad()
    def encode_style(self, images: Tensor, domain: str, *, rng: RngLike | int | None = None) -> Style:
        """`style` of photos of a domain; rng is not used, the code is no distribution."""
        del rng
        code = self.generator(domain).enc_style(self._network_input(images))
        return self.style(code.flatten(1))

    def sample_style(self, count: int, rng: RngLike | int | None, *, domain: str) -> Style:
        """`style` from N(0, I), key "style"."""
        self.domain(domain)
        return self.style(as_rng(rng, count).normal("style", shape=(self.config.style_dim,)).to(self.device))

    def style(self, codes: Tensor) -> Style:
        """[B, style_dim] as a style."""
        return Style({"style": codes}, {"style": ("sample", "channel")})

    @torch.no_grad()
    def render(self, content: Latents, style: Style, to: str) -> Tensor:
        generator = self.generator(self.target(to))
        features, codes = self._checked(content, style)
        images = generator.decode(features, codes)
        return ((images.float() + 1) / 2).clamp(0, 1)

    def _checked(self, content: Latents, style: Style) -> tuple[Tensor, Tensor]:
        """Content and style codes of one batch, on the model's device. Raises UsageError for those of another model."""
        features, codes = content.get("content"), style.tensors.get("style")
        width, length = self.config.content_width, self.config.style_dim
        if features is None or features.dim() != 4 or features.shape[1] != width:
            got = {name: tuple(value.shape) for name, value in content.items()}
            raise UsageError(f"This content is not of this model: expected 'content' [B, {width}, h, w], got {got}.")
        if codes is None or tuple(codes.shape) != (len(features), length):
            got = {name: tuple(value.shape) for name, value in style.tensors.items()}
            raise UsageError(
                f"This style is not of this model or of another number: expected 'style' [{len(features)}, {length}], got {got}."
            )
        return features.to(self.device), codes.to(self.device, features.dtype)

    def _network_input(self, images: Tensor) -> Tensor:
        """[0, 1] -> [-1, 1] in the network's type."""
        checked = self.check_photos(images)
        weight = next(self.parameters())
        return checked.to(self.device, weight.dtype) * 2 - 1

    def _fold(self) -> None:
        """Doublings and the convolutions after them as one."""
        from zoo_plugins.munit.inference import fold

        for generator in self.generators.values():
            fold(cast(Generator, generator).dec)
