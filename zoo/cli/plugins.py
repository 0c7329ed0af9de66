"""`zoo plugins` and `zoo doctor`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

import click

from zoo.cards import read_cards
from zoo.cli.flags import with_flags
from zoo.cli.show import emit_json, json_option, say, show, table
from zoo.errors import did_you_mean
from zoo.registry import TABLES, Plugin, PluginRecord, Registry, registry
from zoo.version import __version__


@click.command()
@json_option
def plugins(as_json: bool) -> None:
    """Plugins by distribution and version, what each registers, and why a broken one is out.

    ZOO_PLUGINS=a,b leaves all other third-party plugins out; `zoo doctor` also imports every class that a plugin names.
    """
    reg = registry()
    rows = [_record(r) for r in reg.plugins]
    for name in reg.unknown:
        say(f"ZOO_PLUGINS names {name!r}, and no installed plugin is called that{_near(name, reg)}.")
    if as_json:
        emit_json(rows)
        return
    table(
        ("PLUGIN", "DISTRIBUTION", "VERSION", "STATE", "REGISTERS"),
        [
            (
                row["name"],
                row["distribution"],
                row["version"],
                row["state"],
                "; ".join(f"{_singular(w, names)} {', '.join(names)}" for w, names in row["registers"].items()),
            )
            for row in rows
        ],
    )
    for row in rows:
        label = f"{row['name']} ({row['distribution']} {row['version']})"
        if row["error"]:
            show(f"{label} is broken: {row['error']}")
        for note in row["notes"]:
            show(f"{label}: {note}")


def _near(name: str, reg: Registry) -> str:
    return did_you_mean(name, {n for r in reg.plugins for n in (r.name, r.distribution)})


def _singular(what: str, names: list[str]) -> str:
    words = what.replace("_", " ")
    return words if len(names) > 1 else {"losses": "loss"}.get(what, words.removesuffix("s"))


def _registers(record: PluginRecord) -> dict[str, list[str]]:
    """Names by what they are; of the cards those that can be read."""
    if record.plugin is None:
        return {}
    archs = record.plugin.architectures
    names = {
        "architectures": [a.name for a in archs],
        "trainers": [a.name for a in archs if a.trainer],
        "converters": [a.name for a in archs if a.official],
    }
    names |= {t: [record.spelled(t, key) for key in getattr(record.plugin, t)] for t in TABLES}
    return {k: v for k, v in names.items() if v}


def _record(record: PluginRecord) -> dict[str, Any]:
    registers, notes = _registers(record), list(record.notes)
    if record.plugin is not None:
        cards, faults = read_cards(record.plugin.cards, record.label) if record.plugin.cards else ([], [])
        registers |= {"cards": [c.model_id for c in cards]} if cards else {}
        notes += [*faults, *_missing_modules(record.plugin)]
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "state": record.state,
        "error": record.error or None,
        "notes": notes,
        "registers": registers,
    }


def _missing_modules(plugin: Plugin) -> list[str]:
    """Modules that a plugin names and does not ship, found without importing them."""
    parts = ("model", "config", "variants", "trainer", "official", "options")
    targets = [t for a in plugin.architectures for p in parts if (t := getattr(a, p))]
    targets += [t for name in TABLES for t in getattr(plugin, name).values()]
    return [f"there is no module {m!r}" for m in dict.fromkeys(t.partition(":")[0] for t in targets) if not _exists(m)]


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except Exception:  # a parent that is missing or cannot be imported, an odd name
        return False


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Versions, devices, plugins (every class they name is imported) and embedded models; exit 1 if something is wrong."""
    reg = registry()
    faults = (
        [f"plugin {r.label}: {r.error}" for r in reg.plugins if r.error]
        + _missing_classes(reg)
        + reg.working_spaces()[1]
    )
    report = {
        "zoo": __version__,
        "python": sys.version.split()[0],
        **_libraries(),
        "devices": _devices(),
        "packed_layers": _packed_layers(),
        "models": _models(faults),
        "faults": faults,
    }
    if as_json:
        emit_json(report)
    else:
        for key, value in report.items():
            if key != "faults":
                show(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
        show("\n".join(f"FAULT {f}" for f in faults) if faults else "No faults found.")
    if faults:
        sys.exit(1)


def _libraries() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name in ("torch", "timm", "huggingface-hub", "safetensors", "accelerate", "numpy", "Pillow", "lpips"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    return versions


def _devices() -> list[str]:
    import torch

    devices = [f"cpu ({torch.get_num_threads()} threads)"]
    devices += [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return devices + (["mps"] if torch.backends.mps.is_available() else [])


def _packed_layers() -> str:
    """Whether inference on a CPU lays out weights for oneDNN, or why not."""
    import torch

    from zoo.inference.packed import available, missing

    if available():
        return "yes"
    lacking = "oneDNN" if not torch.backends.mkldnn.is_available() else ", ".join(missing())
    return f"no, plain layers are used: torch {torch.__version__} lacks {lacking}"


def _missing_classes(reg: Registry) -> list[str]:
    """Import everything that an architecture or table names."""
    from zoo.errors import ZooError

    faults = []
    for arch in reg.architectures.values():
        for part in ("model", "config", "variants", "trainer", "official"):
            if getattr(arch, part) is not None:
                try:
                    reg.load(arch, part)
                except ZooError as error:
                    faults.append(f"{arch.name} {part}: {with_flags(error)}")
    for name in TABLES:
        for key in reg.names(name) if name != "label_spaces" else ():  # these are read in full
            try:
                reg.get(name, key)
            except ZooError as error:
                faults.append(f"{name} {key}: {with_flags(error)}")
    return sorted(set(faults))


def _models(faults: list[str]) -> list[str]:
    """Embedded models whose files match their cards."""
    from zoo.cards import all_cards, card_digests
    from zoo.errors import ZooError
    from zoo.store.models import verify_files

    good = []
    for card in all_cards().values():
        if card.embedded:
            try:
                verify_files(card.folder, card_digests(card.folder))
                good.append(card.model_id)
            except ZooError as error:
                faults.append(f"model {card.model_id}: {with_flags(error)}")
    return good
