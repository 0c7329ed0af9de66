"""What a pull says when it cannot be done: one clear error each, with what to do next."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NoReturn

from zoo.errors import DataError, WeightsError
from zoo.hub.cache import hub_cache
from zoo.hub.references import endpoint

if TYPE_CHECKING:
    from zoo.hub.job import Job


def late(job: Job) -> NoReturn:
    """The deadline passed."""
    raise WeightsError(
        f"{job.model}: {job.where} did not deliver within {job.seconds:g} s, nothing was kept."
        " Try again, or allow more time (<<timeout=SECONDS>>, ZOO_PULL_TIMEOUT)."
    )


def cannot_write(why: str) -> str:
    """For a cache that cannot be written: where it is, and how much room there is."""
    try:
        above = next(p for p in (hub_cache(), *hub_cache().parents) if p.exists())
        free = f" ({shutil.disk_usage(above).free / 1e6:.0f} MB free)"
    except (OSError, StopIteration):
        free = ""
    return f"Cannot write into the cache {hub_cache()}: {why}{free}. Nothing half-written was kept; make room, or set HF_HOME to another place."


def refuse(job: Job, kind: str, detail: str) -> NoReturn:
    """One clear error for what the client met."""
    model, where, remote = job.model, job.where, job.remote
    if kind == "disk":
        raise DataError(cannot_write(detail))
    pin = " The card pins this revision." if not model.startswith("hf:") and remote.revision != "main" else ""
    texts = {
        "gated": f"{where} is gated: accept its terms on that page, then give your token (hf auth login, or HF_TOKEN).",
        "missing": f"There is no repository {where}, or it is private: check the name, or give a token that may read it"
        " (hf auth login, or HF_TOKEN).",
        "denied": f"{where} refuses access: give a token that may read it (hf auth login, or HF_TOKEN).",
        "revision": f"{where} has no revision {remote.revision!r} (any more).{pin} Look at its commits, and pull"
        f" hf:{remote.repo}@REVISION or hf:{remote.repo}.",
        "unreachable": f"Cannot reach {endpoint()} ({detail}): is there a network, and is HF_ENDPOINT right?"
        " What is here already works without: zoo list",
        "timeout": f"{endpoint()} does not answer ({detail}): try again later.",
        "server": f"{endpoint()} is out of order ({detail}): try again later.",
        "broken": f"The connection to {where} broke off again and again ({detail}): try again later.",
        "length": f"{where} sent a file of another length than it announced ({detail}): try again later.",
        "offline": f"{where} is not here, and HF_HUB_OFFLINE forbids requests: unset it to pull.",
        "pickles": f"{where} has no safetensors, only pickles ({detail}). These can run code, so they are never fetched or"
        " loaded: download the file yourself and bring it in with: zoo convert FILE --out DIR",
        "empty": f"{where} holds no model of the zoo: it needs a config.json and safetensors (found: {detail}).",
        "lacking": f"{where} lacks files that the card of {model} lists: {detail}.",
        "other weights": f"{where} holds other weights than the card of {model} lists ({detail}). Nothing was fetched; update"
        f" maskzoo for a newer card, or pull them under their own name: hf:{remote.repo}",
    }
    raise WeightsError(f"{model}: {texts[kind]}" if kind in texts else f"{model}: pulling {where} failed: {detail}")
