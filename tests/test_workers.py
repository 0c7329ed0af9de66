"""Batches made at once: the same parts and files as one after the other, whatever stops them; ranges of a run."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from test_outputs import interrupt, tree

import zoo
from zoo.composition.request.arguments import make_request
from zoo.composition.run import workers
from zoo.composition.run.workers import Share, in_order, share
from zoo.errors import UsageError
from zoo.interfaces.models import Model

Run = Callable[..., Ran]


def working() -> int:
    """Threads of a run that are there; pytest's and libraries' are not counted."""
    return sum(thread.name.startswith("zoo-batch") for thread in threading.enumerate())


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def slow_square(begun: list[int]) -> Callable[[int], int]:
    def make(x: int) -> int:
        begun.append(x)
        end = time.monotonic() + 0.002 * (1 + x % 3)
        while time.monotonic() < end:
            pass
        if x == 17:
            raise ValueError("seventeen")
        return x * x

    return make


def test_results_come_in_the_order_of_the_items() -> None:
    begun: list[int] = []
    makers = [slow_square(begun) for _ in range(3)]
    assert list(in_order(makers, range(12))) == [x * x for x in range(12)]
    assert sorted(begun) == list(range(12)) and working() == 0


def test_no_more_is_begun_than_can_be_held() -> None:
    begun: list[int] = []
    with closing(in_order([slow_square(begun), slow_square(begun)], range(50))) as results:
        next(results)
        time.sleep(0.1)
        assert max(begun) <= 2  # two at work or waiting, and one ahead


def test_an_error_is_raised_in_its_turn() -> None:
    results = in_order([slow_square([]), slow_square([])], range(15, 30))
    assert [next(results), next(results)] == [225, 256]
    with pytest.raises(ValueError, match="seventeen"):
        next(results)
    assert working() == 0


def test_threads_end_in_the_midst_of_an_item() -> None:
    left: list[int] = []

    def endless(x: int) -> int:
        try:
            while x:
                time.sleep(0.001)
        finally:
            left.append(x)
        return x

    for number in range(20):  # at work, between two items, waiting: whatever the moment finds
        results = in_order([endless, endless], [0, 0, 1, 1])
        assert next(results) == 0
        time.sleep(number * 0.0005)
        results.close()
        assert working() == 0
    assert 1 in left


def same(a: Any, b: Any) -> bool:
    return a.start == b.start and torch.equal(a.images, b.images) and torch.equal(a.maps.labels, b.maps.labels)


def test_parts_are_those_of_one_worker(pipe: zoo.Composition, one_thread: None) -> None:
    told: list[tuple[int, int]] = []
    alone = list(pipe.stream(n=11, batch_size=3, seed=4))
    parts = pipe.stream(n=11, batch_size=3, seed=4, workers=3, progress=lambda *done: told.append(done))
    together = list(parts)
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))
    assert [p.records for p in alone] == [p.records for p in together]
    assert told == [(3, 11), (6, 11), (9, 11), (11, 11)]


def test_maps_and_photos_are_read_by_several(pipe: zoo.Composition, inputs: Path, one_thread: None) -> None:
    given: dict[str, Any] = {
        "photos": [inputs / "photo.png", inputs / "photo2.png"],
        "n": 4,
        "batch_size": 1,
        "seed": 1,
    }
    alone = list(pipe.stream(**given))
    assert all(same(a, b) for a, b in zip(alone, pipe.stream(**given, workers=3), strict=True))


def test_ranges_are_parts_of_the_whole(pipe: zoo.Composition, one_thread: None) -> None:
    whole = list(pipe.stream(n=10, batch_size=4, seed=2))
    pieces = [
        p for a, b in ((0, 4), (4, 8), (8, None)) for p in pipe.stream(n=10, batch_size=4, seed=2, start=a, stop=b)
    ]
    assert all(same(a, b) for a, b in zip(whole, pieces, strict=True))
    assert list(pipe.stream(n=10, batch_size=4, seed=2, start=4, stop=4)) == []


@pytest.mark.parametrize(
    ("start", "stop", "told"),
    [
        (3, None, "start is a multiple of the batch size 4 from 0 to 10, or 10 itself, got 3"),
        (0, 11, "stop is a multiple"),
        (-4, None, "start is a multiple"),
        (0, True, "stop is a multiple"),
        (8, 4, "start=8 lies behind stop=4"),
    ],
)  # fmt: skip
def test_ranges_that_are_none(pipe: zoo.Composition, start: int, stop: int | None, told: str) -> None:
    with pytest.raises(UsageError) as error:
        pipe.stream(n=10, batch_size=4, seed=2, start=start, stop=stop)
    assert error.value.args[0].startswith(told)


def test_how_processors_are_shared(pipe: zoo.Composition, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(**arguments: Any) -> Any:
        return make_request(pipe, seed=0, **{"batch_size": 4, **arguments})

    assert share(pipe, asked(n=4), 8) == Share(1, 8)  # one batch has them all
    assert share(pipe, asked(n=12), 8) == Share(3, 2)
    assert share(pipe, asked(n=400), 8) == Share(8, 1)
    assert share(pipe, asked(n=400), 1) == Share(1, 1)
    assert share(pipe, asked(n=400), 8, recorded=2) == Share(4, 2)
    assert share(pipe, asked(n=400), 2, recorded=8) == Share(1, 8)
    styled = asked(n=400, maps=inputs / "face.png", style=["seed:1"])
    assert share(pipe, styled, 8).workers == 8
    height, width = pipe.resolution
    monkeypatch.setattr(workers, "memory", lambda: 2 * 3.5 * 4 * height * width * 4 * workers.PLANES)
    assert share(pipe, asked(n=400), 8) == Share(3, 2)  # no more than fit
    monkeypatch.setattr(workers, "memory", lambda: 1000.0)
    assert share(pipe, asked(n=400), 8) == Share(1, 8)
    monkeypatch.setattr(workers, "memory", lambda: float("inf"))
    monkeypatch.setattr(workers, "owner_of", lambda model: None)  # a class that no plugin of ours registers
    assert share(pipe, asked(n=400), 8) == Share(1, 8)
    monkeypatch.setattr(Model, "CONCURRENT", True)
    assert share(pipe, asked(n=400), 8) == Share(8, 1)


@pytest.fixture
def command(pair: tuple[str, str]) -> tuple[object, ...]:
    return ("compose", "+".join(pair), "-n", 7, "--batch-size", 2, "--seed", 5, "--device", "cpu")


def test_a_run_with_two_workers_has_the_bytes_of_one(
    run: Run, command: tuple[object, ...], tmp_path: Path, two_threads: None
) -> None:
    assert run(*command, "--out", tmp_path / "two").code == 0
    assert json.loads((tmp_path / "two/manifest.json").read_text())["threads"] == 1
    torch.set_num_threads(1)
    assert run(*command, "--out", tmp_path / "one").code == 0
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    torch.set_num_threads(2)
    assert run("replay", tmp_path / "one").code == 0


@pytest.mark.parametrize("after", [1, 2, 5])
def test_ctrl_c_and_on(
    run: Run,
    command: tuple[object, ...],
    tmp_path: Path,
    two_threads: None,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    """Stopped between two samples and gone on, each time with two workers: the bytes of a run that was not stopped."""
    assert run(*command, "--out", tmp_path / "whole").code == 0
    torch.set_num_threads(2)
    stopped = interrupt(run, command, tmp_path / "run", after, monkeypatch)
    assert stopped.code == 130 and f"{after} of 7 samples are in" in stopped.err
    assert working() == 0
    assert len((tmp_path / "run/metadata.jsonl").read_bytes().splitlines()) == after
    torch.set_num_threads(2)
    assert run(*command, "--out", tmp_path / "run").code == 0
    assert tree(tmp_path / "run") == tree(tmp_path / "whole")
