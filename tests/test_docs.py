"""The pages of the site: help of the commands as it is now, every page in the navigation, every command and public name told."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import zoo
import zoo.plugin
from zoo.cli import COMMANDS

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
    assert "- `--edit EDIT`: add:C\\[,C\\] | remove:C" in text and "- `-n N`: Samples per label set" in text


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
