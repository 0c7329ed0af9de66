"""Model folders in and out: `config.json`, `model.safetensors`, `assets/`, the card, and their digests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn

from zoo import configs
from zoo.cards import README, card_digests, listed_bytes
from zoo.errors import ConfigError, WeightsError
from zoo.files.digests import sha256
from zoo.files.tensors import count_parameters, read_tensors, save_tensors, stored_state
from zoo.files.writing import told, write_text
from zoo.labels import LabelSpace, parse_space
from zoo.registry import Registry, registry
from zoo.store.budget import Budget
from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.interfaces.models import Asset, Model

CONFIG, ASSETS, WRAPPED = "config.json", "assets", "wrapped"
FIELDS = ("architecture", "variant", "config", "label_space", "channels", "resolution", "dtype", "zoo_version")


def model_files(folder: Path) -> list[Path]:
    """The files of a model folder that its card vouches for: config, weights, assets and the files of a wrapped library's
    model (at any depth of `wrapped/`), sorted."""
    inner = (*(folder / ASSETS).glob("*"), *(folder / WRAPPED).rglob("*"))
    files = [p for p in (folder / CONFIG, *folder.glob("*.safetensors"), *inner) if p.is_file()]
    return sorted(p for p in files if p.suffix in (".json", ".safetensors"))


def is_model_file(name: str) -> bool:
    """True for the relative name (with `/`) of a file that a model folder is made of, its card included."""
    top, slash, _ = name.partition("/")
    return top in (ASSETS, WRAPPED) if slash else name in (CONFIG, README) or name.endswith(".safetensors")


def digests(folder: Path) -> dict[str, str]:
    """Relative file name to sha256."""
    return {p.relative_to(folder).as_posix(): sha256(p) for p in model_files(folder)}


def verify_files(folder: Path, expected: Mapping[str, str], repair: str = "get it again") -> None:
    """Compare the files with the digests of the card. Raises WeightsError naming the first file that differs."""
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file():
            raise WeightsError(f"{folder}: the card lists {name}, which is missing: get the whole folder again.")
        actual = sha256(path)
        if actual != digest:
            raise WeightsError(
                f"{path} does not match its card: sha256 {actual}, expected {digest}. The file is damaged or was changed: {repair}."
            )


# --- out ----------------------------------------------------------------------------------------------------------


def model_config(model: Model, architecture: str, variant: str | None, dtype: str) -> dict[str, Any]:
    """The content of `config.json`."""
    space = model.label_space
    known = space.name in registry().label_spaces() and registry().label_space(space.name) == space
    return {
        "architecture": architecture,
        "variant": variant,
        "config": configs.to_dict(model.config),
        "label_space": space.name if known else space.to_json(),
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


def save_assets(model: Model, folder: Path) -> None:
    """Write every asset that the model has and its class declares."""
    unknown = [n for n in model.assets if n not in model.ASSETS]
    if unknown:
        raise WeightsError(
            f"{type(model).__name__} declares no asset {', '.join(unknown)} (declared: {', '.join(model.ASSETS) or 'none'})."
        )
    for name, value in model.assets.items():
        save_asset(name, model.ASSETS[name], value, folder)


def asset_file(name: str, asset: Asset) -> str:
    """Where an asset lies in a model folder."""
    return f"{ASSETS}/{name}.safetensors" if asset.kind == "tensors" else f"{ASSETS}/{name}.json"


def save_asset(name: str, asset: Asset, value: Any, folder: Path) -> Path:
    """Write one asset (atomically) into a model folder; returns its file. Raises DataError if it cannot be written."""
    path = folder / asset_file(name, asset)
    with told(path.parent):
        path.parent.mkdir(exist_ok=True)
    if asset.kind == "tensors":
        save_tensors(value, path)
    else:
        write_text(path, json.dumps(value, sort_keys=True) + "\n")
    return path


# --- in -----------------------------------------------------------------------------------------------------------


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json`, checked for its fields. Raises WeightsError or ConfigError."""
    path = folder / CONFIG
    if not folder.is_dir():
        raise WeightsError(f"There is no model folder {folder}.")
    if not path.is_file():
        names = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
        raise WeightsError(f"{folder} is not a model folder: it has no {CONFIG} (found: {names}).")
    try:
        values = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ConfigError(f"{path} is not readable JSON: {error}.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected an object with {', '.join(FIELDS)}.")
    faults = [f"missing field {f!r}" for f in FIELDS if f not in values] + [
        f"unknown field {f!r}" for f in values if f not in FIELDS
    ]
    kinds = {"architecture": str, "config": dict, "label_space": (str, dict)}
    faults += [
        f"ill-typed field {f!r}: {values[f]!r}"
        for f, kind in kinds.items()
        if f in values and not isinstance(values[f], kind)
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
) -> Model:
    """Rebuild a model from its folder, in evaluation mode, parameters in float32.

    check: compare the files with the card's digests first. pinned: digests that count instead of the card's, because they were
    verified when the folder was pulled (`zoo.hub.pinned`). without: an asset that is neither compared nor read, because it
    is about to be computed (`zoo fit`). Raises WeightsError, ConfigError, UsageError, PluginError.
    """

    def expected(files: Mapping[str, str]) -> dict[str, str]:
        return {n: d for n, d in files.items() if without is None or not n.startswith(f"{ASSETS}/{without}.")}

    if check and pinned:  # before anything of it is read
        verify_files(folder, expected(pinned), "zoo pull gets it again (see: zoo verify)")
    values = read_config(folder)
    reg = registry()
    arch = reg.architecture(values["architecture"])
    if check and not pinned:
        verify_files(folder, expected(card_digests(folder)))
    config = configs.from_dict(reg.load(arch, "config"), values["config"], complete=True, where=str(folder / CONFIG))
    with _budget(folder):
        model: Model = reg.load(arch, "model")(config, folder_space(values, reg, str(folder / CONFIG)))
    if list(model.channels) != values["channels"] or list(model.resolution) != values["resolution"]:
        raise ConfigError(
            f"{folder / CONFIG}: channels or resolution disagree with the config"
            f" (config gives {model.resolution[0]} x {model.resolution[1]} and {len(model.channels)} channels)."
        )
    model.load_weights(folder)
    model.assets = load_assets(model, folder, without=without)
    return model.to(device).eval().requires_grad_(False)


def _budget(folder: Path) -> AbstractContextManager[Any]:
    """What the weights file allows to allocate; nothing where there is none (a wrapped model), or a damaged one (told later)."""
    try:
        return Budget(count_parameters(folder / "model.safetensors"), str(folder / CONFIG))
    except (SafetensorError, OSError):
        return nullcontext()


def load_assets(model: Model, folder: Path, *, without: str | None = None) -> dict[str, Any]:
    """The assets that the model's class declares, as far as the folder has them. Raises WeightsError if a required one is missing."""
    assets: dict[str, Any] = {}
    for name, asset in model.ASSETS.items():
        path = folder / asset_file(name, asset)
        if name == without:
            continue
        if path.is_file():
            assets[name] = read_tensors(path) if asset.kind == "tensors" else _read_json(path)
        elif asset.required:
            raise WeightsError(f"{folder} lacks the required asset {path.relative_to(folder)} ({asset.about}).")
    return assets


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise WeightsError(f"{path} is not readable JSON: {error}.") from error


def vouched(folder: Path) -> dict[str, Any]:
    """The facts `bytes` and `files` (name to sha256) of a model folder."""
    files = digests(folder)
    return {"bytes": listed_bytes(folder, files), "files": files}
