"""Training of GroupDNet: SPADE's two-step iteration with a code per class."""

from __future__ import annotations

from torch import Tensor

from zoo.families.spade.losses import Outputs
from zoo.families.spade.trainer import GanTrainer
from zoo.nn.latents import reparameterize
from zoo.plugin import RngLike, SemanticMap, Style
from zoo_plugins.groupdnet.config import GroupDNetOptions
from zoo_plugins.groupdnet.model import GroupDNet


class GroupDNetTrainer(GanTrainer):
    """Per batch: a step of generator and encoder, then one of the discriminator on a fresh fake (docs/papers/groupdnet.md, "Training").

    Random: eps of all classes' codes, keys ("eps", step) and ("eps-d", step); with `diffaugment` ("augment", step).
    """

    gan: GroupDNet  # pyright: ignore[reportIncompatibleVariableOverride]
    options: GroupDNetOptions

    def _eps(self, rng: RngLike, *key: str | int) -> Tensor:
        """[B, classes * code_width, *grid]: a sample's does not depend on which classes its batch shows."""
        return rng.normal(*key, shape=self.gan.code_shape).flatten(1, 2).float()

    def fake(self, planes: Tensor, real: Tensor, eps: Tensor | None, drawn: Style | None = None) -> Outputs:
        """A forward with codes drawn from the encoder's posteriors, mu + eps * sigma; the divergence counts absent classes too."""
        assert eps is not None and drawn is None  # a model without a fitted prior has no `prior_half`
        mu, logvar = self.gan.encode(real, planes[:, : len(self.gan.channels)])
        z = reparameterize(mu, logvar, eps.to(mu.device))
        return Outputs(self.gan.generator(planes, z), mu, logvar)

    def _reconstruct(self, maps: SemanticMap, photos: Tensor) -> Tensor:
        maps = maps.resize((photos.shape[-2], photos.shape[-1]))
        return self.gan.synthesize(maps, self.gan.encode_style(photos, maps))
