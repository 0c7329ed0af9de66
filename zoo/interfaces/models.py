"""The contracts of the zoo: what a model of each kind can be asked, and what a trainer gives the loop (docs/design.md, "Contracts").

B batch, C classes, H W pixels. Semantic maps are integers; images are float32 in [0, 1]; label sets and maps speak a
label space, and each model translates into its own channel order by names.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from zoo.errors import UsageError, few
from zoo.files.tensors import load_strict, save_tensors, stored_state
from zoo.interfaces.capabilities import (
    Codes,
    Conditions,
    EditsParts,
    EncodesStyle,
    Latents,
    Layers,
    PaintsItself,
    Reconstructs,
    SamplesStyle,
    TakesGraphs,
)
from zoo.interfaces.label_sets import draw_label_sets
from zoo.labels import LabelSet, LabelSpace
from zoo.maps import SemanticMap
from zoo.rng import RngLike
from zoo.style import Style

if TYPE_CHECKING:
    from zoo.data import PairData
    from zoo.interfaces.training_options import TrainingOptions


@dataclass(frozen=True)
class Asset:
    """A file `assets/<name>.*` that is computed from data. `kind`: "tensors" (safetensors) or "json".

    fault: what is wrong with such a value for a model, in words, or ""; asked when it is loaded, so that a wrong file is named there and
    not met in the middle of a draw (`shape_fault` helps with tensors). Numbers are finite already.
    stand_in: a drawn value, for an asset without which a model makes nothing: with it a converted model is tried before it has its own.
    photos: it holds photos of the data themselves, which stay under that data's terms; cards say so.
    """

    kind: Literal["tensors", "json"]
    about: str
    required: bool = False
    fault: Callable[[Any, Any], str] | None = None
    stand_in: Callable[[Any], Any] | None = None
    photos: bool = False


def shape_fault(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], *, counts: Sequence[str] = ()
) -> str:
    """For `Asset.fault`: what is wrong with tensors that should be exactly these, with fractions (`counts`: whole numbers), or ""."""
    if tensors.keys() != shapes.keys():
        return f"it has {few(sorted(tensors)) or 'nothing'}, expected {', '.join(shapes)}"
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tuple(tensor.shape) != tuple(shape):
            return f"{name} has the shape {list(tensor.shape)}, expected {list(shape)}"
        if tensor.is_floating_point() == (name in counts) or tensor.dtype == torch.bool:
            return f"{name} has numbers of type {str(tensor.dtype).removeprefix('torch.')}"
        if tensor.dtype == torch.float64 and not bool(torch.isfinite(tensor.float()).all()):
            return f"{name} has numbers that float32 does not hold"
    return ""


class Model(nn.Module, ABC):
    """Base of every published model: a plain network in PyTorch's sense whose state dict is the file's.

    A model keeps no state per call; what is random comes from the `rng` it is given.
    """

    ASSETS: ClassVar[Mapping[str, Asset]] = {}
    OPTIONS: ClassVar[type | None] = None
    """Frozen dataclass of the model's own sampling options (flattening rule, steps, guidance). A model that has one takes
    `options=` (None: the defaults) in `generate` or `synthesize` and, where it edits, in `edit`."""
    REPORTS_STEPS: ClassVar[bool] = False
    """True: one call takes many steps (diffusion), so `generate` or `synthesize` takes `progress=` and calls it as
    `progress(steps done, steps)` at the start and after each; what it raises (`Cancelled`) leaves the call at once."""

    def __init__(self, config: Any, space: LabelSpace) -> None:
        super().__init__()
        self.config = config
        self.label_space = space
        self.assets: dict[str, Any] = {}

    @property
    @abstractmethod
    def channels(self) -> tuple[str, ...]:
        """Class names in the order of the network's channels."""

    @property
    @abstractmethod
    def resolution(self) -> tuple[int, int]:
        """(height, width) at which the model works."""

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return next(self.parameters()).device

    def capabilities(self) -> frozenset[str]:
        """What this model can do beyond what its kind owes: names in `zoo.registry.capabilities`.

        Read off the class (the calls it has, `edits`, `OPTIONS`, `REPORTS_STEPS`) and off what is the instance's own: config
        and assets decide which styles a synthesizer has. Equal to `Architecture.can` or less.
        """
        declared = {"options": self.OPTIONS is not None, "steps": self.REPORTS_STEPS}
        declared |= {"reconstruct": isinstance(self, Reconstructs), "layers": isinstance(self, Layers)}
        declared |= {"graphs": isinstance(self, TakesGraphs), "pictures": isinstance(self, PaintsItself)}
        declared |= {"codes": isinstance(self, Codes)}
        edits = self.edits if isinstance(self, EditsParts) else ()
        return frozenset(name for name, there in declared.items() if there) | {f"edit:{kind}" for kind in edits}

    def load_weights(self, folder: Path) -> None:
        """Load `model.safetensors` strictly. A wrapper of another library's model overrides this.

        Raises WeightsError that names missing, unknown and ill-shaped tensors.
        """
        load_strict(self, folder / "model.safetensors")

    def save_weights(self, folder: Path, dtype: str) -> None:
        """Write what `load_weights` reads. dtype: of stored parameters. A wrapper of another library's model overrides both
        and keeps that library's own layout in the sub-folder `wrapped/` (safetensors and JSON only), which digests cover.

        Raises DataError if a file cannot be written.
        """
        save_tensors(stored_state(self, dtype), folder / "model.safetensors")

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """The asset `name` computed from data with the present weights; None if this model has none of that name to compute.

        The one implementation behind training's end (`Trainer.finish`) and `zoo fit`. data: at the model's resolution, in
        its label space; options: those of the training (whether mirror images count, how many components a prior has).
        Not random; the model is in evaluation mode and is not changed. Raises DataError for data that do not do (no photos
        where photos are needed, too few maps).
        """
        return None

    def optimized(self) -> Self:
        """The inference form (norms folded, tables): a copy in evaluation mode that takes no gradients, equal to this model within
        1e-5; never trained, saved or converted. A plugin overrides `_fold`; one whose model is too large to copy, this."""
        return copy.deepcopy(self).optimized_in_place()

    def optimized_in_place(self) -> Self:
        """This very model as its inference form, for a model that nobody else has (one that was loaded for that form); it cannot be
        had back."""
        self.eval().requires_grad_(False)._fold()
        return self

    def _fold(self) -> None:
        """Make this model, a fresh copy (or fresh from its file) in evaluation mode, cheaper in place; by default nothing. What it must not share
        or hold, it drops here (what must not even be copied has a `__deepcopy__` of its own)."""


class MaskGenerator(Model):
    """Label sets to semantic maps."""

    @abstractmethod
    def sample_latents(self, conditions: Conditions, rng: RngLike | int | None, *, prior: str | None = None) -> Latents:
        """All random inputs of `generate`, one row per condition.

        prior: "fitted" (needs the asset), "normal" (the paper's), or None: fitted if the asset exists.
        """

    @abstractmethod
    def generate(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None
    ) -> SemanticMap:
        """One map [B, H, W] per label set. Without `latents` they are drawn from `rng` (None: a fresh seed)."""

    def sample_label_sets(self, count: int, rng: RngLike | int | None) -> list[LabelSet]:
        """Label sets drawn with the frequencies of the training data (the asset `label_sets`).

        Raises UsageError if the model has no such asset.
        """
        return draw_label_sets(self.assets, self.label_space, count, rng)


class Layout(ABC):
    """All that a synthesizer computes from the map alone; a model's own class adds its tensors.

    notes: what was made up because the map lacks it (instance numbers), in sentences for people."""

    semantic_map: SemanticMap
    notes: tuple[str, ...] = ()


def as_map(value: SemanticMap | Layout) -> SemanticMap:
    """The map that a synthesizer was given where it was no layout of its own. Raises UsageError for another's layout."""
    if isinstance(value, SemanticMap):
        return value
    raise UsageError(f"This layout ({type(value).__name__}) was made by another architecture: give the map itself.")


class ImageSynthesizer(Model):
    """Semantic maps to images. `styles` and `partial_styles` are for `capabilities`, which says what the model can do."""

    styles: frozenset[str] = frozenset()
    """Where a style may come from: a subset of prior, mean (both need `sample_style`) and photo (needs `encode_style`)."""
    partial_styles: bool = False
    """True if a style may lack classes (`Style.present`): those that a map shows are then drawn from the prior, or the model
    without one fills in its own."""
    draws_noise: bool = False
    """True if `synthesize` draws from its `rng` whatever the style is: pictures of one map and one style then differ by sample."""

    def capabilities(self) -> frozenset[str]:
        """As of every model, and `style:prior`, `style:mean`, `style:photo`, `style:partial`; none of them without a style."""
        places = set(self.styles)
        if not isinstance(self, SamplesStyle):
            places -= {"prior", "mean"}
        if not isinstance(self, EncodesStyle):
            places -= {"photo"}
        partial = {"partial"} if places and self.partial_styles else set[str]()
        return super().capabilities() | {f"style:{place}" for place in places | partial}

    @abstractmethod
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> Layout:
        """What depends on the map alone. `reuse`: a layout of another map whose equal parts may be kept; the result
        equals a fresh one. A layout of one map serves any number of styles."""

    @abstractmethod
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]. Without `style` one is drawn from `rng` where the model has any."""

    def resample(
        self,
        style: Style,
        semantic_map: SemanticMap,
        *,
        classes: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        rng: RngLike | int | None = None,
    ) -> Style:
        """The style with a new prior draw for these classes and layers (None: all), one map per sample; the rest stays.

        Raises UsageError for a model without a prior, and for classes or layers that its styles have not.
        """
        if "style:prior" not in self.capabilities():
            raise UsageError(f"{type(self).__name__} has no prior to draw a style from.")
        assert isinstance(self, SamplesStyle)
        drawn = self.sample_style(semantic_map, rng)
        return style.fill(drawn).take(drawn, classes=classes, layers=layers)


class MaskParser(Model):
    """Photos to semantic maps. `judges` is for `capabilities`: True for one that no loss may use, so that it may judge pictures."""

    judges: bool = False

    def capabilities(self) -> frozenset[str]:
        """As of every model, and `judge`."""
        return super().capabilities() | ({"judge"} if self.judges else set())

    @abstractmethod
    def parse(self, images: Tensor) -> SemanticMap:
        """images: float32 [B, 3, H, W] in [0, 1], any size; the maps have the images' size."""

    @abstractmethod
    def features(self, images: Tensor) -> list[Tensor]:
        """Differentiable feature maps, for losses that compare images by what a parser sees in them."""


class ImageGenerator(Model):
    """Conditions straight to images, without a map between."""

    @abstractmethod
    def generate(self, conditions: Conditions, *, rng: RngLike | int | None = None) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]."""

    def sample_label_sets(self, count: int, rng: RngLike | int | None) -> list[LabelSet]:
        """As of a `MaskGenerator`. Raises UsageError if the model has no asset `label_sets`."""
        return draw_label_sets(self.assets, self.label_space, count, rng)
