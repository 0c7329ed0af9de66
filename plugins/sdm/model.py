"""SDM behind the zoo's interface: semantic maps to photos by many denoising steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from zoo.families.spade.layouts import PlanLayout, plan_with
from zoo.interfaces.models import as_map
from zoo.nn.labels import LabelInput, background_last, one_hot
from zoo.nn.resample import fit_photos
from zoo.plugin import (
    ImageSynthesizer,
    LabelSpace,
    Layout,
    Progress,
    RngLike,
    SemanticMap,
    Style,
    UsageError,
    as_rng,
)
from zoo_plugins.sdm.config import SDMConfig, SDMSampling
from zoo_plugins.sdm.inference import NormTables, fold, make_tables
from zoo_plugins.sdm.sampling import Denoiser, process_of, sample, steps_backwards
from zoo_plugins.sdm.schedulers import steps_backwards as by_diffusers
from zoo_plugins.sdm.unet import UNet

LAST = ("ade20k", "coco-stuff")
"""Label spaces whose background is the network's last channel."""


@dataclass(eq=False)
class SDMLayout(PlanLayout):
    """The map (at the model's resolution), what each pixel holds as one number, int64 [B, H, W] (`plan`), and in the inference form the
    scales and shifts of all norms, for the map and for the left out one."""

    plan: Tensor
    tables: NormTables | None = field(default=None, kw_only=True)
    empty: NormTables | None = field(default=None, kw_only=True)


class SDM(ImageSynthesizer):
    """SDM (2022). Its style is the noise that sampling starts from, `noise` [samples, 3, height, width] from N(0, I), and the source of
    the noise of each step. There is no style of a photo.

    Maps of another size are resized (nearest, pixel centres) and photos too (bicubic, antialiased) to `resolution`; images come
    out at `resolution`, clipped to [0, 1].
    """

    title: ClassVar[str] = "SDM"
    OPTIONS: ClassVar[type | None] = SDMSampling
    REPORTS_STEPS: ClassVar[bool] = True
    styles = frozenset({"prior"})
    draws_noise = True
    config: SDMConfig

    def __init__(self, config: SDMConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or (background_last(space) if space.name in LAST else space.names))
        # unlabeled pixels are background, else the last channel, as in the SPADE family
        nothing = names.index(space.background) if space.background in names else len(names) - 1
        ignore = nothing if space.ignore else None
        self.label_input = LabelInput(space, names, ignore_channel=ignore, edges=config.edges != "none")
        self._channels = names
        self.unet = UNet(config, self.label_input.channels)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """Of a picture's noise: (3, height, width)."""
        return 3, *self.resolution

    # --- maps -----------------------------------------------------------------------------------------------------

    def small(self, semantic_map: SemanticMap) -> SemanticMap:
        """The maps at the model's resolution, on its device, with the instances whose borders it sees."""
        small, numbers = semantic_map.to(self.device).resize(self.resolution), None
        if self.config.edges == "instances" and small.instances is not None:
            numbers = small.instances.clamp_max(self.config.instance_limit)
        return SemanticMap(small.labels, small.space, numbers)

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """What the network reads: one-hot planes (and borders) float32 [B, K, H, W] at the model's resolution, on its device."""
        return self.label_input(self.small(semantic_map))

    def planes_of(self, values: Tensor) -> Tensor:
        """The same of a layout's numbers int64 [B, H, W]."""
        if not self.label_input.edges:
            return one_hot(values, self.label_input.classes)
        planes = one_hot(values // 2, self.label_input.classes)
        return torch.cat([planes, (values % 2)[:, None].to(planes)], 1)

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> SDMLayout:
        """The map's numbers, and in the inference form the norms' scales and shifts. `reuse`: what is equal is taken from it.

        Raises LabelError for a map of another label space.
        """
        small, inputs = self.small(semantic_map), self.label_input
        old = reuse if isinstance(reuse, SDMLayout) and reuse.semantic_map.space.names == small.space.names else None
        plan = plan_with(old, small, lambda rows: inputs.values(small[rows]), edges=inputs.edges)
        if old is not None and plan is old.plan:
            return old
        notes = inputs.notes(small) if self.config.edges == "instances" else ()
        tables = make_tables(self.unet, plan, inputs.content, None if old is None else old.tables)
        if tables is None:
            return SDMLayout(small, plan, notes)
        nothing = old.empty if old is not None and old.empty is not None else self._tables_of_nothing(plan)
        return SDMLayout(small, plan, notes, tables=tables, empty=nothing)

    def _tables_of_nothing(self, plan: Tensor) -> NormTables | None:
        """Of a map whose planes are all zero: one value, which holds nothing."""
        channels = self.label_input.channels
        return make_tables(
            self.unet, torch.zeros_like(plan[:1]), lambda shown: torch.zeros(len(shown), channels, device=shown.device)
        )

    # --- pictures -------------------------------------------------------------------------------------------------

    def denoiser(self, layout: SDMLayout, count: int) -> Denoiser:
        """The network with this map in place, for `count` samples: (x, times, guided) -> outputs with the map, and without it if guided.

        Whoever has another solver calls this in its loop: x float32 [count, 3, H, W], times int64 [count] of the trained process.
        """
        unet, conditions = self.unet, [layout.tables, layout.empty]
        if layout.tables is None:
            planes = self.planes_of(layout.plan).expand(count, -1, -1, -1)
            conditions = [planes, torch.zeros_like(planes)]

        def run(x: Tensor, times: Tensor, guided: bool) -> tuple[Tensor, Tensor | None]:
            embedding = unet.embed(times)
            encoded = unet.encode(x, embedding)  # it does not see the map, so both decoders share it
            outputs = [unet.decode(encoded, embedding, c) for c in conditions[: 2 if guided else 1]]
            return outputs[0], outputs[1] if guided else None

        return run

    @torch.no_grad()
    def synthesize(
        self,
        semantic_map: SemanticMap | Layout,
        style: Style | None = None,
        *,
        rng: RngLike | int | None = None,
        options: SDMSampling | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        progress(steps done, steps) is called at the start and after each step; what it raises ends the call. Random: the style, where none
        is given, and the noise of each step by its number in the trained process, from the style's own source or else `rng` (None: a fresh
        seed). Raises UsageError for a style of another model, for counts that do not fit, and for steps that the process does not have.
        """
        options = options or SDMSampling()
        process = process_of(self.config, options)
        layout = semantic_map if isinstance(semantic_map, SDMLayout) else self.layout(as_map(semantic_map))
        style = self.sample_style(layout.semantic_map, rng) if style is None else style
        if len(layout) != 1:
            style = style.expand(len(layout))
        noise = self.noise_of(style).to(self.device)
        source = style.rng if style.rng is not None else as_rng(rng, len(noise)).within("steps")

        def draw(step: int) -> Tensor:
            return source.normal("step", step, shape=self.noise_shape)

        loop = by_diffusers if options.library == "diffusers" else steps_backwards
        made = sample(process, self.denoiser(layout, len(noise)), noise, draw, options, progress, loop=loop)
        return ((made + 1) / 2).clamp(0, 1)

    # --- styles ---------------------------------------------------------------------------------------------------

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """Fresh noise per map: `rng.normal("noise")`; the noise of the steps comes from `rng.within("steps")`.

        prior: "normal" or None. Raises UsageError for another.
        """
        if prior not in (None, "normal"):
            raise UsageError(f"SDM has no prior {prior!r}: its noise is normal.")
        source = as_rng(rng, len(semantic_map))
        return self.style(source.normal("noise", shape=self.noise_shape), source.within("steps"))

    def style(self, noise: Tensor, source: RngLike | None = None) -> Style:
        """A Style from noise [samples, 3, height, width]; source: of the noise of the steps (None: that of the call)."""
        return Style({"noise": noise}, {"noise": ("sample", "channel", "height", "width")}, rng=source)

    def noise_of(self, style: Style) -> Tensor:
        """The style's noise, mixtures brought back to the strength of noise. Raises UsageError for another model's style."""
        noise = style.tensors.get("noise")
        if noise is None or tuple(noise.shape[1:]) != self.noise_shape:
            got = ", ".join(f"{n} {list(t.shape[1:])}" for n, t in style.tensors.items())
            raise UsageError(f"A style of this SDM holds a tensor noise {list(self.noise_shape)}, got {got}.")
        # half-way between two draws noise has only 0.7 of its strength, and the picture would come out flat; a draw's own strength
        # deviates from 1 by about 1 / sqrt(2 n), far less than the limit, and is left as it is
        strength = noise.square().mean((1, 2, 3), keepdim=True).sqrt()
        weak = strength < 1 - 6 / (2 * noise[0].numel()) ** 0.5
        return torch.where(weak & (strength > 0), noise / strength, noise)

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)

    def _fold(self) -> None:
        """Norms that read the map by distinct window, kernels packed, features channels last."""
        fold(self.unet)
