"""Shards: their bytes depend on the request alone, a half one is never taken for one, what differs is refused."""

from __future__ import annotations

import errno
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from fixtures_models import Ran
from shard_tools import digests, made, members, tiny_job

import zoo
from zoo.errors import DataError, UsageError
from zoo.files.mapfiles import read_map_file
from zoo.files.shardfiles import SHARES, SPLITS, is_ours, read_shares, shard_number, split_of, tar_name
from zoo.files.tars import TarWriter
from zoo.sharding.dry import measure
from zoo.sharding.job import Job
from zoo.sharding.makers import build_maker
from zoo.sharding.plan import Plan, shard_size
from zoo.sharding.store import Folder

Run = Callable[..., Ran]


@pytest.fixture
def asked(pair: tuple[str, str]) -> list[str]:
    """A command line but for its folder: ten samples in three shards."""
    return [
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


# --- bytes --------------------------------------------------------------------------------------------------------


def test_a_tar_is_what_tarfile_writes() -> None:
    plain, ours = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (("a.png", b"x" * 700), ("b.json", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    writer = TarWriter(ours)
    writer.add("a.png", b"x" * 700)
    writer.add("b.json", b"")
    writer.finish()
    assert ours.getvalue() == plain.getvalue()
    assert writer.size == len(plain.getvalue())


def test_shards_hold_the_samples_of_a_run(pipe: zoo.Composition, tmp_path: Path) -> None:
    job = tiny_job(pipe)
    store = made(job, tmp_path / "out")
    parts = list(pipe.stream(n=10, seed=5, batch_size=2))
    assert [r["index"] for p in parts for r in p.records] == list(range(10))
    found: dict[str, bytes] = {}
    for number in range(3):
        found |= members(store.read(tar_name(number)))
    assert len(found) == 30
    for part in parts:
        for row, record in enumerate(part.records):
            key = f"{record['index']:09d}"
            labels = np.asarray(PIL.Image.open(io.BytesIO(found[f"{key}.map.png"])))
            assert (labels == part.maps.labels[row].numpy()).all()
            picture = np.asarray(PIL.Image.open(io.BytesIO(found[f"{key}.image.png"])))
            assert (picture == (part.images[row] * 255).round().byte().permute(1, 2, 0).numpy()).all()
            told = json.loads(found[f"{key}.json"])
            assert told["labels"] == record["labels"] and told["seed"] == 5
            assert told["split"] == split_of(5, record["index"]) and told["label_space"] == "celebamask-hq"
            assert told["models"]["generator"] == job.manifest["models"]["generator"]["digest"]


def test_the_same_bytes_with_threads_and_in_other_order(pipe: zoo.Composition, tmp_path: Path) -> None:
    job = Job.from_json(json.loads(json.dumps(tiny_job(pipe).to_json())))  # as another process gets it
    whole = made(job, tmp_path / "one")
    assert digests(made(job, tmp_path / "threads", processors=3)) == digests(whole)
    from zoo.sharding.make import make_shard

    store, plan, maker = Folder(str(tmp_path / "back")), Plan.of(job.manifest), build_maker(job)
    for number in (2, 0, 1):
        make_shard(maker, plan, number, store)
    assert digests(store) == digests(whole)


def test_a_manifest_names_nothing_of_this_machine(pipe: zoo.Composition, inputs: Path) -> None:
    job = tiny_job(pipe, n=2, maps=[str(inputs / "face.png")], style=[str(inputs / "photo.png")])
    text = json.dumps(job.manifest)
    assert str(inputs) not in text and str(Path.cwd()) not in text and os.uname().nodename not in text
    assert sorted(job.inputs) == sorted(job.manifest["inputs"]) and len(job.inputs) == 2
    assert sorted(job.manifest["models"]) == ["generator", "parser", "synthesizer"]
    assert "parser" not in tiny_job(pipe).manifest["models"]  # though the composition has one by now


def test_inputs_are_held_against_their_digests(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    mask = tmp_path / "face.png"
    mask.write_bytes((inputs / "face.png").read_bytes())
    job = tiny_job(pipe, n=4, maps=[str(mask)])
    made(job, tmp_path / "out")
    mask.write_bytes((inputs / "other.png").read_bytes())
    with pytest.raises(DataError, match="was changed"):
        made(job, tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == []  # nothing half-made either
    mask.unlink()
    with pytest.raises(UsageError, match="There is no file"):
        build_maker(job)


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_goes_on_where_it_was(run: Run, asked: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(*asked, "--shards", out)
    assert first.code == 0 and first.out.strip() == str(out)
    assert "3 of 3 shards, 10 of 10 samples" in first.err
    whole = digests(Folder(str(out)))
    assert sorted(whole) == sorted(
        [
            *(f"shard-00000{i}.{e}" for i in range(3) for e in ("tar", "json")),
            "shards.json",
            "index.json",
            "statistics.json",
        ]
    )
    (out / "shard-000001.json").unlink()  # its tar alone is no shard
    tar = out / "shard-000002.tar"
    tar.write_bytes(tar.read_bytes()[:-512])  # cut off
    left = out / f".shard-000000.tar.{'0' * 16}.part"
    left.write_bytes(b"half")
    users = out / f".notes.txt.{'0' * 16}.part"
    users.write_bytes(b"not ours")
    again = run(*asked, "--shards", out)
    assert again.code == 0
    assert "1 of 3 shards are there" in again.err and "2 shards are damaged or incomplete" in again.err
    assert digests(Folder(str(out))) == whole
    assert not left.exists() and users.exists()
    assert "10 samples in 3 shards" in run(*[a for a in asked if a not in ("--seed", "5")], "--shards", out).err


def test_flipped_bytes_are_found_when_asked_for(run: Run, asked: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(*asked, "--shards", out)
    whole = digests(Folder(str(out)))
    tar = out / "shard-000001.tar"
    content = bytearray(tar.read_bytes())
    content[600] ^= 1
    tar.write_bytes(content)
    assert "damaged" not in run(*asked, "--shards", out).err
    assert "1 shards are damaged" in run(*asked, "--shards", out, "--check").err
    assert digests(Folder(str(out))) == whole


def test_more_samples_later(run: Run, asked: list[str], tmp_path: Path) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    more = [a if a != "10" else "14" for a in asked]
    run(*asked, "--shards", out)
    grown = run(*more, "--shards", out)
    assert grown.code == 0 and "2 of 4 shards are there" in grown.err
    run(*more, "--shards", whole)
    assert digests(Folder(str(out))) == digests(Folder(str(whole)))
    fewer = run(*asked, "--shards", out)
    assert fewer.code == 2 and "asks for fewer" in fewer.err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--seed", "6"], "differ in request (seed)"),
        (["--labels", "skin,hair"], "differ in request (labels)"),
        (["--per-shard", "6"], "differ in per_shard"),
        (["--format", "jpeg"], "image_format"),
        (["--split", ".8,.1,.1"], "differ in split"),
        (["--per-shard", "5"], "of 2 samples here: --per-shard 4"),
        (["--split", ".8,.1"], "add up to 1"),
        (["--out", "x"], "--out is about a folder of files"),
        (["--paste"], "--paste is about a folder of files"),
        (["--labelmap"], "--labelmap is about a folder"),
    ],
)
def test_other_requests_are_refused(run: Run, asked: list[str], tmp_path: Path, change: list[str], told: str) -> None:
    out = tmp_path / "out"
    run(*asked, "--shards", out)
    before = digests(Folder(str(out)))
    ran = run(*asked, *change, "--shards", out)
    assert ran.code == 2 and told in ran.err, ran.err
    assert digests(Folder(str(out))) == before


def test_places_that_are_no_folder_of_shards(run: Run, asked: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "is a file" in run(*asked, "--shards", tmp_path / "file").err
    users = tmp_path / "users"
    users.mkdir()
    (users / "thesis.txt").write_text("x")
    assert "is not empty and holds no shards" in run(*asked, "--shards", users).err
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "shards.json").symlink_to(tmp_path / "file")
    ran = run(*asked, "--shards", linked)
    assert ran.code == 2 and "link" in ran.err
    assert (tmp_path / "file").read_text() == "x"
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "shards.json").write_text("{}")
    assert "no manifest of shards" in run(*asked, "--shards", damaged).err
    assert "--workers is about shards" in run(*asked[:2], "--workers", "2").err
    assert [p.name for p in users.iterdir()] == ["thesis.txt"]


def test_two_drivers_at_once(run: Run, asked: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Folder(str(out)).locked():
        ran = run(*asked, "--shards", out)
    assert ran.code == 1 and "is being written by process" in ran.err and "--shards" in ran.err
    assert list(out.iterdir()) == []


def test_a_dry_run_writes_nothing(run: Run, asked: list[str], tmp_path: Path, pipe: zoo.Composition) -> None:
    ran = run(*asked, "--shards", tmp_path / "out", "--dry-run", "--workers", "2")
    assert ran.code == 0 and not (tmp_path / "out").exists()
    lines = ran.out.splitlines()
    assert lines[0] == "10 samples in 3 shards of 4" and "a sample" in lines[1] and "processors" in lines[2]
    job = tiny_job(pipe)
    plan = Plan.of(job.manifest)
    found = measure(build_maker(job), plan, [1, 2], 2)
    assert (found.shards, found.samples, found.parallel) == (2, 6, 2)
    store = made(job, tmp_path / "made")
    assert found.bytes == pytest.approx(
        store.sizes()[tar_name(1)] / 4, rel=0.5
    )  # without what fills up the tar's record


def test_a_full_disk_keeps_what_is_finished(
    run: Run, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, calls, sync = tmp_path / "out", [], os.fsync

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 4:  # the manifest, a shard and its facts are written
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    ran = run(*asked, "--shards", out)
    assert ran.code == 1
    assert "the disk is full" in ran.err and "1 of 3 shards are finished and stay" in ran.err
    assert len([line for line in ran.err.splitlines() if line.startswith("Error")]) == 1
    assert sorted(p.name for p in out.iterdir()) == ["shard-000000.json", "shard-000000.tar", "shards.json"]
    monkeypatch.undo()
    assert run(*asked, "--shards", out).code == 0


@pytest.mark.parametrize("command", ["generate", "synth"])
def test_maps_alone_and_maps_of_files(
    run: Run, pair: tuple[str, str], inputs: Path, tmp_path: Path, command: str
) -> None:
    out = tmp_path / "out"
    if command == "generate":
        ran = run("generate", pair[0], "-n", "3", "--seed", "1", "--shards", out)
        kind, suffixes = "maps", ["json", "map.png"]
    else:
        (tmp_path / "masks").mkdir()
        for number in range(5):
            (tmp_path / "masks" / f"{number}.png").write_bytes(
                (inputs / ("face.png", "other.png")[number % 2]).read_bytes()
            )
        ran = run(
            "synth",
            pair[1],
            tmp_path / "masks",
            "--seed",
            "1",
            "--batch-size",
            "2",
            "--per-shard",
            "2",
            "--shards",
            out,
        )
        kind, suffixes = "pairs", ["image.png", "json", "map.png"]
    assert ran.code == 0, ran.err
    manifest = json.loads((out / "shards.json").read_text())
    assert manifest["kind"] == kind and manifest["samples"] == (3 if command == "generate" else 5)
    names = members((out / "shard-000000.tar").read_bytes())
    assert sorted({n.partition(".")[2] for n in names}) == suffixes
    assert len(manifest["inputs"]) == (0 if command == "generate" else 2)


def test_photos_are_parsed_into_pairs(run: Run, model_root: Path, inputs: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a", "b", "d"):
        (photos / f"{name}.png").write_bytes((inputs / "photo.png").read_bytes())
    (photos / "c.jpg").write_bytes(b"no picture")
    parser, out = model_root / "face-parser-celeba", tmp_path / "out"
    given = ["parse", photos, "--parser", parser, "--device", "cpu"]
    ran = run(*given, "--shards", out, "--per-shard", "2")
    assert ran.code == 1 and "1 of 4 photos are in no shard: c.jpg" in ran.err
    index = json.loads((out / "index.json").read_text())
    assert index["samples"] == 3 and list(index["left_out"]) == ["000000002"]
    assert str(tmp_path) not in "".join(p.read_text() for p in out.glob("*.json"))
    assert index["duplicates"]["equal"] == 3 and index["duplicates"]["pairs"][0] == ["000000000", "000000001", 0]
    found = members((out / "shard-000001.tar").read_bytes())
    assert sorted(found) == ["000000003.image.png", "000000003.json", "000000003.map.png"]
    maps = tmp_path / "maps"
    run(*given[:1], photos / "d.png", *given[2:], "--out", maps)
    (tmp_path / "read.png").write_bytes(found["000000003.map.png"])
    plain = read_map_file(maps / "d.png").values
    assert plain is not None and (read_map_file(tmp_path / "read.png").values == plain).all()
    assert json.loads(found["000000003.json"])["source"] == "d.png"
    whole = digests(Folder(str(out)))
    (out / "shard-000000.tar").unlink()
    assert run(*given, "--shards", out, "--per-shard", "2").code == 1
    assert digests(Folder(str(out))) == whole
    assert "Say where the maps go" in run(*given).err


# --- parts --------------------------------------------------------------------------------------------------------


def test_splits_are_by_number_and_fair() -> None:
    drawn = [split_of(3, i) for i in range(20_000)]
    shares = [drawn.count(name) / len(drawn) for name in SPLITS]
    assert shares == pytest.approx(SHARES, abs=0.01)
    assert {split_of(0, i, (0.0, 1.0, 0.0)) for i in range(50)} == {"val"}
    assert split_of(1, 0) == split_of(1, 0, SHARES)
    for text in ("1", "a,b,c", ".5,.5,.5", "-1,1,1", ",,"):
        with pytest.raises(UsageError, match="add up to 1"):
            read_shares(text)


def test_names_and_sizes() -> None:
    assert tar_name(1_234_567) == "shard-1234567.tar" and shard_number("shard-1234567.tar") == 1_234_567
    assert shard_number("shard-0000012.tar") is None and not is_ours("shard-12.tar") and is_ours("index.json")
    assert (shard_size(None, 8), shard_size(None, 7), shard_size(24, 8)) == (1000, 1001, 24)
    with pytest.raises(UsageError, match="whole batches"):
        shard_size(0, 8)


def broken(**changes: Any) -> dict[str, Any]:
    return {"format": "zoo-shards/1", "kind": "pairs", **changes}


@pytest.mark.parametrize("values", [broken(kind="x"), broken(format="zoo-shards/9"), broken(), broken(request=3)])
def test_manifests_that_are_none(values: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="no manifest of shards"):
        Plan.of(values)
