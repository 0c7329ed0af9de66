"""How commands talk: data on stdout, talk on stderr, `--json` as one document."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from zoo.files.names import printable, printable_json
from zoo.files.private import public_command

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def widen_output() -> None:
    """Let stdout and stderr write what their code page lacks as an escape (`\\u2026`) instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def emit_json(value: Any) -> None:
    """Print one JSON document; in a narrow code page in ASCII, as JSON escapes."""
    wide = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "").startswith("utf")
    click.echo(printable_json(json.dumps(value, indent=2, ensure_ascii=not wide, default=str)))


def show(text: str) -> None:
    """Data for people on stdout, as far as strangers (cards, checkpoints, servers) gave it: without control characters."""
    click.echo(printable(text))


def say(text: str) -> None:
    """Talk: a line on stderr."""
    click.echo(printable(text), err=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns on stdout; nothing for no rows. Plain text, so that it can be piped and costs no import."""
    body = [[" ".join(str(cell).splitlines()) for cell in row] for row in rows]
    if not body:
        return
    widths = [max(len(line[i]) for line in [list(head), *body]) for i in range(len(head))]
    for line in [list(head), *body]:
        show("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def command_line() -> str:
    """The command as it was typed, for a card that travels: absolute paths by their last name, not where things lie here."""
    return public_command(["zoo", *sys.argv[1:]])


def megabytes(size: int) -> str:
    """Bytes in MB for tables; a dash for none."""
    return f"{size / 1e6:.1f} MB" if size else "-"
