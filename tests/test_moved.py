"""Imports of plugins that were written for version 0.1."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from zoo import moved

OLD = """
from zoo.images import write_atomic
from zoo.interfaces import Add, Asset, Latents, MaskGenerator, Trainer, Update
from zoo.nn.latent_synthesizer import LatentSynthesizer
from zoo.nn.official_shapes import Shapes
from zoo.presence import presence
from zoo.registry import Architecture, Match, Plugin, Variant, label_space
from zoo.sampling import fit_label_sets
from zoo.training.options import TrainingOptions
from zoo.weights import load_model, save_tensors
"""


def test_old_imports_give_the_same_objects() -> None:
    code = (
        OLD
        + "import zoo.plugin as now\nassert now.MaskGenerator is MaskGenerator and now.Match is Match and now.Add is Add"
    )
    ran = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "zoo.images.write_atomic is in zoo.files.images now" in ran.stderr


@pytest.mark.parametrize("old", sorted(moved.MOVED))
def test_every_new_place_is_there(old: str) -> None:
    for place in moved.MOVED[old]:
        importlib.import_module(place)


def test_what_never_was_is_still_missing() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("zoo.nothing")
    with pytest.raises(AttributeError, match="no attribute 'nothing_at_all'"):
        moved.old_name("zoo.images", "nothing_at_all")


@pytest.mark.parametrize(("module", "name"), sorted(moved.RENAMED))
def test_renamed_things_go_by_their_old_names(module: str, name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"{module}.{name} is zoo"):
        assert moved.old_name(module, name).__name__ == moved.RENAMED[module, name]
