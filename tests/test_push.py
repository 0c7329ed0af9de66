"""`zoo push` against a Hub on the loopback: the real command and the real client in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import READ_TOKEN, TOKEN, HubServer, dead_endpoint
from tiny_folder import complete_folder

from zoo.cards import read_card
from zoo.errors import UsageError, WeightsError
from zoo.hub.push import check_repo, parcel

pytestmark = pytest.mark.usefixtures("one_thread")

# One process runs all commands: importing torch for each would take most of the time. The client reads HF_ENDPOINT once.
DRIVER = """
import contextlib, io, json, os, sys
import huggingface_hub.constants as constants
from zoo.cli import main
for line in sys.stdin:
    arguments, environment = json.loads(line)
    before = dict(os.environ)
    os.environ.update(environment)
    kept, constants.ENDPOINT = constants.ENDPOINT, environment.get("HF_ENDPOINT", constants.ENDPOINT)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = 0
        try:
            main(arguments)
        except SystemExit as stop:
            code = stop.code
    os.environ.clear()
    os.environ.update(before)
    constants.ENDPOINT = kept
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class Zoo:
    """The command line in another process; `token` and other variables for one command."""

    def __init__(self, hub: HubServer, home: Path) -> None:
        self.home = home
        command = [sys.executable, "-c", DRIVER]
        env = hub.environment(home, HF_HUB_DISABLE_XET="1")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def __call__(self, *arguments: object, token: str = TOKEN, **environment: str) -> tuple[int, str, str]:
        assert self.process.stdin and self.process.stdout
        given = {"HF_TOKEN": token, **environment}
        self.process.stdin.write(json.dumps([[str(a) for a in arguments], given]) + "\n")
        self.process.stdin.flush()
        code, out, err = json.loads(self.process.stdout.readline())
        assert "Traceback" not in err and "hf_" not in out + err, "a token must not be shown"
        return int(code or 0), out, err


@pytest.fixture(scope="module")
def zoo(hub_server: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    found = Zoo(hub_server, tmp_path_factory.mktemp("home"))
    yield found
    assert found.process.stdin and found.process.stdout
    found.process.stdin.close()
    assert found.process.wait(60) == 0
    found.process.stdout.close()
    written = [p for p in found.home.rglob("*") if p.is_file() and b"hf_test_token" in p.read_bytes()]
    assert not written, "no token is ever written"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete_folder(tmp_path_factory.mktemp("push") / "tiny")


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def latest(hub: HubServer, repo: str, branch: str = "main") -> dict[str, bytes]:
    """The files of a branch, without those that the Hub adds."""
    found = hub.repos[repo]
    return {n: b for n, b in found.commits[found.branches[branch]].items() if n != ".gitattributes"}


# --- it arrives ---------------------------------------------------------------------------------------------------


def test_push_then_pull_gives_the_same_bytes(zoo: Zoo, hub: HubServer, model: Path, tmp_path: Path) -> None:
    code, out, err = zoo("push", model, "me/tiny")
    revision = hub.repos["me/tiny"].branches["main"]
    assert (code, out) == (0, f"{hub.url}/me/tiny\n  hub: me/tiny\n  revision: {revision}\n"), err
    assert f"zoo pull hf:me/tiny@{revision}" in err and latest(hub, "me/tiny") == content(model)
    hub.add("me/tiny", {"config.json": b"later"})  # the revision pins what was pushed
    code, out, err = zoo("pull", f"hf:me/tiny@{revision}", "--to", tmp_path / "back", token="")
    assert code == 0, err
    assert content(tmp_path / "back") == content(model)


def test_json_and_a_push_of_the_same_again(zoo: Zoo, hub: HubServer, model: Path) -> None:
    first = json.loads(zoo("push", model, "me/tiny", "--json")[1])
    names = ["README.md", "config.json", "model.safetensors"]
    size = sum((model / name).stat().st_size for name in names)
    assert first == {
        "url": f"{hub.url}/me/tiny", "hub": "me/tiny", "revision": hub.repos["me/tiny"].branches["main"], "files": names, "bytes": size,
    }  # fmt: skip
    again = json.loads(zoo("push", model, "me/tiny", "--json")[1])
    assert again == first and len(hub.repos["me/tiny"].commits) == 2, (
        "the repository's own first commit, and one of ours"
    )


def test_only_what_the_card_lists_travels_and_an_older_models_files_go(
    zoo: Zoo, hub: HubServer, tmp_path: Path
) -> None:
    folder = complete_folder(tmp_path / "mine")
    expected = content(folder)
    for name in ("weights.pt", "notes.md", "assets/list.txt", "extra/more.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    hub.add("me/mine", {"assets/prior.safetensors": b"old", "discriminator.safetensors": b"old", "LICENSE": b"kept"})
    code, _, err = zoo("push", folder, "me/mine")
    assert (
        code == 0
        and "Not sent, the card does not list them: assets/list.txt, extra/more.json, notes.md, weights.pt" in err
    )
    assert latest(hub, "me/mine") == expected | {"LICENSE": b"kept"}


def test_a_finished_run_is_pushed_by_its_model(zoo: Zoo, hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/options.json").write_text("{}")
    unfinished = zoo("push", tmp_path / "run", "me/run")
    assert unfinished[0] == 1 and f"zoo train --resume {tmp_path / 'run'}" in unfinished[2] and hub.count() == 0
    complete_folder(tmp_path / "run/model")
    assert zoo("push", tmp_path / "run", "me/run")[0] == 0
    assert latest(hub, "me/run") == content(tmp_path / "run/model")


def test_private_branch_and_message(zoo: Zoo, hub: HubServer, model: Path) -> None:
    code, out, err = zoo("push", model, "me/secret", "--private", "--revision", "trial", "--message", "First try")
    assert code == 0, err
    repo = hub.repos["me/secret"]
    assert (
        repo.private and set(latest(hub, "me/secret", "trial")) == set(content(model)) and not latest(hub, "me/secret")
    )
    assert f"revision: {repo.branches['trial']}" in out
    assert zoo("push", model, "me/secret", "--private", "--revision", "trial")[0] == 0, "the branch is there"
    hub.add("me/open", {"LICENSE": b"x"})
    code, out, err = zoo("push", model, "me/open", "--private")
    assert code == 1 and out == "" and "is public, and --private was asked for: nothing was sent" in err
    assert latest(hub, "me/open") == {"LICENSE": b"x"}


# --- it does not --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"token": ""}, "Not logged in at"),
        ({"token": "hf_wrong"}, "does not accept the token (Invalid username or password"),
        ({"token": READ_TOKEN}, "No right to write to me/tiny"),
        ({"ZOO_OFFLINE": "1"}, "ZOO_OFFLINE=1 forbids the network: unset it to push"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE=1 forbids the network"),
        ({"HF_ENDPOINT": "DEAD"}, "does not answer ("),
    ],
    ids=lambda value: next(iter(value)) + "-" + next(iter(value.values())) if isinstance(value, dict) else "",
)
def test_refusals_are_one_line_with_the_way_out(
    zoo: Zoo, hub: HubServer, model: Path, given: dict[str, Any], told: str
) -> None:
    given = {name: dead_endpoint() if value == "DEAD" else value for name, value in given.items()}
    code, out, err = zoo("push", model, "me/tiny", **given)
    assert code == 1 and out == "" and told in err and err.count("Error:") == 1 and "me/tiny" not in hub.repos


def test_a_server_out_of_order(zoo: Zoo, hub: HubServer, model: Path) -> None:
    hub.faults.unavailable = 1
    code, out, err = zoo("push", model, "me/tiny")
    assert code == 1 and out == "" and "answers 503 (try later): nothing was published" in err
    assert zoo("push", model, "me/tiny")[0] == 0


def test_a_folder_that_fails_the_check_makes_no_request(zoo: Zoo, hub: HubServer, model: Path, tmp_path: Path) -> None:
    bad = complete_folder(tmp_path / "bad", paper="", parameters=3)
    code, out, err = zoo("push", bad, "me/bad")
    assert (code, out) == (1, "") and "the card lacks paper" in err and hub.count() == 0
    (bad / "README.md").unlink()
    assert "has no card (README.md)" in zoo("push", bad, "me/bad")[2]
    missing = zoo("push", tmp_path / "nowhere", "me/bad")
    assert missing[0] == 2 and "There is no folder" in missing[2]
    wrong = zoo("push", model, "tiny")
    assert wrong[0] == 2 and "'tiny' is no repository of the Hub: expected OWNER/REPO" in wrong[2] and hub.count() == 0


@pytest.mark.parametrize(
    "repo", ["me", "me/a/b", "me/", "/a", "me/a b", "me/-a", "me/a..b", "me/a--b", "me/a.git", "me/é", "a/" + "b" * 96]
)
def test_names_that_the_hub_does_not_take(repo: str) -> None:
    with pytest.raises(UsageError, match="is no repository of the Hub"):
        check_repo(repo)
    with pytest.raises(UsageError, match="without hf:, as 'me/a'"):
        check_repo("hf:me/a")
    assert check_repo("me/a.b_c-1") == "me/a.b_c-1"


def test_a_parcel_is_the_card_and_what_it_lists(model: Path) -> None:
    found = parcel(model)
    card = read_card(model)
    assert card is not None and set(found.files) == {"README.md", *card.files} and found.left_out == ()
    assert found.bytes == sum(len(b) for b in content(model).values())
    with pytest.raises(WeightsError, match="is not a model folder"):
        parcel(model.parent)


def test_photos_of_the_training_data_stay_unless_one_says_so(zoo: Zoo, hub: HubServer, tmp_path: Path) -> None:
    from test_sims import sims

    from zoo_plugins.sims.bank import drawn_bank

    made = sims()
    made.assets["bank"] = drawn_bank(made)
    facts = {
        "architecture": "sims",
        "kind": "image-synthesizer",
        "label_space": made.label_space.name,
        "resolution": list(made.resolution),
    }
    folder = complete_folder(tmp_path / "sims", made, **facts, data_license="research only")
    before = len(hub.requests)
    code, out, err = zoo("push", folder, "me/sims")
    assert (code, out, len(hub.requests)) == (2, "", before)
    assert "assets/bank.safetensors holds photos" in err and "'research only'" in err and "--with-photos" in err
    code, out, err = zoo("push", folder, "me/sims", "--with-photos")
    assert code == 0 and "me/sims" in out, err
