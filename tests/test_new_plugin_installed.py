"""What `zoo new-plugin` writes, built and installed by pip into a fresh environment: used, broken on purpose, uninstalled."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GENERATOR, SYNTHESIZER, PARSER = "toy-masks", "toy-paint", "toy-read"
OURS = {"scgan-celeba", "mask-vae-celeba", "segvae-celeba"}
pytestmark = pytest.mark.slow


class Environment:
    """A virtual environment that sees all that this interpreter sees, and has a site-packages of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
        self.python = folder / "bin/python"
        (self.site,) = (folder / "lib").glob("python*/site-packages")
        # as a site directory, so that its .pth files (an editable install of the zoo) are read too
        lines = [f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})", str(ROOT)]
        (self.site / "dependencies.pth").write_text("\n".join(lines) + "\n")

    def run(self, *command: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """A command in the environment's folder; fails for another exit code (None: any) and for a traceback."""
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "ZOO_PLUGINS")}
        result = subprocess.run(
            [str(c) for c in command],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        said = result.stdout[-3000:] + result.stderr[-3000:]
        assert code is None or result.returncode == code, said
        assert "Traceback" not in result.stderr, said
        return result

    def zoo(self, *arguments: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """The command line of the zoo."""
        return self.run(self.python, "-m", "zoo", *arguments, code=code)

    def json(self, *arguments: object) -> list[dict]:
        """The JSON document of a command."""
        return json.loads(self.zoo(*arguments, "--json").stdout)

    def pip(self, *arguments: object) -> None:
        """pip of this interpreter, working on the environment, without network."""
        self.run(sys.executable, "-m", "pip", "--python", self.python, *arguments)

    def installed(self) -> set[str]:
        """What lies in its site-packages."""
        return {p.name for p in self.site.iterdir()}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The environment with nothing installed yet."""
    return Environment(tmp_path_factory.mktemp("fresh") / "venv")


@pytest.fixture(scope="module")
def env(fresh: Environment) -> Environment:
    """The environment with the three plugins, written by the command and installed by pip."""
    before = {c["id"] for c in fresh.json("list")}
    assert before >= OURS
    for name, kind in ((GENERATOR, "mask-generator"), (SYNTHESIZER, "image-synthesizer"), (PARSER, "mask-parser")):
        folder = fresh.zoo("new-plugin", name, "--kind", kind).stdout.strip()
        fresh.pip("install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", f"./{folder}[test]")
    return fresh


def passed(output: str) -> int:
    """How many tests pytest says have passed, if none failed."""
    found = re.search(r"^(?:=+ )?(\d+) passed(?!.*(?:failed|error))", output, re.MULTILINE)
    return int(found[1]) if found else 0


def pictures(folder: Path) -> int:
    return len(list((folder / "images").glob("*.png")))


def test_installed_it_is_in_every_list_at_once(env: Environment) -> None:
    models = {c["id"]: c for c in env.json("list")}
    assert models["toy-masks-toy"]["state"] == models["toy-paint-toy"]["state"] == "embedded"
    assert [c["id"] for c in env.json("list", "*", "--kind", "mask-generator") if c["id"].startswith("toy")] == [
        "toy-masks-toy"
    ]
    found = {r["distribution"]: r for r in env.json("plugins")}
    assert found[GENERATOR]["state"] == found[SYNTHESIZER]["state"] == "ok"
    assert found[GENERATOR]["version"] == "0.1.0" and not found[GENERATOR]["notes"]
    assert found[GENERATOR]["registers"] == {
        "architectures": [GENERATOR],
        "trainers": [GENERATOR],
        "converters": [GENERATOR],
        "losses": ["toy-masks.balanced_cross_entropy"],
        "cards": ["toy-masks-toy"],
    }
    assert "A toy to start a plugin from" in env.zoo("card", SYNTHESIZER + "-toy").stdout
    assert env.zoo("doctor").stdout.rstrip().endswith("No faults found.")
    assert {p.name for p in env.site.iterdir()} >= {"toy_masks", "toy_paint"}


@pytest.mark.parametrize(
    "pair",
    [f"{GENERATOR}+scgan", f"mask-vae+{SYNTHESIZER}", f"segvae+{SYNTHESIZER}", f"{GENERATOR}+{SYNTHESIZER}"],
)
def test_it_composes_in_both_directions(env: Environment, pair: str) -> None:
    out = env.zoo("compose", pair, "-n", 2, "--seed", 3, "--device", "cpu").stdout.strip()
    assert pictures(env.folder / out) == 2
    manifest = json.loads((env.folder / out / "manifest.json").read_text())
    assert pair.partition("+")[0] in json.dumps(manifest)


@pytest.mark.parametrize("name", [GENERATOR, SYNTHESIZER, PARSER])
def test_its_own_tests_pass_and_its_types_are_right(env: Environment, name: str) -> None:
    result = env.run(env.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", env.folder / name)
    assert passed(result.stdout) >= 19, "the zoo's contract and what is its own"
    pytest.importorskip("pyright")
    config = {"include": [name], "extraPaths": [str(ROOT), name], "pythonPath": str(env.python)}
    (env.folder / "pyrightconfig.json").write_text(json.dumps(config))
    result = env.run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable, code=None)
    assert "0 errors" in result.stdout, result.stdout


def test_a_trained_one_composes(env: Environment) -> None:
    sets = ["--set", "steps=2", "--set", "batch_size=2", "--set", "validate_every=0"]
    out = env.zoo("train", GENERATOR, "--data", "toy-faces:4", *sets, "--out", "run", "--device", "cpu").stdout.strip()
    assert out == "run"
    assert pictures(env.folder / env.zoo("compose", f"./run+{SYNTHESIZER}", "--out", "mine").stdout.strip()) == 1


@pytest.fixture
def package(env: Environment, tmp_path: Path) -> Iterator[Path]:
    """The installed generator, to be broken; put back afterwards."""
    folder, info = env.site / "toy_masks", next(env.site.glob("toy_masks-*.dist-info"))
    for part in (folder, info):
        shutil.copytree(part, tmp_path / part.name)
    yield folder
    for part in (folder, info):
        shutil.rmtree(part)
        shutil.copytree(tmp_path / part.name, part)


OLD = "from zoo.registry import Plugin\nplugin = Plugin(api=0)\n"
BREAKS: dict[str, tuple[str, str, str, str]] = {
    "import error": ("__init__.py", "import no_such_module\n", "broken", "No module named 'no_such_module'"),
    "syntax error": ("__init__.py", "def (\n", "broken", "SyntaxError"),
    "raises": ("__init__.py", "raise RuntimeError('at import')\n", "broken", "RuntimeError: at import"),
    "exits": ("__init__.py", "print('bye')\nraise SystemExit(0)\n", "broken", "SystemExit: 0"),
    "no plugin": ("__init__.py", "", "broken", "has no attribute 'plugin'"),
    "wrong API": ("__init__.py", OLD, "API mismatch", "plugin API 0, this zoo has API 1"),
    "entry point to nothing": ("entry_points.txt", "[zoo.plugins]\ntoy_masks = gone:plugin\n", "broken", "'gone'"),
    "damaged card": ("cards/toy-masks-toy/README.md", "---\n: [\n---\n", "ok", "The card of toy-masks-toy cannot be"),
    "cards exit": ("cards/__init__.py", "raise SystemExit(0)\n", "ok", "cannot import 'toy_masks.cards' (SystemExit"),
    "missing class": ("model.py", "", "ok", ""),
}


@pytest.mark.parametrize("broken", list(BREAKS))
def test_a_broken_one_breaks_no_other_command(env: Environment, package: Path, broken: str) -> None:
    name, content, state, reason = BREAKS[broken]
    info = next(env.site.glob("toy_masks-*.dist-info"))
    (info if name == "entry_points.txt" else package).joinpath(name).write_text(content)
    record = next(r for r in env.json("plugins") if r["distribution"] == GENERATOR)
    assert record["state"] == state and reason in " ".join([record["error"] or "", *record["notes"]])
    ids = {c["id"] for c in env.json("list")}
    assert ids >= OURS | {"toy-paint-toy"}
    assert ("toy-masks-toy" in ids) == (broken == "missing class")
    env.zoo("labels")
    if broken in ("exits", "missing class"):  # one fault of each half: found, and found only when it is used
        out = env.zoo("generate", "mask-vae", "--out", f"beside {broken}", "--device", "cpu").stdout.strip()
        assert len(list((env.folder / out / "maps").glob("*.png"))) == 1
        assert env.zoo("doctor", code=None).returncode == 1
    failed = env.zoo("compose", f"{GENERATOR}+scgan", "--out", "broken", code=None)
    assert failed.returncode in (1, 2) and GENERATOR in failed.stderr and not (env.folder / "broken").exists()


def test_a_first_party_name_is_not_taken(env: Environment, package: Path) -> None:
    module = package / "__init__.py"
    module.write_text(module.read_text().replace('"toy-masks",', '"scgan",'))
    (note,) = next(r for r in env.json("plugins") if r["distribution"] == GENERATOR)["notes"]
    assert "'scgan' is also registered by scgan (maskzoo" in note and "'toy-masks:scgan'" in note
    code = "from zoo.registry import registry as r; print(r().load(r().architecture('scgan'), 'model').__module__)"
    assert env.run(env.python, "-c", code).stdout.strip() == "zoo_plugins.scgan.model"


def test_uninstalled_nothing_of_it_is_left(env: Environment) -> None:
    for name in (GENERATOR, SYNTHESIZER, PARSER):
        env.pip("uninstall", "--quiet", "--yes", name)
    assert not [n for n in env.installed() if n.startswith("toy")]
    assert {r["distribution"] for r in env.json("plugins")} == {"maskzoo"}
    assert not [c for c in env.json("list") if c["id"].startswith("toy")]
    gone = env.zoo("compose", f"{GENERATOR}+scgan", "--out", "gone", code=2)
    assert f"No model '{GENERATOR}'" in gone.stderr
    assert pictures(env.folder / env.zoo("compose", "mask-vae+scgan", "--out", "after").stdout.strip()) == 1


def test_the_steps_of_the_page_work_as_they_stand(fresh: Environment, tmp_path: Path) -> None:
    """All its bash blocks in a row, after everything else was uninstalled."""
    text = (ROOT / "docs/plugins.md").read_text("utf-8")
    script = "".join(part.partition("```")[0] for part in text.split("```bash\n")[1:])
    offline = "--no-build-isolation --no-deps --no-index"
    shims = {
        "zoo": f'exec {fresh.python} -m zoo "$@"',
        "python": f'exec {fresh.python} "$@"',
        "pip": f'[ "$1" = install ] && set -- "$@" {offline}; exec {sys.executable} -m pip --python {fresh.python} "$@"',
    }
    for name, line in shims.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    command = f"cd {tmp_path} && PATH={tmp_path / 'bin'}:$PATH && set -ex\n{script}"
    result = fresh.run("bash", "-c", command)
    assert (tmp_path / "toy-faces/grid.png").is_file() and (tmp_path / "toy-run-faces/grid.png").is_file()
    assert passed(result.stdout) >= 19 and script.count("\n") > 8
    assert not [n for n in fresh.installed() if "toy" in n]
