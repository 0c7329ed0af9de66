"""A small untrained SegVAE and drawn faces, for its tests."""

from __future__ import annotations

import torch

from zoo.configs import override
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo_plugins.segvae.config import SegVAEConfig
from zoo_plugins.segvae.model import SegVAE

SPACE = label_space("celebamask-hq")
SMALL = {"size": 16, "ngf": 4, "shape_dim": 12, "hidden_dim": 8, "z_dim": 6}
FACE = ("skin", "hair", "nose", "l_eye", "r_eye", "u_lip", "neck")


def small(space: LabelSpace = SPACE, config: SegVAEConfig | None = None, **changes: object) -> SegVAE:
    """An untrained model whose weights are large enough that shapes differ from class to class and from code to code."""
    torch.manual_seed(0)
    model = SegVAE(override(config or SegVAEConfig(), {**SMALL, **changes}), space)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=1.5 / parameter[0].numel() ** 0.5)
            elif "norm" not in name:
                parameter.normal_(std=0.2)
        for net in (model.prior, model.posterior):
            if net is not None:
                net.heads.log_var.bias.fill_(2.0)  # codes that spread, so that a redraw changes the shape
    return model.eval()


def face(size: int = 16, count: int = 2) -> SemanticMap:
    """Boxes of hair, skin, eyes, nose and neck; glasses in the first map only."""
    labels = torch.zeros(count, 16, 16, dtype=torch.long)
    boxes = {"hair": (1, 2, 12, 14), "neck": (12, 6, 16, 10), "skin": (3, 4, 13, 12), "nose": (7, 7, 10, 9)}
    boxes |= {"l_eye": (5, 5, 6, 7), "r_eye": (5, 9, 6, 11)}
    for name, (top, left, bottom, right) in boxes.items():
        labels[:, top:bottom, left:right] = SPACE.index(name)
    labels[0, 4:6, 5:11] = SPACE.index("eye_g")
    return SemanticMap(labels, SPACE).resize((size, size))


def value(name: str) -> int:
    return SPACE.index(name)
