"""Starting from a finished model of another shape: that of a smaller picture for a larger one (`load_pretrain`)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from zoo.errors import UsageError, few


def fitting(own: Mapping[str, Tensor], pretrained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The pretrained tensors whose name and shape the network has too; nothing is renamed."""
    return {k: v for k, v in pretrained.items() if k in own and own[k].shape == v.shape}


@torch.no_grad()
def take_over(network: nn.Module, pretrained: nn.Module, where: str) -> list[str]:
    """Copy what fits into `network`; the names that keep their start. Raises UsageError if nothing fits."""
    own = network.state_dict()
    taken = fitting(own, pretrained.state_dict())
    if not taken:
        raise UsageError(
            f'<<changes={{"load_pretrain": "{where}"}}>>: no tensor of it fits this network (it has {few(sorted(own))}).'
        )
    network.load_state_dict({**own, **{k: v.to(own[k]) for k, v in taken.items()}})
    return [k for k in own if k not in taken]
