"""`zoo plugins` and `zoo doctor`."""

from __future__ import annotations

import sys
from typing import Any

import click

from zoo.cli.show import emit_json, json_option, table
from zoo.registry import TABLES, PluginRecord, Registry, registry
from zoo.version import __version__


@click.command()
@json_option
def plugins(as_json: bool) -> None:
    """Plugins by distribution and version, what each registers, and why a broken one is out."""
    records = registry().plugins
    if as_json:
        emit_json([_record(r) for r in records])
        return
    table(
        ("PLUGIN", "DISTRIBUTION", "VERSION", "STATE", "REGISTERS"),
        [
            (
                r.name,
                r.distribution,
                r.version,
                r.state,
                ", ".join(f"{n}" for names in _registers(r).values() for n in names),
            )
            for r in records
        ],
    )
    for record in records:
        if record.error:
            click.echo(f"{record.label} is broken: {record.error}")
        for note in record.notes:
            click.echo(f"{record.label}: {note}")


def _registers(record: PluginRecord) -> dict[str, list[str]]:
    if record.plugin is None:
        return {}
    found = {"architectures": [a.name for a in record.plugin.architectures]}
    found |= {t: list(getattr(record.plugin, t)) for t in TABLES}
    return {k: v for k, v in found.items() if v}


def _record(record: PluginRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "state": record.state,
        "error": record.error or None,
        "notes": record.notes,
        "registers": _registers(record),
    }


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
        "models": _models(faults),
        "faults": faults,
    }
    if as_json:
        emit_json(report)
    else:
        for key, value in report.items():
            if key != "faults":
                click.echo(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
        click.echo("\n".join(f"FAULT {f}" for f in faults) if faults else "No faults found.")
    if faults:
        sys.exit(1)


def _libraries() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("torch", "timm", "huggingface-hub", "safetensors", "accelerate", "numpy", "Pillow", "lpips"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def _devices() -> list[str]:
    import torch

    found = [f"cpu ({torch.get_num_threads()} threads)"]
    found += [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return found + (["mps"] if torch.backends.mps.is_available() else [])


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
                    faults.append(f"{arch.name} {part}: {error}")
    for name in TABLES:
        for key in reg.names(name) if name != "label_spaces" else ():  # these are read in full
            try:
                reg.get(name, key)
            except ZooError as error:
                faults.append(f"{name} {key}: {error}")
    return sorted(set(faults))


def _models(faults: list[str]) -> list[str]:
    """Embedded models whose files match their cards."""
    from zoo.cards import all_cards, card_digests
    from zoo.errors import ZooError
    from zoo.weights import verify

    good = []
    for card in all_cards().values():
        if card.embedded:
            try:
                verify(card.folder, card_digests(card.folder))
                good.append(card.model_id)
            except ZooError as error:
                faults.append(f"model {card.model_id}: {error}")
    return good
