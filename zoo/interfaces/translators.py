"""The fifth kind of model: photos of one domain become photos of another, by a content that the domains share and a style.

B samples, H W pixels. Photos are float32 [B, 3, H, W] in [0, 1]. A domain is a class of the model's label space (`domains` has A to H, a
file of the user's has names of its own), so that data, cards and checks treat it as every other class; `channels` are the domains in the
order in which the model counts them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from zoo.errors import LabelError, UsageError, did_you_mean
from zoo.interfaces.capabilities import Latents
from zoo.interfaces.models import Model
from zoo.rng import RngLike, as_rng
from zoo.style import Style


class ImageTranslator(Model):
    """Photos to photos of another domain.

    A model owes five calls. `encode_content` gives what stays (latents of any names, one row per photo), `encode_style` and
    `sample_style` what changes (a `Style` with one row per sample, from a photo of the target domain or drawn), `render` puts the two
    together, `size_for` says how large the photos have to be. `translate` is made of these.
    """

    shared_content: ClassVar[bool] = False
    """True: one content encoder serves all domains, so that nobody has to say which one a photo is of."""
    shared_styles: ClassVar[bool] = False
    """True: a style is of no domain; one that was read off a photo of any domain fits every target."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The domains that it paints, among `channels`; a model of one direction has one. The last is what `to=None` means."""
        return self.channels

    def size_for(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) to which a photo of this size is brought before it is encoded; what is made of it has that size.

        Here `resolution`, whatever the photo is; a model that takes other sizes keeps the photo's proportions and gives the nearest size
        that it takes. `size_for(*size_for(h, w))` is `size_for(h, w)`. Raises UsageError for a photo that it cannot take.
        """
        del height, width
        return self.resolution

    @abstractmethod
    def encode_content(self, images: Tensor, domain: str | None = None) -> Latents:
        """What the photos [B, 3, H, W] in [0, 1] of this domain show, as named tensors [B, …]; not random.

        domain: None where `shared_content`, or for the domain that `source_for` gives. (H, W) = `size_for(H, W)`.
        Raises UsageError for another size, LabelError for a domain that it has not.
        """

    @abstractmethod
    def encode_style(self, images: Tensor, domain: str, *, rng: RngLike | int | None = None) -> Style:
        """The style of photos [B, 3, H, W] in [0, 1] of this domain, one row each. rng None gives the mean where the code is a
        distribution; a code without one does not use it. Raises UsageError, LabelError as `encode_content`."""

    @abstractmethod
    def sample_style(self, count: int, rng: RngLike | int | None, *, domain: str) -> Style:
        """`count` styles for photos of this domain from the prior, row i from stream i of `rng` (None: a fresh seed).
        Raises LabelError."""

    @abstractmethod
    def render(self, content: Latents, style: Style, to: str) -> Tensor:
        """Photos float32 [B, 3, H, W] in [0, 1] of the domain `to`: row i of the content in row i of the style, as many of both; not
        random. Raises LabelError for a domain that is no target."""

    def translate(
        self,
        photos: Tensor | Latents,
        *,
        to: str | None = None,
        source: str | None = None,
        style: Style | None = None,
        rng: RngLike | int | None = None,
    ) -> Tensor:
        """Photos as if they were of another domain: float32 [B, 3, H, W] in [0, 1].

        photos: float32 [B, 3, H, W] in [0, 1] with (H, W) = `size_for(H, W)`, or what `encode_content` gave for them. to: the domain,
        None the last of `targets`. source: the domain that the photos are of, None what `source_for(to)` says. style: one for each photo, one
        for all, or several for the one photo that is given; None draws one for each from `rng` (a fresh seed where that is None, too).
        Raises UsageError for another size or a style of another number, LabelError for a domain that the model has not.
        """
        target = self.target(to)
        if isinstance(photos, Mapping):
            content = dict(photos)
        else:
            content = self.encode_content(photos, self.source_for(target) if source is None else self.domain(source))
        count = len(next(iter(content.values())))
        if style is None:
            style = self.sample_style(count, as_rng(rng, count), domain=target)
        if count == 1 and len(style) > 1:
            content = {name: value.expand(len(style), *value.shape[1:]) for name, value in content.items()}
            count = len(style)
        return self.render(content, style.to(self.device).expand(count), target)

    # --- domains --------------------------------------------------------------------------------------------------

    def domain(self, name: str) -> str:
        """The domain of this name or alias, as `channels` spell it. Raises LabelError for one that the model has not."""
        value = self.label_space.find(name)
        spelled = None if value is None else self.label_space.names[value]
        if spelled not in self.channels:
            raise LabelError(
                f"{type(self).__name__} has no domain {name!r}{did_you_mean(name, self.channels)} (domains: {', '.join(self.channels)})."
            )
        return str(spelled)

    def target(self, name: str | None) -> str:
        """The domain of this name, if the model paints it; None: the last of `targets`. Raises LabelError."""
        if name is None:
            return self.targets[-1]
        found = self.domain(name)
        if found not in self.targets:
            raise LabelError(
                f"{type(self).__name__} makes no photos of the domain {found!r}, only of {', '.join(self.targets)}."
            )
        return found

    def source_for(self, to: str) -> str:
        """The domain of photos that become `to` where nobody says it: the other one of two; with `shared_content` any does.
        Raises UsageError for a model of more domains whose content depends on the domain."""
        others = [name for name in self.channels if name != to]
        if len(others) > 1 and not self.shared_content:
            raise UsageError(f"Of which domain are the photos? Say <<source>>: one of {', '.join(others)}.")
        return others[0] if others else to

    def check_photos(self, images: Tensor) -> Tensor:
        """Photos as the calls take them. Raises UsageError for another form, or a size that `size_for` changes."""
        if images.dim() != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise UsageError(
                f"Photos are a float tensor [B, 3, H, W] in [0, 1], got {images.dtype} {tuple(images.shape)}."
            )
        height, width = images.shape[2:]
        fits = self.size_for(height, width)
        if fits != (height, width):
            raise UsageError(
                f"{type(self).__name__} takes photos of {fits[0]} x {fits[1]} pixels (height x width) where these have {height} x {width}:"
                " resize them to what `size_for` says."
            )
        return images
