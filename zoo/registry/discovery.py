"""Finding plugins: entry points in the group `zoo.plugins`, read one by one, each with its state. No torch in here."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from zoo.errors import PluginError
from zoo.files.names import is_name
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
    wanted, known, records = _wanted(), set(), []
    for entry in _entries():
        names = {_distribution(entry)[0], entry.name}
        known |= names
        records.append(_read(entry, left_out=wanted is not None and FIRST_PARTY not in names and not names & wanted))
    return records, tuple(sorted((wanted or set()) - known))


def _read(entry: EntryPoint, *, left_out: bool = False) -> PluginRecord:
    """Load one entry point (unless it is left out); whatever goes wrong is written into the record."""
    record = PluginRecord(entry.name, *_distribution(entry), left_out=left_out, entry=entry)
    if left_out:
        return record
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what an import prints would spoil `--json`
            loaded = entry.load()
        plugin = loaded.plugin if isinstance(loaded, ModuleType) else loaded
        record.plugin = _checked(plugin)
    except KeyboardInterrupt:
        raise
    except ApiMismatch as error:
        record.error, record.mismatch = str(error), True
    except BaseException as error:  # an import may raise anything, SystemExit too; the rest of the zoo must go on
        record.error = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        if isinstance(error, TypeError) and "unexpected keyword" in record.error:
            record.error += f" (written for another plugin API? this zoo has API {API})"
    return record


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that brought an entry point; "?" where its metadata lacks them."""
    if entry == CORE:
        return FIRST_PARTY, __version__
    try:
        return (str(entry.dist.name or "?"), str(entry.dist.version or "?")) if entry.dist else ("?", "?")
    except Exception:  # a half-removed installation leaves metadata without name or version
        return "?", "?"


def _checked(plugin: Any) -> Plugin:
    """The plugin, if all it declares has the form it must have. Raises PluginError."""
    if not isinstance(plugin, Plugin):
        raise PluginError(f"its entry point gives {type(plugin).__name__}, expected zoo.registry.plugin.Plugin")
    for arch in plugin.architectures:
        if not isinstance(arch, Architecture):
            raise PluginError(
                f"its architectures hold {type(arch).__name__}, expected zoo.registry.plugin.Architecture"
            )
        if arch.kind not in KINDS:
            raise PluginError(f"architecture {arch.name!r} has kind {arch.kind!r}, expected one of {', '.join(KINDS)}")
        check_capabilities(f"architecture {arch.name!r}", arch.can)
        parts = {p: getattr(arch, p) for p in ("model", "config", "variants", "trainer", "official", "options")}
        _check_table(f"architecture {arch.name!r}", {p: t for p, t in parts.items() if t is not None})
    _check_names("architectures", [a.name for a in plugin.architectures])
    for table in TABLES:
        declared = getattr(plugin, table)
        if not isinstance(declared, Mapping):
            raise PluginError(
                f"its {table} are {type(declared).__name__}, expected a mapping of names to import strings"
            )
        _check_names(table, list(declared))
        _check_table(table, declared)
    if not isinstance(plugin.cards, str | None):
        raise PluginError(f"its cards are {type(plugin.cards).__name__}, expected the name of a package")
    return plugin


def _check_names(where: str, names: list[Any]) -> None:
    """Names must do in `GEN+SYN`, `ARCH/VARIANT`, `NAME:PATH` and `distribution:name`."""
    bad = [n for n in names if not isinstance(n, str) or not is_name(n)]
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


def _entries() -> list[EntryPoint]:
    """Entry points of the group, each once."""
    seen: dict[tuple[str, str, str], EntryPoint] = {}
    for entry in (CORE, *entry_points(group=GROUP)):
        # an editable install beside the checkout's own metadata lists a distribution twice
        seen.setdefault((_distribution(entry)[0], entry.name, entry.value), entry)
    return list(seen.values())


def _wanted() -> set[str] | None:
    """The names in ZOO_PLUGINS=a,b (of plugins or distributions); None where it is not set: all."""
    text = os.environ.get("ZOO_PLUGINS")
    return None if text is None else {n.strip() for n in text.split(",") if n.strip()}
