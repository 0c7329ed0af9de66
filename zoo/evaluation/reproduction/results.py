"""`results.json` of a table: the request, what was trained, every figure by seed, and the claims; and its reading in Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.evaluation.results import plain
from zoo.files.jsonfiles import read_json
from zoo.files.writing import write_text

FORMAT = 1
RESULTS, REPORT = "results.json", "README.md"
IDENTITY = ("table", "size", "budget", "data", "changes", "limit", "samples", "styles", "judged_by")
"""What another document of a folder differs in: then another folder is asked for. Seeds and rows may grow."""


def read_document(path: Path) -> dict[str, Any] | None:
    """The document at `path`, None where there is none. Raises UsageError for a file of something else."""
    if not path.exists():
        return None
    found = read_json(path, error=UsageError, what="the results of a table")
    if found.get("format") != FORMAT or not isinstance(found.get("parts"), list) or "table" not in found:
        raise UsageError(f"{path} holds no results of zoo reproduce.")
    return found


def differing(document: Mapping[str, Any], head: Mapping[str, Any]) -> list[str]:
    """In what a document is of another request than `head`."""
    told = plain(head)
    return [key for key in IDENTITY if document.get(key) != told[key]]


def check_same(path: Path, head: Mapping[str, Any]) -> None:
    """Raise UsageError if the document at `path` is of another request."""
    found = read_document(path)
    if found is not None and (other := differing(found, head)):
        raise UsageError(
            f"{path} holds results of another request (it differs in {', '.join(other)}): choose another <<out>>, or the same options."
        )


def write_document(folder: Path, document: Mapping[str, Any], markdown: str) -> None:
    """Write both files, each at once."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / RESULTS, json.dumps(plain(document), indent=2, allow_nan=False) + "\n")
    write_text(folder / REPORT, markdown)
