"""What `zoo train` was asked for, resolved before torch is imported."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import configs
from zoo.data.places import JOIN, PLACED, folders_of
from zoo.data.specs import DataSpec, parse_spec
from zoo.errors import DataError, UsageError, WeightsError, did_you_mean
from zoo.files.classfiles import SUFFIXES
from zoo.files.configfile import CONFIG, config_values
from zoo.files.names import one_line
from zoo.files.ordinary import ordinary_file
from zoo.files.private import private_paths, public_text
from zoo.interfaces.training_options import TrainingOptions
from zoo.labels import LabelSpace
from zoo.registry import Variant, registry, space_or_file


@dataclass(frozen=True)
class TrainingPlan:
    """A run as resolved: architecture, variant, network config, training options, data, starting weights."""

    architecture: str
    variant: str | None
    config: Any
    training: TrainingOptions
    data: str
    space: str | None = None
    init: str | None = None
    command: str = ""
    device: str = "auto"
    trust_maps: bool = False
    """The numbers of the maps are in the order of their label space, wherever their parts lie."""

    def to_json(self) -> dict[str, Any]:
        """The form of `options.json`."""
        values = {
            "architecture": self.architecture,
            "variant": self.variant,
            "config": configs.to_dict(self.config),
            "training": configs.to_dict(self.training),
            "data": self.data,
            "space": self.space,
            "init": self.init,
            "command": self.command,
            "device": self.device,
        }
        return {**values, "trust_maps": True} if self.trust_maps else values

    @classmethod
    def from_json(cls, values: dict[str, Any], where: str) -> TrainingPlan:
        """From `options.json`. Raises UsageError, ConfigError, DataError for a file that lacks a part."""
        missing = [f.name for f in dataclasses.fields(cls) if f.name not in values and f.default is dataclasses.MISSING]
        if missing:
            raise DataError(f"{where} lacks {', '.join(missing)}: it is not the options.json of a training run.")
        name = values["architecture"]
        arch = registry().architecture(name)
        config = configs.from_dict(registry().load(arch, "config"), values["config"], network=True, where=where)
        training = configs.from_dict(training_class(name), values["training"], where=where)
        rest = {f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values}
        return cls(**{**rest, "config": config, "training": training})

    def label_space(self) -> LabelSpace:
        """The label space that the model will speak: `space` (a name or a file), else the config's."""
        return space_or_file(self.space or self.config.label_space)

    def check(self) -> None:
        """Names that can be checked before torch is imported. Raises UsageError, WeightsError, LabelError."""
        check_data_set(parse_spec(self.data))
        self.label_space()
        if self.init:
            from zoo.hub import resolve

            folder = resolve(self.init).folder
            if ordinary_file(folder, "model.safetensors") is None:
                raise WeightsError(
                    f'<<init="{self.init}">>: there is no {folder / "model.safetensors"}; give a model or a model folder (RUN/model).'
                )
            if ordinary_file(folder, CONFIG) is not None:
                values = config_values(folder)
                if values.get("architecture") not in (
                    self.architecture,
                    *registry().architecture(self.architecture).grows_from,
                ):
                    raise UsageError(
                        f'<<init="{self.init}">> is a model of {one_line(str(values.get("architecture")))!r}, and {self.architecture!r} is to'
                        " be trained: leave the architecture out to train what that model is."
                    )

    @property
    def data_name(self) -> str:
        """The data set without the place where it lies here."""
        return public_name(parse_spec(self.data))

    def with_changes(self, changes: dict[str, Any]) -> TrainingPlan:
        """Fields of the network or the training overridden. Raises UsageError, ConfigError."""
        network, training = split_changes(self.config, self.training, changes)
        return dataclasses.replace(
            self,
            config=configs.override(self.config, network, network=True, where=self.architecture)
            if network
            else self.config,
            training=configs.override(self.training, training, where="training options") if training else self.training,
        )


def public_name(spec: DataSpec) -> str:
    """The data set as cards call it: without the place where it lies here (of a `folder` its own name is kept), with options."""
    place, options = _place(spec)
    if place is None:
        return str(spec)
    folders = folders_of(place) if spec.name in PLACED else [place]
    if not any(Path(f).is_absolute() or private_paths(f) for f in folders):
        return str(spec)
    kept = f":{JOIN.join(public_text(f) for f in folders)}" if spec.name in PLACED else ""
    return f"{spec.name}{kept}{options}" + (f"#{spec.split}" if spec.split else "")


def place_of(spec: DataSpec) -> str | None:
    """The path of a data set without the options behind it."""
    return _place(spec)[0]


def absolute_data(spec: DataSpec) -> DataSpec:
    """The same data set from anywhere: a path that is there becomes absolute (each of `folder:A+B`), the options behind it stay."""
    place, options = _place(spec)
    if place is None:
        return spec
    folders = folders_of(place) if spec.name in PLACED else [place]
    return spec._replace(path=f"{JOIN.join(str(_absolute(f)) for f in folders)}{options}")


def _place(spec: DataSpec) -> tuple[str | None, str]:
    """The path alone and the `,KEY=VALUE` groups behind it, told apart by what is there; the data set checks them later."""
    place, options = spec.path, ""
    while place and not Path(place).exists() and len(folders_of(place)) == 1:
        shorter, comma, group = place.rpartition(",")
        if not comma or "=" not in group:
            break
        place, options = shorter, f",{group}{options}"
    return place, options


def check_data_set(spec: DataSpec) -> None:
    """Raise UsageError for a data set that nobody registers."""
    known = registry().names("datasets")
    if spec.name not in known:
        registry().refuse_clash("datasets", spec.name)
        raise UsageError(
            f"No data set {spec.name!r}{did_you_mean(spec.name, known)} (known: {', '.join(known)}){registry().broken_hint()}."
        )


def training_class(architecture: str) -> type:
    """The training-options class of an architecture: that of its variants."""
    arch = registry().architecture(architecture)
    variants: dict[str, Variant] = registry().load(arch, "variants")
    options = next((type(v.training) for v in variants.values() if v.training is not None), None)
    if arch.trainer is None or options is None:
        raise UsageError(
            f"{architecture!r} cannot be trained here: its plugin brings no trainer (its models come from zoo.save)."
        )
    return options


def make_plan(
    name: str | None,
    data: str,
    changes: dict[str, Any],
    *,
    space: str | None = None,
    init: str | None = None,
    command: str = "",
    device: str = "auto",
    trust_maps: bool = False,
) -> TrainingPlan:
    """`ARCH[/VARIANT]` with changes. Paths become absolute, so that the run can be resumed from anywhere.

    name None: architecture, variant, network config and label space of the model that `init` names; the training options are the
    variant's. Raises UsageError with near misses, ConfigError listing all faults.
    """
    if name is None:
        if not init:
            raise UsageError("Say what to train: an architecture, or a model to start from with <<init>>.")
        arch_name, variant_name, variant, spelled = of_model(init)
        space = space or spelled
    else:
        arch_name, variant_name, variant = registry().variant(name)
    training = variant.training or training_class(arch_name)()
    spec = parse_spec(data)
    data = str(absolute_data(spec))
    space, init = _absolute(space, name=True), _absolute(init, name=True)
    plan = TrainingPlan(
        arch_name, variant_name, variant.config, training, data, space, init, command, device, trust_maps
    )
    return plan.with_changes(changes)


def of_model(reference: str) -> tuple[str, str | None, Variant, str | None]:
    """Architecture, variant and config of a model, with the variant's training options, and the name of its label space where that is
    not the config's. Raises UsageError, WeightsError, ConfigError; for a space of its own (no registered one) UsageError too."""
    from zoo.hub import resolve
    from zoo.store.models import read_config

    folder = resolve(reference).folder
    values = read_config(folder)
    name, reg = str(values["architecture"]), registry()
    arch = reg.architecture(name)
    training_class(name)  # a system without a trainer is told now
    config = configs.from_dict(
        reg.load(arch, "config"), values["config"], complete=True, where=str(folder / "config.json")
    )
    known: dict[str, Variant] = reg.load(arch, "variants")
    own = values["variant"] if isinstance(values["variant"], str) and values["variant"] in known else None
    space = values["label_space"]
    if not isinstance(space, str):
        raise UsageError(
            f'<<init="{reference}">>: the model speaks a label space of its own ({space.get("name", "without a name")}); write it to a'
            " file and name that with <<space>>, and the architecture before it."
        )
    training = known[own].training if own else None
    return name, own, Variant(config, training), None if space == getattr(config, "label_space", None) else space


def _absolute(text: str | None, *, name: bool = False) -> str | None:
    """The absolute path of what lies there; other text (a model id, a count of toy faces) as it is.

    name: text without a separator is a name even if a file of that name exists.
    """
    if (
        not text
        or (name and "/" not in text and not text.lower().endswith(SUFFIXES))
        or text.replace(",", "").isdigit()
        or not Path(text).exists()
    ):
        return text
    return str(Path(text).absolute())


def split_changes(config: Any, training: Any, changes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`network.x`, `trainer.x` and plain `x` to the object that has the field. Raises UsageError."""
    fields = {
        "network": {f.name for f in dataclasses.fields(config)},
        "trainer": {f.name for f in dataclasses.fields(training)},
    }
    chosen: dict[str, dict[str, Any]] = {"network": {}, "trainer": {}}
    for key, value in changes.items():
        owner, dot, name = key.partition(".")
        if dot:
            if owner not in fields:
                raise UsageError(f"<<changes>> {key}: fields are network.NAME, trainer.NAME or NAME.")
            owners = [owner]
        else:
            name = key
            owners = [o for o, names in fields.items() if name in names]
        if len(owners) > 1:
            raise UsageError(
                f"<<changes>> {name} is a field of the network and of the trainer: say network.{name} or trainer.{name}."
            )
        if not owners or name not in fields[owners[0]]:
            known = sorted(fields[owners[0]] if owners else fields["network"] | fields["trainer"])
            raise UsageError(
                f"<<changes>> {key}: there is no field {name!r}{did_you_mean(name, known)} (known: {', '.join(known)})"
            )
        chosen[owners[0]][name] = value
    return chosen["network"], chosen["trainer"]
