"""Widths and groups of the three generators, coarse to fine (docs/papers/groupdnet.md, "Generators")."""

from __future__ import annotations

from typing import NamedTuple

from zoo.families.spade.generator import spade_channels
from zoo.families.spade.sizes import widths
from zoo.plugin import ConfigError
from zoo_plugins.groupdnet.config import GroupDNetConfig


class Schedule(NamedTuple):
    """channels: of the first features and of the seven blocks' outputs. first: groups of the first convolution. groups: of the blocks.
    unused: (c_in, c_out) of one more block that only the checkpoints have, or None."""

    channels: list[int]
    first: int
    groups: list[int]
    unused: tuple[int, int] | None = None


class NormGroups(NamedTuple):
    """Of a norm's two layers: planes that the first one reads, its groups, hidden channels, groups of scale and shift."""

    planes: int
    shared: int
    hidden: int
    affine: int


def schedule(config: GroupDNetConfig, classes: int) -> Schedule:
    """The generator's. Raises ConfigError where widths and groups do not fit the number of classes."""
    c, n = classes, config.ngf
    if config.network == "ade20k":
        channels = [16 * c, 16 * c, 32 * n, 16 * n, 16 * n, 8 * n, 4 * n, 2 * n]
        made = Schedule(channels, c, [c, 16, 16, 8, 4, 2, 1], (2 * n, n))
    elif config.network == "cityscapes":
        made = Schedule(spade_channels(widths(n)), c, [c, c, 20, 14, 10, 4, 1])
    else:
        made = Schedule(spade_channels(widths(n)), 8, [c, c, c // 2, c // 2, c // 4, c // 4, c // 8])
    _check(config, classes, made)
    return made


def norm_groups(config: GroupDNetConfig, classes: int, groups: int) -> NormGroups:
    """Of the norms of a block of so many groups (0: one for every class)."""
    groups = groups or classes
    if config.network == "cityscapes":
        return NormGroups(2 * classes, classes, classes * groups, classes)
    if config.network == "ade20k":
        hidden = 2 * classes if classes % groups == 0 else classes * groups
        return NormGroups(classes, classes, hidden, groups)
    return NormGroups(classes, groups, config.hidden, groups)


def _check(config: GroupDNetConfig, classes: int, made: Schedule) -> None:
    """Every convolution's channels have to be multiples of its groups."""
    faults = []
    if config.encoder_width % classes:
        faults.append(f"encoder_width={config.encoder_width} is no multiple of {classes} classes")
    if (classes * config.code_width) % made.first or made.channels[0] % made.first:
        faults.append(f"the first convolution has {made.first} groups")
    for index, groups in enumerate(made.groups):
        if groups < 1:
            faults.append(f"block {index + 1} has no groups")
            continue
        seen, affine = made.channels[index : index + 2], norm_groups(config, classes, groups)
        if any(n % groups or n % affine.affine for n in seen):
            faults.append(f"block {index + 1} has {seen[0]} -> {seen[1]} channels in {groups} groups")
        if any(
            n % g
            for n, g in ((affine.planes, affine.shared), (affine.hidden, affine.shared), (affine.hidden, affine.affine))
        ):
            faults.append(f"norms of block {index + 1} have {affine.hidden} hidden channels in {groups} groups")
    if faults:
        raise ConfigError(
            f"GroupDNet's network={config.network} with ngf={config.ngf} does not fit {classes} classes: {'; '.join(faults[:3])}."
            " network=ade20k fits any number of classes if encoder_width is a multiple of it."
        )
