"""What goes wrong during a pull, with the real client against a real server: the stated outcome, and nothing half-written used."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from filelock import FileLock
from hub_server import HubServer

import zoo
from zoo.errors import DataError, UsageError, WeightsError
from zoo.hub.cache import all_records, hub_cache
from zoo.hub.pull import pull
from zoo.store.models import digests

WEIGHTS = "model.safetensors"


@pytest.fixture
def tiny(hub: HubServer, hub_home: Path, tiny_model: Path) -> Path:
    """`hf:me/tiny` is on the Hub; gives the folder that it was made from."""
    hub.add("me/tiny", tiny_model)
    return tiny_model


def padded(folder: Path, size: int) -> dict[str, bytes]:
    """The files of a model whose weights are so large that a pull can be watched. It is no model that loads."""
    return {"config.json": (folder / "config.json").read_bytes(), WEIGHTS: b"\0" * size}


def left_behind() -> list[str]:
    """What a failed pull must not leave: half-written files and records."""
    return [str(p) for p in hub_cache().rglob("*.incomplete")] + [str(r.path) for r in all_records()]


def half_written() -> bool:
    """Whether some file of a pull is under way and has a first part."""
    for path in hub_cache().rglob("*.incomplete"):
        with suppress(FileNotFoundError):  # it was finished meanwhile
            if path.stat().st_size:
                return True
    return False


def start(*arguments: object, env: dict[str, str], **options) -> subprocess.Popen[str]:
    """`python -m zoo` with these arguments, running."""
    command = [sys.executable, "-m", "zoo", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, **options)


def wait_for(happened, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


# --- bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "README.md"])
def test_a_flipped_byte_is_fetched_again(tiny: Path, hub: HubServer, name: str) -> None:
    hub.faults.flip[name] = 1
    assert digests(pull("hf:me/tiny").folder) == digests(tiny)
    assert hub.count("GET", f"resolve/{hub.repos['me/tiny'].branches['main']}/{name}") == 2
    assert hub.count("GET", "resolve") == len(list(tiny.iterdir())) + 1


def test_a_byte_that_is_always_flipped_fails_naming_both_digests(
    tiny_card: Path, tiny_model: Path, hub: HubServer
) -> None:
    """Of a model with a card: its digests are the pin."""
    hub.faults.flip[WEIGHTS] = -1
    good = digests(tiny_model)[WEIGHTS]
    with pytest.raises(
        WeightsError, match=rf"does not match, twice: {WEIGHTS}: sha256 [0-9a-f]{{64}}, expected sha256 {good}"
    ):
        pull("tiny-celeba")
    assert hub.count("GET", f"/{WEIGHTS}") == 2 and left_behind() == []
    assert not list(hub_cache().rglob(WEIGHTS)) and not list(hub_cache().rglob(good))
    with pytest.raises(WeightsError, match="get it with: zoo pull tiny-celeba"):
        zoo.load("tiny-celeba")
    hub.faults.flip.clear()
    assert pull("tiny-celeba").fetched and zoo.load("tiny-celeba")


def test_other_weights_than_the_cards_are_not_even_fetched(tiny_card: Path, tiny_model: Path, hub: HubServer) -> None:
    files = {p.name: p.read_bytes() for p in tiny_model.iterdir()}
    hub.add("me/tiny-celeba", files | {WEIGHTS: files[WEIGHTS][::-1]})
    pin = digests(tiny_model)[WEIGHTS]
    with pytest.raises(
        WeightsError, match=rf"holds other weights than the card .*sha256 [0-9a-f]{{64}}, expected {pin}"
    ):
        pull("tiny-celeba")
    del files[WEIGHTS]
    hub.add("me/tiny-celeba", files | {"other.safetensors": b""})
    with pytest.raises(WeightsError, match=rf"lacks files that the card of tiny-celeba lists: {WEIGHTS}"):
        pull("tiny-celeba")
    assert not hub.count("GET", "resolve") and left_behind() == []


def test_a_card_that_disagrees_with_its_own_repository(tiny: Path, hub: HubServer) -> None:
    """Nothing but the repository's own card vouches for an `hf:` model."""
    files = {p.name: p.read_bytes() for p in tiny.iterdir()}
    hub.add("me/tiny", files | {WEIGHTS: files[WEIGHTS][:-4] + b"abcd"})
    with pytest.raises(
        WeightsError, match=f"damaged or incomplete at its source: its card lists {WEIGHTS} with sha256"
    ):
        pull("hf:me/tiny")
    assert left_behind() == []


def test_a_truncated_body_is_fetched_again(tiny: Path, hub: HubServer) -> None:
    hub.faults.truncate[WEIGHTS] = 1
    assert digests(pull("hf:me/tiny").folder) == digests(tiny) and zoo.load("hf:me/tiny")


def test_a_body_that_is_always_truncated(tiny: Path, hub: HubServer) -> None:
    hub.faults.truncate[WEIGHTS] = -1
    with pytest.raises(WeightsError, match=r"The connection to .* broke off again and again .*try again later"):
        pull("hf:me/tiny")
    assert left_behind() == []


def test_a_wrong_length(tiny: Path, hub: HubServer) -> None:
    hub.faults.wrong_length[WEIGHTS] = 7
    with pytest.raises(WeightsError, match="sent a file of another length than it announced"):
        pull("hf:me/tiny")
    assert left_behind() == []


# --- the server ---------------------------------------------------------------------------------------------------


def test_a_server_that_is_busy_for_a_while(tiny: Path, hub: HubServer) -> None:
    hub.faults.unavailable = 2
    assert pull("hf:me/tiny").fetched


@pytest.mark.slow
def test_a_server_that_stays_out_of_order(tiny: Path, hub: HubServer) -> None:
    hub.faults.unavailable = -1
    with pytest.raises(WeightsError, match=r"http://\S+ is out of order \(.*503.*\): try again later"):
        pull("hf:me/tiny")


def test_a_server_that_hangs(tiny: Path, hub: HubServer) -> None:
    hub.faults.hang = True
    began = time.monotonic()
    with pytest.raises(WeightsError, match=r"did not deliver within 2 s, nothing was kept. .*ZOO_PULL_TIMEOUT"):
        pull("hf:me/tiny", timeout=2)
    assert time.monotonic() - began < 30  # the client alone would wait for minutes
    hub.faults.hang = False
    assert pull("hf:me/tiny").fetched


def test_a_server_that_makes_the_client_loop(tiny: Path, hub: HubServer, monkeypatch) -> None:
    """It ignores Range and closes after more than 10 MB: the client takes that for progress, again and again."""
    hub.add("me/large", padded(tiny, 14 << 20))
    hub.faults.endless[WEIGHTS] = 11 << 20
    monkeypatch.setenv("ZOO_PULL_TIMEOUT", "5")
    with pytest.raises(WeightsError, match="did not deliver within 5 s"):
        pull("hf:me/large")
    assert left_behind() == []
    monkeypatch.setenv("ZOO_PULL_TIMEOUT", "soon")
    with pytest.raises(UsageError, match="ZOO_PULL_TIMEOUT='soon': expected a positive number of seconds"):
        pull("hf:me/large")


def test_a_revision_that_is_gone(tiny_card: Path, hub: HubServer) -> None:
    from zoo import cards

    with pytest.raises(WeightsError, match=r"me/tiny-celeba has no revision 'gone' \(any more\). Look at its commits"):
        pull("hf:me/tiny-celeba@gone")
    text = (tiny_card / "README.md").read_text()
    (tiny_card / "README.md").write_text(text.replace("zoo:\n", f"zoo:\n  revision: {'a' * 40}\n", 1))
    cards.all_cards.cache_clear()
    with pytest.raises(WeightsError, match=r"has no revision 'a{40}' \(any more\). The card pins this revision"):
        pull("tiny-celeba")
    assert left_behind() == []


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"config.json": b"{}", "pytorch_model.bin": b"x"}, r"only pickles \(pytorch_model.bin\).*zoo convert FILE --out DIR"),
        ({"model.pt": b"x"}, r"only pickles \(model.pt\)"),
        ({"notes.md": b"x"}, r"holds no model of the zoo: .*\(found: notes.md\)"),
        ({WEIGHTS: b"x"}, "it needs a config.json and safetensors"),
        ({WEIGHTS: b"x", "config.json": b'{"model_type": "bert"}'}, "its config.json names no architecture and label space"),
    ],
)  # fmt: skip
def test_a_repository_that_is_no_model(hub: HubServer, hub_home: Path, files: dict[str, bytes], why: str) -> None:
    hub.add("me/x", files)
    with pytest.raises(WeightsError, match=why):
        pull("hf:me/x")
    assert left_behind() == [] and not any(f.suffix in (".bin", ".pt") for f in hub_cache().rglob("*"))


def test_a_file_that_leads_out_of_the_folder_is_not_fetched(tiny: Path, hub: HubServer, tmp_path: Path) -> None:
    files = {p.name: p.read_bytes() for p in tiny.iterdir()}
    hub.add("me/tiny", files | {"../../../evil.json": b"{}", "/tmp/evil.json": b"{}", "\x1b[2Jevil.json": b"{}"})
    pull("hf:me/tiny")
    assert not hub.count(part="evil")


# --- processes ----------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(tiny: Path, hub: HubServer) -> HubServer:
    """The weights of `me/tiny` come as slowly as one wants to look at."""
    hub.faults.slow[WEIGHTS] = 0.2
    return hub


def test_two_pulls_at_once_make_one(slow: HubServer, tiny: Path, hub_home: Path) -> None:
    both = [start("pull", "hf:me/tiny", env=slow.environment(hub_home)) for _ in range(2)]
    told = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0] and told[0][0] == told[1][0], told
    assert slow.count("GET", "resolve") == len(list(tiny.iterdir()))


def test_a_pull_that_waits_for_another_has_a_deadline(tiny: Path, hub: HubServer) -> None:
    lock = hub_cache() / ".locks/models--me--tiny/zoo-pull.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(WeightsError, match=r"another process is still pulling \S+ after 0.3 s"):
        pull("hf:me/tiny", timeout=0.3)
    assert pull("hf:me/tiny").fetched


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_pull_that_is_killed_or_interrupted(hub: HubServer, hub_home: Path, tiny: Path, how: int) -> None:
    """SIGKILL leaves what nobody can use, and the next pull removes it; Ctrl-C leaves nothing."""
    files = {p.name: p.read_bytes() for p in tiny.iterdir()}
    hub.add("me/tiny", files | {"more.safetensors": b"\0" * (20 << 20)})
    hub.faults.slow["more.safetensors"] = 0.1
    running = start("pull", "hf:me/tiny", env=hub.environment(hub_home))
    wait_for(half_written)
    running.send_signal(how)
    out, err = running.communicate(timeout=60)
    assert running.returncode == (130 if how == signal.SIGINT else -how) and out == "" and "Traceback" not in err
    assert not all_records()
    if how == signal.SIGINT:
        assert left_behind() == [] and err.endswith("Interrupted.\n")
    with pytest.raises(WeightsError, match="hf:me/tiny is not here"):
        zoo.load("hf:me/tiny")
    hub.faults.slow.clear()
    assert pull("hf:me/tiny").fetched and zoo.load("hf:me/tiny")
    wait_for(lambda: not list(hub_cache().rglob("*.incomplete")) or pull("hf:me/tiny", refresh=True) is None)


# --- disk ---------------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs of 20 MB; skips where mounting is not allowed."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(tiny: Path, hub: HubServer, tmp_path: Path, monkeypatch) -> None:
    hub.add("me/large", padded(tiny, 30 << 20))
    with small_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("HF_HOME", str(disk))
        with pytest.raises(
            DataError, match=r"Cannot write into the cache .*: No space left on device \(\d+ MB free\).*HF_HOME"
        ):
            pull("hf:me/large")
        assert left_behind() == []
        assert pull("hf:me/tiny").fetched  # there is room for this one


def test_a_limit_on_file_sizes(tiny: Path, hub: HubServer, hub_home: Path) -> None:
    """The same where no disk can be mounted: a limit of this process and its children."""
    hub.add("me/large", padded(tiny, 4 << 20))
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # noqa: E731
    running = start("pull", "hf:me/large", env=hub.environment(hub_home), preexec_fn=limit)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (1, "") and "Cannot write into the cache" in err and "Traceback" not in err
    assert left_behind() == []


def test_a_cache_that_cannot_be_made(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file/home"))
    with pytest.raises(DataError, match="Cannot write into the cache"):
        pull("hf:me/tiny")


def test_the_client_ends_with_its_parent(tiny: Path, hub: HubServer) -> None:
    """It reads its standard input only to see it end."""
    from zoo.hub.fetch import CLIENT

    hub.faults.hang = True
    job = json.dumps({"repo": "me/tiny", "revision": "main", "cache": str(hub_cache()), "names": None, "pins": {}})
    child = subprocess.Popen([sys.executable, "-P", str(CLIENT), job], stdin=subprocess.PIPE, env=dict(os.environ))
    wait_for(lambda: hub.requests)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(timeout=30) == 130
