"""Made-up distributions with a plugin, laid out as pip leaves them, so that the real discovery finds them."""

from __future__ import annotations

from pathlib import Path

OK = "from zoo.registry import Architecture, Plugin\n"
ARCH = "Architecture({name!r}, kind='mask-generator', model='{module}_models:Net', config='{module}_models:Config', variants='{module}_models:VARIANTS')"


def write_plugin(folder: Path, dist: str, code: str, *, target: str = "", version: str = "1.2") -> str:
    """A distribution with one module and one entry point, as pip leaves them. Returns the module's name."""
    module = dist.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[zoo.plugins]\n{module}_entry = {target or module}\n")
    return module


def plugin(dist: str, *names: str, more: str = "") -> str:
    archs = ", ".join(ARCH.format(name=n, module=dist.replace("-", "_")) for n in names)
    return OK + f"plugin = Plugin(architectures=[{archs}]{more})\n"
