"""Unpaired SC-GAN: photos of one domain as photos of another, the layout from the source and the appearance from a reference.

Our reading of the paper's section 4.4, whose supplement was not released (docs/papers/scgan_unpaired.md).
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.families.spade.encoders import ConvEncoder
from zoo.nn.init import init_xavier
from zoo.nn.latents import reparameterize
from zoo.plugin import ImageTranslator, LabelSpace, Latents, RngLike, Style, UsageError, as_rng
from zoo_plugins.scgan.generator import Generator
from zoo_plugins.scgan.inference import fold_blocks
from zoo_plugins.scgan.unpaired_config import UnpairedConfig

PLANES = 3
"""Planes in front of the generator: a photo's colours in place of a map's classes."""


class UnpairedSCGAN(ImageTranslator):
    """Content: tensor `photo` [B, 3, H, W] in [-1, 1], of which the generator makes its semantic vectors. Style: tensor `z`
    [samples, z_dim], from N(0, I) or read off a reference. Nothing else is random. (H, W) is `resolution`."""

    config: UnpairedConfig

    def __init__(self, config: UnpairedConfig, space: LabelSpace) -> None:
        """Raises LabelError for domains that the label space has not, UsageError for another number than two."""
        super().__init__(config, space)
        self._channels = tuple(space.names[space.index(name)] for name in config.domains(space.names))
        if len(self._channels) != 2:
            raise UsageError(f"Unpaired SC-GAN has one source and one target, got {len(self._channels)} domains.")
        self.generator = Generator(config.generator, PLANES)
        self.encoder = ConvEncoder(config.nef, config.z_dim, size=config.encoder_size, norm=config.encoder_norm)
        init_xavier(self)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def targets(self) -> tuple[str, ...]:
        """The second of `channels`."""
        return self._channels[1:]

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    def encode_content(self, images: Tensor, domain: str | None = None) -> Latents:
        """The photos themselves, of either domain: a photo of the target keeps its layout."""
        if domain is not None:
            self.domain(domain)
        return {"photo": self._input(images)}

    @torch.no_grad()
    def encode_style(self, images: Tensor, domain: str, *, rng: RngLike | int | None = None) -> Style:
        """The mean of the code's distribution, or with rng mean + eps * sigma, eps = `rng.normal("eps")`."""
        self.domain(domain)
        mean, logvar = self.encoder(self._input(images))
        if rng is None:
            return _style(mean.float())
        eps = as_rng(rng, len(mean)).normal("eps", shape=(self.config.z_dim,)).to(mean.device)
        return _style(reparameterize(mean, logvar, eps))

    def sample_style(self, count: int, rng: RngLike | int | None, *, domain: str) -> Style:
        """From N(0, I): `rng.normal("z")`."""
        self.domain(domain)
        return _style(as_rng(rng, count).normal("z", shape=(self.config.z_dim,)))

    @torch.no_grad()
    def render(self, content: Latents, style: Style, to: str) -> Tensor:
        """As of every translator; one photo in several styles is read once. Raises UsageError for content or styles of another model."""
        self.target(to)
        photo, z = content.get("photo"), style.tensors.get("z")
        if photo is None or tuple(photo.shape[1:]) != (PLANES, *self.resolution):
            raise UsageError(
                f"Content of unpaired SC-GAN is a tensor photo [B, 3, {self.resolution[0]}, {self.resolution[1]}], got"
                f" {', '.join(f'{n} {list(t.shape)}' for n, t in content.items()) or 'nothing'}."
            )
        if z is None or z.shape[-1] != self.config.z_dim:
            got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
            raise UsageError(f"A style of unpaired SC-GAN holds a tensor z [samples, {self.config.z_dim}], got {got}.")
        once = photo[:1] if photo.stride(0) == 0 else photo
        plan = self.generator.plan(once.to(self.device))
        return (self.generator.render(plan, z.to(self.device)) + 1) / 2

    def _input(self, images: Tensor) -> Tensor:
        """Photos as the networks see them: [-1, 1], on the model's device."""
        return self.check_photos(images).to(self.device) * 2 - 1

    def _fold(self) -> None:
        fold_blocks(self, self.generator)


def _style(z: Tensor) -> Style:
    return Style({"z": z}, {"z": ("sample", "channel")})
