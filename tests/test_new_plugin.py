"""`zoo new-plugin`: names, folders, and what it writes, without installing it (that is in test_new_plugin_installed.py)."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fixtures_models import Ran
from safetensors import safe_open
from thirdparty import write_metadata

from zoo import scaffold
from zoo.cards import missing_facts, read_card
from zoo.errors import DataError, UsageError
from zoo.scaffold import KINDS, LONGEST, new_plugin

ROOT = Path(__file__).resolve().parents[1]
kinds = pytest.mark.parametrize("kind", list(KINDS))


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def expected(name: str, kind: str) -> set[str]:
    package = name.replace("-", "_")
    modules = ("__init__", "config", "losses", "model", "official", "trainer", "cards/__init__")
    card = f"{package}/cards/{name}-toy"
    return {
        "pyproject.toml", "README.md", "LICENSE", ".gitignore", f"tests/test_{package}.py", f"{package}/py.typed",
        *(f"{package}/{m}.py" for m in modules),
        *(f"{card}/{f}" for f in ("README.md", "config.json", "model.safetensors")),
        *([f"{card}/assets/{KINDS[kind].asset}"] if KINDS[kind].asset else []),
    }  # fmt: skip


@kinds
@pytest.mark.parametrize("name", ["ab", "my_own-masks2"])
def test_all_of_it_is_written_and_nothing_else(tmp_path: Path, kind: str, name: str) -> None:
    folder = new_plugin(name, kind, tmp_path / "new/place")
    public = name.replace("_", "-")
    assert folder == tmp_path / "new/place" / public and files(folder) == expected(public, kind)
    assert [p.name for p in folder.parent.iterdir()] == [public], "no temporary folder stays"
    for path in folder.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path
    for path in (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".safetensors"):
        assert "$" not in path.read_text(), path
    assert oct(folder.stat().st_mode & 0o777) == "0o755"


@kinds
def test_its_card_is_complete_and_vouches_for_every_file(tmp_path: Path, kind: str) -> None:
    folder = new_plugin("ab", kind, tmp_path) / "ab/cards/ab-toy"
    card = read_card(folder)
    assert card is not None and not missing_facts(card)
    assert card.files == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files(folder) - {"README.md"}
    }
    assert card.facts["bytes"] == sum((folder / name).stat().st_size for name in card.files)
    assert card.facts["architecture"] == "ab" and card.facts["kind"] == kind
    with safe_open(str(folder / "model.safetensors"), "pt") as file:
        sizes = [file.get_tensor(k).numel() for k in file.keys()]  # noqa: SIM118
    assert card.facts["parameters"] == sum(sizes)
    assert not card.not_commercial(), "drawn data, our own weights"


def test_its_licence_is_the_zoos() -> None:
    assert (scaffold.TEMPLATES / "common/LICENSE.in").read_bytes() == (ROOT / "LICENSE").read_bytes()


@kinds
def test_every_template_is_used_and_fits_any_name(kind: str, tmp_path: Path) -> None:
    """Formatter and linter are content with the shortest and the longest name."""
    pytest.importorskip("ruff")
    named = {f"{n}.in" for n in scaffold.OWN} | {"card.md.in", "model.safetensors", *filter(None, [KINDS[kind].asset])}
    assert {p.name for p in (scaffold.TEMPLATES / kind).iterdir()} == named
    assert {p.name for p in (scaffold.TEMPLATES / "common").iterdir()} == {f"{n}.in" for n in scaffold.COMMON}
    for name in ("ab", "x" * 8 + "-" + "y" * (LONGEST - 9)):
        folder = new_plugin(name, kind, tmp_path)
        for command in (["check"], ["format", "--check"]):
            result = subprocess.run(
                [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("kind", list(scaffold.PARTS))
def test_a_plugin_without_a_model_is_written_and_its_tests_pass(kind: str, tmp_path: Path) -> None:
    """On the path as pip would leave it; formatter and linter are content with the shortest and the longest name."""
    for name in ("ab", "x" * 8 + "-" + "y" * (LONGEST - 9)):
        folder = new_plugin(name, kind, tmp_path)
        package = name.replace("-", "_")
        own = {"data-set": "data.py", "label-space": "space.json"}[kind]
        assert files(folder) == {
            "pyproject.toml", "README.md", "LICENSE", ".gitignore", f"tests/test_{package}.py",
            *(f"{package}/{f}" for f in ("__init__.py", "py.typed", own)),
        }  # fmt: skip
        assert not [p for p in folder.rglob("*") if p.is_file() and "$" in p.read_text()]
        for command in (["check"], ["format", "--check"]):
            result = subprocess.run(
                [sys.executable, "-m", "ruff", *command, "--no-cache", "."], cwd=folder, capture_output=True, text=True
            )
            assert result.returncode == 0, result.stdout + result.stderr
    folder = tmp_path / "ab"
    write_metadata(folder, "ab", "ab")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0 and re.search(r"^[45] passed", result.stdout, re.MULTILINE), result.stdout
    what = ["labels", "ab", "--json"] if kind == "label-space" else ["plugins", "--json"]
    listed = subprocess.run([sys.executable, "-m", "zoo", *what], env=environment, capture_output=True, text=True)
    assert listed.returncode == 0 and '"ab"' in listed.stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "will not do"),
        ("My Masks", "at most 30 of them, for example 'my-masks'"),
        ("9lives", "a letter first"),
        ("a--b", "words joined by dashes"),
        ("trailing-", "for example 'trailing'"),
        ("../up", "for example 'up'"),
        ("ümlaut", "will not do"),
        ("a" * 31, "at most 30"),
        ("class", "a word of the Python language"),
        ("match", "a word of the Python language"),
        ("mask-vae", "the plugin mask_vae (maskzoo"),
        ("face_parser", "the plugin face_parser"),
        ("cvae-sep", "is an architecture of segvae (maskzoo"),
        ("json", "there is a Python module 'json'"),
        ("zoo", "the zoo uses it"),
        ("zoo-plugins", "there is a Python module 'zoo_plugins'"),
    ],
)
def test_a_name_that_will_not_do_is_one_clear_error(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(UsageError) as error:
        new_plugin(name, "mask-generator", tmp_path)
    assert reason in str(error.value) and not any(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "toy-x").mkdir()
    (tmp_path / "toy-x/mine.txt").write_text("mine")
    with pytest.raises(UsageError, match='exists already: choose another name, or another place with where="DIR"'):
        new_plugin("toy-x", "mask-generator", tmp_path)
    (tmp_path / "toy-y").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="exists already"):
        new_plugin("toy_y", "mask-generator", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toy-x", "toy-y"] and files(tmp_path) == {"toy-x/mine.txt"}


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scaffold.shutil, "copyfile", full)
    with pytest.raises(DataError, match=r"Cannot write .*toy-x: the disk is full"):
        new_plugin("toy-x", "mask-generator", tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r'Cannot write .*file/toy-x: .*Choose another place with where="DIR"'):
        new_plugin("toy-x", "mask-generator", tmp_path / "file")


def test_the_command(run, tmp_path: Path) -> None:
    found: Ran = run("new-plugin", "toy-x", "--kind", "image-synthesizer", "--to", tmp_path)
    assert found.code == 0 and found.out.strip() == str(tmp_path / "toy-x") and "pip install -e" in found.err
    assert run("new-plugin", "toy-x", "--to", tmp_path).code == 2
    assert run("new-plugin", "toy-z", "--kind", "painter", "--to", tmp_path).code == 2


def test_the_command_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, zoo.cli\n"
        "try: zoo.cli.main(['new-plugin', 'toy-x', '--to', sys.argv[1]])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'torch', 'numpy', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=os.environ, timeout=60)
    assert (tmp_path / "toy-x").is_dir()


# --- docs/plugins.md ----------------------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    """The code blocks of docs/plugins.md in this language."""
    text = (ROOT / "docs/plugins.md").read_text("utf-8")
    return [part.partition("```")[0] for part in text.split(f"```{language}\n")[1:]]


def test_the_page_of_plugins_shows_the_files_that_the_command_writes(tmp_path: Path) -> None:
    folder = new_plugin("toy-masks", "mask-generator", tmp_path)
    written = "\n".join(p.read_text() for p in sorted(folder.rglob("*")) if p.suffix in (".py", ".toml"))
    shown = [b for language in ("python", "toml") for b in blocks(language)]
    assert len(shown) >= 3
    for block in shown:
        pieces = [piece.strip("\n") for piece in block.split("\n...\n")]
        assert all(piece in written for piece in pieces), block


def test_the_front_matter_is_plain_yaml(tmp_path: Path) -> None:
    text = (new_plugin("no", "mask-generator", tmp_path) / "no/cards/no-toy/README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["zoo"]["architecture"] == "no", "a name that YAML reads as false is quoted"
