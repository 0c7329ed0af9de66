"""What a contract test is about: the architecture, how small it is made, and what the model is asked with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import pytest
import torch
from torch import Tensor, nn

from zoo.api import create
from zoo.data.specs import parse_spec
from zoo.interfaces.models import Model
from zoo.interfaces.trainers import Trainer
from zoo.interfaces.translators import ImageTranslator
from zoo.nn.spectral import recompute_spectral
from zoo.registry import Architecture, registry
from zoo.testing.asker import Asker
from zoo.testing.samples import Samples, make_samples, write_domains, write_pairs
from zoo.training.plan import TrainingPlan, make_plan
from zoo.training.session import open_pairs

TRAINING: Mapping[str, Any] = {
    "steps": 4, "batch_size": 2, "save_every": 2, "validate_every": 2, "preview_every": 0, "log_every": 1, "precision": "fp32", "dtype": "float32",
}  # fmt: skip
"""Of every run here, where the subclass's `training` does not say otherwise."""


class Subject:
    """A subclass sets `architecture`; the rest has defaults."""

    architecture: ClassVar[str] = ""
    variant: ClassVar[str | None] = None
    config: ClassVar[Mapping[str, Any]] = {}
    """Fields of the network's config over those of the variant (or the defaults): as small as it can be."""
    training: ClassVar[Mapping[str, Any]] = {}
    """Training options for runs of four steps: small networks, no weights from elsewhere."""
    data: ClassVar[str | None] = None
    """A data set as `--data` names it; None: eight pairs drawn in the model's own classes and size, for a translator six photos of each
    domain."""
    options: ClassVar[Any] = None
    """Sampling options that are handed to every call, for a model that has `OPTIONS`."""
    dead_parameters: ClassVar[frozenset[str]] = frozenset()
    """`NETWORK.PARAMETER` of those that no loss reaches, `*` for any letters; "model" is the model's network."""
    tolerance: ClassVar[float] = 1e-4
    """Largest difference between one sample alone and in a batch, times the largest value where that is above 1."""
    inference_tolerance: ClassVar[float] = 2e-5
    """The same between the inference form and the plain one."""
    map_tolerance: ClassVar[float] = 1e-3
    """Share of pixels whose class may differ in these comparisons: two scores that rounding makes change places."""

    def build(self) -> Model:
        """A fresh model in evaluation mode, the same at every call: random weights that `stir` moved. Override it for a model
        whose weights come from elsewhere (a wrapper of another library's)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = create(self.name, **self.config)
        stir(model)
        return model.eval().requires_grad_(False)

    def official(self, model: Model) -> Mapping[str, Mapping[str, Any]]:
        """The model's weights as the authors' program writes them: role to keys and tensors. For an architecture with
        `official` this has to be overridden."""
        raise AssertionError(
            f"{self.architecture} converts official checkpoints: override `official`, which writes one."
        )

    def trainer_of(self, plan: TrainingPlan) -> Trainer:
        """The trainer of a run, as the loop makes it."""
        from zoo.training.session import build_trainer

        return build_trainer(plan)

    # --- what the tests use ---------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """`ARCHITECTURE[/VARIANT]`."""
        assert self.architecture, f"{type(self).__name__} sets no `architecture`."
        return f"{self.architecture}/{self.variant}" if self.variant else self.architecture

    @property
    def declared(self) -> Architecture:
        """What the plugin registers."""
        return registry().architecture(self.architecture)

    def plan(self, data: str, **changes: Any) -> TrainingPlan:
        """A training run of a few steps."""
        network = {f"network.{k}": v for k, v in self.config.items()}
        training = {f"trainer.{k}": v for k, v in {**TRAINING, **self.training, **changes}.items()}
        return make_plan(self.name, data, network | training, device="cpu")

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> Iterator[None]:
        """Layers of tiny networks only wait for each other's threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    @pytest.fixture
    def pairs(self, tmp_path_factory: pytest.TempPathFactory) -> str:
        """The data set, as `--data` names it."""
        return self._once("pairs", lambda: self.data or _written(self.build(), tmp_path_factory.mktemp("pairs")))

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> Model:
        """The model with every asset that can be computed from data, so that all of its abilities are there."""
        return self._once("model", lambda: self._complete(lambda: request.getfixturevalue("pairs")))

    @pytest.fixture
    def samples(self, model: Model) -> Samples:
        """Three maps, photos and label sets in the model's classes."""
        return self._once("samples", lambda: make_samples(model))

    @pytest.fixture
    def asker(self, samples: Samples) -> Callable[[Model], Asker]:
        """Asks any form of the model the same questions."""
        return lambda model: Asker(model, samples, self.options)

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        """What the tests of one class share (class-scoped fixtures could not ask an instance for it)."""
        kept = _KEPT.setdefault(type(self), {})
        if name not in kept:
            kept[name] = make()
        return kept[name]

    def _complete(self, pairs: Callable[[], str]) -> Model:
        model = self.build()
        names = [n for n in model.ASSETS if n not in model.assets]
        if not names or not self.declared.trainer:
            return model
        data = pairs()
        options = self.plan(data).training
        opened = open_pairs(parse_spec(data), model, model.resolution)
        values = {name: model.fit_asset(name, opened, options) for name in names}
        model.assets |= {name: value for name, value in values.items() if value is not None}
        return model


def _written(model: Model, folder: Path) -> str:
    """A data set of the model's kind, as `--data` names it."""
    if isinstance(model, ImageTranslator):
        return f"domains:{write_domains(model, folder)}"
    return f"folder:{write_pairs(model, folder)}"


_KEPT: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


@torch.no_grad()
def stir(network: nn.Module, seed: int = 0) -> None:
    """Add to every parameter normal noise, over the root of the fan-in (vectors: of 0.1): layers that start at zero would hide
    whatever lies behind them. Spectral norms are brought up to date."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        if not parameter.is_floating_point():
            continue
        noise: Tensor = torch.randn(parameter.shape, generator=generator)
        scale = 0.1 if parameter.dim() < 2 else parameter[0].numel() ** -0.5
        parameter.add_(scale * noise.to(parameter))
    recompute_spectral(network)


def read_folder(folder: Path) -> dict[str, bytes]:
    """The content of a model folder's files, without its card."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "README.md")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}
