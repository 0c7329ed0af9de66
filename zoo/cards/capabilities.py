"""What the model of a card can do, without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import configs
from zoo.files.configfile import config_values
from zoo.registry import Architecture, registry
from zoo.registry.capabilities import narrowed


def capabilities(facts: Mapping[str, Any], folder: Path) -> list[str] | None:
    """Sorted names (`zoo.registry.capabilities`): what the architecture declares, without what the config of the model lacks where
    `config.json` lies in the folder and can be read. None for an architecture that no plugin here registers.

    facts: of the card. What only an asset brings is counted as there.
    """
    arch = registry().architectures.get(str(facts.get("architecture")))
    if arch is None:
        return None
    return sorted(_of_config(arch, folder) if arch.can else ())


def _of_config(arch: Architecture, folder: Path) -> frozenset[str]:
    try:
        values = config_values(folder)["config"]
        return narrowed(arch.can, configs.from_dict(registry().load(arch, "config"), values, network=True))
    except Exception:  # no config here, a damaged one, or a plugin's fault: it is told when the model is loaded
        return frozenset(arch.can)
