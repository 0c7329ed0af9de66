"""Run the client as a process with a deadline, hash what it brought, and only then write the record that makes it usable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zoo.cards import card_digests
from zoo.errors import DataError, WeightsError, ZooError
from zoo.files.configfile import config_values
from zoo.files.digests import git_sha1, sha256
from zoo.files.writing import reason
from zoo.hub.cache import Record, hub_cache, storage
from zoo.hub.job import Job
from zoo.hub.refusals import cannot_write, late, refuse
from zoo.hub.verify import Damage

CLIENT = Path(__file__).with_name("client.py")


@contextmanager
def lock(job: Job) -> Iterator[None]:
    """One pull of a repository at a time; the second then finds what the first brought. Raises WeightsError, DataError."""
    path = _locks(job.remote.repo) / "zoo-pull.lock"
    guard = FileLock(path, timeout=job.left)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        guard.acquire()
    except Timeout as error:
        raise WeightsError(
            f"{job.model}: another process is still pulling {job.where} after {job.seconds:g} s: wait for it, or end it."
        ) from error
    except OSError as error:
        raise DataError(cannot_write(reason(error))) from error
    try:
        yield
    finally:
        guard.release()


def _locks(repo: str) -> Path:
    """Where the client, too, keeps the locks of a repository."""
    return hub_cache() / ".locks" / storage(repo).name


def fetch(job: Job) -> Record:
    """Pull, hash, and once more if something does not match. Raises WeightsError, DataError."""
    damaged: list[Damage] = []
    for _ in range(2):
        answer = run_client(job)
        folder = Path(answer["folder"])
        digests, damaged = _hash(folder, answer["files"], job.pins)
        if not damaged:
            _check_model(job, folder)
            files = {n: (d, (folder / n).stat().st_size) for n, d in digests.items()}
            record = Record(
                job.remote.repo, job.remote.revision, answer["commit"], job.model, files, storage(job.remote.repo)
            )
            record.write()
            return record
        for damage in damaged:
            remove(damage.path)
    raise WeightsError(
        f"{job.model}: what {job.where} sends does not match, twice: "
        + "; ".join(f"{d.path.name}: {d.actual}, expected {d.expected}" for d in damaged)
        + ". It was removed. The server or something on the way alters the files: try later, or another HF_ENDPOINT."
    )


def _hash(folder: Path, files: Mapping[str, Any], pins: Mapping[str, str]) -> tuple[dict[str, str], list[Damage]]:
    """sha256 of every file, and those that differ from the pins or from the Hub's own listing."""
    digests: dict[str, str] = {}
    damaged: list[Damage] = []
    for name, told in files.items():
        path = folder / name
        digests[name] = sha256(path)
        expected = pins.get(name) or told["sha256"]
        if expected and digests[name] != expected:
            damaged.append(Damage(path, f"sha256 {expected}", f"sha256 {digests[name]}"))
        elif told["git"] and git_sha1(path) != told["git"]:
            damaged.append(Damage(path, f"git sha1 {told['git']}", f"git sha1 {git_sha1(path)}"))
    return digests, damaged


def _check_model(job: Job, folder: Path) -> None:
    """It is a model of the zoo, and its own card agrees with its files. Raises WeightsError."""
    try:
        config = config_values(folder)
    except ZooError:
        config = {}
    if "architecture" not in config or "label_space" not in config:
        raise WeightsError(
            f"{job.where} is no model of the zoo: its config.json names no architecture and label space."
            " For an authors' checkpoint, download the file and see: zoo identify FILE, zoo convert FILE --out DIR"
        )
    for name, digest in card_digests(folder).items():
        path = folder / name
        actual = sha256(path) if path.is_file() else "none, the file is missing"
        if actual != digest:
            remove(path)
            raise WeightsError(
                f"{job.where} is damaged or incomplete at its source: its card lists {name} with sha256 {digest}, found {actual}."
            )


def remove(path: Path) -> None:
    """Take a file out of the cache, with the blob that it links to; nothing outside the cache is touched."""
    cache = hub_cache().resolve()
    blob, place = path.resolve(), path.parent.resolve() / path.name
    for file in (place, blob):
        if file.is_relative_to(cache):
            file.unlink(missing_ok=True)


def drop(record: Record, damaged: tuple[Damage, ...]) -> None:
    """Forget a snapshot that is damaged, so that it is fetched again."""
    record.path.unlink(missing_ok=True)
    for damage in damaged:
        remove(damage.path)


# --- the process --------------------------------------------------------------------------------------------------


def run_client(job: Job) -> dict[str, Any]:
    """The client's answer. Raises WeightsError or DataError for what it reports, and when the deadline passes."""
    if job.left <= 0:
        late(job)
    names = sorted(job.pins) or None
    task = {"repo": job.remote.repo, "revision": job.remote.revision, "cache": str(hub_cache())}
    argument = json.dumps({**task, "names": names, "pins": dict(job.pins)})
    bars = sys.stderr.isatty()
    env = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", **os.environ}
    if not bars:
        env["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    reader, writer = os.pipe()  # the child ends when the writing end closes, however we end
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", str(CLIENT), argument],
            stdin=reader,
            stdout=subprocess.PIPE,
            stderr=None if bars else subprocess.PIPE,
            env=env,
            text=True,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the child
        )
        try:
            out, err = child.communicate(timeout=job.left)
        except subprocess.TimeoutExpired:
            late(job)
        finally:
            if child.poll() is None:
                child.kill()
                child.communicate()
    finally:
        os.close(reader)
        os.close(writer)
        sweep(job.remote.repo)
    try:
        answer = json.loads(out)
    except ValueError:
        last = (err or "").strip().splitlines()[-1:] or [f"it ended with {child.returncode}"]
        raise WeightsError(f"{job.model}: the Hub client failed: {last[0]}") from None
    if "error" in answer:
        refuse(job, answer["error"], answer["detail"])
    return answer


def sweep(repo: str) -> None:
    """Remove half-written files that nobody is writing: their lock is free."""
    for path in (storage(repo) / "blobs").glob("*.incomplete"):
        try:
            with FileLock(_locks(repo) / f"{path.name.partition('.')[0]}.lock", timeout=0):
                path.unlink(missing_ok=True)
        except (Timeout, OSError):
            continue
