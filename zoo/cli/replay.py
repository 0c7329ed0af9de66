"""`zoo replay`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from zoo.cli.show import emit_json, json_option, say
from zoo.errors import DataError, UsageError


@click.command(epilog="Example: zoo replay faces/manifest.json")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Keep what is made again here.  [default: a temporary folder]")
@json_option
def replay(manifest: Path, out: Path | None, as_json: bool) -> None:
    """Make the run of MANIFEST again, with its models, seed, threads and batch size, and compare the digests.

    Exit 0 if every file has the same bytes, 1 if not (equal bytes are promised for one machine and the same versions).
    """
    from zoo.outputs import read_manifest

    recorded = read_manifest(manifest)
    folder = manifest if manifest.is_dir() else manifest.parent
    lines = _records(folder)
    if out is not None and out.exists() and any(out.iterdir()):
        raise UsageError(f"--out {out} is not empty.")
    with tempfile.TemporaryDirectory() as temporary:
        made = _again(recorded, folder, out or Path(temporary))
        report = _compare(lines, made, recorded)
    if as_json:
        emit_json(report)
    else:
        click.echo(f"{report['equal']} of {report['files']} files are equal")
        for name in report["different"][:20]:
            click.echo(f"different: {name}")
        for name, (old, new) in report["versions"].items():
            say(f"{name} was {old}, is {new}")
    if report["different"]:
        sys.exit(1)


def _records(folder: Path) -> list[dict[str, Any]]:
    path = folder / "metadata.jsonl"
    if not path.is_file():
        raise UsageError(f"{folder} has no metadata.jsonl: the run made nothing to compare with.")
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}.") from error


def _again(recorded: dict[str, Any], folder: Path, out: Path) -> list[dict[str, Any]]:
    """Run the request of a manifest into `out`; returns the new records."""
    import torch

    from zoo.composition import compose
    from zoo.manifest import check_models, make_manifest, request_from_json
    from zoo.outputs import OutputFolder

    torch.set_num_threads(int(recorded["threads"]))
    models = {role: m["source"] for role, m in recorded["models"].items()}
    composition = compose((models.get("generator"), models.get("synthesizer")), device=recorded["device"], parser=models.get("parser"))
    check_models(recorded, composition)
    request = request_from_json(recorded["request"], folder, device=composition.device)
    composition.check(request)
    manifest, inputs = make_manifest(composition, request)
    output = OutputFolder(out, manifest)
    inputs.copy_to(out)
    for part in composition.run(request):
        output.write(part)
    output.finish()
    return output.records


def _compare(old: list[dict[str, Any]], new: list[dict[str, Any]], recorded: dict[str, Any]) -> dict[str, Any]:
    from zoo.training.runs import versions

    before = {n: d for r in old for n, d in r["sha256"].items()}
    after = {n: d for r in new for n, d in r["sha256"].items()}
    different = [n for n, d in before.items() if after.get(n) != d]
    now = versions()
    changed = {n: (v, now.get(n)) for n, v in recorded["versions"].items() if now.get(n) != v}
    return {"files": len(before), "equal": len(before) - len(different), "different": different, "versions": changed}
