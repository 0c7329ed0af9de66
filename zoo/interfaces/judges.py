"""Judges of label maps: trained on real maps, they say how far a map is from these."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from zoo.interfaces.models import Model
from zoo.maps import SemanticMap


class MapJudge(Model):
    """Maps to errors. A judge with the capability `codes` compares maps with one another, too."""

    @abstractmethod
    def errors(self, semantic_map: SemanticMap) -> Tensor:
        """How badly each map fits what was learned of real ones, float64 [B] on the model's device, 0: perfectly; NaN where a map shows
        nothing to judge. Maps of any size in the model's label space. Not random, takes no gradients."""
