"""Results into the card of the model that was measured: its scores, the Hub's model index, and the section "Measured"."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.cards import read_card, write_card
from zoo.cards.writing import Measured, front_matter
from zoo.data.facts import facts_of
from zoo.data.specs import parse_spec
from zoo.errors import UsageError
from zoo.evaluation.run import EvalRequest
from zoo.evaluation.tables import figures, markdown
from zoo.files.writing import told

HEADING = "## Measured"


def public_data(spec: str) -> str:
    """A data set as a reader of a card would name it: its place is DIR, its options and split stay."""
    parsed = parse_spec(spec)
    if parsed.path is None:
        return str(parsed)
    _, comma, options = parsed.path.partition(",")
    drawn = parsed.path.isdigit()  # of toy sets: how many pairs
    return f"{parsed.name}:{parsed.path if drawn else f'DIR{comma}{options}'}" + (
        f"#{parsed.split}" if parsed.split else ""
    )


def command(document: Mapping[str, Any], model: str) -> str:
    """The command that gives these figures, for whoever has the data: with every option that is not the default."""
    words = ["zoo", "eval", model, "--data", public_data(document["data"])]
    if asked := document.get("asked"):
        words += ["--metrics", ",".join(asked)]
    for name, usual in EvalRequest("", "").options.items():
        value = document["request"].get(name)
        if value not in (usual, None):
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{name}", str(one)]
    return shlex.join(words)


def write_into_card(document: Mapping[str, Any], folder: Path) -> Path:
    """Put the results into `README.md` of a model folder; returns its path. What else stands there stays.

    The `scores` of its head and `model-index` are made anew, and so is the section "Measured" (put at the end where there was none). Raises UsageError
    for a folder without a card, DataError where it cannot be written.
    """
    card = read_card(folder)
    if card is None or not card.facts:
        raise UsageError(f"{folder} has no card to write into: it is no published model and no finished training run.")
    spec = parse_spec(document["data"])
    about, found = facts_of(spec.name), figures(document)
    side = "x".join(str(n) for n in dict.fromkeys(document["resolution"]))
    title = f"{about.title if about.title != 'unknown' else spec.name}, {document['pairs']} {about.things} at {side} px"
    facts = {**card.facts, "scores": found}
    made = front_matter(
        facts, name=card.model_id, measured=Measured(title, spec.name, spec.split), license_link=about.url
    )
    front = {**card.front, "model-index": made["model-index"], "zoo": facts}
    with told(folder):
        write_card(folder, front, with_section(card.body, section(document, card.model_id)))
    return folder / "README.md"


def section(document: Mapping[str, Any], model: str) -> str:
    """The section of a card: the command, then what it prints as Markdown."""
    return f"{HEADING}\n\n```bash\n{command(document, model)}\n```\n\n{markdown(document, heading='')}"


def with_section(body: str, made: str) -> str:
    """A card's text with its section "Measured" in place of the old one, or at the end."""
    found = re.search(rf"^{HEADING}\s*\n.*?(?=^## |\Z)", body, re.MULTILINE | re.DOTALL)
    if found is None:
        return f"{body.rstrip()}\n\n{made}"
    return f"{body[: found.start()]}{made.rstrip()}\n\n{body[found.end() :]}"
