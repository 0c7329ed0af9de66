"""What plugins declare, and the one place where names become classes.

A plugin is found through an entry point in the group `zoo.plugins`; its module only lists names and import strings,
so finding it costs nothing and a fault in one model stays that model's. Nothing here imports torch.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import PluginError, UsageError, ZooError, did_you_mean
from zoo.files.names import one_line
from zoo.labels import LabelSpace, parse_space
from zoo.registry.border import ADVICE, checked_entry, checked_part, plugin_code, told
from zoo.registry.plugin import FIRST_PARTY, TABLES, Architecture, Plugin, PluginRecord, Variant


class Registry:
    """All plugins of this environment, first-party ones first; a broken one is kept as a record, never raised.

    unknown: names in ZOO_PLUGINS that no installed plugin or distribution has.
    """

    def __init__(self, records: list[PluginRecord], unknown: tuple[str, ...] = ()) -> None:
        self.unknown = unknown
        self.plugins = sorted(records, key=lambda r: (r.distribution != FIRST_PARTY, r.distribution, r.name))
        self.architectures: dict[str, Architecture] = {}
        self._owner: dict[str, PluginRecord] = {}
        self._tables: dict[str, dict[str, tuple[str, PluginRecord]]] = {t: {} for t in TABLES}
        self._clashes: dict[str, list[PluginRecord]] = {}
        self._spaces: dict[str, LabelSpace] = {}
        for record in self.plugins:
            if record.plugin is not None:
                self._add(record, record.plugin)

    def _add(self, record: PluginRecord, plugin: Plugin) -> None:
        for arch in plugin.architectures:
            for name in self._claim("architectures", arch.name, record, self._owner):
                self.architectures[name], self._owner[name] = arch, record
        for table in TABLES:
            known, own = self._tables[table], getattr(plugin, table)
            for key, target in own.items():
                for name in self._claim(
                    table, record.spelled(table, key), record, {k: r for k, (_, r) in known.items()}
                ):
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
        self.refuse_clash("architectures", name)
        known = ", ".join(n for n in self.architectures if ":" not in n)
        raise UsageError(
            f"No architecture {one_line(name)!r}{did_you_mean(name, self.architectures)} (known: {known};"
            f" see: zoo list --architectures){self.broken_hint()}"
        )

    def refuse_clash(self, table: str, name: str) -> None:
        """Raise UsageError for a name that several third parties claim."""
        if rivals := self._clashes.get(f"{table}/{name}"):
            names = " or ".join(f"'{r.distribution}:{name}'" for r in rivals)
            raise UsageError(f"Several plugins register {name!r}: say {names}.")

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
        with plugin_code(f"Plugin {self._owner[arch_name].label}: the config of {arch_name!r} has no defaults"):
            config = self.load(arch, "config")()
        official = next((n for n, v in variants.items() if v.config == config), None)
        return arch_name, official, variants[official] if official else Variant(config)

    def owner(self, name: str) -> PluginRecord:
        """The plugin that registered an architecture."""
        return self._owner[name]

    def broken_hint(self) -> str:
        """A sentence on broken and left-out plugins for 'not found' messages, or an empty string."""
        groups = {
            "broken plugins": [r.label for r in self.plugins if r.error],
            "left out by ZOO_PLUGINS": [r.label for r in self.plugins if r.left_out],
            "unknown in ZOO_PLUGINS": [repr(name) for name in self.unknown],
        }
        parts = [f"{what}: {', '.join(names)}" for what, names in groups.items() if names]
        return f" ({'; '.join(parts)}; see: zoo plugins)" if parts else ""

    def load(self, arch: Architecture, part: str) -> Any:
        """Import `arch.model`, `.config`, `.variants`, `.trainer` or `.official`. Raises PluginError naming the owner."""
        target = getattr(arch, part)
        if target is None:
            raise UsageError(f"{arch.name!r} has no {part}.")
        record = self.record_of(arch)
        value = import_string(target, record.label if record else arch.name)
        with plugin_code(f"Plugin {record.label if record else arch.name}: {part} of {arch.name!r} is wrong"):
            return checked_part(part, value, arch.kind)

    def record_of(self, arch: Architecture) -> PluginRecord | None:
        """The plugin that declares an architecture."""
        return next((self._owner[n] for n, a in self.architectures.items() if a is arch), None)

    def names(self, table: str) -> tuple[str, ...]:
        """Registered names of `networks`, `losses`, `label_spaces`, `datasets`, `metrics` or `tables`."""
        return tuple(self._tables[table])

    def get(self, table: str, name: str) -> Any:
        """The object registered under `name`, imported now. Raises UsageError or PluginError."""
        if name not in self._tables[table]:
            self.refuse_clash(table, name)
            raise UsageError(f"No {name!r} among {table}{did_you_mean(name, self._tables[table])}{self.broken_hint()}")
        target, record = self._tables[table][name]
        value = import_string(target, record.label)
        with plugin_code(f"Plugin {record.label}: {name!r} among its {table} is wrong"):
            return checked_entry(table, value)

    def owner_of(self, table: str, name: str) -> PluginRecord:
        """The plugin that registered a name of a table."""
        return self._tables[table][name][1]

    def label_space(self, name: str) -> LabelSpace:
        """A registered label space. Raises UsageError with near misses, LabelError for one that is none."""
        if name in self._tables["label_spaces"]:
            if name not in self._spaces:
                self._spaces[name] = self._read_space(name, self.get("label_spaces", name))
            return self._spaces[name]
        self.refuse_clash("label_spaces", name)
        known = self.label_spaces()
        raise UsageError(
            f"No label space {name!r}{did_you_mean(name, known)} (known: {', '.join(known)}; or the path of a file of your own, FILE.json){self.broken_hint()}"
        )

    def _read_space(self, name: str, entry: Any) -> LabelSpace:
        """A plugin's label space, read like a file: from the JSON form, also if it is a LabelSpace, whose fields nobody checked."""
        record = self.owner_of("label_spaces", name)
        with plugin_code(f"Plugin {record.label}: its label space {name!r} is wrong"):
            space = parse_space(entry.to_json() if isinstance(entry, LabelSpace) else entry, name)
        owner = self._tables["label_spaces"].get(space.name, (None, record))[1]
        if owner is not record and owner.distribution == FIRST_PARTY:
            raise PluginError(
                f"Plugin {record.label}: its label space {name!r} calls itself {space.name!r}, which is the zoo's."
            )
        return space

    def label_spaces(self) -> tuple[str, ...]:
        """Names of all label spaces; `distribution:name` only where the plain name is another's."""
        known = self._tables["label_spaces"]

        def anothers(name: str) -> bool:
            plain = known.get(name.partition(":")[2])
            return plain is None or plain[1] is not known[name][1]

        return tuple(name for name in known if ":" not in name or anothers(name))

    def working_spaces(self) -> tuple[list[LabelSpace], list[str]]:
        """All label spaces that load, and what is wrong with the others: a broken plugin's space is its own loss."""
        spaces, faults = [], []
        for name in self.label_spaces():
            try:
                spaces.append(self.label_space(name))
            except ZooError as error:
                faults.append(f"label space {name!r}: {error}")
        return spaces, faults


def import_string(target: str, owner: str) -> Any:
    """Import `module:name`, or a whole `module` (official.py). Any failure becomes a PluginError that names the owner and the exception."""
    module, _, name = target.partition(":")
    try:
        with plugin_code("import"):
            imported = importlib.import_module(module)
            return getattr(imported, name) if name else imported
    except ZooError as error:
        raise PluginError(
            f"Plugin {owner}: cannot import {one_line(target, 120)!r} ({told(error.__cause__ or error)}). {ADVICE}"
        ) from error.__cause__


_LOCK = threading.RLock()
_CURRENT: list[Registry] = []
_BUILDING: list[bool] = []


def registry() -> Registry:
    """The registry of this process, built at first use, by one thread. What a plugin prints while it is imported goes where prints
    go; commands of the zoo send it to stderr. Raises PluginError in a plugin that asks for it while it is being imported."""
    with _LOCK:
        if not _CURRENT:
            from zoo.registry.discovery import discover

            if _BUILDING:
                raise PluginError("it asks for the registry while it is being imported, before that is there")
            _BUILDING.append(True)
            try:
                _CURRENT.append(Registry(*discover()))
            finally:
                _BUILDING.clear()
        return _CURRENT[0]


def reset() -> None:
    """Forget the registry (tests that install plugins)."""
    _CURRENT.clear()


def label_space(name: str) -> LabelSpace:
    """A registered label space by name. Raises UsageError with near misses."""
    return registry().label_space(name)


def space_or_file(text: str) -> LabelSpace:
    """A label space as users name it: a registered name, else a file (`zoo.files.classfiles`) where `text` looks like
    one: a path, or a name that ends as class lists do. Raises UsageError with near misses, LabelError for a wrong file."""
    from zoo.files.classfiles import SUFFIXES, load_space

    if text not in registry().label_spaces() and (Path(text).name != text or text.lower().endswith(SUFFIXES)):
        return load_space(Path(text))
    return label_space(text)
