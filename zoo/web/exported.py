"""Models as ONNX for the page without a server: exported once for a model and versions, then taken from a cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from zoo.environment import versions
from zoo.export.references import export_reference
from zoo.files.digests import sha256
from zoo.files.folders import whole_folder
from zoo.files.jsonfiles import read_json
from zoo.registry import registry
from zoo.web.offers import Offer

NAME = "model.onnx"


def cache() -> Path:
    """Where exports and downloads of this package lie: ZOO_CACHE, else `zoo` in the user's cache folder."""
    own = os.environ.get("ZOO_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo"


def exported(offer: Offer, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    """The folder of a model's files, weights in 16 bits, and what its JSON says. Raises as `export_reference`: UsageError for a model
    that cannot be exported."""
    import onnx  # pyright: ignore[reportMissingImports]

    assert offer.folder is not None
    stand = {k: v for k, v in versions().items() if k in ("zoo", "torch")} | {
        "onnx": onnx.__version__,
        "code": code_digest(offer.architecture),
    }
    key = hashlib.sha256(json.dumps([offer.digest, stand], sort_keys=True).encode()).hexdigest()[:24]
    folder = cache() / "exports" / f"{offer.architecture}-{key}"
    if not _whole(folder):
        say(f"{offer.id}: exporting")
        with whole_folder(folder, replaces=lambda _: True) as part:
            export_reference(
                str(offer.folder), part / NAME, half=True, name=offer.id, say=lambda text: say(f"{offer.id}: {text}")
            )
    return folder, read_json(folder / "model.json")


def _whole(folder: Path) -> bool:
    """Whether all files of an export are there, unchanged."""
    try:
        described = read_json(folder / "model.json")
        files = [*described["graphs"].values(), *([described["tensors"]] if "tensors" in described else [])]
        return all(sha256(folder / f["file"]) == f["sha256"] for f in files)
    except Exception:
        return False


def code_digest(architecture: str) -> str:
    """Of the code that says how such a model becomes graphs: an installation in which it is edited exports anew."""
    import zoo.families
    from zoo.export import tracing
    from zoo.interfaces import exports

    name = registry().architecture(architecture).model.partition(":")[0]
    files = [Path(m.__file__) for m in (exports, tracing, import_module(name)) if m.__file__]
    files += [f for root in zoo.families.__path__ for f in sorted(Path(root).glob("*/exports.py"))]
    if above := name.rpartition(".")[0]:
        files += [f for root in import_module(above).__path__ for f in sorted(Path(root).glob("*.py"))]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]
