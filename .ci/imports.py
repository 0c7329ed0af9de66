"""Imports every module of the installed packages and fails with the list of those that do not: what a platform lacks shows here."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback

PACKAGES = ("zoo", "zoo_plugins", "zoo_cards")
RUNS_THE_COMMAND = "zoo.__main__"


def main() -> int:
    """Exit status: 0 where all modules import, else 1."""
    names = list(PACKAGES)
    for package in PACKAGES:
        walked = pkgutil.walk_packages(
            importlib.import_module(package).__path__, f"{package}.", onerror=lambda name: None
        )
        names += [module.name for module in walked if module.name != RUNS_THE_COMMAND]
    broken = {}
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:
            broken[name] = traceback.format_exc()
    for name, fault in broken.items():
        print(f"{name}\n{fault}", file=sys.stderr)
    print(
        f"{len(names) - len(broken)} of {len(names)} modules import on {sys.platform}, Python {sys.version.split()[0]}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
