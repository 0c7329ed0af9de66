"""What a test's Hub holds, and what goes wrong there: repositories and faults of `hub_server`."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".pkl", ".png")


@dataclass
class Faults:
    """What goes wrong. Counts run down to 0 and are then over; -1 is for ever."""

    flip: dict[str, int] = field(default_factory=dict)
    """File name: how many of its bodies have the middle byte flipped."""
    truncate: dict[str, int] = field(default_factory=dict)
    """File name: how many of its bodies are cut in the middle (the connection closes before Content-Length)."""
    wrong_length: dict[str, int] = field(default_factory=dict)
    """File name: by how many bytes HEAD's X-Linked-Size and Content-Length lie."""
    endless: dict[str, int] = field(default_factory=dict)
    """File name: ignore Range and close after this many bytes, always: more than 10 MB makes the client loop."""
    slow: dict[str, float] = field(default_factory=dict)
    """File name: seconds to wait after every block of 64 KiB of its body."""
    unavailable: int = 0
    """How many requests get 503."""
    hang: bool = False
    """Take connections and never answer (until it is False again)."""

    def due(self, table: dict[str, int], name: str) -> bool:
        """Count one off."""
        left = table.get(name, 0)
        if left > 0:
            table[name] = left - 1
        return left != 0


@dataclass
class Repo:
    """A repository: commits (files by path) and branches."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """A new commit on a branch; returns its id."""
        text = f"{len(self.commits)} {branch} {sorted((n, hashlib.sha256(b).hexdigest()) for n, b in files.items())}"
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.commits[sha] = dict(files)
        self.branches[branch] = sha
        return sha

    def sha(self, revision: str) -> str | None:
        """The commit that a branch or a (whole) commit id names."""
        return self.branches.get(revision) or (revision if revision in self.commits else None)


def dead_endpoint() -> str:
    """A loopback address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def is_lfs(path: str) -> bool:
    """What the Hub keeps as LFS objects."""
    return path.endswith(LFS_SUFFIXES)


def etag(path: str, content: bytes) -> str:
    """sha256 of an LFS file, git's blob sha1 of a regular one."""
    return hashlib.sha256(content).hexdigest() if is_lfs(path) else git_sha1(content)


def git_sha1(content: bytes) -> str:
    """The id git gives a blob."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def entry(path: str, content: bytes) -> dict[str, Any]:
    """A file in the tree listing."""
    found: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_sha1(content)}
    if is_lfs(path):
        found["lfs"] = {"oid": etag(path, content), "size": len(content), "pointerSize": 130}
    return found
