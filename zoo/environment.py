"""What this environment is made of: the versions that decide the bytes of a run."""

from __future__ import annotations

import os
import platform
import sys

from zoo.version import __version__


def versions() -> dict[str, str]:
    """Versions that decide numbers."""
    import numpy
    import PIL
    import torch

    return {
        "zoo": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
        "platform": sys.platform,
    }


def memory() -> float:
    """Bytes of memory that this machine has; infinite where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
