"""`zoo pull` against a Hub on the loopback with the real client: what arrives, what is kept, what is asked for never again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from fixtures_models import Ran
from hub_server import TOKEN, HubServer, dead_endpoint

import zoo
from zoo import cards
from zoo.cli import cli
from zoo.errors import UsageError, WeightsError
from zoo.hub import location, resolve, state
from zoo.hub.cache import all_records, find_remote
from zoo.hub.pull import Pulled, copy_to, pull
from zoo.hub.references import Remote, parse_remote, remote_of
from zoo.store.models import digests

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def here(hub: HubServer, hub_home: Path, tiny_model: Path) -> Pulled:
    """`hf:me/tiny`, pulled; nothing was asked since."""
    hub.add("me/tiny", tiny_model)
    found = pull("hf:me/tiny")
    hub.requests.clear()
    return found


def process(*arguments: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`python -m zoo` with these arguments and this environment."""
    command = [sys.executable, "-m", "zoo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)


# --- what is published --------------------------------------------------------------------------------------------


def test_a_published_model_from_an_empty_cache_to_a_map(
    hub: HubServer, hub_home: Path, tmp_path: Path, monkeypatch
) -> None:
    """Pushed as it lies in the tree, pulled, loaded and drawn with, the embedded copy hidden; then nothing is asked again."""
    hub.add("us/segvae-celeba", ROOT / "cards/segvae-celeba")
    env = hub.environment(hub_home, ZOO_EMBEDDED="0", ZOO_HUB_NAMESPACE="us")
    done = process("pull", "segvae-celeba", env=env)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(hub_home) and digests(folder) == digests(ROOT / "cards/segvae-celeba")
    assert "5 files, 7.9 MB" in done.stderr and "weights licence: non-commercial" in done.stderr
    hub.requests.clear()
    for name, value in (env | {"HF_ENDPOINT": dead_endpoint()}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ZOO_HUB_NAMESPACE")  # where it came from does not matter: its digests say what it is
    assert state(cards.find("segvae-celeba")) == "cached" and location(cards.find("segvae-celeba")) == folder
    assert resolve("segvae-celeba").folder == resolve("segvae").folder == folder
    made = CliRunner().invoke(cli, ["generate", "segvae-celeba", "--labels", "skin,hair", "--seed", "0", "--out",
                                    str(tmp_path / "out"), "--device", "cpu"])  # fmt: skip
    assert made.exit_code == 0, made.output
    assert (tmp_path / "out/maps/000000.png").is_file()
    again = CliRunner().invoke(cli, ["pull", "segvae-celeba", "segvae", "--json"])
    told = json.loads(again.stdout)
    assert (
        [t["fetched"] for t in told] == [False, False]
        and told[0]["state"] == "cached"
        and told[0]["commit"] == folder.name
    )
    assert hub.requests == []


def test_a_card_without_published_weights_says_so_and_asks_nobody(tiny_card: Path, hub: HubServer, monkeypatch) -> None:
    assert (
        remote_of(cards.find("tiny-celeba")) == Remote("me/tiny-celeba")
        and state(cards.find("tiny-celeba")) == "remote"
    )
    with pytest.raises(
        WeightsError,
        match=r"tiny-celeba is not here. It is on the Hub \(hf:me/tiny-celeba\); get it with: zoo pull tiny-celeba",
    ):
        zoo.load("tiny-celeba")
    monkeypatch.delenv("ZOO_HUB_NAMESPACE")
    assert state(cards.find("tiny-celeba")) == "unpublished" and location(cards.find("tiny-celeba")) is None
    for call in (zoo.load, pull):
        with pytest.raises(
            WeightsError, match=r"no weights here. It is not published yet: train or convert it \(zoo card tiny-celeba"
        ):
            call("tiny-celeba")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("owner", "facts", "namespace", "repo"),
    [
        ("maskzoo", {}, "", None),
        ("maskzoo", {}, "me", "hf:me/a-b"),
        ("maskzoo", {"revision": "1" * 40}, "", f"hf:maskzoo/a-b@{'1' * 40}"),
        ("maskzoo", {"hub": "them/x"}, "", "hf:them/x"),
        ("maskzoo", {"hub": "them/x", "revision": "v1"}, "me", "hf:me/a-b@v1"),
        ("toy (toys 1.0)", {"hub": "toys/b", "revision": "v1"}, "", "hf:toys/b@v1"),
        ("toy (toys 1.0)", {"hub": "toys/b"}, "me", "hf:toys/b"),
        ("toy (toys 1.0)", {}, "me", "hf:me/a-b"),
        ("toy (toys 1.0)", {"revision": "v1"}, "", None),
    ],
)  # fmt: skip
def test_where_a_card_is_published(
    owner: str, facts: dict[str, str], namespace: str, repo: str | None, monkeypatch
) -> None:
    monkeypatch.setenv("ZOO_HUB_NAMESPACE", namespace)
    found = remote_of(cards.Card("a-b", Path("a-b"), facts, {}, "", owner))
    assert (str(found) if found else None) == repo


def test_the_pinned_revision_is_pulled_not_the_newest(tiny_card: Path, tiny_model: Path, hub: HubServer) -> None:
    pin = hub.repos["me/tiny-celeba"].branches["main"]
    hub.add("me/tiny-celeba", {"config.json": b"{}", "model.safetensors": b"newer"})
    text = (tiny_card / "README.md").read_text()
    (tiny_card / "README.md").write_text(text.replace("zoo:\n", f"zoo:\n  revision: {pin}\n", 1))
    cards.all_cards.cache_clear()
    assert pull("tiny-celeba").folder.name == pin
    assert zoo.load("tiny-celeba").training is False


# --- hf: ----------------------------------------------------------------------------------------------------------


def test_a_repository_by_name(here: Pulled, hub: HubServer, tiny_model: Path) -> None:
    sha = hub.repos["me/tiny"].branches["main"]
    assert here.fetched and here.folder.name == sha and digests(here.folder) == digests(tiny_model)
    for name in ("hf:me/tiny", f"hf:me/tiny@{sha}", "hf:me/tiny@main"):
        found = resolve(name)
        assert (found.name, found.folder, found.lasting) == ("tiny", here.folder, f"hf:me/tiny@{sha}")
        assert not pull(name).fetched
    assert zoo.load("hf:me/tiny").resolution == zoo.load(tiny_model).resolution
    assert hub.requests == []
    with pytest.raises(WeightsError, match=r"hf:me/tiny@v2 is not here. Get it with: zoo pull hf:me/tiny@v2"):
        zoo.load("hf:me/tiny@v2")


def test_only_safetensors_json_and_markdown_are_fetched(hub: HubServer, hub_home: Path, tiny_model: Path) -> None:
    files = {p.relative_to(tiny_model).as_posix(): p.read_bytes() for p in tiny_model.rglob("*") if p.is_file()}
    hub.add(
        "me/tiny", files | {"pytorch_model.bin": b"pickle", "run.py": b"1", ".gitattributes": b"x", "a/LICENSE": b"x"}
    )
    found = pull("hf:me/tiny")
    assert sorted(p.name for p in found.folder.rglob("*") if p.is_file()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert not hub.count(part="pytorch_model") and not hub.count(part="run.py")


def test_refresh_asks_for_the_newest_and_fetches_only_that(here: Pulled, hub: HubServer, tiny_model: Path) -> None:
    assert pull("hf:me/tiny", refresh=True).folder == here.folder and not hub.count("GET", "resolve")
    files = {p.name: p.read_bytes() for p in tiny_model.iterdir() if p.is_file()}
    newest = hub.add("me/tiny", files | {"README.md": files["README.md"] + b"\nMore.\n"})
    assert pull("hf:me/tiny").folder == here.folder
    found = pull("hf:me/tiny", refresh=True)
    assert found.folder.name == newest and resolve("hf:me/tiny").folder == found.folder
    assert hub.count("GET", "resolve") == 1  # the card; the rest is shared


def test_what_the_client_fetched_without_us_is_not_used_until_it_is_hashed(here: Pulled, hub: HubServer) -> None:
    record = find_remote(parse_remote("hf:me/tiny"))
    assert record is not None
    record.path.unlink()
    with pytest.raises(WeightsError, match="hf:me/tiny is not here"):
        zoo.load("hf:me/tiny")
    blob = (here.folder / "model.safetensors").resolve()
    blob.write_bytes(b"x" * blob.stat().st_size)
    assert pull("hf:me/tiny").fetched and find_remote(parse_remote("hf:me/tiny")) == record
    assert [p.rpartition("/")[2] for m, p in hub.requests if m == "GET" and "resolve" in p] == ["model.safetensors"]


@pytest.mark.parametrize(
    "text", ["hf:", "hf:tiny", "hf:a/b/c", "hf:a/b@", "hf:../x", "hf:a/b@../x", "hf:a b/c", "hf:https://x/y"]
)
def test_what_names_no_repository(text: str) -> None:
    for call in (resolve, pull):
        with pytest.raises(UsageError, match="names no repository on the Hub: expected hf:OWNER/REPO or"):
            call(text)


def test_composed_and_replayed(
    model_root: Path, hub: HubServer, hub_home: Path, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    """The manifest names the commits, so that a replay finds the same files after the repository went on."""
    commits = {n: hub.add(f"me/{n}", model_root / f"{n}-celeba") for n in ("mask-vae", "scgan")}
    composed = ("compose", "hf:me/mask-vae+hf:me/scgan", "--seed", 0, "--device", "cpu", "--out", tmp_path / "out")
    ran = run(*composed)
    assert ran.code == 1 and "hf:me/mask-vae is not here. Get it with: zoo pull hf:me/mask-vae" in ran.err
    assert run("pull", "hf:me/mask-vae", "hf:me/scgan").code == 0
    hub.requests.clear()
    assert run(*composed).code == 0
    models = json.loads((tmp_path / "out/manifest.json").read_text())["models"]
    assert {m["id"]: m["source"] for m in models.values()} == {n: f"hf:me/{n}@{c}" for n, c in commits.items()}
    assert run("replay", tmp_path / "out").code == 0 and hub.requests == []
    ran = run("fit", "hf:me/mask-vae", "label_sets", "--data", "toy-faces")
    assert ran.code == 2 and "--out" in ran.err


# --- without a network --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_what_is_here_works_and_the_rest_is_one_line(
    here: Pulled, hub: HubServer, name: str, monkeypatch
) -> None:
    monkeypatch.setenv(name, "1")
    assert pull("hf:me/tiny").folder == here.folder and zoo.load("hf:me/tiny")
    with pytest.raises(WeightsError, match=rf"^hf:me/other has to be fetched, and {name}=1 forbids requests: unset it"):
        pull("hf:me/other")
    assert hub.requests == []


def test_no_network_and_an_empty_cache(hub_home: Path, hub: HubServer, tmp_path: Path) -> None:
    """Embedded models work, remote ones give one clear line; listing asks nobody."""
    env = hub.environment(hub_home, ZOO_HUB_NAMESPACE="us", HF_ENDPOINT=dead_endpoint())
    done = process("pull", "segvae-celeba", env=env)
    assert done.returncode == 0 and done.stdout.strip() == str(ROOT / "cards/segvae-celeba"), done.stderr
    env["ZOO_EMBEDDED"] = "0"
    done = process("pull", "segvae-celeba", env=env)
    last = done.stderr.strip().splitlines()
    assert done.returncode == 1 and done.stdout == "" and len(last) == 2
    assert (
        last[1].startswith(f"Error: segvae-celeba: Cannot reach {env['HF_ENDPOINT']} (")
        and "is there a network" in last[1]
    )
    for command in (("list",), ("card", "segvae-celeba"), ("verify",)):
        assert process(*command, env=env).returncode == 0
    assert hub.requests == [] and not list(hub_home.rglob("*.incomplete"))


def test_a_copied_cache_works_elsewhere(here: Pulled, hub_home: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(hub_home, tmp_path / "moved", symlinks=True)
    shutil.rmtree(hub_home)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "moved"))
    monkeypatch.setenv("HF_ENDPOINT", dead_endpoint())
    assert resolve("hf:me/tiny").folder.is_relative_to(tmp_path / "moved") and zoo.load("hf:me/tiny")


def test_names_need_neither_torch_nor_the_client(here: Pulled, hub_home: Path, hub: HubServer) -> None:
    code = (
        "import sys, zoo.cards, zoo.hub\n"
        "assert zoo.hub.resolve('hf:me/tiny').folder.is_dir()\n"
        "states = {zoo.hub.state(c) for c in zoo.cards.reading.all_cards().values()}\n"
        "print(states, [m for m in ('torch', 'huggingface_hub', 'numpy') if m in sys.modules])"
    )
    env = hub.environment(hub_home, ZOO_EMBEDDED="0")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=60)
    assert done.stdout.strip() == "{'unpublished'} []", done.stderr


# --- --to ---------------------------------------------------------------------------------------------------------


def test_a_plain_folder(here: Pulled, tmp_path: Path, tiny_model: Path) -> None:
    command = ["pull", "hf:me/tiny", "--to", str(tmp_path / "a/plain")]
    for _ in range(2):  # the second finds it done
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0 and done.stdout.strip() == str(tmp_path / "a/plain"), done.output
    plain = tmp_path / "a/plain"
    assert sorted(p.name for p in plain.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert not any(p.is_symlink() for p in plain.iterdir()) and digests(plain) == digests(tiny_model)
    assert zoo.load(plain) and [p.name for p in (tmp_path / "a").iterdir()] == ["plain"]
    both = CliRunner().invoke(cli, ["pull", "hf:me/tiny", str(plain), "--to", str(tmp_path / "many")])
    assert both.exit_code == 0 and both.stdout.split() == [str(tmp_path / "many/tiny"), str(tmp_path / "many/plain")]
    assert sorted(p.name for p in (tmp_path / "many").iterdir()) == ["plain", "tiny"]


def test_a_plain_folder_does_not_replace_something_else(here: Pulled, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, why in (("other", "is not empty and holds no model with a card"), ("file", "is a file")):
        done = CliRunner().invoke(cli, ["pull", "hf:me/tiny", "--to", str(tmp_path / name)])
        assert isinstance(done.exception, UsageError) and why in str(done.exception)
    plain = copy_to(here, tmp_path / "plain")
    (plain / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"holds another \(or a damaged\) model"):
        copy_to(here, plain)
    assert (plain / "config.json").read_text() == "{}"


# --- who may ------------------------------------------------------------------------------------------------------


def test_private_and_gated_repositories(hub: HubServer, hub_home: Path, tiny_model: Path, monkeypatch) -> None:
    hub.add("me/private", tiny_model, private=True)
    hub.add("me/gated", tiny_model, gated=True)
    refused = (
        ("hf:me/private", r"no repository http://\S+/me/private, or it is private: .*HF_TOKEN"),
        ("hf:me/gated", r"http://\S+/me/gated is gated: accept its terms on that page, then give your token"),
    )
    for name, why in refused:
        with pytest.raises(WeightsError, match=why):
            pull(name)
    assert not all_records()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name, _ in refused:
        assert zoo.load(str(pull(name).folder))
    monkeypatch.delenv("HF_TOKEN")
    hub.requests.clear()
    for name, _ in refused:
        assert not pull(name).fetched
    assert hub.requests == []
