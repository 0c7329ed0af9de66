"""How samples are divided into shards, and how they are written: what a manifest of shards says, read once. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import DataError, UsageError
from zoo.files.pictureformats import QUALITY
from zoo.files.shardfiles import FORMAT, KINDS, SHARES

PER_SHARD = 1000
"""Samples of a shard, about, where nothing is said."""


@dataclass(frozen=True)
class Plan:
    """samples: of the run. per_shard: of a shard, a multiple of the batch size. space: name of the label space of the maps. models: one
    digest for each, by role. The others: as of a run's request."""

    kind: str
    samples: int
    per_shard: int
    seed: int
    space: str
    shares: tuple[float, ...] = SHARES
    map_format: str = "grey"
    image_format: str = "png"
    quality: int = QUALITY
    models: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Plan:
        """The plan of a manifest. Raises DataError for one that is no manifest of shards."""
        try:
            if manifest["format"] != FORMAT or manifest["kind"] not in KINDS:
                raise KeyError("format")
            request = manifest["request"]
            return cls(
                manifest["kind"],
                int(manifest["samples"]),
                int(manifest["per_shard"]),
                int(request["seed"]),
                str(manifest["label_space"]["name"]),
                tuple(float(share) for share in manifest["split"].values()),
                str(manifest["map_format"]),
                str(manifest["image_format"]),
                int(manifest["quality"] or QUALITY),
                tuple(sorted((role, str(model["digest"])) for role, model in manifest["models"].items())),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"This is no manifest of shards of this version ({FORMAT}): {error} is missing or wrong."
            ) from error

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-self.samples // self.per_shard)

    def range(self, number: int) -> range:
        """The samples of a shard."""
        first = number * self.per_shard
        return range(first, min(first + self.per_shard, self.samples))


def shard_size(asked: int | None, batch_size: int) -> int:
    """Samples per shard: as asked, else about `PER_SHARD` in whole batches. Raises UsageError for what is no multiple of the batch size."""
    if asked is None:
        return -(-PER_SHARD // batch_size) * batch_size
    if asked < 1 or asked % batch_size:
        near = max(1, round(asked / batch_size)) * batch_size
        raise UsageError(
            f"A shard holds whole batches, of {batch_size} samples here: <<per_shard={near}>> or another multiple, got {asked}."
        )
    return asked
