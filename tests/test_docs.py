"""The pages of the site: help of the commands as it is now, every page in the navigation, every public name told, what is shown runs."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml

import zoo
import zoo.plugin
from zoo.cli import COMMANDS, cli
from zoo.errors import ZooError

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def commands() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_commands", DOCS / "commands.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_not_stale(commands: ModuleType) -> None:
    assert commands.PAGE.read_text("utf-8") == commands.page(), "run: python docs/commands.py"


def test_the_page_has_every_command_with_usage_text_and_options(commands: ModuleType) -> None:
    text = commands.page()
    for name in COMMANDS:
        assert f"\n### zoo {name}\n\n```text\nzoo {name} [OPTIONS]" in text
    for name in ("mask inspect", "data check"):
        assert f"\n#### zoo {name}\n\n```text\nzoo {name} [OPTIONS]" in text
    assert "- `--edit EDIT`: add:C\\[,C\\] | remove:C" in text and "- `-n N`: Samples per map or photo" in text


def test_every_page_is_in_the_navigation_and_the_other_way_round() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(pages(settings["nav"])) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


def pages(entry: Any) -> list[str]:
    """Files of a navigation, at any depth."""
    if isinstance(entry, str):
        return [entry]
    return [page for item in (entry.values() if isinstance(entry, dict) else entry) for page in pages(item)]


def test_the_page_of_the_api_tells_every_public_name() -> None:
    told = set(re.findall(r"^::: (\S+)$", (DOCS / "api.md").read_text("utf-8"), flags=re.M))
    assert {f"zoo.{name}" for name in zoo.__all__} <= told
    assert {f"zoo.plugin.{name}" for name in dir(zoo.plugin) if name not in zoo.__all__} <= told


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[(.+?)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text("utf-8"), flags=re.M)
    assert versions[0] == zoo.__version__ and len(set(versions)) == len(versions)


def shown(language: str) -> list[tuple[str, str]]:
    """Fenced blocks of README and pages in this language, each with its page."""
    texts = {p.relative_to(ROOT).as_posix(): p.read_text("utf-8") for p in [ROOT / "README.md", *DOCS.rglob("*.md")]}
    found = re.compile(rf"^```{language}\n(.*?)^```", re.M | re.S)
    return [(page, block) for page, text in sorted(texts.items()) for block in found.findall(text)]


def test_commands_that_pages_show_are_commands_with_such_options() -> None:
    lines = [(page, part) for page, block in shown("bash") for line in block.splitlines() for part in line.split("&&")]
    typed = [(page, words) for page, line in lines if (words := shlex.split(line, comments=True))[:1] == ["zoo"]]
    assert len(typed) > 60
    for page, words in typed:
        try:
            parse(click.Context(cli), cli, words[1:])
        except (click.ClickException, ZooError) as error:
            pytest.fail(f"{page}: {shlex.join(words)}: {error}")


def parse(parent: click.Context, group: click.Group, words: list[str]) -> None:
    """What click does before it calls a command."""
    name, command, rest = group.resolve_command(parent, list(words))
    assert command is not None
    if isinstance(command, click.Group):
        parse(click.Context(command, info_name=name, parent=parent), command, rest)
    else:
        command.make_context(name, rest, parent=parent)


@pytest.mark.parametrize(
    "words", ["zoo compse x+y", "zoo compose x+y --editt redraw:hair", "zoo push one", "zoo mask inspct x"]
)
def test_commands_that_are_none_do_not_pass(words: str) -> None:
    with pytest.raises((click.ClickException, ZooError)):
        parse(click.Context(cli), cli, words.split()[1:])


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/start.md", "docs/composing.md", "docs/styles.md"])
def test_python_that_pages_show_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    zoo.compose("mask-vae+scgan")(n=1, seed=0).save("faces")
    blocks = [block for at, block in shown("python") if at == page]
    assert blocks
    for block in blocks:
        exec(compile(block.replace("n=1_000", "n=3").replace("n=8", "n=1"), page, "exec"), {})
    if page == "docs/styles.md":
        assert zoo.Style.load("looks.safetensors").tensors
