"""Is a model folder's card true and complete? Held against the weights and the config beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.cards import README, REQUIRED, Card, missing_facts, read_card
from zoo.cards.licenses import near_licence
from zoo.errors import WeightsError, ZooError
from zoo.registry import registry
from zoo.store.models import digests, load_model, read_config

PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".tar", ".npy", ".npz")
NO_CARD = (
    f"has no card ({README}). A card says what the model is and under which terms: write one with a front matter `zoo:` that"
    f" has {', '.join(REQUIRED)} (`unknown` is a licence), as `zoo card MODEL --json` shows it; a training run writes its own."
)


def check_card(folder: Path) -> Card:
    """The card of a model folder that is complete, loads strictly, and agrees with its card in every fact that can be checked.

    Raises WeightsError that lists all faults.
    """
    if not (folder / "config.json").is_file() and _pickles(folder):
        raise WeightsError(
            f"{folder} holds no model of the zoo but pickles ({', '.join(_pickles(folder)[:4])}), which are neither loaded"
            " nor uploaded: bring them in with `zoo convert FILE… --out DIR` and give DIR."
        )
    values = read_config(folder)
    card = read_card(folder)
    if card is None:
        raise WeightsError(f"{folder} {NO_CARD}")
    faults = [f"the card lacks {', '.join(missing)}" for missing in (missing_facts(card),) if missing]
    faults += _licence_faults(card) + _file_faults(card)
    if not faults:  # a damaged file has a digest of its own fault, and would only be named twice
        faults += _fact_faults(card, values)
    if faults:
        raise WeightsError(f"{folder}: " + "; ".join(faults) + ".")
    return card


def _pickles(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix in PICKLES) if folder.is_dir() else []


def _licence_faults(card: Card) -> list[str]:
    stated = {name: text for name, text in card.licenses.items() if text}
    return [
        f"{name}_license {text!r} is no SPDX id{near_licence(text)}"
        for name, text in stated.items()
        if near_licence(text)
    ]


def _file_faults(card: Card) -> list[str]:
    """Files against the digests of the card, both ways."""
    actual, listed = digests(card.folder), card.files
    faults = [f"the card does not list {name}" for name in actual if name not in listed]
    faults += [f"the card lists {name}, which is missing" for name in listed if name not in actual]
    faults += [
        f"{name} does not match the card: sha256 {actual[name]}, expected {digest}"
        for name, digest in listed.items()
        if name in actual and actual[name] != digest
    ]
    if not faults and card.facts.get("bytes") != card.size:
        faults.append(f"the card says {card.facts.get('bytes')} bytes, the files have {card.size}")
    return faults


def _fact_faults(card: Card, values: dict[str, Any]) -> list[str]:
    """Facts of the card against the config and the loaded model (strictly, from the files)."""
    try:
        model = load_model(card.folder, check=False)
    except ZooError as error:
        return [f"the model does not load: {str(error).rstrip('.')}"]
    space = values["label_space"]
    true = {
        "architecture": values["architecture"],
        "variant": values["variant"],
        "kind": registry().architecture(values["architecture"]).kind,
        "label_space": space if isinstance(space, str) else space.get("name"),
        "resolution": values["resolution"],
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    return [
        f"the card says {name} {card.facts.get(name)!r}, the model has {value!r}"
        for name, value in true.items()
        if card.facts.get(name) != value
    ]
