"""A model that is nothing in particular, for tests of what is asked of every model."""

from __future__ import annotations

from zoo.interfaces.models import Model


class OneClass(Model):
    """8 x 8 pixels of one class; of no kind."""

    @property
    def channels(self) -> tuple[str, ...]:
        return ("skin",)

    @property
    def resolution(self) -> tuple[int, int]:
        return 8, 8
