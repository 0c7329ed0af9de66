"""DMIT as a model of the zoo: photos of any of its domains to photos of any other, in drawn styles or in those of photos."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.nn.init import init_normal
from zoo.nn.latents import reparameterize
from zoo.nn.spectral import fold_spectral
from zoo.plugin import SIDE, ImageTranslator, LabelSpace, Latents, RngLike, Style, UsageError, as_rng
from zoo_plugins.dmit.config import DMITConfig
from zoo_plugins.dmit.networks import ContentEncoder, Decoder, StyleEncoder


class DMIT(ImageTranslator):
    """Content: tensor `content` [B, channels, H / 2^k, W / 2^k], read off a photo of any domain. Style: tensor `z` [samples, style_dim],
    from N(0, I) or read off a photo of any domain; the domain itself is a one-hot vector beside it. Nothing else is random. A model that reads
    sentences has one domain, and its styles hold the tensor `sentence` [samples, sentence] too (`told`; zeros where nobody said one).

    Photos of any size whose sides are multiples of 2^k are taken; `size_for` brings the shorter side to `config.resolution`.
    """

    shared_content = True
    shared_styles = True
    config: DMITConfig

    def __init__(self, config: DMITConfig, space: LabelSpace) -> None:
        """Raises LabelError for domains that the label space has not, UsageError for fewer than two (with sentences: for another number
        than one)."""
        super().__init__(config, space)
        self._channels = tuple(space.names[space.index(name)] for name in config.domains(space.names))
        count = len(self._channels)
        if (count != 1) if config.sentence else (count < 2):
            needed = "with sentences has one domain" if config.sentence else "translates between two domains or more"
            raise UsageError(f"DMIT {needed}, got {count}: set the config's channels.")
        self.content_encoder = ContentEncoder(config)
        self.style_encoder = StyleEncoder(config)
        self.decoder = Decoder(config, config.sentence or count)
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
            return self._style(mean)
        eps = as_rng(rng, len(mean)).normal("eps", shape=(self.config.style_dim,)).to(mean.device)
        return self._style(reparameterize(mean, logvar, eps))

    def sample_style(self, count: int, rng: RngLike | int | None, *, domain: str) -> Style:
        """From N(0, I): `rng.normal("z")`."""
        self.domain(domain)
        return self._style(as_rng(rng, count).normal("z", shape=(self.config.style_dim,)))

    @torch.no_grad()
    def render(self, content: Latents, style: Style, to: str) -> Tensor:
        """As of every translator. Raises UsageError for content or styles of another model."""
        x, z = content.get("content"), style.tensors.get("z")
        if x is None or x.dim() != 4:
            raise UsageError(
                f"Content of DMIT is a tensor content [B, channels, h, w], got {', '.join(content) or 'nothing'}."
            )
        lacks = self.config.sentence and "sentence" not in style.tensors
        if z is None or z.shape[-1] != self.config.style_dim or lacks:
            got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
            raise UsageError(f"A style of DMIT holds a tensor z [samples, {self.config.style_dim}], got {got}.")
        domain = self.target(to)
        said = style.tensors["sentence"].to(self.device) if self.config.sentence else self.attributes(domain, len(z))
        code = torch.cat([said, z.to(self.device)], 1)
        return (self.decoder(x.to(self.device), code) + 1) / 2

    def told(self, style: Style, sentences: Tensor) -> Style:
        """The style with sentences float [samples or 1, sentence] (`TextEncoder`) in it. Raises UsageError for a model that reads none,
        and for sentences of another form."""
        size = self.config.sentence
        if not size:
            raise UsageError("This DMIT reads no sentences (config: sentence=0): its target is a domain.")
        if sentences.dim() != 2 or sentences.shape[1] != size or len(sentences) not in (1, len(style)):
            raise UsageError(f"Sentences are a tensor [{len(style)} or 1, {size}], got {list(sentences.shape)}.")
        rows = sentences.float().expand(len(style), -1)
        return Style({**style.tensors, "sentence": rows}, {**style.axes, "sentence": ("sample", "channel")})

    def _style(self, z: Tensor) -> Style:
        style = Style({"z": z}, {"z": ("sample", "channel")})
        return self.told(style, z.new_zeros(1, self.config.sentence)) if self.config.sentence else style

    def _input(self, images: Tensor) -> Tensor:
        """Photos as the networks see them: [-1, 1], on the model's device."""
        return self.check_photos(images).to(self.device) * 2 - 1

    def _fold(self) -> None:
        """Spectral norms folded. Convolutions whose weights are laid out for the CPU's kernels (`zoo.inference.packed`) would be slower here: the
        instance norms behind them put the features back into the plain layout."""
        fold_spectral(self)
