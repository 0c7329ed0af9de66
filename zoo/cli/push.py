"""`zoo push`."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.show import emit_json, json_option, megabytes, say, show


@click.command(epilog="Example: zoo push ./run me/segvae-faces --private")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("repo", metavar="OWNER/REPO")
@click.option("--private", is_flag=True, help="Make the repository private; a public one of that name is refused.")
@click.option("--revision", metavar="BRANCH", help="Branch to write to; made if there is none.  [default: main]")
@click.option("--message", metavar="TEXT", help="What the commit says.")
@click.option(
    "--with-photos",
    is_flag=True,
    help="Send photos of the training data that the model holds (the bank of SIMS), which their terms must allow.",
)
@json_option
def push(
    folder: Path, repo: str, private: bool, with_photos: bool, revision: str | None, message: str | None, as_json: bool
) -> None:
    """Publish FOLDER (a model folder, or a finished training run) at OWNER/REPO of the Hub.

    First the folder is checked: it loads strictly, its card is complete and agrees with config and weights, every file has the
    card's sha256. Then the card and the files that it lists are sent in one commit; other files stay, and are named. Prints the
    page and the revision that pins exactly these files.
    """
    from zoo.hub.push import check_photos, check_repo, parcel
    from zoo.hub.push import push as send

    check_repo(repo)
    upload = parcel(folder)
    check_photos(upload, with_photos)
    if upload.left_out:
        say(f"Not sent, the card does not list them: {', '.join(upload.left_out)}")
    say(f"{len(upload.files)} files, {megabytes(upload.bytes)}, to {repo} …")
    done = send(upload, repo, private=private, branch=revision, message=message)
    if as_json:
        emit_json(
            {"url": done.url, "hub": done.repo, "revision": done.revision, "files": upload.files, "bytes": upload.bytes}
        )
        return
    show(done.url)
    show(done.pin)
    say(
        f"The last two lines pin it in a card (below `zoo:`); zoo pull hf:{done.repo}@{done.revision} gets exactly these files."
    )
