"""onnxruntime-web for the page without a server: one version, fetched by npm, checked, kept in the cache.

Nothing of it lies in this package: its WebAssembly is 14 MB. The version that a machine of JavaScript can rely on is pinned, and the
digests of the two files decide, whoever brings them.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from zoo.errors import DataError, UsageError
from zoo.files.digests import sha256
from zoo.files.folders import whole_folder
from zoo.files.names import one_line
from zoo.web.exported import cache

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of npm's archive, as its registry states it."""
FILES = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""What the page needs of it, with sha256."""
SECONDS = 600


def runtime(given: Path | None, say: Callable[[str], None]) -> Path:
    """A folder with the files of `FILES`: the one given (a machine without npm or network), else the cache, else fetched into it.

    Raises UsageError for a given folder without them and where npm is missing, DataError for files with other digests and where npm fails.
    """
    if given is not None:
        if fault := _fault(given):
            raise UsageError(f"{given} is no folder with the files of {PACKAGE} {VERSION}: {fault}.")
        return given
    folder = cache() / f"{PACKAGE}-{VERSION}"
    if _fault(folder):
        say(f"Fetching {PACKAGE} {VERSION} with npm")
        _fetch(folder)
    return folder


def _fault(folder: Path) -> str:
    for name, digest in FILES.items():
        if not (folder / name).is_file():
            return f"it lacks {name}"
        if sha256(folder / name) != digest:
            return f"{name} has another sha256 than {digest}"
    return ""


def _fetch(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(
            f"npm is not installed, which fetches {PACKAGE} {VERSION}: install Node.js, or put {' and '.join(FILES)} of that"
            " version's `dist` into a folder and name it (<<runtime>>)."
        )
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent"]
        try:
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise DataError(
                f"npm did not answer within {SECONDS} s: look at the network, or name a folder (<<runtime>>)."
            ) from error
        archives = list(place.glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise DataError(
                f"npm could not fetch {PACKAGE} {VERSION} ({one_line(done.stderr, 300) or 'no reason given'})."
            )
        _check(archives[0])
        with whole_folder(folder, replaces=lambda _: True) as part:
            _extract(archives[0], part)
            if fault := _fault(part):
                raise DataError(f"{PACKAGE} {VERSION}: {fault}.")


def _check(archive: Path) -> None:
    kind, _, wanted = INTEGRITY.partition("-")
    with archive.open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, kind).digest()).decode()
    if found != wanted:
        raise DataError(
            f"What npm brought as {PACKAGE} {VERSION} is not what it was: {kind}-{found}, expected {INTEGRITY}."
        )


def _extract(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for name in FILES:
            member = tar.extractfile(f"package/dist/{name}")
            if member is None:
                raise DataError(f"{PACKAGE} {VERSION} holds no {name}.")
            with member, (folder / name).open("wb") as out:
                shutil.copyfileobj(member, out)
