"""Model folders in and out: `config.json`, `model.safetensors`, `assets/`, the card, and their digests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from zoo import configs
from zoo.errors import ConfigError, WeightsError, ZooError, shown
from zoo.files.configfile import config_values
from zoo.files.headers import SUFFIX, check_finite, read_header
from zoo.files.ordinary import ordinary_file
from zoo.files.private import public_text, public_value
from zoo.files.tensors import save_tensors, stored_state
from zoo.files.writing import told, write_text
from zoo.labels import LabelSpace, parse_space
from zoo.nn.drawn import undrawn
from zoo.registry import Registry, registry
from zoo.registry.border import plugin_values
from zoo.store.assets import asset_file, load_assets, save_assets
from zoo.store.budget import Budget
from zoo.store.vouching import ASSETS as ASSETS
from zoo.store.vouching import CONFIG as CONFIG
from zoo.store.vouching import WEIGHTS, WRAPPED, card_files, check_listed
from zoo.store.vouching import digests as digests
from zoo.store.vouching import model_files as model_files
from zoo.store.vouching import verify_files as verify_files
from zoo.store.vouching import vouched as vouched
from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.interfaces.models import Model

FIELDS = ("architecture", "variant", "config", "label_space", "channels", "resolution", "dtype", "zoo_version")
_TYPES: dict[str, Callable[[Any], bool]] = {
    "architecture": lambda v: isinstance(v, str) and len(v) <= 200,
    "variant": lambda v: v is None or (isinstance(v, str) and len(v) <= 200),
    "config": lambda v: isinstance(v, dict),
    "label_space": lambda v: isinstance(v, dict) or (isinstance(v, str) and len(v) <= 200),
    "channels": lambda v: isinstance(v, list) and all(isinstance(n, str) for n in v),
    "resolution": lambda v: isinstance(v, list) and len(v) == 2 and all(type(n) is int and n > 0 for n in v),
    "dtype": lambda v: isinstance(v, str),
    "zoo_version": lambda v: isinstance(v, str),
}


# --- out ----------------------------------------------------------------------------------------------------------


def model_config(model: Model, architecture: str, variant: str | None, dtype: str) -> dict[str, Any]:
    """The content of `config.json`; it travels, so that places of this machine are shortened (not in names of classes)."""
    space = model.label_space
    known = space.name in registry().label_spaces() and registry().label_space(space.name) == space
    return {
        "architecture": architecture,
        "variant": variant,
        "config": public_value(configs.to_dict(model.config)),
        "label_space": space.name if known else {**space.to_json(), "name": public_text(space.name)},
        "channels": list(model.channels),
        "resolution": list(model.resolution),
        "dtype": dtype,
        "zoo_version": __version__,
    }


def save_model(
    model: Model,
    folder: Path,
    *,
    architecture: str,
    variant: str | None = None,
    dtype: str = "float32",
    networks: Mapping[str, nn.Module] | None = None,
) -> None:
    """Write a model folder (without card). `networks`: further ones by file name, e.g. {"discriminator": …}.

    Raises WeightsError if a required asset is missing, DataError if the folder cannot be written.
    """
    missing = [n for n, a in model.ASSETS.items() if a.required and n not in model.assets]
    if missing:
        raise WeightsError(f"The model lacks the required asset {', '.join(missing)}: compute it first.")
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(folder, dtype)
    for name, network in (networks or {}).items():
        save_tensors(stored_state(network, dtype), folder / f"{name}.safetensors")
    save_assets(model, folder)
    write_text(folder / CONFIG, json.dumps(model_config(model, architecture, variant, dtype), indent=2) + "\n")


# --- in -----------------------------------------------------------------------------------------------------------


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json`, checked for its fields and their types. Raises WeightsError or ConfigError."""
    path = folder / CONFIG
    values = config_values(folder)
    odd = [f for f in values if f not in FIELDS]
    faults = [f"missing field {f!r}" for f in FIELDS if f not in values] + [
        f"unknown field {shown(repr(f))}" for f in odd[:10]
    ]
    faults += [
        f"ill-typed field {f!r}: {shown(repr(values[f]))}"
        for f, fits in _TYPES.items()
        if f in values and not fits(values[f])
    ]
    if faults:
        raise ConfigError(f"{path}: {'; '.join(faults)}.")
    return values


def folder_space(values: Mapping[str, Any], reg: Registry, where: str) -> LabelSpace:
    """The label space named or spelled out in a `config.json`."""
    space = values["label_space"]
    return reg.label_space(space) if isinstance(space, str) else parse_space(space, where)


def load_model(
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    check: bool = True,
    without: str | None = None,
    pinned: Mapping[str, str] | None = None,
    architecture: str | None = None,
) -> Model:
    """Rebuild a model from its folder, in evaluation mode, parameters in float32.

    check: compare the files with the card's digests first; each file that is loaded must be listed there. A folder without a card (what
    `zoo.save` writes) is loaded as it is. pinned: digests that count instead of the card's, because they were verified when the folder
    was pulled (`zoo.hub.pinned`). without: an asset that is neither compared nor read, because it is about to be computed (`zoo fit`).
    architecture: None, or one with the same config and weights (`Architecture.also`).

    Whoever made the folder: nothing outside it is opened, but for a published model that an architecture of ours names as its base
    (`spade-finer`); nothing is built that its weights do not fill, and weights and assets hold finite numbers. Raises WeightsError,
    ConfigError, UsageError, PluginError.
    """
    left_out = f"{ASSETS}/{without}."

    def expected(files: Mapping[str, str]) -> dict[str, str]:
        return {n: d for n, d in files.items() if without is None or not n.startswith(left_out)}

    if check and pinned:  # before anything of it is read
        verify_files(folder, expected(pinned), "zoo pull gets it again (see: zoo verify)")
    values = read_config(folder)
    reg = registry()
    arch = reg.architecture(architecture or values["architecture"])
    listed = dict(pinned or {}) if pinned or not check else card_files(folder)
    if check and not pinned:
        verify_files(folder, expected(listed))
    files = [p for p in model_files(folder) if without is None or not _name(p, folder).startswith(left_out)]
    config = configs.from_dict(
        reg.load(arch, "config"), values["config"], complete=True, network=True, where=str(folder / CONFIG)
    )
    kind: type[Model] = reg.load(arch, "model")
    weights = _weights(kind, folder, files)
    if check:
        assets = {asset_file(n, a) for n, a in kind.ASSETS.items()}
        loaded = {_name(p, folder) for p in (folder / CONFIG, *weights)} | {
            n for p in files if (n := _name(p, folder)) in assets or n.startswith(f"{WRAPPED}/")
        }
        check_listed(folder, sorted(loaded), listed)
    with plugin_values(reg.owner(values["architecture"]), f"a model of it cannot be loaded from {folder}"):
        model = _build(kind, config, folder_space(values, reg, str(folder / CONFIG)), weights, folder)
        if list(model.channels) != values["channels"] or list(model.resolution) != values["resolution"]:
            raise ConfigError(
                f"{folder / CONFIG}: channels or resolution disagree with the config"
                f" (config gives {model.resolution[0]} x {model.resolution[1]} and {len(model.channels)} channels)."
            )
        _load_weights(model, folder, weights)
        model.assets = load_assets(model, folder, without=without)
        return model.to(device).eval().requires_grad_(False)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _weights(kind: type[Model], folder: Path, files: Sequence[Path]) -> list[Path]:
    """The files from which a model of this class is loaded: its own one, or, where it wraps another library's, all there are."""
    if _has_own_file(kind):
        path = ordinary_file(folder, WEIGHTS)
        if path is None:
            raise WeightsError(f"There is no weights file {folder / WEIGHTS}.")
        return [path]
    return [p for p in files if p.suffix == SUFFIX and not _name(p, folder).startswith(f"{ASSETS}/")]


def _has_own_file(kind: type[Model]) -> bool:
    from zoo.interfaces.models import Model

    return kind.load_weights is Model.load_weights


def _build(kind: type[Model], config: Any, space: LabelSpace, weights: Sequence[Path], folder: Path) -> Model:
    """The network of a config, within the budget that its weights give. Raises ConfigError, WeightsError, LabelError."""
    # all of it comes from the file, unless the class loads by itself
    with undrawn() if _has_own_file(kind) else nullcontext(), Budget(weights, str(folder / CONFIG)):
        try:
            model = kind(config, space)
            sides = model.resolution
        except ZooError:
            raise
        except Exception as error:  # sizes that go together in no network fail in many ways
            raise ConfigError(
                f"{folder / CONFIG}: no {kind.__name__} can be built from it ({type(error).__name__}: {shown(str(error), 200)})."
            ) from error
    if not all(1 <= n <= configs.SIDE for n in sides):
        raise ConfigError(
            f"{folder / CONFIG} describes pictures of {shown(sides)} pixels; a side has at most {configs.SIDE}."
        )
    return model


def _load_weights(model: Model, folder: Path, weights: Sequence[Path]) -> None:
    """Raises WeightsError, whatever a wrapper's own loader raises."""
    if not _has_own_file(type(model)):
        for path in weights:
            check_finite(path, read_header(path))
    try:
        model.load_weights(folder)
    except (ZooError, ImportError):
        raise
    except Exception as error:
        raise WeightsError(
            f"{folder}: its weights cannot be loaded ({type(error).__name__}: {shown(str(error), 200)})."
        ) from error
