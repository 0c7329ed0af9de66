"""What plugins declare: names and import strings only. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any

from zoo.errors import PluginError

API = 1


GROUP = "zoo.plugins"


FIRST_PARTY = "maskzoo"


TABLES = ("networks", "losses", "label_spaces", "datasets", "metrics", "tables")


@dataclass(frozen=True)
class Variant:
    """A named config of an architecture and the training options that go with it."""

    config: Any
    training: Any = None
    title: str = ""


@dataclass(frozen=True)
class Match:
    """What `official.detect` read off a checkpoint's keys and shapes; near misses have one too, and then say what differs.

    role: the network, as `official.convert` names it. config: fields that differ from the config's defaults.
    ambiguous: fields that no shape tells. missing: official keys that a network of this config has and the file has not;
    unknown: keys of the file that it has not; misfit: keys that both have with different shapes; matched: how many fit.
    """

    role: str
    config: dict[str, Any]
    ambiguous: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    misfit: tuple[str, ...] = ()
    matched: int = 0

    @property
    def complete(self) -> bool:
        """The file is a network of this config, key by key and shape by shape."""
        return not (self.missing or self.unknown or self.misfit)


@dataclass(frozen=True)
class Architecture:
    """One system. All strings of the form `module:name` are imported only when somebody needs them.

    kind: a name in `zoo.registry.kinds`. can: names in `zoo.registry.capabilities`, all that a model of some variant and with
    all assets can do; what a config takes away, the config's property `lacks` names.
    options: `module:Class` of its sampling options, the `OPTIONS` of its model class, in a module without torch.
    trainer: None for a system that is not trained here; its models are written by `zoo.save`. parameters: how many each variant
    has, for `zoo list --architectures`, which builds no network. also: architectures of other kinds with the same config and the same
    weights, as which a composition uses a folder of this one where its place asks for that kind. grows_from: architectures from whose weights a training
    of this one may start (`zoo train --init`), see `Trainer.fresh`.
    """

    name: str
    kind: str
    model: str
    config: str
    variants: str
    trainer: str | None = None
    official: str | None = None
    title: str = ""
    paper: str = ""
    can: tuple[str, ...] = ()
    default: str | None = None
    options: str | None = None
    also: tuple[str, ...] = ()
    grows_from: tuple[str, ...] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)


class ApiMismatch(PluginError):
    """A plugin was written for another plugin API; names both."""


@dataclass(frozen=True)
class Plugin:
    """What a distribution adds. `cards`: an importable package with one folder per model id.

    api: of the zoo that it was written for; raises ApiMismatch for another one (first, so that fields that only the other
    one has are not what is complained about).

    networks, losses, label_spaces (a `module:OBJECT` with a LabelSpace or its JSON form), datasets, metrics: name to import string.
    tables: tables of a paper (`zoo.plugin.Table`), which others call `PLUGIN/NAME`, the plugin as its entry point is called, with dashes.
    """

    api: int = API
    architectures: tuple[Architecture, ...] | list[Architecture] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, str] = field(default_factory=dict)
    label_spaces: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    cards: str | None = None

    def __new__(cls, api: int = API, *args: Any, **kwargs: Any) -> Plugin:
        if api != API:
            raise ApiMismatch(
                f"was written for plugin API {api!r}, this zoo has API {API}: install a version of the plugin for API {API}"
            )
        return super().__new__(cls)


@dataclass
class PluginRecord:
    """A discovered plugin and its state; `error` says why a broken one is out.

    mismatch: it was written for another plugin API (`error` names both). left_out: ZOO_PLUGINS does not name it.
    """

    name: str
    distribution: str
    version: str
    plugin: Plugin | None = None
    error: str = ""
    notes: list[str] = field(default_factory=list)
    mismatch: bool = False
    left_out: bool = False
    entry: EntryPoint | None = field(default=None, repr=False)

    @property
    def state(self) -> str:
        """`ok`, `broken`, `API mismatch`, or `left out` (by ZOO_PLUGINS)."""
        if self.left_out:
            return "left out"
        return ("API mismatch" if self.mismatch else "broken") if self.error else "ok"

    def spelled(self, table: str, key: str) -> str:
        """The name under which others know an entry of one of its tables: a paper's table behind the plugin's name."""
        return f"{self.name.replace('_', '-')}/{key}" if table == "tables" else key

    @property
    def unreadable(self) -> bool:
        """True for a distribution whose entry points cannot be read, whether they hold a plugin or not."""
        return self.entry is None and bool(self.error)

    @property
    def license(self) -> str:
        """Of its code, as the metadata of its distribution state it; "unknown" where they do not."""
        if self.distribution == FIRST_PARTY:
            return "Apache-2.0"
        try:
            metadata = self.entry.dist.metadata if self.entry and self.entry.dist else None
            stated = [
                metadata[key] for key in ("License-Expression", "License") if metadata is not None and key in metadata
            ]
            return next((text for text in stated if text), "unknown")
        except Exception:  # metadata of a half-removed installation
            return "unknown"

    @property
    def label(self) -> str:
        """For messages: `name (distribution version)`."""
        return f"{self.name} ({self.distribution} {self.version})"
