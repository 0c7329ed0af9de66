"""A training run from a plan to a model folder with its card."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.data import Augment, PairData, Source
from zoo.data.domains import unused_domains
from zoo.data.judging import judge_first
from zoo.data.kept import kept_reads
from zoo.data.relabelled import Relabelled
from zoo.data.specs import DataSpec, open_source, parse_spec, splits_of
from zoo.environment import versions
from zoo.errors import DataError, ZooError, plain
from zoo.files.configfile import config_values
from zoo.files.ordinary import ordinary_file
from zoo.files.tensors import load_strict
from zoo.inference.processors import multiplies_bf16
from zoo.interfaces.models import Model
from zoo.interfaces.trainers import Trainer
from zoo.labels import LabelSpace
from zoo.registry import registry
from zoo.registry.border import plugin_values
from zoo.store.models import save_model
from zoo.store.vouching import CONFIG, card_files, check_listed, verify_files
from zoo.training.card import write_training_card
from zoo.training.log import Log
from zoo.training.loop import Loop, Published
from zoo.training.plan import TrainingPlan
from zoo.training.processes import Processes
from zoo.training.runs import RunFolder


def run_training(plan: TrainingPlan | None, run: RunFolder, *, device: str = "cpu", quiet: bool = False) -> Path:
    """Train (or go on) and write `model/`; returns that folder. Raises ZooErrors; an interrupted run can be resumed.

    Nothing is written before the networks, the data and, of a resumed run, the checkpoint have been found to fit. torch's
    own generator is left as it was. Of several processes the first one writes and says what is wrong.

    plan: None in a further process that does not see the folder of a resumed run: the first one's.
    """
    with torch.random.fork_rng():
        return _run(plan, run, device, quiet)


def refuse_together(error: ZooError) -> None:
    """Tell the other processes of this run, which wait for this one, why it cannot begin. Raises ToldElsewhere where the first one
    says it."""
    processes = Processes("cpu")
    try:
        processes.together(lambda: _raise(error))
    finally:
        processes.close()


def _raise(error: ZooError) -> None:
    raise error


def _run(plan: TrainingPlan | None, run: RunFolder, device: str, quiet: bool) -> Path:
    processes = Processes(device)
    try:
        processes.together(lambda: None)  # what another one could not begin with
        plan = _agreed(plan, processes)
        if run.has_options or processes.world > 1:  # before its state is read; a new run is locked when it is made
            processes.by_main(lambda: run.lock() if run.has_options else None)
        with (
            plugin_values(registry().owner(plan.architecture), f"training {plan.architecture!r} failed"),
            warnings.catch_warnings(),
        ):
            if not processes.main:
                warnings.simplefilter("ignore")
            return _train(plan, run, processes, device, quiet)
    finally:
        run.release()
        processes.close()


def _agreed(plan: TrainingPlan | None, processes: Processes) -> TrainingPlan:
    """The plan of the first process, with this one's places of data and weights; `precision=auto` decided. Raises UsageError if one was
    started otherwise."""
    kind = processes.device.type
    if processes.world == 1:
        assert plan is not None
        return settle_precision(plan, kind)
    processes.alike({"kind of device": kind, "version": versions()})
    fast = not processes.any(not multiplies_bf16(kind))[0]
    settled = settle_precision(plan, kind, fast) if plan and processes.main else plan
    first: dict[str, Any] = processes.from_main(settled.to_json() if settled else {})
    own = first if plan is None or processes.main else plan.to_json()
    if own["training"]["precision"] == "auto":
        own["training"]["precision"] = first["training"]["precision"]
    processes.alike(_flat(own))
    agreed = processes.together(lambda: TrainingPlan.from_json(first, "the run of process 0"))
    return agreed if plan is None else replace(agreed, data=plan.data, init=plan.init)


def _flat(plan: dict[str, Any]) -> dict[str, Any]:
    """The fields of a plan that all processes must share."""
    named = ("architecture", "variant", "space", "trust_maps")
    return {
        **{name: plan.get(name) for name in named},
        **{f"value of network.{name}": value for name, value in plan["config"].items()},
        **{f"value of trainer.{name}": value for name, value in plan["training"].items()},
    }


def settle_precision(plan: TrainingPlan, device: str, fast: bool | None = None) -> TrainingPlan:
    """The plan with `precision=auto` decided for a device; warns of a bf16 that the device only imitates.

    fast: whether the devices of all processes multiply bfloat16 themselves (None: as this one does)."""
    asked = plan.training.precision
    fast = multiplies_bf16(device) if fast is None else fast
    if asked == "bf16" and not fast:
        warnings.warn(
            f"This {device} has no instructions for bfloat16 and imitates them, many times slower than float32: start anew with"
            " precision fp32 (or auto).",
            stacklevel=2,
        )
    if asked != "auto":
        return plan
    return replace(plan, training=replace(plan.training, precision="bf16" if fast else "fp32"))


def _train(plan: TrainingPlan, run: RunFolder, processes: Processes, device: str, quiet: bool) -> Path:
    goes_on = processes.from_main(run.has_state)

    def build() -> tuple[Trainer, PairData, PairData | None]:
        model = build_model(plan)
        with torch.random.fork_rng():  # the trainer's networks go on in the model's stream
            data, validation = open_splits(
                plan, model
            )  # before a trainer asks for pretrained networks: these may not fit
        return build_trainer(plan, model, init=not goes_on), data, validation

    trainer, data, validation = processes.together(build)
    if processes.world > 1:
        processes.alike(processes.together(lambda: _seen_alike(data, validation)))
    processes.by_main(lambda: _warn_of(plan, trainer, data, judge=not plan.trust_maps and not goes_on))
    with Log(run.path, plan.training.steps, quiet=quiet, write=processes.main) as log:
        loop = Loop(trainer, data, validation, run, log, device=device)
        # what could be refused has been by now: a run that cannot begin leaves no options behind
        processes.by_main(lambda: _begin(plan, run, data, processes.world))
        loop.run()
        published = loop.finish()
        if published is None:
            processes.by_main(lambda: None)
        else:
            processes.by_main(lambda: run.replace_model(lambda folder: export(plan, folder, run, loop, published)))
    return run.model


def _warn_of(plan: TrainingPlan, trainer: Trainer, data: PairData, *, judge: bool) -> None:
    doubts = judge_first(unrelabelled(data.source)) if judge else []
    if not getattr(plan.config, "channels", ()):  # nobody chose
        doubts += unused_domains(data, trainer.model.channels)
    for doubt in doubts:
        warnings.warn(plain(doubt), stacklevel=2)


def _seen_alike(data: PairData, validation: PairData | None) -> dict[str, object]:
    """What tells data sets apart that processes read at their own places: names, and a few maps (photos may be decoded otherwise by
    another version of a library). Raises DataError."""
    digest = hashlib.sha256()
    for index in sorted({0, len(data) // 2, len(data) - 1}):
        digest.update(data.source.read(index)[1].tobytes())
    return {
        "number of training pairs": len(data),
        "set of names of training pairs": _digest(data),
        "set of classes": data.label_space.names,
        "content of the maps": digest.hexdigest(),
        "number of validation pairs": 0 if validation is None else len(validation),
    }


def _digest(data: PairData) -> str:
    return hashlib.sha256("\n".join(data.names).encode()).hexdigest()


def _begin(plan: TrainingPlan, run: RunFolder, data: PairData, processes: int) -> None:
    """Write `options.json`, or hold a resumed run's data against it. Raises DataError if they differ."""
    run.lock()
    seen = {"pairs": len(data), "names_sha256": _digest(data)}
    before = run.options().get("trained_on", seen)
    if before != seen and run.has_state:
        change = f"{before['pairs']} pairs then, {len(data)} now" if before["pairs"] != len(data) else "other pairs"
        raise DataError(f"{plan.data} has changed since the run began ({change}): a resumed run needs the same data.")
    training = plan.training
    how = {"threads": torch.get_num_threads(), "processes": processes}
    samples = {"samples_per_step": training.batch_size * training.accumulate}
    run.write_options({**plan.to_json(), "trained_on": seen, **how, **samples})
    run.clean()


def build_model(plan: TrainingPlan) -> Model:
    """The untrained model; starting weights follow the seed (torch's own generator is seeded)."""
    arch = registry().architecture(plan.architecture)
    torch.manual_seed(plan.training.seed)
    return registry().load(arch, "model")(plan.config, plan.label_space())


def build_trainer(plan: TrainingPlan, model: Model | None = None, *, init: bool = True) -> Trainer:
    """A model (None: `build_model`'s) in its trainer, whose networks take their starting weights from torch's own generator as the model
    left it.

    init: load the weights that the plan starts from, if it names any (a resumed run does not need them).
    """
    model = build_model(plan) if model is None else model
    trainer: Trainer = registry().load(registry().architecture(plan.architecture), "trainer")(model, plan.training)
    if plan.init and init:
        from zoo.hub import resolve

        _start_from(resolve(plan.init).folder, {"model": model, **trainer.networks}, {"model": trainer.fresh})
    return trainer


def _start_from(folder: Path, networks: Mapping[str, nn.Module], fresh: Mapping[str, Sequence[str]]) -> None:
    """Load those of the networks that a model folder has, as its card vouches for them. fresh: by network, beginnings of names it may lack."""
    paths = {name: path for name in networks if (path := ordinary_file(folder, f"{name}.safetensors")) is not None}
    listed, names = card_files(folder), [CONFIG, *(path.name for path in paths.values())]
    check_listed(folder, names, listed)
    verify_files(folder, {name: digest for name, digest in listed.items() if name in names})
    for name, path in paths.items():
        if name == "model" and _loads_itself(networks[name], folder):
            networks[name].load_weights(folder)  # type: ignore[operator]
            continue
        network, parts = networks[name], tuple(fresh.get(name, ()))
        load_strict(network, path, {k: v for k, v in network.state_dict().items() if k.startswith(parts)})


def _loads_itself(network: nn.Module, folder: Path) -> bool:
    """Whether the class of a model folder is that of the network, and loads its weights in a way of its own."""
    name = config_values(folder).get("architecture")
    if not isinstance(network, Model) or name not in registry().architectures:
        return False
    own = type(network).load_weights is not Model.load_weights
    return own and registry().load(registry().architecture(name), "model") is type(network)


# --- data ---------------------------------------------------------------------------------------------------------


def unrelabelled(source: Source) -> Source:
    """A data set in the label space of its own maps."""
    return source.source if isinstance(source, Relabelled) else source


def open_splits(plan: TrainingPlan, model: Model) -> tuple[PairData, PairData | None]:
    """Training data, and validation data where the set has a split "val" (or "validation"), in the model's label space.

    A split in `--data` (`#SPLIT`) is what is trained on. Raises DataError for no pairs, LabelError for maps that have no
    class in common with the model.
    """
    spec, space = parse_spec(plan.data), model.label_space
    splits = splits_of(spec, space=space)
    train = training_split(spec, splits)
    held = next((s for s in ("val", "validation") if s in splits and s != train.split), None)
    side = max(model.resolution)
    load = Augment(zoom=plan.training.zoom).load_size(side)  # `preprocess` has a size of its own
    height, width = (round(load * r / side) for r in model.resolution)
    data = open_pairs(train, model, (height, width))
    if not len(data):
        raise DataError(f"{train}: no pairs.")
    return data, open_pairs(spec.with_split(held), model, model.resolution) if held else None


def training_split(spec: DataSpec, splits: Sequence[str]) -> DataSpec:
    """What is trained on: the split that is named, else "train" if there is one, else all."""
    return spec if spec.split or "train" not in splits else spec.with_split("train")


def open_pairs(
    spec: DataSpec, model: Model, load_size: tuple[int, int], *, space: LabelSpace | None = None
) -> PairData:
    """A data set at the model's resolution, in its label space (joined by names).

    space: that of maps which do not say theirs (None: the model's). Raises LabelError if no class is in common.
    """
    source = open_source(spec, space=space or model.label_space)
    if source.label_space.names != model.label_space.names:
        source = Relabelled(source, source.label_space.mapping_to(model.label_space))
    kept = kept_reads(str(spec), source.names, space or model.label_space, model.label_space)
    return PairData(source, model.resolution, load_size=load_size, **kept)


# --- the end ------------------------------------------------------------------------------------------------------


def export(plan: TrainingPlan, folder: Path, run: RunFolder, loop: Loop, published: Published) -> None:
    """Write the finished model, its other networks and its card into `folder`."""
    trainer = loop.trainer
    others = {n: net for n, net in trainer.networks.items() if n != "model" and any(True for _ in net.parameters())}
    save_model(
        trainer.model,
        folder,
        architecture=plan.architecture,
        variant=plan.variant,
        dtype=plan.training.dtype,
        networks=others,
    )
    write_training_card(plan, folder, loop, published, run.metrics())
