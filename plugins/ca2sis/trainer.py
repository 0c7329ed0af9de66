"""Training of CA2SIS: SPADE's two-step iteration, the photo made again from its own map and its own style."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.families.spade.losses import Outputs
from zoo.families.spade.trainer import GanTrainer
from zoo.plugin import Batch, Model, RngLike, SemanticMap, Style
from zoo_plugins.ca2sis.config import CA2SISOptions
from zoo_plugins.ca2sis.model import CA2SIS


class CA2SISTrainer(GanTrainer):
    """A step of both networks (hinge, feature matching, VGG), then one of the discriminator on a fresh fake, which equals the
    first but for the weights. Random: only ("augment", step), with `diffaugment`.
    """

    options: CA2SISOptions

    def __init__(self, model: Model, options: CA2SISOptions) -> None:
        super().__init__(model, options)

    @property
    def synthesizer(self) -> CA2SIS:
        """The model."""
        return cast(CA2SIS, self.model)

    def build_discriminator(self) -> nn.Module:
        """On map and photo; the last of its strided layers has stride 2, unlike SPADE's (as the bundled one)."""
        o, classes = self.options, self.synthesizer.label_input.channels
        return MultiscaleDiscriminator(classes + 3, o.ndf, o.n_layers_d, o.num_d, o.norm_d, last_stride=2)

    def fake(self, planes: Tensor, real: Tensor, eps: Tensor | None, drawn: Style | None = None) -> Outputs:
        tokens = self.synthesizer.encoder(real, planes)
        return Outputs(self.synthesizer.generator(planes, tokens.flatten(2)))

    def _eps(self, rng: RngLike, *key: str | int) -> Tensor | None:
        return None

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, the photo made again, and each map with the style of the photo before it."""
        assert batch.images is not None
        maps, photos = batch.maps.resize(self.synthesizer.resolution), self.synthesizer.fit_image(batch.images)
        layout, style = self.synthesizer.layout(maps), self.synthesizer.encode_style(photos, maps)
        others = style[[(i - 1) % len(maps) for i in range(len(maps))]]
        return {
            "map": maps.colorize(),
            "photo": photos,
            "encoded": self.synthesizer.synthesize(layout, style),
            "exchanged": self.synthesizer.synthesize(layout, others),
        }

    def _reconstruct(self, maps: SemanticMap, photos: Tensor) -> Tensor:
        small = maps.resize(self.synthesizer.resolution)
        return self.synthesizer.synthesize(small, self.synthesizer.encode_style(photos, small))
