"""Training of MaskGAN's dense mapping network: alone (stage 1), and with editing behaviour and the alpha blender (stage 2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from zoo.api import load
from zoo.families.pix2pixhd.losses import discriminator_losses, generator_losses
from zoo.families.spade.diffaugment import augmented, draw
from zoo.families.spade.discriminators import MultiscaleDiscriminator, Opinion
from zoo.families.spade.losses import Outputs
from zoo.families.spade.trainer import GanTrainer
from zoo.plugin import Batch, ConfigError, Model, PairData, RngLike, SemanticMap, Update
from zoo_plugins.maskgan.behaviour import EditedMaps
from zoo_plugins.maskgan.blocks import init_convolutions
from zoo_plugins.maskgan.config import MaskGANOptions
from zoo_plugins.maskgan.generator import Blender
from zoo_plugins.maskgan.model import MaskGAN


class MaskGANTrainer(GanTrainer):
    """Per batch: a step of the discriminator, then one of the generator on the same fake, painted in the photo's own style.

    In stage 2 then another step of the same discriminator on the blend of two pictures, whose maps were edited, and one of generator and
    blender together. All pictures are in the style of the photo with its own map, and the discriminator sees that map with all of
    them. Random: with `diffaugment` ("augment", step), in stage 2 ("edited", step, "other").
    """

    options: MaskGANOptions

    def __init__(self, model: Model, options: MaskGANOptions) -> None:
        """Raises ConfigError for a `mask_vae` that cannot edit maps, and for sides that the blender cannot halve."""
        super().__init__(model, options)
        self.blender: Blender | None = None
        self.edited: EditedMaps | None = None
        if options.stage == 2:
            step = 1 << Blender.HALVINGS
            if any(side % step for side in self.synthesizer.resolution):
                raise ConfigError(
                    f"stage=2 blends pictures with sides that are multiples of {step}: choose another resolution."
                )
            self.edited = EditedMaps(load(options.mask_vae), options.mask_vae, options.inter, options.outer)
            self._frozen.append(self.edited.generator)
            self.blender = Blender(options.blender_width)
            init_convolutions(self.blender)

    @property
    def synthesizer(self) -> MaskGAN:
        """The model."""
        return cast(MaskGAN, self.model)

    # --- networks -------------------------------------------------------------------------------------------------

    def build_discriminator(self) -> nn.Module:
        """pix2pixHD's: convolutions have biases in front of norms too."""
        o, channels = self.options, self.synthesizer.label_input.channels + 3
        return MultiscaleDiscriminator(channels, o.ndf, o.n_layers_d, o.num_d, o.norm_d, bias=True)

    def initialise(self, discriminator: nn.Module) -> None:
        init_convolutions(discriminator)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return super().networks | ({} if self.blender is None else {"blender": self.blender})

    def parameters(self) -> dict[str, list[nn.Parameter]]:
        """Names: generator, discriminator, in stage 2 blending, which has the generator's parameters too, with moments of their own."""
        chosen = super().parameters()
        if self.blender is not None:
            chosen["blending"] = [*self.synthesizer.parameters(), *self.blender.parameters()]
        return chosen

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """As of `GanTrainer`. Quirk: the blending step keeps its full rate, unless `decay_blending`."""
        rates = super().rates(epoch, step)
        if self.blender is not None:
            rates["blending"] = rates["generator"] if self.options.decay_blending else self.options.lr
        return rates

    def prepare(self, data: PairData) -> None:
        """Raises DataError for maps without photos, before anything is written."""
        super().prepare(data)
        if self.edited is not None:
            self.edited.prepare(data)

    # --- one batch ------------------------------------------------------------------------------------------------

    def paint(self, maps: list[Tensor], planes: Tensor, real: Tensor) -> list[Tensor]:
        """Each of these maps' planes in the style of the photos with their own planes: images in [-1, 1]. The style is read once."""
        generator = self.synthesizer.generator
        style = generator.style(real, planes)
        return [generator.render(generator.plan(m), style) for m in maps]

    def opinions(
        self, planes: Tensor, fake: Tensor, real: Tensor, draws: Tensor | None, *, learning: bool
    ) -> tuple[Opinion, Opinion]:
        """(of fakes, of photos), in two passes. learning: the discriminator's own step; else the generator's, which needs no gradient
        through the photos."""
        outputs, cutout = Outputs(fake), self.options.cutout
        on_fake = self._ask(*augmented(planes, fake.detach() if learning else fake, draws, cutout), outputs)
        with torch.set_grad_enabled(learning and torch.is_grad_enabled()):
            on_real = self._ask(*augmented(planes, real, draws, cutout), outputs)
        return on_fake, on_real

    def losses_of(
        self, planes: Tensor, maps: SemanticMap, fake: Tensor, real: Tensor, draws: Tensor | None
    ) -> dict[str, Tensor]:
        """The weighted terms of a generator's step: for its picture of the maps, or for the blend."""
        on_fake, on_real = self.opinions(planes, fake, real, draws, learning=False)
        outputs = Outputs(fake)
        losses = generator_losses(outputs, real, on_fake, on_real, self.options, self.perceptual)
        return losses | self.feature_losses(outputs, real, maps)

    def _steps(
        self, planes: Tensor, maps: SemanticMap, fake: Tensor, real: Tensor, draws: Tensor | None, *, blend: bool
    ) -> Iterator[Update]:
        """The discriminator's step, then the step of what made the fake."""
        prefix = "blend_" if blend else ""
        on_fake, on_real = self.opinions(planes, fake, real, draws, learning=True)
        judged = {f"{prefix}{k}": v for k, v in discriminator_losses(on_fake, on_real, self.options).items()}
        seen = {f"{prefix}score_fake": on_fake, f"{prefix}score_real": on_real}
        logs: dict[str, Tensor | float] = {k: v.scores[0].detach().float().mean() for k, v in seen.items()}
        yield Update(judged, ("discriminator",), logs)
        losses = self.losses_of(planes, maps, fake, real, draws)
        yield Update({f"{prefix}{k}": v for k, v in losses.items()}, ("blending" if blend else "generator",))

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        planes, real = self._inputs(batch)
        for network in self._frozen:
            network.to(real.device)
        draws = draw(rng, "augment", step) if self.options.diffaugment else None
        (fake,) = self.paint([planes], planes, real)
        yield from self._steps(planes, batch.maps, fake, real, draws, blend=False)
        if self.edited is not None and self.blender is not None:
            maps = self.edited.draw(batch.maps, rng.within("edited", step))
            blend, alpha = self.blender(*self.paint([self._planes(m) for m in maps], planes, real))
            updates = self._steps(planes, batch.maps, blend, real, draws, blend=True)
            for update in updates:
                update.logs["alpha"] = alpha.detach().mean()
                yield update

    def _planes(self, maps: SemanticMap) -> Tensor:
        planes = self.synthesizer.planes(maps)
        return planes.contiguous(memory_format=torch.channels_last) if self.options.channels_last else planes

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        """Nothing to do: no layer has statistics."""

    # --- looking at it --------------------------------------------------------------------------------------------

    @torch.no_grad()
    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, the map in its photo's style and in the next photo's; in stage 2 the edited maps, their pictures and the blend."""
        assert batch.images is not None
        model = self.synthesizer
        maps, photos = batch.maps.resize(model.resolution), model.fit_image(batch.images)
        layout, style = model.layout(maps), model.encode_style(photos, maps)
        copied = style[[(i + 1) % len(maps) for i in range(len(maps))]]
        rows = {
            "map": maps.colorize(),
            "photo": photos,
            "own style": model.synthesize(layout, style),
            "next one's style": model.synthesize(layout, copied),
        }
        if self.edited is None or self.blender is None:
            return rows
        edited = self.edited.draw(batch.maps, rng.within("preview"))
        made = [model.synthesize(m, style) for m in edited]
        blend, _ = self.blender(*(x * 2 - 1 for x in made))
        for name, maps, picture in zip(("inner", "outer"), edited, made, strict=True):
            rows |= {f"{name} map": maps.resize(model.resolution).colorize(), name: picture}
        return rows | {"blend": (blend + 1) / 2}

    def _reconstruct(self, maps: SemanticMap, photos: Tensor) -> Tensor:
        small = maps.resize(self.synthesizer.resolution)
        return self.synthesizer.synthesize(small, self.synthesizer.encode_style(photos, small))
