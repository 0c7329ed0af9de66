"""mask-vae as a mask generator: label sets to maps, maps to codes and back, edits of single parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.interfaces.label_sets import fit_label_sets
from zoo.interfaces.presence import check_space, drawn_values, label_sets, presence
from zoo.labels import IGNORE
from zoo.nn.latents import reparameterize
from zoo.plugin import (
    Asset,
    Conditions,
    Edit,
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
from zoo_plugins.mask_vae.config import MaskVaeConfig, MaskVaeTraining
from zoo_plugins.mask_vae.editing import apply_edits
from zoo_plugins.mask_vae.fitting import fit_prior
from zoo_plugins.mask_vae.networks import PartDecoder, PartEncoder, with_background
from zoo_plugins.mask_vae.outlines import Outlines, fit_outlines, outlines_fault
from zoo_plugins.mask_vae.prior import LatentPrior, prior_fault

if TYPE_CHECKING:
    from zoo.interfaces.exports import Exports


class SemanticVAE(MaskGenerator):
    """Semantic-VAE (ICIAP 2023): a code per part, an LSTM over the parts, a convolutional decoder.

    Latents: `z` [B, P, E] codes in the order of `channels`, `h0` and `c0` [B, layers * directions, E] LSTM start states
    (index = directions * layer + direction); float32 on the CPU. A part that is absent has the code of the empty plane.
    """

    ASSETS: ClassVar = {
        "prior": Asset(
            "tensors", "joint Gaussian of the part codes, fitted to the training maps (ours)", fault=prior_fault
        ),
        "label_sets": Asset("json", "label sets of the training data with counts"),
        "outlines": Asset(
            "tensors",
            "blur and offsets of the part scores, fitted to the training maps if outline_sigma > 0 (ours)",
            fault=outlines_fault,
        ),
    }
    edits = frozenset({"add", "remove", "redraw", "perturb", "interpolate"})

    config: MaskVaeConfig
    values: Tensor
    channel_of: Tensor

    def __init__(self, config: MaskVaeConfig, space: LabelSpace) -> None:
        """Raises LabelError if the space has no background or lacks one of the config's parts."""
        super().__init__(config, space)
        values = drawn_values(space, config.channels, "mask-vae")
        self.encoder = PartEncoder(config)
        self.generator = PartDecoder(config)
        channel_of = torch.zeros(IGNORE + 1, dtype=torch.long)  # classes that are no part count as background
        channel_of[values] = torch.arange(1, len(values) + 1)
        channel_of[IGNORE] = IGNORE
        self.register_buffer("channel_of", channel_of, persistent=False)
        self.register_buffer("values", torch.tensor([space.background_index, *values]), persistent=False)
        self._prior: tuple[Any, LatentPrior] | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The parts, in the order of codes and score planes."""
        return self.config.channels

    @property
    def resolution(self) -> tuple[int, int]:
        """(side, side) of the maps that come out; maps that go in may have any size."""
        return self.config.side, self.config.side

    def _fold(self) -> None:
        """See `inference`; convolutions lie channels last."""
        from zoo_plugins.mask_vae.inference import FastPartDecoder, FastPartEncoder

        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.requires_grad_(False)
        self.encoder, self.generator = FastPartEncoder(self.encoder), FastPartDecoder(self.generator)

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`prior` and `label_sets` over the maps and, with `flip`, their mirror images; with `outline_sigma`, `outlines`, of what the
        fitted prior draws. Raises DataError for one map alone."""
        if name == "label_sets":
            return fit_label_sets(data, self.channels, mirror=options.flip)
        o = cast(MaskVaeTraining, options)
        if name == "outlines" and o.outline_sigma > 0:
            if "prior" not in self.assets:
                self.assets = {**self.assets, "prior": self.fit_asset("prior", data, options)}
            return fit_outlines(self, data, o.outline_sigma).tensors()
        if name != "prior":
            return None
        components = o.prior_components
        return fit_prior(self, data, mirror=options.flip, components=components).tensors()

    def exports(self) -> Exports:
        """See `exporting`."""
        from zoo_plugins.mask_vae.exporting import exports

        return exports(self)

    # --- the network ---------------------------------------------------------------------------------------------

    def planes(self, labels: Tensor) -> Tensor:
        """Label values [B, H, W] -> 0/1 part planes [B, P, side, side] of the encoder.

        The map is resized (nearest, as the official encoder resizes its planes) before it becomes planes: the same numbers.
        """
        return (self._reduced(labels)[:, None] == self.values[1:, None, None]).to(self.encoder.mu.weight.dtype)

    def _reduced(self, labels: Tensor) -> Tensor:
        """Label values [B, H, W] at the encoder's size."""
        side = self.config.encoder_side
        if labels.shape[-2:] != (side, side):
            labels = F.interpolate(labels[:, None].float(), size=(side, side), mode="nearest")[:, 0].long()
        return labels

    def targets(self, labels: Tensor) -> Tensor:
        """Label values [B, H, W] -> channels 0..P (0 the background) at the output size; 255 stays 255."""
        return self.channel_of[SemanticMap(labels, self.label_space).resize(self.resolution).labels]

    def forward(
        self, planes: Tensor, eps: Tensor, h0: Tensor | None = None, c0: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """planes [B, P, S, S], standard normal eps [B, P, E], LSTM states [B, L, E] -> logits [B, P + 1, H, W], mu, log_var."""
        mu, log_var = self.encoder(planes)
        scores = self.generator(reparameterize(mu, log_var, eps), h0, c0)
        return with_background(scores, self.config.background), mu, log_var

    # --- latents -------------------------------------------------------------------------------------------------

    @property
    def prior(self) -> LatentPrior | None:
        """The fitted prior, if the asset is there."""
        asset = self.assets.get("prior")
        if asset is None:
            return None
        if self._prior is None or self._prior[0] is not asset:
            self._prior = asset, LatentPrior.from_tensors(asset, len(self.channels), self.config.latent)
        return self._prior[1]

    @property
    def outlines(self) -> Outlines | None:
        """How scores become maps, if the asset is there."""
        asset = self.assets.get("outlines")
        return None if asset is None else Outlines.from_tensors(asset)

    def part_numbers(self, maps: SemanticMap) -> Tensor:
        """Maps of any size as part numbers [B, side, side] on the CPU: 1..P in the order of `channels`, 0 for what is no part."""
        numbers = self.channel_of[maps.resize(self.resolution).labels.to(self.device)].cpu()
        return torch.where(numbers > len(self.channels), 0, numbers)

    def drawn_scores(self, present: Tensor, rng: RngLike) -> Tensor:
        """Part scores [B, P, side, side] on the CPU of codes drawn for the parts present [B, P]."""
        codes = self.draw_codes(rng, self.empty_code().expand(*present.shape, -1), present, torch.zeros_like(present))
        states = self.start_states(len(codes), None if self.prior is not None else rng)
        z, h0, c0 = (v.to(self.device, self.encoder.mu.weight.dtype) for v in (codes, states["h0"], states["c0"]))
        return torch.cat([
            self.generator.scores(z[i : i + 1], h0[i : i + 1], c0[i : i + 1]).float().cpu() for i in range(len(z))
        ])  # fmt: skip

    @torch.no_grad()
    def empty_code(self) -> Tensor:
        """Mean code [E] of a part that is absent: all parts share it."""
        plane = torch.zeros(
            1, 1, self.config.encoder_side, self.config.encoder_side, dtype=self.encoder.mu.weight.dtype
        )
        return self.encoder(plane.to(self.device))[0][0, 0].float().cpu()

    def start_states(self, count: int, rng: RngLike | None) -> Latents:
        """LSTM start states h0, c0 [count, layers * directions, E]: standard normal (keys "h0", "c0"), zeros without rng."""
        shape = (self.config.lstm_layers * self.config.directions, self.config.latent)
        if rng is None or not self.config.random_state or not self.config.lstm_layers:
            return {"h0": torch.zeros(count, *shape), "c0": torch.zeros(count, *shape)}
        return {"h0": rng.normal("h0", shape=shape), "c0": rng.normal("c0", shape=shape)}

    def draw_codes(
        self, rng: RngLike, codes: Tensor, wanted: Tensor, kept: Tensor, *, prior: str | None = None
    ) -> Tensor:
        """Replace the wanted parts' codes [B, P, E] by draws: from the fitted prior given the kept parts, or from N(0, I).

        wanted, kept: bool [B, P]. Each part has keys of its own, so drawing one leaves the numbers of the others alone.
        """
        fitted = self._choose(prior)
        if fitted is None:
            z = torch.stack([rng.normal("z", name, shape=(self.config.latent,)) for name in self.channels], dim=1)
            return torch.where(wanted[..., None], z, codes)
        scores = torch.stack([rng.normal("score", name, shape=(fitted.components,)) for name in self.channels], dim=1)
        rest = torch.stack([rng.normal("rest", name, shape=(self.config.latent,)) for name in self.channels], dim=1)
        return fitted.draw(scores, rest, wanted, kept, codes)

    def _choose(self, prior: str | None) -> LatentPrior | None:
        if prior not in (None, "fitted", "normal"):
            raise UsageError(f"prior must be 'fitted' or 'normal', got {prior!r}.")
        if prior == "fitted" and self.prior is None:
            raise UsageError(
                "This mask-vae has no fitted prior (asset 'prior'): use prior='normal', or train it with: zoo train"
            )
        return None if prior == "normal" else self.prior

    def sample_latents(self, conditions: Conditions, rng: RngLike | int | None, *, prior: str | None = None) -> Latents:
        """Codes for label sets: present parts drawn, absent ones the empty code.

        prior "fitted": the joint prior, with zero LSTM states, as it was fitted to mean codes; "normal": codes and states
        from N(0, I), as in the paper; None: fitted if the asset exists. Raises UsageError if it is asked for and missing.
        """
        present = self.presence(conditions)
        rng = as_rng(rng, len(present))
        codes = self.empty_code().expand(*present.shape, -1)
        z = self.draw_codes(rng, codes, present, torch.zeros_like(present), prior=prior)
        return {"z": z, **self.start_states(len(z), None if self._choose(prior) else rng)}

    def presence(self, conditions: Conditions) -> Tensor:
        """Label sets -> bool [B, P]. Raises LabelError for classes that are neither parts nor background."""
        return presence(conditions, self.label_space, self.channels, "mask-vae")

    # --- maps ----------------------------------------------------------------------------------------------------

    def generate(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None
    ) -> SemanticMap:
        """One map [B, side, side] per label set. A class outside its set never appears; one inside it may stay empty."""
        if not conditions:
            raise UsageError("No label sets: give at least one.")
        return self.decode(self.sample_latents(conditions, rng) if latents is None else latents, label_sets=conditions)

    @torch.no_grad()
    def encode(self, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Latents:
        """Codes of maps of any size. rng None: mean codes and zero states; else z ~ q(z | map) and drawn states, as in the code.

        Raises LabelError if the map's space is not the model's. One map at a time, so that codes do not depend on the batch.
        """
        check_space(semantic_map, self.label_space)
        labels = semantic_map.labels.to(self.device)
        rng = None if rng is None else as_rng(rng, len(labels))
        numbers = self.channel_of[self._reduced(labels)]
        pairs = [self.encoder.of_parts(row[None], len(self.channels)) for row in numbers]
        mu = torch.cat([m for m, _ in pairs]).float().cpu()
        if rng is not None:
            log_var = torch.cat([v for _, v in pairs]).float().cpu()
            mu = reparameterize(mu, log_var, rng.normal("eps", shape=tuple(mu.shape[1:])))
        return {"z": mu, **self.start_states(len(mu), rng)}

    @torch.no_grad()
    def decode(self, latents: Latents, *, label_sets: Conditions | None = None, context: Any = None) -> SemanticMap:
        """Maps [B, side, side] from latents; not random. With label sets, the parts outside them get no pixel (our reading), and
        with the asset `outlines` the scores become a map as it says; None: the plain network. `context` is not used. Raises UsageError if the counts differ."""
        del context
        dtype = self.encoder.mu.weight.dtype
        z, h0, c0 = (latents[k].to(self.device, dtype) for k in ("z", "h0", "c0"))
        absent = None
        if label_sets is not None:
            if len(label_sets) != len(z):
                raise UsageError(f"{len(label_sets)} label sets for latents of {len(z)} samples: give one each.")
            present = self.presence(label_sets)
            if (outlines := self.outlines) is not None:
                made = outlines.classes(self.generator.scores(z, h0, c0), present, self.config.background)
                return SemanticMap(self.values[made], self.label_space)
            absent = ~present.to(self.device)
        return SemanticMap(
            self.values[self.generator.classes(z, h0, c0, absent, self.config.background)], self.label_space
        )

    def edit(
        self,
        semantic_map: SemanticMap | LayeredMap,
        edits: Sequence[Edit],
        *,
        latents: Latents | None = None,
        rng: RngLike | int | None = None,
    ) -> SemanticMap:
        """All edits between one encode (the mean codes, unless `latents` are given) and one decode.

        Add and Redraw draw codes (from the fitted prior given the kept parts, else N(0, I)), Perturb adds noise times
        its strength, Interpolate mixes codes (eq. 4; t = 1 swaps the part), Remove takes the empty code. The whole map is
        decoded anew, so other parts change as much as a reconstruction does. Raises UsageError for parts that no map shows.
        """
        if isinstance(semantic_map, LayeredMap):
            semantic_map = semantic_map.flatten()
        check_space(semantic_map, self.label_space)
        latents = self.encode(semantic_map) if latents is None else latents
        present = semantic_map.present().cpu()[:, self.values[1:].cpu()]
        z, present = apply_edits(self, latents["z"], present, edits, as_rng(rng, len(semantic_map)))
        return self.decode({**latents, "z": z}, label_sets=label_sets(present, self.label_space, self.channels))
