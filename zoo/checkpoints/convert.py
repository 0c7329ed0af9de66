"""`zoo convert`: checkpoints of the authors as a model folder, complete or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zoo.cards import README, write_card
from zoo.cards.licenses import UNKNOWN
from zoo.cards.writing import front_matter
from zoo.checkpoints.assemble import Assembly, Component, Statement, assemble, choose_architecture
from zoo.checkpoints.identify import Report, identify
from zoo.checkpoints.networks import groups, is_ema
from zoo.checkpoints.smoke import smoke
from zoo.checkpoints.variants import is_discriminator, is_training
from zoo.data.facts import facts_of
from zoo.errors import DataError, UsageError, WeightsError
from zoo.files.digests import sha256
from zoo.files.folders import whole_folder
from zoo.files.jsonfiles import read_json
from zoo.files.ordinary import ordinary_file
from zoo.files.tensors import save_tensors
from zoo.registry import registry
from zoo.store.models import CONFIG, load_model, save_model, vouched
from zoo.store.vouching import is_model_file

if TYPE_CHECKING:
    from zoo.interfaces.models import Model


def convert(
    files: Sequence[Path],
    out: Path,
    stated: Statement | None = None,
    *,
    entry: str | None = None,
    discriminator: bool = False,
    overwrite: bool = False,
    licenses: tuple[str, str] = (UNKNOWN, UNKNOWN),
    command: str = "",
) -> dict[str, Any]:
    """Write the model folder `out`; returns a report. licenses: of the weights and of the data they were trained on.

    entry: the entry of a file to take (`params_ema`) where it has a network twice. The folder appears when it is complete:
    loaded strictly, and run once on drawn input. Raises UsageError, WeightsError, ConfigError, DataError.
    """
    stated = stated or Statement()
    _check_out(out, overwrite)
    paths = list(dict.fromkeys(files))
    only = None if stated.architecture is None else [stated.architecture]
    reports = [_pick(identify(path, data=True, only=only), entry) for path in paths]
    name, components = choose_architecture(reports, stated.architecture)
    if all(is_training(c.role) for c in components):
        raise WeightsError(
            f"{', '.join(str(p) for p in paths)}: a {components[0].role} alone is no model: give the generator, too."
        )
    kept = [c for c in components if not is_training(c.role) or (discriminator and is_discriminator(c.role))]
    assembly = assemble(name, kept, _with_told(name, kept, stated))
    facts = _facts(assembly, stated, licenses, command)
    with whole_folder(out, replaces=is_model_file if overwrite else None) as part:
        _write(assembly, part, facts)
    return _summary(assembly, out, facts, [c.label for c in components if c not in kept], reports)


def _with_told(name: str, components: Sequence[Component], stated: Statement) -> Statement:
    """The statement with what the files say beside their weights, where the system reads that (`official.told`) and nobody states
    otherwise: fields of the config, and a label space."""
    read = getattr(registry().load(registry().architecture(name), "official"), "told", None)
    if read is None:
        return stated
    fields: dict[str, Any] = {}
    space = None
    for report in {id(c.report): c.report for c in components}.values():
        more, own = read(report.content)
        fields, space = {**more, **fields}, space or own
    known = stated.space is not None or stated.dataset is not None or stated.variant is not None
    return replace(stated, config={**fields, **stated.config}, space=stated.space if known else space)


def _check_out(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f'<<out="{out}">> is a file: name a folder.')
    if not out.exists() or not any(out.iterdir()):
        return
    if not overwrite:
        raise UsageError(f'<<out="{out}">> exists and is not empty: name a new folder, or <<overwrite>>.')
    if not _is_model(out):
        raise UsageError(f'<<out="{out}">> is no model folder, and <<overwrite>> replaces nothing else: name another.')


def _is_model(folder: Path) -> bool:
    """Whether its config is one of the zoo, good or bad: other programs have files of that name, too."""
    try:
        path = ordinary_file(folder, CONFIG, error=DataError)
        return path is not None and "architecture" in read_json(path)
    except DataError:
        return False


def _pick(report: Report, entry: str | None) -> Report:
    """The report without the networks that `entry` does not name, where it names one of this file."""
    if entry is None:
        return report
    networks = [n for n in report.networks if n.path == entry or n.path.startswith(f"{entry}.")]
    if networks:
        report.networks = networks
        return report
    known = ", ".join(n.path or "(the whole file)" for n in report.networks)
    raise UsageError(f'<<entry="{entry}">>: {report.file} has no such network (it has: {known}).')


def _build(assembly: Assembly) -> Model:
    for key, tensor in assembly.state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            files = ", ".join(c.label for c in assembly.components)
            raise WeightsError(
                f"{files}: {key} has numbers that are not finite (NaN or infinity): the training ran away."
            )
    model: Model = registry().load(assembly.architecture, "model")(assembly.config, assembly.space)
    model.load_state_dict(
        {k: v for k, v in assembly.state.items() if not is_discriminator(k.partition(".")[0])}, strict=True
    )
    return model.eval()


def _write(assembly: Assembly, folder: Path, facts: dict[str, Any]) -> None:
    """Fill the folder, then load it as a user would, and run it once."""
    model = _build(assembly)
    lacking = [n for n, a in model.ASSETS.items() if a.required]
    if lacking:
        raise WeightsError(
            f"{assembly.name} needs {', '.join(lacking)}, which is computed from data and is in no checkpoint: train it"
            f" (zoo train {assembly.name} --data …), or use zoo fit on a folder that has one."
        )
    save_model(model, folder, architecture=assembly.name, variant=assembly.variant)
    for name, tensors in groups(assembly.state).items():
        if is_discriminator(name):
            save_tensors(tensors, folder / f"{name}.safetensors")
    facts["parameters"] = sum(p.numel() for p in model.parameters())
    facts["resolution"] = list(model.resolution)
    facts |= vouched(folder)
    about = facts_of(str(facts["data"]))
    write_card(folder, front_matter(facts, name=assembly.name, license_link=about.url), _text(assembly, facts))
    del model
    smoke(load_model(folder))


def _facts(assembly: Assembly, stated: Statement, licenses: tuple[str, str], command: str) -> dict[str, Any]:
    """The `zoo:` part of the card, as far as it does not depend on the written files."""
    arch = assembly.architecture
    weights, data = licenses
    sources: dict[Path, dict[str, Any]] = {}
    for component in assembly.components:
        for path in component.report.files:
            source = sources.setdefault(
                path, {"file": path.name, "sha256": sha256(path), "bytes": path.stat().st_size, "networks": {}}
            )
            source["networks"][component.role] = component.network.path
    return {
        "architecture": assembly.name,
        "variant": assembly.variant,
        "kind": arch.kind,
        "label_space": assembly.space.name,
        "resolution": [],
        "parameters": 0,
        "data": stated.dataset or UNKNOWN,
        "data_license": data,
        "code_license": "Apache-2.0",
        "weights_license": weights,
        "paper": arch.paper or UNKNOWN,
        "recipe": command or UNKNOWN,
        "sources": list(sources.values()),
        "assumed": {k: list(v) if isinstance(v, tuple) else v for k, v in assembly.assumed.items()},
        "limits": _limits(assembly, weights),
    }


def _limits(assembly: Assembly, weights: str) -> list[str]:
    limits = ["Converted from the authors' checkpoint; it was loaded and run once, its quality was not measured."]
    if weights == UNKNOWN:
        limits.append(
            "The licence of these weights is not known to the zoo: ask their authors before you use or share them."
        )
    if assembly.assumed:
        limits.append(f"No shape tells {', '.join(assembly.assumed)}; the values were assumed.")
    if any(is_ema(c.network.path) for c in assembly.components):
        limits.append("The averaged weights (EMA) of the file were taken.")
    if unmatched := unmatched_averages([c.report for c in assembly.components]):
        limits.append(f"The raw weights were taken: {', '.join(unmatched)}.")
    return limits


def unmatched_averages(reports: Sequence[Report]) -> list[str]:
    """Averaged weights that could not be taken, since nothing tells their names."""
    files = {r.file: r.unmatched for r in reports}
    return [
        f"{path.name} ({entry}: averaged weights without names)" for path, names in files.items() for entry in names
    ]


def _text(assembly: Assembly, facts: dict[str, Any]) -> str:
    arch = assembly.architecture
    lines = [
        f"# {assembly.name}" + (f" ({assembly.variant})" if assembly.variant else ""),
        "",
        arch.title,
        "",
        "The authors' weights, converted with",
        "",
        f"    {facts['recipe']}",
        "",
        "## Sources",
        "",
    ]
    for source in facts["sources"]:
        networks = ", ".join(
            role + (f" (entry {entry})" if entry else "") for role, entry in source["networks"].items()
        )
        lines.append(f"- `{source['file']}`, {source['bytes']} bytes, sha256 {source['sha256']}: {networks}")
    return "\n".join([*lines, "", "## Limits", "", *(f"- {limit}" for limit in facts["limits"])])


def _summary(
    assembly: Assembly, out: Path, facts: dict[str, Any], dropped: list[str], reports: Sequence[Report]
) -> dict[str, Any]:
    unused = [f"{r.file} ({n.path or 'the whole file'})" for r in reports for n in r.networks if not n.candidates]
    unused += dropped + unmatched_averages(reports)
    return {
        "folder": str(out),
        "architecture": assembly.name,
        "variant": assembly.variant,
        "label_space": assembly.space.name,
        "resolution": facts["resolution"],
        "parameters": facts["parameters"],
        "assumed": facts["assumed"],
        "sources": facts["sources"],
        "discriminator": any(is_discriminator(c.role) for c in assembly.components),
        "unused": unused,
        "card": str(out / README),
    }
