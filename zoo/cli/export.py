"""`zoo export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli.show import emit_json, json_option, say, show


@click.command(epilog="Example: zoo export spade-celeba --onnx spade.onnx")
@click.argument("model", metavar="MODEL")
@click.option(
    "--onnx",
    "target",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write, NAME.onnx.",
)
@click.option("--half", is_flag=True, help="Weights in 16 bits: half the bytes; computing stays in 32.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@json_option
def export(model: str, target: Path, half: bool, overwrite: bool, as_json: bool) -> None:
    """A mask generator, image synthesizer or parser as ONNX, for programs without torch. Prints the files.

    FILE takes the network that does the work; what prepares its inputs (a fitted prior, the style of a photo, an edit) lies beside it as
    NAME.<what>.onnx, and NAME.json says what goes in and comes out, with the label space and its limits. Nothing is left behind that
    differs from torch by more than 1e-4 (with --half 4e-3).
    """
    from zoo.export.references import export_reference

    described = export_reference(model, target, half=half, overwrite=overwrite, say=say)
    if as_json:
        emit_json(described)
        return
    for path in _files(target, described):
        show(path)


def _files(target: Path, described: dict[str, Any]) -> list[Path]:
    names = [g["file"] for g in described["graphs"].values()]
    if "tensors" in described:
        names.append(described["tensors"]["file"])
    return [target.with_name(n) for n in (*names, target.name.removesuffix(".onnx") + ".json")]
