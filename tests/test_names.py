"""Names that are over-long or hold control characters or markup, as every argument and option of every command: one short line."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from fixtures_models import Ran

from zoo.cli import COMMANDS
from zoo.files.names import brief, is_printable, one_line, printable

Run = Callable[..., Ran]
ROOT = Path(__file__).parents[1]
NAMES = {
    "nul": "a\0b",
    "line end": "a\nb",
    "tab": "a\tb",
    "ANSI": "a\x1b[31mred\x1b]0;title\x07b",
    "C1": "a\x9b2Jb",
    "turned": "a\u202eb",
    "255 bytes and more": "é" * 200,
    "a hundred thousand": "x" * 100_000,
    "a hundred thousand words": "x y " * 25_000,
    "a deep path": "./" + "x/" * 20_000,
    "markup": "[red]x[/red] [link=y]",
}


def leaves() -> Iterator[tuple[str, click.Command]]:
    for name, (where, _) in COMMANDS.items():
        module, _, attribute = where.partition(":")
        command = getattr(import_module(module), attribute)
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", leaf) for sub, leaf in command.commands.items())
        else:
            yield name, command


def takes_text(parameter: click.Parameter) -> bool:
    return not getattr(parameter, "is_flag", False) and isinstance(
        parameter.type, click.types.StringParamType | click.Path | click.Choice | click.types.IntParamType | click.types.FloatParamType
    )  # fmt: skip


PLACES = [(line, p.name) for line, command in leaves() for p in command.params if takes_text(p) and p.name]
# what the other required arguments of these commands hold
FILLED = {"out": "new", "data": "toy-faces:4", "kind": "mask-generator", "parser": "mask-vae"}


def line_with(command: click.Command, name: str, value: str) -> list[str]:
    """The shortest line of a command in which one argument or option holds a value."""
    options, arguments = [], []
    for parameter in command.params:
        here = parameter.name == name
        if not here and not parameter.required:
            continue
        text = value if here else FILLED.get(str(parameter.name), "no-such-thing")
        if isinstance(parameter, click.Argument):
            arguments.append(text)
        else:
            options += [parameter.opts[0], text]
    return [*options, "--", *arguments] if arguments else options


@pytest.mark.parametrize(("line", "name"), PLACES, ids=[f"{line} {name}" for line, name in PLACES])
def test_a_name_in_any_place_gives_one_short_line(
    line: str, name: str, published: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = dict(leaves())[line]
    for case, value in NAMES.items():
        ran = run(*line.split(), *line_with(command, name, value))
        assert "should not happen" not in ran.err and is_printable(
            (ran.out + ran.err).replace("\n", "").replace("\t", "")
        )
        assert ran.code in (0, 1, 2) and len(ran.err) < 6000, (case, ran.err)
        assert max(map(len, ran.err.splitlines()), default=0) < 2000, case
        if not is_printable(value):
            assert ran.code == 2 and ran.err.count("\n") == 1 and "control characters" in ran.err, case


def test_there_are_many_places() -> None:
    assert len(PLACES) > 60 and {line for line, _ in PLACES} >= {
        "list",
        "card",
        "compose",
        "data check",
        "mask inspect",
        "train",
    }


PRINTS = ("click.echo", "click.secho", "echo", "print", "sys.stdout.write", "sys.stderr.write")


def test_nothing_else_echoes_or_prints() -> None:
    """`zoo.cli.show` is the one home of output."""
    calls = []
    for path in sorted((ROOT / "zoo/cli").glob("*.py")):
        if path.name == "show.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in PRINTS:
                calls.append(f"{path.name}:{node.lineno}")
    assert calls == []


def test_markup_in_names_is_no_markup(
    published: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """rich reads `[red]` in what it is given as text of its own: on the card that a terminal gets, and in bars."""
    from rich.console import Console

    from zoo.cli import models
    from zoo.training.log import Log

    name = "[red]x[bold]"
    (tmp_path / name).symlink_to(published / "mask-vae-celeba")
    monkeypatch.setattr(models, "is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert name in run("card", f"{tmp_path}/{name}").out
    ran = run("generate", f"{tmp_path}/{name}", "--labels", "skin", "--out", tmp_path / "out", "--device", "cpu")
    assert ran.code == 0 and ran.out.strip() == str(tmp_path / "out")
    log = Log(tmp_path, 2)
    log.console = Console(record=True, stderr=True, force_terminal=False)
    log.step(1, 0.1, {"[red]loss\x1b[2J": 1.0})
    assert "[red]loss\\x1b[2J 1" in log.console.export_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 😀", "plain é 😀"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\0\x9b\u2028\u202e\udcff", "\\x00\\x9b\\u2028\\u202e\\udcff"),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_lengths() -> None:
    assert len(one_line("\x1b" * 100_000, 300)) <= 300 and len(one_line("x" * 301, 300)) < 301
    assert one_line("x" * 300, 300) == "x" * 300
    assert brief("a short message\nof two lines") == "a short message\nof two lines"
    assert brief(f"no {'x' * 1000}: see").startswith("no xxx") and brief(f"no {'x' * 1000}: see").endswith(" see")
    assert len(brief("x y " * 100_000)) < 1300 and printable("a\n\tb") == "a\n\tb"
