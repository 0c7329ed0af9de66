"""From recognised networks to one config: which belong together, and what no shape tells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from zoo import configs
from zoo.checkpoints.identify import Candidate, Network, Report
from zoo.checkpoints.variants import (
    DATA_FIELDS,
    as_variant,
    is_discriminator,
    is_partial,
    is_training,
    of_data_set,
    open_fields,
    variants_of,
)
from zoo.errors import ConfigError, UsageError, WeightsError, ZooError
from zoo.labels import LabelSpace, numbered_space
from zoo.registry import Architecture, registry


@dataclass(frozen=True)
class Component:
    """A network of the model to be: its file, its entry there, its role."""

    report: Report
    network: Network
    candidate: Candidate

    @property
    def role(self) -> str:
        """As `official.convert` names it."""
        return self.candidate.match.role

    @property
    def label(self) -> str:
        """For messages: the file and, within it, the entry."""
        return str(self.report.file) + (f" ({self.network.path})" if self.network.path else "")


@dataclass(frozen=True)
class Statement:
    """What the user says of the weights. `architecture`/`variant`: of `--as`; config: fields as text."""

    architecture: str | None = None
    variant: str | None = None
    dataset: str | None = None
    space: LabelSpace | None = None
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Assembly:
    """A model to be written. name: the architecture's, as the registry knows it (`distribution:name` where two claim it);
    assumed: fields that no shape tells and nobody stated; state: our keys, discriminator included."""

    name: str
    architecture: Architecture
    variant: str | None
    config: Any
    space: LabelSpace
    components: tuple[Component, ...]
    state: dict[str, Tensor]
    assumed: dict[str, Any]


def choose_architecture(reports: Sequence[Report], architecture: str | None) -> tuple[str, list[Component]]:
    """The one architecture that owns a network of every file, and the networks that make its model.

    Averaged weights go before the raw ones beside them. Raises UsageError for a tie, WeightsError for files of nobody, of
    several systems, or with one role twice.
    """
    owners: list[str] = []
    for report in reports:
        if not report.named:
            near = report.nearest()
            raise WeightsError(
                f"{report.file} holds no network of {architecture or 'a system that the zoo knows'}"
                + (f"; nearest: {near}" if near else "")
                + ". See: zoo identify FILE"
            )
        names = {c.architecture for n in report.named for c in n.candidates}
        owners = [n for n in owners if n in names] if report is not reports[0] else sorted(names)
        if not owners:
            listed = "; ".join(f"{r.file}: {', '.join(_owners(r))}" for r in reports)
            raise WeightsError(f"These files are of different systems ({listed}): convert those that belong together.")
    whole = [
        n
        for n in owners
        if any((role := _role(n, p)) is not None and not is_partial(role) for r in reports for p in r.named)
    ]
    names = whole or owners
    if len(names) > 1:
        near = next(filter(None, (r.nearest() for r in reports)), "")
        raise UsageError(
            f"{', '.join(str(r.file) for r in reports)} may be of {' or '.join(names)}, which share these networks to the last"
            ' key: give the generator\'s file, too, or say <<architecture="ARCH">>.'
            + (f" Besides, a network there is nobody's; nearest: {near}." if near else "")
        )
    return names[0], _components(reports, names[0])


def _owners(report: Report) -> list[str]:
    return sorted({c.architecture for n in report.named for c in n.candidates})


def _role(architecture: str, network: Network) -> str | None:
    return next((c.match.role for c in network.candidates if c.architecture == architecture), None)


def _components(reports: Sequence[Report], architecture: str) -> list[Component]:
    by_role: dict[str, Component] = {}
    for report in reports:
        for network in report.named:
            candidate = next((c for c in network.candidates if c.architecture == architecture), None)
            if candidate is None:
                continue
            component = Component(report, network, candidate)
            other = by_role.get(component.role)
            if other is None or (component.report is other.report and network.averaged and not other.network.averaged):
                by_role[component.role] = component
            elif is_discriminator(component.role) and "_" in component.role:
                continue  # several of one form in a file, of which the first is taken
            elif component.report is not other.report or network.averaged == other.network.averaged:
                raise WeightsError(
                    f"{other.label} and {component.label} are both a {component.role} of {architecture}: give one of them"
                    ' (<<entry="NAME">> picks an entry of a file).'
                )
    return list(by_role.values())


def assemble(name: str, components: Sequence[Component], stated: Statement) -> Assembly:
    """One config for all components, and their tensors under our keys; every shape is compared with what this config builds.

    Raises WeightsError for components that do not belong together or lack one, ConfigError, UsageError for what must be stated.
    """
    arch = registry().architecture(name)
    official = registry().load(arch, "official")
    reason = ""
    for read in _readings(components):
        config, assumed = _with_open_fields(name, components, read, stated)
        space = _space(config, stated)
        tensors = {c.role: c.network.tensors for c in components}
        state = official.convert(tensors, config)
        fault = _mismatch(arch, config, space, state)
        if not fault:
            return Assembly(name, arch, _variant_name(name, config), config, space, tuple(components), state, assumed)
        reason = reason or fault
    raise WeightsError(_blame(name, components, reason, stated))


def _readings(components: Sequence[Component]) -> Iterator[dict[str, Any]]:
    """Ways to join what the components tell, the likeliest first: a field that both tell is the generator's.

    A match leaves out fields at their defaults, so a generator's silence on a field may mean the default or nothing.
    """
    chief = _main(components)
    main = chief.candidate.match
    others = [c.candidate.match for c in components if c is not chief and not is_training(c.role)]
    told: dict[str, Any] = {}
    for match in others:
        told |= {k: v for k, v in match.config.items() if k not in match.ambiguous}
    seen = []
    for more in (
        {k: v for k, v in told.items() if k in main.ambiguous or k not in main.config},
        {k: v for k, v in told.items() if k in main.ambiguous},
        {},
    ):
        read = {**main.config, **more}
        if read not in seen:
            seen.append(read)
            yield read


def _main(components: Sequence[Component]) -> Component:
    """The network that tells most of the config; of several that are no encoder or discriminator the one that leaves least open."""
    whole = [c for c in components if not is_partial(c.role)]
    return min(whole, key=lambda c: len(c.candidate.match.ambiguous)) if whole else components[0]


def _with_open_fields(
    name: str, components: Sequence[Component], read: dict[str, Any], stated: Statement
) -> tuple[Any, dict[str, Any]]:
    """The config with what no shape tells: stated fields, else those of the stated or nearest variant, else as detected."""
    chief = _main(components)
    main = chief.candidate.match
    told = {
        k
        for c in components
        if c is not chief
        for k in c.candidate.match.config
        if k not in c.candidate.match.ambiguous
    }
    cls = registry().load(registry().architecture(name), "config")
    try:
        base = configs.from_dict(cls, {**read, **_space_fields(stated), **stated.config}, network=True, where=name)
    except ConfigError as error:
        raise ConfigError(
            f"{error.args[0]} What no shape tells can be stated: {', '.join(_stating(f, '…') for f in main.ambiguous)}."
        ) from error
    plain = configs.to_dict(base)
    variants = _variants(name, stated, plain)
    open_ = [f for f in main.ambiguous if f in plain and f not in told and f not in stated.config]
    if stated.space:
        open_ = [f for f in open_ if f not in DATA_FIELDS]
    values = {k: v for k, v in open_fields(name, main, variants)[1].items() if k in open_} if variants else {}
    config = _fitting(name, base, values)
    explicit = stated.variant or stated.dataset
    if explicit and values.get("label_space", config.label_space) != config.label_space:
        given = as_variant(name, stated.variant) if stated.variant else f'<<dataset="{stated.dataset}">>'
        raise WeightsError(
            f"{given} means the classes of {values['label_space']}, and these weights have another number of them"
            f" (they would fit {config.label_space})."
        )
    assumed = {} if explicit else {f: getattr(config, f) for f in open_}
    if assumed.get("label_space") == "numbered":
        edges = (
            ', and <<config={"edges": "true"}>> if the last one shows the edges of instances'
            if "edges" in assumed
            else ""
        )
        raise UsageError(
            f'Nothing in the file tells what its {len(config.channels)} classes are: state them with <<dataset="NAME">>, <<space="SPACE">>'
            f" (a name or FILE.json), or {as_variant(name, 'VARIANT')}{edges}; {_stating('label_space', 'numbered')} leaves them without names."
        )
    return config, assumed


def _space_fields(stated: Statement) -> dict[str, Any]:
    return {"label_space": stated.space.name, "channels": ()} if stated.space else {}


def _variants(name: str, stated: Statement, plain: Mapping[str, Any]) -> dict[str, Any]:
    """The variants whose values stand in for what no shape tells."""
    if stated.variant is not None:
        return {stated.variant: variants_of(name)[stated.variant]}
    if stated.dataset is not None:
        return of_data_set(name, stated.dataset)
    return {n: v for n, v in variants_of(name).items() if v.config.label_space == plain.get("label_space")}


def _fitting(name: str, base: Any, values: Mapping[str, Any]) -> Any:
    """`base` with as many of a variant's values as make the same shapes: all of them, else those of the data, else one by one."""
    wanted = _shapes(name, base)
    tries = [dict(values), {k: values[k] for k in DATA_FIELDS if k in values}, *({k: v} for k, v in values.items())]
    config = base
    for change in tries:
        if all(getattr(config, k) == v for k, v in change.items()):
            continue
        try:
            candidate = configs.override(config, change, network=True, where=name)
        except ConfigError:
            continue
        if wanted is None or _shapes(name, candidate) == wanted:
            config = candidate
    return config


def _shapes(name: str, config: Any) -> dict[str, tuple[int, ...]] | None:
    """Our keys and shapes of a config; None if no such network can be built."""
    arch = registry().architecture(name)
    try:
        with torch.device("meta"):
            model = registry().load(arch, "model")(config, _space(config, Statement()))
    except (ZooError, ValueError, RuntimeError):
        return None
    return {k: tuple(v.shape) for k, v in model.state_dict().items()}


def _space(config: Any, stated: Statement) -> LabelSpace:
    """The label space of a config; numbered classes get one that holds just them."""
    if stated.space is not None and config.label_space == stated.space.name:
        return stated.space
    if config.label_space == "numbered":
        numbers = [int(m[1]) for c in getattr(config, "channels", ()) if (m := re.search(r"(\d+)$", c))]
        return numbered_space(max(numbers, default=0) + 1, background=0 not in numbers)
    return registry().label_space(config.label_space)


def _variant_name(name: str, config: Any) -> str | None:
    """The variant that has exactly this config."""
    return next((n for n, v in variants_of(name).items() if v.config == config), None)


def _mismatch(arch: Architecture, config: Any, space: LabelSpace, state: Mapping[str, Tensor]) -> str:
    """What a model of this config has against the converted tensors: empty if all agree, else a sentence."""
    with torch.device("meta"):
        model = registry().load(arch, "model")(config, space)
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    converted = {k: tuple(v.shape) for k, v in state.items() if not is_discriminator(k.partition(".")[0])}
    missing = [k for k in expected if k not in converted]
    unknown = [k for k in converted if k not in expected]
    shapes = [k for k in expected if k in converted and converted[k] != expected[k]]
    networks = {k.split(".")[0] for k in missing} - {k.split(".")[0] for k in converted}
    if networks:
        return f"missing network: {', '.join(sorted(networks))}"
    strange = {k.split(".")[0] for k in unknown} - {k.split(".")[0] for k in expected}
    if strange:
        return f"unused network: {', '.join(sorted(strange))}"
    if missing or unknown or shapes:
        if shapes:
            return f"{shapes[0]} is {converted[shapes[0]]}, the config gives {expected[shapes[0]]}"
        return f"{(missing or unknown)[0]} is {'missing' if missing else 'one too many'}"
    return ""


def _stating(field: str, value: str) -> str:
    """A stated config field, for an error."""
    return f'<<config={{"{field}": "{value}"}}>>'


def _blame(name: str, components: Sequence[Component], reason: str, stated: Statement) -> str:
    """The error for components that make no model."""
    files = " and ".join(c.label for c in components)
    kind, _, networks = reason.partition(": ")
    if kind == "missing network":
        return f"{files}: a model of {name} with this config also has the network {networks}: give its file in the same call."
    if kind == "unused network":
        return f"{files}: {name} with this config has no {networks}: leave that file out, or state the config ({_stating('use_vae', 'true')})."
    given = [_stating(k, v) for k, v in stated.config.items()]
    given += [f'<<space="{stated.space.name}">>'] if stated.space else []
    if given:
        return f"{files}: these weights have other shapes than {' '.join(given)} gives ({reason})."
    if len(components) > 1:
        open_ = [f for f in _main(components).candidate.match.ambiguous if f not in stated.config]
        hint = f", or state what no shape tells: {', '.join(_stating(f, '…') for f in open_)}" if open_ else ""
        return f"{files} do not belong together: {reason}. Give files of one training{hint}."
    return f"{files} does not fit {name}: {reason}."
