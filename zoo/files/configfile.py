"""`config.json` of a model folder, read before anything else of it. No torch in here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.errors import ConfigError, WeightsError, few
from zoo.files.jsonfiles import read_json
from zoo.files.ordinary import ordinary_file

CONFIG = "config.json"
LARGEST = 4 << 20
"""Bytes of a config: label spaces are the largest part of one."""
_SHOWN = 8


def config_values(folder: Path) -> dict[str, Any]:
    """The object in `config.json`, its fields not yet looked at. Raises WeightsError for what is no model folder, or a file that is none
    of its own; ConfigError for what is no JSON object."""
    if not folder.is_dir():
        raise WeightsError(f"There is no model folder {folder}.")
    path = ordinary_file(folder, CONFIG)
    if path is None:
        try:
            names = sorted(p.name for p in folder.iterdir())
        except OSError as error:
            raise WeightsError(f"Cannot read {folder}: {error.strerror or error}.") from error
        raise WeightsError(
            f"{folder} is not a model folder: it has no {CONFIG} (found: {few(names, _SHOWN) or 'nothing'})."
        )
    return read_json(path, error=ConfigError, what="a model's config", limit=LARGEST)
