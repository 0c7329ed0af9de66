"""Training of SEAN: SPADE's two-step iteration, the photo made again from its own map and its own style codes."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.families.spade.losses import Outputs
from zoo.families.spade.trainer import GanTrainer
from zoo.plugin import Batch, RngLike, SemanticMap, Style
from zoo_plugins.sean.config import SEANOptions
from zoo_plugins.sean.model import SEAN


class SEANTrainer(GanTrainer):
    """A step of generator and style encoder (hinge, feature matching, VGG), then one of the discriminator on a fresh fake with fresh
    noise (docs/papers/sean.md, "Training"). Random: the noise of all norms, keys ("eps", step) and ("eps-d", step); as `GanTrainer`.
    """

    options: SEANOptions

    @property
    def synthesizer(self) -> SEAN:
        """The model."""
        return cast(SEAN, self.model)

    def build_discriminator(self) -> nn.Module:
        """On map and photo; the last of its strided layers has stride 2, unlike SPADE's."""
        o, planes = self.options, self.synthesizer.label_input.channels
        return MultiscaleDiscriminator(planes + 3, o.ndf, o.n_layers_d, o.num_d, o.norm_d, last_stride=2)

    def fake(self, planes: Tensor, real: Tensor, eps: Tensor | None, drawn: Style | None = None) -> Outputs:
        """A forward with the codes of the photos themselves; eps: the noise of all norms [B, noise_count]."""
        assert eps is not None
        codes = self.synthesizer.encoder(real, planes).codes
        layers = len(self.synthesizer.config.layer_names)
        codes = codes[:, :, None].expand(-1, -1, layers, -1)
        return Outputs(self.synthesizer.generator(planes, codes, eps.to(planes.device)))

    def _eps(self, rng: RngLike, *key: str | int) -> Tensor:
        return rng.normal(*key, shape=(self.synthesizer.generator.noise_count,))

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, the photo made again, and each map with the style of the photo before it."""
        assert batch.images is not None
        maps, photos = batch.maps.resize(self.synthesizer.resolution), self.synthesizer.fit_image(batch.images)
        layout, style = self.synthesizer.layout(maps), self.synthesizer.encode_style(photos, maps)
        others = style[[(i - 1) % len(maps) for i in range(len(maps))]].fill(style)
        return {
            "map": maps.colorize(),
            "photo": photos,
            "encoded": self.synthesizer.synthesize(layout, style, rng=rng),
            "exchanged": self.synthesizer.synthesize(layout, others, rng=rng),
        }

    def _reconstruct(self, maps: SemanticMap, photos: Tensor) -> Tensor:
        """The noise of seed 0, as the authors' editor draws it, so that a score is one of the weights alone."""
        small = maps.resize(self.synthesizer.resolution)
        return self.synthesizer.synthesize(small, self.synthesizer.encode_style(photos, small), rng=0)
