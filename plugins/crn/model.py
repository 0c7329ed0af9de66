"""CRN behind the zoo's interface: semantic maps to photos, several at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn

from zoo.families.crn.generator import CascadedGenerator
from zoo.families.crn.inference import FoldedCascade
from zoo.families.crn.synthesizer import CascadeSynthesizer, clipped
from zoo.families.spade.layouts import PlanLayout
from zoo.interfaces.models import as_map
from zoo.plugin import LabelSpace, Layout, RngLike, SemanticMap, Style, UsageError, as_rng
from zoo_plugins.crn.config import CRNConfig


class CRNPlan(NamedTuple):
    """features: the last module's output [B, widths[-1], H, W], of which every picture is a 1x1 convolution."""

    features: Tensor


@dataclass(eq=False)
class CRNLayout(PlanLayout):
    """The map (at the model's resolution) and the cascade's features of it: all but the last convolution."""

    plan: CRNPlan


class CRN(CascadeSynthesizer):
    """CRN (ICCV 2017). One pass makes `outputs` pictures of a map (`pictures` gives all of them); nothing else is random.

    Where there are several, the style says which: a tensor `mixture` [samples, outputs], 1 for one picture and 0 for the others ("prior":
    all are equally likely), or a share for each ("mean": equal ones); shares between two pictures give their mixture.
    """

    title: ClassVar[str] = "CRN"
    layout_type: ClassVar[type[PlanLayout]] = CRNLayout
    config: CRNConfig
    generator: CascadedGenerator

    def __init__(self, config: CRNConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        self.generator = CascadedGenerator(
            self.label_input.channels, config.widths, config.size[0], outputs=config.outputs
        )
        if config.outputs > 1:
            self.styles = frozenset({"prior", "mean"})

    def _plan(self, small: SemanticMap) -> CRNPlan:
        generator = cast(nn.Module, self.generator)
        if isinstance(generator, FoldedCascade):
            labels = generator.labels(self.label_input.values(small), self.label_input.content)
            return CRNPlan(generator.features(labels))
        return CRNPlan(self.generator.features(self.label_input(small)))

    @torch.no_grad()
    def pictures(self, semantic_map: SemanticMap | Layout) -> Tensor:
        """All pictures of each map: float32 [B, outputs, 3, H, W] in [0, 1]."""
        layout = semantic_map if isinstance(semantic_map, CRNLayout) else self.layout(as_map(semantic_map))
        return clipped(self.generator.pictures(layout.plan.features))

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style` one of the pictures is drawn per map from `rng` (None: a fresh seed). Raises UsageError where counts or tensors
        do not fit, and for a style given to a model that makes one picture.
        """
        layout = semantic_map if isinstance(semantic_map, CRNLayout) else self.layout(as_map(semantic_map))
        if self.config.outputs == 1:
            if style is not None:
                self._require_style()
            return clipped(self.generator.pictures(layout.plan.features)[:, 0])
        if style is None:
            style = self.sample_style(layout.semantic_map, rng)
        shares = self.mixture(style if len(layout) == 1 else style.expand(len(layout)))
        return clipped(self._mixed(layout.plan.features, shares))

    def _mixed(self, features: Tensor, shares: Tensor) -> Tensor:
        """Mixtures of the pictures [S, 3, H, W], by mixing the last kernels: features [S or 1, C, H, W], shares [S, outputs]."""
        last = self.generator.last
        assert last.bias is not None
        kernels = last.weight.view(3, self.config.outputs, -1)
        weight = torch.einsum("sk,pkc->spc", shares.to(kernels), kernels)
        bias = shares.to(last.bias) @ last.bias.view(3, -1).T
        flat = features.flatten(2).expand(len(shares), -1, -1)
        return (weight @ flat + bias[:, :, None]).view(len(shares), 3, *features.shape[2:])

    # --- styles ---------------------------------------------------------------------------------------------------

    def mixture(self, style: Style) -> Tensor:
        """A style's shares [samples, outputs] on the model's device. Raises UsageError for the style of another model."""
        shares = style.tensors.get("mixture")
        if shares is None or tuple(shares.shape[1:]) != (self.config.outputs,):
            got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
            raise UsageError(f"A style of this CRN holds a tensor mixture [samples, {self.config.outputs}], got {got}.")
        return shares.to(self.device)

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """One picture per map (prior None), or equal shares of all ("mean", nothing random).

        Random: `rng.uniform("picture")`. Raises UsageError for another prior, and for a model that makes one picture.
        """
        self._require_style()
        count, outputs = len(semantic_map), self.config.outputs
        if prior == "mean":
            return self.style(torch.full((count, outputs), 1 / outputs))
        if prior is not None:
            raise UsageError(f"CRN has no prior {prior!r}: its pictures are equally likely (none), or mixed (mean).")
        drawn = (as_rng(rng, count).uniform("picture", shape=(1,))[:, 0] * outputs).long().clamp_max(outputs - 1)
        return self.style(torch.nn.functional.one_hot(drawn, outputs).float())

    def style(self, mixture: Tensor) -> Style:
        """A Style from shares [samples, outputs]."""
        return Style({"mixture": mixture}, {"mixture": ("sample", "channel")})

    def _require_style(self) -> None:
        if self.config.outputs == 1:
            raise UsageError("This CRN has no style: it makes one picture of a map.")

    def _fold(self) -> None:
        """The map's part of each first convolution as gathered columns, or over the values that occur; kernels packed."""
        self.generator = FoldedCascade(self.generator)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
