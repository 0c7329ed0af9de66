"""`zoo ui`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from zoo.cli.show import say, show
from zoo.environment import keep_pages, uncollected
from zoo.errors import UsageError

NEEDED = ("fastapi", "uvicorn")


@click.command(epilog="Example: zoo ui --models mask-vae-celeba --models clvae-celeba")
@click.option(
    "--models",
    metavar="MODEL",
    multiple=True,
    help="A model to offer: id, architecture, folder or hf:…; repeatable.  [default: all that are here]",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="0 takes any that is free.  [default: 8765, or any if that is taken]",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen; anything but this machine is warned of."
)
@click.option(
    "--allow-host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="A further name by which the server is called, as behind a proxy; repeatable.",
)
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
@click.option(
    "--threads", type=click.IntRange(1, 16), default=2, show_default=True, help="Jobs that run at a time, one a page."
)
@click.option(
    "--public",
    is_flag=True,
    help="Ask for no token: whoever reaches the server may use it, within smaller limits. For a Space of one's own.",
)
@click.option(
    "--export-space",
    "space",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write a folder that runs as a Hugging Face Space (Docker) instead of serving; prints it.",
)
@click.option(
    "--static",
    "static",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the page with its models (default: those that come with the package) as a folder that any host of files serves, instead"
    " of serving; prints it.",
)
@click.option(
    "--runtime",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="For --static: a folder with onnxruntime-web's two files.  [default: fetched by npm, once]",
)
@click.option("--overwrite", is_flag=True, help="For --static: replace a folder that it wrote.")
def ui(space: Path | None, static: Path | None, runtime: Path | None, overwrite: bool, **given: Any) -> None:
    """A page in the browser: paint a layout, see the picture.

    Prints its address, which holds a token: whoever has it may use the server. Ctrl-C ends it. What is painted is kept by the
    browser, and saved as a project file that zoo replay renders again.
    """
    if space is not None:
        from zoo.web.space import export_space

        show(export_space(space, given["models"]))
        return
    if static is not None:
        from zoo.web.site import build_site

        show(build_site(static, given["models"], overwrite=overwrite, runtime_folder=runtime, say=say))
        return
    if runtime is not None or overwrite:
        raise UsageError("--runtime and --overwrite belong to --static.")
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UsageError(f"zoo ui needs {' and '.join(missing)}: pip install 'maskzoo[ui]'.")

    from zoo.web.guard import check_host
    from zoo.web.limits import LOCAL, PUBLIC
    from zoo.web.offers import gather

    for name in (given["host"], *given["hosts"]):
        check_host(name)
    offers = gather(given["models"])
    keep_pages()
    with uncollected():
        from zoo.web.serving import Place, serve
        from zoo.web.studio import Studio
    place = Place(
        given["host"],
        given["port"],
        hosts=tuple(given["hosts"]),
        token=not given["public"],
        framed=("https://huggingface.co",) if given["public"] else (),
    )
    if given["public"]:
        say("No token is asked for (--public): whoever reaches this server may use it.")
    elif not place.loopback:
        say(f"Warning: --host {given['host']} lets other machines reach this server; the token travels unencrypted.")
    studio = Studio(offers, given["device"], PUBLIC if given["public"] else LOCAL, tokenless=given["public"])
    serve(studio, place, told=say, show=show, browser=not given["no_browser"], threads=given["threads"])
