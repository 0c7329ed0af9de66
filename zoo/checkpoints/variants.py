"""Named variants near a config that was read off a checkpoint, and the fields that no shape tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo import configs
from zoo.errors import UsageError, ZooError
from zoo.registry import Match, Variant, registry

DISCRIMINATOR = "discriminator"


def is_discriminator(role: str) -> bool:
    """Whether a role is a discriminator's: that word, or one that ends in it where a system has several (`object-discriminator`)."""
    return _last_word(role) == DISCRIMINATOR


def is_training(role: str) -> bool:
    """Whether a role is of a network that no model has: it is needed in training alone."""
    return role == "blender" or is_discriminator(role)


def is_partial(role: str) -> bool:
    """Whether a role tells a part of the config: what it does not mention is open, not the default."""
    return _last_word(role) == "encoder" or is_training(role)


def _last_word(role: str) -> str:
    return re.split("[-_]", role)[-1]


DATA_FIELDS = ("label_space", "channels")


@dataclass(frozen=True)
class Nearest:
    """A named variant and the fields that shapes tell otherwise: {field: (the variant's, the file's)}; empty: it fits."""

    name: str
    differs: Mapping[str, tuple[Any, Any]]

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"name": self.name, "differs": {k: {"variant": a, "file": b} for k, (a, b) in self.differs.items()}}


def variants_of(architecture: str) -> dict[str, Variant]:
    """The named variants of an architecture."""
    reg = registry()
    return reg.load(reg.architecture(architecture), "variants")


def config_of(architecture: str, match: Match) -> Any | None:
    """The config that a network tells, other fields at their defaults; None where it is no valid config yet."""
    reg = registry()
    cls = reg.load(reg.architecture(architecture), "config")
    try:
        return configs.from_dict(cls, match.config, network=True)
    except ZooError:
        return None


def differing_fields(architecture: str, match: Match, config: Any) -> dict[str, tuple[Any, Any]]:
    """Fields in which `config` is not what the network's shapes tell, as (config's, the file's)."""
    read = config_of(architecture, match)
    theirs = configs.to_dict(config)
    ours = configs.to_dict(read) if read is not None else {k: _listed(v) for k, v in match.config.items()}
    told = [f for f in ours if f not in match.ambiguous and (not is_partial(match.role) or f in match.config)]
    return {f: (theirs.get(f), ours[f]) for f in told if theirs.get(f) != ours[f]}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def nearest_variants(architecture: str, match: Match) -> tuple[Nearest, ...]:
    """All variants that fit, else the two nearest of the label space that was read (or of any)."""
    if is_training(match.role):
        return ()
    ranked = _ranked(architecture, match, variants_of(architecture))
    fitting = [n for n in ranked if not n.differs]
    return tuple(fitting or ranked[:2])


def _ranked(architecture: str, match: Match, variants: Mapping[str, Variant]) -> list[Nearest]:
    space = match.config.get("label_space")
    if space is None and not is_partial(match.role):
        read = config_of(architecture, match)
        space = getattr(read, "label_space", None)
    nearest = [Nearest(n, differing_fields(architecture, match, v.config)) for n, v in variants.items()]
    return sorted(
        nearest, key=lambda n: (len(n.differs), space is not None and variants[n.name].config.label_space != space)
    )


def of_data_set(architecture: str, dataset: str) -> dict[str, Variant]:
    """The variants of an architecture for a data set: `celeba`, or the name of the data set or label space (`celebamask-hq`).

    Raises UsageError that lists what there is.
    """
    variants = variants_of(architecture)
    fitting = {
        name: v
        for name, v in variants.items()
        if name == dataset or name.startswith(f"{dataset}-") or getattr(v.config, "label_space", None) == dataset
    }
    if not fitting:
        names = sorted({n.split("-")[0] for n in variants} | {v.config.label_space for v in variants.values()})
        raise UsageError(
            f'<<dataset="{dataset}">>: {architecture} has no variant for it (known: {", ".join(names)}); state the classes with'
            ' <<space="SPACE">> or <<config={"label_space": "SPACE"}>>, and <<config={"channels": "NAME,NAME,…"}>> where the order'
            " differs."
        )
    return fitting


def as_variant(architecture: str, variant: str) -> str:
    """The statement of an architecture with its variant, for an error."""
    return f'<<architecture="{architecture}", variant="{variant}">>'


def open_fields(architecture: str, match: Match, variants: Mapping[str, Variant]) -> tuple[str, dict[str, Any]]:
    """What the nearest of these variants says of the fields that no shape tells: (its name, {field: value}).

    Raises UsageError where equally near ones disagree: then there is no safe choice.
    """
    ranked = _ranked(architecture, match, variants)
    nearest = [n for n in ranked if len(n.differs) == len(ranked[0].differs)]
    fields = [f for f in match.ambiguous if hasattr(variants[nearest[0].name].config, f)]
    values = [{f: getattr(variants[n.name].config, f) for f in fields} for n in nearest]
    spaces = {n.name: variants[n.name].config.label_space for n in nearest}
    if len(set(spaces.values())) > 1:
        raise UsageError(
            "No shape tells which data set these weights are of: state it with "
            + " or ".join(as_variant(architecture, n) for n in spaces)
            + " (or <<dataset>>)."
        )
    return nearest[0].name, values[0]
