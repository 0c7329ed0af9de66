"""Shards on a Ray cluster: the bytes of one process, whoever is killed on the way; what a user is told where there is none."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fixtures_models import Ran
from shard_tools import digests, made, tiny_job

import zoo
from benchmarks.ray_nodes import cluster, workers
from zoo.errors import DataError, UsageError, WeightsError
from zoo.files.shardfiles import MANIFEST, facts_name
from zoo.sharding import cluster as connecting
from zoo.sharding.actors import _fault, resources
from zoo.sharding.folder import begin
from zoo.sharding.job import Job
from zoo.sharding.plan import Plan
from zoo.sharding.store import open_store
from zoo.sharding.worker import ShardWorker

SAMPLES, SHARDS = 960, 12
WAIT = 240.0
"""Seconds after which what a test waits for is not coming any more."""

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (pip install 'maskzoo[ray]')")


def until(reached: Callable[[], Any]) -> Any:
    """Wait for something to be true, and give it."""
    end = time.monotonic() + WAIT
    while not (value := reached()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return value


def processes() -> set[str]:
    """The names of the processes that run; none where there is no /proc."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/comm"):
        try:
            found.add(entry.read_text().strip())
        except OSError:  # it has just ended
            continue
    return found


# --- without a cluster --------------------------------------------------------------------------------------------


@needs_ray
def test_where_no_cluster_is(run: Callable[..., Ran], pair: tuple[str, str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = run("compose", "+".join(pair), "-n", 4, "--shards", tmp_path / "out", "--ray", address)
    assert ran.code == 1 and not (tmp_path / "out").exists()
    assert ran.err.startswith(f"Error: There is no Ray cluster at {address} (Connection refused): ray start --head")
    assert ran.err.count("\n") == 1


@needs_ray
def test_where_no_cluster_runs_here(run: Callable[..., Ran], tmp_path: Path) -> None:
    if "gcs_server" in processes():
        pytest.skip("a Ray cluster runs here")
    ran = run("compose", "no-model+nor-this", "-n", 4, "--shards", tmp_path / "out", "--ray", "auto")
    assert ran.code == 1 and not (tmp_path / "out").exists()  # told before the models are looked for
    assert ran.err == (
        "Error: No Ray cluster runs on this machine: ray start --head starts one, --ray HOST:PORT names another.\n"
    )


@needs_ray
@pytest.mark.parametrize(
    "address", ["somewhere", "host:", ":6379", "host:0", "host:70000", "ray://host:10001", "http://host:8265"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="takes HOST:PORT of a cluster's head"):
        connecting.check_address(address)


@needs_ray
def test_which_address_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert connecting.check_address("") == connecting.HERE and connecting.check_address("auto") == "auto"
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert connecting.check_address("") == address


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"maskzoo\[ray\]"):
        connecting.check_address("auto")


def test_ray_is_about_shards(run: Callable[..., Ran], pair: tuple[str, str]) -> None:
    ran = run("compose", "+".join(pair), "-n", 4, "--ray")
    assert ran.code == 2 and "--ray is about shards: say where they go" in ran.err


@needs_ray
def test_a_worker_makes_what_one_process_makes(pipe: zoo.Composition, tmp_path: Path) -> None:
    job = tiny_job(pipe)
    whole = made(job, tmp_path / "one")
    store = open_store(str(tmp_path / "worker"))
    begin(store, job.manifest)
    worker = ShardWorker(job.to_json(), store.absolute, hashlib.sha256(store.read(MANIFEST)).hexdigest())
    said = worker.ready()
    assert str(os.getpid()) in said["where"] and said["differing"] == []
    for number in (2, 0, 1):
        facts = worker.make(number)
        assert worker.made() == facts["samples"] == len(Plan.of(job.manifest).range(number))
    assert {n: d for n, d in digests(store).items() if n != MANIFEST} == digests(whole)


@needs_ray
def test_a_worker_writes_into_its_own_run_alone(pipe: zoo.Composition, tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    begin(store, tiny_job(pipe).manifest)
    worker = ShardWorker(tiny_job(pipe).to_json(), store.absolute, hashlib.sha256(store.read(MANIFEST)).hexdigest())
    worker.ready()
    worker.make(0)
    begin(store, tiny_job(pipe, seed=6).manifest)  # its driver was killed, and another run began there
    with pytest.raises(DataError, match="does not see these shards"):
        worker.make(1)
    with pytest.raises(DataError, match="a folder that all nodes share, or a URL"):
        ShardWorker(tiny_job(pipe).to_json(), str(tmp_path / "elsewhere"), "").ready()
    assert not (tmp_path / "elsewhere").exists() and not (tmp_path / facts_name(1)).exists()


def test_what_a_worker_takes(pipe: zoo.Composition) -> None:
    job = tiny_job(pipe)
    assert resources(job) == {"num_cpus": 1.0}
    assert resources(Job({**job.manifest, "device": "cuda", "threads": 2}, {}, {})) == {
        "num_cpus": 2.0,
        "num_gpus": 1.0,
    }


def test_why_a_worker_was_lost_is_one_line() -> None:
    text = (
        "The actor died unexpectedly before finishing this task.\n\tclass_name: ShardWorker\nThe actor is dead because its worker process has"
        " died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker unexpectedly exits. End of file. Some common causes include: (1)"
    )
    assert _fault(Exception(text)) == "Worker unexpectedly exits. End of file"
    assert _fault(Exception("creation failed:\n  File x\nModuleNotFoundError: No module named 'zoo'\n")) == (
        "ModuleNotFoundError: No module named 'zoo'"
    )


# --- two nodes ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nodes() -> Iterator[dict[str, Any]]:
    """Two raylets on 127.0.0.1 with two processors each, as they count them; environment: of drivers."""
    with cluster() as told:
        yield told


@pytest.fixture(scope="module")
def asked(model_root: Path) -> list[str]:
    """A command line but for its folder: twelve shards of 80 samples, ten batches each."""
    pair = "+".join(str(model_root / n) for n in ("mask-vae-celeba", "scgan-celeba"))
    sizes = ["-n", str(SAMPLES), "--per-shard", str(SAMPLES // SHARDS), "--batch-size", "8"]
    return ["compose", pair, "--seed", "5", "--device", "cpu", *sizes]


@pytest.fixture(scope="module")
def whole(asked: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of what one process makes."""
    place = tmp_path_factory.mktemp("whole") / "one"
    subprocess.run([*ZOO, *asked, "--shards", str(place)], check=True, capture_output=True)
    return digests(open_store(str(place)))


ZOO = [sys.executable, "-c", "import sys; from zoo.cli import main; main(sys.argv[1:])"]


def start(nodes: dict[str, Any], asked: list[str], place: Path) -> subprocess.Popen[str]:
    """The command with three workers on the cluster."""
    command = [*ZOO, *asked, "--shards", str(place), "--ray", nodes["address"], "--workers", "3"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=nodes["environment"]
    )


def finished(place: Path) -> int:
    return len(list(place.glob("shard-*.json")))


@needs_ray
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_killed_worker_and_a_killed_driver_change_no_byte(
    nodes: dict[str, Any], asked: list[str], whole: dict[str, str], tmp_path: Path
) -> None:
    first = start(nodes, asked, tmp_path / "ray")
    until(lambda: finished(tmp_path / "ray") >= 1)
    os.kill(until(lambda: workers(nodes["raylets"], at_work=True))[0], signal.SIGKILL)
    until(lambda: finished(tmp_path / "ray") >= 4)
    first.kill()
    told = first.communicate()[1]
    assert "was lost (" in told and "is made again." in told, told
    until(lambda: not workers(nodes["raylets"]))  # Ray ends the actors of a driver that is gone
    there = finished(tmp_path / "ray")
    assert 4 <= there < SHARDS
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "ray").glob("shard-*.json")}

    second = start(nodes, asked, tmp_path / "ray")
    out, told = second.communicate(timeout=WAIT)
    assert second.returncode == 0 and out == f"{tmp_path / 'ray'}\n", told
    assert f"Continuing {tmp_path / 'ray'}: {there} of {SHARDS} shards are there." in told
    assert {name: (tmp_path / "ray" / name).stat().st_mtime_ns for name in kept} == kept
    assert digests(open_store(str(tmp_path / "ray"))) == whole
    assert not [p for p in (tmp_path / "ray").iterdir() if p.name.startswith(".")]
    assert "raylet" not in told  # Ray's own words


DRIVE = """
import json, sys
from shard_tools import Notes
from zoo.errors import ZooError
from zoo.sharding.actors import make_on_ray
from zoo.sharding.folder import begin
from zoo.sharding.job import Job
from zoo.sharding.plan import Plan
from zoo.sharding.store import open_store

asked = json.load(sys.stdin)
job, store = Job.from_json(asked["job"]), open_store(asked["place"])
begin(store, job.manifest)
plan, notes = Plan.of(job.manifest), Notes()
try:
    make_on_ray(job, plan, range(plan.shards), store, notes, address=asked["address"], workers=2, processors=2, start=asked["start"])
    print(json.dumps(["", notes.made, sorted(notes.facts)]))
except ZooError as error:
    print(json.dumps([type(error).__name__, str(error), sorted(notes.facts)]))
"""


def drive(nodes: dict[str, Any], job: Job, place: Path | str, start: float = WAIT) -> list[Any]:
    """What becomes of a job on the cluster: the kind of its error, its text, the shards that were made."""
    asked = {"job": job.to_json(), "place": str(place), "address": nodes["address"], "start": start}
    environment = {**nodes["environment"], "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", DRIVE]
    ran = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, env=environment, timeout=WAIT
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@needs_ray
@pytest.mark.slow
def test_what_a_worker_cannot_make_is_told_as_here(
    nodes: dict[str, Any], pipe: zoo.Composition, tmp_path: Path
) -> None:
    job = tiny_job(pipe)
    assert drive(nodes, job, tmp_path / "right") == ["", 10, [0, 1, 2]]
    theirs = {**job.manifest["models"]["generator"], "sha256": {"model.safetensors": "0" * 64}}
    models = {**job.manifest["models"], "generator": theirs}
    other = Job(
        {**job.manifest, "models": models}, job.models, job.inputs
    )  # the node holds another model than the driver
    kind, text, made_of = drive(nodes, other, tmp_path / "wrong")
    assert kind == WeightsError.__name__ and made_of == [] and "mask-vae" in text, text
    gpu = Job({**job.manifest, "device": "cuda"}, job.models, job.inputs)
    kind, text, made_of = drive(nodes, gpu, tmp_path / "gpu", start=3.0)
    assert kind == "DataError" and made_of == []
    assert text.startswith(
        "No worker has been ready for 3 s: each needs 1 CPU and 1 GPU of a node, and the cluster has"
    )
    assert "0 GPU free" in text


def both(nodes: dict[str, Any], place: Path, *asked: object, address: str | None = None, code: int = 0) -> None:
    """A command of the user's by one process and by two workers of the cluster: the same files."""
    environment = {**nodes["environment"], "RAY_TMPDIR": nodes["place"]}  # where `auto` looks first
    for name, engine in {"one": (), "ray": ("--ray", address or nodes["address"], "--workers", "2")}.items():
        command = [
            *ZOO,
            *map(str, asked),
            "--device",
            "cpu",
            "--per-shard",
            "2",
            "--shards",
            str(place / name),
            *engine,
        ]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=WAIT)
        assert ran.returncode == code, ran.stderr
        assert code == 0 or "1 of 5 photos are in no shard: 9.jpg" in ran.stderr
    one, other = (digests(open_store(str(place / name))) for name in ("one", "ray"))
    assert one == other and len([name for name in one if name.endswith(".tar")]) >= 2


@needs_ray
@pytest.mark.slow
def test_the_other_commands_on_the_cluster(
    nodes: dict[str, Any], pair: tuple[str, str], model_root: Path, inputs: Path, tmp_path: Path
) -> None:
    both(nodes, tmp_path / "generate", "generate", pair[0], "-n", 6, "--seed", 1, "--batch-size", 2, address="auto")
    files = {"masks": ("face.png", "other.png"), "photos": ("photo.png", "photo.png")}
    for folder, names in files.items():
        (tmp_path / folder).mkdir()
        for number in range(4):
            (tmp_path / folder / f"{number}.png").write_bytes((inputs / names[number % 2]).read_bytes())
    both(nodes, tmp_path / "synth", "synth", pair[1], tmp_path / "masks", "--seed", 1, "--batch-size", 2)
    (tmp_path / "photos" / "9.jpg").write_bytes(b"no picture")  # told at the end, by either
    both(nodes, tmp_path / "parse", "parse", tmp_path / "photos", "--parser", model_root / "face-parser-celeba", code=1)


@needs_ray
@pytest.mark.slow
def test_workers_write_to_an_object_store(pipe: zoo.Composition, s3: str, tmp_path: Path) -> None:
    job = tiny_job(pipe)
    with cluster(nodes=1) as node:  # which has the credentials in its environment, as a node of a real cluster must
        made_of = drive(node, job, "s3://faces/ray")
    assert made_of == ["", 10, [0, 1, 2]]
    there, here = open_store("s3://faces/ray"), made(job, tmp_path / "one")
    assert {n: d for n, d in digests(there).items() if n != MANIFEST} == digests(here)
