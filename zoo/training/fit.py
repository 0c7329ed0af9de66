"""`zoo fit`: an asset of a finished model computed again, or on other data. torch is imported when the work begins."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import configs
from zoo.cards import Card, listed_bytes, read_card, write_card
from zoo.data.specs import DataSpec, parse_spec
from zoo.errors import DataError, UsageError, did_you_mean
from zoo.files.configfile import config_values
from zoo.files.folders import whole_folder
from zoo.files.links import refuse_links
from zoo.files.locks import folder_lock
from zoo.hub import is_path, pinned, resolve
from zoo.interfaces.training_options import TrainingOptions
from zoo.labels import LabelSpace
from zoo.registry import Architecture, registry
from zoo.training.origin import HOLDS, facts_of_data, photos_held
from zoo.training.plan import TrainingPlan, absolute_data, check_data_set, public_name, training_class
from zoo.training.runs import MODEL, OPTIONS, RunFolder

if TYPE_CHECKING:
    from zoo.data import PairData
    from zoo.interfaces.models import Model

HEADING = "## Assets computed again"


@dataclass(frozen=True)
class FitPlan:
    """What `zoo fit` was asked for, resolved: the model folder, the asset, the data, and where the result goes."""

    name: str
    folder: Path
    asset: str
    data: DataSpec
    options: TrainingOptions
    out: Path | None = None
    space: LabelSpace | None = None
    command: str = ""


def plan_fit(
    model: str,
    asset: str,
    data: str,
    *,
    out: Path | None = None,
    changes: Mapping[str, str] | None = None,
    space: LabelSpace | None = None,
    command: str = "",
) -> FitPlan:
    """Check all that can be checked before torch is imported.

    The training options (mirror images, components of a prior) are those of the run that made the folder if it lies there,
    else of its variant; `changes` overrides them. Raises UsageError (a published model without `out`, a place that is taken,
    unknown names), ConfigError, WeightsError.
    """
    resolved, spec = resolve(model), parse_spec(data)
    check_data_set(spec)
    if out is None and not is_path(model):
        raise UsageError(
            f'{resolved.name} is a published model, which stays as it is: say where the copy goes, <<out="DIR">>.'
        )
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f'<<out="{out}">> exists and is not empty: name a new folder.')
    arch, variant = _peek(resolved.folder)
    options = _options(resolved.folder, arch, variant)
    known = configs.to_dict(options)
    for field in changes or ():
        if field not in known:
            raise UsageError(
                f"<<changes>> {field}: there is no training option {field!r}{did_you_mean(field, known)} (known: {', '.join(known)})"
            )
    if changes:
        options = configs.override(options, dict(changes), where="training options")
    return FitPlan(resolved.name, resolved.folder, asset, spec, options, out, space, command)


def _peek(folder: Path) -> tuple[Architecture, str | None]:
    """Architecture and variant of a model folder, by its config alone."""
    values = config_values(folder)
    name, variant = values.get("architecture"), values.get("variant")
    if not isinstance(name, str) or not isinstance(variant, str | None):
        from zoo.store.models import read_config

        values = read_config(folder)  # says what is wrong with it
        name, variant = values["architecture"], values["variant"]
    return registry().architecture(name), variant


def _options(folder: Path, arch: Architecture, variant: str | None) -> TrainingOptions:
    """The options of the run that the folder belongs to, else those of its variant, else the defaults."""
    if folder.name == MODEL and (folder.parent / OPTIONS).is_file():
        plan = TrainingPlan.from_json(RunFolder.open(folder.parent).options(), str(folder.parent / OPTIONS))
        if plan.architecture == arch.name:
            return plan.training
    named_variant = registry().load(arch, "variants").get(variant)
    return (named_variant.training if named_variant is not None else None) or training_class(arch.name)()


def run_fit(plan: FitPlan, *, device: str = "cpu") -> dict[str, Any]:
    """Compute the asset and write it; returns the report that `--json` prints. Not random.

    A folder is changed in place: the asset's file is replaced, then the digest in the card; a run that is killed between
    the two is healed by the same command. With `out` a copy is made, which appears when it is complete.
    Raises UsageError for an unknown asset, LabelError for maps of other classes, DataError, WeightsError.
    """
    if plan.out is None:
        with folder_lock(plan.folder):
            return _fit(plan, device, plan.folder)
    with whole_folder(plan.out, way_out=" Or choose another <<out>>.") as part:
        return _fit(plan, device, part)


def _fit(plan: FitPlan, device: str, folder: Path) -> dict[str, Any]:
    """The same for the model that lies in `folder`."""
    model = load_for(plan, device)
    data = _open(plan, model)
    value = model.fit_asset(plan.asset, data, plan.options)
    if value is None:
        raise UsageError(
            f"{plan.name} ({type(model).__name__}) has no use for the asset {plan.asset!r} or cannot compute it."
        )
    if not len(value):
        raise DataError(f"{plan.data}: no map shows a class that {plan.name} draws ({', '.join(model.channels)}).")
    if folder != plan.folder:
        _copy(plan.folder, folder)
    path = _replace(plan, model, value, len(data), folder)
    from zoo.files.digests import sha256

    shown = plan.out or plan.folder
    return {
        "model": plan.name,
        "asset": plan.asset,
        "folder": str(shown),
        "file": str(shown / path.relative_to(folder)),
        "sha256": sha256(path),
        "data": str(plan.data),
        "pairs": len(data),
        "label_space": _source_space(data).name,
        "mapping": _mapping(data, model),
    }


def load_for(plan: FitPlan, device: str) -> Model:
    """The model without the asset in question, which may be missing or damaged. Raises UsageError for one that it lacks."""
    from zoo.store.models import load_model

    arch, _ = _peek(plan.folder)
    declared = registry().load(arch, "model").ASSETS
    if plan.asset not in declared:
        known = "; ".join(f"{name}: {asset.about}" for name, asset in declared.items())
        raise UsageError(
            f"{plan.name} has no asset {plan.asset!r}{did_you_mean(plan.asset, declared)}"
            + (f" (it has {known})." if known else f": {arch.name} keeps nothing that is computed from data.")
        )
    return load_model(plan.folder, device=device, without=plan.asset, pinned=pinned(plan.folder))


# --- data ---------------------------------------------------------------------------------------------------------


def _open(plan: FitPlan, model: Model) -> PairData:
    """The pairs, as training opens them: at the model's resolution, in its label space, the split "train" unless another is named."""
    from zoo.data.specs import splits_of
    from zoo.training.session import open_pairs, training_split

    spec = training_split(plan.data, splits_of(plan.data, space=plan.space or model.label_space))
    data = open_pairs(spec, model, model.resolution, space=plan.space)
    if not len(data):
        raise DataError(f"{spec}: no pairs.")
    return data


def _source_space(data: PairData) -> LabelSpace:
    """The label space of the files."""
    from zoo.data.relabelled import Relabelled

    return data.source.source.label_space if isinstance(data.source, Relabelled) else data.label_space


def _mapping(data: PairData, model: Model) -> str | None:
    """How the maps' classes became the model's, in words; None where they are the same."""
    space = _source_space(data)
    return None if space.names == model.label_space.names else space.mapping_to(model.label_space).describe()


# --- files --------------------------------------------------------------------------------------------------------


def _copy(folder: Path, target: Path) -> None:
    from zoo.cards import README
    from zoo.store.models import model_files

    for path in (*model_files(folder), folder / README):
        if path.is_file():
            copy = target / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _replace(plan: FitPlan, model: Model, value: Any, pairs: int, folder: Path) -> Path:
    """The asset's file in `folder`, then its card; returns the file. Raises UsageError for links in their places."""
    from zoo.cards import README
    from zoo.files.digests import sha256
    from zoo.store.assets import asset_file, save_asset

    names = (README, asset_file(plan.asset, model.ASSETS[plan.asset]))
    refuse_links(folder, names, "remove it, or have a copy made (<<out>>)")
    card = read_card(folder)
    path = save_asset(plan.asset, model.ASSETS[plan.asset], value, folder)
    if card is not None and card.facts:
        _update(card, plan, path.relative_to(folder).as_posix(), sha256(path), pairs, model.ASSETS[plan.asset].photos)
    return path


def _update(card: Card, plan: FitPlan, name: str, digest: str, pairs: int, photos: bool) -> None:
    """The card says the new digest, what the asset was computed from, and whether it holds photos of that."""
    files = {**card.facts.get("files", {}), name: digest}
    fitted = {
        **card.facts.get("fitted", {}),
        plan.asset: {
            "data": public_name(absolute_data(plan.data)),
            "data_license": facts_of_data(plan.data).terms,
            "pairs": pairs,
            "recipe": plan.command,
        },
    }
    size = listed_bytes(card.folder, files)
    limits = [limit for limit in card.facts.get("limits", []) if not str(limit).startswith(f"{name} {HOLDS}")]
    if photos:
        limits.append(photos_held(name, fitted[plan.asset]["data"], fitted[plan.asset]["data_license"]))
    stated = {"limits": limits} if limits else {}
    facts = {**card.facts, **stated, "fitted": fitted, "bytes": size, "files": dict(sorted(files.items()))}
    body, _, _ = card.body.partition(f"\n{HEADING}\n")
    lines = [body.rstrip(), "", HEADING, "", "The figures above were measured with the assets before these.", ""]
    lines += [
        f"- `{asset}` from {made['pairs']} pairs of `{made['data']}` ({made['data_license']})"
        + (f": `{made['recipe']}`" if made["recipe"] else "")
        for asset, made in fitted.items()
    ]
    write_card(card.folder, {**card.front, "zoo": facts}, "\n".join(lines))
