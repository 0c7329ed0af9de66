"""The command `zoo`: one small module per noun, imported when its command runs."""

from __future__ import annotations

import errno
import functools
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import click

from zoo.cli.show import own_stdout, say, widen_output
from zoo.environment import leave
from zoo.errors import ToldElsewhere, UsageError, ZooError, did_you_mean
from zoo.files.names import is_printable, one_line
from zoo.version import __version__

# name: (module:command, one line for the list); the line is here so that --help imports no command
COMMANDS = {
    "list": ("zoo.cli.models:list_models", "Models by name, with what they are and their licence."),
    "card": ("zoo.cli.models:card", "The card of a model."),
    "labels": ("zoo.cli.labels:labels", "Label spaces and their classes."),
    "plugins": ("zoo.cli.plugins:plugins", "Installed plugins, what they register, and what is broken."),
    "doctor": ("zoo.cli.plugins:doctor", "Versions, devices, plugins and models of this installation."),
    "compose": ("zoo.cli.compose:compose", "Generate maps and turn them into pictures."),
    "generate": ("zoo.cli.compose:generate", "Generate maps only."),
    "synth": ("zoo.cli.compose:synth", "Turn given maps into pictures."),
    "translate": ("zoo.cli.translate:translate", "Turn photos into those of another domain."),
    "parse": ("zoo.cli.parse:parse", "Read label maps in photos."),
    "ui": ("zoo.cli.ui:ui", "A page to paint layouts on and see their pictures."),
    "replay": ("zoo.cli.replay:replay", "Make a run again and compare it byte by byte."),
    "mask": ("zoo.cli.mask:mask", "Look at label-map files."),
    "data": ("zoo.cli.data:data", "Look at data sets."),
    "pull": ("zoo.cli.hub:pull", "Get models from the Hub, verified."),
    "push": ("zoo.cli.push:push", "Publish a model folder on the Hub."),
    "verify": ("zoo.cli.hub:verify", "Hash the files of models again."),
    "compare": ("zoo.cli.compare:compare", "How two models differ: config, weights, outputs."),
    "train": ("zoo.cli.train:train", "Train a model."),
    "eval": ("zoo.cli.eval:evaluate", "Measure a model, or a folder of pictures, on a data set."),
    "reproduce": ("zoo.cli.reproduce:reproduce", "Train and measure the rows of a paper's table."),
    "plot": ("zoo.cli.plot:plot", "Charts of what was measured, with their numbers."),
    "fit": ("zoo.cli.fit:fit", "Compute an asset of a model again, or on other data."),
    "identify": ("zoo.cli.checkpoints:identify", "Whose networks a checkpoint file holds."),
    "convert": ("zoo.cli.checkpoints:convert", "Make a model folder of the authors' checkpoints."),
    "export": ("zoo.cli.export:export", "A model as ONNX, for programs without torch."),
    "new-plugin": ("zoo.cli.new_plugin:new", "Write a plugin of your own to start from."),
}


class LazyGroup(click.Group):
    """Commands are imported when they are called; a near miss gets a suggestion."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        for leaf in command.commands.values() if isinstance(command, click.Group) else (command,):
            if leaf.callback is not None and not hasattr(leaf.callback, "__wrapped__"):
                leaf.callback = _alone_on_stdout(leaf.callback)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]):
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            raise UsageError(f"No command {one_line(name)!r}{did_you_mean(name, COMMANDS)} (see: zoo --help)")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _alone_on_stdout(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with own_stdout():
            return callback(*args, **kwargs)

    return wrapped


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="zoo")
def cli(debug: bool) -> None:
    """Semantic masks and the pictures they stand for: any mask generator chained into any image synthesizer.

    \b
    zoo compose mask-vae+scgan -n 8 --out faces
    zoo compose mask-vae+scgan --mask FACE.png --edit redraw:hair -n 4
    """


def main(argv: list[str] | None = None) -> None:
    """Run the command line: 0 done, 1 could not, 2 wrong usage, 130 interrupted; an error is one block on stderr."""
    try:
        _run(argv)
    except SystemExit as end:
        if argv is None and "torch.distributed" in sys.modules and os.environ.get("WORLD_SIZE", "1") != "1":
            leave(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise


def _run(argv: list[str] | None) -> None:
    arguments = sys.argv[1:] if argv is None else argv
    widen_output()
    if argv is None:  # the program: a program's words, not a line of its source
        warnings.formatwarning = _as_words(warnings.formatwarning)
    debug = "--debug" in arguments or os.environ.get("ZOO_DEBUG") == "1"
    try:
        _check_arguments(arguments)
        code = cli.main(args=[a for a in arguments if a != "--debug"], prog_name="zoo", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except ToldElsewhere as error:
        if debug:
            raise
        sys.exit(error.exit_code)
    except ZooError as error:
        if error.exit_code == 130 and argv is None:
            # the work is over: impatience while the interpreter ends would only add a traceback
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        _fail(_text(error), error.exit_code, debug)
    except click.ClickException as error:
        if debug:
            raise
        text = io.StringIO()
        error.show(file=text)
        say(text.getvalue().rstrip("\n"))
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        if argv is None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        _fail("Interrupted.", 130, debug)
    except BrokenPipeError:
        # the reader of a pipe went away (| head): nothing is wrong, and nothing more can be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        _fail(*_unforeseen(error), debug)


def _as_words(usual: Callable[..., str]) -> Callable[..., str]:
    """How a warning is written: the zoo's own to users as a sentence, all others as usual."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

    def words(message: Warning | str, category: type[Warning], filename: str, *place: Any) -> str:
        if category is UserWarning and os.path.abspath(filename).startswith(package + os.sep):
            return f"Warning: {one_line(str(message), 2000)}\n"
        return usual(message, category, filename, *place)

    return words


def _check_arguments(arguments: Sequence[str]) -> None:
    """Raise UsageError for an argument with control characters: no name that a command takes has any, and none would be shown right."""
    for argument in arguments:
        if not is_printable(argument):
            raise UsageError(
                f'The argument "{one_line(argument, 100)}" holds control characters, which no name here has: leave them out.'
            )


def _text(error: ZooError) -> str:
    from zoo.cli.flags import with_flags

    try:
        return with_flags(error)
    except Exception:  # a plugin's own error, whose text cannot be read
        from zoo.registry import told

        return told(error)


def _unforeseen(error: Exception) -> tuple[str, int]:
    """The text and the exit code for what nothing else caught: a name that the system refuses, a plugin's fault, or one of the zoo."""
    from zoo.files.writing import is_full, reason
    from zoo.registry import culprit, registry, told
    from zoo.registry.border import ADVICE, reads_metadata

    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f"A name is too long for a file: {one_line(str(error.filename), 100)!r}.", 2
    if isinstance(error, OSError) and is_full(error):
        return f"Cannot write {one_line(str(error.filename or 'a file'), 200)}: {reason(error)}.", 1
    plugins = registry().plugins
    unreadable = [r for r in plugins if r.unreadable]
    if unreadable and reads_metadata(error):
        return (
            f"A library of this environment reads the entry points of all distributions, and cannot read those of "
            f"{', '.join(r.distribution for r in unreadable)} ({told(error)}): reinstall or uninstall that.",
            1,
        )
    record = culprit(error, plugins)
    if record is not None:
        return f"Plugin {record.label} failed ({told(error)}). {ADVICE} --debug shows where.", 1
    return f"{told(error)}\nThis should not happen; the same command with --debug shows where it did.", 1


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        raise
    say(f"Error: {message}" if code != 130 else message)
    sys.exit(code)
