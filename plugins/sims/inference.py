"""The inference form of SIMS: kernels laid out for the CPU once; what only training looks at is not computed in either form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from zoo.families.crn.generator import RefineConv
from zoo.families.crn.inference import PackedRefine
from zoo.inference.packed import pack

if TYPE_CHECKING:
    from zoo_plugins.sims.model import SIMS


def fold(model: SIMS) -> None:
    """Pack every convolution of the three networks, in place."""
    for network in (model.transform, model.order, model.synthesis):
        _fold(network)


def _fold(parent: nn.Module) -> None:
    for name, child in list(parent.named_children()):
        if isinstance(child, RefineConv):
            setattr(parent, name, PackedRefine(child))
        elif isinstance(child, nn.Conv2d):
            setattr(parent, name, pack(child))
        else:
            _fold(child)
