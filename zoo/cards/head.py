"""The head of a card: YAML that strangers may have written, read so that it can neither run, grow nor lead anywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import WeightsError, shown
from zoo.files.names import is_inside

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader as _Loader

LARGEST = 4_000_000
"""Bytes of a card; the Hub refuses larger ones."""
LARGEST_HEAD = 1 << 20
"""Characters of its front matter: without libyaml a megabyte takes seconds."""
_HEAD = re.compile(r"\s*---[ \t]*\n(?P<head>.*?)(?:\n|(?<=\n))---[ \t]*(?:\n|\Z)", re.DOTALL)


def read_text(path: Path) -> str:
    """A card's text. Raises WeightsError for what is no text or too large, OSError."""
    size = path.stat().st_size
    if size > LARGEST:
        raise WeightsError(f"{path} has {size:,} bytes, more than a card may have ({LARGEST:,}).")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WeightsError(
            f"{path} is no UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from error


def parse_card(text: str, where: str) -> tuple[dict[str, Any], str]:
    """Front matter and body of a card. Raises WeightsError if the front matter is no plain YAML mapping."""
    match = _HEAD.match(text)
    if not match:
        return {}, text
    head = match["head"]
    if len(head) > LARGEST_HEAD:
        raise WeightsError(f"{where}: the card's front matter has {len(head):,} characters; at most {LARGEST_HEAD:,}.")
    try:
        if "&" in head and "*" in head and _repeats(head):  # a few lines of these stand for gigabytes
            raise WeightsError(f"{where}: the card's front matter uses YAML aliases (`*name`): write the values out.")
        front = yaml.load(head, Loader=_Loader)
    except yaml.YAMLError as error:
        raise WeightsError(f"{where}: the card's front matter is not YAML: {error}") from error
    except (
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:  # 2026-13-01, a number of 10,000 digits, 1,000 brackets
        raise WeightsError(f"{where}: the card's front matter cannot be read: {error}") from error
    if not isinstance(front, dict):
        raise WeightsError(f"{where}: the card's front matter is not a mapping.")
    return front, text[match.end() :].lstrip("\n")


def _repeats(head: str) -> bool:
    return any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(head, Loader=_Loader))


def check_file_names(files: Any, where: str) -> None:
    """Raise WeightsError unless `files` is a mapping of names within the model's folder."""
    if not isinstance(files, dict):
        raise WeightsError(
            f"{where}: `files` of the card is {shown(repr(files))}, expected file names with their sha256."
        )
    outside = [str(name) for name in files if not is_inside(str(name))]
    if outside:
        raise WeightsError(
            f"{where}: `files` of the card names {shown(repr(outside[0]), 300)}, which is no file of the model's own folder: expected names like"
            " model.safetensors or assets/label_sets.json. Do not use this card."
        )
