"""The one place where `huggingface_hub` is imported to fetch: a process of its own, so that a deadline and Ctrl-C hold.

Run by path with the job as JSON in its argument; prints one JSON document: `{commit, folder, files}` or `{error, detail}`.
It ends when its standard input ends, so it never outlives the command that started it. Imports nothing of the zoo.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

SUFFIXES = (".safetensors", ".json", ".md")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".tar")
WAITS = (1, 2, 4, 8)
"""Seconds between tries of the first request; the client itself waits like this between tries of a file."""

# class names of the client's and its HTTP library's exceptions, most telling first: (name, kind)
KINDS = (
    ("GatedRepoError", "gated"),
    ("RevisionNotFoundError", "revision"),
    ("RepositoryNotFoundError", "missing"),
    ("OfflineModeIsEnabled", "offline"),
    ("HfHubHTTPError", "status"),
    ("ProxyError", "unreachable"),
    ("ConnectError", "unreachable"),
    ("TimeoutException", "timeout"),
    ("TransportError", "broken"),
    ("RecursionError", "broken"),
)


class Stop(Exception):
    """The job cannot be done: (kind, detail)."""


def main() -> None:
    """Do the job of the command line."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads(sys.argv[1])
    out, sys.stdout = sys.stdout, sys.stderr  # whatever the client prints is talk
    try:
        answer = download(job)
    except Stop as stop:
        answer = {"error": stop.args[0], "detail": stop.args[1]}
    except Exception as error:  # whatever it is, the parent tells it in one block
        answer = dict(zip(("error", "detail"), classify(error), strict=True))
    if sys.stderr.isatty():
        print(file=sys.stderr)  # below the last progress bar
    out.write(json.dumps(answer))
    out.flush()
    os._exit(0)  # threads of the client may still be waiting for a server


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(130)


def download(job: dict[str, Any]) -> dict[str, Any]:
    """List the repository, refuse what cannot be used, pull the rest into the cache.

    Job: repo, revision, cache; names (None: all safetensors, JSON and Markdown); pins {name: sha256} to be held against
    the listing before anything is fetched.
    """
    from huggingface_hub import snapshot_download

    commit, files = listing(job["repo"], job["revision"])
    wanted = wanted_files(files, job["names"])
    check_pins(files, job["pins"])
    told = {"repo": job["repo"], "bytes": sum(files[n]["size"] or 0 for n in wanted)}
    folder = snapshot_download(job["repo"], revision=commit, cache_dir=job["cache"], allow_patterns=wanted)
    return {"commit": commit, "folder": folder, "files": {n: files[n] for n in wanted}, **told}


def listing(repo: str, revision: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """The commit of a revision and what the Hub says of its files: size, sha256 (LFS) or git id."""
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT

    for wait in (*WAITS, None):
        try:
            info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=HF_HUB_ETAG_TIMEOUT)
            break
        except Exception as error:
            if wait is None or classify(error)[0] not in ("server", "timeout", "broken"):
                raise
            time.sleep(wait)
    files = {}
    for sibling in info.siblings or []:
        digest = sibling.lfs.sha256 if sibling.lfs else None
        files[sibling.rfilename] = {"size": sibling.size, "sha256": digest, "git": None if digest else sibling.blob_id}
    if not re.fullmatch(r"[0-9a-f]{40,64}", info.sha or ""):  # it becomes the name of a folder
        raise Stop("other", "the server names no commit")
    return str(info.sha), files


def wanted_files(files: dict[str, Any], names: list[str] | None) -> list[str]:
    """The files to fetch. Refuses a repository without safetensors, and names that lead out of its folder."""
    usable = [n for n in files if n.endswith(SUFFIXES) and n.isprintable() and not set("*?[\\:") & set(n)]
    usable = [n for n in usable if not n.startswith("/") and ".." not in n.split("/")]
    if not any(n.endswith(".safetensors") for n in usable):
        pickles = sorted(n for n in files if n.endswith(PICKLES))
        raise Stop("pickles" if pickles else "empty", ", ".join((pickles or sorted(files))[:6]) or "nothing")
    if names is None:
        if "config.json" not in usable:
            raise Stop("empty", ", ".join(sorted(files)[:6]))
        return usable
    lacking = [n for n in names if n not in usable]
    if lacking:
        raise Stop("lacking", ", ".join(lacking))
    return names + [n for n in ("config.json", "README.md") if n in usable and n not in names]


def check_pins(files: dict[str, Any], pins: dict[str, str]) -> None:
    """Other weights than the card's need not be fetched to be refused."""
    other = [n for n, pin in pins.items() if n in files and files[n]["sha256"] not in (None, pin)]
    if other:
        raise Stop("other weights", "; ".join(f"{n}: sha256 {files[n]['sha256']}, expected {pins[n]}" for n in other))


def classify(error: BaseException) -> tuple[str, str]:
    """What went wrong, for the parent: (kind, one line)."""
    chain = list(_chain(error))
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return "disk", os.strerror(cause.errno)
        if isinstance(cause, PermissionError) or (isinstance(cause, OSError) and cause.errno == errno.EROFS):
            return "disk", f"{cause.strerror}: {cause.filename}"
        if "Consistency check failed" in str(cause):
            return "length", line
    for name, kind in KINDS:
        for cause in chain:
            if any(c.__name__ == name for c in type(cause).__mro__):
                return (kind if kind != "status" else _status(cause)), line
    return "other", f"{type(error).__name__}: {line}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _status(error: BaseException) -> str:
    code = getattr(getattr(error, "response", None), "status_code", 0)
    return "denied" if code in (401, 403) else "server" if code >= 500 or code in (408, 429) else "other"


if __name__ == "__main__":
    main()
