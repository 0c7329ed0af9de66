"""Assets of a model folder in and out: what a model computed from data, held against what its class expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import WeightsError
from zoo.files.jsonfiles import read_json
from zoo.files.ordinary import ordinary_file
from zoo.files.tensors import read_tensors, save_tensors
from zoo.files.writing import told, write_text
from zoo.interfaces.label_sets import LABEL_SETS, label_sets_fault
from zoo.store.vouching import ASSETS

if TYPE_CHECKING:
    from zoo.interfaces.models import Asset, Model


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


def load_assets(model: Model, folder: Path, *, without: str | None = None) -> dict[str, Any]:
    """The assets that the model's class declares, as far as the folder has them. Raises WeightsError if a required one is missing, and
    for one that is not what the class expects (`Asset.fault`)."""
    assets: dict[str, Any] = {}
    for name, asset in model.ASSETS.items():
        if name == without:
            continue
        path = ordinary_file(folder, asset_file(name, asset))
        if path is not None:
            assets[name] = _read(path, name, asset, model)
        elif asset.required:
            raise WeightsError(f"{folder} lacks the required asset {asset_file(name, asset)} ({asset.about}).")
    return assets


def _read(path: Path, name: str, asset: Asset, model: Model) -> Any:
    if asset.kind == "tensors":
        value = read_tensors(path)
    else:
        value = read_json(path, object, error=WeightsError, what="an asset")
    try:
        if asset.fault is not None:
            fault = asset.fault(model, value)
        else:
            fault = label_sets_fault(model.label_space, value) if name == LABEL_SETS else ""
    except Exception as error:  # a plugin's check met what it did not think of
        fault = f"{type(error).__name__}: {error}"
    if fault:
        raise WeightsError(
            f"{path} is not the asset {name} of this {type(model).__name__} ({asset.about}): {fault.rstrip('.')}. Get it again, or compute"
            " it anew (zoo fit)."
        )
    return value
