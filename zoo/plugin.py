"""Everything that a plugin's author imports from the zoo, in one place: `from zoo.plugin import Plugin, MaskGenerator, …`.

Importing it costs nothing; each name is loaded when it is first used, so a plugin's `__init__` stays free of torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.configs import SIDE as SIDE
    from zoo.configs import at_most as at_most
    from zoo.data import Batch as Batch
    from zoo.data import PairData as PairData
    from zoo.data import Source as Source
    from zoo.edits import Add as Add
    from zoo.edits import Edit as Edit
    from zoo.edits import Interpolate as Interpolate
    from zoo.edits import Perturb as Perturb
    from zoo.edits import Redraw as Redraw
    from zoo.edits import Remove as Remove
    from zoo.errors import Cancelled as Cancelled
    from zoo.errors import ConfigError as ConfigError
    from zoo.errors import DataError as DataError
    from zoo.errors import LabelError as LabelError
    from zoo.errors import PluginError as PluginError
    from zoo.errors import UsageError as UsageError
    from zoo.errors import WeightsError as WeightsError
    from zoo.errors import ZooError as ZooError
    from zoo.graphs import SceneGraph as SceneGraph
    from zoo.interfaces.capabilities import Conditions as Conditions
    from zoo.interfaces.capabilities import Latents as Latents
    from zoo.interfaces.capabilities import Progress as Progress
    from zoo.interfaces.judges import MapJudge as MapJudge
    from zoo.interfaces.metrics import Evidence as Evidence
    from zoo.interfaces.metrics import Measured as Measured
    from zoo.interfaces.metrics import Metric as Metric
    from zoo.interfaces.models import Asset as Asset
    from zoo.interfaces.models import ImageGenerator as ImageGenerator
    from zoo.interfaces.models import ImageSynthesizer as ImageSynthesizer
    from zoo.interfaces.models import Layout as Layout
    from zoo.interfaces.models import MaskGenerator as MaskGenerator
    from zoo.interfaces.models import MaskParser as MaskParser
    from zoo.interfaces.models import Model as Model
    from zoo.interfaces.models import shape_fault as shape_fault
    from zoo.interfaces.tables import Claim as Claim
    from zoo.interfaces.tables import Column as Column
    from zoo.interfaces.tables import Row as Row
    from zoo.interfaces.tables import Table as Table
    from zoo.interfaces.tables import TableData as TableData
    from zoo.interfaces.trainers import Trainer as Trainer
    from zoo.interfaces.trainers import Update as Update
    from zoo.interfaces.training_options import TrainingOptions as TrainingOptions
    from zoo.interfaces.translators import ImageTranslator as ImageTranslator
    from zoo.labels import LabelSet as LabelSet
    from zoo.labels import LabelSpace as LabelSpace
    from zoo.maps import LayeredMap as LayeredMap
    from zoo.maps import SemanticMap as SemanticMap
    from zoo.registry.plugin import Architecture as Architecture
    from zoo.registry.plugin import Match as Match
    from zoo.registry.plugin import Plugin as Plugin
    from zoo.registry.plugin import Variant as Variant
    from zoo.rng import Rng as Rng
    from zoo.rng import RngLike as RngLike
    from zoo.rng import as_rng as as_rng
    from zoo.style import Style as Style

_HOME = {
    "zoo.configs": ("SIDE", "at_most"),
    "zoo.data": ("Batch", "PairData", "Source"),
    "zoo.edits": ("Add", "Edit", "Interpolate", "Perturb", "Redraw", "Remove"),
    "zoo.errors": (
        "Cancelled",
        "ConfigError",
        "DataError",
        "LabelError",
        "PluginError",
        "UsageError",
        "WeightsError",
        "ZooError",
    ),
    "zoo.graphs": ("SceneGraph",),
    "zoo.interfaces.capabilities": ("Conditions", "Latents", "Progress"),
    "zoo.interfaces.judges": ("MapJudge",),
    "zoo.interfaces.metrics": ("Evidence", "Measured", "Metric"),
    "zoo.interfaces.models": (
        "Asset",
        "ImageGenerator",
        "ImageSynthesizer",
        "Layout",
        "MaskGenerator",
        "MaskParser",
        "Model",
        "shape_fault",
    ),
    "zoo.interfaces.tables": ("Claim", "Column", "Row", "Table", "TableData"),
    "zoo.interfaces.trainers": ("Trainer", "Update"),
    "zoo.interfaces.training_options": ("TrainingOptions",),
    "zoo.interfaces.translators": ("ImageTranslator",),
    "zoo.labels": ("LabelSet", "LabelSpace"),
    "zoo.maps": ("LayeredMap", "SemanticMap"),
    "zoo.registry.plugin": ("Architecture", "Match", "Plugin", "Variant"),
    "zoo.rng": ("Rng", "RngLike", "as_rng"),
    "zoo.style": ("Style",),
}

if not TYPE_CHECKING:  # else a type checker accepts any misspelt name

    def __getattr__(name: str) -> Any:
        for module, names in _HOME.items():
            if name in names:
                value = getattr(import_module(module), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted(name for names in _HOME.values() for name in names)
