"""Made-up distributions with a plugin, laid out as pip leaves them, so that the real discovery finds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

OK = "from zoo.registry import Architecture, Plugin\n"
ARCH = "Architecture({name!r}, kind='mask-generator', model='{module}_models:Net', config='{module}_models:Config', variants='{module}_models:VARIANTS')"


def write_plugin(folder: Path, dist: str, code: str, *, target: str = "", version: str = "1.2") -> str:
    """A distribution with one module and one entry point, as pip leaves them. Returns the module's name."""
    module = dist.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    write_metadata(folder, dist, target or module, version=version)
    return module


def write_metadata(folder: Path, dist: str, target: str, *, version: str = "1.2", more: str = "") -> None:
    """The `.dist-info` of a distribution with one entry point, `<module>_entry`. more: further lines of METADATA."""
    module = dist.replace("-", "_")
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n{more}")
    (info / "entry_points.txt").write_text(f"[zoo.plugins]\n{module}_entry = {target}\n")


def write_cards(package: Path, heads: Mapping[str, str]) -> None:
    """A package of cards: model id to the front matter of its README."""
    for name, head in heads.items():
        (package / name).mkdir(parents=True)
        (package / name / "README.md").write_text(f"---\n{head}\n---\n")
    (package / "__init__.py").write_text("")


def plugin(dist: str, *names: str, more: str = "") -> str:
    """The code of a plugin with these architectures."""
    archs = ", ".join(ARCH.format(name=n, module=dist.replace("-", "_")) for n in names)
    return OK + f"plugin = Plugin(architectures=[{archs}]{more})\n"
