"""The functions of the public API; `zoo/__init__.py` brings them in lazily."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zoo import cards, configs
from zoo.errors import UsageError
from zoo.hub import model_folder, pinned, resolve
from zoo.labels import LabelSpace
from zoo.registry import registry
from zoo.store.models import load_model, save_model
from zoo.store.transformers import is_transformers, load_transformers

if TYPE_CHECKING:
    from zoo.interfaces.models import Model


def list_models(pattern: str = "*", *, kind: str | None = None) -> list[str]:
    """Model ids whose id or architecture matches a glob; `kind` as in `Architecture.kind`."""
    return [c.model_id for c in cards.search(pattern, kind=kind)]


def load(model: str | Path, *, device: torch.device | str = "cpu") -> Model:
    """A model by id, architecture name (its default model) or folder (a training run's, too), in evaluation mode, without gradients.

    A folder of transformers with a segmentation model is a parser. The card's digests are checked first. Raises UsageError, WeightsError, ConfigError, PluginError.
    """
    resolved = model_folder(str(model)) if isinstance(model, Path) else resolve(model)
    if is_transformers(resolved.folder):
        return load_transformers(resolved.folder).to(pick_device(device))
    return load_model(resolved.folder, device=pick_device(device), pinned=pinned(resolved.folder))


def load_as(folder: Path, architecture: str, *, device: torch.device | str = "cpu") -> Model:
    """A model of a folder as one of another architecture with the same config and weights (`Architecture.also`). Raises as `load`."""
    return load_model(folder, device=pick_device(device), pinned=pinned(folder), architecture=architecture)


def save(model: Model, folder: Path | str, *, dtype: str = "float32") -> Path:
    """Write a model folder (config, weights, assets); returns it. `dtype`: float32 or float16 (buffers stay float32).

    Raises UsageError for a folder that has a card: it describes other weights.
    """
    if (Path(folder) / cards.README).is_file():
        raise UsageError(
            f"{folder} holds a model with a card, which would then describe other weights: choose another folder."
        )
    name = architecture_of(model)
    save_model(model, Path(folder), architecture=name, variant=None, dtype=dtype)
    return Path(folder)


def architecture_of(model: Model) -> str:
    """The registered name of a model's architecture. Raises UsageError for a class that no plugin registers."""
    path = f"{type(model).__module__}:{type(model).__name__}"
    for name, arch in registry().architectures.items():
        if arch.model == path or (
            arch.model.endswith(f":{type(model).__name__}") and registry().load(arch, "model") is type(model)
        ):
            return name
    raise UsageError(f"No plugin registers the class {type(model).__name__}.")


def create(name: str, *, space: LabelSpace | None = None, **fields: Any) -> Model:
    """An untrained model: a variant (`scgan/celeba`) with config fields overridden. Raises UsageError, ConfigError."""
    reg = registry()
    arch_name, _, variant = reg.variant(name)
    config = configs.override(variant.config, fields, network=True, where=name) if fields else variant.config
    return reg.load(reg.architecture(arch_name), "model")(config, space or reg.label_space(config.label_space))


def pick_device(device: torch.device | str) -> torch.device:
    """`auto` is cuda, then mps, then cpu. Raises UsageError for a device that is not there."""
    name = str(device)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        picked = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"No device {name!r}: expected auto, cpu, cuda or mps.") from error
    if (picked.type == "cuda" and not torch.cuda.is_available()) or (
        picked.type == "mps" and not torch.backends.mps.is_available()
    ):
        raise UsageError(f'The device {name!r} is not available here: use <<device="cpu">>.')
    return picked
