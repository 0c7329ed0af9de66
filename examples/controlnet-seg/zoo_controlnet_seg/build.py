"""`python -m zoo_controlnet_seg.build`: a model folder of the zoo from a diffusers snapshot on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from zoo.files.folders import whole_folder
from zoo.plugin import UsageError, WeightsError, ZooError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--pipeline",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path),
    help="A Stable Diffusion snapshot: vae, text_encoder, tokenizer, unet and scheduler.",
)
@click.option(
    "--controlnet",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The ControlNet's snapshot.  [default: controlnet in the pipeline's]",
)
@click.option(
    "--out", metavar="FOLDER", required=True, type=click.Path(path_type=Path), help="The model folder to write."
)
@click.option("--size", metavar="HxW", default="512x512", show_default=True, help="Size of the pictures.")
@click.option("--variant", metavar="NAME", help="Read the files of this variant of the snapshots (fp16).")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Of the stored networks.",
)
@click.option("--weights-license", metavar="TEXT", required=True, help="For the card: of the snapshots (or: unknown).")
@click.option("--data", metavar="TEXT", required=True, help="For the card: what they were trained on (or: unknown).")
@click.option("--data-license", metavar="TEXT", required=True, help="For the card (or: unknown).")
def build(pipeline: Path, controlnet: Path | None, out: Path, size: str, **given: Any) -> None:
    """Write a model folder of controlnet-seg from diffusers snapshots. Prints the folder.

    Nothing is fetched: get the snapshots first (hf download REPO --local-dir DIR).
    """
    height, width = _size(size)
    for path in (pipeline, controlnet):
        if path is not None and not path.is_dir():
            raise UsageError(
                f"There is no folder {path}: snapshots are not fetched here, get one first (hf download REPO --local-dir DIR)."
            )
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{out} is there already: name a new folder.")
    with whole_folder(out) as folder:
        _write(folder, out.name, pipeline, controlnet, height, width, given)
    click.echo(str(out))


def _size(text: str) -> tuple[int, int]:
    height, x, width = text.lower().partition("x")
    if not (x and height.isdecimal() and width.isdecimal()):
        raise UsageError(f"--size takes HEIGHTxWIDTH, for example 512x768; got {text!r}.")
    return int(height), int(width)


def _write(
    folder: Path, name: str, pipeline: Path, controlnet: Path | None, height: int, width: int, given: dict[str, Any]
) -> None:
    """The folder with its card; loaded again and run for one step before anybody relies on it."""
    import zoo
    from zoo_controlnet_seg.parts import read_parts

    model: Any = zoo.create("controlnet-seg/sd15", height=height, width=width)
    model.adopt(read_parts(pipeline, controlnet=controlnet, variant=given["variant"]))
    zoo.save(model, folder, dtype=given["dtype"])
    _write_card(folder, name, model, [pipeline.name, *([controlnet.name] if controlnet else [])], given)
    _try(zoo.load(folder))


def _try(model: Any) -> None:
    """One step of an empty scene. Raises WeightsError if that gives no picture."""
    import torch

    import zoo
    from zoo_controlnet_seg.config import ControlNetOptions

    empty = zoo.SemanticMap(torch.zeros(1, *model.resolution, dtype=torch.long), model.label_space)
    images = model.synthesize(empty, rng=0, options=ControlNetOptions(steps=1, guidance=1.0))
    if not bool(torch.isfinite(images).all()):
        raise WeightsError(
            "A picture made with these networks holds numbers that are not finite: the snapshot is damaged."
        )


def _write_card(folder: Path, name: str, model: Any, sources: list[str], given: dict[str, Any]) -> None:
    from zoo.cards import write_card
    from zoo.store.models import vouched

    facts = {
        "architecture": "controlnet-seg",
        "kind": "image-synthesizer",
        "label_space": "ade20k",
        "resolution": list(model.resolution),
        "parameters": sum(p.numel() for p in model.parameters()),
        "data": given["data"],
        "data_license": given["data_license"],
        "code_license": "Apache-2.0",
        "weights_license": given["weights_license"],
        "paper": "Adding Conditional Control to Text-to-Image Diffusion Models (ICCV 2023), arXiv:2302.05543",
        "recipe": f"python -m zoo_controlnet_seg.build, from {' and '.join(sources)}",
        "limits": [
            "No safety checker, no photo styles; one prompt serves all samples of a run and is cut at the text encoder's length.",
            "Unlabelled pixels are black; road and skyscraper share a colour in ADE20K's palette.",
        ],
        **vouched(folder),
    }
    body = (
        f"# {name}\n\nStable Diffusion with a ControlNet that reads ADE20K maps, for the zoo's plugin zoo-controlnet-seg."
        " `wrapped/` is a diffusers pipeline. There is no safety checker: look at the pictures before you show them."
    )
    write_card(folder, {"license": "other", "library_name": "diffusers", "zoo": facts}, body)


def main(arguments: list[str] | None = None) -> None:
    """The command: 0 done, 1 could not, 2 wrong usage; an error is one block on stderr."""
    try:
        build.main(args=arguments, prog_name="python -m zoo_controlnet_seg.build")
    except ZooError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
