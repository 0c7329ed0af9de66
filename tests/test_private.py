"""Nothing that travels names a place of this machine, whoever writes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_models import Ran
from tiny_folder import complete_folder

from zoo.cards import read_card, write_card
from zoo.errors import WeightsError
from zoo.files.private import private_in, private_paths, public_command, public_text, public_value
from zoo.hub.push import _private, parcel

Run = Callable[..., Ran]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("text", "public"),
    [
        (
            "zoo train x --data folder:/home/me/faces#train --out /tmp/x",
            "zoo train x --data folder:faces#train --out x",
        ),
        (
            "zoo fit a b --data 'folder:/srv/my data,aspect=1#train'",
            "zoo fit a b --data 'folder:my data,aspect=1#train'",
        ),
        ("folder:A+/srv/one/B", "folder:A+B"),
        ("C:\\Users\\anna\\faces y", "faces y"),
        ("--data ~/faces --init=~anna/run", "--data faces --init=run"),
        ("/home/anna and /Users/anna/", "DIR and DIR"),
        ("../../home/me/x", "x"),
        ("file:///srv/one/x", "x"),
        ("\\\\server\\share\\x", "x"),
        ("it's in `/srv/one/x`, isn't it", "it's in `x`, isn't it"),
    ],
)
def test_places_become_their_last_name(text: str, public: str) -> None:
    assert public_text(text) == public and private_paths(text) and private_paths(public) == []
    assert public_value({"a": [text, 1], "b": {"c": text}}) == {"a": [public, 1], "b": {"c": public}}
    assert private_in({"a": [text, 1, None], "b": {"c": text}}) == private_paths(text) * 2


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a/b and hf:me/x@main",
        "w / h, 4/5, and/or",
        "./rel/x rel/y",
        "~5 of 8; a ~ b",
        "zoo train mask-vae/celeba-128",
    ],
)
def test_what_is_no_place_stays(text: str) -> None:
    assert public_text(text) == text and private_paths(text) == []


def test_a_command_keeps_its_words() -> None:
    words = ["zoo", "fit", "/srv/my model", "prior", "--data", "folder:/srv/a+/srv/b c#val"]
    assert public_command(words) == "zoo fit 'my model' prior --data 'folder:a+b c#val'"


def test_every_card_is_written_without(tmp_path: Path) -> None:
    """The one function that writes cards of models; train, fit, convert go through it."""
    facts = {"data": "folder:/srv/secret/faces", "recipe": f"zoo x {tmp_path}/y", "sources": [{"file": "/srv/z.pth"}]}
    write_card(tmp_path, {"license": "other", "zoo": facts}, f"# X\n\nfrom {tmp_path}/data")
    card = read_card(tmp_path)
    assert card is not None and private_in([card.front, card.body]) == []
    assert card.facts["data"] == "folder:faces" and card.body.strip().endswith("from data")


def test_fit_and_convert_and_train_tell_no_place(
    run: Run, model_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_data import write_pair
    from test_training_cli import TRAIN

    for i in range(12):
        write_pair(tmp_path / "secret" / "faces", f"{i}", seed=i)
    shutil.copytree(model_root / "mask-vae-celeba", tmp_path / "secret/mine")
    where = str(tmp_path / "secret")
    commands = [
        ["fit", f"{where}/mine", "label_sets", "--data", f"folder:{where}/faces", "--device", "cpu"],
        [*TRAIN, "--set", "steps=1", "--out", f"{where}/run"],
    ]
    commands[1][commands[1].index("--data") + 1] = f"folder:{where}/faces+{where}/faces"
    for command in commands:
        monkeypatch.setattr("sys.argv", ["zoo", *command])
        made = run(*command)
        assert made.code == 0, made.err
    for folder in (Path(where) / "mine", Path(where) / "run/model"):
        for name in ("README.md", "config.json"):
            text = (folder / name).read_text()
            assert "secret" not in text and private_paths(text) == [], name
    assert "`folder:faces`" in (Path(where) / "mine/README.md").read_text()
    assert "folder:faces+faces" in (Path(where) / "run/model/README.md").read_text()


@pytest.mark.parametrize("where", ["card", "text", "config"])
def test_push_refuses_a_folder_that_names_one(tmp_path: Path, where: str) -> None:
    folder = complete_folder(tmp_path / "model")
    assert parcel(folder).files
    readme, config = folder / "README.md", folder / "config.json"
    if where == "card":
        readme.write_text(readme.read_text().replace("\n  data: ", "\n  note: /srv/secret/one\n  data: ", 1))
    elif where == "text":
        readme.write_text(readme.read_text() + "\nfrom /srv/secret/one\n")
    else:
        values = json.loads(config.read_text())
        config.write_text(json.dumps({**values, "config": {**values["config"], "note": "/srv/secret/one"}}))
        card = read_card(folder)
        assert card is not None and _private(card) == ["config.json: /srv/secret/one"]
        return
    with pytest.raises(WeightsError, match=r"names places of this machine.*README\.md: /srv/secret/one"):
        parcel(folder)


def test_published_cards_have_none() -> None:
    from zoo.cards import all_cards

    assert {name: p for name, card in all_cards().items() if (p := private_in([card.front, card.body]))} == {}
