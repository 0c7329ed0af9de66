"""SPADE that has grown by a block: twice the side from a published model, whose own networks stay as they are (ours, in no paper)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from zoo.api import load
from zoo.errors import WeightsError
from zoo.files.tensors import load_strict, save_tensors, stored_state
from zoo.plugin import LabelSpace
from zoo.store.vouching import WEIGHTS
from zoo_plugins.spade.config import FinerConfig
from zoo_plugins.spade.model import SPADE
from zoo_plugins.spade.trainer import SpadeTrainer

MARK = "base_sha256"
"""Buffer with the digest of the model that it grew from: another one's tensors would make other pictures."""


def digest(state: Mapping[str, Tensor]) -> Tensor:
    """SHA-256 of tensors by name as float32, uint8 [32]."""
    found = hashlib.sha256()
    for name in sorted(state):
        found.update(name.encode() + b"\0" + state[name].detach().float().cpu().contiguous().numpy().tobytes())
    return torch.tensor(list(found.digest()), dtype=torch.uint8)


class FinerSPADE(SPADE):
    """SPADE with `upsampling=finer`. With `base` its file of weights holds what differs from that published model, and its digest.

    Interface and styles are SPADE's.
    """

    title: ClassVar[str] = "SPADE (finer)"

    def __init__(self, config: FinerConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        if config.base:
            self.register_buffer(MARK, torch.zeros(32, dtype=torch.uint8))

    def load_weights(self, folder: Path) -> None:
        """Raises WeightsError as `Model.load_weights`, and if the base is another model than the one it grew from."""
        if not self.config.base:
            return super().load_weights(folder)
        found = load(self.config.base).state_dict()
        load_strict(self, folder / WEIGHTS, found)
        if not torch.equal(self.get_buffer(MARK), digest(found)):
            raise WeightsError(
                f"{folder} grew from another version of {self.config.base} than the one that is here: take both from one version of the zoo."
            )

    def save_weights(self, folder: Path, dtype: str) -> None:
        if not self.config.base:
            return super().save_weights(folder, dtype)
        found = load(self.config.base).state_dict()
        self.get_buffer(MARK).copy_(digest(found))
        own = {
            name: tensor
            for name, tensor in stored_state(self, dtype).items()
            if name not in found or not torch.equal(tensor.float().cpu(), found[name].float())
        }
        save_tensors(own, folder / WEIGHTS)


class FinerTrainer(SpadeTrainer):
    """`SpadeTrainer`; weights of half the side, from which it starts, lack what `train_only` names, and the digest."""

    @property
    def fresh(self) -> tuple[str, ...]:
        return (*super().fresh, MARK)
