"""How the models of a run compute, beside what they are: the type of their numbers, and whether their blocks are compiled. No torch.

A manifest holds them beside the device, and only where they are not the default, so that older manifests say the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Any

from zoo.errors import DataError, UsageError, did_you_mean

DTYPES = ("float32", "bf16")
COMPILERS = ("g++", "clang++", "c++")


def check_form(dtype: Any, compile: Any) -> None:
    """Raise UsageError for a type that no model computes in, and where blocks shall be compiled and no C++ compiler is there."""
    if dtype not in DTYPES:
        raise UsageError(
            f"<<dtype>> is {' or '.join(DTYPES)}, got {str(dtype)[:40]!r}{did_you_mean(str(dtype), DTYPES)}."
        )
    if not isinstance(compile, bool):
        raise UsageError(f"<<compile>> takes True or False, got {str(compile)[:40]!r}.")
    names = (os.environ.get("CXX", "").split()[:1] or COMPILERS) if compile else ()
    if compile and not any(shutil.which(name) for name in names):
        raise UsageError(
            f"<<compile>> needs a C++ compiler, and there is none here (looked for {', '.join(names)}): install one (g++), name one in"
            " CXX, or leave <<compile>> out."
        )


def form_to_json(dtype: str, compile: bool) -> dict[str, Any]:
    """What stands in a manifest; nothing for the default."""
    return {**({"dtype": dtype} if dtype != DTYPES[0] else {}), **({"compile": True} if compile else {})}


def form_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """`dtype` and `compile` of a manifest. Raises DataError for values that are neither's."""
    dtype, compile = manifest.get("dtype", DTYPES[0]), manifest.get("compile", False)
    if not isinstance(dtype, str) or dtype not in DTYPES or not isinstance(compile, bool):
        raise DataError(f"The manifest says dtype {str(dtype)[:40]!r}, compile {str(compile)[:40]!r}: it is damaged.")
    return {"dtype": dtype, "compile": compile}
