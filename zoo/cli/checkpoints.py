"""`zoo identify` and `zoo convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.labels import space_option
from zoo.cli.show import command_line, emit_json, json_option, say, show
from zoo.errors import UsageError, WeightsError, few

if TYPE_CHECKING:
    from zoo.checkpoints.assemble import Statement
    from zoo.checkpoints.identify import Candidate, Network, Report


@click.command(epilog="Example: zoo identify latest_net_G.pth")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def identify(file: Path, as_json: bool) -> None:
    """Whose networks FILE holds: a checkpoint of some authors (torch, safetensors or TensorFlow), told by its keys and shapes alone.

    FILE may be the index or the folder of sharded safetensors. Nothing of the file is run. Prints the architectures that
    have these networks to the last key, their configs, what no shape tells and how to state it for zoo convert, and the near
    misses. Exit code 1: no network is known.
    """
    from zoo.checkpoints.identify import identify as look

    report = look(file)
    if as_json:
        emit_json(report.to_json())
    else:
        for line in report_lines(report):
            show(line)
    for fault in report.faults:
        say(fault)
    if not report.named:
        near = report.nearest()
        raise WeightsError(
            f"{file} holds no network of a system that the zoo knows"
            + (f"; nearest: {near}." if near else ", nor anything near one.")
        )


def report_lines(report: Report) -> list[str]:
    """The report for people."""
    count = sum(len(n.tensors) for n in report.networks)
    lines = [f"{report.file}: {report.form}, {count} tensors"]
    for network in report.networks:
        lines += _network_lines(network)
    if report.ignored:
        lines.append("left out: " + few([f"{name} ({what})" for name, what in report.ignored], 8))
    return lines


def _network_lines(network: Network) -> list[str]:
    averaged = ", averaged weights (EMA)" if network.averaged else ""
    lines = [
        f"{network.path or 'the whole file'}: {len(network.tensors)} tensors, {network.parameters:,} numbers{averaged}"
    ]
    if len(network.candidates) > 1:
        owners = ", ".join(c.architecture for c in network.candidates)
        lines.append(f"  a tie: {owners} share this network to the last key; say which with zoo convert --as ARCH")
    for candidate in network.candidates:
        lines += _candidate_lines(candidate)
    if not network.candidates:
        lines.append("  not known")
    for candidate in network.rejected:
        lines += _rejected_lines(candidate)
    return lines


def _candidate_lines(candidate: Candidate) -> list[str]:
    from zoo.checkpoints.variants import is_training

    match = candidate.match
    lines = [f"  {candidate.architecture} {match.role}: all {match.matched} keys fit"]
    if match.config:
        lines.append("    config: " + ", ".join(f"{k}={plain(v)}" for k, v in match.config.items()))
    if not is_training(match.role):
        fitting = [v.name for v in candidate.variants if not v.differs]
        names = [f"{candidate.architecture}/{n}" for n in fitting]
        if names:
            lines.append(f"    variant: {' or '.join(names)}")
        for variant in candidate.variants:
            if variant.differs:
                differs = [f"{k} {plain(b)} instead of {plain(a)}" for k, (a, b) in variant.differs.items()]
                lines.append(f"    near variant {candidate.architecture}/{variant.name}: {few(differs)}")
    if match.ambiguous:
        lines.append(f"    no shape tells: {', '.join(match.ambiguous)}")
        lines.append(f"      state it: {_statement(candidate)}")
    return lines


def _statement(candidate: Candidate) -> str:
    """How to say what no shape tells, in the options of `zoo convert`."""
    ambiguous = candidate.match.ambiguous
    ways = []
    if "label_space" in ambiguous or "channels" in ambiguous:
        ways.append("--dataset NAME (celeba, ade20k, …) or --space SPACE")
    ways += [f"--config {f}=…" for f in ambiguous if f not in ("label_space", "channels")][:3]
    if candidate.variants:
        ways.append(f"all at once with --as {candidate.architecture}/{candidate.variants[0].name}")
    return "; ".join(ways)


def _rejected_lines(candidate: Candidate) -> list[str]:
    match = candidate.match
    lines = [f"  not {candidate.architecture} {match.role}: {match.matched} of {candidate.expected} keys fit"]
    for what, keys in (("lacks", match.missing), ("has besides", match.unknown), ("other shape", match.misfit)):
        if keys:
            lines.append(f"    {what}: {few(list(keys))}")
    return lines


def plain(value: Any) -> str:
    """A config value as `--config` takes it; long lists are cut."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value[:6])) + (f",… ({len(value)})" if len(value) > 6 else "")
    return str(value)


@click.command(epilog="Example: zoo convert latest_net_G.pth latest_net_E.pth --dataset celeba --out scgan-theirs")
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), required=True, help="The model folder to write.")
@click.option(
    "--as", "name", metavar="ARCH[/VARIANT]", help="Which system, where several share these networks; its variant."
)
@click.option(
    "--dataset", metavar="NAME", help="What they were trained on: classes, their order, and what else goes with it."
)
@click.option("--space", metavar="SPACE", help="Label space of the classes: a name or FILE.")
@click.option("--config", "changes", metavar="KEY=VALUE", multiple=True, help="State a config field; repeatable.")
@click.option(
    "--entry", metavar="NAME", help="The entry to take where a file has a network twice.  [default: averaged weights]"
)
@click.option(
    "--discriminator",
    type=click.Choice(["keep", "drop"]),
    default="drop",
    show_default=True,
    help="Keep it as discriminator.safetensors, for training on.",
)
@click.option("--weights-license", metavar="TEXT", default="unknown", show_default=True, help="Licence of the weights.")
@click.option(
    "--data-license", metavar="TEXT", default="unknown", show_default=True, help="Licence of their training data."
)
@click.option("--overwrite", is_flag=True, help="Replace a model folder that is there.")
@json_option
def convert(
    files: tuple[Path, ...],
    out: Path,
    name: str | None,
    dataset: str | None,
    space: str | None,
    changes: tuple[str, ...],
    entry: str | None,
    discriminator: str,
    weights_license: str,
    data_license: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make a model folder of the authors' checkpoints: all FILEs are networks of one model (net_G and net_E).

    The folder is written whole or not at all; it was loaded strictly and run once. Its card names the files with their
    sha256. Prints the folder.
    """
    stated = _stated(name, dataset, space, changes)
    from zoo.checkpoints.convert import convert as write

    report = write(
        files,
        out,
        stated,
        entry=entry,
        discriminator=discriminator == "keep",
        overwrite=overwrite,
        licenses=(weights_license, data_license),
        command=command_line(),
    )
    if as_json:
        emit_json(report)
        return
    if report["assumed"]:
        say(
            "no shape tells these, so they were assumed: "
            + ", ".join(f"{k}={plain(v)}" for k, v in report["assumed"].items())
        )
    if report["unused"]:
        say(f"not used: {', '.join(report['unused'])}")
    say(
        f"{report['architecture']}"
        + (f"/{report['variant']}" if report["variant"] else "")
        + f", {report['parameters']:,} parameters, {' x '.join(map(str, report['resolution']))} px, {report['label_space']}"
    )
    show(report["folder"])


def _stated(name: str | None, dataset: str | None, space: str | None, changes: tuple[str, ...]) -> Statement:
    """The statements of the command line, checked for names and forms. Raises UsageError."""
    from zoo.registry import registry

    architecture = variant = None
    if name is not None:
        architecture, _, variant = name.partition("/")
        arch = registry().architecture(architecture)
        if arch.official is None:
            raise UsageError(f"--as {name}: {architecture} has no converter for checkpoints of its authors.")
        if variant:
            architecture, variant, _ = registry().variant(name)
    fields: dict[str, str] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--config {change!r}: expected KEY=VALUE.")
        fields[key.strip()] = value.strip()
    if dataset is not None and not dataset.strip():
        raise UsageError("--dataset is empty: name the data set, for example celeba.")
    from zoo.checkpoints.assemble import Statement

    return Statement(architecture, variant or None, dataset, space_option(space), fields)
