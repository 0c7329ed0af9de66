"""`zoo list` and `zoo card`."""

from __future__ import annotations

import dataclasses
import os
import sys
import typing

import click

from zoo import cards
from zoo.cli.show import emit_json, json_option, megabytes, table
from zoo.registry import KINDS, import_string, registry


@click.command("list", epilog="Example: zoo list '*celeba*' --kind image-synthesizer")
@click.argument("pattern", default="*")
@click.option("--kind", type=click.Choice(KINDS), help="Only models of this kind.")
@json_option
def list_models(pattern: str, kind: str | None, as_json: bool) -> None:
    """Models whose id or architecture matches PATTERN (a glob; default: all)."""
    found = cards.search(pattern, kind=kind)
    if as_json:
        emit_json([_row(card) for card in found])
        return
    if not found:
        click.echo(f"No model matches {pattern!r}" + (f" of kind {kind}" if kind else "") + ".", err=True)
    table(
        ("MODEL", "KIND", "LABELS", "SIZE", "PARAMETERS", "STATE", "WEIGHTS LICENCE"),
        [
            (
                c.model_id,
                c.facts.get("kind", "?"),
                c.facts.get("label_space", "?"),
                _size(c),
                _count(c),
                _state(c),
                _short(c),
            )
            for c in found
        ],
    )


def _row(card: cards.Card) -> dict[str, object]:
    return {"id": card.model_id, "state": _state(card), "bytes": card.size, "plugin": card.owner, **card.facts}


def _state(card: cards.Card) -> str:
    return "embedded" if card.embedded else "not here"


def _size(card: cards.Card) -> str:
    return megabytes(card.size)


def _count(card: cards.Card) -> str:
    found = card.facts.get("parameters")
    return f"{found:,}" if isinstance(found, int) else "?"


def _short(card: cards.Card) -> str:
    text = str(card.facts.get("weights_license", "unknown"))
    return text if len(text) <= 48 else text[:47] + "…"


@click.command(epilog="Example: zoo card mask-vae-celeba")
@click.argument("model")
@json_option
def card(model: str, as_json: bool) -> None:
    """The card of MODEL: what it is, how it was made, what it was measured at, its licences."""
    found = cards.find(model)
    if as_json:
        emit_json(found.to_json())
        return
    _facts(found)
    click.echo()
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(found.body))
    else:
        click.echo(found.body.rstrip())


def _facts(found: cards.Card) -> None:
    facts = found.facts
    click.echo(f"{found.model_id}  ({_state(found)}, {_size(found)})")
    for name in (
        "architecture",
        "variant",
        "kind",
        "label_space",
        "resolution",
        "parameters",
        "data",
        "paper",
        "code_license",
        "weights_license",
        "data_license",
    ):
        value = facts.get(name)
        if isinstance(value, list):
            value = " x ".join(str(v) for v in value)
        click.echo(f"  {name.replace('_', ' ')}: {value if value not in (None, '') else 'unknown'}")
    for line in _options(str(facts.get("architecture"))):
        click.echo(f"  option {line}")


def _options(architecture: str) -> list[str]:
    """What `--opt` takes for this architecture: `key=default (choices)`."""
    known = registry().architectures
    if architecture not in known or not known[architecture].options:
        return []
    options = import_string(str(known[architecture].options), architecture)
    hints = typing.get_type_hints(options)
    lines = []
    for field in dataclasses.fields(options):
        choices = typing.get_args(hints[field.name]) if typing.get_origin(hints[field.name]) is typing.Literal else ()
        lines.append(f"{field.name}={field.default}" + (f" ({', '.join(map(str, choices))})" if choices else ""))
    return lines
