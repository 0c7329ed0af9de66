"""What a synthesizer or image generator made, before anybody sees or writes it."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import WeightsError
from zoo.interfaces.models import Model


def finished(images: Tensor, model: Model, name: str = "") -> Tensor:
    """The pictures [B, 3, H, W] of a model as float32 on the CPU. name: how the user calls it. Raises WeightsError where they hold
    numbers that are not finite, which would be written as black pixels."""
    images = images.float().cpu()
    if images.numel() and not all(bool(torch.isfinite(limit)) for limit in torch.aminmax(images.detach())):
        raise WeightsError(
            f"{name or type(model).__name__} made a picture that is none: some of its numbers are NaN or infinite. Its weights or the"
            " style do not do (damaged, or a training that ran away): zoo verify looks at the files."
        )
    return images
