"""How commands talk: data on stdout, talk on stderr, `--json` as one document. All that a command prints goes through here, where
control characters of strangers' names are escaped; nothing else in `zoo.cli` echoes or prints (a test holds it)."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click

from zoo.files.names import brief, one_line, printable, printable_json
from zoo.files.private import public_command

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def widen_output() -> None:
    """Let stdout and stderr write what their code page lacks as an escape (`\\u2026`) instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


_STDOUT: list[TextIO] = []


@contextmanager
def own_stdout() -> Iterator[None]:
    """While a command works its stdout is this module's alone: what plugins and libraries print goes to stderr, from any thread,
    so that data on stdout stay data."""
    if _STDOUT:  # a command within a command
        yield
        return
    _STDOUT.append(sys.stdout)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = _STDOUT.pop()


def stdout() -> TextIO:
    """The stream for data."""
    return _STDOUT[0] if _STDOUT else sys.stdout


def is_terminal() -> bool:
    """Whether data go to a terminal."""
    return stdout().isatty()


def emit_json(value: Any) -> None:
    """Print one JSON document; in a narrow code page in ASCII, as JSON escapes."""
    wide = (getattr(stdout(), "encoding", None) or "").lower().replace("-", "").startswith("utf")
    click.echo(printable_json(json.dumps(value, indent=2, ensure_ascii=not wide, default=str)), file=stdout())


def show(text: object) -> None:
    """Data for people on stdout, as far as strangers (cards, checkpoints, servers) gave it: without control characters."""
    click.echo(printable(str(text)), file=stdout())


def say(text: str) -> None:
    """Talk: a line on stderr, over-long names shortened."""
    click.echo(printable(brief(text)), err=True)


def say_count(done: int, total: int) -> None:
    """A count that stays in its line on stderr, up to the last."""
    click.echo(f"\r{done}/{total}" + ("\n" if done == total else ""), nl=False, err=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns on stdout; nothing for no rows. Plain text, so that it can be piped and costs no import."""
    body = [[one_line(" ".join(str(cell).splitlines()), 2000) for cell in row] for row in rows]
    if not body:
        return
    widths = [max(len(line[i]) for line in [list(head), *body]) for i in range(len(head))]
    for line in [list(head), *body]:
        show("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def rich_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """The same with lines and colours on a terminal; into a pipe or a file as `table` writes it."""
    if not is_terminal():
        table(head, rows)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(*head)
    for row in rows:
        drawn.add_row(*(escape(printable(one_line(cell, 2000))) for cell in row))
    Console(file=stdout()).print(drawn)


def command_line() -> str:
    """The command as it was typed, for a card that travels: absolute paths by their last name, not where things lie here."""
    return public_command(["zoo", *sys.argv[1:]])


def megabytes(size: int) -> str:
    """Bytes in MB for tables; a dash for none."""
    return f"{size / 1e6:.1f} MB" if size else "-"
