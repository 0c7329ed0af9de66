"""What plugins declare, and the one place where names become classes.

A plugin is found through an entry point in the group `zoo.plugins`; its module only lists names and import strings,
so finding it costs nothing and a fault in one model stays that model's. Nothing here imports torch.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from zoo.errors import PluginError, UsageError, ZooError, did_you_mean
from zoo.labels import LabelSpace, builtin_spaces, parse_space

API = 1
GROUP = "zoo.plugins"
FIRST_PARTY = "maskzoo"
KINDS = ("mask-generator", "image-synthesizer", "mask-parser", "image-generator")
TABLES = ("networks", "losses", "label_spaces", "datasets", "metrics")


@dataclass(frozen=True)
class Variant:
    """A named config of an architecture and the training options that go with it."""

    config: Any
    training: Any = None
    title: str = ""


@dataclass(frozen=True)
class Match:
    """What `official.detect` read off a checkpoint's keys and shapes."""

    role: str
    config: dict[str, Any]
    ambiguous: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """One system. All strings of the form `module:name` are imported only when somebody needs them.

    options: `module:Class` of its sampling options, the `OPTIONS` of its model class, in a module without torch.
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


@dataclass(frozen=True)
class Plugin:
    """What a distribution adds. `cards`: an importable package with one folder per model id.

    networks, losses, label_spaces (a `module:OBJECT` with a LabelSpace or its JSON form), datasets, metrics: name to import string.
    """

    api: int = API
    architectures: tuple[Architecture, ...] | list[Architecture] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, str] = field(default_factory=dict)
    label_spaces: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    cards: str | None = None


@dataclass
class PluginRecord:
    """A discovered plugin and its state; `error` says why a broken one is out."""

    name: str
    distribution: str
    version: str
    plugin: Plugin | None = None
    error: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """`ok`, or `broken`."""
        return "broken" if self.error else "ok"

    @property
    def label(self) -> str:
        """For messages: `name (distribution version)`."""
        return f"{self.name} ({self.distribution} {self.version})"


class Registry:
    """All plugins of this environment, first-party ones first; a broken one is kept as a record, never raised."""

    def __init__(self, records: list[PluginRecord]) -> None:
        self.plugins = sorted(records, key=lambda r: (r.distribution != FIRST_PARTY, r.distribution, r.name))
        self.architectures: dict[str, Architecture] = {}
        self._owner: dict[str, PluginRecord] = {}
        self._tables: dict[str, dict[str, tuple[str, PluginRecord]]] = {t: {} for t in TABLES}
        self._clashes: dict[str, list[PluginRecord]] = {}
        for record in self.plugins:
            if record.plugin is not None:
                self._add(record, record.plugin)

    def _add(self, record: PluginRecord, plugin: Plugin) -> None:
        for arch in plugin.architectures:
            for name in self._claim("architectures", arch.name, record, self._owner):
                self.architectures[name], self._owner[name] = arch, record
        for table in TABLES:
            known = self._tables[table]
            for key, target in getattr(plugin, table).items():
                for name in self._claim(table, key, record, {k: r for k, (_, r) in known.items()}):
                    known[name] = (target, record)

    def _claim(self, table: str, name: str, record: PluginRecord, owners: Mapping[str, PluginRecord]) -> list[str]:
        """The names under which `record` registers `name`: first-party ones win, third parties that clash are qualified."""
        qualified = f"{record.distribution}:{name}"
        owner = owners.get(name)
        clash_key = f"{table}/{name}"
        if owner is None and clash_key not in self._clashes:
            return [name] if record.distribution == FIRST_PARTY else [name, qualified]
        rivals = self._clashes.setdefault(clash_key, [owner] if owner else [])
        rivals.append(record)
        if owner is not None and owner.distribution != FIRST_PARTY:
            self._retract(table, name)
        record.notes.append(f"{name!r} is also registered by {rivals[0].label}; use {qualified!r}")
        return [qualified]

    def _retract(self, table: str, name: str) -> None:
        """Two third parties claim a name: neither gets it, both keep `distribution:name`."""
        owner = self._clashes[f"{table}/{name}"][0]
        owner.notes.append(f"{name!r} is registered by several plugins; use '{owner.distribution}:{name}'")
        if table == "architectures":
            del self.architectures[name], self._owner[name]
        else:
            del self._tables[table][name]

    def architecture(self, name: str) -> Architecture:
        """By name, or `distribution:name`. Raises UsageError with near misses and with what is broken."""
        if name in self.architectures:
            return self.architectures[name]
        rivals = self._clashes.get(f"architectures/{name}")
        if rivals:
            raise UsageError(
                f"Several plugins register {name!r}: say "
                + " or ".join(f"'{r.distribution}:{name}'" for r in rivals)
                + "."
            )
        raise UsageError(f"No architecture {name!r}{did_you_mean(name, self.architectures)}{self.broken_hint()}")

    def variant(self, text: str) -> tuple[str, str | None, Variant]:
        """`ARCH[/VARIANT]` as the architecture's name, the variant's, and the variant.

        ARCH alone is the official config: the variant that has it, or the config's defaults under no name.
        Raises UsageError with near misses.
        """
        arch_name, _, name = text.partition("/")
        arch = self.architecture(arch_name)
        variants: dict[str, Variant] = self.load(arch, "variants")
        if name in variants:
            return arch_name, name, variants[name]
        if name:
            raise UsageError(
                f"{arch_name!r} has no variant {name!r}{did_you_mean(name, variants)} (known: {', '.join(variants)})"
            )
        config = self.load(arch, "config")()
        official = next((n for n, v in variants.items() if v.config == config), None)
        return arch_name, official, variants[official] if official else Variant(config)

    def owner(self, name: str) -> PluginRecord:
        """The plugin that registered an architecture."""
        return self._owner[name]

    def broken_hint(self) -> str:
        """A sentence on broken plugins for 'not found' messages, or an empty string."""
        broken = [r.label for r in self.plugins if r.error]
        return f" (broken plugins: {', '.join(broken)}; see: zoo plugins)" if broken else ""

    def load(self, arch: Architecture, part: str) -> Any:
        """Import `arch.model`, `.config`, `.variants`, `.trainer` or `.official`. Raises PluginError naming the owner."""
        target = getattr(arch, part)
        if target is None:
            raise UsageError(f"{arch.name!r} has no {part}.")
        record = next((self._owner[n] for n, a in self.architectures.items() if a is arch), None)
        return import_string(target, record.label if record else arch.name)

    def names(self, table: str) -> tuple[str, ...]:
        """Registered names of `networks`, `losses`, `label_spaces`, `datasets` or `metrics`."""
        return tuple(self._tables[table])

    def get(self, table: str, name: str) -> Any:
        """The object registered under `name`, imported now. Raises UsageError or PluginError."""
        if name not in self._tables[table]:
            raise UsageError(f"No {name!r} among {table}{did_you_mean(name, self._tables[table])}{self.broken_hint()}")
        target, record = self._tables[table][name]
        return import_string(target, record.label)

    def label_space(self, name: str) -> LabelSpace:
        """A label space of the core or of a plugin. Raises UsageError with near misses."""
        core = _core_spaces()
        if name in core:
            return core[name]
        if name in self._tables["label_spaces"]:
            found = self.get("label_spaces", name)
            return found if isinstance(found, LabelSpace) else parse_space(found, name)
        known = self.label_spaces()
        raise UsageError(
            f"No label space {name!r}{did_you_mean(name, known)} (known: {', '.join(known)}; a file of your own: --space FILE.json){self.broken_hint()}"
        )

    def label_spaces(self) -> tuple[str, ...]:
        """Names of all label spaces."""
        return (*_core_spaces(), *(n for n in self._tables["label_spaces"] if ":" not in n and n not in _core_spaces()))

    def working_spaces(self) -> tuple[list[LabelSpace], list[str]]:
        """All label spaces that load, and what is wrong with the others: a broken plugin's space is its own loss."""
        found, faults = [], []
        for name in self.label_spaces():
            try:
                found.append(self.label_space(name))
            except ZooError as error:
                faults.append(f"label space {name!r}: {error}")
        return found, faults


@cache
def _core_spaces() -> dict[str, LabelSpace]:
    return builtin_spaces()


def import_string(target: str, owner: str) -> Any:
    """Import `module:name`, or a whole `module` (official.py). Any failure becomes a PluginError that names the owner and the exception."""
    module, _, name = target.partition(":")
    try:
        found = importlib.import_module(module)
        return getattr(found, name) if name else found
    except (Exception, SystemExit) as error:  # a plugin's module may raise anything
        raise PluginError(
            f"Plugin {owner}: cannot import {target!r} ({type(error).__name__}: {error}). Update or uninstall it, or leave it out with ZOO_PLUGINS."
        ) from error


def _read(entry: EntryPoint) -> PluginRecord:
    """Load one entry point; whatever goes wrong is written into the record."""
    record = PluginRecord(entry.name, *_distribution(entry))
    try:
        found = entry.load()
        plugin = found.plugin if isinstance(found, ModuleType) else found
        record.plugin = _checked(plugin)
    except (Exception, SystemExit) as error:  # an import may raise anything; the rest of the zoo must go on
        record.error = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
    return record


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that brought an entry point; "?" where its metadata lacks them."""
    try:
        return (str(entry.dist.name or "?"), str(entry.dist.version or "?")) if entry.dist else ("?", "?")
    except Exception:  # a half-removed installation leaves metadata without name or version
        return "?", "?"


def _checked(plugin: Any) -> Plugin:
    api = getattr(plugin, "api", None)
    if api != API:
        raise PluginError(
            f"was written for plugin API {api!r}, this zoo has API {API}: install a version of the plugin for API {API}"
        )
    if not isinstance(plugin, Plugin):
        raise PluginError(f"its entry point gives {type(plugin).__name__}, expected zoo.registry.Plugin")
    for arch in plugin.architectures:
        if not isinstance(arch, Architecture):
            raise PluginError(f"its architectures hold {type(arch).__name__}, expected zoo.registry.Architecture")
        if arch.kind not in KINDS:
            raise PluginError(f"architecture {arch.name!r} has kind {arch.kind!r}, expected one of {', '.join(KINDS)}")
    for table in TABLES:
        if not isinstance(getattr(plugin, table), Mapping):
            raise PluginError(
                f"its {table} are {type(getattr(plugin, table)).__name__}, expected a mapping of names to import strings"
            )
    return plugin


def _entries() -> Iterator[EntryPoint]:
    """Entry points of the group, restricted by ZOO_PLUGINS=a,b (first-party ones always stay), each once."""
    wanted = os.environ.get("ZOO_PLUGINS")
    names = None if wanted is None else {n.strip() for n in wanted.split(",") if n.strip()}
    seen: set[tuple[str, str, str]] = set()
    for entry in entry_points(group=GROUP):
        dist = _distribution(entry)[0]
        # an editable install beside the checkout's own metadata lists a distribution twice
        if (dist, entry.name, entry.value) in seen:
            continue
        seen.add((dist, entry.name, entry.value))
        if names is None or dist == FIRST_PARTY or entry.name in names or dist in names:
            yield entry


@cache
def registry() -> Registry:
    """The registry of this process, built at first use."""
    return Registry([_read(e) for e in _entries()])


def reset() -> None:
    """Forget the registry (tests that install plugins)."""
    registry.cache_clear()


def label_space(name: str) -> LabelSpace:
    """A registered label space by name. Raises UsageError with near misses."""
    return registry().label_space(name)
