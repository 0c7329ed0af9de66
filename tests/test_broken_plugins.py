"""The real command line among broken third-party plugins, labels and cards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from thirdparty import OK, plugin, write_cards, write_plugin


def cli(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "zoo", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four third parties: an import error, a taken name with a missing class, another API, and broken spaces and cards."""
    folder = tmp_path_factory.mktemp("site")
    write_plugin(folder, "thirdparty-import", "import no_such_module_at_all")
    write_plugin(folder, "thirdparty-twin", plugin("thirdparty-twin", "scgan", "ghost"))
    write_plugin(folder, "thirdparty-old", OK + "plugin = Plugin(api=0)\n")
    spaces = "BAD = {'classes': [{'name': 'a', 'color': 1}]}\n"
    more = (
        ", label_spaces={'bad': 'thirdparty_rest:BAD', 'gone': 'thirdparty_rest:GONE'}, cards='thirdparty_rest_cards'"
    )
    write_plugin(folder, "thirdparty-rest", spaces + plugin("thirdparty-rest", more=more))
    bad = {"odd": "zoo: {parameters: many, kind: [1]}", "null": "zoo: {files: null}", "list": "zoo: {files: [a]}"}
    write_cards(folder / "thirdparty_rest_cards", {**bad, "worse": ": ["})
    return folder


@pytest.mark.parametrize("arguments", [["list"], ["labels"], ["labels", "atr"], ["plugins"], ["--help"]], ids=" ".join)
def test_commands_work_beside_broken_plugins(broken: Path, arguments: list[str]) -> None:
    result = cli(broken, *arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout and "Traceback" not in result.stderr


def test_zoo_plugins_names_each_with_version_and_reason(broken: Path) -> None:
    found = {r["distribution"]: r for r in json.loads(cli(broken, "plugins", "--json").stdout)}
    assert (
        "no_such_module_at_all" in found["thirdparty-import"]["error"]
        and found["thirdparty-import"]["version"] == "1.2"
    )
    assert "plugin API 0" in found["thirdparty-old"]["error"] and found["thirdparty-old"]["state"] == "API mismatch"
    assert (
        "'thirdparty-twin:scgan'" in found["thirdparty-twin"]["notes"][0] and found["thirdparty-twin"]["state"] == "ok"
    )
    assert found["maskzoo"]["error"] is None
    text = cli(broken, "plugins").stdout
    assert "thirdparty_import_entry (thirdparty-import 1.2) is broken: ModuleNotFoundError" in text


def test_zoo_doctor_names_every_missing_class_and_broken_space(broken: Path) -> None:
    result = cli(broken, "doctor", "--json")
    faults = "\n".join(json.loads(result.stdout)["faults"])
    assert result.returncode == 1
    for part in (
        "ghost model: Plugin thirdparty_twin_entry",
        "'thirdparty_twin_models:Net'",
        "ghost variants",
        "label space 'bad'",
        "'thirdparty_rest:GONE'",
        "plugin API 0",
    ):
        assert part in faults, part


def test_the_command_that_needs_a_missing_class_names_it(broken: Path) -> None:
    result = cli(broken, "train", "ghost", "--data", "toy-faces")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "thirdparty-twin 1.2" in result.stderr and "thirdparty_twin_models" in result.stderr


def test_zoo_plugins_leaves_a_broken_plugin_out(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_PLUGINS", "thirdparty-rest, thirdparty-tvin")
    result = cli(broken, "plugins", "--json")
    states = {r["distribution"]: r["state"] for r in json.loads(result.stdout) if r["distribution"] != "maskzoo"}
    assert states.pop("thirdparty-rest") == "ok" and set(states.values()) == {"left out"} and len(states) == 3
    assert "ZOO_PLUGINS names 'thirdparty-tvin'" in result.stderr and "did you mean 'thirdparty-twin'" in result.stderr


def test_zoo_plugins_says_which_parts_of_a_plugin_are_missing_or_damaged(broken: Path) -> None:
    found = {r["distribution"]: r for r in json.loads(cli(broken, "plugins", "--json").stdout)}
    assert "there is no module 'thirdparty_twin_models'" in found["thirdparty-twin"]["notes"]
    rest = found["thirdparty-rest"]
    assert rest["registers"]["label_spaces"] == ["bad", "gone"] and {"odd", "null"} & set(rest["registers"]["cards"])
    assert any("The card of worse cannot be read" in note for note in rest["notes"])


def test_a_model_that_two_third_parties_bring_has_qualified_ids(tmp_path: Path) -> None:
    for x in "ab":
        module = write_plugin(
            tmp_path, f"thirdparty-{x}", plugin(f"thirdparty-{x}", more=f", cards='thirdparty_{x}_cards'")
        )
        for model in ("twin", "scgan-celeba", f"only-{x}"):
            (tmp_path / f"{module}_cards" / model).mkdir(parents=True)
            (tmp_path / f"{module}_cards" / model / "README.md").write_text("---\nzoo: {kind: mask-generator}\n---\n")
        (tmp_path / f"{module}_cards/__init__.py").write_text("")
    cards = {c["id"]: c["plugin"] for c in json.loads(cli(tmp_path, "list", "--json").stdout)}
    assert cards["scgan-celeba"] == "maskzoo" and "twin" not in cards and {"only-a", "only-b"} <= set(cards)
    assert {"thirdparty-a:twin", "thirdparty-b:twin", "thirdparty-a:scgan-celeba"} <= set(cards)
    assert cli(tmp_path, "card", "thirdparty-b:twin").returncode == 0
    os.environ["ZOO_HUB_NAMESPACE"] = "me"
    try:
        shown = cli(tmp_path, "card", "thirdparty-b:twin")
    finally:
        del os.environ["ZOO_HUB_NAMESPACE"]
    assert shown.returncode == 0 and "remote hf:me/twin" in shown.stdout


def test_cards_that_name_no_repository_and_cards_that_are_no_package_are_their_plugins_loss(tmp_path: Path) -> None:
    module = write_plugin(tmp_path, "thirdparty-a", plugin("thirdparty-a", more=", cards='thirdparty_a_cards'"))
    heads = {
        "hub": "hub: no where",
        "pin": "revision: ../x",
        "a name": "",
        "good": "hub: me/good",
        "out": "files: {../x: y}",
    }
    for name, line in heads.items():
        (tmp_path / f"{module}_cards" / name).mkdir(parents=True)
        (tmp_path / f"{module}_cards" / name / "README.md").write_text(f"---\nzoo:\n  kind: k\n  {line}\n---\n")
    (tmp_path / f"{module}_cards/__init__.py").write_text("")
    write_plugin(tmp_path, "thirdparty-b", plugin("thirdparty-b", more=", cards='thirdparty_b'"))
    known = {c["id"]: c["state"] for c in json.loads(cli(tmp_path, "list", "--json").stdout)}
    assert known["good"] == "remote" and not set(heads) - {"good"} & set(known)
    notes = {r["distribution"]: r["notes"] for r in json.loads(cli(tmp_path, "plugins", "--json").stdout)}
    for name in set(heads) - {"good"}:
        assert any(f"The card of {name} cannot be read: " in note for note in notes["thirdparty-a"]), name
    assert any("are no package with a folder for each model" in note for note in notes["thirdparty-b"])
