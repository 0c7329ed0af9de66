"""A training run from a plan to a model folder with its card."""

from __future__ import annotations

from pathlib import Path

import torch

from zoo.data import Augment, PairData, open_data, parse_spec, splits_of
from zoo.errors import DataError
from zoo.interfaces import Model, Trainer
from zoo.labels import LabelSpace, load_space
from zoo.registry import registry
from zoo.training.card import write_training_card
from zoo.training.log import Log
from zoo.training.loop import Loop
from zoo.training.plan import Plan
from zoo.training.runs import RunFolder
from zoo.weights import load_strict, save_model


def run_training(plan: Plan, run: RunFolder, *, device: str = "cpu", quiet: bool = False) -> Path:
    """Train (or go on) and write `model/`; returns that folder. Raises ZooErrors; an interrupted run can be resumed."""
    trainer = build_trainer(plan)
    data, validation = open_splits(plan, trainer.model)
    with Log(run.path, plan.training.steps, quiet=quiet) as log:
        loop = Loop(trainer, data, validation, run, log, device=device)
        loop.run()
        if loop.accelerator.is_main_process:
            loop.finish()
            export(plan, trainer, run, loop, data)
    return run.model


def build_trainer(plan: Plan) -> Trainer:
    """The untrained (or `init`) model in its trainer; starting weights follow the seed."""
    reg = registry()
    arch = reg.architecture(plan.architecture)
    torch.manual_seed(plan.training.seed)
    model: Model = reg.load(arch, "model")(plan.config, model_space(plan))
    trainer: Trainer = reg.load(arch, "trainer")(model, plan.training)
    if plan.init:
        from zoo.hub import resolve

        folder = resolve(plan.init).folder
        load_strict(model, folder / "model.safetensors")
        for name, network in trainer.networks.items():
            if name != "model" and (folder / f"{name}.safetensors").is_file():
                load_strict(network, folder / f"{name}.safetensors")
    return trainer


def model_space(plan: Plan) -> LabelSpace:
    """The label space that the model will speak: `--space` (a name or a file), else the config's."""
    name = plan.space or plan.config.label_space
    return load_space(Path(name)) if name.endswith(".json") else registry().label_space(name)


def open_splits(plan: Plan, model: Model) -> tuple[PairData, PairData | None]:
    """Training data, and validation data where the set has a split "val" (or "validation").

    A split in `--data` (`#SPLIT`) is what is trained on. Raises DataError for maps of other classes.
    """
    options = plan.training
    spec = parse_spec(plan.data)
    space = model.label_space
    splits = splits_of(spec, space=space)
    train = spec if spec.split or "train" not in splits else spec.with_split("train")
    held = next((s for s in ("val", "validation") if s in splits and s != train.split), None)
    side = max(model.resolution)
    load = Augment(zoom=options.zoom).load_size(side)
    load_size = tuple(round(load * r / side) for r in model.resolution)
    data = open_data(train, resolution=model.resolution, space=space, load_size=(load_size[0], load_size[1]))
    validation = open_data(spec.with_split(held), resolution=model.resolution, space=space) if held else None
    if data.label_space.names != space.names:
        data.label_space.mapping_to(space)
    if not len(data):
        raise DataError(f"{train}: no pairs.")
    return data, validation


def export(plan: Plan, trainer: Trainer, run: RunFolder, loop: Loop, data: PairData) -> None:
    """Write the finished model, its other networks and its card."""
    others = {n: net for n, net in trainer.networks.items() if n != "model"}
    save_model(trainer.model, run.model, architecture=plan.architecture, variant=plan.variant, dtype=plan.training.dtype, networks=others)
    metrics = run.metrics(until=loop.step)
    write_training_card(plan, run, trainer.model, loop, metrics, len(data))

