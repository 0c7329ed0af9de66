"""Joining a synthesizer of the family with a discriminator that some plugin registers: `zoo train spade/… --set discriminator=oasis`.

A discriminator that can be joined is a class in the table `networks` with

    of(label_input, options)   a classmethod: the network for maps of `label_input.channels` planes, `label_input.classes` of them classes
    judge(images, planes)      its `Opinion` of pictures [B, 3, H, W] in [-1, 1] and their planes [B, planes, H, W]
    objective                  optional: the name in the table `losses` of its own `Objective`; without it: `gan_mode` on its scores,
                               and feature matching on its features if it has any
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from zoo.errors import ConfigError, did_you_mean
from zoo.families.spade.discriminators import Opinion
from zoo.families.spade.objectives import Objective
from zoo.families.spade.options import GanOptions
from zoo.files.names import one_line
from zoo.nn.labels import LabelInput
from zoo.registry import registry


def join(label_input: LabelInput, size: tuple[int, int], options: GanOptions) -> tuple[nn.Module, Objective | None]:
    """(the discriminator that `options` name for these maps and pictures of `size` (height, width), its objective if it has one).

    Raises ConfigError, before a step is made, for a name that nobody registers, for a network that is no discriminator of this kind
    and for one into which the maps or the pictures do not fit (tried with shapes alone).
    """
    name = _registered(options)
    cls: Any = registry().get("networks", name)
    if not (callable(getattr(cls, "of", None)) and callable(getattr(cls, "judge", None))):
        raise ConfigError(
            f"discriminator={name}: that network cannot be joined with a generator (it has no `of` and `judge`): choose another one."
        )
    _try(cls, name, label_input, size, options)
    network = cls.of(label_input, options)
    wanted = getattr(cls, "objective", None)
    objective = None if wanted is None else registry().get("losses", wanted)(network, label_input, options)
    if objective is not None and not isinstance(objective, Objective):
        raise ConfigError(f"discriminator={name}: its objective {wanted!r} is no Objective of zoo.families.spade.")
    return network, objective


def _registered(options: GanOptions) -> str:
    """The name in the table `networks`: in full, or without ".discriminator"."""
    word, known = options.discriminator, registry().names("networks")
    for name in (word, f"{word}.discriminator"):
        registry().refuse_clash("networks", name)
        if name in known:
            return name
    words = (*options.OWN_DISCRIMINATORS, *(n.removesuffix(".discriminator") for n in known))
    raise ConfigError(
        f"discriminator: there is no {one_line(word)!r}{did_you_mean(word, words)} (known: {', '.join(dict.fromkeys(words))})"
        f"{registry().broken_hint()}."
    )


@torch.no_grad()
def _try(cls: Any, name: str, label_input: LabelInput, size: tuple[int, int], options: GanOptions) -> None:
    """One opinion on the meta device, where there are shapes and no numbers."""
    planes = label_input.channels
    try:
        with torch.device("meta"):
            network = cls.of(label_input, options).eval()
            opinion = network.judge(torch.empty(1, 3, *size), torch.empty(1, planes, *size))
        faults = _faults(opinion)
    except (RuntimeError, ValueError, IndexError) as error:
        faults = one_line(str(error), 300)
    if faults:
        raise ConfigError(
            f"discriminator={name} does not fit maps of {planes} planes and pictures of {size[1]} x {size[0]} pixels:"
            f" {faults}. Choose another discriminator, or another resolution."
        )


def _faults(opinion: Any) -> str:
    """What is wrong with an answer of `judge` to one picture, or ""."""
    if not isinstance(opinion, Opinion) or not opinion.scores:
        return f"its `judge` gives {type(opinion).__name__}, expected an Opinion with scores"
    shapes = [tuple(s.shape) for s in opinion.scores]
    bad = [s for s in shapes if len(s) != 4 or s[0] != 1 or 0 in s]
    return f"its scores have the shape {bad[0]}, expected [1, channels, height, width]" if bad else ""
