"""What every model of the zoo owes, as tests: a subclass of `ModelContract` names an architecture and inherits them.

    from zoo.testing import ModelContract

    class TestPetMaps(ModelContract):
        architecture = "pet-maps"
        config = {"side": 16}

Needs pytest, which the zoo itself does not: `pip install pytest`.
"""

from __future__ import annotations

try:
    import pytest
except ImportError as error:
    raise ImportError("zoo.testing needs pytest, which the zoo itself does not: pip install pytest") from error

for _name in ("abilities", "behaviour", "comparing", "files", "learning", "sizes"):
    pytest.register_assert_rewrite(f"{__name__}.{_name}")

from zoo.testing.contract import ModelContract  # noqa: E402 (pytest rewrites the asserts of what is imported after the line above)

__all__ = ["ModelContract"]
