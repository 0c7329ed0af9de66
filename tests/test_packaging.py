"""What the package promises as a package: its parts, its import costs, which part may import which, and the built wheel."""

from __future__ import annotations

import ast
import configparser
import importlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import zoo
from zoo import cards

ROOT = Path(__file__).resolve().parents[1]
HOMES = {"zoo": "zoo", "zoo_plugins": "plugins", "zoo_cards": "cards"}
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
HEAVY = ("torch", "numpy", "PIL", "huggingface_hub", "timm", "accelerate", "rich")


def modules(package: str) -> list[tuple[str, Path]]:
    """Names and files of all modules of a package."""
    root = ROOT / HOMES[package]
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = [package, *path.relative_to(root).with_suffix("").parts]
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


CODE = modules("zoo") + modules("zoo_plugins")
each_module = pytest.mark.parametrize(("name", "path"), CODE, ids=[n for n, _ in CODE])


def imports(path: Path) -> Iterator[str]:
    """Absolute names of all that a file imports, also within functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_setup_lists_exactly_the_packages_of_the_tree() -> None:
    found = {name for package in HOMES for name, path in modules(package) if path.name == "__init__.py"}
    data = {"zoo.label_spaces"}  # holds JSON files
    assert set(SETUP["options"]["packages"].split()) == found | data


def test_every_folder_with_code_is_a_package() -> None:
    for _, path in CODE:
        assert (path.parent / "__init__.py").is_file(), f"{path.parent} would be missing from the wheel"


def test_every_plugin_of_the_tree_has_its_entry_point() -> None:
    lines = SETUP["options.entry_points"]["zoo.plugins"].split("\n")
    listed = dict(line.split(" = ") for line in lines if line)
    assert listed == {p.parent.name: f"zoo_plugins.{p.parent.name}" for p in (ROOT / "plugins").glob("*/__init__.py")}


@each_module
def test_every_module_imports_and_says_what_it_is(name: str, path: Path) -> None:
    if name != "zoo.__main__":
        module = importlib.import_module(name)
        assert Path(module.__file__ or "").resolve() == path
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{name} has no docstring"


@each_module
def test_public_functions_classes_and_methods_have_docstrings(name: str, path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    bare = [node.name for node in tree.body if is_public(node) and not ast.get_docstring(node)]
    assert not bare, f"{name}: {bare}"


def is_public(node: ast.AST) -> bool:
    kinds = ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef
    return isinstance(node, kinds) and not node.name.startswith("_")


@each_module
def test_arrows_point_one_way(name: str, path: Path) -> None:
    found = set(imports(path))
    if name.split(".")[0] == "zoo":
        assert not {i for i in found if i.split(".")[0] in ("zoo_plugins", "zoo_cards")}, "the core knows no plugin"
        if not name.startswith(("zoo.cli", "zoo.__main__")):
            assert not {i for i in found if i.startswith("zoo.cli")}, "only the command line imports the command line"
    else:
        own = ".".join(name.split(".")[:2]) + "."
        assert not {i for i in found if i.startswith("zoo_plugins") and not i.startswith(own)}, (
            "plugins import only from zoo"
        )


@each_module
def test_files_stay_short(name: str, path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


def test_all_public_names_resolve_and_are_listed() -> None:
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    assert sorted(zoo.__all__) == zoo.__all__ and set(zoo.__all__) <= set(dir(zoo))
    with pytest.raises(AttributeError, match="no attribute 'compos'"):
        _ = zoo.compos  # type: ignore[attr-defined]


def test_the_version_is_one() -> None:
    assert importlib.metadata.version("maskzoo") == zoo.__version__


# --- what starts without the heavy libraries ----------------------------------------------------------------------

WATCH = """
import sys, runpy
code = 0
try:
    exec(sys.argv[1])
except SystemExit as stop:
    code = stop.code or 0
print(sorted(m for m in {heavy!r} if m in sys.modules), code, file=sys.stderr)
"""


def loaded_after(code: str) -> tuple[list[str], int]:
    """Which heavy libraries a fresh interpreter has after running `code`, and its exit code."""
    command = [sys.executable, "-c", WATCH.format(heavy=HEAVY), code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    found, _, code_text = result.stderr.strip().splitlines()[-1].rpartition(" ")
    return ast.literal_eval(found), int(code_text)


def test_the_watch_sees_what_is_imported() -> None:
    assert loaded_after("import numpy; raise SystemExit(3)") == (["numpy"], 3)


def test_importing_zoo_and_declaring_plugins_imports_nothing_heavy() -> None:
    assert loaded_after("import zoo; zoo.label_space('atr').names; zoo.LabelSpace; dir(zoo)") == ([], 0)
    assert loaded_after("from zoo.registry import registry; assert len(registry().architectures) >= 3") == ([], 0)


def test_configs_and_variants_import_nothing_heavy() -> None:
    code = "from zoo.registry import registry as r\nfor a in r().architectures.values(): r().load(a, 'config')(), r().load(a, 'variants')"
    assert loaded_after(code) == ([], 0)


QUICK = [
    ["--help"],
    ["--version"],
    ["list"],
    ["list", "--json"],
    ["plugins"],
    ["plugins", "--json"],
    ["labels"],
    ["labels", "celebamask-hq"],
]
QUICK += [["card", next(iter(sorted(cards.all_cards())), "")], ["compose", "--help"], ["train", "--help"]]


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_quick_commands_import_nothing_heavy(arguments: list[str]) -> None:
    if arguments == ["card", ""]:
        pytest.skip("no model is published yet")
    assert loaded_after(f"import zoo.cli; zoo.cli.main({arguments!r})") == ([], 0)


# --- the wheel ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_wheel_has_plugins_cards_and_a_working_command(tmp_path: Path) -> None:
    pytest.importorskip("build")
    source = tmp_path / "source"
    copy_sources(source)

    def run(*command: str | Path) -> str:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        result = subprocess.run(
            [str(c) for c in command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
        )
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
        return result.stdout

    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", source)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    (python,) = (tmp_path / "venv/bin").glob("python")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    # this interpreter's libraries, named last and without their .pth files, so without its editable install of the zoo
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    places = run(
        python, "-c", "import zoo, zoo_plugins, zoo_cards\nfor m in (zoo, zoo_plugins, zoo_cards): print(m.__path__[0])"
    )
    assert places.split() == [str(site / name) for name in HOMES]
    command = tmp_path / "venv/bin/zoo"
    models = [m["id"] for m in json.loads(run(command, "list", "--json"))]
    assert models == sorted(p.name for p in (ROOT / "cards").iterdir() if (p / "README.md").is_file())
    for name in models:
        assert embedded(site / "zoo_cards" / name) == embedded(ROOT / "cards" / name)
    assert {p["state"] for p in json.loads(run(command, "plugins", "--json"))} == {"ok"}
    spaces = sorted(p.stem for p in (ROOT / "zoo" / "label_spaces").glob("*.json"))
    listed = [s["name"] for s in json.loads(run(command, "labels", "--json"))]
    assert sorted(listed) == sorted([*spaces, "visual-genome"]) and "face-parsing" in spaces  # that is sg2im's own
    run(python, "-c", "import zoo; zoo.create('face-parser/celeba-128', feature_scale=32)")


def embedded(folder: Path) -> set[str]:
    """Files of a model folder."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def copy_sources(target: Path) -> None:
    """The files of the checkout that git does not ignore: a build in place would reuse old build folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
