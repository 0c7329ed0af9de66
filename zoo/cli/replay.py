"""`zoo replay`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from zoo.cli.show import emit_json, json_option, say
from zoo.errors import DataError, UsageError
from zoo.registry.kinds import of_role


@click.command(epilog="Example: zoo replay faces/manifest.json")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep what is made again here.  [default: a temporary folder]",
)
@json_option
def replay(manifest: Path, out: Path | None, as_json: bool) -> None:
    """Make the run of MANIFEST again, with its models, seed, threads and batch size, and compare the digests.

    Exit 0 if every file has the same bytes, 1 if not (equal bytes are promised for one machine and the same versions).
    """
    from zoo.composition.folder.records import read_manifest
    from zoo.composition.folder.target import check_target

    recorded = read_manifest(manifest)
    folder = manifest if manifest.is_dir() else manifest.parent
    lines = _records(folder)
    _check_models(recorded)
    if out is not None:
        check_target(out)
        if out.is_dir() and any(out.iterdir()):
            raise UsageError(f"--out {out} is not empty: name a new folder.")
    with tempfile.TemporaryDirectory() as temporary:
        made = _again(recorded, folder, out or Path(temporary))
    report = _compare(lines, made, recorded, folder)
    if as_json:
        emit_json(report)
    else:
        click.echo(f"{report['equal']} of {report['files']} files are equal")
        for name in report["different"][:20]:
            click.echo(f"different: {name}")
        for name in report["changed"][:20]:
            click.echo(f"changed since it was made: {name}")
        packed = [name for name in report["different"] if is_packed(folder / name)]
        if packed:
            say(
                f"{packed[0]}{f' and {len(packed) - 1} others' if packed[1:] else ''}: written with fewer than 8 bits per pixel,"
                " as versions before 0.3.0 did for 16 classes and fewer; today's files have 8, so that their bytes differ."
            )
        for name, (old, new) in report["versions"].items():
            say(f"{name} was {old}, is {new}")
    if report["different"] or report["changed"]:
        sys.exit(1)


def is_packed(path: Path) -> bool:
    """True for a PNG of fewer than 8 bits per pixel."""
    head = path.read_bytes()[:25] if path.is_file() else b""
    return head[:4] == b"\x89PNG" and len(head) == 25 and head[24] < 8


def _records(folder: Path) -> list[dict[str, Any]]:
    from zoo.composition.folder.records import METADATA, read_records

    found = read_records(folder / METADATA)
    if not found:
        raise UsageError(f"{folder} has no {METADATA} with samples: the run made nothing to compare with.")
    return found


def _check_models(recorded: dict[str, Any]) -> None:
    """Raise UsageError for a run of models that only existed as Python objects, or are of the wrong kind or unknown."""
    from zoo.composition.checks.before_loading import check_reference

    drawing = of_role("generator") if "synthesizer" in recorded["models"] else of_role("generator", "alone")
    kinds = {"generator": drawing, "synthesizer": of_role("synthesizer"), "parser": of_role("parser")}
    for role, model in recorded["models"].items():
        if not isinstance(model, dict) or role not in kinds:
            raise DataError(f"The manifest names a model {role!r} that a run does not have: it is damaged.")
        if model.get("sha256") is None:
            raise UsageError(
                f"The {role} {model.get('id')} was given as a Python object: save it (zoo.save) and compose with its folder to replay a run."
            )
        check_reference(str(model.get("source")), *kinds[role])


def _again(recorded: dict[str, Any], folder: Path, out: Path) -> list[dict[str, Any]]:
    """Run the request of a manifest into `out`, with its threads; returns the new records."""
    import torch

    from zoo.composition.chain import compose
    from zoo.composition.folder.manifest import check_models, make_manifest, request_from_json
    from zoo.composition.folder.outputs import OutputFolder
    from zoo.files.opened import OpenedFiles

    models = {role: m["source"] for role, m in recorded["models"].items()}
    composition = compose(
        (models.get("generator"), models.get("synthesizer")), device=recorded["device"], parser=models.get("parser")
    )
    check_models(recorded, composition)
    request = request_from_json(recorded["request"], folder, device=composition.device)
    threads = torch.get_num_threads()
    torch.set_num_threads(int(recorded["threads"]))
    try:
        files = OpenedFiles(trusted=True)
        manifest, inputs = make_manifest(composition, request, files)
        output = OutputFolder(out, manifest, inputs, space=composition.space)
        for part in composition.run(request, files=files):
            output.write(part)
        output.finish()
    finally:
        torch.set_num_threads(threads)
    return output.records


def _compare(
    old: list[dict[str, Any]], new: list[dict[str, Any]], recorded: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """equal, different: recorded digests against those made now; changed: files that no longer have their recorded digest."""
    from zoo.composition.folder.records import files_of
    from zoo.environment import versions
    from zoo.files.digests import sha256

    before = {n: d for r in old for n, d in files_of(r).items()}
    after = {n: d for r in new for n, d in files_of(r).items()}
    different = [n for n, d in before.items() if after.get(n) != d]
    changed = [n for n, d in before.items() if not (folder / n).is_file() or sha256(folder / n) != d]
    now = versions()
    newer = {n: (v, now.get(n)) for n, v in recorded["versions"].items() if now.get(n) != v}
    return {
        "files": len(before),
        "equal": len(before) - len(different),
        "different": different,
        "changed": changed,
        "versions": newer,
    }
