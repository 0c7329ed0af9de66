"""Errors name what the caller wrote: arguments in Python, flags on the command line, both of one text."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from fixtures_models import Ran

import zoo
from zoo.cli import COMMANDS
from zoo.cli.flags import flag, with_flags
from zoo.errors import ASKED, ConfigError, UsageError

Run = Callable[..., Ran]
ROOT = Path(__file__).parents[1]
# a command that is advised as a whole, up to the end of the clause
COMMAND = re.compile(r"\b(?:zoo [a-z]|python -m |pip install )[^.;)]*(?:\.\S[^.;)]*)*")
BARE = re.compile(r"(?<![\w-])(?:--[a-z]|-n(?![\w-]))")


def sources() -> list[Path]:
    """The core and the plugins; `rarity` is a command of its own, whose flags are its words."""
    core = [p for p in (ROOT / "zoo").rglob("*.py") if p.relative_to(ROOT).parts[1] != "cli"]
    return [*core, *(p for p in (ROOT / "plugins").rglob("*.py") if p.name != "rarity.py")]


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and content of all literals but docstrings and the flags of a request's definition; `…` for what f-strings fill in."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) or (isinstance(node, ast.keyword) and node.arg == "flag"):
            skipped.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            skipped.update(v for v in node.values if isinstance(v, ast.Constant))
            yield node.lineno, "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield node.lineno, node.value


ALL = [(path, line, text) for path in sources() for line, text in texts(ast.parse(path.read_text("utf-8")))]


def test_no_text_of_the_core_names_a_flag() -> None:
    found = [f"{p}:{n}: {t}" for p, n, t in ALL if BARE.search(COMMAND.sub("", t))]
    # the rule that makes a flag of an argument's name, and nothing else
    rule = [f for f in found if "zoo/composition/request/fields.py" in f]
    assert all(": --…" in f for f in rule)
    # a command of its own (`python -m zoo.data.rarity`), commands that are written into cards and reports, npm's and Ray's
    commands = (
        "zoo/data/rarity.py",
        "zoo/evaluation/carding.py",
        "zoo/evaluation/reproduction/",
        "zoo/web/runtime.py",
        "zoo/sharding/cluster.py",
    )
    assert [f for f in found if f not in rule and not any(where in f for where in commands)] == []


def test_the_walk_sees_flags() -> None:
    """The test above would notice each of these."""
    code = 'raise E(f"{x}: give --mask {y}")\nd = {"--photo": 1}\nraise E("see: zoo list --json; give -n 2")'
    assert [bool(BARE.search(COMMAND.sub("", t))) for _, t in texts(ast.parse(code))] == [True, True, True]
    fine = 'raise E("see: zoo list --json. A non-n thing")\nraise E(f"go on: zoo train --resume {x} --set …")'
    assert not any(BARE.search(COMMAND.sub("", t)) for _, t in texts(ast.parse(fine)))


def test_every_argument_that_a_text_names_has_a_flag() -> None:
    options: set[str] = set()
    for target, _ in COMMANDS.values():
        module, _, name = target.partition(":")
        command = getattr(import_module(module), name)
        group = list(command.commands.values()) if isinstance(command, click.Group) else []
        options |= {o for c in (command, *group) for p in c.params for o in p.opts}
    named = {m[1] for _, _, text in ALL for m in ASKED.finditer(text)}
    assert {"labels", "maps", "changes", "config", "device"} <= named
    assert {n: flag(n) for n in named if flag(n) not in options} == {}


@pytest.mark.parametrize(
    ("text", "python", "typed"),
    [
        ("<<labels>>", "labels", "--labels"),
        ('<<labels="a,b">>', 'labels="a,b"', "--labels a,b"),
        ("<<n=2>>", "n=2", "-n 2"),
        ('<<maps="x.png">>', 'maps="x.png"', "--mask x.png"),
        ('<<options={"steps": "20"}>>', 'options={"steps": "20"}', "--opt steps=20"),
        ('<<changes={"batch_size": 16}>>', 'changes={"batch_size": 16}', "--set batch_size=16"),
        ('<<architecture="a", variant="v">>', 'architecture="a", variant="v"', "--as a/v"),
        ("<<style_to>>, <<keep_rest>>", "style_to, keep_rest", "--style-to, --keep-rest"),
        ("1 << 3 >> 1 << x", "1 << 3 >> 1 << x", "1 << 3 >> 1 << x"),
    ],
)
def test_one_text_in_two_languages(text: str, python: str, typed: str) -> None:
    error = UsageError(text)
    assert (str(error), with_flags(error), with_flags(text)) == (python, typed, typed)
    again = ConfigError(*error.args)  # as another class
    assert (str(again), with_flags(again)) == (python, typed)


FACE = "FACE"
FAULTS: dict[str, tuple[dict[str, Any], tuple[Any, ...], str, str]] = {
    "no class": ({"labels": []}, ("--labels", ""), '(labels="skin,hair")', "(--labels skin,hair)"),
    "no sample": ({"n": 0}, ("-n", 0), "n must be at least 1, got 0", "-n must be at least 1, got 0"),
    "seed": ({"seed": -1}, ("--seed", -1), "seed must be 0 or more, got -1", "--seed must be 0 or more, got -1"),
    "batch": ({"batch_size": 0}, ("--batch-size", 0), "batch_size must be", "--batch-size must be"),
    "labels of a map": (
        {"labels": "skin", "maps": FACE},
        ("--labels", "skin", "--mask", FACE),
        "labels with maps or photos: ",
        "--labels with --mask or --photo: ",
    ),
    "edit of nothing": (
        {"edits": "redraw:hair"},
        ("--edit", "redraw:hair"),
        'edits needs a map: give maps="MAP.png" or photos="PHOTO"',
        "--edit needs a map: give --mask MAP.png or --photo PHOTO",
    ),
    "rest": ({"maps": FACE, "keep_rest": True}, ("--mask", FACE, "--keep-rest"), "keep_rest needs edits", "--keep-rest needs --edit"),
    "keep": ({"maps": FACE, "keep": "hair"}, ("--mask", FACE, "--keep", "hair"), "keep needs photos", "--keep needs --photo"),
    "one end": ({"style_to": "mean"}, ("--style-to", "mean"), "style_to goes from", "--style-to goes from"),
    "two ends": (
        {"style_to": "mean", "same_style": True, "n": 2},
        ("--style-to", "mean", "--same-style", "-n", 2),
        "leave same_style out",
        "leave --same-style out",
    ),
    "instances": (
        {"instances": FACE},
        ("--instances", FACE),
        "instances needs exactly one map (maps)",
        "--instances needs exactly one map (--mask)",
    ),
    "edit of an absent class": (
        {"maps": FACE, "edits": "redraw:hat"},
        ("--mask", FACE, "--edit", "redraw:hat"),
        'use edits="add:hat".',
        "use --edit add:hat.",
    ),
    "style of a class where there is one style": (
        {"maps": FACE, "style": "hat=seed:1"},
        ("--mask", FACE, "--style", "hat=seed:1"),
        '(style="seed:1")',
        "(--style seed:1)",
    ),
    "space": ({"maps": FACE, "mask_space": "nosuch"}, ("--mask", FACE, "--mask-space", "nosuch"), "FILE.json", "FILE.json"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_python_is_told_arguments_and_the_command_line_flags(
    fault: str, pipe: zoo.Composition, pair: tuple[str, str], run: Run, inputs: Path, tmp_path: Path
) -> None:
    call, argv, python, typed = FAULTS[fault]
    face = str(inputs / "face.png")
    given: dict[str, Any] = {k: face if v == FACE else v for k, v in call.items()}
    with pytest.raises(zoo.ZooError) as caught:
        pipe(**given)
    told = str(caught.value)
    assert python in told and "--" not in told and "<<" not in told
    made = run("compose", "+".join(pair), *(face if a == FACE else a for a in argv), "--out", tmp_path / "out")
    assert made.code == 2 and typed in made.err and "<<" not in made.err
    assert made.err == f"Error: {with_flags(caught.value)}\n"  # one text


def test_a_device_that_is_not_there(pair: tuple[str, str], run: Run) -> None:
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("this machine has it")
    with pytest.raises(UsageError, match='not available here: use device="cpu"'):
        zoo.compose(pair, device="mps")
    assert "use --device cpu." in run("compose", "+".join(pair), "--device", "mps").err


def test_maps_alone_and_pictures_alone(pair: tuple[str, str], run: Run, tmp_path: Path) -> None:
    """Halves of a composition."""
    with pytest.raises(UsageError, match=r'give maps="MAP\.png" \(or photos="PHOTO"\)'):
        zoo.compose((None, pair[1]), device="cpu")()
    with pytest.raises(UsageError, match="leave style, style_to, same_style and keep out"):
        zoo.compose((pair[0], None), device="cpu")(style="prior")


def test_folders_of_runs_and_models(pipe: zoo.Composition, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="choose another folder") as caught:
        pipe(n=1, seed=0).save(tmp_path / "full")
    assert "choose another --out" in with_flags(caught.value)
    from zoo.training.fit import plan_fit

    with pytest.raises(UsageError, match='say where the copy goes, out="DIR"') as caught:
        plan_fit("mask-vae-celeba", "label_sets", "toy-faces")
    assert "goes, --out DIR." in with_flags(caught.value)
    with pytest.raises(UsageError, match=r"^changes nosuch: there is no training option") as caught:
        plan_fit("mask-vae-celeba", "label_sets", "toy-faces", out=tmp_path / "new", changes={"nosuch": "1"})
    assert with_flags(caught.value).startswith("--set nosuch: ")


def test_no_option_of_that_name(pipe: zoo.Composition) -> None:
    with pytest.raises(
        UsageError, match=r"No option 'same_stile'; did you mean 'same_style'\? \(known: n, seed, labels, maps, "
    ):
        pipe(n=2, same_stile=True)
