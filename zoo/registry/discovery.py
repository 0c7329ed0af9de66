"""Finding plugins: entry points in the group `zoo.plugins`, read one by one, each with its state. No torch in here."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from itertools import pairwise
from types import ModuleType
from typing import Any

from zoo.errors import PluginError, ZooError
from zoo.files.names import is_name, one_line
from zoo.registry.border import plugin_code, told
from zoo.registry.capabilities import check_capabilities
from zoo.registry.kinds import KINDS
from zoo.registry.plugin import API, FIRST_PARTY, GROUP, TABLES, ApiMismatch, Architecture, Plugin, PluginRecord
from zoo.version import __version__

CORE = EntryPoint(name="core", value="zoo.builtin", group=GROUP)
"""What the core brings: not in its distribution's metadata, which may be older than the checkout that they are installed from."""


def discover() -> tuple[list[PluginRecord], tuple[str, ...]]:
    """All plugins of this environment with their states, and the names in ZOO_PLUGINS that none of them has.

    ZOO_PLUGINS=a,b (plugins or distributions) leaves the other third parties out, never first-party plugins.
    """
    wanted, known = _wanted(), set[str]()
    entries, records = _entries()
    for entry in entries:
        names = {_distribution(entry)[0], entry.name}
        known |= names
        records.append(_read(entry, left_out=wanted is not None and FIRST_PARTY not in names and not names & wanted))
    return records, tuple(sorted((wanted or set()) - known))


def _read(entry: EntryPoint, *, left_out: bool = False) -> PluginRecord:
    """Load one entry point (unless it is left out); whatever goes wrong is written into the record."""
    record = PluginRecord(one_line(entry.name, 80), *_distribution(entry), left_out=left_out, entry=entry)
    if left_out:
        return record
    try:
        with plugin_code("its entry point cannot be read"):
            record.plugin = _plugin(entry)
    except ApiMismatch as error:
        record.error, record.mismatch = told(error), True
    except PluginError as error:
        # what the plugin raised is the reason; where it came from says `zoo plugins --json` with the entry point's name
        cause = error.__cause__
        record.error = told(error if cause is None else cause)
        if isinstance(cause, TypeError) and "unexpected keyword" in record.error:
            record.error += f" (written for another plugin API? this zoo has API {API})"
    except ZooError as error:
        record.error = told(error)
    return record


def _plugin(entry: EntryPoint) -> Plugin:
    if EntryPoint.pattern.match(entry.value) is None:
        raise PluginError(f"its entry point is {one_line(entry.value, 80)!r}, expected module or module:name")
    loaded = entry.load()
    return _checked(loaded.plugin if isinstance(loaded, ModuleType) else loaded)


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that brought an entry point; "?" where its metadata lacks them."""
    if entry == CORE:
        return FIRST_PARTY, __version__
    return ("?", "?") if entry.dist is None else _named(entry.dist)


@lru_cache(maxsize=64)  # the entry points of a distribution share one object
def _named(dist: Distribution) -> tuple[str, str]:
    try:
        name, version = _headed(dist) or (dist.name, dist.version)
        return one_line(str(name or "?"), 80), one_line(str(version or "?"), 40)
    except Exception:  # a half-removed installation leaves metadata without name or version, or none that can be read
        return "?", "?"


def _headed(dist: Distribution) -> tuple[str, str] | None:
    """Name and version as the head of the metadata states them, each in one line and once; None where only the reader of mails tells
    (`dist.name`), which takes longer than all else that a short command does, for a README is in there too."""
    head = (dist.read_text("METADATA") or "").partition("\n\n")[0]
    lines = [*head.splitlines(), ""]
    stated: dict[str, list[str]] = {"Name": [], "Version": []}
    for line, following in pairwise(lines):
        key, colon, text = line.partition(":")
        if colon and key in stated:
            stated[key].append("" if following[:1].isspace() else text.strip())  # continued in the next line
    if any(len(texts) != 1 or not texts[0] or not texts[0].isascii() for texts in stated.values()):
        return None
    return stated["Name"][0], stated["Version"][0]


def _checked(plugin: Any) -> Plugin:
    """The plugin in lists and dicts of its own (a generator would be empty at the second look), if all it declares has the form
    it must have. Raises PluginError."""
    if not isinstance(plugin, Plugin):
        raise PluginError(f"its entry point gives {type(plugin).__name__}, expected zoo.registry.plugin.Plugin")
    if not isinstance(plugin.architectures, Iterable) or isinstance(plugin.architectures, str | Mapping):
        raise PluginError(
            f"its architectures are {type(plugin.architectures).__name__}, expected a list of Architecture"
        )
    archs = tuple(_architecture(arch) for arch in plugin.architectures)
    _check_names("architectures", [a.name for a in archs])
    tables = {table: getattr(plugin, table) for table in TABLES}
    for table, declared in tables.items():
        if not isinstance(declared, Mapping):
            raise PluginError(
                f"its {table} are {type(declared).__name__}, expected a mapping of names to import strings"
            )
        tables[table] = declared = dict(declared)
        _check_names(table, list(declared))
        _check_table(table, declared)
    if not isinstance(plugin.cards, str | None):
        raise PluginError(f"its cards are {type(plugin.cards).__name__}, expected the name of a package")
    return dataclasses.replace(plugin, architectures=archs, **tables)


def _architecture(arch: Any) -> Architecture:
    """One architecture, its capabilities as a tuple. Raises PluginError."""
    if not isinstance(arch, Architecture):
        raise PluginError(f"its architectures hold {type(arch).__name__}, expected zoo.registry.plugin.Architecture")
    _check_names("architectures", [arch.name])
    where = f"architecture {arch.name!r}"
    if not isinstance(arch.kind, str) or arch.kind not in KINDS:
        raise PluginError(f"{where} has kind {arch.kind!r}, expected one of {', '.join(KINDS)}")
    check_capabilities(where, arch.can)
    parts = {p: getattr(arch, p) for p in ("model", "config", "variants", "trainer", "official", "options")}
    optional = ("trainer", "official", "options")
    _check_table(where, {p: t for p, t in parts.items() if t is not None or p not in optional})
    for name in ("title", "paper", "default"):
        text = getattr(arch, name)
        if not isinstance(text, str) and not (name == "default" and text is None):
            raise PluginError(f"{where}: {name} is {type(text).__name__}, expected a text")
    others = {"also": arch.also, "grows_from": arch.grows_from}
    for field, names in others.items():
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise PluginError(f"{where}: {field} should be a tuple of architecture names")
    counts = arch.parameters
    if not isinstance(counts, Mapping) or not all(type(n) is int and 0 <= n < 2**63 for n in counts.values()):
        raise PluginError(f"{where}: parameters should be a mapping of variants to their numbers of parameters")
    found = {field: tuple(names) for field, names in others.items()}
    return dataclasses.replace(arch, can=tuple(arch.can), parameters=dict(counts), **found)


def _check_names(where: str, names: list[Any]) -> None:
    """Names must do in `GEN+SYN`, `ARCH/VARIANT`, `NAME:PATH` and `distribution:name`."""
    bad = [n for n in names if type(n) is not str or not is_name(n)]
    bad += [n for n in names if n not in bad and names.count(n) > 1]
    if bad:
        raise PluginError(
            f"its {where} have the name {bad[0]!r}, expected distinct names of letters, digits, dots, dashes and underscores"
        )


def _check_table(where: str, targets: Mapping[Any, Any]) -> None:
    """Import strings must be text."""
    for name, target in targets.items():
        if not isinstance(target, str):
            raise PluginError(f"{where}: {name!r} is {type(target).__name__}, expected an import string 'module:name'")


def _entries() -> tuple[list[EntryPoint], list[PluginRecord]]:
    """Entry points of the group, each once, and a record for each distribution whose entry points cannot be read."""
    broken: list[PluginRecord] = []
    try:
        listed = list(entry_points(group=GROUP))
    except Exception:  # one distribution with garbage in its metadata: read them one by one
        # torch reads all entry points too, for other makers' devices, and cannot be imported beside that distribution
        os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
        listed = [entry for dist in distributions() for entry in _entries_of(dist, broken)]
    seen: dict[tuple[str, str, str], EntryPoint] = {}
    for entry in (CORE, *listed):
        # an editable install beside the checkout's own metadata lists a distribution twice
        seen.setdefault((_distribution(entry)[0], entry.name, entry.value), entry)
    return list(seen.values()), broken


def _entries_of(dist: Distribution, broken: list[PluginRecord]) -> list[EntryPoint]:
    """The entry points of one distribution; none, and a record, where they cannot be read."""
    try:
        if GROUP not in (dist.read_text("entry_points.txt") or ""):
            return []
        return [entry for entry in dist.entry_points if entry.group == GROUP]
    except Exception as error:
        name, version = _named(dist)
        broken.append(PluginRecord("?", name, version, error=f"its entry points cannot be read ({told(error)})"))
        return []


def _wanted() -> set[str] | None:
    """The names in ZOO_PLUGINS=a,b (of plugins or distributions); None where it is not set: all."""
    text = os.environ.get("ZOO_PLUGINS")
    return None if text is None else {n.strip() for n in text.split(",") if n.strip()}
