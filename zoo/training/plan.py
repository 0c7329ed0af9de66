"""What `zoo train` was asked for, resolved before torch is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo import configs
from zoo.errors import UsageError, did_you_mean
from zoo.registry import Variant, registry
from zoo.training.options import TrainingOptions


@dataclass(frozen=True)
class Plan:
    """A run as resolved: architecture, variant, network config, training options, data, starting weights."""

    architecture: str
    variant: str | None
    config: Any
    training: TrainingOptions
    data: str
    space: str | None = None
    init: str | None = None
    command: str = ""

    def to_json(self) -> dict[str, Any]:
        """The form of `options.json`."""
        return {
            "architecture": self.architecture,
            "variant": self.variant,
            "config": configs.to_dict(self.config),
            "training": configs.to_dict(self.training),
            "data": self.data,
            "space": self.space,
            "init": self.init,
            "command": self.command,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any], where: str) -> Plan:
        """From `options.json`. Raises UsageError, ConfigError."""
        name, variant = values["architecture"], values["variant"]
        arch = registry().architecture(name)
        config = configs.from_dict(registry().load(arch, "config"), values["config"], where=where)
        training = configs.from_dict(training_class(name), values["training"], where=where)
        return cls(name, variant, config, training, values["data"], values["space"], values["init"], values["command"])

    def with_changes(self, changes: dict[str, Any]) -> Plan:
        """Fields of the network or the training overridden. Raises UsageError, ConfigError."""
        network, training = split_changes(self.config, self.training, changes)
        return dataclasses.replace(
            self,
            config=configs.override(self.config, network, where=self.architecture) if network else self.config,
            training=configs.override(self.training, training, where="training options") if training else self.training,
        )


def training_class(architecture: str) -> type:
    """The training-options class of an architecture: that of its variants."""
    arch = registry().architecture(architecture)
    variants: dict[str, Variant] = registry().load(arch, "variants")
    found = next((type(v.training) for v in variants.values() if v.training is not None), None)
    if arch.trainer is None or found is None:
        raise UsageError(f"{architecture!r} cannot be trained: its plugin brings no trainer.")
    return found


def make_plan(name: str, data: str, changes: dict[str, Any], *, space: str | None = None, init: str | None = None, command: str = "") -> Plan:
    """`ARCH[/VARIANT]` with changes. Raises UsageError with near misses, ConfigError listing all faults."""
    arch_name, _, variant_name = name.partition("/")
    reg = registry()
    arch = reg.architecture(arch_name)
    variants: dict[str, Variant] = reg.load(arch, "variants")
    kind = training_class(arch_name)
    if variant_name and variant_name not in variants:
        raise UsageError(f"{arch_name!r} has no variant {variant_name!r}{did_you_mean(variant_name, variants)} (known: {', '.join(variants)})")
    config = variants[variant_name].config if variant_name else reg.load(arch, "config")()
    training = (variants[variant_name].training if variant_name else None) or kind()
    plan = Plan(arch_name, variant_name or None, config, training, data, space, init, command)
    return plan.with_changes(changes)


def split_changes(config: Any, training: Any, changes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`network.x`, `trainer.x` and plain `x` to the object that has the field. Raises UsageError."""
    fields = {"network": {f.name for f in dataclasses.fields(config)}, "trainer": {f.name for f in dataclasses.fields(training)}}
    chosen: dict[str, dict[str, Any]] = {"network": {}, "trainer": {}}
    for key, value in changes.items():
        owner, dot, name = key.partition(".")
        if dot:
            if owner not in fields:
                raise UsageError(f"--set {key}: fields are network.NAME, trainer.NAME or NAME.")
            owners = [owner]
        else:
            name = key
            owners = [o for o, names in fields.items() if name in names]
        if len(owners) > 1:
            raise UsageError(f"--set {name} is a field of the network and of the trainer: say network.{name} or trainer.{name}.")
        if not owners or name not in fields[owners[0]]:
            known = sorted(fields[owners[0]] if owners else fields["network"] | fields["trainer"])
            raise UsageError(f"--set {key}: there is no field {name!r}{did_you_mean(name, known)} (known: {', '.join(known)})")
        chosen[owners[0]][name] = value
    return chosen["network"], chosen["trainer"]
