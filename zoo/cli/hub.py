"""`zoo pull` and `zoo verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.show import emit_json, json_option, megabytes, say, show, table
from zoo.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from zoo.hub.pull import Pulled


@click.command(epilog="Example: zoo pull segvae-celeba scgan-celeba")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR",
              help="Also write a plain folder: DIR itself for one model, DIR/NAME for several.")  # fmt: skip
@click.option("--refresh", is_flag=True, help="Ask the Hub for the newest commit of an hf: repository that is here.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="How long one model may take altogether (ZOO_PULL_TIMEOUT; default 1800).")  # fmt: skip
@json_option
def pull(models: tuple[str, ...], to: Path | None, refresh: bool, timeout: float | None, as_json: bool) -> None:
    """Make models usable here: ids, architectures, hf:OWNER/REPO[@REVISION], or folders.

    Prints the folder of each. Every file is hashed against the card's digests before the model can be used; what is here
    already is hashed again and makes no request. HF_ENDPOINT, HF_HOME and HF_TOKEN work as everywhere; with ZOO_OFFLINE=1 or
    HF_HUB_OFFLINE=1 nothing is fetched.
    """
    from zoo.hub.pull import check_copy_target, copy_to
    from zoo.hub.pull import pull as get

    if to is not None and not str(to).strip():
        raise UsageError("--to is empty: name a folder.")
    if to is not None and len(models) == 1:
        check_copy_target(to)
    done = []
    for model in models:
        pulled = get(model, refresh=refresh, timeout=timeout, talk=say)
        folder = pulled.folder if to is None else copy_to(pulled, to if len(models) == 1 else to / pulled.name)
        say(f"{pulled.name}: {_what(pulled)}")
        done.append(pulled.to_json() | {"folder": str(folder)})
        if not as_json:
            show(folder)
    if as_json:
        emit_json(done)


def _what(pulled: Pulled) -> str:
    from zoo.cards import read_card

    size = megabytes(sum((pulled.folder / name).stat().st_size for name in pulled.files))
    text = "verified" if pulled.fetched else f"{pulled.state}, verified"
    card = read_card(pulled.folder)
    licence = card.licenses["weights"] if card else None
    return f"{text} ({len(pulled.files)} files, {size})" + (f"; weights licence: {licence}" if licence else "")


@click.command(epilog="Example: zoo verify segvae-celeba")
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@json_option
def verify(models: tuple[str, ...], as_json: bool) -> None:
    """Hash the files of models again, without any request: MODELs (ids, hf:..., folders), or all that are here.

    Exit 1 if a file is missing or damaged; both digests and the repair are told.
    """
    from zoo.hub.verify import check_all, check_model

    checked = [check_model(model) for model in models] if models else list(check_all())
    if as_json:
        emit_json([c.to_json() for c in checked])
    else:
        table(
            ("MODEL", "STATE", "FILES", "RESULT", "FOLDER"),
            [(c.name, c.kind, str(len(c.pins)), "damaged" if c.damaged else "ok", str(c.folder)) for c in checked],
        )
    if not checked:
        say("No model is here: nothing to verify (see: zoo list, zoo pull).")
    if bad := [c for c in checked if c.damaged]:
        raise WeightsError(
            "\n".join(line for c in bad for line in (*(f"{c.name}: {d}" for d in c.damaged), f"  repair: {c.repair}"))
        )
