"""Shards at URLs: fsspec's memory, and a real S3-compatible server on loopback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_models import Ran
from shard_tools import Notes, digests, made, tiny_job

import zoo
from zoo.errors import DataError, UsageError
from zoo.sharding.folder import begin, finished, settle
from zoo.sharding.plan import Plan
from zoo.sharding.processes import make_in_processes
from zoo.sharding.store import Folder, open_store

fsspec = pytest.importorskip("fsspec", reason="needs the extra shards (fsspec)")
Run = Callable[..., Ran]


def test_memory_has_the_bytes_of_a_folder(pipe: zoo.Composition, tmp_path: Path) -> None:
    job = tiny_job(pipe)
    here = made(job, tmp_path / "out")
    there = open_store("memory://a/b")
    plan = Plan.of(job.manifest)
    assert there.sizes() == {} and settle(there, job.manifest)[1] == []
    begin(there, job.manifest)
    made(job, "memory://a/b")
    assert {n: d for n, d in digests(there).items() if n != "shards.json"} == digests(here)
    facts, damaged = finished(there, plan, check=True)
    assert sorted(facts) == [0, 1, 2] and damaged == []
    there.remove("shard-000001.tar")
    there.remove("shard-000001.tar")  # nothing to remove is nothing wrong
    assert finished(there, plan)[1] == [1]
    with there.writing("shard-000001.tar") as file:
        file.write(here.read("shard-000001.tar"))
    assert there.sha256("shard-000001.tar") == here.sha256("shard-000001.tar")
    with pytest.raises(ZeroDivisionError), there.writing("half") as file:
        file.write(b"half")
        _ = 1 / 0
    assert "half" not in there.sizes()


def test_file_urls_are_folders(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/out")
    assert isinstance(store, Folder) and store.path == tmp_path / "out"


def test_urls_that_lead_nowhere(run: Run, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["compose", "+".join(pair), "-n", "1"]
    ran = run(*asked, "--shards", "nonsense://x")
    assert ran.code == 2 and "No shards at nonsense://x" in ran.err
    import builtins

    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "fsspec":
            raise ImportError("No module named 'fsspec'")
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"needs fsspec: pip install 'maskzoo\[shards\]'"):
        open_store("memory://x")


@pytest.mark.slow
def test_s3_by_the_command_and_by_processes(
    run: Run, pair: tuple[str, str], pipe: zoo.Composition, s3: str, tmp_path: Path
) -> None:
    asked = [
        "compose",
        "+".join(pair),
        "-n",
        "10",
        "--seed",
        "5",
        "--batch-size",
        "2",
        "--per-shard",
        "4",
        "--device",
        "cpu",
    ]
    out = tmp_path / "out"
    run(*asked, "--shards", out)
    ran = run(*asked, "--shards", "s3://faces/made")
    assert ran.code == 0, ran.err
    store = open_store("s3://faces/made")
    assert digests(store) == digests(Folder(str(out)))
    store.remove("shard-000002.tar")
    assert "2 of 3 shards are there" in run(*asked, "--shards", "s3://faces/made/").err
    assert digests(store) == digests(Folder(str(out)))
    assert "differ in request (seed)" in run(*asked, "--seed", "6", "--shards", "s3://faces/made").err
    job, others = tiny_job(pipe), open_store("s3://faces/processes")
    plan = Plan.of(job.manifest)
    make_in_processes(job, plan, range(plan.shards), others, Notes(), workers=2, processors=2)
    assert digests(others) == {n: d for n, d in digests(store).items() if n.startswith("shard-")}


def test_s3_that_refuses(run: Run, pair: tuple[str, str], s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["compose", "+".join(pair), "-n", "1", "--device", "cpu", "--shards"]
    ran = run(*asked, "s3://no-such-bucket/made")
    assert ran.code == 1 and "s3://no-such-bucket/made" in ran.err and "bucket" in ran.err
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ran = run(*asked, "s3://faces/made")
    assert ran.code == 1 and "no credentials" in ran.err, ran.err
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    with pytest.raises(DataError, match="Cannot list s3://faces/made"):
        open_store("s3://faces/made").sizes()
