"""Model folders that a stranger made or damaged: nothing is built that the weights do not fill, nothing outside is opened, and what is
wrong is told in one line."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from safetensors.torch import load_file, save_file
from tiny_folder import complete_folder, tiny_folder

import zoo
from zoo import configs
from zoo.cards import write_card
from zoo.errors import ConfigError, WeightsError, ZooError
from zoo.files.headers import check_finite, read_header
from zoo.interfaces.pictures import finished
from zoo.plugin import SIDE
from zoo.registry import registry
from zoo.store import budget, models
from zoo.store.vouching import digests

Run = Callable[..., Ran]
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder whose card lists all of its files."""
    return tiny_folder(tmp_path / "tiny")


def with_header(path: Path, change: Callable[[dict[str, Any]], object], *, more: bytes = b"") -> None:
    """Write a safetensors file anew with a changed header; its numbers stay."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    values = json.loads(content[8 : 8 + length])
    change(values)
    header = json.dumps(values).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :] + more)


# --- headers --------------------------------------------------------------------------------------------------------

HEADERS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "overlap": (lambda h: h["b"].update(data_offsets=[0, 8]), "overlaps another one or leaves a gap"),
    "gap": (lambda h: h["b"].update(data_offsets=[20, 28], shape=[2]), "overlaps another one or leaves a gap"),
    "too few bytes": (lambda h: h["b"].update(shape=[3]), r"of shape \[3\] has 8 bytes"),
    "huge shape": (lambda h: h["b"].update(shape=[2**40, 2**40]), "has 8 bytes"),
    "nothing, hugely": (lambda h: h.update(c={"dtype": "F32", "shape": [0, 2**61], "data_offsets": [24, 24]}), "has 0 bytes"),
    "negative": (lambda h: h["b"].update(shape=[-2]), "has no shape or place"),
    "true as a size": (lambda h: h["b"].update(shape=[True, 2]), "has no shape or place"),
    "many axes": (lambda h: h["b"].update(shape=[1] * 30 + [2]), "has no shape or place"),
    "odd type": (lambda h: h["b"].update(dtype="F8_E4M3"), "numbers of the type F8_E4M3"),
    "no type": (lambda h: h["b"].update(dtype=None), "numbers of the type None"),
    "no tensor": (lambda h: h.update(b=[1]), "is that of no tensor"),
    "long name": (lambda h: h.update({"x" * 2000: h.pop("b")}), "is that of no tensor"),
    "metadata": (lambda h: h.update(__metadata__={"a": 1}), "its metadata are no texts"),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_is_held_against_the_bytes_before_anything_is_allocated(case: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.ones(4), "b": torch.ones(2)}, path)
    assert [s.numel for s in read_header(path).values()] == [4, 2]
    change, told = HEADERS[case]
    with_header(path, change)
    with pytest.raises(WeightsError, match=told):
        read_header(path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, (10**9).to_bytes(8, "little") + b"{}", b"\2" + b"\0" * 7 + b"[]"]
)
def test_what_has_no_header(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=rf"damaged or no safetensors file .* {len(content)} bytes"):
        read_header(tmp_path / "net.safetensors")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_found_wherever_they_are(
    dtype: torch.dtype, number: float, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    last = torch.full((300_000,), torch.finfo(dtype).max, dtype=dtype)
    tensors = {"a": torch.zeros(3, dtype=torch.int64), "b": torch.full((5,), -1.5, dtype=dtype), "c": last}
    save_file(tensors, path)
    check_finite(path, read_header(path))
    for name, at in (("b", 0), ("c", 0), ("c", 299_999)):
        changed = {k: v.clone() for k, v in tensors.items()}
        changed[name][at] = number
        save_file(changed, path)
        with pytest.raises(WeightsError, match=rf"the tensor {name} has numbers that are not finite"):
            check_finite(path, read_header(path))


# --- the budget -----------------------------------------------------------------------------------------------------


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(
    "damage",
    [lambda p: p.unlink(), lambda p: p.write_bytes(b""), lambda p: p.write_bytes(b"no header at all"), _cut],
    ids=["missing", "empty", "foreign", "cut"],
)
def test_no_network_is_built_for_weights_without_a_header(
    damage: Callable[[Path], object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "README.md").unlink()
    damage(folder / WEIGHTS)
    built: list[object] = []
    kind = registry().load(registry().architecture("face-parser"), "model")
    monkeypatch.setattr(kind, "__init__", lambda *args, **kwargs: built.append(args))
    with pytest.raises(WeightsError, match=WEIGHTS):
        models.load_model(folder)
    assert not built


def test_the_budget_counts_numbers_and_steps(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.ones(10)}, path)
    with budget.Budget([path], "here"):
        torch.empty(budget.SLACK + 20)
    with budget.Budget([path], "here"), pytest.raises(ConfigError, match="here describes a network far larger"):
        torch.empty(budget.SLACK + 21)
    begun = time.monotonic()
    with budget.Budget([path], "here"), pytest.raises(ConfigError, match="far larger"):
        while True:
            torch.empty(0)
    assert time.monotonic() - begun < 20


# --- configs --------------------------------------------------------------------------------------------------------

NUMBERS: dict[str, tuple[Any, str]] = {
    "too many": (configs.SIZE + 1, "is too large"),
    "endless": (10**400, "is too large"),
    "below": (-configs.SIZE - 1, "is too large"),
    "text": ("wide", "expected int"),
    "nothing": (None, "expected int"),
    "true": (True, "expected int"),
}


def int_fields() -> list[tuple[str, str]]:
    """Architecture and field of every whole number in a config."""
    reg, seen = registry(), []
    for name, arch in reg.architectures.items():
        if ":" not in name and reg.owner(name).distribution == reg.owner("spade").distribution:
            config = next(iter(reg.load(arch, "variants").values())).config
            seen += [(name, f) for f, v in configs.to_dict(config).items() if type(v) is int]
    return seen


@pytest.mark.parametrize(("architecture", "field"), int_fields())
@pytest.mark.parametrize("case", NUMBERS)
def test_every_count_of_every_config_is_bounded(architecture: str, field: str, case: str) -> None:
    reg = registry()
    config = next(iter(reg.load(reg.architecture(architecture), "variants").values())).config
    value, told = NUMBERS[case]
    if value is None and field == "embed_dim":  # may be none
        return
    with pytest.raises(ConfigError, match=rf"field '{field}': .*{told}"):
        configs.from_dict(type(config), {**configs.to_dict(config), field: value}, network=True)


@pytest.mark.parametrize("field", ["resolution", "encoder_size", "blur_iterations", "blur_size"])
def test_sides_and_loops_have_bounds_of_their_own(field: str) -> None:
    with pytest.raises(ConfigError, match=f"'{field}': .* is too large; at most"):
        zoo.create("scgan/celeba-128", **{field: str(SIDE * 2)})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"aspect_ratio": float("nan")}, "expected a finite number"),
        ({"aspect_ratio": 1e-300}, "makes pictures higher than 4096 pixels"),
        ({"aspect_ratio": 10**400}, "expected float"),
        ({"channels": ["skin"] * 5000}, "5000 entries; at most 1024"),
        ({"norm": "x" * 20_000}, "a text of 20000 characters"),
        ({"x" * 5000: 1}, "unknown field 'xxx.*…"),
    ],
    ids=["nan", "thin", "endless", "list", "text", "field"],
)
def test_other_values_are_bounded_too(values: dict[str, Any], told: str) -> None:
    config = registry().load(registry().architecture("spade"), "config")
    with pytest.raises(ConfigError, match=told) as caught:
        configs.from_dict(config, values, network=True)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["architecture", "variant", "label_space", "channels", "resolution", "dtype"])
@pytest.mark.parametrize("value", [1.5, [None], {"a": "b"}, "\x1b[2J" * 200, [1, 2, 3], True], ids=list("abcdef"))
def test_a_config_file_with_odd_types_is_one_error(folder: Path, name: str, value: Any) -> None:
    (folder / "README.md").unlink()
    values = json.loads((folder / "config.json").read_text())
    values[name] = value
    (folder / "config.json").write_text(json.dumps(values))
    if name == "dtype" and isinstance(value, str):  # says how the file was written, and is used for nothing
        zoo.load(folder)
        return
    with pytest.raises(ZooError) as caught:
        zoo.load(folder)
    assert len(str(caught.value)) < 1500


# --- files that are none --------------------------------------------------------------------------------------------

PLACES = ("config.json", WEIGHTS, "README.md", "assets/label_sets.json")


def _pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


SPECIAL: dict[str, Callable[[Path, Path], object]] = {
    "pipe": _pipe,
    "device": lambda path, outside: path.symlink_to("/dev/zero"),
    "link out": lambda path, outside: path.symlink_to(outside),
    "link to itself": lambda path, outside: path.symlink_to(path.name),
    "link to nowhere": lambda path, outside: path.symlink_to("/nonexistent/file"),
    "folder": lambda path, outside: path.mkdir(),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("special", SPECIAL)
def test_only_ordinary_files_of_the_folder_are_opened(
    special: str, name: str, model_root: Path, tmp_path: Path, run: Run
) -> None:
    folder = Path(shutil.copytree(model_root / "mask-vae-celeba", tmp_path / "model"))
    outside = tmp_path / f"outside{Path(name).suffix}"
    shutil.copy(folder / name, outside)
    (folder / name).unlink()
    SPECIAL[special](folder / name, outside)
    with pytest.raises(WeightsError, match=r"no ordinary file|is a link|Cannot read"):
        models.load_model(folder)
    for command in ("verify", "card"):
        found = run(command, folder)
        assert found.code == 1 or (command == "card" and name != "README.md")
        assert found.code == 0 or len(found.err.splitlines()) <= 3


def test_links_inside_a_folder_are_in_order(folder: Path) -> None:
    (folder / "blob").write_bytes((folder / WEIGHTS).read_bytes())
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to("blob")
    assert zoo.load(folder).config.side == 32


# --- cards ----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_loaded_is_listed_or_the_card_is_none(model_root: Path, tmp_path: Path, run: Run) -> None:
    folder = Path(shutil.copytree(model_root / "mask-vae-celeba", tmp_path / "model"))
    files = digests(folder)
    for name in files:
        listed = {n: d for n, d in files.items() if n != name}
        write_card(folder, {"zoo": {"architecture": "mask-vae", "files": listed}}, "# x")
        with pytest.raises(WeightsError, match=f"its card does not list {name}"):
            zoo.load(folder)
        assert f"{name} is not listed" in run("verify", folder).out + run("verify", folder).err
    write_card(folder, {"zoo": {"architecture": "mask-vae"}}, "# x")
    with pytest.raises(WeightsError, match=r"README\.md is no card: .* lists no `files`"):
        zoo.load(folder)
    (folder / "README.md").write_text("# Notes of mine\n")
    assert zoo.load(folder).assets.keys() == {"label_sets", "prior"}, "a folder without a card is the user's own"


# --- numbers and assets ---------------------------------------------------------------------------------------------


def test_weights_that_are_not_finite_are_refused_everywhere(tmp_path: Path, run: Run) -> None:
    folder = complete_folder(tmp_path / "nan")
    tensors = load_file(folder / WEIGHTS)
    name = next(k for k, v in tensors.items() if v.is_floating_point())
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, folder / WEIGHTS)
    write_card(folder, {"zoo": {"architecture": "face-parser", "files": digests(folder)}}, "# x")
    for found in (run("verify", folder), run("parse", folder, "--model", folder, "--out", tmp_path / "out")):
        assert found.code != 0
    assert f"the tensor {name} has numbers that are not finite" in run("verify", folder).out + run("verify", folder).err
    with pytest.raises(WeightsError, match="are not finite"):
        zoo.load(folder)


def test_weights_of_another_type_are_refused(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    name = next(k for k, v in tensors.items() if v.is_floating_point())
    tensors[name] = tensors[name].to(torch.int32)
    save_file(tensors, folder / WEIGHTS)
    (folder / "README.md").unlink()
    with pytest.raises(WeightsError, match=rf"shapes: {name} int32 instead of float32"):
        zoo.load(folder)


def test_a_picture_that_is_not_finite_is_an_error() -> None:
    model = zoo.create("face-parser", side=32, feature_scale=32)
    assert finished(torch.ones(1, 3, 2, 2, dtype=torch.float16), model).dtype == torch.float32
    for number in (float("nan"), float("inf")):
        images = torch.zeros(2, 3, 2, 2)
        images[1, 2, 0, 1] = number
        with pytest.raises(WeightsError, match="mine made a picture that is none"):
            finished(images, model, "mine")


JSON_ASSETS: dict[str, Any] = {
    "object": {"a": 1}, "empty": [], "numbers": [1], "no count": [{"labels": ["skin"]}], "zero": [{"labels": ["skin"], "count": 0}],
    "endless": [{"labels": ["skin"], "count": 2**60}], "fraction": [{"labels": ["skin"], "count": 1.5}],
    "true": [{"labels": ["skin"], "count": True}], "text": [{"labels": "skin", "count": 1}], "unknown": [{"labels": ["wing"], "count": 1}],
    "none": [{"labels": [], "count": 1}], "null": None,
}  # fmt: skip


@pytest.mark.parametrize("case", JSON_ASSETS)
def test_label_sets_of_another_form_are_one_error(case: str, model_root: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_root / "mask-vae-celeba", tmp_path / "model"))
    (folder / "README.md").unlink()
    (folder / "assets/label_sets.json").write_text(json.dumps(JSON_ASSETS[case]))
    with pytest.raises(WeightsError, match=r"label_sets\.json is not the asset label_sets of this SemanticVAE"):
        zoo.load(folder)


TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "one number": lambda t: t.reshape(-1)[:1],
    "flat": lambda t: t.reshape(-1)[:-1] if t.numel() > 1 else t.reshape(1, 1),
    "another type": lambda t: t.float() if t.dtype == torch.int64 else t.to(torch.int64),
    "bool": lambda t: t.bool(),
}


@pytest.mark.parametrize("case", [*TENSORS, "missing", "one too many"])
def test_a_prior_of_another_form_is_one_error(case: str, model_root: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_root / "mask-vae-celeba", tmp_path / "model"))
    (folder / "README.md").unlink()
    path = folder / "assets/prior.safetensors"
    tensors = load_file(path)
    for name in tensors:
        changed = dict(tensors)
        if case == "missing":
            del changed[name]
        elif case == "one too many":
            changed["more"] = torch.zeros(1)
        else:
            changed[name] = TENSORS[case](tensors[name]).contiguous()
        save_file(changed, path)
        with pytest.raises(WeightsError, match=r"prior\.safetensors is not the asset prior of this SemanticVAE"):
            zoo.load(folder)
