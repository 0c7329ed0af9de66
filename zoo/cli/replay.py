"""`zoo replay`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.show import emit_json, json_option, say, show
from zoo.environment import keep_pages, uncollected
from zoo.errors import DataError, UsageError
from zoo.registry.kinds import of_role
from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.files.runaccount import Account

SHOWN = 20


@click.command(epilog="Example: zoo replay faces/manifest.json")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep what is made again here.  [default: a temporary folder]",
)
@click.option(
    "--input",
    "inputs",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file that the run read, or a folder to look in, by sha256; repeatable. Needed where inputs were not copied (--no-inputs).",
)
@json_option
def replay(manifest: Path, out: Path | None, inputs: tuple[Path, ...], as_json: bool) -> None:
    """Make the run of MANIFEST again, with its models, seed, threads and batch size, and compare the digests.

    Exit 0 if every sample is accounted for and every file has the same bytes, 1 if not (equal bytes are promised for one machine
    and the same versions).

    A project of the editor (NAME.zoo.json, zoo ui) is rendered again and its picture compared; --out gets the map and the picture,
    --input the folder of a model that has no card here.
    """
    from zoo.web.project import is_project

    if is_project(manifest):
        _project(manifest, out, inputs, as_json)
        return
    from zoo.composition.folder.records import read_manifest
    from zoo.composition.folder.target import check_target
    from zoo.files.runaccount import account, check_accounted

    recorded = read_manifest(manifest)
    folder = manifest if manifest.is_dir() else manifest.parent
    there = account(folder, recorded)
    if not there.records and not there.faults[1:]:
        raise UsageError(f"{folder} has no metadata.jsonl with samples: the run made nothing to compare with.")
    check_accounted(folder, there)
    _check_models(recorded)
    if out is not None:
        check_target(out)
        if out.is_dir() and any(out.iterdir()):
            raise UsageError(f"--out {out} is not empty: name a new folder.")
    with tempfile.TemporaryDirectory() as temporary:
        made = _again(recorded, folder, out or Path(temporary), inputs)
    report = _compare(there, made, recorded)
    if as_json:
        emit_json(report)
    else:
        _tell(report, folder)
    if report["different"] or report["changed"]:
        sys.exit(1)


def _project(path: Path, out: Path | None, inputs: tuple[Path, ...], as_json: bool) -> None:
    """Render a project of the editor again and say whether it is the same picture."""
    from zoo.composition.checks.before_loading import existing_file
    from zoo.composition.folder.target import check_target
    from zoo.web.project import read_project

    existing_file(path, "project")
    if out is not None:
        check_target(out)
        if out.is_dir() and any(out.iterdir()):
            raise UsageError(f"--out {out} is not empty: name a new folder.")
    made_by = read_project(path).get("made_by")
    keep_pages()
    with uncollected():
        from zoo.web.replaying import replay as render_again
    report = render_again(path, [str(folder.absolute()) for folder in inputs], out=out)
    if as_json:
        emit_json(report)
    else:
        for name in report["models"]:
            say(f"{name} is not the model of the project: its files have other digests.")
        for note in report["notes"]:
            say(note)
        told = {
            True: "the picture is equal",
            False: "the picture is different",
            None: "the project holds no picture to compare with",
        }
        show(told[report["equal"]])
        if report["equal"] is False and made_by != __version__:
            say(f"zoo was {made_by}, is {__version__}")
        if out is not None:
            show(out)
    if report["equal"] is False:
        sys.exit(1)


def _tell(report: dict[str, Any], folder: Path) -> None:
    """The report for people."""
    show(f"{report['equal']} of {report['files']} files are equal")
    for kind, told in (("different", "different"), ("changed", "changed since it was made")):
        names = report[kind]
        for name in names[:SHOWN]:
            show(f"{told}: {name}")
        if names[SHOWN:]:
            show(f"… and {len(names) - SHOWN} more (--json lists all)")
    packed = [name for name in report["different"] if is_packed(folder / name)]
    if packed:
        say(
            f"{packed[0]}{f' and {len(packed) - 1} others' if packed[1:] else ''}: written with fewer than 8 bits per pixel,"
            " as versions before 0.3.0 did for 16 classes and fewer; today's files have 8, so that their bytes differ."
        )
    for name, (old, new) in report["versions"].items():
        say(f"{name} was {old}, is {new}")


def is_packed(path: Path) -> bool:
    """True for a PNG of fewer than 8 bits per pixel."""
    head = path.read_bytes()[:25] if path.is_file() else b""
    return head[:4] == b"\x89PNG" and len(head) == 25 and head[24] < 8


def _check_models(recorded: dict[str, Any]) -> None:
    """Raise UsageError for a run of models that only existed as Python objects, or are of the wrong kind or unknown, WeightsError for
    models that are not those of the run; none is loaded for that."""
    from zoo.composition.checks.before_loading import check_reference
    from zoo.composition.folder.card import TRANSLATOR
    from zoo.composition.folder.manifest import check_digests

    drawing = of_role("generator") if "synthesizer" in recorded["models"] else of_role("generator", "alone")
    kinds = {"generator": drawing, "synthesizer": of_role("synthesizer"), "parser": of_role("parser")}
    kinds = {TRANSLATOR: of_role(TRANSLATOR)} if TRANSLATOR in recorded["models"] else kinds
    for role, model in recorded["models"].items():
        if role not in kinds:
            raise DataError(f"The manifest names a model {role!r} that a run does not have: it is damaged.")
        if model.get("sha256") is None:
            raise UsageError(
                f"The {role} {model.get('id')} was given as a Python object: save it (zoo.save) and compose with its folder to replay a run."
            )
        resolved = check_reference(str(model.get("source")), *kinds[role])
        check_digests(role, model["sha256"], resolved)
    if not recorded["models"].keys() & {"generator", "synthesizer", TRANSLATOR}:
        raise DataError("The manifest names no model that makes maps or pictures: it is damaged.")


def _again(recorded: dict[str, Any], folder: Path, out: Path, places: tuple[Path, ...] = ()) -> list[dict[str, Any]]:
    """Run the request of a manifest into `out`, with its threads; returns the new records. places: where inputs lie besides `folder`."""
    keep_pages()
    with uncollected():
        import torch

        from zoo.composition.chain import compose
        from zoo.translation.folder import is_translation
        from zoo.translation.folder import replay as translate_again
    if is_translation(recorded):
        return translate_again(recorded, folder, out, places)
    from zoo.composition.folder.inputs import InputFiles
    from zoo.composition.folder.manifest import check_made, check_models, make_manifest, request_from_json
    from zoo.composition.folder.outputs import OutputFolder
    from zoo.composition.folder.records import recorded_rules
    from zoo.files.opened import OpenedFiles
    from zoo.inference.forms import form_of

    inputs = InputFiles(folder, recorded.get("inputs"), places)
    request_from_json(
        recorded["request"], folder, files=inputs
    )  # what is wrong with it is said before a model is loaded
    models = {role: m["source"] for role, m in recorded["models"].items()}
    with uncollected():
        composition = compose(
            (models.get("generator"), models.get("synthesizer")),
            device=recorded["device"],
            parser=models.get("parser"),
            **form_of(recorded),
        )
    composition.rules = recorded_rules(recorded)
    check_models(recorded, composition)
    request = request_from_json(recorded["request"], folder, device=composition.device, files=inputs)
    check_made(recorded, composition, request, folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(recorded["threads"])
    try:
        files = OpenedFiles(trusted=True)
        manifest, copies = make_manifest(composition, request, files, inputs="inputs" not in recorded)
        output = OutputFolder(out, manifest, copies, space=composition.space)
        for part in composition.run(request, files=files):
            output.write(part)
        output.finish()
    finally:
        torch.set_num_threads(threads)
    return output.records


def _compare(there: Account, new: list[dict[str, Any]], recorded: dict[str, Any]) -> dict[str, Any]:
    """equal, different: recorded digests against those made now; changed: files that no longer have their recorded digest."""
    from zoo.composition.folder.records import files_of
    from zoo.environment import versions

    before = {n: d for r in there.records for n, d in files_of(r).items()}
    after = {n: d for r in new for n, d in files_of(r).items()}
    different = [n for n, d in before.items() if after.get(n) != d] + [n for n in after if n not in before]
    now = versions()
    newer = {n: (v, now.get(n)) for n, v in recorded["versions"].items() if now.get(n) != v}
    return {
        "files": len(before),
        "equal": sum(after.get(n) == d for n, d in before.items()),
        "different": different,
        "changed": sorted([*there.missing, *there.linked, *there.changed]),
        "versions": newer,
    }
