"""The front matter of cards beside `huggingface_hub.ModelCardData`, licences, and the commands `zoo list` and `zoo card`."""

from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from fixtures_models import Ran
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from thirdparty import plugin, write_cards, write_plugin

from zoo import cards
from zoo.cards import REQUIRED, parse_card, read_card, reading, write_card
from zoo.cards.licenses import COMMERCIAL, hub_license, near_licence, permits_commercial_use
from zoo.cards.writing import Measured, finite_figures, front_matter, listed_under, not_finite

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = json.loads((ROOT / "zoo/card.schema.json").read_text("utf-8"))
PUBLISHED = sorted(p.parent for p in (ROOT / "cards").glob("*/README.md"))
FREE = {"code_license": "Apache-2.0", "weights_license": "CC0-1.0", "data_license": "CC-BY-4.0"}
FACTS: dict[str, Any] = {
    "architecture": "mask-vae", "variant": None, "kind": "mask-parser", "label_space": "atr", "resolution": [64, 32],
    "parameters": 12, "data": "mine", **FREE, "paper": "none", "recipe": "zoo train mask-vae --data toy-faces",
    "scores": {"miou": 0.1 + 0.2, "tiny": 1e-7}, "limits": ["Small: 64 px.", "Ärgerlich – 'quotes' and: colons"], "bytes": 5,
    "files": {"config.json": "0" * 64},
}  # fmt: skip

Run = Callable[..., Ran]
published = pytest.mark.parametrize("folder", PUBLISHED, ids=lambda p: p.name)


# --- beside ModelCardData -----------------------------------------------------------------------------------------


@published
def test_a_published_card_comes_through_model_card_data_unchanged(folder: Path) -> None:
    text = (folder / "README.md").read_text("utf-8")
    front, body = parse_card(text, "here")
    theirs = ModelCard(text)
    assert theirs.data.to_dict() == front and theirs.text.strip() == body.strip()
    assert yaml.safe_load(theirs.data.to_yaml()) == front
    results = theirs.data.eval_results
    assert {r.metric_type: r.metric_value for r in results} == front["zoo"]["scores"]
    assert theirs.data.model_name == folder.name and all(r.dataset_split == "test" for r in results)


def test_what_model_card_data_writes_is_read_as_the_same_facts(tmp_path: Path) -> None:
    data = ModelCardData(
        library_name="maskzoo", license="apache-2.0", tags=["b", "a", "b"], datasets=["me/data"], pipeline_tag="image-segmentation",
        model_name="m", eval_results=[EvalResult("image-segmentation", "mine", "My data", "miou", 0.25, dataset_split="test")],
        zoo=FACTS,
    )  # fmt: skip
    ModelCard(f"---\n{data.to_yaml()}\n---\n\n# Text\n\n---\n\nMore.\n").save(tmp_path / "README.md")
    card = read_card(tmp_path)
    assert card is not None and card.facts == FACTS and card.front == data.to_dict()
    assert card.body == "# Text\n\n---\n\nMore.\n" and card.limits == FACTS["limits"]
    assert card.front["model-index"][0]["results"][0]["metrics"] == [{"type": "miou", "value": 0.25}]


def test_what_we_write_they_read(tmp_path: Path) -> None:
    front = front_matter(FACTS, name="m", measured=Measured("My data", "mine", "test"), datasets=["mine"], tags=["x"])
    write_card(tmp_path, front, "# Text")
    theirs, ours = ModelCard.load(tmp_path / "README.md"), read_card(tmp_path)
    assert ours is not None and theirs.data.to_dict() == ours.front == front
    assert theirs.data.license == "cc0-1.0" and theirs.data.license_name is None
    assert theirs.data.pipeline_tag == "image-segmentation" and theirs.data.tags == ["mask-parser", "mask-vae", "x"]
    first = theirs.data.eval_results[0]
    assert (first.task_type, first.task_name, first.dataset_split) == ("image-segmentation", "mask-parser", "test")
    assert [r.metric_value for r in theirs.data.eval_results] == [0.1 + 0.2, 1e-7]


@pytest.mark.parametrize(
    "text", ["\ufeff---\r\nzoo:\r\n  kind: x\r\n---\r\nBody\r\n", "---\nzoo:\n  kind: x\n---\nBody\n", "---  \nzoo: {kind: x}\n--- \n\nBody\n"]
)  # fmt: skip
def test_other_editors_line_ends_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(text.encode())
    card = read_card(tmp_path)
    assert card is not None and card.facts == {"kind": "x"} and card.body.strip() == "Body"


def test_figures_that_are_no_numbers_are_told_and_never_written(tmp_path: Path) -> None:
    figures = {"a": 0.5, "b": math.nan, "c": math.inf}
    assert finite_figures(figures) == {"a": 0.5}
    assert not_finite(figures) == ["No figure for b: it came out as nan.", "No figure for c: it came out as inf."]
    with pytest.raises(ValueError, match="No figure for b"):
        front_matter({**FACTS, "scores": figures}, name="m")
    # another program's card may hold one: JSON has no word for it
    (tmp_path / "README.md").write_text("---\nzoo: {scores: {a: .nan, b: [.inf, 1.5]}}\n---\n")
    card = read_card(tmp_path)
    assert card is not None
    assert json.loads(json.dumps(card.to_json(), allow_nan=False))["zoo"]["scores"] == {"a": None, "b": [None, 1.5]}


def test_a_list_under_a_heading() -> None:
    text = "# A\n\n## Limits\n\n- One\n  goes on.\n- Two `x`.\n\n### More\n\n- Not this.\n\n## Next\n\n- Nor this.\n"
    assert listed_under(text, "Limits") == ["One goes on.", "Two `x`."]
    assert listed_under(text, "Licence") == [] == listed_under("## Limits\n\nNone known.\n", "Limits")


# --- licences -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("licence", [*COMMERCIAL, "apache-2.0", "MIT AND CC-BY-4.0", "MIT OR proprietary thing"])
def test_these_permit_commercial_use(licence: str) -> None:
    assert permits_commercial_use(licence) and near_licence(licence) == ""


@pytest.mark.parametrize(
    "licence",
    ["unknown", "", "Unknown", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "non-commercial research only", "MIT AND unknown",
     "Apache 2.0", "Apache-2.0 (annotations only)", "see-card", "Apache-2.0 WITH something", "MIT AND", "OR MIT AND x"],
)  # fmt: skip
def test_these_do_not(licence: str) -> None:
    assert not permits_commercial_use(licence)


def test_misspelt_ids_get_a_hint() -> None:
    assert "'Apache-2.0'" in near_licence("Apache 2.0") and "'CC0-1.0'" in near_licence("CC0")
    assert "'MIT'" in near_licence("MIT License") and "'BSD-3-Clause'" in near_licence("BSD3-Clause")
    assert near_licence("unknown") == near_licence("non-commercial research only (trained on X)") == ""


def test_the_hubs_licence_ids() -> None:
    assert hub_license("Apache-2.0") == ("apache-2.0", None) and hub_license("unknown") == ("unknown", None)
    assert hub_license("non-commercial research only") == ("other", "non-commercial-research")
    assert hub_license("GPL-3.0-only") == ("other", "see-card")


def place(folder: Path, monkeypatch: pytest.MonkeyPatch, **models: dict[str, Any]) -> None:
    """These cards instead of the published ones."""
    for name, facts in models.items():
        (folder / name).mkdir()
        write_card(folder / name, front_matter(facts, name=name), "# Text")
    monkeypatch.setattr(
        reading, "_card_folders", lambda package: sorted(folder.iterdir()) if package == cards.CORE_CARDS else []
    )
    cards.all_cards.cache_clear()
    uncached = reading.all_cards.__wrapped__
    for module in (cards, reading):
        monkeypatch.setattr(module, "all_cards", uncached)


def test_license_ok_wants_all_of_code_weights_and_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    changed = {"code": "code_license", "weights": "weights_license", "data": "data_license"}
    models = {f"no-{part}": {**FACTS, field: "unknown"} for part, field in changed.items()}
    without = {k: v for k, v in FACTS.items() if k != "data_license"}
    fitted = {"fitted": {"prior": {"data_license": "CC-BY-NC-4.0"}}}
    place(tmp_path, monkeypatch, free=FACTS, **models, missing=without, fitted={**FACTS, **fitted}, misspelt={**FACTS, "code_license": "CC0"})  # fmt: skip
    found = run("list", "--license-ok", "commercial")
    assert found.code == 0 and [line.split()[0] for line in found.out.splitlines()[1:]] == ["free"]
    assert "Left out" in found.err and all(
        name in found.err for name in ("no-code", "no-weights", "no-data", "missing", "fitted")
    )
    assert "misspelt: code_license 'CC0' is no SPDX id; did you mean 'CC0-1.0'?" in found.err
    rows = json.loads(run("list", "--json").out)
    assert {r["id"]: r["commercial"] for r in rows} == {r["id"]: r["id"] == "free" for r in rows} and len(rows) == 7
    free = next(r for r in rows if r["id"] == "free")
    assert free["licenses"] == {"code": "Apache-2.0", "weights": "CC0-1.0", "data": "CC-BY-4.0"}
    assert next(r for r in rows if r["id"] == "missing")["licenses"]["data"] is None
    assert [r["id"] for r in json.loads(run("list", "--license-ok", "commercial", "--json").out)] == ["free"]


@pytest.mark.parametrize("use", ["comercial", "Commercial", "Apache-2.0", ""])
def test_a_use_that_does_not_exist(use: str, run: Run) -> None:
    wrong = run("list", "--license-ok", use)
    assert wrong.code == 2 and wrong.out == "" and f"--license-ok {use!r}: expected commercial" in wrong.err
    assert ("did you mean 'commercial'" in wrong.err) == (use.casefold().startswith("com"))


def test_nothing_of_ours_is_for_commercial_use_yet(run: Run) -> None:
    found = run("list", "--license-ok", "commercial")
    assert found.code == 0 and found.out == "" and "Left out" in found.err


# --- what the commands show ---------------------------------------------------------------------------------------


def zoo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ZOO_")}
    command = [sys.executable, "-m", "zoo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=kept | environment, timeout=300, check=False)


def test_the_schema_and_the_required_facts_are_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert sorted(SCHEMA["$defs"]["facts"]["required"]) == sorted(REQUIRED)


def test_json_of_every_published_card_is_whole_and_valid() -> None:
    names = [f.name for f in PUBLISHED]
    listed = json.loads(zoo("list", "--json").stdout)
    assert [m["id"] for m in listed if m["plugin"] == "maskzoo"] == names
    for name in names:
        found = json.loads(zoo("card", name, "--json").stdout)
        jsonschema.validate(found, SCHEMA, format_checker=jsonschema.FormatChecker())
        card = read_card(ROOT / "cards" / name)
        assert card is not None and found["zoo"] == card.facts and found["text"] == card.body
        assert {k: v for k, v in found.items() if k in card.front} == card.front


@pytest.mark.parametrize(
    "break_it", [{"files": {}}, {"limits": []}, {"data_license": None}, {"parameters": "many"}], ids=str
)
def test_the_schema_refuses(break_it: dict[str, Any], run: Run) -> None:
    found = json.loads(run("card", "segvae-celeba", "--json").out)
    found["zoo"].update(break_it)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, SCHEMA)


def test_states_and_where_to_get_what_is_not_here(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("ZOO_HUB_NAMESPACE", raising=False)
    assert {m["state"] for m in json.loads(run("list", "--json").out)} == {"embedded"}
    assert f"state: embedded {ROOT / 'cards/scgan-celeba'}" in run("card", "scgan-celeba").out
    monkeypatch.setenv("ZOO_EMBEDDED", "0")  # hides weights, never cards
    hidden = json.loads(run("list", "--json").out)
    assert [m["id"] for m in hidden] == [f.name for f in PUBLISHED] and {m["state"] for m in hidden} == {
        "not published"
    }
    assert all(m["bytes"] > 1e5 for m in hidden), "the size of what could be pulled is still told"
    text = run("card", "scgan-celeba").out
    assert (
        "state: not published yet: train (see the recipe) or convert" in text
        and "http://" not in text.split("paper")[0]
    )
    monkeypatch.setenv("ZOO_HUB_NAMESPACE", "someone")
    assert {m["state"] for m in json.loads(run("list", "--json").out)} == {"remote"}
    assert (
        "state: remote hf:someone/scgan-celeba; get it with: zoo pull scgan-celeba" in run("card", "scgan-celeba").out
    )
    assert json.loads(run("card", "scgan-celeba", "--json").out)["state"] == "remote"


def test_an_architecture_means_its_default_model(run: Run) -> None:
    assert json.loads(run("card", "scgan", "--json").out)["id"] == "scgan-celeba"


def test_the_card_of_a_folder(published_folder: Path, run: Run, tmp_path: Path) -> None:
    found = json.loads(run("card", str(published_folder), "--json").out)
    assert (
        found["state"] == "folder"
        and found["source"] == f"folder {published_folder}"
        and found["id"] == published_folder.name
    )
    jsonschema.validate(found, SCHEMA)
    text = run("card", str(published_folder)).out
    assert "limits: Small: 64 px." in text and "recipe: zoo train mask-vae" in text, "what the text does not say"
    (tmp_path / "empty").mkdir()
    for name, message in (("empty", "has no card (README.md)"), ("gone", "There is no folder")):
        wrong = run("card", str(tmp_path / name))
        assert wrong.code == 1 and wrong.out == "" and message in wrong.err


@pytest.fixture
def published_folder(tmp_path: Path) -> Path:
    """A folder with a complete card (and one file)."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}\n\n\n")
    write_card(folder, front_matter(FACTS, name="mine"), "# Mine")
    return folder


def test_a_terminal_gets_colours_and_the_whole_card() -> None:
    parent, child = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm-256color", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-m", "zoo", "card", "segvae-celeba"], stdout=child, env=env) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                shown += os.read(parent, 1 << 16)
            except OSError:  # Linux's way to say that the other end is closed
                break
    os.close(parent)
    text = shown.decode()
    assert process.returncode == 0 and "\x1b[" in text
    assert all(
        part in text for part in ("weights_license".replace("_", " "), "non-commercial", "ragged rims", "3,173,969")
    )


def test_a_plugins_odd_cards_are_its_own_loss(tmp_path: Path) -> None:
    write_plugin(tmp_path, "thirdparty-cards", plugin("thirdparty-cards", more=", cards='thirdparty_cards_package'"))
    heads = {
        "odd": "zoo: {parameters: many, kind: [1], code_license: [x], fitted: 3, limits: 7, bytes: x}",
        "bare": "license: mit",
        "damaged": ": [",
        "listed": "zoo: {files: [a]}",
    }
    write_cards(tmp_path / "thirdparty_cards_package", heads)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    listed = zoo("list", "--license-ok", "commercial", "--json", PYTHONPATH=path)
    assert (
        listed.returncode == 0 and "odd" in listed.stderr and "bare" in listed.stderr and "damaged" not in listed.stderr
    )
    assert {"odd", "bare"} <= {m["id"] for m in json.loads(zoo("list", "--json", PYTHONPATH=path).stdout)}
    for name in ("odd", "bare"):
        shown = zoo("card", name, PYTHONPATH=path)
        assert shown.returncode == 0 and "not stated" in shown.stdout, shown.stderr
