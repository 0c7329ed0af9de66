"""Checkpoints, styles and label spaces that claim what is not there: refused by what they say, before anything is made of it.

The pickles here do no harm: they ask torch for memory or time that it would give.
"""

from __future__ import annotations

import io
import json
import pickle
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from official_files import parser_state
from safetensors.torch import save

from zoo.checkpoints.bounds import claims_of
from zoo.checkpoints.reading import read_checkpoint
from zoo.checkpoints.refusals import pickle_bytes
from zoo.errors import LabelError, WeightsError
from zoo.labels import parse_space
from zoo.style import Style


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function: Any, *given: Any) -> None:
        self.parts = function, given

    def __reduce__(self) -> Any:
        return self.parts


class Pickler(pickle.Pickler):
    """Writes tuples that begin with "storage" as torch writes its storages."""

    def persistent_id(self, obj: Any) -> Any:
        return obj if isinstance(obj, tuple) and obj and obj[0] == "storage" else None


def storage(count: int, key: str = "0") -> tuple[Any, ...]:
    return ("storage", torch.FloatStorage, key, "cpu", count)


def tensor(place: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Call:
    return Call(torch._utils._rebuild_tensor_v2, place, offset, size, stride, False, OrderedDict())


def shared(levels: int) -> bytes:
    """The pickle of a dict whose key is a pair of one pair of one pair …: its hash would take 2 ** levels steps."""
    pairs = b"".join(b"q%ch%c\x86" % (i, i) for i in range(levels))
    return b"\x80\x02})" + pairs + b"K\x01s."


def archive(path: Path, content: Any, *more: tuple[str, bytes], compressed: bool = False) -> Path:
    """A file as torch.save writes one, with one storage of four bytes."""
    stream = io.BytesIO(content if isinstance(content, bytes) else b"")
    if not isinstance(content, bytes):
        Pickler(stream, 2).dump(content)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as file:
        for name, data in (("x/data.pkl", stream.getvalue()), ("x/version", b"3\n"), ("x/data/0", b"\0" * 4), *more):
            file.writestr(name, data)
    return path


CLAIMS: dict[str, tuple[Callable[[], Any], str]] = {
    "repeated": (lambda: tensor(storage(1), 0, (10**9,), (0,)), r"of shape \[1000000000\] would need 4,000,000,000 bytes"),
    "beyond its storage": (lambda: tensor(storage(1), 0, (10**9,), (1,)), "would need 4,000,000,000 bytes of a storage that has 4"),
    "behind its storage": (lambda: tensor(storage(1), 1, (1,), (1,)), "would need 8 bytes of a storage that has 4"),
    "a storage that is not there": (lambda: tensor(storage(10**10), 0, (1,), (1,)), "its storage 0 would need 40,000,000,000 bytes"),
    "another storage": (lambda: tensor(storage(1, "7"), 0, (1,), (1,)), "its storage 7 would need 4 bytes and has 0"),
    "a negative size": (lambda: tensor(storage(1), 0, (-1,), (1,)), "without a storage, size or stride"),
    "no storage": (lambda: tensor(3, 0, (1,), (1,)), "without a storage, size or stride"),
    "many views": (
        lambda: [tensor(storage(1), 0, (n,), (0,)) for n in range(262_044, 262_144)],
        "its tensors would have 104,",
    ),
    "bytes by number": (lambda: Call(bytearray, 10**10), "makes an array of bytes from a number"),
    "a storage by number": (lambda: Call(torch.FloatStorage, 10**10), r"calls torch\.FloatStorage"),
    "a tensor by numbers": (lambda: Call(torch.Tensor, 10**5, 10**5), r"calls torch\.Tensor"),
    "a key of shared tuples": (lambda: shared(60), "a tuple of more than 100,000 entries"),
    "a number of many digits": (lambda: 1 << 100_000, "a number of many digits"),
}  # fmt: skip


@pytest.mark.parametrize("data", [False, True], ids=["shapes", "data"])
@pytest.mark.parametrize("case", CLAIMS)
def test_what_a_pickle_claims_is_held_against_the_bytes(case: str, data: bool, tmp_path: Path) -> None:
    make, told = CLAIMS[case]
    begun = time.monotonic()
    with pytest.raises(WeightsError, match=told) as caught:
        value = make()
        read_checkpoint(archive(tmp_path / "net.pth", value if isinstance(value, bytes) else {"w": value}), data=data)
    assert time.monotonic() - begun < 30 and "weights_only" not in str(caught.value)


def test_what_is_there_is_read(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "net.pth", {"w": tensor(storage(1), 0, (1,), (1,)), "wide": tensor(storage(1), 0, (3, 4), (0, 0))}
    )
    content = read_checkpoint(path).content
    assert content["w"].tolist() == [0] and content["wide"].shape == (3, 4)


@pytest.mark.parametrize(
    ("name", "told"),
    [("x/data.pkl", "occur twice"), ("X/DATA.PKL", "occur twice"), ("y/data.pkl", "occur twice"), ("y/data/0", "several folders")],
)  # fmt: skip
def test_an_archive_that_two_readers_read_differently_is_refused(name: str, told: str, tmp_path: Path) -> None:
    with pytest.warns() if name == "x/data.pkl" else pytest.MonkeyPatch.context():  # pyright: ignore[reportArgumentType]
        path = archive(tmp_path / "net.pth", {"w": 1}, (name, b"\x80\x02}q\x00."))
    with pytest.raises(WeightsError, match=rf"put together as torch\.save puts none together .*{told}"):
        read_checkpoint(path)


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="it is a compressed archive"):
        read_checkpoint(archive(tmp_path / "net.pth", {"w": 1}, ("x/data/1", b"\0" * 10_000_000), compressed=True))


def test_an_old_file_that_announces_more_than_it_has(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({"w": torch.zeros(100_000)}, path, _use_new_zipfile_serialization=False)
    assert claims_of(pickle_bytes(path), 5).storages.popitem()[1] == 400_000
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"its tensors would have 400,000 bytes, the file has 5,000"):
        read_checkpoint(path, data=False)


def test_published_forms_claim_what_they_have(tmp_path: Path) -> None:
    state = parser_state()
    torch.save({"net": state, "step": 3}, tmp_path / "net.pth")
    claims = claims_of(pickle_bytes(tmp_path / "net.pth"), 1)
    numbers = sum(t.numel() * t.element_size() for t in state.values())
    assert sum(claims.storages.values()) == sum(claims.views.values()) == numbers


# --- styles ---------------------------------------------------------------------------------------------------------

HEAD = {"axes": {"z": ["sample", "class", "channel"]}, "classes": ["skin", "hair"], "layers": []}
Z = torch.zeros(3, 2, 4)
STYLES: dict[str, tuple[dict[str, torch.Tensor], Any]] = {
    "no head": ({"style.z": Z}, None),
    "a list as head": ({"style.z": Z}, [1]),
    "no axes": ({"style.z": Z}, {**HEAD, "axes": 3}),
    "axes without names": ({"style.z": Z}, {**HEAD, "axes": {"z": [1, 2, 3]}}),
    "axes of nothing": ({"style.z": Z}, {**HEAD, "axes": {**HEAD["axes"], "y": ["sample"]}}),
    "classes as text": ({"style.z": Z}, {**HEAD, "classes": "ab"}),
    "one class twice": ({"style.z": Z}, {**HEAD, "classes": ["skin", "skin"]}),
    "a class too many": ({"style.z": Z}, {**HEAD, "classes": ["skin", "hair", "hat"]}),
    "a class without name": ({"style.z": Z}, {**HEAD, "classes": ["skin", ""]}),
    "nothing": ({}, HEAD),
    "no samples": ({"style.z": Z[:0]}, HEAD),
    "another tensor": ({"style.z": Z, "more": Z.clone()}, HEAD),
    "NaN": ({"style.z": Z * float("nan")}, HEAD),
    "infinite": ({"style.z": Z + float("inf")}, HEAD),
    "whole numbers": ({"style.z": Z.long()}, HEAD),
    "presence of others": ({"style.z": Z, "present": torch.ones(3, 3, dtype=torch.bool)}, HEAD),
    "presence in numbers": ({"style.z": Z, "present": torch.ones(3, 2)}, HEAD),
    "visible without layers": ({"style.z": Z, "visible": torch.ones(3, 2, dtype=torch.bool)}, HEAD),
}  # fmt: skip


@pytest.mark.parametrize("case", STYLES)
def test_a_style_file_of_another_form_is_one_error(case: str) -> None:
    tensors, head = STYLES[case]
    content = save(tensors, None if head is None else {"zoo": json.dumps(head)})
    with pytest.raises(WeightsError, match=r"mine is not a style file of the zoo|mine is damaged"):
        Style.from_bytes(content, "mine")


def test_a_style_file_that_is_one() -> None:
    style = Style.from_bytes(save({"style.z": Z}, {"zoo": json.dumps(HEAD)}), "mine")
    assert len(style) == 3 and style.classes == ("skin", "hair")


# --- label spaces ---------------------------------------------------------------------------------------------------

SPACES: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"name": 3}, "its name is a text"),
    "long name": ({"name": "x" * 300}, "its name is a text"),
    "control characters": ({"name": "a\x1b[2J"}, "its name is a text"),
    "title": ({"title": [1]}, "its title is a text"),
    "background": ({"background": ["skin"]}, "its background is the name of a class"),
    "unknown background": ({"background": "wing"}, "its background 'wing' is not one of its classes"),
    "ignore": ({"ignore": "yes"}, "ignore is true or false"),
    "many": ({"classes": ["x"] * 100_000}, "100000 classes; 8-bit maps hold at most 255"),
    "twice": ({"classes": ["skin", "Skin"]}, "class names occur twice: skin, Skin"),
    "class name": ({"classes": [{"name": "x" * 300}]}, "a name is a text"),
    "empty name": ({"classes": [""]}, "a name is a text"),
    "number as class": ({"classes": [1]}, "class 0 has no name"),
    "color": ({"classes": [{"name": "a", "color": [1, 2, 256]}]}, "a color is three integers 0..255"),
    "true as color": ({"classes": [{"name": "a", "color": [True, 2, 3]}]}, "a color is three integers 0..255"),
    "no color": ({"classes": [{"name": "a", "color": None}]}, "a color is three integers 0..255"),
    "colors": ({"classes": [{"name": "a", "colors": 5}]}, "colors are a list of at most 64 colors"),
    "aliases": ({"classes": [{"name": "a", "aliases": [1]}]}, "aliases are a list of names"),
    "aliases in an object": ({"classes": [{"name": "a", "aliases": {"b": 1}}]}, "aliases are a list of names"),
    "mirror": ({"classes": [{"name": "a", "mirror": ["b"]}]}, "mirror is the name of its left/right counterpart"),
    "unknown mirror": ({"classes": [{"name": "a", "mirror": "b"}]}, "No class 'b'"),
    "on": ({"classes": [{"name": "a", "on": {}}]}, "on is the name of the class that it lies on"),
    "unknown on": ({"classes": [{"name": "a", "on": "b"}]}, "lies on 'b', which is not one of its classes"),
    "circle": ({"classes": [{"name": "a", "on": "a"}]}, "in a circle"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPACES)
def test_a_label_space_of_another_form_is_one_error(case: str) -> None:
    change, told = SPACES[case]
    with pytest.raises(LabelError, match=told) as caught:
        parse_space({"name": "mine", "classes": ["skin", "hair"], **change}, "FILE.json")
    assert len(str(caught.value)) < 1000
