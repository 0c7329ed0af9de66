"""Models by name: `resolve` finds them here without any request, `pull` gets them from the Hub, `verify` hashes them again.

`references`: how a repository is named; `cache`: what was pulled and verified; `resolving`: from a name to a folder;
`pull` with `fetch` (what it refuses: `refusals`) and `client`, which runs as a process of its own; `push`; `verify`.
"""

from __future__ import annotations

from zoo.hub.cache import pinned
from zoo.hub.references import HUB_NAMESPACE, Remote, is_path, remote_of
from zoo.hub.resolving import Resolved, State, location, model_folder, resolve, state

__all__ = [
    "HUB_NAMESPACE",
    "Remote",
    "Resolved",
    "State",
    "is_path",
    "location",
    "model_folder",
    "pinned",
    "remote_of",
    "resolve",
    "state",
]
