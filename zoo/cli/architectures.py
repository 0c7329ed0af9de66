"""Systems and their variants, published or not: `zoo list --architectures` and `zoo card ARCH/VARIANT`. Nothing here builds a network."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

from zoo import cards, configs
from zoo.cli.show import emit_json, say, show, table
from zoo.errors import ZooError, did_you_mean
from zoo.registry import Variant, registry
from zoo.registry.capabilities import narrowed


def list_architectures(pattern: str, kind: str | None, *, as_json: bool) -> None:
    """A row for each variant of the architectures whose name (or `ARCH/VARIANT`) matches a glob."""
    rows = [row for name in _names(kind) for row in _rows(name) if _matches(row, pattern)]
    if as_json:
        emit_json(rows)
        return
    if not rows:
        near = did_you_mean(pattern, registry().architectures)
        say(f"No architecture matches {pattern!r}" + (f" of kind {kind}" if kind else "") + (near or "."))
    table(
        ("VARIANT", "KIND", "LABELS", "PIXELS", "PARAMETERS", "MODELS", "TITLE"),
        [
            (
                row["id"],
                row["kind"],
                row["label_space"] or "?",
                "x".join(map(str, row["resolution"] or ())) or "?",
                "?" if row["parameters"] is None else f"{row['parameters']:,}",
                ", ".join(row["models"]) or "-",
                row["title"],
            )
            for row in rows
        ],
    )
    for name in dict.fromkeys(row["architecture"] for row in rows):
        show(f"{name}: {registry().architectures[name].paper or 'paper not stated'}")


def _names(kind: str | None) -> list[str]:
    known = registry().architectures
    ours = {id(arch) for name, arch in known.items() if ":" not in name}
    return [
        name
        for name, arch in known.items()
        if (kind is None or arch.kind == kind) and (":" not in name or id(arch) not in ours)
    ]


def _matches(row: dict[str, Any], pattern: str) -> bool:
    return fnmatch.fnmatch(row["architecture"], pattern) or fnmatch.fnmatch(row["id"], pattern)


def _rows(name: str) -> list[dict[str, Any]]:
    """All variants of one architecture; a plugin whose variants cannot be read has one line that says so."""
    reg = registry()
    try:
        variants: dict[str, Variant] = reg.load(reg.architectures[name], "variants")
    except ZooError as error:
        say(str(error))
        return []
    return [variant_facts(name, text, variant) for text, variant in variants.items()]


def variant_facts(name: str, variant_name: str | None, variant: Variant) -> dict[str, Any]:
    """What is known of a variant without building it; None for what nobody states."""
    reg = registry()
    arch = reg.architectures[name]
    published = [
        card
        for card in cards.all_cards().values()
        if card.facts.get("architecture") == name and card.facts.get("variant") == variant_name
    ]
    parameters = arch.parameters.get(str(variant_name))
    sides = next((card.facts.get("resolution") for card in published), None)
    return {
        "id": f"{name}/{variant_name}" if variant_name else name,
        "architecture": name,
        "variant": variant_name,
        "kind": arch.kind,
        "title": variant.title or arch.title,
        "paper": arch.paper or None,
        "label_space": getattr(variant.config, "label_space", None),
        "resolution": _resolution(variant.config, sides),
        "parameters": next((_number(c) for c in published), None) if parameters is None else parameters,
        "models": [card.model_id for card in published],
        "data": sorted({str(card.facts.get("data")) for card in published if card.facts.get("data")}),
        "trainer": arch.trainer is not None,
        "converter": arch.official is not None,
        "can": sorted(narrowed(arch.can, variant.config)),
        "plugin": reg.owner(name).label,
    }


def _number(card: cards.Card) -> int | None:
    value = card.facts.get("parameters")
    return value if type(value) is int and 0 <= value < 2**63 else None


def _resolution(config: Any, sides: Any) -> list[int] | None:
    """(height, width) by what configs call it, else as a card of the variant states it."""
    for name in ("resolution", "side", "size", "crop_size"):
        value = getattr(config, name, None)
        if type(value) is int:
            ratio = getattr(config, "aspect_ratio", 1.0)  # width over height
            return [round(value / ratio), value] if isinstance(ratio, int | float) and ratio > 0 else None
        if isinstance(value, tuple | list) and len(value) == 2 and all(type(v) is int for v in value):
            return list(value)
    return list(sides) if isinstance(sides, list) and len(sides) == 2 else None


# --- one variant --------------------------------------------------------------------------------------------------


def names_variant(text: str) -> bool:
    """Whether `text` is ARCH/VARIANT and not the path of a folder."""
    head, slash, tail = text.partition("/")
    if not slash or not tail or "/" in tail or Path(text).exists():
        return False
    return head in registry().architectures or bool(did_you_mean(head, registry().architectures) and head.strip("."))


def show_variant(text: str, *, as_json: bool) -> None:
    """The card of a variant. Raises UsageError with near misses for an architecture or a variant that is not there."""
    name, variant_name, variant = registry().variant(text)
    facts = variant_facts(name, variant_name, variant)
    facts["config"] = configs.to_dict(variant.config)
    facts["training"] = None if variant.training is None else configs.to_dict(variant.training)
    facts["train"] = f"zoo train {facts['id']} --data DATASET --out RUN" if facts["trainer"] else None
    if as_json:
        emit_json(facts)
        return
    show(
        f"{facts['id']}  (a variant: {'published as ' + ', '.join(facts['models']) if facts['models'] else 'no model is published'})"
    )
    count = facts["parameters"]
    rows = {
        "title": facts["title"],
        "kind": facts["kind"],
        "paper": facts["paper"] or "not stated",
        "label space": facts["label_space"] or "not stated",
        "resolution": " x ".join(map(str, facts["resolution"] or ())) or "not stated",
        "parameters": "not stated" if count is None else f"{count:,}",
        "can": ", ".join(facts["can"]) or "what its kind owes",
        "plugin": facts["plugin"],
        "train": facts["train"] or "its plugin brings no trainer; models are written by zoo.save",
        "convert": f"zoo convert FILE --as {facts['id']} --out DIR"
        if facts["converter"]
        else "its plugin brings no converter",
    }
    for key, value in rows.items():
        show(f"  {key}: {value}")
    for part in ("config", "training"):
        for key, value in (facts[part] or {}).items():
            show(f"  {part} {key}={value}")
