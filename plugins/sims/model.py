"""SIMS behind the zoo's interface: semantic maps to photos, made of segments of the photos in a bank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from zoo.families.crn.synthesizer import clipped
from zoo.interfaces.models import as_map
from zoo.nn.labels import LabelInput, one_hot
from zoo.nn.resample import fit_photos
from zoo.plugin import (
    Asset,
    ConfigError,
    ImageSynthesizer,
    LabelSpace,
    Layout,
    PairData,
    RngLike,
    SemanticMap,
    Style,
    TrainingOptions,
    UsageError,
    as_rng,
)
from zoo_plugins.sims.bank import Bank, bank_fault, drawn_bank, fit_bank
from zoo_plugins.sims.canvas import Canvas, Rules, paint
from zoo_plugins.sims.config import SIMSConfig
from zoo_plugins.sims.finding import Found, find, pieces_of, taken
from zoo_plugins.sims.order import OrderNetwork
from zoo_plugins.sims.placing import in_front, moved
from zoo_plugins.sims.roles import roles_of
from zoo_plugins.sims.styles import drawn_style, mean_style, read_style
from zoo_plugins.sims.synthesis import SynthesisNetwork, given_of
from zoo_plugins.sims.transform import TransformNetwork


@dataclass(eq=False)
class SIMSLayout(Layout):
    """The map (at the model's resolution), its segments and the bank's candidates for them."""

    semantic_map: SemanticMap
    found: tuple[Found, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.found)


class SIMS(ImageSynthesizer):
    """SIMS (CVPR 2018). Without the asset `bank` it makes no pictures: `zoo fit MODEL bank --data …` makes one.

    Style: `rank` [samples, classes], from 0 for the best candidate of a class to 1 for the last; `left` [samples, classes], 1 for a class
    whose segments are left to the network; `noise` [samples, H, W] in (0, 1), by which pixels of the inner bands become white. Nothing
    else is random. Maps of another size are resized (nearest, pixel centres); images come out at `resolution`, clipped to [0, 1].
    """

    title = "SIMS"
    ASSETS: ClassVar[Mapping[str, Asset]] = {
        "bank": Asset(
            "tensors",
            "photos of a data set, under its terms, with their maps and segments",
            fault=bank_fault,
            stand_in=drawn_bank,
            photos=True,
        )
    }
    config: SIMSConfig

    def __init__(self, config: SIMSConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or space.names)
        self.classes = tuple(name for name in names if name != config.void)
        if names != (*self.classes, *(name for name in names if name == config.void)):
            raise ConfigError(
                f"SIMSConfig: the class {config.void} (void) has the last channel, got {', '.join(names)}."
            )
        self._channels, hole = names, len(self.classes)
        self.label_input = LabelInput(space, names, ignore_channel=hole)
        self.roles = roles_of(config, space, names)
        self.planes = hole + 1
        self.transform = TransformNetwork(self.planes, config.transform_widths, config.low)
        self.order = OrderNetwork(hole, config.order_widths, config.order_columns)
        self.synthesis = SynthesisNetwork(self.planes, config.widths, config.size, config.scale)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    @property
    def styles(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Drawn, or the best candidates, where there is a bank."""
        return frozenset({"prior", "mean"} if "bank" in self.assets else ())

    @property
    def palette(self) -> Tensor:
        """The classes' colours, int64 [classes, 3], on the model's device."""
        colours = [self.label_space.palette[self.label_space.index(name)] for name in self.classes]
        return torch.tensor(colours, device=self.device)

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`bank`: the photos with their segments. Raises DataError for data without photos, or without a segment."""
        return fit_bank(cast(Any, self), data, getattr(options, "bank_pairs", 0)) if name == "bank" else None

    def bank(self) -> Bank:
        """The bank, asked from the model's device. Raises UsageError where there is none."""
        if "bank" not in self.assets:
            raise UsageError(
                "SIMS makes its pictures of segments from the asset bank, which this model lacks: make it of photos with maps"
                " (`zoo fit MODEL bank --data …`)."
            )
        return Bank(self.assets["bank"], self.device)

    # --- maps -----------------------------------------------------------------------------------------------------

    def indices(self, semantic_map: SemanticMap) -> Tensor:
        """A map as channels int64 [B, H, W], that of holes for void. Raises LabelError for a map of another label space."""
        return self.label_input.read(semantic_map.to(self.device))

    def small(self, semantic_map: SemanticMap) -> SemanticMap:
        """The maps at the model's resolution, on its device."""
        return semantic_map.to(self.device).resize(self.resolution)

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> SIMSLayout:
        """Segments and candidates. `reuse`: rows whose maps are equal are taken from it.

        Raises LabelError for a map of another label space, UsageError for a model without a bank.
        """
        given = self.small(semantic_map)
        labels, low = self.indices(given), self.indices(given.resize(self.config.low))
        bank = self.bank()
        old = reuse.found if isinstance(reuse, SIMSLayout) and len(reuse) == len(given) else ()
        found = []
        for i in range(len(given)):
            same = bool(old) and torch.equal(old[i].labels.to(labels), labels[i])
            found.append(old[i] if same else find(labels[i], low[i], bank, self.roles, self.config))
        return SIMSLayout(given, tuple(found))

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style` one is drawn per map from `rng` (None: a fresh seed). Raises UsageError for a model without a bank, and where
        counts or tensors do not fit.
        """
        layout = semantic_map if isinstance(semantic_map, SIMSLayout) else self.layout(as_map(semantic_map))
        if style is None:
            style = self.sample_style(layout.semantic_map, rng)
        return self.pictures(self.canvases(layout, style))

    def pictures(self, canvases: list[Canvas]) -> Tensor:
        """What the synthesis network makes of canvases, in [0, 1]."""
        labels, drawn = (torch.stack(parts) for parts in zip(*((c.labels, c.picture) for c in canvases), strict=True))
        dtype = self.synthesis.dtype
        given = given_of(one_hot(labels, self.planes).to(dtype), drawn.to(dtype))
        return clipped(self.synthesis.picture(self.synthesis.features(given), given))

    @torch.no_grad()
    def canvases(self, layout: SIMSLayout, style: Style) -> list[Canvas]:
        """The canvas of each sample of the style. Raises UsageError where counts or tensors do not fit."""
        ranks, left, noise = read_style(
            self.config, self.classes, style if len(layout) == 1 else style.expand(len(layout))
        )
        bank, made = self.bank(), []
        for i in range(len(ranks)):
            found = layout.found[i if len(layout) > 1 else 0]
            rows = taken(found, ranks[i].to(self.device), left[i].to(self.device))
            pieces = moved(
                self.transform, pieces_of(found, rows, bank, self.roles, self.config.scale), found, self.planes
            )
            rules = Rules(self.config.bands, self.config.inner, self.config.parity)
            front = in_front(self.order, pieces, found, self.palette, parity=self.config.parity)
            made.append(paint(pieces, found.labels, self.roles, rules, front, noise[i].to(self.device)))
        return made

    # --- styles ---------------------------------------------------------------------------------------------------

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """One of the candidates of each class, some classes left to the network (prior "fitted" or None), or the best candidates
        ("mean", nothing random).

        Random: see `drawn_style`. Raises UsageError for another prior, and for a model without a bank.
        """
        if prior not in (None, "fitted", "mean"):
            raise UsageError(
                f"SIMS has no prior {prior!r}: expected fitted (candidates of the bank) or mean (the best ones)."
            )
        self.bank()
        count = len(semantic_map)
        if prior == "mean":
            return mean_style(self.config, self.classes, count)
        return drawn_style(self.config, self.classes, as_rng(rng, count))

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)

    def _fold(self) -> None:
        """Kernels packed for the CPU."""
        from zoo_plugins.sims.inference import fold

        fold(cast(Any, self))
