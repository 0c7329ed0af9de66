"""A tiny model and its folder, to be saved, loaded and damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import zoo
from zoo.cards import write_card
from zoo.cards.writing import front_matter
from zoo.interfaces.models import Model
from zoo.store.models import digests, vouched

TINY = {"side": 32, "feature_scale": 32}


def tiny(name: str = "face-parser", **fields: Any) -> Model:
    """A model with weights and buffers that no initialisation gives."""
    model = zoo.create(name, **(TINY | fields))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            else:
                tensor.fill_(7)
    return model.eval()


def tiny_folder(folder: Path) -> Path:
    """The tiny model saved with a card that vouches for its files."""
    zoo.save(tiny(), folder)
    write_card(folder, {"zoo": {"architecture": "face-parser", "files": digests(folder)}}, "# A tiny model")
    return folder


def complete_folder(folder: Path, model: Model | None = None, **facts: Any) -> Path:
    """The tiny model (or another) with a card that says everything, as `zoo push` wants it; `facts` change the card's."""
    model = model or tiny()
    zoo.save(model, folder)
    stated = {
        "architecture": "face-parser", "variant": None, "kind": "mask-parser", "label_space": "celebamask-hq",
        "resolution": [32, 32], "parameters": sum(p.numel() for p in model.parameters()), "data": "toy-faces",
        "data_license": "Apache-2.0", "code_license": "Apache-2.0", "weights_license": "Apache-2.0", "paper": "none",
        "recipe": "drawn by lot", "limits": ["It was never trained."], **vouched(folder),
    }  # fmt: skip
    write_card(
        folder,
        front_matter({**stated, **facts}, name=folder.name),
        "# A tiny model\n\n## Limits\n\n- It was never trained.",
    )
    return folder
