"""DMIT as a model of the zoo: photos of any of its domains to photos of any other, in drawn styles or in those of photos."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.nn.init import init_normal
from zoo.nn.latents import reparameterize
from zoo.plugin import SIDE, ImageTranslator, LabelSpace, Latents, RngLike, Style, UsageError, as_rng
from zoo_plugins.dmit.config import DMITConfig
from zoo_plugins.dmit.inference import fold
from zoo_plugins.dmit.networks import ContentEncoder, Decoder, StyleEncoder


class DMIT(ImageTranslator):
    """Content: tensor `content` [B, channels, H / 2^k, W / 2^k], read off a photo of any domain. Style: tensor `z` [samples, style_dim],
    from N(0, I) or read off a photo of any domain; the domain itself is a one-hot vector beside it. Nothing else is random.

    Photos of any size whose sides are multiples of 2^k are taken; `size_for` brings the shorter side to `config.resolution`.
    """

    shared_content = True
    shared_styles = True
    config: DMITConfig

    def __init__(self, config: DMITConfig, space: LabelSpace) -> None:
        """Raises LabelError for domains that the label space has not, UsageError for fewer than two."""
        super().__init__(config, space)
        self._channels = tuple(space.names[space.index(name)] for name in config.domains(space.names))
        if len(self._channels) < 2:
            raise UsageError(f"DMIT translates between two domains or more, got {len(self._channels)}.")
        self.content_encoder = ContentEncoder(config)
        self.style_encoder = StyleEncoder(config)
        self.decoder = Decoder(config, len(self._channels))
        init_normal(self, zero_biases=True)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.resolution, self.config.resolution

    def size_for(self, height: int, width: int) -> tuple[int, int]:
        """The shorter side at `config.resolution`, the longer one in proportion at the nearest multiple of 2^k; sizes whose shorter side
        is that and whose longer one is such a multiple stay. Raises UsageError for a photo that would be longer than 4096 pixels."""
        short, step = self.config.resolution, 2**self.config.halvings
        longer = max(short, round(short * max(height, width) / min(height, width) / step) * step)
        if longer > SIDE:
            raise UsageError(
                f"A photo of {height} x {width} pixels (height x width) would have {longer} on its longer side where the shorter one has"
                f" {short}, more than {SIDE}: cut it."
            )
        return (short, longer) if height <= width else (longer, short)

    def attributes(self, domain: str, count: int) -> Tensor:
        """One-hot rows float32 [count, domains] that say a domain. Raises LabelError for one that it has not."""
        index = self.channels.index(self.domain(domain))
        row = F.one_hot(torch.tensor(index, device=self.device), len(self.channels)).float()
        return row.expand(count, -1)

    @torch.no_grad()
    def encode_content(self, images: Tensor, domain: str | None = None) -> Latents:
        """As of every translator; `domain` is not needed, one that the model has not is refused."""
        if domain is not None:
            self.domain(domain)
        return {"content": self.content_encoder(self._input(images))}

    @torch.no_grad()
    def encode_style(self, images: Tensor, domain: str, *, rng: RngLike | int | None = None) -> Style:
        """The mean of the code's distribution, or with rng mean + eps * sigma, eps = `rng.normal("eps")` (the authors always draw)."""
        self.domain(domain)
        mean, logvar = self.style_encoder(self._input(images))
        if rng is None:
            return _style(mean)
        eps = as_rng(rng, len(mean)).normal("eps", shape=(self.config.style_dim,)).to(mean.device)
        return _style(reparameterize(mean, logvar, eps))

    def sample_style(self, count: int, rng: RngLike | int | None, *, domain: str) -> Style:
        """From N(0, I): `rng.normal("z")`."""
        self.domain(domain)
        return _style(as_rng(rng, count).normal("z", shape=(self.config.style_dim,)))

    @torch.no_grad()
    def render(self, content: Latents, style: Style, to: str) -> Tensor:
        """As of every translator. Raises UsageError for content or styles of another model."""
        x, z = content.get("content"), style.tensors.get("z")
        if x is None or x.dim() != 4:
            raise UsageError(f"Content of DMIT is a tensor content [B, channels, h, w], got {', '.join(content) or 'nothing'}.")
        if z is None or z.shape[-1] != self.config.style_dim:
            got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
            raise UsageError(f"A style of DMIT holds a tensor z [samples, {self.config.style_dim}], got {got}.")
        code = torch.cat([self.attributes(self.target(to), len(z)), z.to(self.device)], 1)
        return (self.decoder(x.to(self.device), code) + 1) / 2

    def _input(self, images: Tensor) -> Tensor:
        """Photos as the networks see them: [-1, 1], on the model's device."""
        return self.check_photos(images).to(self.device) * 2 - 1

    def _fold(self) -> None:
        fold(self)


def _style(z: Tensor) -> Style:
    return Style({"z": z}, {"z": ("sample", "channel")})
