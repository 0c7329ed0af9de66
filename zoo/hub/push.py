"""Publishing a model folder on the Hub: what is checked before anything is sent, what is sent, and what went wrong."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cards import README, Card
from zoo.errors import UsageError, WeightsError, ZooError, few
from zoo.files.configfile import config_values
from zoo.files.names import is_repository, is_revision
from zoo.files.private import private_in
from zoo.hub.checking import check_card
from zoo.hub.references import endpoint, offline
from zoo.registry import registry
from zoo.store.assets import asset_file
from zoo.store.models import CONFIG, read_config

if TYPE_CHECKING:
    from huggingface_hub import HfApi

STALE = ("config.json", "*.safetensors", "assets/*", "wrapped/*")
"""Files of an earlier model in the repository that this one does not have go away with the same commit."""


class HubError(ZooError):
    """The Hub could not be reached, or refused."""


@dataclass(frozen=True)
class Parcel:
    """A checked model folder: the files that travel (the card and what it vouches for), and what lies there and stays."""

    card: Card
    files: tuple[str, ...]
    left_out: tuple[str, ...]
    photos: tuple[str, ...] = ()
    """Files that hold photos of the training data."""

    @property
    def bytes(self) -> int:
        """All that travels."""
        return sum((self.card.folder / name).stat().st_size for name in self.files)


@dataclass(frozen=True)
class Pushed:
    """Where a model is now: page, repository, and the commit that names exactly these files."""

    url: str
    repo: str
    revision: str

    @property
    def pin(self) -> str:
        """What to write below `zoo:` of a card to have it pulled from there."""
        return f"  hub: {self.repo}\n  revision: {self.revision}"


def parcel(folder: Path) -> Parcel:
    """Check a model folder, or a finished training run (its `model/`). Raises UsageError, WeightsError."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}: give a model folder or a finished training run.")
    if not (folder / "config.json").is_file() and (folder / "options.json").is_file():
        if not (folder / "model/config.json").is_file():
            raise WeightsError(
                f"{folder} is a training run without a finished model: `zoo train --resume {folder}` ends it."
            )
        folder = folder / "model"
    card = check_card(folder)
    if private := _private(card):
        raise WeightsError(
            f"{folder} names places of this machine, which everybody would see: {'; '.join(private)}. Shorten them to their last"
            " name (cards that the zoo writes have none)."
        )
    files = (README, *sorted(card.files))
    inside = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    left_out = tuple(name for name in inside if name not in files)
    return Parcel(card, files, left_out, tuple(name for name in _with_photos(folder) if name in files))


def _with_photos(folder: Path) -> list[str]:
    """The assets of a folder's architecture that hold photos of the data they were made of."""
    reg = registry()
    assets = reg.load(reg.architecture(read_config(folder)["architecture"]), "model").ASSETS
    return [asset_file(name, asset) for name, asset in assets.items() if asset.photos]


def check_photos(upload: Parcel, allowed: bool) -> None:
    """Raise UsageError for a model that holds photos of its training data, unless whoever sends it says that they may."""
    if upload.photos and not allowed:
        terms = upload.card.licenses.get("data")
        raise UsageError(
            f"{few(upload.photos)} holds photos of the training data themselves"
            f"{f', whose licence is {terms!r}' if terms else ''}: nothing was sent. If those terms let you pass the photos on, say so with"
            " <<with_photos>>; if not, publish the model without the file and have others make their own (`zoo fit`)."
        )


def _private(card: Card) -> list[str]:
    """Which file that travels names which places: the card, and the config beside it."""
    config = config_values(card.folder)
    texts = {README: [card.front, card.body], CONFIG: [config.get("config"), _named(config.get("label_space"))]}
    seen = {name: list(dict.fromkeys(private_in(values))) for name, values in texts.items()}
    return [f"{name}: {few(paths)}" for name, paths in seen.items() if paths]


def _named(space: Any) -> Any:
    """What of a label space may hold a place: its names, not those of its classes."""
    return [space.get("name"), space.get("title")] if isinstance(space, dict) else space


def check_repo(repo: str) -> str:
    """OWNER/REPO as the Hub takes it. Raises UsageError."""
    if not is_repository(repo):
        hint = f" (without hf:, as {repo[3:]!r})" if repo.startswith("hf:") else ""
        raise UsageError(
            f"{repo!r} is no repository of the Hub: expected OWNER/REPO{hint}, letters, digits, '-', '_' and '.', for example"
            " me/segvae-faces."
        )
    return repo


def push(
    upload: Parcel, repo: str, *, private: bool = False, branch: str | None = None, message: str | None = None
) -> Pushed:
    """Upload a checked folder in one commit; makes the repository (and the branch) where there is none.

    Raises UsageError for a name that is none, HubError for what the Hub or the way there refuses. No token is written.
    """
    check_repo(repo)
    if branch is not None and not is_revision(branch):
        raise UsageError(f"<<branch>> {branch!r} is no name of a branch.")
    if forbidden := offline():
        raise HubError(f"{forbidden} forbids the network: unset it to push.")
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    api = HfApi(library_name="maskzoo")
    if get_token() is None:
        raise HubError(f"Not logged in at {endpoint()}: `hf auth login`, or set HF_TOKEN to a token that may write.")
    with _told(repo, endpoint()):
        page = api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not api.repo_info(repo).private:
            raise HubError(
                f"{page} exists and is public, and <<private>> was asked for: nothing was sent. Make it private on its"
                " settings page, or choose another name."
            )
        if branch:
            api.create_branch(repo, branch=branch, exist_ok=True)
        done = _upload(api, upload, repo, branch, message)
    return Pushed(str(page), repo, done.oid)


def _upload(api: HfApi, upload: Parcel, repo: str, branch: str | None, message: str | None) -> Any:
    return api.upload_folder(
        repo_id=repo,
        folder_path=upload.card.folder,
        revision=branch,
        commit_message=message or f"{upload.card.facts['architecture']}: model and card",
        allow_patterns=[_literal(name) for name in upload.files],
        delete_patterns=list(STALE),
    )


def _literal(name: str) -> str:
    """A file name as a pattern that matches nothing else."""
    return re.sub(r"([*?[])", r"[\1]", name)


@contextmanager
def _told(repo: str, endpoint: str) -> Iterator[None]:
    """Errors of the client and of the way to the Hub as one HubError each, with what to do."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage] (httpx or httpx2, as the client has it)
        OfflineModeIsEnabled,
    )

    try:
        yield
    except OfflineModeIsEnabled as error:
        raise HubError("HF_HUB_OFFLINE forbids the network: unset it to push.") from error
    except HfHubHTTPError as error:
        raise HubError(_refusal(error, repo, endpoint)) from error
    except (HTTPError, OSError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise HubError(f"{endpoint} does not answer ({said}): nothing was published; try again later.") from error
    except ValueError as error:  # the Hub's own check of the front matter
        raise HubError(f"The Hub refuses the card: {error}") from error


def _refusal(error: Any, repo: str, endpoint: str) -> str:
    status = error.response.status_code if error.response is not None else 0
    said = (getattr(error, "server_message", None) or str(error).splitlines()[0]).strip()
    if status == 401:
        return f"{endpoint} does not accept the token ({said}): `hf auth login`, or set HF_TOKEN to a token that may write."
    if status == 403:
        return f"No right to write to {repo} at {endpoint} ({said}): use a token with write access, or an owner that is you."
    if status == 404:
        return f"{endpoint} has no {repo} that this token may see ({said}): check the owner's name."
    return f"{endpoint} answers {status} ({said}): nothing was published; try again later."
