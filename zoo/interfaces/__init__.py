"""The contracts: what a model of each kind owes, what it may be able to do, what a trainer gives the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:  # until 0.2 this was one module
        from zoo.moved import old_name

        return old_name(__name__, name)
