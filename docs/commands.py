"""Writes docs/commands.md, the help of every command, from the commands themselves: `python docs/commands.py`.

A test holds the page against the commands. The page is made of what click knows and not of what a terminal shows, so that it
depends on no width.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from zoo.cli import cli

PAGE = Path(__file__).with_name("commands.md")
HEAD = """\
# Commands

What `zoo COMMAND --help` says, of every command. Written by `python docs/commands.py`; change the commands, not this page.

Data goes to stdout, talk and progress to stderr; `--json` gives one document. Exit codes: 0 done, 1 could not, 2 wrong usage,
130 interrupted. `zoo --debug COMMAND` shows the traceback of an error. Every command has `-h` and `--help`.
"""


def page() -> str:
    """The whole page, as Markdown."""
    root = click.Context(cli, info_name="zoo")
    return "\n".join([HEAD, *(section(context) for context in commands(root))])


def commands(context: click.Context) -> Iterator[click.Context]:
    """A command and, depth first, all below it, in the order of `--help`."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None, name
            yield from commands(click.Context(command, info_name=name, parent=context))


def section(context: click.Context) -> str:
    """Usage, text, options and example of one command."""
    command = context.command
    depth = context.command_path.count(" ")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"{'#' * (depth + 2)} {context.command_path}", f"```text\n{usage}\n```", *paragraphs(command.help)]
    if isinstance(command, click.Group):
        names = command.list_commands(context)
        parts.append("Commands: " + ", ".join(f"`{name}`" for name in names) + ".")
    options = [p.get_help_record(context) for p in command.params if isinstance(p, click.Option)]
    parts.append("\n".join(f"- `{names}`: {escaped(text)}" for names, text in filter(None, options)))
    return "\n\n".join(filter(None, [*parts, *paragraphs(command.epilog)])) + "\n"


def paragraphs(text: str | None) -> list[str]:
    """Paragraphs of a help text; one that click is told not to wrap (`\\b`), and an example, become blocks of code."""
    found = []
    for part in re.split(r"\n\s*\n", inspect.cleandoc(text or "")):
        words = " ".join(part.split())
        if part.startswith("\b"):
            found.append("```bash\n" + part.removeprefix("\b").strip("\n") + "\n```")
        elif example := re.fullmatch(r"Examples?: (zoo .*)", words):
            found.append("```bash\n" + "\n".join(example[1].split("; ")) + "\n```")
        elif words:
            found.append(escaped(words))
    return found


def escaped(text: str) -> str:
    """Text whose brackets and stars Markdown leaves alone; what stands in backticks is code already."""
    words = " ".join(text.split())
    return re.sub(r"`[^`]*`|[\\*_\[\]<>]", lambda m: m[0] if m[0].startswith("`") else "\\" + m[0], words)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
