"""What third parties get wrong in a plugin: code, metadata and files of a scaffolded plugin, changed."""

from __future__ import annotations

from pathlib import Path
from random import Random

from . import trees

ODD = '''"""Values and exceptions that a plugin should not give."""
import torch


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class Hidden(BaseException):
    pass


class Odd:
    def __getattr__(self, name):
        raise Unprintable()

    def __len__(self):
        return -1


class NoRepr:
    def __repr__(self):
        raise RuntimeError("no text")


def fails(error):
    def call(*a, **k):
        raise error
    return call


def gives(value):
    def call(*a, **k):
        return value
    return call
'''
VALUES = (
    "None", "3", "-1", "2.5", "'x'", "''", "[]", "{}", "()", "object()", "float('nan')", "b'x'", "True", "Odd()", "NoRepr()", "{1: 2}", "['x', 3]",
    "type", "lambda: 1", "torch.zeros(1)", "'no_such_module:x'", "'os:system'", "':'", "'odd_masks'", "'x' * 5000", "'\\x1b[2J'", "'a\\0b'", "{'\\x1b[2J': 3}",
)  # fmt: skip
PICTURES = (
    "torch.full((1, 3, 64, 64), float('nan'))", "torch.full((1, 3, 64, 64), float('inf'))", "torch.rand(1, 64, 64, 3)", "torch.rand(3, 64, 64)",
    "torch.rand(1, 3, 64, 64) * 5 - 2", "torch.randint(0, 255, (1, 3, 64, 64))", "torch.rand(1, 1, 64, 64)", "torch.rand(2, 3, 64, 64)",
    "torch.zeros(1, 3, 64, 64, dtype=torch.complex64)", "torch.zeros(1, 3, 0, 0)", "torch.zeros(1, 3, 64, 64, device='meta')",
)  # fmt: skip
MAPS = (
    "torch.zeros(1, 64, 64, dtype=torch.long)",
    "torch.zeros(1, 19, 64, 64)",
    "[torch.zeros(64, 64)]",
    "torch.rand(1, 3, 64, 64)",
)
ERRORS = (
    "ValueError('a reason')", "Unprintable()", "SystemExit(3)", "RecursionError()", "GeneratorExit()", "MemoryError()", "StopIteration()", "Hidden()",
    "UnicodeDecodeError('utf-8', b'x', 0, 1, 'x')", "OSError(28, 'x')", "KeyError('\\x1b[2J')", "AssertionError()", "NotImplementedError()", "ValueError('x' * 50000)",
)  # fmt: skip
MODULES = ("__init__", "config", "model", "official", "trainer", "losses")
PLUGIN = ("api", "architectures", "networks", "losses", "label_spaces", "datasets", "metrics", "cards")
ARCHITECTURE = (
    "name",
    "kind",
    "model",
    "config",
    "variants",
    "trainer",
    "official",
    "title",
    "paper",
    "can",
    "default",
    "options",
)
METHODS = {
    "odd-masks": (
        "generate",
        "sample_latents",
        "channels",
        "resolution",
        "__init__",
        "presence",
        "encode",
        "decode",
        "load_weights",
        "capabilities",
        "ASSETS",
        "OPTIONS",
        "fit_asset",
    ),
    "odd-pics": (
        "synthesize",
        "layout",
        "channels",
        "resolution",
        "__init__",
        "sample_style",
        "encode_style",
        "mean_style",
        "load_weights",
        "capabilities",
        "ASSETS",
        "styles",
        "partial_styles",
    ),
}
SPACES = (
    "{'name': 'odd', 'classes': [{'name': 'a', 'color': 1}]}",
    "{'name': 'odd', 'classes': 3}",
    "{'classes': []}",
    "{'name': 3, 'classes': [{'name': 'a'}]}",
    "{'name': 'odd', 'classes': [{'name': 'a', 'color': [0, 0, 999]}]}",
    "{'name': 'odd', 'classes': [{'name': 'a'}, {'name': 'a'}]}",
    "[1]",
    "'x'",
    "None",
    "Odd()",
    "{'name': 'odd', 'background': 'b', 'classes': [{'name': 'a'}]}",
    "{'name': 'odd', 'classes': [{'name': '\\x1b[2J'}]}",
    "{'name': 'odd', 'classes': [{'name': 'a', 'aliases': 3, 'on': 4}]}",
)


def value(rng: Random, *more: str) -> str:
    """Source of an odd value."""
    return rng.choice(VALUES + more)


def result(rng: Random, *more: str) -> str:
    """Source of a function that fails, or gives something odd."""
    return f"fails({rng.choice(ERRORS)})" if rng.random() < 0.4 else f"gives({value(rng, *more)})"


WAYS = (
    "import", "field", "field", "architecture", "architecture", "method", "method", "method", "variants", "detect", "space", "table",
    "metadata", "metadata", "card", "card", "print", "text",
)  # fmt: skip
ODD_YAML = (
    "", "", "? [1]\n: 2\n", "? {a: b}\n: 2\n", "1: 2\n", "null: 3\n", "d: 2026-01-01\n", "e: !!binary aGk=\n", "f: .nan\n",
    "true: x\n", "g: 1e400\n",
)  # fmt: skip


def break_plugin(rng: Random, site: Path, name: str) -> tuple[str, bool]:
    """Break the plugin `name` in `site`. What was done, and whether its own model gives a wrong result that must not be taken."""
    package = name.replace("-", "_")
    folder = site / package
    (folder / "odd.py").write_text(ODD)
    start = f"\n\nimport torch\nfrom {package}.odd import *\n"
    how = rng.choice(WAYS)
    entry = folder / "__init__.py"
    if how == "import":
        module, error = rng.choice(MODULES), rng.choice(ERRORS)
        _append(folder / f"{module}.py", f"{start}raise {error}\n")
        return f"{module} raises {error}", False
    if how == "field":
        field, new = rng.choice(PLUGIN), value(rng)
        _append(entry, f"{start}object.__setattr__(plugin, {field!r}, {new})\n")
        return f"plugin.{field} = {new}", False
    if how == "architecture":
        field, new = rng.choice(ARCHITECTURE), value(rng)
        _append(entry, f"{start}object.__setattr__(plugin.architectures[0], {field!r}, {new})\n")
        return f"architecture.{field} = {new}", False
    if how == "method":
        return _method(rng, folder, name, start)
    if how == "variants":
        what = rng.choice(["VARIANTS", "VARIANTS['toy']", "Config", "Config.__post_init__", "Training"])
        new = result(rng) if what.endswith("__") else value(rng)
        _append(folder / "config.py", f"{start}{what} = {new}\n")
        return f"config.{what} = {new}", False
    if how == "detect":
        what, new = (
            rng.choice(["detect", "detect", "convert"]),
            result(rng, "Match('x', {})", "Match(3, None)", "[Match('x', {})]"),
        )
        _append(folder / "official.py", f"{start}{what} = {new}\n")
        return f"official.{what} = {new}", False
    if how == "space":
        new = rng.choice(SPACES)
        _append(
            entry, f"{start}SPACE = {new}\nobject.__setattr__(plugin, 'label_spaces', {{'odd': '{package}:SPACE'}})\n"
        )
        return f"label space {new}", False
    if how == "table":
        table, new = rng.choice(["networks", "losses", "datasets", "metrics"]), result(rng)
        _append(entry, f"{start}THING = {new}\nobject.__setattr__(plugin, {table!r}, {{'odd': '{package}:THING'}})\n")
        return f"{table}: {new}", False
    if how == "metadata":
        return _metadata(rng, site, package), False
    if how == "card":
        return _card(rng, folder, name), False
    if how == "print":
        _append(entry, "\nprint('{\"x\": 1}')\nimport os\nos.write(1, b'native')\n")
        return "prints at its import", False
    path = rng.choice(sorted(folder.glob("*.py")))
    content, told = trees.damage(rng, path.read_bytes())
    path.write_bytes(content)
    return f"{path.name}: {told}", False


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def _method(rng: Random, folder: Path, name: str, start: str) -> tuple[str, bool]:
    """Another attribute of the model class. One call of its own kind returning nonsense must not end as a result."""
    class_name = "OddMasks" if name == "odd-masks" else "OddPics"
    method = rng.choice(METHODS[name])
    own = method in ("generate", "synthesize")
    if own and rng.random() < 0.7:
        new = f"gives({rng.choice(MAPS if method == 'generate' else PICTURES)})"
    else:
        new = result(rng) if rng.random() < 0.7 else value(rng)
    _append(folder / "model.py", f"{start}{class_name}.{method} = {new}\n")
    return f"{class_name}.{method} = {new}", own


def _metadata(rng: Random, site: Path, package: str) -> str:
    info = site / rng.choice([f"{package}-1.2.dist-info", "other_dist-0.1.dist-info"])
    info.mkdir(exist_ok=True)
    name, content = rng.choice(
        [
            ("entry_points.txt", b"[zoo.plugins\nx = y\n"),
            ("entry_points.txt", b"x = y\n"),
            ("entry_points.txt", b"[zoo.plugins]\n\xff\xfe = \xff\n"),
            ("entry_points.txt", b"[zoo.plugins]\nx\n"),
            ("entry_points.txt", b"[zoo.plugins]\nx = a b c\n"),
            ("entry_points.txt", b"[zoo.plugins]\nx = \n"),
            ("entry_points.txt", b"[zoo.plugins]\n\x1b[2J = no_such_module\n"),
            ("entry_points.txt", b"[console_scripts]\n\xff = \xff\n"),
            ("entry_points.txt", b"[zoo.plugins]\n" + b"a = b:c\n" * 500),
            ("METADATA", b""),
            ("METADATA", b"\xff\xfe\x00"),
            ("METADATA", b"Name: \x1b[2J\nVersion: x\n"),
            ("METADATA", b"Metadata-Version: 9\nName: " + b"x" * 9000 + b"\n"),
        ]
    )
    path = info / name
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return f"{info.name}/{name}: {content[:40]!r}"


def _card(rng: Random, folder: Path, name: str) -> str:
    model = folder / "cards" / f"{name}-toy"
    path = rng.choice(
        [model / "README.md", model / "README.md", model / "config.json", *sorted((model / "assets").iterdir())]
    )
    if path.name == "README.md" and rng.random() < 0.7:
        import yaml

        head, _, body = path.read_text().removeprefix("---\n").partition("---\n")
        tree, told = trees.mutate(rng, yaml.safe_load(head))
        extra = rng.choice(ODD_YAML)
        path.write_text(f"---\n{yaml.safe_dump(tree)}{extra}---\n{body}", errors="replace")
        return f"card: {told} {extra.strip()}".rstrip()
    content, told = trees.damage(rng, path.read_bytes())
    path.write_bytes(content)
    return f"{path.name}: {told}"
