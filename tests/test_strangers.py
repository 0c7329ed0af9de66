"""Cards, listings and checkpoints that somebody means harm with: they lead nowhere, do not grow, and do not write on the terminal."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fixtures_models import Ran
from hub_server import HubServer
from official_files import parser_state
from tiny_folder import tiny_folder

import zoo
from zoo.cards import card_digests, parse_card, read_card
from zoo.checkpoints.identify import identify
from zoo.checkpoints.networks import contents
from zoo.checkpoints.refusals import globals_of
from zoo.errors import ConfigError, UsageError, WeightsError, ZooError
from zoo.files.names import is_inside, is_repository, is_revision, printable
from zoo.hub.cache import hub_cache
from zoo.hub.fetch import remove
from zoo.hub.pull import pull, seconds_allowed
from zoo.hub.references import endpoint

Run = Callable[..., Ran]


def card(folder: Path, files: str = "", *, head: str = "", body: str = "# Text") -> Path:
    """A folder with nothing but a card."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(f"---\nzoo:\n  kind: mask-generator\n{head}{files}\n---\n{body}\n")
    return folder


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../x.json", "/etc/passwd", "a/../../x", "a//b", "", ".", "a/.", "..", "a\\b", "C:x", "a\0b", "a\x1b[2Jb", "x" * 300],
)  # fmt: skip
def test_names_that_lead_out_of_a_folder(name: str, tmp_path: Path) -> None:
    assert not is_inside(name)
    folder = card(tmp_path / "model", f"  files: {{{json.dumps(name)}: '00'}}")
    with pytest.raises(WeightsError, match="no file of the model's own folder"):
        card_digests(folder)


def test_names_that_stay_inside() -> None:
    for name in (
        "config.json",
        "assets/label_sets.json",
        "wrapped/unet/diffusion_model.fp16.safetensors",
        "..a",
        "my model.json",
    ):
        assert is_inside(name), name


def test_repositories_and_revisions() -> None:
    assert is_repository("me/tiny.v2") and is_revision("refs/pr/3") and is_revision("v1.0")
    assert not any(map(is_repository, ("me/a--b", "a--b/c", "me", "me/..", "me/a.git", "mé/a", "me/a\n")))
    assert not any(map(is_revision, ("", "../x", "-x", "a b", "a\n", "/x")))


def test_a_repository_whose_card_names_files_elsewhere_removes_and_copies_nothing(
    tiny_model: Path, hub: HubServer, hub_home: Path, tmp_path: Path, run: Run
) -> None:
    precious = tmp_path / "precious.json"
    precious.write_text("{}")
    for name in (str(precious), "../" * 12 + str(precious).lstrip("/")):
        files = {p.name: p.read_bytes() for p in tiny_model.iterdir()}
        hub.add("me/bad", {**files, "README.md": f"---\nzoo:\n  files: {{{name}: '00'}}\n---\n".encode()})
        with pytest.raises(WeightsError, match="no file of the model's own folder"):
            pull("hf:me/bad", refresh=True)
        assert precious.read_text() == "{}"
    digest = hashlib.sha256(b"{}").hexdigest()
    folder = card(tmp_path / "a/b/model", f"  files: {{../../../precious.json: {digest}}}")
    for command in (["pull", folder, "--to", tmp_path / "x/y/z/copy"], ["verify", folder], ["card", folder]):
        found = run(*command)
        assert found.code == 1 and "no file of the model's own folder" in found.err
    assert not (tmp_path / "x").exists()


def test_only_what_lies_in_the_cache_is_removed(hub_home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    link = hub_cache() / "link"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "mine")
    remove(tmp_path / "mine")
    remove(link)
    assert (tmp_path / "mine").read_text() == "mine" and not link.is_symlink()


# --- cards that grow, or are none ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", r"uses YAML aliases \(`\*name`\): write the values out"),
        ("a: &a [*a]", "uses YAML aliases"),
        ("a: 2026-13-41", "cannot be read: month must be in"),
        ("a: " + "1" * 6000, "cannot be read: "),
        ("a: " + "[" * 3000, "is not YAML|cannot be read"),
    ],
    ids=["bomb", "loop", "date", "digits", "nested"],
)
def test_heads_that_are_refused(head: str, told: str) -> None:
    with pytest.raises(WeightsError, match=f"HERE: the card's front matter (?:{told})"):
        parse_card(f"---\n{head}\n---\n", "HERE")


def test_stars_and_ampersands_in_a_text_are_no_aliases() -> None:
    assert parse_card("---\na: R&D, 2 * 3\nb: '&x *x'\n---\n", "here")[0] == {"a": "R&D, 2 * 3", "b": "&x *x"}


def test_a_card_that_is_no_text_or_too_large(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"---\nzoo: {}\n---\n\xff\xfe")
    with pytest.raises(WeightsError, match=r"is no UTF-8 text .*: save it as UTF-8"):
        read_card(tmp_path)
    (tmp_path / "README.md").write_bytes(b" " * 5_000_000)
    with pytest.raises(WeightsError, match="more than a card may have"):
        read_card(tmp_path)


def test_a_config_of_endless_brackets(tiny_model: Path, hub: HubServer, hub_home: Path, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "deep")
    (folder / "config.json").write_text('{"config": ' + "[" * 200_000)
    (folder / "README.md").unlink()
    with pytest.raises(ConfigError, match="its JSON is nested too deep"):
        zoo.load(folder)
    hub.add("me/deep", folder)
    with pytest.raises(WeightsError, match="is no model of the zoo"):
        pull("hf:me/deep")


def test_what_the_zoo_found_is_not_replaced_by_the_front_matter(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "README.md").write_text(
        "---\ncommercial: true\nid: scgan-celeba\nembedded: true\nzoo: [1]\n---\n# Text\n"
    )
    found = json.loads(run("card", folder, "--json").out)
    assert (found["id"], found["commercial"], found["embedded"], found["state"]) == ("model", False, False, "folder")


# --- the terminal -------------------------------------------------------------------------------------------------


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, run: Run) -> None:
    assert printable("half \ud800") == "half \\ud800"
    assert printable("a\x1b]0;x\x07\x9b2J\rb\n\tc\u202ed é") == "a\\x1b]0;x\\x07\\x9b2J\\rb\n\tc\\u202ed é"
    evil = "\x1b[2J\x1b]0;owned\x07\x9b"
    folder = card(tmp_path / "model", head='  paper: "\\e[2Jpaper"\n', body=f"# Text {evil}")
    for command in (["card", folder], ["card", folder, "--json"]):
        found = run(*command)
        assert found.code == 0 and "paper" in found.out and "Text" in found.out
        assert not {"\x1b", "\x07", "\x9b"} & set(found.out)
    assert json.loads(found.out)["text"].endswith(f"{evil}\n"), "nothing is lost in JSON"
    file = tmp_path / "net.pth"
    torch.save({**parser_state(), f"more{evil}.weight": torch.zeros(1), f"note{evil}": evil}, file)
    found = run("identify", file)
    assert "more" in found.out + found.err and not {"\x1b", "\x9b"} & set(found.out + found.err)


# --- checkpoints --------------------------------------------------------------------------------------------------


def test_shared_dicts_do_not_multiply(tmp_path: Path) -> None:
    level: dict[str, object] = {}
    for _ in range(7):
        level = {str(i): level for i in range(40)}
    begun = time.monotonic()
    with pytest.raises(WeightsError, match="names more than 200,000 entries"):
        contents(level)
    torch.save(level, tmp_path / "net.pth")
    with pytest.raises(ZooError):
        identify(tmp_path / "net.pth")
    assert time.monotonic() - begun < 60, "without a limit it takes days"


def test_a_row_of_millions_of_pickles_is_not_read_to_its_end() -> None:
    assert globals_of(b"cos\nsystem\n." + b"N." * 10_000_000) == ["os.system"]


def test_a_safetensors_file_with_an_impossible_shape(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b" " * 8)
    with pytest.raises(WeightsError):
        identify(tmp_path / "net.safetensors")


# --- the environment ----------------------------------------------------------------------------------------------


def test_a_password_in_hf_endpoint_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://me:secret@mirror.example:8443/hub/")
    assert endpoint() == "https://mirror.example:8443/hub"


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "1e300", "soon"])
def test_times_that_no_clock_takes(text: str, monkeypatch: pytest.MonkeyPatch, hub_home: Path, run: Run) -> None:
    monkeypatch.setenv("ZOO_PULL_TIMEOUT", text)
    with pytest.raises(UsageError, match=r"ZOO_PULL_TIMEOUT=.*positive number of seconds"):
        seconds_allowed()
    assert seconds_allowed(3) == 3
    assert run("pull", "hf:me/tiny", "--timeout", text).code == 2


def test_a_namespace_that_is_none(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setenv("ZOO_HUB_NAMESPACE", "my space")
    monkeypatch.setenv("ZOO_EMBEDDED", "0")
    found = run("list")
    assert found.code == 2 and "ZOO_HUB_NAMESPACE='my space' is no name of a user" in found.err
