"""SegVAE as a mask generator: label sets to maps and soft shapes, maps to codes and back, edits that keep every other part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor

from zoo.interfaces.label_sets import LABEL_SETS, fit_label_sets
from zoo.interfaces.presence import check_space, drawn_values, label_sets, presence
from zoo.nn.init import init_xavier
from zoo.plugin import (
    Asset,
    Conditions,
    Edit,
    LabelSet,
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
from zoo_plugins.segvae.config import SegVAEConfig, SegVAEOptions, SegVAETraining
from zoo_plugins.segvae.editing import edit_map
from zoo_plugins.segvae.fitting import draw_codes, fit_prior
from zoo_plugins.segvae.networks import ContextEncoder, Posterior, Prior, ShapeDecoder
from zoo_plugins.segvae.prior import LocalPrior, prior_fault
from zoo_plugins.segvae.steps import unroll

if TYPE_CHECKING:
    from zoo.interfaces.exports import Exports


class SegVAE(MaskGenerator):
    """SegVAE (ECCV 2020), its ablations and the C-VAE baselines of its Table 1: one class per step, each a conditional VAE.

    Latents, [B, C, Z] in the order of `channels`, float32 on the CPU, one row per class step whether the class is asked for
    or not: `eps`, the standard normals that the learned prior turns into codes, or `z`, the codes themselves (what `encode` gives,
    and `sample_latents` where there is a fitted prior). Label sets may name the background; it is derived, and changes nothing.
    """

    ASSETS: ClassVar = {
        LABEL_SETS: Asset("json", "label sets of the training data with counts"),
        "prior": Asset(
            "tensors",
            "Gaussians of the codes around a few label sets, fitted to the training maps if prior_neighbours > 0 (ours)",
            fault=prior_fault,
        ),
    }
    OPTIONS = SegVAEOptions
    edits = frozenset({"add", "remove", "redraw"})

    config: SegVAEConfig
    values: Tensor

    def __init__(self, config: SegVAEConfig, space: LabelSpace) -> None:
        """Raises LabelError if the space has no background or lacks one of the config's channels."""
        super().__init__(config, space)
        values = drawn_values(space, config.channels, "segvae")
        self.context = ContextEncoder(config)
        self.prior = Prior(config) if config.learned_prior else None
        self.posterior = Posterior(config)
        self.decoder = ShapeDecoder(config)
        init_xavier(self, config.init_gain)
        self.register_buffer("values", torch.tensor([space.background_index, *values]), persistent=False)
        self._fitted: tuple[Any, LocalPrior] | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The drawn classes in the order of the network's channels 1, 2, …"""
        return self.config.channels

    @property
    def resolution(self) -> tuple[int, int]:
        """(size, size) of the maps that come out; maps that go in may have any size."""
        return self.config.size, self.config.size

    @property
    def dtype(self) -> torch.dtype:
        """In which the networks compute (float32 unless the model was converted)."""
        return self.posterior.heads.mu.weight.dtype

    @property
    def order(self) -> tuple[int, ...]:
        """The network's channels in the order in which they are drawn."""
        return tuple(self.config.channels.index(name) + 1 for name in self.config.steps)

    @property
    def paint_order(self) -> tuple[str, ...]:
        """All classes but the background, bottom first: those that are not drawn, then the others in prediction order; but
        what lies on another class (`LabelClass.on`) comes after it, so that order-2's skin does not hide the eyes."""
        space, drawn = self.label_space, self.config.steps
        names = {space.names[space.index(n)] for n in drawn}
        return space.painted([*(n for n in space.names if n not in names and n != space.background), *drawn])

    def _fold(self) -> None:
        """See `inference`: benchmarks/RESULTS.md says what it takes beside a plain reading (equal within 1e-5)."""
        from zoo_plugins.segvae.inference import fold_networks

        fold_networks(self)

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`label_sets` and, with `prior_neighbours`, `prior`, over the maps and, with `flip`, their mirror images. Raises DataError
        for one map alone."""
        if name == LABEL_SETS:
            return fit_label_sets(data, self.channels, mirror=options.flip)
        o = cast(SegVAETraining, options)
        if name != "prior" or not o.prior_neighbours:
            return None
        return fit_prior(
            self, data, mirror=o.flip, neighbours=o.prior_neighbours, centres=o.prior_centres, components=o.prior_components
        ).tensors()  # fmt: skip

    def exports(self) -> Exports:
        """See `exporting`."""
        from zoo_plugins.segvae.exporting import exports

        return exports(self)

    # --- between label space and network -------------------------------------------------------------------------

    def planes(self, layers: LayeredMap) -> Tensor:
        """Layers of the label space -> [B, N, R, R] in the network's channel order, channel 0 all 0; nearest resize."""
        weights = layers.resize(self.resolution).layers[:, self.values[1:]]
        return torch.cat([torch.zeros_like(weights[:, :1]), weights], dim=1)

    def with_background(self, shapes: Tensor) -> Tensor:
        """Soft shapes [B, N, R, R] -> the same with channel 0 = 1 where channels 1.. sum to no more than `config.background`."""
        covered = shapes[:, 1:].sum(1, keepdim=True) > self.config.background
        return torch.cat([(~covered).to(shapes), shapes[:, 1:]], dim=1)

    def layers(self, shapes: Tensor) -> LayeredMap:
        """Soft shapes [B, N, R, R] -> layers of the label space, classes that are not drawn 0, the background by its rule."""
        planes = shapes.new_zeros(len(shapes), len(self.label_space), *shapes.shape[2:])
        return LayeredMap(planes.index_copy(1, self.values, self.with_background(shapes)), self.label_space)

    def flatten(self, layers: LayeredMap, options: SegVAEOptions | None = None) -> SemanticMap:
        """One class per pixel: the painter's rule in `paint_order`, or the authors' argmax, whose ties the first channel wins."""
        rule = (options or SegVAEOptions()).flatten
        order = self.paint_order if rule == "painter" else self.channels
        return layers.flatten(order, rule, threshold=self.config.background)

    def label_sets_of(self, layers: SemanticMap | LayeredMap) -> list[LabelSet]:
        """The drawn classes that have at least one pixel at the model's resolution, as the authors count presence."""
        return label_sets(self.shown(self.planes(self.layered(layers))), self.label_space, self.channels)

    @staticmethod
    def shown(planes: Tensor) -> Tensor:
        """Planes [B, N, R, R] -> bool [B, C]: which drawn classes have a pixel."""
        return planes[:, 1:].flatten(2).amax(2) > 0

    def presence(self, conditions: Conditions) -> Tensor:
        """Label sets -> bool [B, C] by channel. Raises LabelError for classes that are neither drawn nor the background."""
        return presence(conditions, self.label_space, self.channels, "SegVAE")

    def _asked(self, conditions: Conditions) -> Tensor:
        """`presence` of label sets that somebody asked for. Raises UsageError if there are none, or one names no class."""
        if not conditions:
            raise UsageError("No label sets: give at least one.")
        present = self.presence(conditions)
        if not bool(present.any(1).all()):
            raise UsageError(f"The label set is empty: name at least one of {', '.join(self.channels)}.")
        return present

    def vector(self, present: Tensor) -> Tensor:
        """Present classes bool [B, C] -> the networks' label set, float [B, N] with 0 for the background."""
        vector = torch.cat([torch.zeros_like(present[:, :1]), present], dim=1)
        return vector.to(self.device, self.dtype)

    def layered(self, given: SemanticMap | LayeredMap) -> LayeredMap:
        """A map at the model's resolution as layers, on the model's device; a flat one is filled by `LabelClass.on`."""
        check_space(given, self.label_space)
        given = given.to(self.device).resize(self.resolution)
        return LayeredMap.from_map(given, fill=True) if isinstance(given, SemanticMap) else given

    # --- generating ----------------------------------------------------------------------------------------------

    def sample_latents(self, conditions: Conditions, rng: RngLike | int | None, *, prior: str | None = None) -> Latents:
        """Codes `z` or noise `eps`, [B, C, Z], for label sets, absent classes included.

        prior "fitted": codes of the Gaussian nearest to the label set (asset `prior`), drawn again nearer to their means where a
        requested class would come out empty or the figure torn (`fitting.draw_codes`); "normal": standard normals for the prior
        that SegVAE has learned, as in the paper (each class's own key, so that neither order nor label set changes another
        class's numbers); None: fitted if the asset exists. Raises UsageError if it is asked for and missing.
        """
        present = self._asked(conditions)
        if prior not in (None, "fitted", "normal"):
            raise UsageError(f"SegVAE has no prior {prior!r}: it has 'normal', the learned one, and 'fitted'.")
        fitted = None if prior == "normal" else self.fitted_prior
        if prior == "fitted" and fitted is None:
            raise UsageError(
                "This SegVAE has no fitted prior (asset 'prior'), only the one that it has learned: use prior='normal', or make one with"
                " zoo fit (training option prior_neighbours)."
            )
        rng = as_rng(rng, len(present))
        if fitted is None:
            return {"eps": self.normals(rng)}
        return {"z": draw_codes(self, fitted, present, conditions, rng)}

    @property
    def fitted_prior(self) -> LocalPrior | None:
        """The fitted prior, if the asset is there."""
        asset = self.assets.get("prior")
        if asset is None:
            return None
        if self._fitted is None or self._fitted[0] is not asset:
            self._fitted = asset, LocalPrior.from_tensors(asset)
        return self._fitted[1]

    def normals(self, rng: RngLike) -> Tensor:
        """Standard normals [samples, C, Z], each class from its own key ("eps", name)."""
        return torch.stack([rng.normal("eps", n, shape=(self.config.z_dim,)) for n in self.channels], dim=1)

    @torch.no_grad()
    def shapes(self, label_set: Tensor, latents: Latents, *, truth: Tensor | None = None) -> Tensor:
        """Soft shapes float32 [B, N, R, R] (sigmoid times presence; channel 0 all 0) of label sets [B, N] and latents.

        truth: layers [B, N, R, R] that the canvas shows instead of the generated shapes. Not random.
        """
        noise = self.noise(latents, len(label_set))
        planes = label_set.new_zeros(*label_set.shape, *self.resolution, dtype=torch.float32)
        asked = [c for c in self.order if bool((label_set[:, c] > 0).any())]
        fast = not isinstance(self.context, ContextEncoder)  # the inference form: nothing that nobody reads
        for step in unroll(self, label_set, truth=truth, forced=truth is not None, **noise):
            shape = step.shape(step.drawn)
            if shape is not None:
                planes[:, step.channel] = shape[:, 0].float()
            if fast and step.channel in asked[-1:]:
                break
        return planes

    def noise(self, latents: Latents, count: int) -> dict[str, Any]:
        """Latents as arguments of `unroll`. Raises UsageError for others than `eps` or `z` [count, C, Z]."""
        name = next((n for n in ("z", "eps") if n in latents), None)
        if name is None:
            raise UsageError(f"SegVAE's latents are 'eps' (noise) or 'z' (codes), got {sorted(latents)}.")
        expected = (count, len(self.channels), self.config.z_dim)
        if tuple(latents[name].shape) != expected:
            raise UsageError(
                f"The latents '{name}' have shape {tuple(latents[name].shape)}, expected {expected}:"
                f" {count} samples, {expected[1]} classes, {expected[2]} numbers."
            )
        value = latents[name].to(self.device, self.dtype)
        return {"eps_prior" if name == "eps" else "z": value}

    def generate(
        self,
        conditions: Conditions,
        *,
        latents: Latents | None = None,
        rng: RngLike | int | None = None,
        options: SegVAEOptions | None = None,
    ) -> SemanticMap:
        """One map [B, R, R] per label set. A class outside its set never appears; one inside it may stay empty.

        A set of accessories alone works: they are drawn on background. Without `latents` noise is drawn from `rng` (None: a
        fresh seed). Raises UsageError for an empty set, LabelError for classes that are not drawn.
        """
        return self.flatten(self.generate_layers(conditions, latents=latents, rng=rng), options)

    def generate_layers(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None
    ) -> LayeredMap:
        """The soft shapes in [0, 1] as layers of the label space, and 0 or 1 in the background's: 1 where the shapes sum to
        no more than `config.background`. Otherwise as `generate`."""
        present = self._asked(conditions)
        latents = self.sample_latents(conditions, rng) if latents is None else latents
        return self.layers(self.shapes(self.vector(present), latents))

    # --- codes and edits -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, semantic_map: SemanticMap | LayeredMap, *, rng: RngLike | int | None = None) -> Latents:
        """The posterior's codes `z` [B, C, Z] of maps of any size, each class seeing the map's own shapes before it.

        rng None: the means; else z ~ q(z | map). Absent classes have the code of the empty plane at that step. Raises
        LabelError if the map's space is not the model's.
        """
        truth = self.planes(self.layered(semantic_map)).to(self.dtype)
        present = self.shown(truth)
        shape = (len(truth), len(self.channels), self.config.z_dim)
        source = None if rng is None else as_rng(rng, len(truth)).within("posterior")
        eps = torch.zeros(shape) if source is None else self.normals(source)
        z = torch.zeros(shape)
        steps = unroll(
            self, self.vector(present), truth=truth, forced=True, eps_posterior=eps.to(truth), decode=frozenset()
        )
        for step in steps:
            assert step.posterior is not None
            z[:, step.channel - 1] = step.posterior.z.float().cpu()
        return {"z": z}

    def decode(
        self,
        latents: Latents,
        *,
        label_sets: Conditions | None = None,
        context: SemanticMap | LayeredMap | None = None,
        options: SegVAEOptions | None = None,
    ) -> SemanticMap:
        """Maps [B, R, R] from codes `z` (or noise `eps`); not random. Classes outside the label sets get no pixel.

        context: the map whose shapes the canvas shows, so that each class is decoded where it was encoded (the clean
        reconstruction; `label_sets` may then be left out); None: the canvas shows what is generated. Raises UsageError if
        the counts differ, or without label sets and context.
        """
        layers = None if context is None else self.layered(context)
        if label_sets is None:
            if layers is None:
                raise UsageError("decode needs label_sets=, or context= with the maps that the latents belong to.")
            label_sets = self.label_sets_of(layers)
        if layers is not None and len(layers) != len(label_sets):
            raise UsageError(f"{len(label_sets)} label sets for a context of {len(layers)} maps: give one each.")
        truth = None if layers is None else self.planes(layers).to(self.dtype)
        return self.flatten(
            self.layers(self.shapes(self.vector(self.presence(label_sets)), latents, truth=truth)), options
        )

    @torch.no_grad()
    def edit(
        self,
        semantic_map: SemanticMap | LayeredMap,
        edits: Sequence[Edit],
        *,
        latents: Latents | None = None,
        rng: RngLike | int | None = None,
        options: SegVAEOptions | None = None,
    ) -> SemanticMap:
        """Add, remove and redraw parts of maps (resized to [R, R] first, nearest) and keep every other part as it is.

        The paper shows edits and does not say how they are made (its section 4.3); this is the recipe that its Figure 6 is
        consistent with, our reading: the canvas shows the map's own shapes, the label set the wanted classes; at the step of
        an added or redrawn class its code is drawn from the prior, its shape thresholded at .5 and written into its
        layer; a removed class's layer is emptied. All edits are made in one pass: a class drawn in it is on the canvas
        of the later ones. A flat map's layers are filled first (skin lies under the nose), so a removed nose leaves skin; what
        shows nothing beneath follows `options.uncovered`. Layers are painted in `paint_order`, whatever `options.flatten` says
        of soft shapes: added glasses cover the eyes. A pixel changes only where an edited class was or is seen.

        `options.regenerate`: the whole map drawn anew from the edited label set; classes that are not drawn are lost.
        latents: noise `eps` or codes `z` [B, C, Z] for the classes that are drawn, instead of draws from `rng`. Adding what a
        sample has leaves it alone. Raises UsageError for parts that no map shows and other kinds of edits.
        """
        return edit_map(self, semantic_map, edits, latents, as_rng(rng, len(semantic_map)), options or SegVAEOptions())
