"""Model folders and the authors' checkpoints: what is written is what is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from zoo import configs
from zoo.api import load, save
from zoo.checkpoints.variants import is_partial
from zoo.errors import WeightsError
from zoo.interfaces.models import Model
from zoo.registry import Match, registry
from zoo.rng import Rng
from zoo.testing.asker import Asker
from zoo.testing.comparing import apart
from zoo.testing.subject import Subject, read_folder

ALL = [0, 1, 2]


class Files(Subject):
    """Tests of what lies on disk."""

    def test_saved_and_loaded_it_is_the_same_to_the_byte(
        self, model: Model, asker: Callable[[Model], Asker], tmp_path: Path
    ) -> None:
        """Saved, loaded and saved again, every file has the same bytes, in both types; and the answers are the same."""
        again = load(save(model, tmp_path / "one"))
        assert not again.training and not any(p.requires_grad for p in again.parameters())
        assert read_folder(save(again, tmp_path / "two")) == read_folder(tmp_path / "one")
        _same_answers(asker(again), asker(model))
        half = load(save(model, tmp_path / "half", dtype="float16"))
        assert read_folder(save(half, tmp_path / "half again", dtype="float16")) == read_folder(tmp_path / "half")

    def test_a_folder_without_a_tensor_is_refused(self, model: Model, tmp_path: Path) -> None:
        """Weights are loaded strictly: a tensor that is missing or of no use is named."""
        path = save(model, tmp_path / "model") / "model.safetensors"
        if not path.is_file():
            pytest.skip("the weights lie in another library's layout")
        tensors = load_file(path)
        key = next(iter(tensors))
        for changed in ({k: v for k, v in tensors.items() if k != key}, {**tensors, "of.no.use": torch.zeros(1)}):
            save_file(changed, path)
            with pytest.raises(WeightsError, match=key if key not in changed else "of.no.use"):
                load(path.parent)

    def test_official_checkpoints_are_told_and_converted(self, model: Model, asker: Callable[[Model], Asker]) -> None:
        """`official.detect` reads the config off each file, `convert` gives tensors that load strictly: the same answers.

        A file that lacks a tensor, or has one too many, is not taken for a whole one; foreign files are nobody's.
        """
        if self.declared.official is None:
            pytest.skip("no official checkpoints")
        module = registry().load(self.declared, "official")
        files = self.official(model)
        matches = {role: _told(module, role, state) for role, state in files.items()}
        config = configs.override(model.config, _read(matches, model.config), where="what detect read")
        fresh: Model = type(model)(config, model.label_space)
        fresh.load_state_dict(module.convert(files, config), strict=True)
        fresh.assets = model.assets
        _same_answers(asker(fresh.eval().requires_grad_(False)), asker(model))
        assert module.detect({"conv.weight": (3, 3)}) is None and module.detect({}) is None
        role, state = next(iter(files.items()))
        try:
            odd = module.convert({**files, role: {**state, "strange.weight": torch.zeros(1)}}, config)
        except WeightsError:
            return
        assert not odd.keys() <= fresh.state_dict().keys(), "a key that the system has not is lost without a word"


def _same_answers(actual: Asker, expected: Asker) -> None:
    for ability in expected.abilities:
        off = apart(actual.ask(ability, ALL, Rng(6, ALL)), expected.ask(ability, ALL, Rng(6, ALL)))
        assert not off, f"{ability}: {'; '.join(off)}"


def _told(module: Any, role: str, state: Mapping[str, Tensor]) -> Match:
    """What is read off a file, after what is read off spoiled ones was held against it."""
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    match = module.detect(shapes)
    assert match is not None and match.complete, f"{role}: {match}"
    assert match.role == role and match.matched == len(shapes)
    last = next(reversed(shapes))
    fewer = module.detect({k: v for k, v in shapes.items() if k != last})
    assert fewer is None or not fewer.complete, f"{role}: without {last} it is taken for a whole file"
    more = module.detect({**shapes, "strange.weight": (1,)})
    assert more is not None and not more.complete and "strange.weight" in more.unknown
    return match


def _read(matches: Mapping[str, Match], true: Any) -> dict[str, Any]:
    """Config fields as the files tell them: those that none mentions at their defaults, those that none can tell as they are."""
    defaults = type(true)()
    fields: dict[str, Any] = {}
    for role, match in sorted(matches.items(), key=lambda item: is_partial(item[0])):
        told = dict(match.config)
        if not is_partial(role):
            told = {k: match.config.get(k, v) for k, v in vars(defaults).items()}
        fields |= {k: v for k, v in told.items() if k not in match.ambiguous}
    return fields
