"""What a file is that is no plain map of class numbers, told from its numbers or colours. No torch in here."""

from __future__ import annotations

import numpy as np


def factor_of(values: np.ndarray) -> int | None:
    """The number that all values were multiplied with, so that people see something; None where there is none.

    Four values or more besides 0 must have it in common.
    """
    shown = np.unique(values)
    shown = shown[shown > 0]
    factor = int(np.gcd.reduce(shown.astype(np.int64))) if len(shown) >= 4 else 1
    return factor if factor > 1 else None
