"""Training of DMIT on unpaired photos of two or more domains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from zoo.data.domains import batch_by_domain, indices_by_domain, unpaired_order
from zoo.nn.init import init_normal
from zoo.plugin import Batch, ConfigError, DataError, PairData, RngLike, Trainer, Update
from zoo.rng import take_rows
from zoo_plugins.dmit.config import DMITOptions
from zoo_plugins.dmit.discriminators import PictureDiscriminator, StyleDiscriminator
from zoo_plugins.dmit.losses import partners
from zoo_plugins.dmit.model import DMIT
from zoo_plugins.dmit.networks import content_widths
from zoo_plugins.dmit.steps import Draws, Networks, forward, steps

VALIDATION_BATCH = 8
_PARTS = ("content_encoder", "style_encoder", "decoder")


class DMITTrainer(Trainer):
    """Per batch, which has as many photos of each domain: a step of each discriminator, one of the generator, one more of its decoder and
    its content encoder (`zoo_plugins.dmit.steps`).

    Random: the noise of encoded styles, key "eps", drawn styles, keys ("prior", 0) and ("prior", 1); dropout, from torch's own generator.
    """

    model: DMIT
    options: DMITOptions
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"l1"})

    def __init__(self, model: DMIT, options: DMITOptions) -> None:
        super().__init__(model, options)
        o, config, attributes = options, model.config, model.config.sentence or len(model.channels)
        width = content_widths(config)[-1]
        self.content_discriminator = StyleDiscriminator(width, width, o.content_disblocks, attributes, config.norm)
        self.drawn_discriminator, self.encoded_discriminator = (
            PictureDiscriminator(o.ndf, o.image_disblocks, attributes, config.norm) for _ in range(2)
        )
        if o.same_discriminator:
            self.encoded_discriminator = self.drawn_discriminator
        for name, network in self.networks.items():
            if name != "model":
                init_normal(network, zero_biases=True)
        self._optimizers: dict[str, Optimizer] = {}

    @property
    def networks(self) -> dict[str, nn.Module]:
        """`model`, `content_discriminator`, `drawn_discriminator` and, unless that serves both, `encoded_discriminator`."""
        judges = {"content_discriminator": self.content_discriminator, "drawn_discriminator": self.drawn_discriminator}
        if self.encoded_discriminator is not self.drawn_discriminator:
            judges["encoded_discriminator"] = self.encoded_discriminator
        return {"model": self.model, **judges}

    @property
    def parts(self) -> Networks:
        """What an iteration works with."""
        model = self.model
        judges = self.content_discriminator, self.drawn_discriminator, self.encoded_discriminator
        return Networks(model.content_encoder, model.style_encoder, model.decoder, *judges)

    @property
    def optimizer_names(self) -> dict[str, str]:
        """Of each of `parts`."""
        encoded = "encoded" if "encoded_discriminator" in self.networks else "drawn"
        names = {name: f"{name}_discriminator" for name in ("content", "drawn")}
        return {**{name: name for name in _PARTS}, **names, "encoded": f"{encoded}_discriminator"}

    def optimizers(self) -> dict[str, Optimizer]:
        """One Adam for each network."""
        if not self._optimizers:
            networks = {name: getattr(self.model, name) for name in _PARTS}
            networks |= {name: network for name, network in self.networks.items() if name != "model"}
            for name, network in networks.items():
                self._optimizers[name] = Adam(network.parameters(), lr=self.options.lr, betas=self.options.betas)
        return self._optimizers

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        """`DMITOptions.rate`, the same for all."""
        del step
        return dict.fromkeys(self.optimizers(), self.options.rate(int(epoch) + 1))

    @property
    def samples_together(self) -> int:
        """A photo of each domain."""
        return len(self.model.channels)

    def prepare(self, data: PairData) -> None:
        """Raises DataError for data that are no domains, ConfigError for batches that do not hold as many photos of each."""
        if self.model.config.sentence:
            raise DataError(
                "DMIT learns sentences from captions, and the data sets of the zoo have none: train a model of domains."
            )
        indices_by_domain(data, self.model.channels)
        count = len(self.model.channels)
        if self.options.batch_size % count:
            raise ConfigError(
                f"DMIT's batches hold as many photos of each of the {count} domains: batch_size must be a multiple of {count}, got"
                f" {self.options.batch_size}."
            )

    def epoch_order(self, epoch: int, data: PairData) -> Sequence[int] | None:
        """One photo of each domain after the other; an epoch ends with the longest domain, shorter ones go on with random photos."""
        return unpaired_order(data, self.model.channels, epoch, self.options.seed, longest=True)

    # --- one batch ------------------------------------------------------------------------------------------------

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        del step
        images, own, draws = self._inputs(batch, rng)
        made = forward(self.parts, images, own, partners(len(images)), draws, self.options)
        yield from steps(self.parts, made, self.options, self.optimizer_names)

    def _inputs(self, batch: Batch, rng: RngLike) -> tuple[Tensor, Tensor, Draws]:
        """Images in [-1, 1] domain by domain, their attributes, and the draws of each."""
        by_domain = batch_by_domain(batch, self.model.channels)
        order = [i for rows in by_domain for i in rows]
        assert batch.images is not None
        images = batch.images[order] * 2 - 1
        rows, shape = take_rows(rng, order), (self.model.config.style_dim,)
        eps, prior, other = (
            rows.normal(*key, shape=shape).to(images.device) for key in (("eps",), ("prior", 0), ("prior", 1))
        )
        eye = torch.eye(len(by_domain), device=images.device)
        return images, eye.repeat_interleave(len(by_domain[0]), 0), Draws(eps, prior, other)

    def _domains(self, batch: Batch) -> list[int]:
        """The domain of each photo, as an index of the model's channels."""
        space, channels = batch.maps.space, self.model.channels
        return [channels.index(space.names[value]) for value in batch.maps.labels[:, 0, 0].tolist()]

    def statistics(self, batch: Batch, rng: RngLike) -> None:
        """The generator's forward passes, for the batch norms of `cbbn`."""
        images, own, draws = self._inputs(batch, rng)
        forward(self.parts, images, own, partners(len(images)), draws, self.options)

    # --- looking at it --------------------------------------------------------------------------------------------

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Photos, themselves again in their own style, in the next domain in the style of the next photo of it, and in drawn styles."""
        assert batch.images is not None
        images, domains, count = batch.images, self._domains(batch), len(self.model.channels)
        content = self.model.encode_content(images)["content"]
        rows: dict[str, list[Tensor]] = {"reconstruction": [], "guided": [], "drawn": []}
        drawn = self.model.sample_style(len(images), rng.within("preview"), domain=self.model.channels[0])
        for i, domain in enumerate(domains):
            here, there = (self.model.channels[(domain + k) % count] for k in (0, 1))
            guide = next((j for j, d in enumerate(domains) if self.model.channels[d] == there), i)
            styles = {
                "reconstruction": self.model.encode_style(images[i : i + 1], here),
                "guided": self.model.encode_style(images[guide : guide + 1], there),
                "drawn": drawn[i],
            }
            for name, style in styles.items():
                to = here if name == "reconstruction" else there
                rows[name].append(self.model.render({"content": content[i : i + 1]}, style, to))
        return {"photo": images, **{name: torch.cat(pictures) for name, pictures in rows.items()}}

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        """l1: mean |picture - photo| on [-1, 1] of held-out photos in their own domain and mean style (lower is better)."""
        total, count = 0.0, 0
        for batch in data.batches(VALIDATION_BATCH):
            if batch.images is None:
                raise DataError("Validation of DMIT needs photos, and this data set holds maps alone.")
            domains = self._domains(batch)
            for i, domain in enumerate(domains):
                name, photo = self.model.channels[domain], batch.images[i : i + 1]
                again = self.model.translate(photo, to=name, source=name, style=self.model.encode_style(photo, name))
                total, count = total + 2 * float(F.l1_loss(again, photo)), count + 1
        return {"l1": total / max(count, 1)}
