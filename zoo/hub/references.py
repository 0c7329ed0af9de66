"""What names a model on the Hub: `hf:owner/repo[@revision]`, or a card that is published there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from zoo.cards import Card
from zoo.errors import UsageError
from zoo.files.names import is_repository, is_revision
from zoo.registry import FIRST_PARTY

HUB_NAMESPACE = "maskzoo"
"""Where our own cards are published once their front matter pins a revision; `ZOO_HUB_NAMESPACE` says another place."""
HUB = "https://huggingface.co"
PREFIX = "hf:"
BRANCH = "main"
OFFLINE = ("ZOO_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True)
class Remote:
    """A repository on the Hub at a revision (a branch, a tag or a commit)."""

    repo: str
    revision: str = BRANCH

    def __str__(self) -> str:
        return f"{PREFIX}{self.repo}" + (f"@{self.revision}" if self.revision != BRANCH else "")

    @property
    def name(self) -> str:
        """How reports call the model: the repository's name without its owner."""
        return self.repo.partition("/")[2]


def is_path(text: str) -> bool:
    """A folder is recognised by a path separator (or is `.` or `..`); `hf:owner/repo` is none."""
    return not text.startswith(PREFIX) and (os.sep in text or "/" in text or text in (".", ".."))


def parse_remote(text: str) -> Remote:
    """`hf:owner/repo[@revision]`. Raises UsageError."""
    repo, at, revision = text.removeprefix(PREFIX).partition("@")
    if not text.startswith(PREFIX) or not is_repository(repo) or (at and not is_revision(revision)):
        raise UsageError(
            f"{text!r} names no repository on the Hub: expected hf:OWNER/REPO or hf:OWNER/REPO@REVISION,"
            " where REVISION is a branch, a tag or a whole commit id."
        )
    return Remote(repo, revision or BRANCH)


def endpoint() -> str:
    """The Hub that is asked, for messages: without a name and password that its address may hold."""
    return re.sub(r"//[^/@]*@", "//", (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/"))


def offline() -> str | None:
    """The variable that forbids requests, as `NAME=VALUE`, or None."""
    told = ((name, os.environ.get(name, "")) for name in OFFLINE)
    return next((f"{name}={value}" for name, value in told if value.upper() in ("1", "ON", "YES", "TRUE")), None)


def _namespace() -> str:
    """`ZOO_HUB_NAMESPACE`, or nothing. Raises UsageError for what is no owner's name."""
    owner = os.environ.get("ZOO_HUB_NAMESPACE", "").strip("/ ")
    if owner and not is_repository(f"{owner}/model"):
        raise UsageError(f"ZOO_HUB_NAMESPACE={owner!r} is no name of a user or an organisation on the Hub.")
    return owner


def remote_of(card: Card) -> Remote | None:
    """Where a card's weights are published, or None.

    A card is published if its front matter pins `hub: owner/repo` or `revision:` (then at HUB_NAMESPACE/model-id), and every
    card is at NAMESPACE/model-id while `ZOO_HUB_NAMESPACE` is set; only a plugin's card that names its own repository keeps it.
    """
    hub, revision = (str(card.facts.get(name) or "") for name in ("hub", "revision"))
    namespace, name = _namespace(), card.model_id.rpartition(":")[2]  # `distribution:id` is no repository's name
    own = card.owner in ("", FIRST_PARTY)
    if namespace and (own or not hub):
        repo = f"{namespace}/{name}"
    elif hub:
        repo = hub
    elif revision and own:
        repo = f"{HUB_NAMESPACE}/{name}"
    else:
        return None
    return parse_remote(f"{PREFIX}{repo}" + (f"@{revision}" if revision else ""))
