"""All of the contract in one class."""

from __future__ import annotations

from zoo.testing.abilities import Abilities
from zoo.testing.behaviour import Behaviour
from zoo.testing.files import Files
from zoo.testing.learning import Learning
from zoo.testing.sizes import Sizes


class ModelContract(Sizes, Behaviour, Abilities, Files, Learning):
    """Tests of one architecture. A subclass, whose name begins with `Test`, sets at least `architecture`; `Subject` says
    what else there is to set and to override, each test says what it holds."""
