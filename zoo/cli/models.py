"""`zoo list` and `zoo card`."""

from __future__ import annotations

import dataclasses
import os
import typing

import click

from zoo import cards, hub
from zoo.cards.licenses import near_licence
from zoo.cli.architectures import list_architectures, names_variant, show_variant
from zoo.cli.show import emit_json, is_terminal, json_option, megabytes, say, show, stdout, table
from zoo.errors import UsageError, WeightsError, did_you_mean
from zoo.files.names import printable
from zoo.hub.resolving import card_of
from zoo.registry import KINDS, import_string, registry

USES = ("commercial",)
SHOWN: dict[hub.State, str] = {
    "embedded": "embedded",
    "cached": "cached",
    "remote": "remote",
    "unpublished": "not published",
}
FACTS = (
    *("architecture", "variant", "kind", "label_space", "resolution", "parameters", "data", "paper"),
    *("code_license", "weights_license", "data_license", "recipe", "limits"),
)


def _use(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and value not in USES:
        raise UsageError(
            f"--license-ok {value!r}: expected {' or '.join(USES)}{did_you_mean(value, USES)}"
            " (each model's three licences: zoo list --json)"
        )
    return value


@click.command("list", epilog="Example: zoo list '*celeba*' --kind image-synthesizer")
@click.argument("pattern", default="*")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Only models of this kind.")
@click.option(
    "--license-ok",
    "use",
    metavar="commercial",
    callback=_use,
    help="Only models whose code, weights and data are all under licences that permit this use.",
)
@click.option(
    "--architectures", is_flag=True, help="Systems and their variants instead, published or not: sizes, labels, papers."
)
@json_option
def list_models(pattern: str, kind: str | None, use: str | None, architectures: bool, as_json: bool) -> None:
    """Models whose id or architecture matches PATTERN (a glob; default: all): what they are, and where their weights lie.

    STATE is embedded (in this installation), cached (pulled before), remote (zoo pull gets it) or not published.

    --license-ok commercial: code, weights, data (and the data of assets that were fitted later) must each be an SPDX id that
    permits commercial use: Apache-2.0, MIT, BSD, CC0-1.0, CC-BY-4.0 and the like, share-alike and copyleft ones (CC-BY-SA-4.0,
    GPL-3.0-only) too; joined by AND or OR. Prose, non-commercial licences and `unknown` never count.
    """
    if architectures:
        if use is not None:
            raise UsageError(
                "Variants are no models and have no licences of weights: leave --license-ok or --architectures out."
            )
        list_architectures(pattern, kind, as_json=as_json)
        return
    matching = cards.search(pattern, kind=kind)
    if not matching:
        say(f"No model matches {pattern!r}" + (f" of kind {kind}" if kind else "") + ".")
    kept = [c for c in matching if not (use and c.not_commercial())]
    _say_left_out([c for c in matching if c not in kept])
    if as_json:
        emit_json([_row(card) for card in kept])
        return
    table(
        ("MODEL", "KIND", "LABELS", "SIZE", "PARAMETERS", "STATE", "WEIGHTS LICENCE"),
        [
            (
                c.model_id,
                c.facts.get("kind", "?"),
                c.facts.get("label_space", "?"),
                megabytes(c.size),
                _count(c),
                SHOWN[hub.state(c)],
                _short(c.licenses["weights"] or "not stated"),
            )
            for c in kept
        ],
    )


def _say_left_out(left: list[cards.Card]) -> None:
    """One line on what `--license-ok` left out, one for every licence that is nearly an SPDX id."""
    if left:
        say(
            f"Left out, not all licences permit commercial use: {', '.join(c.model_id for c in left)} (see: zoo card MODEL)"
        )
    for card in left:
        for name, text in card.licenses.items():
            if hint := near_licence(text or ""):
                say(f"{card.model_id}: {name}_license {text!r} is no SPDX id{hint}")


def _row(card: cards.Card) -> dict[str, object]:
    """The facts, and what the zoo found, which no fact of that name replaces."""
    whole = card.to_json()
    computed = {name: whole[name] for name in ("id", "bytes", "plugin", "commercial", "can")}
    computed |= {"state": SHOWN[hub.state(card)], "licenses": card.licenses}
    facts = whole["zoo"] if card.facts else {}
    return {**computed, **facts, **computed}


def _count(card: cards.Card) -> str:
    parameters = card.facts.get("parameters")
    return f"{parameters:,}" if isinstance(parameters, int) and 0 <= parameters < 2**63 else "?"


def _short(text: str) -> str:
    return text if len(text) <= 48 else text[:47] + "…"


# --- one card -----------------------------------------------------------------------------------------------------


@click.command(epilog="Example: zoo card mask-vae-celeba")
@click.argument("model")
@json_option
def card(model: str, as_json: bool) -> None:
    """The card of MODEL: what it is, how it was made, what it was measured at, its limits and licences.

    MODEL is a model id, an architecture (then its default model), a model folder or a finished training run; or ARCH/VARIANT,
    a config that may have no model yet: its sizes and options, and how to train it (zoo list --architectures has all).
    """
    if names_variant(model):
        show_variant(model, as_json=as_json)
        return
    card, state, source = _find(model)
    if as_json:
        emit_json({**card.to_json(), "state": state, "source": source})
        return
    rows = [("state", source), *_facts(card)]
    if is_terminal() and "NO_COLOR" not in os.environ:
        _rich(card, rows)
        return
    show(f"{card.model_id}  ({state}, {megabytes(card.size)})")
    for name, text in rows:
        for line in text.splitlines():
            show(f"  {name}: {line}")
    show("")
    show(card.body.rstrip())


def _find(model: str) -> tuple[cards.Card, str, str]:
    """A card, the state of its weights in one word, and in a sentence."""
    if not hub.is_path(model) and not model.startswith("hf:"):
        card = card_of(model)
        state = hub.state(card)
        return card, SHOWN[state], _source(card, state)
    there = hub.resolve(model)
    if not there.folder.is_dir():
        raise WeightsError(f"There is no folder {there.folder}.")
    card = cards.read_card(there.folder)
    if card is None:
        raise WeightsError(f"{there.folder} has no card ({cards.README}): a training run and `zoo convert` write one.")
    state = "folder" if hub.is_path(model) else "cached"
    return dataclasses.replace(card, model_id=there.name), state, f"{state} {there.folder}"


def _source(card: cards.Card, state: hub.State) -> str:
    """Where the weights are, or how to come by them."""
    if state in ("embedded", "cached"):
        return f"{state} {hub.location(card)}"
    if state == "remote":
        return f"remote {hub.remote_of(card)}; get it with: zoo pull {card.model_id}"
    return "not published yet: train (see the recipe) or convert (zoo convert FILE… --out DIR)"


def _facts(card: cards.Card) -> list[tuple[str, str]]:
    """The facts in order; what the text below says anyway (recipe, limits) is not said twice."""
    text = " ".join(card.body.split())
    rows = []
    for name in FACTS:
        value = card.facts.get(name)
        lines = value if isinstance(value, list) and name == "limits" else str(value or "").splitlines()
        if name in ("recipe", "limits"):
            lines = [str(line) for line in lines if str(line).strip() and " ".join(str(line).split()) not in text]
            rows += [(name, "\n".join(lines))] if lines else []
            continue
        if isinstance(value, list):
            value = " x ".join(str(v) for v in value)
        if name == "parameters" and isinstance(value, int):
            value = f"{value:,}"
        rows.append((name.replace("_", " "), "not stated" if value in (None, "") else str(value)))
    rows += [("file", f"{name}  sha256 {digest}") for name, digest in card.files.items()]
    return rows + [("option", line) for line in _options(str(card.facts.get("architecture")))]


def _rich(card: cards.Card, rows: list[tuple[str, str]]) -> None:
    from rich.console import Console, Group
    from rich.markdown import Markdown
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(printable(name), Text(printable(text)))
    title = Text(printable(card.model_id), style="bold") + Text(f"  {megabytes(card.size)}", style="dim")
    Console(file=stdout()).print(Group(title, Padding(grid, (0, 0, 1, 2)), Markdown(printable(card.body))))


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
