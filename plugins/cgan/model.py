"""cgan behind the zoo's interface: label sets to pictures, without a map between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.interfaces.label_sets import LABEL_SETS, fit_label_sets
from zoo.interfaces.presence import presence
from zoo.nn.init import init_xavier
from zoo.plugin import (
    Asset,
    Conditions,
    ConfigError,
    ImageGenerator,
    LabelSpace,
    Latents,
    PairData,
    RngLike,
    TrainingOptions,
    UsageError,
    as_rng,
)
from zoo_plugins.cgan.config import CGANConfig
from zoo_plugins.cgan.networks import Generator


class CGAN(ImageGenerator):
    """A conditional GAN from label sets to RGB, the C-GAN row of SegVAE's Table 1 (its form is our reading: see the config).

    Latents: `z` [B, z_dim], float32 on the CPU, from N(0, I). Whether a picture shows the classes of its set, nobody checks:
    there is no map to look at.
    """

    ASSETS: ClassVar[Mapping[str, Asset]] = {
        LABEL_SETS: Asset("json", "label sets of the training data with counts"),
    }

    config: CGANConfig

    def __init__(self, config: CGANConfig, space: LabelSpace) -> None:
        """Raises LabelError if the space lacks one of the config's classes, ConfigError if it has none but the background."""
        super().__init__(config, space)
        names = config.channels or tuple(n for n in space.names if n != space.background)
        self._channels = tuple(space.names[space.index(n)] for n in names)
        if not self._channels or space.background in self._channels or len(set(self._channels)) != len(self._channels):
            raise ConfigError(f"cgan needs distinct classes besides the background, got {', '.join(names) or 'none'}.")
        self.generator = Generator(
            len(self._channels),
            side=config.side,
            width=config.width,
            z_dim=config.z_dim,
            embed_dim=config.embed_dim,
            attention=config.attention,
            spectral=config.spectral,
        )
        init_xavier(self, 1.0)

    @property
    def channels(self) -> tuple[str, ...]:
        """The classes of the label sets, in the order of the network's inputs."""
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        """(side, side) of the pictures."""
        return self.config.side, self.config.side

    def _fold(self) -> None:
        """Spectral norms folded into the weights, running statistics into the conditional norms."""
        from zoo_plugins.cgan.inference import fold_generator

        fold_generator(self.generator)

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`label_sets` over the maps and, with `flip`, their mirror images."""
        return fit_label_sets(data, self.channels, mirror=options.flip) if name == LABEL_SETS else None

    # --- label sets -----------------------------------------------------------------------------------------------

    def presence(self, conditions: Conditions) -> Tensor:
        """Label sets -> 0 and 1, float32 [B, classes], on the model's device; the background counts for nothing.

        Raises UsageError without label sets, LabelError for classes that the network has no input for.
        """
        if not conditions:
            raise UsageError("No label sets: give at least one.")
        return presence(conditions, self.label_space, self.channels, "cgan").float().to(self.device)

    # --- pictures -------------------------------------------------------------------------------------------------

    def sample_latents(self, conditions: Conditions, rng: RngLike | int | None) -> Latents:
        """`z` [B, z_dim] from N(0, I), one row per label set. Random: `rng.normal("z")`; None takes a fresh seed."""
        return {"z": as_rng(rng, len(conditions)).normal("z", shape=(self.config.z_dim,))}

    @torch.no_grad()
    def generate(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None
    ) -> Tensor:
        """One picture per label set, float32 [B, 3, side, side] in [0, 1]. Without `latents` they are drawn from `rng`.

        Any set gives a picture, one of accessories alone or of the background too; what it shows is what training made of
        such sets. Raises UsageError if the counts differ, LabelError for classes that the network has no input for.
        """
        present = self.presence(conditions)
        latents = self.sample_latents(conditions, rng) if latents is None else latents
        if "z" not in latents:
            raise UsageError(f"cgan's latents are 'z', got {sorted(latents)}.")
        z = latents["z"]
        if tuple(z.shape) != (len(present), self.config.z_dim):
            expected = f"[{len(present)}, {self.config.z_dim}]"
            raise UsageError(f"{len(present)} label sets take latents z {expected}, got {list(z.shape)}.")
        dtype = self.generator.embed.weight.dtype
        pictures = self.generator(z.to(self.device, dtype), present.to(dtype))
        return (pictures.float() + 1) / 2
