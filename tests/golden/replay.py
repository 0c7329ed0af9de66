"""Replays the recorded cases of a system through our API: `replay("mask_vae", Path(".../golden/mask_vae/A"))`.

One module per system beside this file has its own `replay(case_dir)`; they are loaded by path, so that this file can be
loaded by path too.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from torch import Tensor

SYSTEMS = (
    "clade",
    "cc_fpse",
    "cimle",
    "clvae",
    "crn",
    "dmit",
    "face_parser",
    "groupdnet",
    "inade",
    "mask_vae",
    "munit",
    "maskgan",
    "pix2pixhd",
    "oasis",
    "scgan",
    "sdm",
    "sean",
    "segvae",
    "sims",
    "sg2im",
    "spade",
)


def load_module(system: str) -> ModuleType:
    """The replay module of a system. Raises ValueError for an unknown one."""
    if system not in SYSTEMS:
        raise ValueError(f"no replay for {system!r}: expected one of {', '.join(SYSTEMS)}")
    path = Path(__file__).with_name(f"{system}.py")
    spec = importlib.util.spec_from_file_location(f"zoo_golden_{system}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def replay(system: str, case_dir: Path) -> dict[str, Tensor]:
    """The results of a case under their stored names and shapes (docs/design.md, "Replay")."""
    return load_module(system).replay(Path(case_dir))
