"""MaskVAE as a mask generator: maps to one code each and back, draws, mixtures and extrapolations of codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from zoo.interfaces.label_sets import fit_label_sets
from zoo.interfaces.presence import check_space
from zoo.nn.labels import LabelInput
from zoo.nn.latents import reparameterize
from zoo.plugin import (
    Asset,
    Conditions,
    Edit,
    LabelError,
    LabelSpace,
    Latents,
    LayeredMap,
    MaskGenerator,
    PairData,
    RngLike,
    SemanticMap,
    TrainingOptions,
    UsageError,
    as_rng,
)
from zoo_plugins.maskgan.vae_config import MaskVAEConfig
from zoo_plugins.maskgan.vae_editing import apply_edits
from zoo_plugins.maskgan.vae_inference import FastDecoder, FastEncoder
from zoo_plugins.maskgan.vae_networks import MapDecoder, MapEncoder, planes_of
from zoo_plugins.maskgan.vae_prior import drawn_codes, fit_prior, prior_fault


class MaskVAE(MaskGenerator):
    """MaskVAE (CVPR 2020): one code for a whole map. Latents: `z` [B, latent], float32 on the CPU.

    The network knows no label sets. What a request can ask of it: classes outside the set get no pixel (their scores are left out), and
    with the asset `prior` codes are drawn where maps with such classes lie; a class inside the set may stay empty all the same.
    Maps of another size are resized (nearest, pixel centres) to `resolution`; maps come out at `resolution`.
    """

    ASSETS: ClassVar = {
        "prior": Asset("tensors", "Gaussian of the codes of the training maps, given the classes that they show (ours)", fault=prior_fault),
        "label_sets": Asset("json", "label sets of the training data with counts"),
    }  # fmt: skip
    edits = frozenset({"remove", "perturb", "interpolate"})
    config: MaskVAEConfig
    values: Tensor

    def __init__(self, config: MaskVAEConfig, space: LabelSpace) -> None:
        """Raises LabelError for channels that are not all classes of the space, each once."""
        super().__init__(config, space)
        names = tuple(config.channels or space.names)
        self.label_input = LabelInput(space, names, ignore_channel=len(names) - 1)
        self.encoder, self.decoder = MapEncoder(config, len(names)), MapDecoder(config, len(names))
        with torch.device("cpu"):  # real even where the network is built on the meta device
            self.register_buffer("values", torch.tensor([space.index(n) for n in names]), persistent=False)
        self._channels = tuple(space.names[v] for v in self.values.tolist())

    @property
    def channels(self) -> tuple[str, ...]:
        """All classes, in the order of planes and scores."""
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.side, self.config.side

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`prior` and `label_sets` over the maps and, with `flip`, their mirror images."""
        if name == "label_sets":
            parts = [n for n in self.channels if n != self.label_space.background]
            return fit_label_sets(data, parts, mirror=options.flip)
        return fit_prior(cast(Any, self), data, mirror=options.flip) if name == "prior" else None

    # --- maps and planes ------------------------------------------------------------------------------------------

    def read(self, semantic_map: SemanticMap) -> Tensor:
        """Channels int64 [B, side, side] of maps of any size, on the model's device. Raises LabelError for another label space."""
        check_space(semantic_map, self.label_space)
        return self.label_input.read(semantic_map.to(self.device).resize(self.resolution))

    def shown(self, semantic_map: SemanticMap) -> Tensor:
        """Which classes occur, over `channels`: bool [B, C] on the CPU."""
        return semantic_map.present().cpu()[:, self.values.cpu()]

    def presence(self, conditions: Conditions) -> Tensor:
        """Label sets -> bool [B, C] over `channels`, the background always among them. Raises LabelError for classes of another space,
        and for an empty set where there is no background."""
        found = torch.zeros(len(conditions), len(self.channels), dtype=torch.bool)
        for row, label_set in zip(found, conditions, strict=True):
            for name in (*label_set, *filter(None, [self.label_space.background])):
                row[self.channels.index(self.label_space.names[self.label_space.index(name)])] = True
        if not bool(found.any(1).all()):
            raise LabelError(
                f"A label set without a class, and {self.label_space.name!r} has no background: name one class."
            )
        return found

    def forward(self, planes: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One-hot planes [B, C, side, side], standard normal eps [B, latent] -> scores [B, C, side, side], z, mu, log_var [B, latent]."""
        mu, log_var = self.encoder(planes)
        z = reparameterize(mu, log_var, eps)
        return self.decoder(z), z, mu, log_var

    # --- latents --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def posterior(self, semantic_map: SemanticMap) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the codes, float32 [B, latent] on the model's device."""
        mu, log_var = self.encoder.of_channels(self.read(semantic_map))
        return mu.float(), log_var.float()

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes float32 [B, C, side, side] of maps of any size. Raises LabelError for another label space."""
        return planes_of(self.read(semantic_map), len(self.channels))

    def encode(self, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Latents:
        """Codes of maps of any size: the mean, or with rng z = mean + sigma * `rng.normal("eps")`. Raises LabelError for another space."""
        mu, log_var = (t.cpu() for t in self.posterior(semantic_map))
        if rng is None:
            return {"z": mu}
        eps = as_rng(rng, len(mu)).normal("eps", shape=(self.config.latent,))
        return {"z": reparameterize(mu, log_var, eps)}

    def sample_latents(self, conditions: Conditions, rng: RngLike | int | None, *, prior: str | None = None) -> Latents:
        """Codes for label sets. prior: "normal", N(0, I), which the set does not change; "fitted", the asset `prior`, given the classes
        of the set; None: fitted if the asset exists.

        Random: `rng.normal("z")`. Raises UsageError for another prior, and for fitted without the asset.
        """
        if prior not in (None, "fitted", "normal"):
            raise UsageError(f"prior must be 'fitted' or 'normal', got {prior!r}.")
        if prior == "fitted" and "prior" not in self.assets:
            raise UsageError(
                "This MaskVAE has no fitted prior (asset 'prior'): use prior='normal', or zoo fit MODEL prior --data …."
            )
        present = self.presence(conditions)
        fitted = None if prior == "normal" else self.assets.get("prior")
        return {"z": drawn_codes(fitted, present, as_rng(rng, len(present)), self.config.latent)}

    # --- maps of codes --------------------------------------------------------------------------------------------

    def generate(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None
    ) -> SemanticMap:
        """One map [B, side, side] per label set. A class outside its set never appears (but for the background); one inside may stay
        empty."""
        if not conditions:
            raise UsageError("No label sets: give at least one.")
        return self.decode(self.sample_latents(conditions, rng) if latents is None else latents, label_sets=conditions)

    @torch.no_grad()
    def decode(self, latents: Latents, *, label_sets: Conditions | None = None, context: Any = None) -> SemanticMap:
        """Maps [B, side, side] from codes `z`: the class of the largest score. Not random.

        With label sets classes outside them get no pixel (ours); None: the plain network. `context` is not used. Raises UsageError
        if the counts differ.
        """
        del context
        z = latents["z"].to(self.device)
        allowed = None
        if label_sets is not None:
            if len(label_sets) != len(z):
                raise UsageError(f"{len(label_sets)} label sets for codes of {len(z)} samples: give one each.")
            allowed = self.presence(label_sets).to(self.device)
        return self._decoded(z, allowed)

    def _decoded(self, z: Tensor, allowed: Tensor | None) -> SemanticMap:
        scores = self.decoder(z)
        if allowed is not None:
            scores = scores.masked_fill(~allowed[:, :, None, None], -torch.inf)
        return SemanticMap(self.values.to(scores.device)[scores.argmax(1)], self.label_space)

    @torch.no_grad()
    def edit(
        self,
        semantic_map: SemanticMap | LayeredMap,
        edits: Sequence[Edit],
        *,
        latents: Latents | None = None,
        rng: RngLike | int | None = None,
    ) -> SemanticMap:
        """All edits between one encode (the mean code, unless `latents` are given) and one decode.

        The code is of the whole map, so an edit's classes say which parts it is about, not where it acts: what else changes a
        composition reports, and can put back. Interpolate mixes the codes (t below 0 goes away from the other map), Perturb adds noise
        times its strength (`rng.within("perturb", …)`), Remove leaves the classes' scores out. Raises UsageError for a perturbation of
        parts that no map shows.
        """
        if isinstance(semantic_map, LayeredMap):
            semantic_map = semantic_map.flatten()
        check_space(semantic_map, self.label_space)
        z = (self.encode(semantic_map) if latents is None else latents)["z"]
        z, removed = apply_edits(cast(Any, self), z, semantic_map, edits, as_rng(rng, len(semantic_map)))
        allowed = ~removed.to(self.device).expand(len(z), -1) if bool(removed.any()) else None
        return self._decoded(z.to(self.device), allowed)

    def _fold(self) -> None:
        """Norms folded, doublings and planes without what is known to be zero (`vae_inference`)."""
        self.encoder, self.decoder = FastEncoder(self.encoder), FastDecoder(self.decoder)
